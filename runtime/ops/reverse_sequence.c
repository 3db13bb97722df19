// SPDX-License-Identifier: Apache-2.0
// ReverseSequence: for each entry of the batch axis, reverses the first sequence_lens[i] steps of
// the time axis and keeps the others. One of the axes is 0, the other 1.
#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype length_types[] = {BNR_INT64, BNR_UNDEFINED};

static enum bnr_status axes(const struct bnr_node *n, struct bnr_error *err, int *time,
                            int *batch) {
    const int64_t t = bnr__attr_int(n, "time_axis", 0), b = bnr__attr_int(n, "batch_axis", 1);
    if (t < 0 || t > 1 || b != 1 - t)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "time_axis is %lld and batch_axis %lld, expected 0 and 1", (long long)t,
                            (long long)b);
    *time = (int)t;
    *batch = (int)b;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    int time, batch;
    BNR_TRY(axes(cx->node, cx->err, &time, &batch));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    BNR_TRY(bnr__infer_dtype(cx, 1, length_types));
    BNR_TRY(bnr__infer_rank(cx, 1, 1, 1));
    return bnr__infer_same(cx);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *lens = a->in[1];
    int time = 0, batch = 1;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(axes(a->node, a->err, &time, &batch));
    if (lens->rank != 1 || lens->dims[0] != x->dims[batch])
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu sequence lengths for a batch of %lld",
                            lens->numel, (long long)x->dims[batch]);
    int64_t inner = 1, strides[BNR_MAX_RANK];
    for (int i = 2; i < x->rank; i++)
        inner *= x->dims[i];
    bnr__dense_strides(x->rank, x->dims, strides);
    const size_t size = bnr__dtype_size(x->dtype);
    for (int64_t b = 0; b < x->dims[batch]; b++) {
        const int64_t len = lens->i64[b], base = b * strides[batch], step = strides[time];
        if (len < 0 || len > x->dims[time])
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "sequence length %lld is outside [0, %lld]", (long long)len,
                                (long long)x->dims[time]);
        struct bnr_copy back = {.elem_size = size}, rest = {.elem_size = size};
        bnr__copy_dim(&back, len, step, -step);
        bnr__copy_dim(&back, inner, 1, 1);
        bnr__copy_dim(&rest, x->dims[time] - len, step, step);
        bnr__copy_dim(&rest, inner, 1, 1);
        if (x->numel == 0)
            continue;
        uint8_t *y = a->out[0]->u8 + (size_t)base * size;
        const uint8_t *from = x->u8 + (size_t)base * size;
        if (len > 0)
            bnr__copy_run(&back, y, from + (size_t)((len - 1) * step) * size, a->pool);
        if (len < x->dims[time])
            bnr__copy_run(&rest, y + (size_t)(len * step) * size,
                          from + (size_t)(len * step) * size, a->pool);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(reverse_sequence) = {
    .domain = "",
    .name = "ReverseSequence",
    .since = {10},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "batch_axis:i time_axis:i",
    .infer = infer,
    .ref = ref,
};
