// SPDX-License-Identifier: Apache-2.0
// Celu: y = max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).
#include <tgmath.h>

#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(celu, (a < 0 ? 0 : a) + fmin((T)0, (T)p.alpha *expm1(a / (T)p.alpha)))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(celu)},
    .costly = true,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {
        .alpha = (double)bnr__attr_float(a->node, "alpha", 1.0f),
    };
    return bnr__each_run(a, &each, &p);
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    const float alpha = bnr__attr_float(n, "alpha", 1.0f);
    return alpha > 0 && bnr__steps_unary(s, BNR_ELTWISE_CELU, alpha, 0);
}

BNR_DEFINE_OP(celu) = {
    .name = "Celu",
    .since = {12, 28},
    .attrs = "alpha:f",
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
