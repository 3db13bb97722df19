// SPDX-License-Identifier: Apache-2.0
// LeakyRelu: y = x < 0 ? alpha * x : x.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(leaky_relu, a < 0 ? (T)p.alpha * a : a)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(leaky_relu)},
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {
        .alpha = (double)bnr__attr_float(a->node, "alpha", 0.01f),
    };
    return bnr__each_run(a, &each, &p);
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_unary(s, BNR_ELTWISE_LEAKY_RELU, bnr__attr_float(n, "alpha", 0.01f), 0);
}

BNR_DEFINE_OP(leaky_relu) = {
    .name = "LeakyRelu",
    .since = {1, 6, 16},
    .attrs = "alpha:f",
    BNR_EACH_UNARY,
    .affine = &bnr__affine_homogeneous,
    .step = step,
    .prepare = bnr__prepare_steps,
};
