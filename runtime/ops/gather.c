// SPDX-License-Identifier: Apache-2.0
// Gather: slices of the data along one axis, picked by indices of any rank:
// [data dims before axis] [index dims] [data dims after axis].
#include <string.h>

#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/strided.h"

static const enum bnr_dtype index_types[] = {BNR_INT32, BNR_INT64, BNR_UNDEFINED};

// Shape arithmetic: picks elements of a list.
static enum bnr_status pick_elems(struct bnr_infer *cx) {
    const struct bnr_dim *elems, *index;
    int n, n_index;
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    BNR_TRY(bnr__infer_ints(cx, 1, &index, &n_index));
    if (!elems || !index || cx->in[0]->type.shape.rank != 1)
        return BNR_OK;
    struct bnr_dim *picked = BNR_NEW_ARRAY(cx->arena, (size_t)n_index + 1, struct bnr_dim);
    if (!picked)
        return bnr__no_memory(cx->err);
    for (int i = 0; i < n_index; i++) {
        if (!bnr__elem_is_number(index[i]))
            return BNR_OK;
        const int64_t k = index[i].n < 0 ? index[i].n + n : index[i].n;
        if (k < 0 || k >= n)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "index %lld is outside [-%d, %d)",
                                (long long)index[i].n, n, n);
        picked[i] = elems[k];
    }
    return bnr__infer_set_elems(cx, 0, picked, n_index);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *index = &cx->in[1]->type.shape;
    struct bnr_shape y = bnr__shape_unknown();
    BNR_TRY(bnr__infer_dtype(cx, 1, index_types));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    int axis = 0;
    if (x->rank >= 0)
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), x->rank, &axis));
    if (x->rank >= 0 && index->rank >= 0) {
        if (x->rank - 1 + index->rank > BNR_MAX_RANK)
            return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED, "the output would have rank %d",
                                x->rank - 1 + index->rank);
        y.rank = 0;
        for (int i = 0; i < axis; i++)
            y.dims[y.rank++] = x->dims[i];
        for (int i = 0; i < index->rank; i++)
            y.dims[y.rank++] = index->dims[i];
        for (int i = axis + 1; i < x->rank; i++)
            y.dims[y.rank++] = x->dims[i];
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return y.rank >= 0 && bnr__shape_known(&y) ? pick_elems(cx) : BNR_OK;
}

struct work {
    char *dst;
    const char *src;
    const int64_t *index; // [count], each in [0, n)
    size_t count, n, run; // run: bytes of a slice behind the axis
};

static void move(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    for (size_t i = begin; i < end; i++) {
        const size_t outer = i / w->count, k = (size_t)w->index[i % w->count];
        memcpy(w->dst + i * w->run, w->src + (outer * w->n + k) * w->run, w->run);
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *index = a->in[1];
    int axis;
    const int64_t *given;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(bnr__resolve_axis(a->node, a->err, bnr__attr_int(a->node, "axis", 0), x->rank, &axis));
    BNR_TRY(bnr__args_indices(a, 1, &given));
    int64_t *resolved = BNR_NEW_ARRAY(a->temp, index->numel + 1, int64_t);
    if (!resolved)
        return bnr__no_memory(a->err);
    for (size_t i = 0; i < index->numel; i++)
        BNR_TRY(bnr__resolve_index(a, 1, given[i], x->dims[axis], &resolved[i]));
    size_t outer = 1, run = bnr__dtype_size(x->dtype);
    if (a->out[0]->numel == 0)
        return BNR_OK;
    for (int i = 0; i < axis; i++)
        outer *= (size_t)x->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        run *= (size_t)x->dims[i];
    struct work w = {.dst = a->out[0]->data,
                     .src = x->data,
                     .index = resolved,
                     .count = index->numel,
                     .n = (size_t)x->dims[axis],
                     .run = run};
    bnr__parallel_for(a->pool, outer * index->numel, (1 << 16) / run + 1, move, &w);
    return BNR_OK;
}

// Of one slice.
static bool strided(struct bnr_infer *cx, int out, struct bnr_strided *s) {
    const struct bnr_dim *index;
    int n, axis;
    if (bnr__infer_ints(cx, 1, &index, &n) != BNR_OK || !index || n != 1 ||
        !bnr__elem_is_number(index[0]) ||
        bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), s->rank, &axis) != BNR_OK)
        return false;
    const int64_t dim = s->dims[axis], at = index[0].n < 0 ? index[0].n + dim : index[0].n;
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(&cx->out[0]->type.shape, dims);
    return at >= 0 && at < dim && bnr__strided_slice(s, axis, at, 1, 1) &&
           bnr__strided_reshape(s, cx->out[0]->type.shape.rank, dims);
}

BNR_DEFINE_OP(gather) = {
    .domain = "",
    .name = "Gather",
    .since = {1, 11, 13},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = infer,
    .ref = ref,
    .strided = strided,
};
