// SPDX-License-Identifier: Apache-2.0
// Tile: repeats the input along each axis. Opset 1 repeats along one axis, which is an input.
#include "runtime/base/checked.h"
#include "runtime/ops/lib/shape.h"

// How often each axis is repeated.
static enum bnr_status repeats(const struct bnr_node *n, struct bnr_error *err, int rank,
                               const struct bnr_ints *list, const struct bnr_ints *axis,
                               int64_t *times) {
    if (n->since >= 6 ? list->n != rank : list->n != 1 || axis->n != 1)
        return bnr__op_fail(n, err, BNR_SHAPE, "%d repeats for an input of rank %d", list->n, rank);
    int at = 0;
    if (n->since < 6)
        BNR_TRY(bnr__resolve_axis(n, err, axis->v[0], rank, &at));
    for (int i = 0; i < rank; i++)
        times[i] = n->since >= 6 ? list->v[i] : i == at ? list->v[0] : 1;
    for (int i = 0; i < rank; i++)
        if (times[i] < 0)
            return bnr__op_fail(n, err, BNR_SHAPE, "axis %d is to be repeated %lld times", i,
                                (long long)times[i]);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = cx->in[0]->type.shape;
    struct bnr_ints list, axis;
    int64_t times[BNR_MAX_RANK];
    BNR_TRY(bnr__infer_int_list(cx, 1, NULL, &list));
    BNR_TRY(bnr__infer_int_list(cx, 2, NULL, &axis));
    const bool known = list.known && (cx->node->since >= 6 || axis.known);
    if (y.rank < 0 && cx->node->since >= 6 && list.n >= 0 && list.n <= BNR_MAX_RANK) {
        y.rank = list.n;
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    if (y.rank >= 0 && known)
        BNR_TRY(repeats(cx->node, cx->err, y.rank, &list, &axis, times));
    for (int i = 0; i < y.rank; i++) {
        if (!known || (y.dims[i].n < 0 && times[i] != 1))
            y.dims[i] = known && times[i] == 0 ? bnr__dim_of(0) : bnr__dim_unknown();
        else if (y.dims[i].n >= 0 && !bnr__i64_mul(y.dims[i].n, times[i], &y.dims[i].n))
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%lld repeats of dim %d overflow",
                                (long long)times[i], i);
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_ints list, axis;
    int64_t times[BNR_MAX_RANK], dims[BNR_MAX_RANK], xs[BNR_MAX_RANK], ys[BNR_MAX_RANK];
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(bnr__args_int_list(a, 1, NULL, &list));
    BNR_TRY(bnr__args_int_list(a, 2, NULL, &axis));
    BNR_TRY(repeats(a->node, a->err, x->rank, &list, &axis, times));
    for (int i = 0; i < x->rank; i++)
        if (!bnr__i64_mul(x->dims[i], times[i], &dims[i]))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "dim %d overflows", i);
    BNR_TRY(bnr__out_expect(a, 0, x->rank, dims));
    if (a->out[0]->numel == 0)
        return BNR_OK;
    bnr__dense_strides(x->rank, x->dims, xs);
    bnr__dense_strides(x->rank, dims, ys);
    struct bnr_copy c = {.elem_size = bnr__dtype_size(x->dtype)};
    for (int i = 0; i < x->rank; i++) {
        bnr__copy_dim(&c, times[i], ys[i] * x->dims[i], 0);
        bnr__copy_dim(&c, x->dims[i], ys[i], xs[i]);
    }
    bnr__copy_run(&c, a->out[0]->data, x->data, a->pool);
    return BNR_OK;
}

BNR_DEFINE_OP(tile) = {
    .domain = "",
    .name = "Tile",
    .since = {1, 6, 13},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
};
