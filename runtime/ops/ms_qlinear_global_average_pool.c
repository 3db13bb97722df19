// SPDX-License-Identifier: Apache-2.0
// QLinearGlobalAveragePool (com.microsoft): of a quantized tensor, channels at axis 1 or last.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    out[0] = bnr__spell_qlinear_pool(b, n, in, "GlobalAveragePool");
}

BNR_DEFINE_OP(ms_qlinear_global_average_pool) = {
    BNR_SPELLED("QLinearGlobalAveragePool"),
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = "channels_last:i",
};
