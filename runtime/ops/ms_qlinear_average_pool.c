// SPDX-License-Identifier: Apache-2.0
// QLinearAveragePool (com.microsoft): of a quantized tensor, channels at axis 1 or last.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    out[0] = bnr__spell_qlinear_pool(b, n, in, "AveragePool");
}

BNR_DEFINE_OP(ms_qlinear_average_pool) = {
    BNR_SPELLED("QLinearAveragePool"),
    .min_in = 4,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = "auto_pad:s ceil_mode:i channels_last:i count_include_pad:i kernel_shape:I! pads:I "
             "strides:I",
};
