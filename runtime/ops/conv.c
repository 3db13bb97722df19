// SPDX-License-Identifier: Apache-2.0
// Conv (ai.onnx 1, 11, 22): y = w * x + b over N-D windows, with groups, strides, dilations and
// padding.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_tensors(cx, 0, 2, BNR_TYPES_FLOAT));
    return bnr__conv_infer(cx, (struct bnr_conv_inputs){.x = 0, .w = 1, .b = 2},
                           bnr__infer_in_dtype(cx, 0));
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__conv_ref(a, false);
}

BNR_DEFINE_OP(conv) = {
    .domain = "",
    .name = "Conv",
    .since = {1, 11, 22},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_EPILOGUE | BNR_OP_PROLOGUE,
    .attrs = "auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_conv,
    .prepare = bnr__prepare_conv,
};
