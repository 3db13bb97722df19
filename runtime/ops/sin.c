// SPDX-License-Identifier: Apache-2.0
// Sin.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(sin, sin(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(sin)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(sin) = {
    .name = "Sin",
    .since = {7, 22},
    BNR_EACH_UNARY,
};
