// SPDX-License-Identifier: Apache-2.0
// Shape: the dims of the input, or from opset 15 those in [start, end).
#include "runtime/ops/lib/shape.h"

// start and end in [0, rank], start <= end.
static void span(const struct bnr_node *n, int rank, int *start, int *end) {
    int64_t at[2] = {bnr__attr_int(n, "start", 0), bnr__attr_int(n, "end", rank)};
    if (n->since < 15) {
        at[0] = 0;
        at[1] = rank;
    }
    for (int i = 0; i < 2; i++) {
        at[i] = at[i] < 0 ? at[i] + rank : at[i];
        at[i] = at[i] < 0 ? 0 : at[i] > rank ? rank : at[i];
    }
    *start = (int)at[0];
    *end = (int)(at[1] < at[0] ? at[0] : at[1]);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    if (x->rank < 0) {
        struct bnr_shape y = {.rank = 1, .dims = {bnr__dim_unknown()}};
        bnr__infer_set(cx, 0, BNR_INT64, &y);
        return BNR_OK;
    }
    struct bnr_dim elems[BNR_MAX_RANK];
    int start, end;
    span(cx->node, x->rank, &start, &end);
    for (int i = start; i < end; i++)
        elems[i - start] = bnr__elem_of_dim(x->dims[i]);
    return bnr__infer_vector(cx, 0, BNR_INT64, elems, end - start);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    int start, end;
    span(a->node, x->rank, &start, &end);
    BNR_TRY(bnr__out_alloc(a, 0, BNR_INT64, 1, (const int64_t[]){end - start}));
    for (int i = start; i < end; i++)
        a->out[0]->i64[i - start] = x->dims[i];
    return BNR_OK;
}

BNR_DEFINE_OP(shape) = {
    .domain = "",
    .name = "Shape",
    .since = {1, 13, 15, 19, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "start:i end:i",
    .infer = infer,
    .ref = ref,
};
