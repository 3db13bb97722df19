// SPDX-License-Identifier: Apache-2.0
// RoiAlign (ai.onnx 10, 16, 22): every region is cut into output_height x output_width bins, and
// each bin is the average or maximum of a grid of bilinear samples. Version 10 has no half-pixel
// shift.
//
// Mode 'max' takes the largest of the samples' weighted corners, not of the samples: that is what
// other runtimes and ONNX's test data do.
#include <math.h>
#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"

enum { X, ROIS, BATCH };

struct settings {
    bool max, half_pixel;
    int64_t height, width, samples;
    double scale;
};

static enum bnr_status read_settings(const struct bnr_node *n, struct settings *s,
                                     struct bnr_error *err) {
    const char *mode = bnr__attr_string(n, "mode", "avg");
    const char *shift = bnr__attr_string(n, "coordinate_transformation_mode",
                                         n->since < 16 ? "output_half_pixel" : "half_pixel");
    s->max = strcmp(mode, "max") == 0;
    s->half_pixel = strcmp(shift, "half_pixel") == 0;
    s->height = bnr__attr_int(n, "output_height", 1);
    s->width = bnr__attr_int(n, "output_width", 1);
    s->samples = bnr__attr_int(n, "sampling_ratio", 0);
    s->scale = (double)bnr__attr_float(n, "spatial_scale", 1);
    if (!s->max && strcmp(mode, "avg") != 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "mode is '%s', expected avg or max", mode);
    if (!s->half_pixel && strcmp(shift, "output_half_pixel") != 0)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "coordinate_transformation_mode is '%s', expected half_pixel or "
                            "output_half_pixel",
                            shift);
    if (s->height < 1 || s->width < 1 || s->samples < 0 || s->height > 1 << 20 ||
        s->width > 1 << 20 || s->samples > 1 << 12)
        return bnr__op_fail(n, err, BNR_SHAPE, "%lld x %lld bins of %lld samples each way",
                            (long long)s->height, (long long)s->width, (long long)s->samples);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, X), *r = bnr__infer_in(cx, ROIS),
                          *b = bnr__infer_in(cx, BATCH);
    const struct bnr_dim unknown = bnr__dim_unknown();
    struct settings s;
    BNR_TRY(read_settings(cx->node, &s, cx->err));
    BNR_TRY(bnr__infer_tensors(cx, X, ROIS, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, BATCH, BNR_TYPES_INDEX));
    BNR_TRY(bnr__infer_rank(cx, X, 4, 4));
    BNR_TRY(bnr__infer_rank(cx, ROIS, 2, 2));
    BNR_TRY(bnr__infer_rank(cx, BATCH, 1, 1));
    struct bnr_shape y = {.rank = 4,
                          .dims = {unknown, unknown, bnr__dim_of(s.height), bnr__dim_of(s.width)}};
    if (r->shape.rank == 2) {
        BNR_TRY(bnr__infer_dims_agree(cx, "numbers of a region", r->shape.dims[1], bnr__dim_of(4),
                                      NULL));
        y.dims[0] = r->shape.dims[0];
    }
    if (b->shape.rank == 1)
        BNR_TRY(bnr__infer_dims_agree(cx, "rois and batch_indices", y.dims[0], b->shape.dims[0],
                                      &y.dims[0]));
    if (x->shape.rank == 4)
        y.dims[1] = x->shape.dims[1];
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

struct job {
    struct settings s;
    int64_t channels, height, width;
    const double *x, *rois;
    const int64_t *batch;
    double *y;
};

// A region: its first sample's bin corner, the size of a bin, and samples in a bin.
struct region {
    double y, x, bin_h, bin_w;
    int64_t grid_h, grid_w;
};

static struct region read_region(const struct job *j, size_t i) {
    const double *r = j->rois + 4 * i, shift = j->s.half_pixel ? 0.5 : 0;
    struct region g = {.x = r[0] * j->s.scale - shift, .y = r[1] * j->s.scale - shift};
    double w = r[2] * j->s.scale - shift - g.x, h = r[3] * j->s.scale - shift - g.y;
    if (!j->s.half_pixel) {
        w = fmax(w, 1);
        h = fmax(h, 1);
    }
    g.bin_h = h / (double)j->s.height;
    g.bin_w = w / (double)j->s.width;
    g.grid_h = g.grid_w = j->s.samples;
    if (j->s.samples == 0) {
        // Larger regions than this are samples of nothing but the outside.
        g.grid_h = (int64_t)fmax(0, fmin(ceil(g.bin_h), 4096));
        g.grid_w = (int64_t)fmax(0, fmin(ceil(g.bin_w), 4096));
    }
    return g;
}

// The two elements around `at` along an axis of n, and the weight of the second. False: outside.
static bool corner(double at, int64_t n, int64_t index[2], double *weight) {
    if (!(at >= -1 && at <= (double)n))
        return false;
    at = fmax(at, 0);
    index[0] = (int64_t)at;
    if (index[0] >= n - 1) {
        index[0] = index[1] = n - 1;
        *weight = 0;
        return true;
    }
    index[1] = index[0] + 1;
    *weight = at - (double)index[0];
    return true;
}

// Adds a sample to a bin: v is the sum or the maximum so far.
static void add_sample(const struct job *j, const double *x, double at_y, double at_x, bool first,
                       double *v) {
    int64_t row[2], column[2];
    double wy = 0, wx = 0;
    const bool inside = corner(at_y, j->height, row, &wy) && corner(at_x, j->width, column, &wx);
    for (int k = 0; k < 4; k++) {
        const double w = (k & 2 ? wy : 1 - wy) * (k & 1 ? wx : 1 - wx);
        const double part = inside ? w * x[row[k >> 1] * j->width + column[k & 1]] : 0;
        if (!j->s.max)
            *v += part;
        else if ((first && k == 0) || part > *v)
            *v = part;
    }
}

static double bin(const struct job *j, const struct region *g, const double *x, int64_t ph,
                  int64_t pw) {
    const int64_t count = g->grid_h * g->grid_w;
    double v = 0;
    for (int64_t iy = 0; iy < g->grid_h; iy++)
        for (int64_t ix = 0; ix < g->grid_w; ix++) {
            const double y =
                g->y + ((double)ph + ((double)iy + 0.5) / (double)g->grid_h) * g->bin_h;
            const double at =
                g->x + ((double)pw + ((double)ix + 0.5) / (double)g->grid_w) * g->bin_w;
            add_sample(j, x, y, at, iy == 0 && ix == 0, &v);
        }
    return j->s.max || count == 0 ? v : v / (double)count;
}

// Region and channel number i.
static void run(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t i = begin; i < end; i++) {
        const size_t region = i / (size_t)j->channels;
        const int64_t c = (int64_t)(i % (size_t)j->channels);
        const struct region g = read_region(j, region);
        const double *x = j->x + (j->batch[region] * j->channels + c) * j->height * j->width;
        for (int64_t k = 0; k < j->s.height * j->s.width; k++)
            j->y[(int64_t)i * j->s.height * j->s.width + k] =
                bin(j, &g, x, k / j->s.width, k % j->s.width);
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[X];
    struct job j = {.channels = x->dims[1], .height = x->dims[2], .width = x->dims[3]};
    struct bnr_tensor *y;
    BNR_TRY(read_settings(a->node, &j.s, a->err));
    const int64_t dims[] = {a->in[ROIS]->dims[0], x->dims[1], j.s.height, j.s.width};
    BNR_TRY(bnr__out(a, 0, x->dtype, 4, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    if (j.height == 0 || j.width == 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "X has nothing to sample");
    j.x = bnr__all_f64(a, x);
    j.rois = bnr__all_f64(a, a->in[ROIS]);
    j.batch = bnr__all_i64(a, a->in[BATCH]);
    j.y = bnr__temp_f64(a, y->numel);
    if (!j.x || !j.rois || !j.batch || !j.y)
        return BNR_NO_MEMORY;
    for (int64_t i = 0; i < dims[0]; i++)
        if (j.batch[i] < 0 || j.batch[i] >= x->dims[0])
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "batch_indices[%lld] is %lld, expected 0 to %lld", (long long)i,
                                (long long)j.batch[i], (long long)x->dims[0] - 1);
    bnr__parallel_for(a->pool, (size_t)(dims[0] * dims[1]), 1, run, &j);
    bnr__store_f64(y->dtype, y->data, j.y, y->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(roi_align) = {
    .domain = "",
    .name = "RoiAlign",
    .since = {10, 16, 22},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs =
        "coordinate_transformation_mode:s mode:s output_height:i output_width:i sampling_ratio:i "
        "spatial_scale:f",
    .infer = infer,
    .ref = ref,
};
