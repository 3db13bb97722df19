// SPDX-License-Identifier: Apache-2.0
// FusedConv (com.microsoft): activation(Conv(X, W, B) + Z).
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    size_t count;
    const float *given = bnr__attr_floats(n, "activation_params", &count);
    float p[3] = {0};
    for (size_t i = 0; i < count && i < 3; i++)
        p[i] = given[i];
    struct bnr_node *conv = bnr__build_node(b, "Conv", n->n_in < 3 ? 2 : 3, in, 1);
    bnr__build_copy_attrs(b, conv, n);
    if (!conv)
        return;
    bnr__node_remove_attr(conv, "activation");
    bnr__node_remove_attr(conv, "activation_params");
    struct bnr_value *sum = bnr__spell_add(b, conv->out[0], bnr__spell_in(n, in, 3));
    out[0] = bnr__spell_activation(b, n, sum, in[0], p);
}

BNR_DEFINE_OP(ms_fused_conv) = {
    BNR_SPELLED("FusedConv"),
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = "activation:s activation_params:F auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I",
};
