// SPDX-License-Identifier: Apache-2.0
// SequenceLength: the number of items, as a scalar.
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_type item;
    BNR_TRY(bnr__infer_items(cx, 0, &item));
    bnr__infer_set_dims(cx, 0, BNR_INT64, 0, NULL);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    BNR_TRY(bnr__args_sequence(a, 0));
    BNR_TRY(bnr__out_alloc(a, 0, BNR_INT64, 0, NULL));
    a->out[0]->i64[0] = (int64_t)a->in[0]->n_items;
    return BNR_OK;
}

BNR_DEFINE_OP(sequence_length) = {
    .domain = "",
    .name = "SequenceLength",
    .since = {11},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
};
