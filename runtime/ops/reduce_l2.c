// SPDX-License-Identifier: Apache-2.0
// ReduceL2: the root of the sum of squares over axes; truncated for integers.
#include <math.h>

#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(square, double, x *x, a + b)
BNR_REDUCE_FINISH(root, double, sqrt(a))

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH,
    .axes_input = 18,
    .start = BNR_START_ZERO,
    .as_double = true,
    .f64 = {BNR_REDUCE(square), .finish = root},
    .fast = BNR_FAST_L2,
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_l2) = {
    .name = "ReduceL2",
    .since = {1, 11, 13, 18},
    BNR_REDUCE_OP,
};
