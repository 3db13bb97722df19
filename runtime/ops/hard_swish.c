// SPDX-License-Identifier: Apache-2.0
// HardSwish: y = x * max(0, min(1, x / 6 + 0.5)).
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

#define RAMP(v) ((v) < 0 ? 0 : (v) > 1 ? 1 : (v))
BNR_FLOAT_LOOP1(hard_swish, a * RAMP(a * (T)(1.0 / 6) + (T)0.5))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(hard_swish)},
};
BNR_EACH_FUNCTIONS(each)

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_unary(s, BNR_ELTWISE_HARD_SWISH, 1.0f / 6, 0.5f);
}

BNR_DEFINE_OP(hard_swish) = {
    .name = "HardSwish",
    .since = {14, 22},
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
