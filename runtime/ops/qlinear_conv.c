// SPDX-License-Identifier: Apache-2.0
// QLinearConv (ai.onnx 10): the exact integer convolution (bias in units of x_scale * w_scale),
// times x_scale * w_scale / y_scale, rounded, plus y_zero_point, saturated.
#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/quantize.h"

static const struct bnr_quant_conv inputs = {.x = 0, .x_zero = 2, .w = 3, .w_zero = 5, .bias = 8};

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *w = bnr__infer_in(cx, 3);
    static const int scales[] = {1, 4, 6};
    for (size_t i = 0; i < BNR_COUNT(scales); i++)
        BNR_TRY(bnr__infer_types(cx, scales[i], BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, 7, BNR_TYPES_8BIT));
    BNR_TRY(bnr__infer_types(cx, 8, BNR_TYPE(INT32)));
    BNR_TRY(bnr__quant_count_infer(cx, 1, bnr__dim_of(1)));
    BNR_TRY(
        bnr__quant_count_infer(cx, 4, w->shape.rank > 0 ? w->shape.dims[0] : bnr__dim_unknown()));
    BNR_TRY(bnr__quant_count_infer(cx, 6, bnr__dim_of(1)));
    BNR_TRY(bnr__quant_count_infer(cx, 7, bnr__dim_of(1)));
    return bnr__quant_conv_infer(cx, inputs, bnr__infer_in_dtype(cx, 7));
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *xs = a->in[1], *ws = a->in[4], *ys = a->in[6], *yz = a->in[7];
    struct bnr_conv c;
    struct bnr_tensor *y;
    int64_t dims[BNR_MAX_RANK];
    BNR_TRY(bnr__conv_of(a->node, a->in[0], a->in[3], false, &c, a->err));
    BNR_TRY(bnr__out(a, 0, yz->dtype, bnr__conv_out_dims(&c, dims), dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    double *v = bnr__quant_conv(a, inputs, &c);
    if (!v)
        return BNR_NO_MEMORY;
    const size_t plane = (size_t)bnr__window_out_numel(&c.window),
                 channels = (size_t)c.out_channels;
    const double zero = bnr__tensor_f64(yz, 0);
    for (size_t p = 0; p < (size_t)c.batch * channels; p++) {
        double factor =
            bnr__tensor_f64(xs, 0) * bnr__tensor_f64(ws, ws->numel == 1 ? 0 : p % channels);
        bnr__round_to(xs->dtype, &factor, 1);
        factor /= bnr__tensor_f64(ys, 0);
        bnr__round_to(xs->dtype, &factor, 1);
        for (size_t i = p * plane; i < (p + 1) * plane; i++) {
            v[i] *= factor;
            bnr__quant_store(y->dtype, y->u8 + i, v + i, &zero, 1, true);
        }
    }
    return BNR_OK;
}

static enum bnr_status prepare(struct bnr_prepare *cx) {
    return bnr__prepare_quant_conv(cx, inputs);
}

BNR_DEFINE_OP(qlinear_conv) = {
    .domain = "",
    .name = "QLinearConv",
    .since = {10},
    .min_in = 8,
    .max_in = 9,
    .min_out = 1,
    .max_out = 1,
    .attrs = "auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
};
