// SPDX-License-Identifier: Apache-2.0
// RandomNormal: numbers from a normal distribution (mean, scale), in the given shape.
#include "runtime/ops/lib/random.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__random_run(a, BNR_NORMAL);
}

BNR_DEFINE_OP(random_normal) = {
    .domain = "",
    .name = "RandomNormal",
    .since = {1, 22},
    .min_in = 0,
    .max_in = 0,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_RANDOM,
    .attrs = "dtype:i mean:f scale:f seed:f shape:I!",
    .infer = bnr__random_infer,
    .ref = ref,
};
