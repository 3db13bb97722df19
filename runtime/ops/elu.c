// SPDX-License-Identifier: Apache-2.0
// Elu: y = x < 0 ? alpha * (exp(x) - 1) : x.
#include <tgmath.h>

#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(elu, a < 0 ? (T)p.alpha * expm1(a) : a)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(elu)},
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
    return bnr__steps_unary(s, BNR_ELTWISE_ELU, bnr__attr_float(n, "alpha", 1.0f), 1);
}

BNR_DEFINE_OP(elu) = {
    .name = "Elu",
    .since = {1, 6, 22},
    .attrs = "alpha:f",
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
