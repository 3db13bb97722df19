// SPDX-License-Identifier: Apache-2.0
// Col2Im (ai.onnx 18): adds up the blocks of an image that a sliding window had cut out: input
// [N, C * block elements, blocks] to [N, C, image_shape...].
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/window.h"

// The window that cuts blocks out of the image. Its outputs are the blocks.
static enum bnr_status geometry(const struct bnr_node *n, const int64_t *image,
                                const int64_t *block, int rank, struct bnr_window *w,
                                struct bnr_error *err) {
    struct bnr_dim kernel[BNR_MAX_RANK], in[BNR_MAX_RANK];
    if (rank < 1 || rank > BNR_MAX_RANK - 2)
        return bnr__op_fail(n, err, BNR_SHAPE, "image_shape has %d elements", rank);
    for (int i = 0; i < rank; i++) {
        if (image[i] < 0)
            return bnr__op_fail(n, err, BNR_SHAPE, "image_shape[%d] is %lld", i,
                                (long long)image[i]);
        if (block[i] < 1)
            return bnr__op_fail(n, err, BNR_SHAPE, "block_shape[%d] is %lld, expected 1 or more", i,
                                (long long)block[i]);
        kernel[i] = bnr__dim_of(block[i]);
        in[i] = bnr__dim_of(image[i]);
    }
    BNR_TRY(bnr__window_attrs(n, rank, kernel, w, err));
    return bnr__window_size(n, in, w, err);
}

// Checks X's dims (-1: unknown) against the window; *channels as far as they are known.
static enum bnr_status check_input(const struct bnr_node *n, const struct bnr_window *w,
                                   int64_t rows, int64_t blocks, int64_t *channels,
                                   struct bnr_error *err) {
    size_t taps = 1, count = 1;
    *channels = -1;
    for (int i = 0; i < w->rank; i++)
        if (!bnr__size_mul(taps, (size_t)w->axis[i].kernel, &taps) ||
            !bnr__size_mul(count, (size_t)w->axis[i].out, &count) || taps > INT64_MAX ||
            count > INT64_MAX)
            return bnr__op_fail(n, err, BNR_SHAPE, "block_shape or image_shape is too large");
    if (rows >= 0 && rows % (int64_t)taps != 0)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "dim 1 is %lld, no multiple of the block's %zu elements",
                            (long long)rows, taps);
    if (blocks >= 0 && blocks != (int64_t)count)
        return bnr__op_fail(n, err, BNR_SHAPE, "dim 2 is %lld, but the image has %zu blocks",
                            (long long)blocks, count);
    if (rows >= 0)
        *channels = rows / (int64_t)taps;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0), *s = bnr__infer_in(cx, 1);
    const struct bnr_tensor *image = cx->in[1]->tensor, *block = cx->in[2]->tensor;
    struct bnr_shape y = bnr__shape_unknown();
    BNR_TRY(bnr__infer_types(
        cx, 0, BNR_TYPES_NUMERIC | BNR_TYPE(BOOL) | BNR_TYPE(COMPLEX64) | BNR_TYPE(COMPLEX128)));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_types(cx, 2, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_rank(cx, 0, 3, 3));
    BNR_TRY(bnr__infer_rank(cx, 1, 1, 1));
    BNR_TRY(bnr__infer_rank(cx, 2, 1, 1));
    if (s->shape.rank == 1 && s->shape.dims[0].n >= 0 && s->shape.dims[0].n <= BNR_MAX_RANK - 2) {
        y.rank = (int)s->shape.dims[0].n + 2;
        BNR_TRY(bnr__infer_length(cx, 2, s->shape.dims[0]));
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    if (image && block) {
        struct bnr_window w;
        int64_t channels;
        const bool known = x->shape.rank == 3;
        BNR_TRY(geometry(cx->node, image->i64, block->i64, (int)image->numel, &w, cx->err));
        BNR_TRY(check_input(cx->node, &w, known ? x->shape.dims[1].n : -1,
                            known ? x->shape.dims[2].n : -1, &channels, cx->err));
        y.dims[0] = known ? x->shape.dims[0] : bnr__dim_unknown();
        y.dims[1] = channels >= 0 ? bnr__dim_of(channels) : bnr__dim_unknown();
        for (int i = 0; i < w.rank; i++)
            y.dims[i + 2] = bnr__dim_of(image->i64[i]);
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

// y[image position] += x[tap, block] for one channel, of numbers `parts` apart. U adds without
// overflow.
#define FOLD(name, T, U)                                                                           \
    static void name(const struct bnr_window *w, const T *x, T *y, size_t parts) {                 \
        const size_t blocks = (size_t)bnr__window_out_numel(w);                                    \
        struct bnr_window_run r;                                                                   \
        for (int64_t t = 0; t < bnr__window_taps(w); t++)                                          \
            for (bool ok = bnr__window_first(w, t, &r); ok; ok = bnr__window_next(w, &r))          \
                for (size_t i = 0; i < r.count; i++) {                                             \
                    T *to = y + (r.x + i * r.step) * parts;                                        \
                    *to = (T)((U)*to + (U)x[((size_t)t * blocks + r.y + i) * parts]);              \
                }                                                                                  \
    }
FOLD(fold_f64, double, double)
FOLD(fold_i64, int64_t, uint64_t)

static enum bnr_status fold_floats(const struct bnr_args *a, const struct bnr_window *w,
                                   struct bnr_tensor *y, size_t planes) {
    const struct bnr_tensor *x = a->in[0];
    const size_t parts = bnr__dtype_class(x->dtype) == BNR_CLASS_COMPLEX ? 2 : 1;
    const enum bnr_dtype part = x->dtype == BNR_COMPLEX64    ? BNR_FLOAT
                                : x->dtype == BNR_COMPLEX128 ? BNR_DOUBLE
                                                             : x->dtype;
    double *xd = bnr__temp_f64(a, parts * x->numel), *yd = bnr__temp_f64(a, parts * y->numel);
    if (!xd || !yd)
        return BNR_NO_MEMORY;
    bnr__load_f64(xd, part, x->data, parts * x->numel);
    for (size_t i = 0; i < planes; i++)
        for (size_t c = 0; c < parts; c++)
            fold_f64(w, xd + i * (x->numel / planes) * parts + c,
                     yd + i * (y->numel / planes) * parts + c, parts);
    bnr__store_f64(part, y->data, yd, parts * y->numel);
    return BNR_OK;
}

static enum bnr_status fold_integers(const struct bnr_args *a, const struct bnr_window *w,
                                     struct bnr_tensor *y, size_t planes) {
    const struct bnr_tensor *x = a->in[0];
    const int64_t *xi = bnr__all_i64(a, x);
    int64_t *yi = bnr__temp(a, y->numel, sizeof *yi);
    if (!xi || !yi)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < planes; i++)
        fold_i64(w, xi + i * (x->numel / planes), yi + i * (y->numel / planes), 1);
    bnr__store_i64(y->dtype, y->data, yi, y->numel);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *image = a->in[1];
    const enum bnr_class class = bnr__dtype_class(x->dtype);
    int64_t dims[BNR_MAX_RANK] = {x->dims[0]};
    struct bnr_window w;
    struct bnr_tensor *y;
    BNR_TRY(geometry(a->node, image->i64, a->in[2]->i64, (int)image->numel, &w, a->err));
    BNR_TRY(check_input(a->node, &w, x->dims[1], x->dims[2], &dims[1], a->err));
    for (int i = 0; i < w.rank; i++)
        dims[i + 2] = image->i64[i];
    BNR_TRY(bnr__out(a, 0, x->dtype, w.rank + 2, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const size_t planes = (size_t)(dims[0] * dims[1]);
    const bool floats = bnr__dtype_is_float(x->dtype) || class == BNR_CLASS_COMPLEX;
    return floats ? fold_floats(a, &w, y, planes) : fold_integers(a, &w, y, planes);
}

BNR_DEFINE_OP(col2im) = {
    .domain = "",
    .name = "Col2Im",
    .since = {18},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "dilations:I pads:I strides:I",
    .infer = infer,
    .ref = ref,
};
