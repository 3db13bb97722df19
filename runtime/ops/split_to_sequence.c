// SPDX-License-Identifier: Apache-2.0
// SplitToSequence: parts along an axis, of the listed sizes, of one size (the last may be smaller),
// or of size 1, which keepdims = 0 then removes.
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_type item = cx->in[0]->type;
    struct bnr_ints split;
    int axis;
    BNR_TRY(bnr__infer_int_list(cx, 1, NULL, &split));
    if (item.shape.rank >= 0) {
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), item.shape.rank, &axis));
        item.shape.dims[axis] = split.given ? bnr__dim_unknown() : bnr__dim_of(1);
        if (!split.given && bnr__attr_int(cx->node, "keepdims", 1) == 0) {
            for (int i = axis; i + 1 < item.shape.rank; i++)
                item.shape.dims[i] = item.shape.dims[i + 1];
            item.shape.rank--;
        }
    }
    return bnr__infer_container(cx, 0, BNR_KIND_SEQUENCE, &item);
}

// Part [begin, begin + n) along the axis.
static enum bnr_status add_part(const struct bnr_args *a, struct bnr_tensor *y, int axis,
                                int64_t begin, int64_t n, bool drop_axis) {
    const struct bnr_tensor *x = a->in[0];
    int64_t dims[BNR_MAX_RANK], xs[BNR_MAX_RANK], ts[BNR_MAX_RANK];
    struct bnr_copy c = {.elem_size = bnr__dtype_size(x->dtype)};
    struct bnr_tensor *t;
    int rank = 0;
    bnr__dense_strides(x->rank, x->dims, xs);
    for (int i = 0; i < x->rank; i++)
        if (i != axis || !drop_axis)
            dims[rank++] = i == axis ? n : x->dims[i];
    BNR_TRY(bnr__tensor_new(&t, y->allocator, x->dtype, rank, dims, a->err));
    bnr__dense_strides(rank, dims, ts);
    for (int i = 0, d = 0; i < x->rank; i++) {
        if (i == axis && drop_axis)
            continue;
        bnr__copy_dim(&c, dims[d], ts[d], xs[i]);
        d++;
    }
    if (t->numel > 0)
        bnr__copy_run(&c, t->data, x->u8 + (size_t)(begin * xs[axis]) * c.elem_size, a->pool);
    const enum bnr_status st = bnr__tensor_push(y, t, a->err);
    bnr__tensor_unref(t);
    return st;
}

static enum bnr_status split_all(const struct bnr_args *a, struct bnr_tensor *y) {
    const struct bnr_tensor *x = a->in[0];
    const bool drop = (a->n_in < 2 || !a->in[1]) && bnr__attr_int(a->node, "keepdims", 1) == 0;
    struct bnr_ints split;
    int axis = 0;
    BNR_TRY(bnr__args_int_list(a, 1, NULL, &split));
    BNR_TRY(bnr__resolve_axis(a->node, a->err, bnr__attr_int(a->node, "axis", 0), x->rank, &axis));
    const int64_t total = x->dims[axis];
    const bool listed = split.given && a->in[1]->rank == 1;
    const int64_t each = split.given && !listed ? split.v[0] : 1;
    int64_t begin = 0;
    if (each <= 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "parts of size %lld", (long long)each);
    for (int i = 0; listed ? i < split.n : begin < total; i++) {
        const int64_t left = total - begin, n = listed ? split.v[i] : left < each ? left : each;
        if (n < 0 || n > left)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "part %d has size %lld, of %lld that are left", i, (long long)n,
                                (long long)left);
        BNR_TRY(add_part(a, y, axis, begin, n, drop));
        begin += n;
    }
    if (begin != total)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "the parts sum up to %lld, the dim is %lld",
                            (long long)begin, (long long)total);
    return bnr__out_share(a, 0, y);
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_tensor *y;
    BNR_TRY(
        bnr__tensor_new_kind(&y, a->out[0]->allocator, BNR_KIND_SEQUENCE, a->in[0]->dtype, a->err));
    const enum bnr_status st = split_all(a, y);
    bnr__tensor_unref(y);
    return st;
}

BNR_DEFINE_OP(split_to_sequence) = {
    .domain = "",
    .name = "SplitToSequence",
    .since = {11, 24},
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i keepdims:i",
    .infer = infer,
    .ref = ref,
};
