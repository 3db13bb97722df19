// SPDX-License-Identifier: Apache-2.0
// Trilu (com.microsoft): as the standard operator, which came later.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_node *y = bnr__build_node(b, "Trilu", n->n_in, in, 1);
    bnr__build_copy_attrs(b, y, n);
    out[0] = y ? y->out[0] : NULL;
}

BNR_DEFINE_OP(ms_trilu) = {
    BNR_SPELLED("Trilu"),
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "upper:i",
};
