// SPDX-License-Identifier: Apache-2.0
// Or: logical, broadcast.
#include "runtime/ops/lib/typed.h"

BNR_LOOP2(or_b8, uint8_t, uint8_t, (a != 0) | (b != 0))

static const struct bnr_each each = {
    .types = BNR_TYPE(BOOL),
    .loop = {[BNR_CLASS_BOOL] = or_b8},
    .legacy = 7,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(or) = {
    .name = "Or",
    .since = {1, 7},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_BINARY,
};
