// SPDX-License-Identifier: Apache-2.0
// CastLike: input 0 in the dtype of input 1.
#include "runtime/ops/lib/cast.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__cast_infer(cx, cx->in[1]->type.dtype);
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__cast_run(a, a->in[1]->dtype);
}

BNR_DEFINE_OP(cast_like) = {
    .domain = "",
    .name = "CastLike",
    .since = {15, 19, 21, 23, 24, 25},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "round_mode:s saturate:i",
    .infer = infer,
    .ref = ref,
};
