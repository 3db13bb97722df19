// SPDX-License-Identifier: Apache-2.0
// SequenceInsert: the sequence with one more item at a position; without position at the end.
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_type item;
    BNR_TRY(bnr__infer_items(cx, 0, &item));
    BNR_TRY(bnr__infer_types(cx, 2, BNR_TYPES_INDEX));
    if (!bnr__type_merge(cx->arena, &item, &cx->in[1]->type, NULL))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "input 1 has another type than the sequence");
    return bnr__infer_container(cx, 0, BNR_KIND_SEQUENCE, &item);
}

static enum bnr_status insert(const struct bnr_args *a, size_t at, struct bnr_tensor *y) {
    const struct bnr_tensor *x = a->in[0];
    for (size_t i = 0; i < at; i++)
        BNR_TRY(bnr__tensor_push(y, x->items[i], a->err));
    BNR_TRY(bnr__push_keep(y, a->in[1], a->err));
    for (size_t i = at; i < x->n_items; i++)
        BNR_TRY(bnr__tensor_push(y, x->items[i], a->err));
    return bnr__out_share(a, 0, y);
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_tensor *y;
    int64_t at;
    BNR_TRY(bnr__args_sequence(a, 0));
    const int64_t n = (int64_t)a->in[0]->n_items;
    BNR_TRY(bnr__args_scalar(a, 2, n, &at));
    if (at < -n || at > n)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "position %lld is outside [%lld, %lld]",
                            (long long)at, (long long)-n, (long long)n);
    BNR_TRY(
        bnr__tensor_new_kind(&y, a->out[0]->allocator, BNR_KIND_SEQUENCE, a->in[1]->dtype, a->err));
    const enum bnr_status st = insert(a, (size_t)(at < 0 ? at + n : at), y);
    bnr__tensor_unref(y);
    return st;
}

BNR_DEFINE_OP(sequence_insert) = {
    .domain = "",
    .name = "SequenceInsert",
    .since = {11},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
};
