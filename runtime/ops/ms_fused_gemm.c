// SPDX-License-Identifier: Apache-2.0
// FusedGemm (com.microsoft): activation(Gemm(A, B, C)).
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    const float p[3] = {bnr__attr_float(n, "activation_alpha", 0.01f),
                        bnr__attr_float(n, "activation_beta", 0),
                        bnr__attr_float(n, "activation_gamma", 0)};
    struct bnr_node *gemm = bnr__build_node(b, "Gemm", n->n_in, in, 1);
    bnr__build_copy_attrs(b, gemm, n);
    if (!gemm)
        return;
    static const char *const own[] = {"activation", "activation_alpha", "activation_beta",
                                      "activation_gamma"};
    for (size_t i = 0; i < BNR_COUNT(own); i++)
        bnr__node_remove_attr(gemm, own[i]);
    out[0] = bnr__spell_activation(b, n, gemm->out[0], in[0], p);
}

BNR_DEFINE_OP(ms_fused_gemm) = {
    BNR_SPELLED("FusedGemm"),
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "activation:s activation_alpha:f activation_beta:f activation_gamma:f alpha:f beta:f "
             "transA:i transB:i",
};
