// SPDX-License-Identifier: Apache-2.0
// Floor: the largest integer that is not larger.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(floor, floor(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(floor)},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(floor) = {
    .name = "Floor",
    .since = {1, 6, 13},
    BNR_EACH_UNARY,
};
