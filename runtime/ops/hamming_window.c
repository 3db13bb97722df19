// SPDX-License-Identifier: Apache-2.0
// HammingWindow (ai.onnx 17): 25/46 - 21/46 cos(phase).
#include "runtime/ops/lib/window_function.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__window_function_ref(a, (const double[]){25.0 / 46, -21.0 / 46, 0});
}

BNR_DEFINE_OP(hamming_window) = {
    .domain = "",
    .name = "HammingWindow",
    .since = {17},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "output_datatype:i periodic:i",
    .infer = bnr__window_function_infer,
    .ref = ref,
};
