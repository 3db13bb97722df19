// SPDX-License-Identifier: Apache-2.0
// Cosh.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(cosh, cosh(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(cosh)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(cosh) = {
    .name = "Cosh",
    .since = {9, 22},
    BNR_EACH_UNARY,
};
