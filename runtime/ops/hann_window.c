// SPDX-License-Identifier: Apache-2.0
// HannWindow (ai.onnx 17): 0.5 - 0.5 cos(phase) (= sin^2 of half the phase).
#include "runtime/ops/lib/window_function.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__window_function_ref(a, (const double[]){0.5, -0.5, 0});
}

BNR_DEFINE_OP(hann_window) = {
    .domain = "",
    .name = "HannWindow",
    .since = {17},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "output_datatype:i periodic:i",
    .infer = bnr__window_function_infer,
    .ref = ref,
};
