// SPDX-License-Identifier: Apache-2.0
// GroupNormalization (ai.onnx 18, 21): scale * (x - mean) / sqrt(var + epsilon) + bias, mean and
// (population) variance over each group of channels of an instance. scale and bias have one element
// per group in version 18, per channel from 21 on.
#include <math.h>

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/moments.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    const int64_t groups = bnr__attr_int(cx->node, "num_groups", 0);
    BNR_TRY(bnr__infer_tensors(cx, 0, 2, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    const struct bnr_dim channels = x->shape.rank >= 2 ? x->shape.dims[1] : bnr__dim_unknown();
    if (groups < 1 || (channels.n >= 0 && channels.n % groups != 0))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "%lld channels do not divide into %lld groups", (long long)channels.n,
                            (long long)groups);
    const struct bnr_dim parameters = cx->node->since < 21 ? bnr__dim_of(groups) : channels;
    BNR_TRY(bnr__infer_length(cx, 1, parameters));
    BNR_TRY(bnr__infer_length(cx, 2, parameters));
    return bnr__infer_same(cx);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const double epsilon = (double)bnr__attr_float(a->node, "epsilon", 1e-5f);
    struct bnr_tensor *y;
    BNR_TRY(bnr__out_like(a, 0, x, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const size_t groups = (size_t)bnr__attr_int(a->node, "num_groups", 1);
    const size_t per_group = (size_t)x->dims[1] / groups,
                 inner = bnr__dims_product(x->dims, 2, x->rank);
    const size_t n = per_group * inner;
    const double *scale = bnr__all_f64(a, a->in[1]), *bias = bnr__all_f64(a, a->in[2]);
    double *row = bnr__temp_f64(a, n);
    if (!scale || !bias || !row)
        return BNR_NO_MEMORY;
    for (size_t p = 0; p < (size_t)x->dims[0] * groups; p++) {
        const size_t g = p % groups;
        bnr__load_f64(row, x->dtype, bnr__at(x, p * n), n);
        const struct bnr_moments m = bnr__moments(row, 1, 0, n);
        const double r = 1 / sqrt(m.var + epsilon);
        for (size_t i = 0; i < n; i++) {
            const size_t c = a->node->since < 21 ? g : g * per_group + i / inner;
            row[i] = (row[i] - m.mean) * r * scale[c] + bias[c];
        }
        bnr__store_f64(y->dtype, bnr__at_mut(y, p * n), row, n);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(group_normalization) = {
    .domain = "",
    .name = "GroupNormalization",
    .since = {18, 21},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "epsilon:f num_groups:i! stash_type:i",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_group_norm,
};
