// SPDX-License-Identifier: Apache-2.0
// Sin.
#include <tgmath.h>

#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(sin, sin(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(sin)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_unary(s, BNR_ELTWISE_SIN, 0, 0);
}

BNR_DEFINE_OP(sin) = {
    .name = "Sin",
    .since = {7, 22},
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
