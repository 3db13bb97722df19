// SPDX-License-Identifier: Apache-2.0
// ConvInteger (ai.onnx 10): the convolution of x - x_zero_point with w - w_zero_point as int32
// (modulo 2^32). Padding is x_zero_point.
#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/quantize.h"

static const struct bnr_quant_conv inputs = {.x = 0, .w = 1, .x_zero = 2, .w_zero = 3, .bias = -1};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__quant_conv_infer(cx, inputs, BNR_INT32);
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_conv c;
    struct bnr_tensor *y;
    int64_t dims[BNR_MAX_RANK];
    BNR_TRY(bnr__conv_of(a->node, a->in[0], a->in[1], false, &c, a->err));
    BNR_TRY(bnr__out(a, 0, BNR_INT32, bnr__conv_out_dims(&c, dims), dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const double *v = bnr__quant_conv(a, inputs, &c);
    if (!v)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < y->numel; i++) {
        const int64_t whole = (int64_t)v[i];
        bnr__store_i64(BNR_INT32, y->i32 + i, &whole, 1);
    }
    return BNR_OK;
}

static enum bnr_status prepare(struct bnr_prepare *cx) {
    return bnr__prepare_quant_conv(cx, inputs);
}

BNR_DEFINE_OP(conv_integer) = {
    .domain = "",
    .name = "ConvInteger",
    .since = {10},
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = "auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
};
