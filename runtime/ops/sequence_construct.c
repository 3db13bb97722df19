// SPDX-License-Identifier: Apache-2.0
// SequenceConstruct: the inputs as a sequence.
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_type item = {.shape = bnr__shape_unknown()};
    for (int i = 0; i < cx->n_in; i++) {
        if (!cx->in[i])
            return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "input %d is left out", i);
        if (i == 0)
            item = cx->in[0]->type;
        if (!bnr__type_merge(cx->arena, &item, &cx->in[i]->type, NULL))
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "input %d has another type than the inputs before", i);
    }
    return bnr__infer_container(cx, 0, BNR_KIND_SEQUENCE, &item);
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_tensor *y;
    BNR_TRY(
        bnr__tensor_new_kind(&y, a->out[0]->allocator, BNR_KIND_SEQUENCE, a->in[0]->dtype, a->err));
    enum bnr_status st = BNR_OK;
    for (int i = 0; st == BNR_OK && i < a->n_in; i++)
        st = bnr__push_keep(y, a->in[i], a->err);
    if (st == BNR_OK)
        st = bnr__out_share(a, 0, y);
    bnr__tensor_unref(y);
    return st;
}

BNR_DEFINE_OP(sequence_construct) = {
    .domain = "",
    .name = "SequenceConstruct",
    .since = {11},
    .min_in = 1,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
};
