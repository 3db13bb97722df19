// SPDX-License-Identifier: Apache-2.0
// SequenceErase: the sequence without the item at a position; without position without the last.
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_type item;
    BNR_TRY(bnr__infer_items(cx, 0, &item));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_INDEX));
    return bnr__infer_container(cx, 0, BNR_KIND_SEQUENCE, &item);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_tensor *y;
    int64_t at;
    BNR_TRY(bnr__args_sequence(a, 0));
    BNR_TRY(bnr__args_scalar(a, 1, -1, &at));
    BNR_TRY(bnr__resolve_index(a, 1, at, (int64_t)x->n_items, &at));
    BNR_TRY(bnr__tensor_new_kind(&y, a->out[0]->allocator, BNR_KIND_SEQUENCE, x->dtype, a->err));
    enum bnr_status st = BNR_OK;
    for (size_t i = 0; st == BNR_OK && i < x->n_items; i++)
        if (i != (size_t)at)
            st = bnr__tensor_push(y, x->items[i], a->err);
    if (st == BNR_OK)
        st = bnr__out_share(a, 0, y);
    bnr__tensor_unref(y);
    return st;
}

BNR_DEFINE_OP(sequence_erase) = {
    .domain = "",
    .name = "SequenceErase",
    .since = {11},
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
};
