// SPDX-License-Identifier: Apache-2.0
// ImageScaler (experimental in ai.onnx 1): scale * x + bias, a bias for each channel of [N, C, H, W].
#include <string.h>

#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    size_t count;
    const float *bias = bnr__attr_floats(n, "bias", &count);
    struct bnr_value *x = OP2("Mul", in[0], bnr__build_scalar(b, in[0], (double)bnr__attr_float(n, "scale", 1)));
    struct bnr_tensor *t;
    out[0] = x;
    if (count == 0 || b->status != BNR_OK)
        return;
    const int64_t dims[] = {(int64_t)count, 1, 1};
    b->status = bnr__tensor_new(&t, b->graph->model->allocator, BNR_FLOAT, 3, dims, b->err);
    if (b->status != BNR_OK)
        return;
    memcpy(t->f32, bias, count * sizeof(*bias));
    out[0] = OP2("Add", x, OP2("CastLike", bnr__build_constant(b, t), in[0]));
}

BNR_DEFINE_OP(old_image_scaler) = {
    BNR_SPELLED_OLD("ImageScaler"),
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "bias:F scale:f",
};
