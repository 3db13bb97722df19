// SPDX-License-Identifier: Apache-2.0
// Ceil: the smallest integer that is not smaller.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(ceil, ceil(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(ceil)},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(ceil) = {
    .name = "Ceil",
    .since = {1, 6, 13},
    BNR_EACH_UNARY,
};
