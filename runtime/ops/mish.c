// SPDX-License-Identifier: Apache-2.0
// Mish: y = x * tanh(softplus(x)), with softplus as in softplus.c.
#include <tgmath.h>

#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(mish, a *tanh(a > 0 ? a + log1p(exp(-a)) : log1p(exp(a))))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(mish)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_unary(s, BNR_ELTWISE_MISH, 0, 0);
}

BNR_DEFINE_OP(mish) = {
    .name = "Mish",
    .since = {18, 22},
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
