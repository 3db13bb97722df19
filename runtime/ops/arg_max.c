// SPDX-License-Identifier: Apache-2.0
// ArgMax: where the largest element along an axis is.
#include "runtime/ops/lib/arg_reduce.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__arg_run(a, true);
}

BNR_DEFINE_OP(arg_max) = {
    .name = "ArgMax",
    .since = {1, 11, 12, 13},
    BNR_ARG_OP,
    .infer = bnr__arg_infer,
    .ref = ref,
};
