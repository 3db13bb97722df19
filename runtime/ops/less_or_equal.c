// SPDX-License-Identifier: Apache-2.0
// LessOrEqual: A <= B, broadcast; false where one is NaN.
#include "runtime/ops/lib/typed.h"

BNR_LOOP2(less_or_equal_f32, uint8_t, float, a <= b)
BNR_LOOP2(less_or_equal_f64, uint8_t, double, a <= b)
BNR_LOOP2(less_or_equal_i64, uint8_t, int64_t, a <= b)
BNR_LOOP2(less_or_equal_u64, uint8_t, uint64_t, a <= b)

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(less_or_equal), BNR_INTS(less_or_equal)},
    .predicate = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(less_or_equal) = {
    .name = "LessOrEqual",
    .since = {12, 16},
    BNR_EACH_PREDICATE(2),
};
