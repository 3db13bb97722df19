// SPDX-License-Identifier: Apache-2.0
// Neg: -x; integers wrap.
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(neg, -a)
BNR_LOOP1(neg_u64, uint64_t, uint64_t, 0 - a)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT | BNR_TYPES_SIGNED,
    .loop = {BNR_FLOATS(neg), [BNR_CLASS_INT] = neg_u64},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(neg) = {
    .name = "Neg",
    .since = {1, 6, 13},
    BNR_EACH_UNARY,
};
