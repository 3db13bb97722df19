// SPDX-License-Identifier: Apache-2.0
// Not: logical negation.
#include "runtime/ops/lib/typed.h"

BNR_LOOP1(not_b8, uint8_t, uint8_t, a == 0)

static const struct bnr_each each = {
    .types = BNR_TYPE(BOOL),
    .loop = {[BNR_CLASS_BOOL] = not_b8},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(not) = {
    .name = "Not",
    .since = {1},
    BNR_EACH_UNARY,
};
