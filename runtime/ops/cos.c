// SPDX-License-Identifier: Apache-2.0
// Cos.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(cos, cos(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(cos)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(cos) = {
    .name = "Cos",
    .since = {7, 22},
    BNR_EACH_UNARY,
};
