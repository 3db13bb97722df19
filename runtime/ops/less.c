// SPDX-License-Identifier: Apache-2.0
// Less: A < B, broadcast; false where one is NaN.
#include "runtime/ops/lib/typed.h"

BNR_LOOP2(less_f32, uint8_t, float, a < b)
BNR_LOOP2(less_f64, uint8_t, double, a < b)
BNR_LOOP2(less_i64, uint8_t, int64_t, a < b)
BNR_LOOP2(less_u64, uint8_t, uint64_t, a < b)

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(less), BNR_INTS(less)},
    .predicate = true,
    .legacy = 7,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(less) = {
    .name = "Less",
    .since = {1, 7, 9, 13},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_PREDICATE(2),
};
