// SPDX-License-Identifier: Apache-2.0
// CumSum: running sums along an axis.
#include "runtime/ops/lib/cumulative.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__cumulative_run(a, false);
}

BNR_DEFINE_OP(cum_sum) = {
    .name = "CumSum",
    .since = {11, 14},
    BNR_CUMULATIVE_OP,
    .ref = ref,
};
