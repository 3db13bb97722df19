// SPDX-License-Identifier: Apache-2.0
// QuickGelu (com.microsoft): x * sigmoid(alpha * x).
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    const float alpha = bnr__attr_float(n, "alpha", 1.702f);
    out[0] = bnr__build_float(b, OP1("Swish", in[0]), "alpha", alpha);
}

BNR_DEFINE_OP(ms_quick_gelu) = {
    BNR_SPELLED("QuickGelu"),
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "alpha:f",
};
