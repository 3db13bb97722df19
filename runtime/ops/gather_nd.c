// SPDX-License-Identifier: Apache-2.0
// GatherND: slices of the data at tuples of indices. data [b][..], indices [b][..][k]: output
// [b][.. of the indices][data dims from b + k], where b stands for batch_dims leading dims.
#include <string.h>

#include "runtime/base/compiler.h"
#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype index_types[] = {BNR_INT64, BNR_INT32, BNR_UNDEFINED};

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *index = &cx->in[1]->type.shape;
    struct bnr_shape y = bnr__shape_unknown();
    const int64_t b = bnr__attr_int(cx->node, "batch_dims", 0);
    BNR_TRY(bnr__infer_dtype(cx, 1, index_types));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    BNR_TRY(bnr__infer_rank(cx, 1, 1, BNR_MAX_RANK));
    if (x->rank >= 0 && index->rank >= 0) {
        if (b < 0 || b >= x->rank || b >= index->rank)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "batch_dims is %lld for ranks %d and %d", (long long)b, x->rank,
                                index->rank);
        for (int i = 0; i < b; i++)
            if (x->dims[i].n >= 0 && index->dims[i].n >= 0 && x->dims[i].n != index->dims[i].n)
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "batch dim %d is %lld and %lld",
                                    i, (long long)x->dims[i].n, (long long)index->dims[i].n);
        const int64_t k = index->dims[index->rank - 1].n;
        if (k > x->rank - b)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "tuples of %lld indices for data of rank %d", (long long)k,
                                x->rank);
        const int64_t rank = index->rank - 1 + x->rank - b - k;
        if (k >= 0 && rank > BNR_MAX_RANK)
            return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED,
                                "the output would have rank %lld", (long long)rank);
        y.rank = k >= 0 ? (int)rank : -1;
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = i < index->rank - 1 ? index->dims[i]
                                            : x->dims[i - (index->rank - 1) + (int)(b + k)];
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

struct work {
    char *dst;
    const char *src;
    const size_t *offset;                       // of each slice in its batch
    size_t per_batch, batch_bytes, size, slice; // bytes of an element and of a slice
};

BNR_INLINE void move_slices(const struct work *w, size_t begin, size_t end, const size_t slice) {
    for (size_t i = begin; i < end; i++)
        memcpy(w->dst + i * slice,
               w->src + i / w->per_batch * w->batch_bytes + w->offset[i] * w->size, slice);
}

static void move(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    if (w->slice == 4)
        move_slices(w, begin, end, 4);
    else if (w->slice == 8)
        move_slices(w, begin, end, 8);
    else
        move_slices(w, begin, end, w->slice);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *index = a->in[1];
    const int b = (int)bnr__attr_int(a->node, "batch_dims", 0);
    BNR_TRY(bnr__out_infer(a, infer));
    if (a->out[0]->numel == 0)
        return BNR_OK;
    struct work w = {
        .dst = a->out[0]->data, .src = x->data, .per_batch = 1, .size = bnr__dtype_size(x->dtype)};
    BNR_TRY(bnr__args_tuples(a, 1, x, b, &w.offset));
    size_t batches = 1;
    for (int i = 0; i < b; i++)
        batches *= (size_t)x->dims[i];
    for (int i = b; i < index->rank - 1; i++)
        w.per_batch *= (size_t)index->dims[i];
    w.slice = w.size;
    for (int i = b + (int)index->dims[index->rank - 1]; i < x->rank; i++)
        w.slice *= (size_t)x->dims[i];
    w.batch_bytes = x->nbytes / batches;
    bnr__parallel_for(a->pool, batches * w.per_batch, (1 << 15) / w.slice + 1, move, &w);
    return BNR_OK;
}

BNR_DEFINE_OP(gather_nd) = {
    .domain = "",
    .name = "GatherND",
    .since = {11, 12, 13},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "batch_dims:i",
    .infer = infer,
    .ref = ref,
};
