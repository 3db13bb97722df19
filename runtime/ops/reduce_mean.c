// SPDX-License-Identifier: Apache-2.0
// ReduceMean: the mean over axes; integers are truncated. Over an empty set NaN, or 0 for integers.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(sum_f64, double, x, a + b)
BNR_REDUCE_LOOPS(sum_u64, uint64_t, x, a + b)
BNR_REDUCE_FINISH(divide_f64, double, a / (double)count)
BNR_REDUCE_FINISH(divide_i64, int64_t, count == 0 ? 0 : a / (int64_t)count)
BNR_REDUCE_FINISH(divide_u64, uint64_t, count == 0 ? 0 : a / count)

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH,
    .axes_input = 18,
    .start = BNR_START_ZERO,
    .f64 = {BNR_REDUCE(sum_f64), .finish = divide_f64},
    .i64 = {BNR_REDUCE(sum_u64), .finish = divide_i64},
    .u64 = {BNR_REDUCE(sum_u64), .finish = divide_u64},
    .fast = BNR_FAST_MEAN,
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_mean) = {
    .name = "ReduceMean",
    .since = {1, 11, 13, 18},
    BNR_REDUCE_OP,
    .affine = &bnr__affine_reduce_mean,
};
