// SPDX-License-Identifier: Apache-2.0
// NhwcMaxPool (com.microsoft): MaxPool of int8 or uint8 with the channels last.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    size_t spatial;
    bnr__attr_ints(n, "kernel_shape", &spatial);
    const int rank = spatial + 2 > BNR_MAX_RANK ? BNR_MAX_RANK : (int)spatial + 2;
    struct bnr_value *x = bnr__spell_channels(b, in[0], rank, true);
    struct bnr_node *pool = bnr__build_node(b, "MaxPool", 1, &x, 1);
    bnr__build_copy_attrs(b, pool, n);
    if (pool)
        out[0] = bnr__spell_channels(b, pool->out[0], rank, false);
}

BNR_DEFINE_OP(ms_nhwc_max_pool) = {
    BNR_SPELLED("NhwcMaxPool"),
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "auto_pad:s ceil_mode:i dilations:I kernel_shape:I! pads:I strides:I",
};
