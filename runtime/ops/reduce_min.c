// SPDX-License-Identifier: Apache-2.0
// ReduceMin: the smallest element over axes; NaN where there is one; over an empty set
// infinity or the highest number of the dtype.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(smallest_f64, double, x, a < b || a != a ? a : b)
BNR_REDUCE_LOOPS(smallest_i64, int64_t, x, a < b ? a : b)
BNR_REDUCE_LOOPS(smallest_u64, uint64_t, x, a < b ? a : b)

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH | BNR_TYPE(UINT8) | BNR_TYPE(INT8) | BNR_TYPE(BOOL),
    .axes_input = 18,
    .start = BNR_START_HIGHEST,
    .f64 = {BNR_REDUCE(smallest_f64)},
    .i64 = {BNR_REDUCE(smallest_i64)},
    .u64 = {BNR_REDUCE(smallest_u64)},
    .fast = BNR_FAST_MIN,
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_min) = {
    .name = "ReduceMin",
    .since = {1, 11, 12, 13, 18, 20},
    BNR_REDUCE_OP,
    .affine = &bnr__affine_reduce_max,
};
