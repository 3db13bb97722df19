// SPDX-License-Identifier: Apache-2.0
// InstanceNormalization (ai.onnx 1, 6, 22): scale * (x - mean) / sqrt(var + epsilon) + B, mean and
// (population) variance over the spatial dims of each instance's channel.
#include <math.h>

#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/moments.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    BNR_TRY(bnr__infer_tensors(cx, 0, 2, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    const struct bnr_dim channels = x->shape.rank >= 2 ? x->shape.dims[1] : bnr__dim_unknown();
    BNR_TRY(bnr__infer_length(cx, 1, channels));
    BNR_TRY(bnr__infer_length(cx, 2, channels));
    return bnr__infer_same(cx);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const double epsilon = (double)bnr__attr_float(a->node, "epsilon", 1e-5f);
    struct bnr_tensor *y;
    BNR_TRY(bnr__out_like(a, 0, x, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const size_t channels = (size_t)x->dims[1], inner = bnr__dims_product(x->dims, 2, x->rank);
    const double *scale = bnr__all_f64(a, a->in[1]), *bias = bnr__all_f64(a, a->in[2]);
    double *row = bnr__temp_f64(a, inner);
    if (!scale || !bias || !row)
        return BNR_NO_MEMORY;
    for (size_t p = 0; p < (size_t)x->dims[0] * channels; p++) {
        const size_t c = p % channels;
        bnr__load_f64(row, x->dtype, bnr__at(x, p * inner), inner);
        const struct bnr_moments m = bnr__moments(row, 1, 0, inner);
        const double s = scale[c] / sqrt(m.var + epsilon);
        for (size_t i = 0; i < inner; i++)
            row[i] = (row[i] - m.mean) * s + bias[c];
        bnr__store_f64(y->dtype, bnr__at_mut(y, p * inner), row, inner);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(instance_normalization) = {
    .domain = "",
    .name = "InstanceNormalization",
    .since = {1, 6, 22},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "consumed_inputs:I epsilon:f",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_instance_norm,
    .affine = &bnr__affine_instance_norm,
};
