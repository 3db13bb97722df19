// SPDX-License-Identifier: Apache-2.0
// Relu: y = max(0, x); NaN stays NaN.
#include <math.h>

#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(relu, a < 0 ? 0 : a)
BNR_LOOP1(relu_i64, int64_t, int64_t, a < 0 ? 0 : a)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT | BNR_TYPES_SIGNED,
    .loop = {BNR_FLOATS(relu), [BNR_CLASS_INT] = relu_i64},
};
BNR_EACH_FUNCTIONS(each)

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_unary(s, BNR_ELTWISE_CLAMP, 0, INFINITY);
}

BNR_DEFINE_OP(relu) = {
    .name = "Relu",
    .since = {1, 6, 13, 14},
    BNR_EACH_UNARY,
    .affine = &bnr__affine_homogeneous,
    .step = step,
    .prepare = bnr__prepare_steps,
};
