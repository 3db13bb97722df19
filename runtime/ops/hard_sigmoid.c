// SPDX-License-Identifier: Apache-2.0
// HardSigmoid: y = max(0, min(1, alpha * x + beta)).
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

#define RAMP(v) ((v) < 0 ? 0 : (v) > 1 ? 1 : (v))
BNR_FLOAT_LOOP1(hard_sigmoid, RAMP((T)p.alpha * a + (T)p.beta))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(hard_sigmoid)},
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {
        .alpha = (double)bnr__attr_float(a->node, "alpha", 0.2f),
        .beta = (double)bnr__attr_float(a->node, "beta", 0.5f),
    };
    return bnr__each_run(a, &each, &p);
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_unary(s, BNR_ELTWISE_HARD_SIGMOID, bnr__attr_float(n, "alpha", 0.2f),
                            bnr__attr_float(n, "beta", 0.5f));
}

BNR_DEFINE_OP(hard_sigmoid) = {
    .name = "HardSigmoid",
    .since = {1, 6, 22},
    .attrs = "alpha:f beta:f",
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
