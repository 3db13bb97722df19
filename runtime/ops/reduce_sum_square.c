// SPDX-License-Identifier: Apache-2.0
// ReduceSumSquare: the sum of squares over axes.
#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(square_f64, double, x *x, a + b)
BNR_REDUCE_LOOPS(square_u64, uint64_t, x *x, a + b)

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH,
    .axes_input = 18,
    .start = BNR_START_ZERO,
    .f64 = {BNR_REDUCE(square_f64)},
    .i64 = {BNR_REDUCE(square_u64)},
    .u64 = {BNR_REDUCE(square_u64)},
    .fast = BNR_FAST_SUM_SQUARE,
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_sum_square) = {
    .name = "ReduceSumSquare",
    .since = {1, 11, 13, 18},
    BNR_REDUCE_OP,
};
