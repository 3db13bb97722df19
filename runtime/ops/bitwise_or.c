// SPDX-License-Identifier: Apache-2.0
// BitwiseOr: bit by bit, broadcast.
#include "runtime/ops/lib/typed.h"

BNR_LOOP2(bitwise_or_u64, uint64_t, uint64_t, a | b)

static const struct bnr_each each = {
    .types = BNR_TYPES_INT,
    .loop = {[BNR_CLASS_INT] = bitwise_or_u64, [BNR_CLASS_UINT] = bitwise_or_u64},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(bitwise_or) = {
    .name = "BitwiseOr",
    .since = {18},
    BNR_EACH_BINARY,
};
