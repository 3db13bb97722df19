// SPDX-License-Identifier: Apache-2.0
// RandomUniformLike: numbers from the interval from low to high, in input 0's shape.
#include "runtime/ops/lib/random.h"

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__random_run(a, BNR_UNIFORM);
}

BNR_DEFINE_OP(random_uniform_like) = {
    .domain = "",
    .name = "RandomUniformLike",
    .since = {1, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_RANDOM,
    .attrs = "dtype:i high:f low:f seed:f",
    .infer = bnr__random_infer,
    .ref = ref,
};
