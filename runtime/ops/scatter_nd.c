// SPDX-License-Identifier: Apache-2.0
// ScatterND: a copy of the data, with slices replaced by (or reduced with) the updates at the
// indices' tuples: indices [.., k], updates [..][data dims from k].
#include "runtime/base/pool.h"
#include "runtime/ops/lib/scatter.h"
#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype index_types[] = {BNR_INT64, BNR_INT32, BNR_UNDEFINED};

// Checks the updates' shape as far as it is known.
static enum bnr_status check_shapes(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *index = &cx->in[1]->type.shape;
    const struct bnr_shape *u = &cx->in[2]->type.shape;
    if (x->rank < 0 || index->rank < 0 || index->dims[index->rank - 1].n < 0)
        return BNR_OK;
    const int64_t k = index->dims[index->rank - 1].n;
    if (k > x->rank)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "tuples of %lld indices for data of rank %d", (long long)k, x->rank);
    const int batch = index->rank - 1;
    BNR_TRY(bnr__infer_rank(cx, 2, batch + x->rank - (int)k, batch + x->rank - (int)k));
    for (int i = 0; i < u->rank; i++) {
        const struct bnr_dim want = i < batch ? index->dims[i] : x->dims[i - batch + (int)k];
        if (want.n >= 0 && u->dims[i].n >= 0 && want.n != u->dims[i].n)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "dim %d of the updates is %lld, expected %lld", i,
                                (long long)u->dims[i].n, (long long)want.n);
    }
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    enum bnr_reduction r;
    BNR_TRY(bnr__infer_dtype(cx, 1, index_types));
    BNR_TRY(bnr__infer_same_dtype(cx, 0, 2));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    BNR_TRY(bnr__infer_rank(cx, 1, 1, BNR_MAX_RANK));
    BNR_TRY(bnr__scatter_reduction(cx->node, cx->err, cx->in[0]->type.dtype, &r));
    BNR_TRY(check_shapes(cx));
    return bnr__infer_same(cx);
}

struct work {
    enum bnr_reduction r;
    enum bnr_dtype dtype;
    char *y;
    const char *updates;
    const size_t *offset;      // of each slice in y
    size_t count, slice, size; // slices, elements of one, bytes of an element
};

// The part of every slice: for long ones.
static void apply_columns(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    for (size_t i = 0; i < w->count; i++)
        bnr__scatter_apply(w->r, w->dtype, w->y + (w->offset[i] + begin) * w->size,
                           w->updates + (i * w->slice + begin) * w->size, end - begin);
}

// The slices that begin in a part of y, in order.
static void apply_range(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    for (size_t i = 0; i < w->count; i++)
        if (w->offset[i] >= begin && w->offset[i] < end)
            bnr__scatter_apply(w->r, w->dtype, w->y + w->offset[i] * w->size,
                               w->updates + i * w->slice * w->size, w->slice);
}

static enum bnr_status ref(const struct bnr_args *a) {
    enum { LONG = 1024, FEW = 16 * 1024 };
    const struct bnr_tensor *x = a->in[0], *index = a->in[1], *u = a->in[2];
    struct work w = {.dtype = x->dtype, .size = bnr__dtype_size(x->dtype), .slice = 1};
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(bnr__scatter_reduction(a->node, a->err, x->dtype, &w.r));
    bnr__copy_bytes(a->out[0]->data, x->data, x->nbytes, a->pool);
    if (u->numel == 0)
        return BNR_OK;
    BNR_TRY(bnr__args_tuples(a, 1, x, 0, &w.offset));
    w.y = a->out[0]->data;
    w.updates = u->data;
    for (int i = (int)index->dims[index->rank - 1]; i < x->rank; i++)
        w.slice *= (size_t)x->dims[i];
    w.count = u->numel / w.slice;
    const size_t pieces = u->numel < FEW ? 1 : (size_t)bnr__pool_threads(a->pool);
    if (w.slice >= LONG)
        bnr__parallel_for(a->pool, w.slice, u->numel < FEW ? w.slice : LONG / 2, apply_columns, &w);
    else
        bnr__parallel_for(a->pool, x->numel, x->numel / pieces + 1, apply_range, &w);
    return BNR_OK;
}

BNR_DEFINE_OP(scatter_nd) = {
    .domain = "",
    .name = "ScatterND",
    .since = {11, 13, 16, 18},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_INPLACE,
    .attrs = "reduction:s",
    .infer = infer,
    .ref = ref,
};
