// SPDX-License-Identifier: Apache-2.0
// Expand: broadcasts the input with a shape given as data.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status target(struct bnr_infer *cx, struct bnr_shape *t) {
    struct bnr_ints list;
    const struct bnr_dim *elems;
    int n;
    BNR_TRY(bnr__infer_int_list(cx, 1, NULL, &list));
    BNR_TRY(bnr__infer_ints(cx, 1, &elems, &n));
    *t = bnr__shape_unknown();
    if (list.n > BNR_MAX_RANK)
        return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED, "%d dims, at most %d are supported",
                            list.n, BNR_MAX_RANK);
    if (list.n >= 0)
        t->rank = list.n;
    for (int i = 0; i < t->rank; i++) {
        if (elems && bnr__elem_is_number(elems[i]) && elems[i].n < 0)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "dim %d of the shape is %lld", i,
                                (long long)elems[i].n);
        t->dims[i] = elems ? bnr__dim_of_elem(elems[i]) : bnr__dim_unknown();
    }
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct bnr_shape y;
    BNR_TRY(target(cx, &y));
    const struct bnr_type want = {.dtype = x->dtype, .shape = y};
    if (!bnr__shape_broadcast(&y, &x->shape)) {
        char from[160], to[160];
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%s cannot be expanded to %s",
                            bnr__type_describe(x, from, sizeof from),
                            bnr__type_describe(&want, to, sizeof to));
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    BNR_TRY(bnr__out_infer(a, infer));
    const struct bnr_tensor *x = a->in[0], *y = a->out[0];
    int64_t xs[BNR_MAX_RANK], ys[BNR_MAX_RANK];
    bnr__dense_strides(x->rank, x->dims, xs);
    bnr__dense_strides(y->rank, y->dims, ys);
    struct bnr_copy c = {.elem_size = bnr__dtype_size(x->dtype)};
    for (int d = 0; d < y->rank; d++) {
        const int from = d - (y->rank - x->rank);
        const int64_t n = from < 0 ? 1 : x->dims[from];
        if (n != 1 && n != y->dims[d])
            return bnr__out_expect(a, 0, x->rank, x->dims);
        bnr__copy_dim(&c, y->dims[d], ys[d], n == 1 ? 0 : xs[from]);
    }
    bnr__copy_run(&c, y->data, x->data, a->pool);
    return BNR_OK;
}

BNR_DEFINE_OP(expand) = {
    .domain = "",
    .name = "Expand",
    .since = {8, 13},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_expand,
};
