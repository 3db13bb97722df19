// SPDX-License-Identifier: Apache-2.0
// ReduceL1: the sum of absolute values over axes.
#include <math.h>

#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(l1_f64, double, fabs(x), a + b)
BNR_REDUCE_LOOPS(l1_i64, int64_t, x < 0 ? 0 - (uint64_t)x : (uint64_t)x, (uint64_t)a + (uint64_t)b)
BNR_REDUCE_LOOPS(l1_u64, uint64_t, x, a + b)

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH,
    .axes_input = 18,
    .start = BNR_START_ZERO,
    .f64 = {BNR_REDUCE(l1_f64)},
    .i64 = {BNR_REDUCE(l1_i64)},
    .u64 = {BNR_REDUCE(l1_u64)},
    .fast = BNR_FAST_L1,
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_l1) = {
    .name = "ReduceL1",
    .since = {1, 11, 13, 18},
    BNR_REDUCE_OP,
};
