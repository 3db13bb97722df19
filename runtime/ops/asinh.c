// SPDX-License-Identifier: Apache-2.0
// Asinh.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(asinh, asinh(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(asinh)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(asinh) = {
    .name = "Asinh",
    .since = {9, 22},
    BNR_EACH_UNARY,
};
