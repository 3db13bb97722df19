// SPDX-License-Identifier: Apache-2.0
// Max: the largest of any number of inputs, broadcast; NaN where one is NaN.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP2(max, a > b || a != a ? a : b)
BNR_INT_LOOP2(max, a > b ? a : b)

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(max), BNR_INTS(max)},
    .legacy = 8,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__each_fold(a, &each, NULL, NULL);
}

BNR_DEFINE_OP(max) = {
    .name = "Max",
    .since = {1, 6, 8, 12, 13},
    BNR_EACH_VARIADIC,
    .affine = &bnr__affine_max,
};
