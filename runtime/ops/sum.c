// SPDX-License-Identifier: Apache-2.0
// Sum: of any number of inputs, broadcast. Narrow floats are rounded once.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP2(sum, a + b)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(sum)},
    .legacy = 8,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__each_fold(a, &each, NULL, NULL);
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_binary(s, n, BNR_ELTWISE_ADD, BNR_ELTWISE_ADD); // of two inputs only
}

BNR_DEFINE_OP(sum) = {
    .name = "Sum",
    .since = {1, 6, 8, 13},
    BNR_EACH_VARIADIC,
    .affine = &bnr__affine_add,
    .step = step,
    .prepare = bnr__prepare_steps,
};
