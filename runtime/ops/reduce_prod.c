// SPDX-License-Identifier: Apache-2.0
// ReduceProd: the product over axes; 1 over an empty set.
#include "runtime/ops/lib/reduce.h"

BNR_REDUCE_LOOPS(product_f64, double, x, a * b)
BNR_REDUCE_LOOPS(product_u64, uint64_t, x, a * b)

static const struct bnr_reduce reduce = {
    .types = BNR_TYPES_HIGH,
    .axes_input = 18,
    .start = BNR_START_ONE,
    .f64 = {BNR_REDUCE(product_f64)},
    .i64 = {BNR_REDUCE(product_u64)},
    .u64 = {BNR_REDUCE(product_u64)},
};
BNR_REDUCE_FUNCTIONS(reduce)

BNR_DEFINE_OP(reduce_prod) = {
    .name = "ReduceProd",
    .since = {1, 11, 13, 18},
    BNR_REDUCE_OP,
};
