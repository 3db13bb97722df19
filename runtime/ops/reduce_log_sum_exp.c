// SPDX-License-Identifier: Apache-2.0
// ReduceLogSumExp: log(sum(exp(x))) over axes, shifted by the largest element so that exp cannot
// overflow; minus infinity over an empty set.
#include <math.h>

#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(sum, double, exp(x - m[j]), a + b)
BNR_REDUCE_FINISH(logarithm, double, log(a) + m[j])

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH,
    .axes_input = 18,
    .start = BNR_START_ZERO,
    .shifted = true,
    .as_double = true,
    .f64 = {BNR_REDUCE(sum), .finish = logarithm},
    .fast = BNR_FAST_LOG_SUM_EXP,
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_log_sum_exp) = {
    .name = "ReduceLogSumExp",
    .since = {1, 11, 13, 18},
    BNR_REDUCE_OP,
};
