// SPDX-License-Identifier: Apache-2.0
// SwiGLU (ai.onnx 28): a * sigmoid(alpha * a) * b for two tensors of the same shape.
#include <math.h>

#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *a = bnr__infer_in(cx, 0), *b = bnr__infer_in(cx, 1);
    BNR_TRY(bnr__infer_tensors(cx, 0, 1, BNR_TYPES_FLOAT));
    if (a->shape.rank >= 0) {
        BNR_TRY(bnr__infer_rank(cx, 1, a->shape.rank, a->shape.rank));
        for (int i = 0; i < a->shape.rank && b->shape.rank >= 0; i++)
            BNR_TRY(bnr__infer_dims_agree(cx, "shapes of A and B", a->shape.dims[i],
                                          b->shape.dims[i], NULL));
    }
    return bnr__infer_same(cx);
}

static enum bnr_status ref(const struct bnr_args *args) {
    const struct bnr_tensor *x = args->in[0];
    const double alpha = (double)bnr__attr_float(args->node, "alpha", 1);
    struct bnr_tensor *y;
    BNR_TRY(bnr__out_like(args, 0, x, &y));
    const double *a = bnr__all_f64(args, x), *b = bnr__all_f64(args, args->in[1]);
    double *v = bnr__temp_f64(args, x->numel);
    if (!a || !b || !v)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < x->numel; i++)
        v[i] = a[i] / (1 + exp(-alpha * a[i])) * b[i];
    if (y)
        bnr__store_f64(y->dtype, y->data, v, y->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(swiglu) = {
    .domain = "",
    .name = "SwiGLU",
    .since = {28},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_INPLACE,
    .attrs = "alpha:f",
    .infer = infer,
    .ref = ref,
};
