// SPDX-License-Identifier: Apache-2.0
// Compress: the slices along one axis (without axis: the elements of the flattened input) where the
// condition is true. What lies behind the end of the condition is dropped.
#include <string.h>

#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype condition_types[] = {BNR_BOOL, BNR_UNDEFINED};

static int64_t count_true(const struct bnr_tensor *t) {
    int64_t n = 0;
    for (size_t i = 0; i < t->numel; i++)
        n += t->u8[i] != 0;
    return n;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = cx->in[0]->type.shape;
    const struct bnr_tensor *condition = cx->in[1]->tensor;
    int axis = 0;
    BNR_TRY(bnr__infer_dtype(cx, 1, condition_types));
    BNR_TRY(bnr__infer_rank(cx, 1, 1, 1));
    if (!bnr__attr(cx->node, "axis"))
        y.rank = 1;
    else if (y.rank >= 0)
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), y.rank, &axis));
    if (y.rank >= 0)
        y.dims[axis] = condition ? bnr__dim_of(count_true(condition)) : bnr__dim_unknown();
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *condition = a->in[1];
    size_t outer = 1, n = x->numel, run = bnr__dtype_size(x->dtype);
    int axis = 0;
    BNR_TRY(bnr__out_infer(a, infer));
    if (bnr__attr(a->node, "axis")) {
        BNR_TRY(
            bnr__resolve_axis(a->node, a->err, bnr__attr_int(a->node, "axis", 0), x->rank, &axis));
        n = (size_t)x->dims[axis];
        for (int i = 0; i < axis; i++)
            outer *= (size_t)x->dims[i];
        for (int i = axis + 1; i < x->rank; i++)
            run *= (size_t)x->dims[i];
    }
    for (size_t k = n; k < condition->numel; k++)
        if (condition->u8[k])
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "condition %zu is true, but there are %zu slices", k, n);
    const struct bnr_tensor *y = a->out[0];
    if (y->dims[axis] != count_true(condition))
        return bnr__op_fail(a->node, a->err, BNR_INTERNAL,
                            "%lld slices were planned, the condition picks %lld",
                            (long long)y->dims[axis], (long long)count_true(condition));
    uint8_t *to = y->data;
    if (y->numel == 0)
        return BNR_OK;
    for (size_t i = 0; i < outer; i++) {
        for (size_t k = 0; k < condition->numel; k++) {
            if (!condition->u8[k])
                continue;
            memcpy(to, x->u8 + (i * n + k) * run, run);
            to += run;
        }
    }
    return BNR_OK;
}

BNR_DEFINE_OP(compress) = {
    .domain = "",
    .name = "Compress",
    .since = {9, 11},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = infer,
    .ref = ref,
};
