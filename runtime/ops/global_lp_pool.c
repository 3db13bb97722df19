// SPDX-License-Identifier: Apache-2.0
// GlobalLpPool (ai.onnx 1, 2, 22): the p-norm of each channel.
#include "runtime/ops/lib/lp_norm.h"
#include "runtime/ops/lib/pooling.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__lp_check(cx->node, cx->err));
    return bnr__pooling_global_infer(cx);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const double power = bnr__lp_attr(a->node);
    struct bnr_pooling p;
    BNR_TRY(bnr__pooling_global_begin(a, &p));
    if (!p.y)
        return BNR_OK;
    for (size_t plane = 0; plane < p.planes; plane++) {
        double sum = 0;
        for (size_t i = 0; i < p.in; i++)
            sum += bnr__lp_power(p.x[plane * p.in + i], power);
        p.y[plane] = bnr__lp_root(sum, power);
    }
    bnr__pooling_end(&p);
    return BNR_OK;
}

BNR_DEFINE_OP(global_lp_pool) = {
    .domain = "",
    .name = "GlobalLpPool",
    .since = {1, 2, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "p:if",
    .infer = infer,
    .ref = ref,
};
