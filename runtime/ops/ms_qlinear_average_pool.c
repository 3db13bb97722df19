// SPDX-License-Identifier: Apache-2.0
// QLinearAveragePool (com.microsoft): of a quantized tensor, channels at axis 1 or last.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *x = bnr__spell_dequantized(b, n, in, 0);
    const bool last = bnr__attr_int(n, "channels_last", 0) != 0;
    const int rank = last ? bnr__build_rank(b, in[0]) : 0;
    if (last)
        x = bnr__spell_channels(b, x, rank, true);
    struct bnr_node *pool = bnr__build_node(b, "AveragePool", 1, &x, 1);
    bnr__build_copy_attrs(b, pool, n);
    if (!pool)
        return;
    bnr__node_remove_attr(pool, "channels_last");
    x = last ? bnr__spell_channels(b, pool->out[0], rank, false) : pool->out[0];
    out[0] = bnr__spell_quantized(b, n, in, 3, x, in[0]);
}

BNR_DEFINE_OP(ms_qlinear_average_pool) = {
    BNR_SPELLED("QLinearAveragePool"),
    .min_in = 4,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = "auto_pad:s ceil_mode:i channels_last:i count_include_pad:i kernel_shape:I! pads:I strides:I",
};
