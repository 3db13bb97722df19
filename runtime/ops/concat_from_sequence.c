// SPDX-License-Identifier: Apache-2.0
// ConcatFromSequence: the items joined along an axis, or stacked along a new one.
#include "runtime/base/checked.h"
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/stack.h"
#include "runtime/ops/lib/types.h"

// What Concat and stacking make of one more item; y->rank < 0 before the first.
static enum bnr_status join(const struct bnr_node *n, struct bnr_error *err,
                            const struct bnr_tensor *t, struct bnr_tensor *y, int *axis) {
    const bool stack = bnr__attr_int(n, "new_axis", 0) != 0;
    const int rank = t->rank + stack;
    if (t->kind != BNR_KIND_TENSOR || rank > BNR_MAX_RANK)
        return bnr__op_fail(n, err, BNR_SHAPE, "an item is no tensor, or has rank %d", t->rank);
    const bool first = y->rank < 0;
    if (first) {
        BNR_TRY(bnr__resolve_axis(n, err, bnr__attr_int(n, "axis", 0), rank, axis));
        y->dtype = t->dtype;
        y->rank = rank;
    }
    bool fits = t->dtype == y->dtype && rank == y->rank;
    for (int i = 0; fits && i < rank; i++) {
        const int64_t dim = stack ? (i == *axis ? 1 : t->dims[i - (i > *axis)]) : t->dims[i];
        if (first)
            y->dims[i] = dim;
        else if (i == *axis)
            fits = bnr__i64_add(y->dims[i], dim, &y->dims[i]);
        else
            fits = dim == y->dims[i];
    }
    return fits ? BNR_OK : bnr__op_fail(n, err, BNR_SHAPE, "the items differ in dtype or dims");
}

static enum bnr_status join_all(const struct bnr_node *n, struct bnr_error *err,
                                const struct bnr_tensor *x, struct bnr_tensor *y, int *axis) {
    *y = (struct bnr_tensor){.rank = -1};
    if (x->n_items == 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "the sequence is empty");
    for (size_t i = 0; i < x->n_items; i++)
        BNR_TRY(join(n, err, x->items[i], y, axis));
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_tensor *x = cx->in[0]->tensor;
    struct bnr_type item;
    struct bnr_tensor y;
    int axis = 0;
    BNR_TRY(bnr__infer_items(cx, 0, &item));
    if (x && x->kind == BNR_KIND_SEQUENCE) {
        BNR_TRY(join_all(cx->node, cx->err, x, &y, &axis));
        bnr__infer_set_dims(cx, 0, y.dtype, y.rank, y.dims);
        return BNR_OK;
    }
    if (bnr__attr_int(cx->node, "new_axis", 0) != 0)
        return bnr__stack_type(cx, 0, &item, bnr__attr_int(cx->node, "axis", 0),
                               bnr__dim_unknown());
    if (item.shape.rank >= 0) {
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), item.shape.rank, &axis));
        item.shape.dims[axis] = bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, item.dtype, &item.shape);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_tensor all;
    int axis = 0;
    int64_t ts[BNR_MAX_RANK], ys[BNR_MAX_RANK], at = 0;
    BNR_TRY(bnr__args_sequence(a, 0));
    BNR_TRY(join_all(a->node, a->err, x, &all, &axis));
    BNR_TRY(bnr__out_alloc(a, 0, all.dtype, all.rank, all.dims));
    const struct bnr_tensor *y = a->out[0];
    bnr__dense_strides(y->rank, y->dims, ys);
    for (size_t i = 0; i < x->n_items && y->numel > 0; i++) {
        const struct bnr_tensor *t = x->items[i];
        const bool stack = t->rank < y->rank;
        struct bnr_copy c = {.elem_size = bnr__dtype_size(y->dtype)};
        bnr__dense_strides(t->rank, t->dims, ts);
        for (int d = 0; d < t->rank; d++)
            bnr__copy_dim(&c, t->dims[d], ys[d + (stack && d >= axis)], ts[d]);
        if (t->numel > 0)
            bnr__copy_run(&c, y->u8 + (size_t)(at * ys[axis]) * c.elem_size, t->data, a->pool);
        at += stack ? 1 : t->dims[axis];
    }
    return BNR_OK;
}

BNR_DEFINE_OP(concat_from_sequence) = {
    .domain = "",
    .name = "ConcatFromSequence",
    .since = {11},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .attrs = "axis:i! new_axis:i",
    .infer = infer,
    .ref = ref,
};
