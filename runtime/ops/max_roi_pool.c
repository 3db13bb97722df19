// SPDX-License-Identifier: Apache-2.0
// MaxRoiPool (ai.onnx 1, 22): the maximum of each bin of a region [batch, x1, y1, x2, y2], whose
// corners are rounded to elements and belong to it; empty bins are 0.
#include <math.h>

#include "runtime/ops/lib/compute.h"

static enum bnr_status read_bins(const struct bnr_node *n, const int64_t **bins,
                                 struct bnr_error *err) {
    size_t count;
    *bins = bnr__attr_ints(n, "pooled_shape", &count);
    if (count == 2 && (*bins)[0] > 0 && (*bins)[1] > 0)
        return BNR_OK;
    return bnr__op_fail(n, err, BNR_SHAPE, "pooled_shape must be two positive numbers");
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0), *r = bnr__infer_in(cx, 1);
    const int64_t *bins;
    BNR_TRY(bnr__infer_tensors(cx, 0, 1, BNR_TYPES_FLOAT));
    BNR_TRY(read_bins(cx->node, &bins, cx->err));
    BNR_TRY(bnr__infer_rank(cx, 0, 4, 4));
    BNR_TRY(bnr__infer_rank(cx, 1, 2, 2));
    const struct bnr_dim unknown = bnr__dim_unknown();
    struct bnr_shape y = {.rank = 4,
                          .dims = {unknown, unknown, bnr__dim_of(bins[0]), bnr__dim_of(bins[1])}};
    if (r->shape.rank == 2) {
        BNR_TRY(bnr__infer_dims_agree(cx, "numbers of a region", r->shape.dims[1], bnr__dim_of(5),
                                      NULL));
        y.dims[0] = r->shape.dims[0];
    }
    if (x->shape.rank == 4)
        y.dims[1] = x->shape.dims[1];
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

// Elements [*lo, *hi) of an axis of n that bin i of `bins` covers, for a region from `first` to
// `last`.
static void span(double first, double last, int64_t i, int64_t bins, int64_t n, int64_t *lo,
                 int64_t *hi) {
    const double size = fmax(last - first + 1, 1) / (double)bins;
    *lo = (int64_t)fmin(fmax(floor((double)i * size) + first, 0), (double)n);
    *hi = (int64_t)fmin(fmax(ceil((double)(i + 1) * size) + first, 0), (double)n);
}

struct region {
    int64_t batch;
    double x0, y0, x1, y1;
};

static double maximum(const double *x, int64_t width, const int64_t rows[2],
                      const int64_t columns[2]) {
    double max = rows[0] < rows[1] && columns[0] < columns[1] ? -HUGE_VAL : 0;
    for (int64_t r = rows[0]; r < rows[1]; r++)
        for (int64_t c = columns[0]; c < columns[1]; c++)
            max = fmax(max, x[r * width + c]);
    return max;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *rois = a->in[1];
    const double scale = (double)bnr__attr_float(a->node, "spatial_scale", 1);
    const int64_t *bins, channels = x->dims[1], height = x->dims[2], width = x->dims[3];
    struct bnr_tensor *y;
    BNR_TRY(read_bins(a->node, &bins, a->err));
    const int64_t dims[] = {rois->dims[0], channels, bins[0], bins[1]};
    BNR_TRY(bnr__out(a, 0, x->dtype, 4, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const double *xd = bnr__all_f64(a, x), *r = bnr__all_f64(a, rois);
    if (!xd || !r)
        return BNR_NO_MEMORY;
    size_t to = 0;
    for (int64_t i = 0; i < dims[0]; i++, r += 5) {
        if (!(r[0] >= 0 && r[0] < (double)x->dims[0]))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "region %lld is of batch %g, expected 0 to %lld", (long long)i,
                                r[0], (long long)x->dims[0] - 1);
        const struct region g = {(int64_t)r[0], round(r[1] * scale), round(r[2] * scale),
                                 round(r[3] * scale), round(r[4] * scale)};
        for (int64_t k = 0; k < channels * bins[0] * bins[1]; k++, to++) {
            const int64_t c = k / (bins[0] * bins[1]);
            int64_t rows[2], columns[2];
            span(g.y0, g.y1, k / bins[1] % bins[0], bins[0], height, &rows[0], &rows[1]);
            span(g.x0, g.x1, k % bins[1], bins[1], width, &columns[0], &columns[1]);
            const double v =
                maximum(xd + (g.batch * channels + c) * height * width, width, rows, columns);
            bnr__store_f64(y->dtype, bnr__at_mut(y, to), &v, 1);
        }
    }
    return BNR_OK;
}

BNR_DEFINE_OP(max_roi_pool) = {
    .domain = "",
    .name = "MaxRoiPool",
    .since = {1, 22},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "pooled_shape:I! spatial_scale:f",
    .infer = infer,
    .ref = ref,
};
