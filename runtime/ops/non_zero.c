// SPDX-License-Identifier: Apache-2.0
// NonZero: the indices of the elements that are not zero (not false, not empty) in row-major order,
// one row of the [rank, count] output for each axis.
#include "runtime/base/pool.h"
#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const int rank = cx->in[0]->type.shape.rank;
    struct bnr_shape y = {.rank = 2};
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ALL));
    y.dims[0] = rank >= 0 ? bnr__dim_of(rank) : bnr__dim_unknown();
    y.dims[1] = bnr__dim_unknown();
    bnr__infer_set(cx, 0, BNR_INT64, &y);
    return BNR_OK;
}

static bool is_set(const struct bnr_tensor *x, size_t i) {
    switch (x->dtype) {
    case BNR_STRING:
        return x->str[i].len > 0;
    case BNR_COMPLEX64:
        return x->f32[2 * i] != 0 || x->f32[2 * i + 1] != 0;
    case BNR_COMPLEX128:
        return x->f64[2 * i] != 0 || x->f64[2 * i + 1] != 0;
    default:
        return bnr__tensor_f64(x, i) != 0;
    }
}

enum { PIECE = 16 * 1024 };

struct work {
    const struct bnr_tensor *x;
    size_t *found; // per piece: how many are set in it, then in front of it
    int64_t *y;
    size_t count;
};

// mark[i]: whether element first + i is set.
static void mark_piece(const struct bnr_tensor *x, size_t first, size_t n, uint8_t *mark) {
    if (x->dtype == BNR_FLOAT)
        for (size_t i = 0; i < n; i++)
            mark[i] = x->f32[first + i] != 0;
    else if (x->dtype == BNR_BOOL)
        for (size_t i = 0; i < n; i++)
            mark[i] = x->u8[first + i] != 0;
    else
        for (size_t i = 0; i < n; i++)
            mark[i] = is_set(x, first + i);
}

static void count_pieces(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    uint8_t mark[PIECE];
    mark_piece(w->x, begin, end - begin, mark);
    size_t n = 0;
    for (size_t i = 0; i < end - begin; i++)
        n += mark[i];
    w->found[begin / PIECE] = n;
}

static void write_pieces(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    const int rank = w->x->rank;
    int64_t at[BNR_MAX_RANK];
    uint8_t mark[PIECE];
    size_t rest = begin, to = w->found[begin / PIECE];
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = (int64_t)(rest % (size_t)w->x->dims[d]);
        rest /= (size_t)w->x->dims[d];
    }
    mark_piece(w->x, begin, end - begin, mark);
    for (size_t i = 0; i < end - begin; i++) {
        for (int d = 0; d < rank && mark[i]; d++)
            w->y[(size_t)d * w->count + to] = at[d];
        to += mark[i];
        for (int d = rank - 1; d >= 0 && ++at[d] == w->x->dims[d]; d--)
            at[d] = 0;
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const size_t pieces = ceil_div(x->numel, PIECE);
    struct work w = {.x = x, .found = bnr__temp(a, pieces, sizeof *w.found)};
    if (w.found == NULL)
        return BNR_NO_MEMORY;
    bnr__parallel_for(a->pool, x->numel, PIECE, count_pieces, &w);
    for (size_t i = 0; i < pieces; i++) {
        const size_t here = w.found[i];
        w.found[i] = w.count;
        w.count += here;
    }
    BNR_TRY(bnr__out_alloc(a, 0, BNR_INT64, 2, (const int64_t[]){x->rank, (int64_t)w.count}));
    w.y = a->out[0]->i64;
    if (w.count > 0 && x->rank > 0)
        bnr__parallel_for(a->pool, x->numel, PIECE, write_pieces, &w);
    return BNR_OK;
}

BNR_DEFINE_OP(non_zero) = {
    .domain = "",
    .name = "NonZero",
    .since = {9, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_DATA_SHAPE,
    .infer = infer,
    .ref = ref,
};
