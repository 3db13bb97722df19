// SPDX-License-Identifier: Apache-2.0
// OneHot: a new axis of size `depth` that holds on_value at the index and off_value elsewhere. An
// index outside the range gives off_value everywhere; negative ones count from the end from
// opset 11.
#include <string.h>

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status check_depth(const struct bnr_node *n, struct bnr_error *err,
                                   const struct bnr_tensor *t, int64_t *depth) {
    if (t->numel != 1 || bnr__dtype_class(t->dtype) == BNR_CLASS_STRING)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "depth has %zu elements of dtype %s, expected one number", t->numel,
                            bnr__dtype_name(t->dtype));
    *depth = bnr__tensor_i64(t, 0);
    if (*depth < 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "depth is %lld", (long long)*depth);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    struct bnr_shape y = bnr__shape_unknown();
    struct bnr_dim depth = bnr__dim_unknown();
    const struct bnr_dim *elems;
    int n, axis;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_NUMERIC));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_NUMERIC));
    BNR_TRY(bnr__infer_rank(cx, 1, 0, 1));
    BNR_TRY(bnr__infer_rank(cx, 2, 1, 1));
    BNR_TRY(bnr__infer_ints(cx, 1, &elems, &n));
    if (cx->in[1]->tensor)
        BNR_TRY(check_depth(cx->node, cx->err, cx->in[1]->tensor, &depth.n));
    else if (elems && n == 1)
        depth = bnr__dim_of_elem(elems[0]);
    if (x->rank >= 0) {
        if (x->rank == BNR_MAX_RANK)
            return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED, "the output would have rank %d",
                                x->rank + 1);
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", -1), x->rank + 1, &axis));
        y.rank = x->rank + 1;
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = i == axis ? depth : x->dims[i - (i > axis)];
    }
    bnr__infer_set(cx, 0, cx->in[2]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *values = a->in[2];
    int axis;
    int64_t depth;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(check_depth(a->node, a->err, a->in[1], &depth));
    struct bnr_tensor *y = a->out[0];
    BNR_TRY(
        bnr__resolve_axis(a->node, a->err, bnr__attr_int(a->node, "axis", -1), x->rank + 1, &axis));
    if (values->numel != 2 || y->dims[axis] != depth)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "%zu values and depth %lld, expected 2 and %lld", values->numel,
                            (long long)depth, (long long)y->dims[axis]);
    const size_t size = bnr__dtype_size(y->dtype);
    size_t inner = 1;
    for (int i = axis; i < x->rank; i++)
        inner *= (size_t)x->dims[i];
    bnr__copy_fill(y->data, values->data, size, y->numel, a->pool);
    for (size_t i = 0; i < x->numel; i++) {
        int64_t k = bnr__tensor_i64(x, i);
        k = k < 0 && a->node->since >= 11 ? k + depth : k;
        if (k < 0 || k >= depth)
            continue;
        const size_t at = (i / inner * (size_t)depth + (size_t)k) * inner + i % inner;
        memcpy(y->u8 + at * size, values->u8 + size, size);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(one_hot) = {
    .domain = "",
    .name = "OneHot",
    .since = {9, 11},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = infer,
    .ref = ref,
};
