// SPDX-License-Identifier: Apache-2.0
// MaxUnpool (ai.onnx 9, 11, 22): puts each element of X where its index says, into zeros. Indices
// count in the tensor whose spatial size is (in - 1) * stride + kernel - pads; a larger
// output_shape holds that tensor in its first corner.
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/window.h"

// Dims of the tensor that indices count in; unknown ones are unknown.
static enum bnr_status unpooled_shape(const struct bnr_node *n, const struct bnr_shape *x,
                                      struct bnr_shape *y, struct bnr_error *err) {
    struct bnr_window w;
    *y = *x;
    BNR_TRY(bnr__window_attrs(n, x->rank - 2, NULL, &w, err));
    for (int i = 0; i < w.rank; i++) {
        const int64_t in = x->dims[i + 2].n;
        y->dims[i + 2] = bnr__dim_unknown();
        if (in < 0)
            continue;
        if (in > INT64_MAX / 4 / w.axis[i].stride)
            return bnr__op_fail(n, err, BNR_SHAPE, "%lld inputs with stride %lld: too large",
                                (long long)in, (long long)w.axis[i].stride);
        const int64_t out =
            (in - 1) * w.axis[i].stride + w.axis[i].kernel - w.axis[i].begin - w.axis[i].end;
        if (out < 0 && in > 0)
            return bnr__op_fail(n, err, BNR_SHAPE, "spatial axis %d: padding leaves a size of %lld",
                                i, (long long)out);
        y->dims[i + 2] = bnr__dim_of(out < 0 ? 0 : out);
    }
    return BNR_OK;
}

static enum bnr_status check_shape(const struct bnr_node *n, const struct bnr_shape *inner,
                                   const int64_t *dims, size_t count, struct bnr_error *err) {
    if (count != (size_t)inner->rank)
        return bnr__op_fail(n, err, BNR_SHAPE, "output_shape has %zu elements, expected %d", count,
                            inner->rank);
    for (int i = 0; i < inner->rank; i++) {
        const int64_t least = inner->dims[i].n < 0 ? 0 : inner->dims[i].n;
        if (dims[i] < least || (i < 2 && dims[i] != least && inner->dims[i].n >= 0))
            return bnr__op_fail(n, err, BNR_SHAPE, "output_shape[%d] is %lld, expected %s%lld", i,
                                (long long)dims[i], i < 2 ? "" : "at least ", (long long)least);
    }
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0), *at = bnr__infer_in(cx, 1);
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_types(cx, 2, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_rank(cx, 0, 3, BNR_MAX_RANK));
    struct bnr_shape y = bnr__shape_unknown();
    if (x->shape.rank >= 0)
        BNR_TRY(unpooled_shape(cx->node, &x->shape, &y, cx->err));
    if (x->shape.rank >= 0 && at->shape.rank >= 0) {
        BNR_TRY(bnr__infer_rank(cx, 1, x->shape.rank, x->shape.rank));
        for (int i = 0; i < x->shape.rank; i++)
            BNR_TRY(
                bnr__infer_dims_agree(cx, "X and I", x->shape.dims[i], at->shape.dims[i], NULL));
    }
    if (bnr__infer_in(cx, 2)) {
        const struct bnr_tensor *shape = cx->in[2]->tensor;
        if (shape && y.rank >= 0) {
            BNR_TRY(check_shape(cx->node, &y, shape->i64, shape->numel, cx->err));
            y = bnr__shape_of(y.rank, shape->i64);
        } else {
            for (int i = 2; i < y.rank; i++)
                y.dims[i] = bnr__dim_unknown();
        }
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

// Element `at` of a tensor with dims `from` -> its place in one with dims `to`.
static size_t move_index(size_t at, int rank, const struct bnr_shape *from, const int64_t *to) {
    size_t index[BNR_MAX_RANK], out = 0;
    for (int i = rank - 1; i >= 0; i--) {
        index[i] = at % (size_t)from->dims[i].n;
        at /= (size_t)from->dims[i].n;
    }
    for (int i = 0; i < rank; i++)
        out = out * (size_t)to[i] + index[i];
    return out;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *at = a->in[1], *shape = bnr__in(a, 2);
    const struct bnr_shape xs = bnr__shape_of(x->rank, x->dims);
    struct bnr_shape inner;
    int64_t dims[BNR_MAX_RANK];
    size_t inner_numel;
    struct bnr_tensor *y;
    BNR_TRY(unpooled_shape(a->node, &xs, &inner, a->err));
    bnr__shape_numbers(&inner, dims);
    BNR_TRY(bnr__shape_numel(dims, inner.rank, "the output of MaxUnpool", &inner_numel, a->err));
    if (shape) {
        BNR_TRY(check_shape(a->node, &inner, shape->i64, shape->numel, a->err));
        for (int i = 0; i < x->rank; i++)
            dims[i] = shape->i64[i];
    }
    BNR_TRY(bnr__out(a, 0, x->dtype, x->rank, dims, &y));
    if (!y)
        return BNR_OK;
    const size_t size = bnr__dtype_size(x->dtype);
    for (size_t i = 0; i < y->nbytes; i++)
        y->u8[i] = 0;
    for (size_t i = 0; i < x->numel; i++) {
        const int64_t k = at->i64[i];
        if (k < 0 || (uint64_t)k >= inner_numel)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "index %lld is outside [0, %zu)",
                                (long long)k, inner_numel);
        const size_t to = move_index((size_t)k, x->rank, &inner, dims);
        for (size_t b = 0; b < size; b++)
            y->u8[to * size + b] = x->u8[i * size + b];
    }
    return BNR_OK;
}

BNR_DEFINE_OP(max_unpool) = {
    .domain = "",
    .name = "MaxUnpool",
    .since = {9, 11, 22},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "kernel_shape:I! pads:I strides:I",
    .infer = infer,
    .ref = ref,
};
