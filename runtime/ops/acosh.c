// SPDX-License-Identifier: Apache-2.0
// Acosh.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(acosh, acosh(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(acosh)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(acosh) = {
    .name = "Acosh",
    .since = {9, 22},
    BNR_EACH_UNARY,
};
