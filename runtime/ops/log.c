// SPDX-License-Identifier: Apache-2.0
// Log: the natural logarithm; NaN below zero, -inf at zero.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(log, log(a))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(log)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(log) = {
    .name = "Log",
    .since = {1, 6, 13},
    BNR_EACH_UNARY,
};
