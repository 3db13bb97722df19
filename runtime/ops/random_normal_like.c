// SPDX-License-Identifier: Apache-2.0
// RandomNormalLike: numbers from a normal distribution (mean, scale), in input 0's shape.
#include "runtime/ops/lib/random.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__random_run(a, BNR_NORMAL);
}

BNR_DEFINE_OP(random_normal_like) = {
    .domain = "",
    .name = "RandomNormalLike",
    .since = {1, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_RANDOM,
    .attrs = "dtype:i mean:f scale:f seed:f",
    .infer = bnr__random_infer,
    .ref = ref,
};
