// SPDX-License-Identifier: Apache-2.0
// Tanh.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(tanh, tanh(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(tanh)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(tanh) = {
    .name = "Tanh",
    .since = {1, 6, 13},
    BNR_EACH_UNARY,
};
