// SPDX-License-Identifier: Apache-2.0
// CenterCropPad: crops or zero-pads the listed axes to the given sizes, around the centre. Of an
// odd difference the cropped window lies to the left, and the padding has one more on the right.
#include <string.h>

#include "runtime/ops/lib/shape.h"

static enum bnr_status placed_axes(const struct bnr_node *n, struct bnr_error *err, int rank,
                                   int count, int *axis) {
    struct bnr_ints axes = {.given = bnr__attr(n, "axes") != NULL, .known = true};
    size_t given;
    axes.v = bnr__attr_ints(n, "axes", &given);
    axes.n = (int)given;
    if (count != (axes.given ? axes.n : rank))
        return bnr__op_fail(n, err, BNR_SHAPE, "%d sizes for %d axes", count,
                            axes.given ? axes.n : rank);
    for (int i = 0; i < rank; i++)
        axis[i] = i;
    return axes.given ? bnr__resolve_axes(n, err, &axes, rank, axis) : BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = cx->in[0]->type.shape;
    struct bnr_ints sizes;
    const struct bnr_dim *elems;
    int n, axis[BNR_MAX_RANK];
    BNR_TRY(bnr__infer_int_list(cx, 1, NULL, &sizes));
    BNR_TRY(bnr__infer_ints(cx, 1, &elems, &n));
    if (y.rank >= 0 && sizes.n >= 0)
        BNR_TRY(placed_axes(cx->node, cx->err, y.rank, sizes.n, axis));
    for (int i = 0; y.rank >= 0 && i < sizes.n; i++) {
        if (elems && bnr__elem_is_number(elems[i]) && elems[i].n < 0)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "size %d is %lld", i,
                                (long long)elems[i].n);
        y.dims[axis[i]] = elems ? bnr__dim_of_elem(elems[i]) : bnr__dim_unknown();
    }
    for (int i = 0; sizes.n < 0 && i < y.rank; i++)
        y.dims[i] = bnr__dim_unknown();
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    BNR_TRY(bnr__out_infer(a, infer));
    const struct bnr_tensor *x = a->in[0], *y = a->out[0];
    int64_t xs[BNR_MAX_RANK], ys[BNR_MAX_RANK], dims[BNR_MAX_RANK], from = 0, to = 0;
    struct bnr_ints sizes;
    int axis[BNR_MAX_RANK];
    BNR_TRY(bnr__args_int_list(a, 1, NULL, &sizes));
    BNR_TRY(placed_axes(a->node, a->err, x->rank, sizes.n, axis));
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < sizes.n; i++)
        dims[axis[i]] = sizes.v[i];
    BNR_TRY(bnr__out_expect(a, 0, x->rank, dims));
    if (y->numel == 0)
        return BNR_OK;
    memset(y->data, 0, y->nbytes);
    if (x->numel == 0)
        return BNR_OK;
    bnr__dense_strides(x->rank, x->dims, xs);
    bnr__dense_strides(x->rank, dims, ys);
    struct bnr_copy c = {.elem_size = bnr__dtype_size(x->dtype)};
    for (int i = 0; i < x->rank; i++) {
        bnr__copy_dim(&c, dims[i] < x->dims[i] ? dims[i] : x->dims[i], ys[i], xs[i]);
        from += dims[i] < x->dims[i] ? (x->dims[i] - dims[i]) / 2 * xs[i] : 0;
        to += dims[i] > x->dims[i] ? (dims[i] - x->dims[i]) / 2 * ys[i] : 0;
    }
    bnr__copy_run(&c, y->u8 + (size_t)to * c.elem_size, x->u8 + (size_t)from * c.elem_size,
                  a->pool);
    return BNR_OK;
}

BNR_DEFINE_OP(center_crop_pad) = {
    .domain = "",
    .name = "CenterCropPad",
    .since = {18},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axes:I",
    .infer = infer,
    .ref = ref,
};
