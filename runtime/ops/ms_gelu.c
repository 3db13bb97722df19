// SPDX-License-Identifier: Apache-2.0
// Gelu (com.microsoft): by erf.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    out[0] = OP1("Gelu", in[0]);
}

BNR_DEFINE_OP(ms_gelu) = {
    BNR_SPELLED("Gelu"),
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
};
