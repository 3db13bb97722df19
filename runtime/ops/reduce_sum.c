// SPDX-License-Identifier: Apache-2.0
// ReduceSum: the sum over axes; 0 over an empty set.
#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(sum_f64, double, x, a + b)
BNR_REDUCE_LOOPS(sum_u64, uint64_t, x, a + b)

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH,
    .axes_input = 13,
    .start = BNR_START_ZERO,
    .f64 = {BNR_REDUCE(sum_f64)},
    .i64 = {BNR_REDUCE(sum_u64)},
    .u64 = {BNR_REDUCE(sum_u64)},
    .fast = BNR_FAST_SUM,
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_sum) = {
    .name = "ReduceSum",
    .since = {1, 11, 13},
    BNR_REDUCE_OP,
};
