// SPDX-License-Identifier: Apache-2.0
// CumProd: running products along an axis.
#include "runtime/ops/lib/cumulative.h"

static double combine_f64(double a, double b) {
    return a * b;
}

static int64_t combine_i64(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static enum bnr_status ref(const struct bnr_args *a) {
    static const struct bnr_cumulative op = {.start = 1, .f64 = combine_f64, .i64 = combine_i64};
    return bnr__cumulative_run(a, &op);
}

BNR_DEFINE_OP(cum_prod) = {
    .name = "CumProd",
    .since = {26},
    BNR_CUMULATIVE_OP,
    .ref = ref,
};
