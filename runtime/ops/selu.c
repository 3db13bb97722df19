// SPDX-License-Identifier: Apache-2.0
// Selu: y = gamma * (x > 0 ? x : alpha * (exp(x) - 1)).
#include <tgmath.h>

#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(selu, (T)p.gamma *(a > 0 ? a : (T)p.alpha * expm1(a)))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(selu)},
    .costly = true,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static float alpha_of(const struct bnr_node *n) {
    return bnr__attr_float(n, "alpha", n->since < 6 ? 1.6732f : 1.67326319f);
}

static float gamma_of(const struct bnr_node *n) {
    return bnr__attr_float(n, "gamma", n->since < 6 ? 1.0507f : 1.05070102f);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {
        .alpha = (double)alpha_of(a->node),
        .gamma = (double)gamma_of(a->node),
    };
    return bnr__each_run(a, &each, &p);
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    const double alpha = (double)alpha_of(n), gamma = (double)gamma_of(n);
    return bnr__steps_unary(s, BNR_ELTWISE_ELU, (float)(alpha * gamma), (float)gamma);
}

BNR_DEFINE_OP(selu) = {
    .name = "Selu",
    .since = {1, 6, 22},
    .attrs = "alpha:f gamma:f",
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
