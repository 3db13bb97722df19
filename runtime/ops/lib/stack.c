// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/stack.h"

#include <string.h>

#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/types.h"

// The output's dims: `dims` with one of size n put in at the axis.
static enum bnr_status allocate(const struct bnr_args *a, const struct bnr_stack *s,
                                enum bnr_dtype dtype, int rank, const int64_t *dims, int64_t n) {
    int64_t all[BNR_MAX_RANK];
    int axis = 0;
    if (rank >= BNR_MAX_RANK)
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "output %d would have rank %d",
                            s->out, rank + 1);
    BNR_TRY(bnr__resolve_axis(a->node, a->err, s->axis, rank + 1, &axis));
    for (int i = 0; i <= rank; i++)
        all[i] = i == axis ? n : dims[i - (i > axis)];
    return bnr__out_alloc(a, s->out, dtype, rank + 1, all);
}

static void place(const struct bnr_args *a, const struct bnr_stack *s, const struct bnr_tensor *t,
                  int64_t at) {
    const struct bnr_tensor *y = a->out[s->out];
    const int axis = (int)(s->axis < 0 ? s->axis + y->rank : s->axis);
    struct bnr_copy c = {.elem_size = bnr__dtype_size(t->dtype)};
    int64_t ts[BNR_MAX_RANK], ys[BNR_MAX_RANK];
    bnr__dense_strides(t->rank, t->dims, ts);
    bnr__dense_strides(y->rank, y->dims, ys);
    for (int i = 0; i < t->rank; i++)
        bnr__copy_dim(&c, t->dims[i], ys[i + (i >= axis)], ts[i]);
    at = s->backwards ? y->dims[axis] - 1 - at : at;
    bnr__copy_run(&c, y->u8 + (size_t)(at * ys[axis]) * c.elem_size, t->data, a->pool);
}

static enum bnr_status check_same(const struct bnr_args *a, const struct bnr_stack *s,
                                  const struct bnr_tensor *t) {
    const struct bnr_tensor *y = a->out[s->out], *first = s->held ? s->held->items[0] : NULL;
    const int axis = (int)(s->axis < 0 ? s->axis + t->rank + 1 : s->axis);
    bool same = first ? first->dtype == t->dtype && first->rank == t->rank
                      : y->dtype == t->dtype && y->rank == t->rank + 1;
    for (int i = 0; same && i < t->rank; i++)
        same = t->dims[i] == (first ? first->dims[i] : y->dims[i + (i >= axis)]);
    if (same)
        return BNR_OK;
    char now[160], before[160];
    return bnr__op_fail(a->node, a->err, BNR_SHAPE, "output %d changes from %s to %s in round %lld",
                        s->out, bnr__tensor_describe(first ? first : y, before, sizeof before),
                        bnr__tensor_describe(t, now, sizeof now), (long long)s->n);
}

enum bnr_status bnr__stack_add(const struct bnr_args *a, struct bnr_stack *s,
                               const struct bnr_tensor *t) {
    if (s->out >= a->n_out || !a->out[s->out])
        return BNR_OK;
    if (t->kind != BNR_KIND_TENSOR)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "output %d collects something that is no tensor", s->out);
    if (s->n > 0)
        BNR_TRY(check_same(a, s, t));
    else if (s->count >= 0)
        BNR_TRY(allocate(a, s, t->dtype, t->rank, t->dims, s->count));
    else
        BNR_TRY(bnr__tensor_new_kind(&s->held, a->out[s->out]->allocator, BNR_KIND_SEQUENCE,
                                     t->dtype, a->err));
    if (s->held)
        BNR_TRY(bnr__push_keep(s->held, t, a->err));
    else
        place(a, s, t, s->n);
    s->n++;
    return BNR_OK;
}

enum bnr_status bnr__stack_finish(const struct bnr_args *a, struct bnr_stack *s,
                                  const struct bnr_type *item) {
    if (s->out >= a->n_out || !a->out[s->out])
        return BNR_OK;
    if (s->held) {
        const struct bnr_tensor *first = s->held->items[0];
        BNR_TRY(allocate(a, s, first->dtype, first->rank, first->dims, s->n));
        for (int64_t i = 0; i < s->n; i++)
            place(a, s, s->held->items[i], i);
    } else if (s->n == 0) {
        int64_t dims[BNR_MAX_RANK];
        const int rank = item->shape.rank < 0 ? 0 : item->shape.rank;
        for (int i = 0; i < rank; i++)
            dims[i] = item->shape.dims[i].n < 0 ? 0 : item->shape.dims[i].n;
        if (item->kind != BNR_KIND_TENSOR || item->dtype == BNR_UNDEFINED)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "output %d has no rounds to tell its dtype", s->out);
        BNR_TRY(allocate(a, s, item->dtype, rank, dims, 0));
    }
    return BNR_OK;
}

void bnr__stack_free(struct bnr_stack *s) {
    bnr__tensor_unref(s->held);
    s->held = NULL;
}

enum bnr_status bnr__stack_type(struct bnr_infer *cx, int out, const struct bnr_type *item,
                                int64_t axis, struct bnr_dim n) {
    struct bnr_shape y = bnr__shape_unknown();
    int at;
    if (item->kind != BNR_KIND_TENSOR)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "output %d collects something that is no tensor", out);
    if (item->shape.rank >= BNR_MAX_RANK)
        return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED, "output %d would have rank %d", out,
                            item->shape.rank + 1);
    if (item->shape.rank >= 0) {
        y.rank = item->shape.rank + 1;
        BNR_TRY(bnr__infer_axis(cx, axis, y.rank, &at));
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = i == at ? n : item->shape.dims[i - (i > at)];
    }
    bnr__infer_set(cx, out, item->dtype, &y);
    return BNR_OK;
}
