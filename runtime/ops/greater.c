// SPDX-License-Identifier: Apache-2.0
// Greater: A > B, broadcast; false where one is NaN.
#include "runtime/ops/lib/typed.h"

BNR_LOOP2(greater_f32, uint8_t, float, a > b)
BNR_LOOP2(greater_f64, uint8_t, double, a > b)
BNR_LOOP2(greater_i64, uint8_t, int64_t, a > b)
BNR_LOOP2(greater_u64, uint8_t, uint64_t, a > b)

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(greater), BNR_INTS(greater)},
    .predicate = true,
    .legacy = 7,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(greater) = {
    .name = "Greater",
    .since = {1, 7, 9, 13},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_PREDICATE(2),
};
