// SPDX-License-Identifier: Apache-2.0
// Sqrt: NaN below zero.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(sqrt, sqrt(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(sqrt)},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(sqrt) = {
    .name = "Sqrt",
    .since = {1, 6, 13},
    BNR_EACH_UNARY,
};
