// SPDX-License-Identifier: Apache-2.0
// Reciprocal: 1 / x.
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(reciprocal, 1 / a)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(reciprocal)},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(reciprocal) = {
    .name = "Reciprocal",
    .since = {1, 6, 13},
    BNR_EACH_UNARY,
};
