// SPDX-License-Identifier: Apache-2.0
// Atan.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(atan, atan(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(atan)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(atan) = {
    .name = "Atan",
    .since = {7, 22},
    BNR_EACH_UNARY,
};
