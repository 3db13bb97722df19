// SPDX-License-Identifier: Apache-2.0
// Gelu: y = x / 2 * (1 + erf(x / sqrt(2))), or with tanh instead of erf. 1 + erf(v) is erfc(-v),
// which keeps its digits where the two cancel.
#include <string.h>
#include <tgmath.h>

#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

#define SQRT_HALF 0.70710678118654752440      // sqrt(1 / 2)
#define SQRT_2_OVER_PI 0.79788456080286535588 // sqrt(2 / pi)

BNR_FLOAT_LOOP1(exact, (T)0.5 * a * erfc(-a * (T)SQRT_HALF))
BNR_FLOAT_LOOP1(fast, (T)0.5 * a * (1 + tanh((T)SQRT_2_OVER_PI * (a + (T)0.044715 * a * a * a))))

static const struct bnr_each by_erf = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(exact)},
    .costly = true,
};
static const struct bnr_each by_tanh = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(fast)},
    .costly = true,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    const char *how = bnr__attr_string(cx->node, "approximate", "none");
    if (strcmp(how, "none") != 0 && strcmp(how, "tanh") != 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "attribute 'approximate' is \"%s\", expected \"none\" or \"tanh\"",
                            how);
    return bnr__each_infer(cx, &by_erf);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const bool tanh_wanted = strcmp(bnr__attr_string(a->node, "approximate", "none"), "tanh") == 0;
    return bnr__each_run(a, tanh_wanted ? &by_tanh : &by_erf, NULL);
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    const bool tanh_wanted = strcmp(bnr__attr_string(n, "approximate", "none"), "tanh") == 0;
    return bnr__steps_unary(s, tanh_wanted ? BNR_ELTWISE_GELU_TANH : BNR_ELTWISE_GELU, 0, 0);
}

BNR_DEFINE_OP(gelu) = {
    .name = "Gelu",
    .since = {20},
    .attrs = "approximate:s",
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
