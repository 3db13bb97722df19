// SPDX-License-Identifier: Apache-2.0
// BitwiseNot: every bit flipped.
#include "runtime/ops/lib/typed.h"

BNR_LOOP1(flip_u64, uint64_t, uint64_t, ~a)

static const struct bnr_each each = {
    .types = BNR_TYPES_INT,
    .loop = {[BNR_CLASS_INT] = flip_u64, [BNR_CLASS_UINT] = flip_u64},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(bitwise_not) = {
    .name = "BitwiseNot",
    .since = {18},
    BNR_EACH_UNARY,
};
