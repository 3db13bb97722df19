// SPDX-License-Identifier: Apache-2.0
// Split: cuts a tensor along one axis into the listed sizes (attribute below opset 13, input in 1
// and from 13), or into equal parts, of which the last is smaller where opset 18 allows it.
#include "runtime/base/checked.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare_channels.h"
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/strided.h"

static int parts(const struct bnr_node *n, int n_out) {
    return n->since >= 18 ? (int)bnr__attr_int(n, "num_outputs", n_out) : n_out;
}

// The sizes of the outputs for a dim of size `total`.
static enum bnr_status equal_sizes(const struct bnr_node *n, struct bnr_error *err, int64_t total,
                                   int n_out, int64_t *sizes) {
    if (n->since < 18 && total % n_out != 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "a dim of %lld cannot be split into %d equal parts",
                            (long long)total, n_out);
    const int64_t each = (total + n_out - 1) / n_out;
    for (int i = 0; i < n_out; i++) {
        sizes[i] = total < each ? total : each;
        total -= sizes[i];
    }
    return BNR_OK;
}

static enum bnr_status listed_sizes(const struct bnr_node *n, struct bnr_error *err, int64_t total,
                                    const struct bnr_ints *list, int64_t *sizes) {
    int64_t sum = 0;
    for (int i = 0; i < list->n; i++) {
        if (list->v[i] < 0 || !bnr__i64_add(sum, list->v[i], &sum))
            return bnr__op_fail(n, err, BNR_SHAPE, "part %d has size %lld", i,
                                (long long)list->v[i]);
        sizes[i] = list->v[i];
    }
    if (total >= 0 && sum != total)
        return bnr__op_fail(n, err, BNR_SHAPE, "the parts sum up to %lld, the dim is %lld",
                            (long long)sum, (long long)total);
    return BNR_OK;
}

static enum bnr_status check_counts(const struct bnr_node *n, struct bnr_error *err,
                                    const struct bnr_ints *list, int n_out) {
    if (list->given && list->n >= 0 && list->n != n_out)
        return bnr__op_fail(n, err, BNR_SHAPE, "%d sizes for %d outputs", list->n, n_out);
    if (!list->given && parts(n, n_out) != n_out)
        return bnr__op_fail(n, err, BNR_SHAPE, "num_outputs is %d, the node has %d outputs",
                            parts(n, n_out), n_out);
    return BNR_OK;
}

// Elements of a list of ints that is split.
static enum bnr_status split_elems(struct bnr_infer *cx, const int64_t *sizes) {
    const struct bnr_dim *elems;
    int n;
    int64_t at = 0;
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    for (int i = 0; elems && i < cx->n_out && at + sizes[i] <= n; at += sizes[i++])
        BNR_TRY(bnr__infer_set_elems(cx, i, elems + at, (int)sizes[i]));
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    struct bnr_ints list;
    int axis;
    BNR_TRY(bnr__infer_int_list(cx, 1, cx->node->since < 13 ? "split" : NULL, &list));
    BNR_TRY(check_counts(cx->node, cx->err, &list, cx->n_out));
    struct bnr_shape y = *x;
    if (x->rank < 0) {
        for (int i = 0; i < cx->n_out; i++)
            bnr__infer_set(cx, i, cx->in[0]->type.dtype, &y);
        return BNR_OK;
    }
    BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), x->rank, &axis));
    int64_t *sizes = BNR_NEW_ARRAY(cx->arena, (size_t)cx->n_out + 1, int64_t);
    if (!sizes)
        return bnr__no_memory(cx->err);
    const int64_t total = x->dims[axis].n;
    const bool known = list.given ? list.known : total >= 0;
    if (list.given && list.known)
        BNR_TRY(listed_sizes(cx->node, cx->err, total, &list, sizes));
    else if (!list.given && total >= 0)
        BNR_TRY(equal_sizes(cx->node, cx->err, total, cx->n_out, sizes));
    for (int i = 0; i < cx->n_out; i++) {
        y.dims[axis] = known            ? bnr__dim_of(sizes[i])
                       : cx->n_out == 1 ? x->dims[axis]
                                        : bnr__dim_unknown();
        bnr__infer_set(cx, i, cx->in[0]->type.dtype, &y);
    }
    return known && x->rank == 1 ? split_elems(cx, sizes) : BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_ints list;
    int axis;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(bnr__args_int_list(a, 1, a->node->since < 13 ? "split" : NULL, &list));
    BNR_TRY(check_counts(a->node, a->err, &list, a->n_out));
    BNR_TRY(bnr__resolve_axis(a->node, a->err, bnr__attr_int(a->node, "axis", 0), x->rank, &axis));
    int64_t *sizes = BNR_NEW_ARRAY(a->temp, (size_t)a->n_out + 1, int64_t);
    if (!sizes)
        return bnr__no_memory(a->err);
    if (list.given)
        BNR_TRY(listed_sizes(a->node, a->err, x->dims[axis], &list, sizes));
    else
        BNR_TRY(equal_sizes(a->node, a->err, x->dims[axis], a->n_out, sizes));
    int64_t xs[BNR_MAX_RANK], ys[BNR_MAX_RANK], dims[BNR_MAX_RANK], at = 0;
    bnr__dense_strides(x->rank, x->dims, xs);
    for (int d = 0; d < x->rank; d++)
        dims[d] = x->dims[d];
    for (int i = 0; i < a->n_out; at += sizes[i++]) {
        dims[axis] = sizes[i];
        if (!a->out[i])
            continue;
        BNR_TRY(bnr__out_expect(a, i, x->rank, dims));
        struct bnr_copy c = {.elem_size = bnr__dtype_size(x->dtype)};
        bnr__dense_strides(x->rank, dims, ys);
        for (int d = 0; d < x->rank; d++)
            bnr__copy_dim(&c, dims[d], ys[d], xs[d]);
        if (a->out[i]->numel > 0)
            bnr__copy_run(&c, a->out[i]->data, x->u8 + (size_t)(at * xs[axis]) * c.elem_size,
                          a->pool);
    }
    return BNR_OK;
}

static bool strided(struct bnr_infer *cx, int out, struct bnr_strided *s) {
    int axis;
    int64_t at = 0;
    if (bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), s->rank, &axis) != BNR_OK)
        return false;
    for (int i = 0; i < out; i++) {
        if (!cx->out[i])
            return false;
        at += cx->out[i]->type.shape.dims[axis].n;
    }
    return bnr__strided_slice(s, axis, at, cx->out[out]->type.shape.dims[axis].n, 1);
}

BNR_DEFINE_OP(split) = {
    .domain = "",
    .name = "Split",
    .since = {1, 2, 11, 13, 18},
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = BNR_VARIADIC,
    .attrs = "axis:i split:I num_outputs:i",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_split,
    .strided = strided,
    .affine = &bnr__affine_split,
};
