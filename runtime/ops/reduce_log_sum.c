// SPDX-License-Identifier: Apache-2.0
// ReduceLogSum: the logarithm of the sum over axes; minus infinity over an empty set.
#include <math.h>

#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(sum, double, x, a + b)
BNR_REDUCE_FINISH(logarithm, double, log(a))

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH,
    .axes_input = 18,
    .start = BNR_START_ZERO,
    .as_double = true,
    .f64 = {BNR_REDUCE(sum), .finish = logarithm},
    .fast = BNR_FAST_LOG_SUM,
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_log_sum) = {
    .name = "ReduceLogSum",
    .since = {1, 11, 13, 18},
    BNR_REDUCE_OP,
};
