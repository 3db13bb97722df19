// SPDX-License-Identifier: Apache-2.0
// Softsign: y = x / (1 + |x|).
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(softsign, a / (1 + fabs(a)))

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(softsign)},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(softsign) = {
    .name = "Softsign",
    .since = {1, 22},
    BNR_EACH_UNARY,
};
