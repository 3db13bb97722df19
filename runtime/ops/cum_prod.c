// SPDX-License-Identifier: Apache-2.0
// CumProd: running products along an axis.
#include "runtime/ops/lib/cumulative.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__cumulative_run(a, true);
}

BNR_DEFINE_OP(cum_prod) = {
    .name = "CumProd",
    .since = {26},
    BNR_CUMULATIVE_OP,
    .ref = ref,
};
