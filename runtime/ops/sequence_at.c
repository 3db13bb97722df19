// SPDX-License-Identifier: Apache-2.0
// SequenceAt: the item at a position, which may count from the end.
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_type item;
    BNR_TRY(bnr__infer_items(cx, 0, &item));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_INDEX));
    cx->out[0]->type = item;
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    int64_t at;
    BNR_TRY(bnr__args_sequence(a, 0));
    BNR_TRY(bnr__args_scalar(a, 1, 0, &at));
    BNR_TRY(bnr__resolve_index(a, 1, at, (int64_t)a->in[0]->n_items, &at));
    return bnr__out_keep(a, 0, a->in[0]->items[at]);
}

BNR_DEFINE_OP(sequence_at) = {
    .domain = "",
    .name = "SequenceAt",
    .since = {11},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
};
