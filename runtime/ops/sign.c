// SPDX-License-Identifier: Apache-2.0
// Sign: -1, 0 or 1; NaN stays NaN.
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(sign, a > 0 ? 1 : a < 0 ? -1 : a)
BNR_LOOP1(sign_i64, int64_t, int64_t, (a > 0) - (a < 0))
BNR_LOOP1(sign_u64, uint64_t, uint64_t, a > 0)

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(sign), BNR_INTS(sign)},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(sign) = {
    .name = "Sign",
    .since = {9, 13},
    BNR_EACH_UNARY,
};
