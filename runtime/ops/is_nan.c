// SPDX-License-Identifier: Apache-2.0
// IsNaN.
#include "runtime/ops/lib/typed.h"

BNR_LOOP1(is_nan_f32, uint8_t, float, a != a)
BNR_LOOP1(is_nan_f64, uint8_t, double, a != a)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT | BNR_TYPES_FLOAT8,
    .loop = {BNR_FLOATS(is_nan)},
    .predicate = true,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(is_nan) = {
    .name = "IsNaN",
    .since = {9, 13, 20},
    BNR_EACH_PREDICATE(1),
};
