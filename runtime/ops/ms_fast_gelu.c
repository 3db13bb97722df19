// SPDX-License-Identifier: Apache-2.0
// FastGelu (com.microsoft): Gelu(X + bias) by tanh.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *x = bnr__spell_add(b, in[0], bnr__spell_in(n, in, 1));
    out[0] = bnr__build_string(b, OP1("Gelu", x), "approximate", "tanh");
}

BNR_DEFINE_OP(ms_fast_gelu) = {
    BNR_SPELLED("FastGelu"),
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
};
