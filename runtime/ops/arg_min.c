// SPDX-License-Identifier: Apache-2.0
// ArgMin: where the smallest element along an axis is.
#include "runtime/ops/lib/arg_reduce.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__arg_run(a, false);
}

BNR_DEFINE_OP(arg_min) = {
    .name = "ArgMin",
    .since = {1, 11, 12, 13},
    BNR_ARG_OP,
    .infer = bnr__arg_infer,
    .ref = ref,
};
