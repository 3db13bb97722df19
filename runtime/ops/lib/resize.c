// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/resize.h"

#include <math.h>
#include <string.h>

#include "runtime/base/pool.h"

// ---- attributes ---------------------------------------------------------------------------------

// Index of attribute `name` in a NULL-terminated list; the first one when absent.
static enum bnr_status choice(const struct bnr_node *n, const char *name, const char *const *names,
                              int *out, struct bnr_error *err) {
    const char *s = bnr__attr_string(n, name, names[0]);
    for (*out = 0; names[*out]; ++*out)
        if (strcmp(s, names[*out]) == 0)
            return BNR_OK;
    return bnr__op_fail(n, err, BNR_SHAPE, "%s is '%s', which this version does not have", name, s);
}

int bnr__resize_roi(const struct bnr_node *n) {
    return n->since < 11 ? -1 : 1;
}

int bnr__resize_scales(const struct bnr_node *n) {
    return n->since < 11 ? 1 : 2;
}

int bnr__resize_sizes(const struct bnr_node *n) {
    return n->since < 11 ? -1 : 3;
}

static const struct bnr_tensor *given(const struct bnr_args *a, int i) {
    const struct bnr_tensor *t = i < 0 ? NULL : bnr__in(a, i);
    return t && t->numel > 0 ? t : NULL;
}

enum bnr_status bnr__resize_read(const struct bnr_args *a, const struct bnr_node *n,
                                 struct bnr_resize *r) {
    const struct bnr_tensor *x = a->in[0], *scales = given(a, bnr__resize_scales(n));
    const struct bnr_tensor *sizes = given(a, bnr__resize_sizes(n));
    const struct bnr_tensor *roi = given(a, bnr__resize_roi(n));
    struct bnr_resize_request q = {0};
    if ((scales && !(q.scales = bnr__all_f64(a, scales))) ||
        (sizes && !(q.sizes = bnr__all_i64(a, sizes))) || (roi && !(q.roi = bnr__all_f64(a, roi))))
        return BNR_NO_MEMORY;
    // Rank 0 has nothing to scale, and an empty list says so.
    static const double nothing;
    if (x->rank == 0 && !q.scales && !q.sizes)
        q.scales = &nothing;
    q.n_scales = scales ? scales->numel : 0;
    q.n_sizes = sizes ? sizes->numel : 0;
    q.n_roi = roi ? roi->numel : 0;
    return bnr__resize_plan(n, x->rank, x->dims, &q, r, a->err);
}

enum bnr_status bnr__resize_attrs(const struct bnr_node *n, struct bnr_resize *r,
                                  struct bnr_error *err) {
    static const char *const old_modes[] = {"nearest", "linear", "bilinear", NULL};
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    const char *const coordinates[] = {"half_pixel",
                                       "half_pixel_symmetric",
                                       "pytorch_half_pixel",
                                       "align_corners",
                                       "asymmetric",
                                       "tf_crop_and_resize",
                                       n->since == 11 ? "tf_half_pixel_for_nn" : NULL,
                                       NULL};
    static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                          "ceil", NULL};
    int v;
    *r = (struct bnr_resize){.coordinates = BNR_COORD_ASYMMETRIC, .nearest = BNR_NEAREST_SIMPLE};
    const bool old = n->since < 11;
    BNR_TRY(choice(n, "mode", old ? old_modes : modes, &v, err));
    r->mode = old && v > 0 ? BNR_RESIZE_LINEAR : (enum bnr_resize_mode)v;
    if (old)
        return BNR_OK;
    BNR_TRY(choice(n, "coordinate_transformation_mode", coordinates, &v, err));
    r->coordinates = (enum bnr_resize_coordinates)v;
    BNR_TRY(choice(n, "nearest_mode", nearest, &v, err));
    r->nearest = (enum bnr_resize_nearest)v;
    r->antialias = bnr__attr_int(n, "antialias", 0) != 0;
    r->exclude_outside = bnr__attr_int(n, "exclude_outside", 0) != 0;
    r->cubic_a = (double)bnr__attr_float(n, "cubic_coeff_a", -0.75f);
    r->extrapolation = (double)bnr__attr_float(n, "extrapolation_value", 0);
    if (r->antialias && r->mode == BNR_RESIZE_NEAREST)
        return bnr__op_fail(n, err, BNR_SHAPE, "antialias does not go with mode 'nearest'");
    return BNR_OK;
}

enum bnr_status bnr__resize_axes(const struct bnr_node *n, int rank, int axes[BNR_MAX_RANK],
                                 int *count, struct bnr_error *err) {
    size_t given;
    const int64_t *list = bnr__attr_ints(n, "axes", &given);
    bool seen[BNR_MAX_RANK] = {false};
    *count = rank;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    if (!list)
        return BNR_OK;
    if (given > (size_t)rank)
        return bnr__op_fail(n, err, BNR_SHAPE, "%zu axes for rank %d", given, rank);
    *count = (int)given;
    for (int i = 0; i < *count; i++) {
        const int64_t axis = list[i] < 0 ? list[i] + rank : list[i];
        if (axis < 0 || axis >= rank || seen[axis])
            return bnr__op_fail(n, err, BNR_SHAPE, "axis %lld is outside [%d, %d) or there twice",
                                (long long)list[i], -rank, rank);
        axes[i] = (int)axis;
        seen[axis] = true;
    }
    return BNR_OK;
}

// ---- sizes --------------------------------------------------------------------------------------

#define MAX_SIZE 0x1p40
#define MAX_WEIGHTS ((size_t)1 << 28) // along an axis

static enum bnr_status by_scales(const struct bnr_node *n, const struct bnr_resize_request *q,
                                 const int *axes, int count, struct bnr_resize *r,
                                 struct bnr_error *err) {
    for (int i = 0; i < count; i++) {
        const double s = q->scales[i];
        if (!(s > 0) || !(s * (double)r->in[axes[i]] < MAX_SIZE))
            return bnr__op_fail(n, err, BNR_SHAPE, "scales[%d] is %g for a dim of %lld", i, s,
                                (long long)r->in[axes[i]]);
        r->scale[axes[i]] = s;
        // In float, as exporters and ONNX's shape inference compute it: 10 * 0.7f is 7 there.
        r->out[axes[i]] = (int64_t)floorf((float)r->in[axes[i]] * (float)s);
    }
    return BNR_OK;
}

static enum bnr_status by_sizes(const struct bnr_node *n, const struct bnr_resize_request *q,
                                const int *axes, int count, struct bnr_resize *r,
                                struct bnr_error *err) {
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    int policy;
    double common = 0;
    BNR_TRY(choice(n, "keep_aspect_ratio_policy", policies, &policy, err));
    for (int i = 0; i < count; i++) {
        const int64_t in = r->in[axes[i]], out = q->sizes[i];
        if (out < 0 || (double)out >= MAX_SIZE || (in == 0 && out > 0))
            return bnr__op_fail(n, err, BNR_SHAPE, "sizes[%d] is %lld for a dim of %lld", i,
                                (long long)out, (long long)in);
        const double s = in == 0 ? 1 : (double)out / (double)in;
        r->scale[axes[i]] = s;
        r->out[axes[i]] = out;
        if (i == 0 || (policy == 1 ? s < common : s > common))
            common = s;
    }
    for (int i = 0; policy > 0 && i < count; i++) {
        const double out = floor(common * (double)r->in[axes[i]] + 0.5);
        if (!(out < MAX_SIZE))
            return bnr__op_fail(n, err, BNR_SHAPE, "a dim of %lld times %g is too large",
                                (long long)r->in[axes[i]], common);
        r->scale[axes[i]] = common;
        r->out[axes[i]] = (int64_t)out;
    }
    return BNR_OK;
}

enum bnr_status bnr__resize_plan(const struct bnr_node *n, int rank, const int64_t *in,
                                 const struct bnr_resize_request *q, struct bnr_resize *r,
                                 struct bnr_error *err) {
    int axes[BNR_MAX_RANK], count;
    BNR_TRY(bnr__resize_attrs(n, r, err));
    BNR_TRY(bnr__resize_axes(n, rank, axes, &count, err));
    r->rank = rank;
    for (int i = 0; i < rank; i++) {
        r->in[i] = r->out[i] = in[i];
        r->scale[i] = r->roi_end[i] = 1;
    }
    const size_t given = q->scales ? q->n_scales : q->n_sizes;
    if (!q->scales == !q->sizes)
        return bnr__op_fail(n, err, BNR_SHAPE, "expected either scales or sizes, not %s",
                            q->scales ? "both" : "neither");
    if (given != (size_t)count)
        return bnr__op_fail(n, err, BNR_SHAPE, "%s has %zu elements, expected %d",
                            q->scales ? "scales" : "sizes", given, count);
    BNR_TRY(q->scales ? by_scales(n, q, axes, count, r, err) : by_sizes(n, q, axes, count, r, err));
    if (r->coordinates == BNR_COORD_TF_CROP_AND_RESIZE) {
        if (!q->roi || q->n_roi != 2 * (size_t)count)
            return bnr__op_fail(n, err, BNR_SHAPE, "roi has %zu elements, expected %d",
                                q->roi ? q->n_roi : 0, 2 * count);
        for (int i = 0; i < count; i++) {
            r->roi_begin[axes[i]] = q->roi[i];
            r->roi_end[axes[i]] = q->roi[i + count];
        }
    }
    for (int i = 0; i < rank; i++)
        r->resized[i] =
            r->out[i] != r->in[i] || r->scale[i] != 1 || r->roi_begin[i] != 0 || r->roi_end[i] != 1;
    return BNR_OK;
}

// ---- weights ------------------------------------------------------------------------------------

// Where output position `x` lies in the input.
static double source(const struct bnr_resize *r, int axis, int64_t x) {
    const double in = (double)r->in[axis], scale = r->scale[axis], wide = scale * in, o = (double)x;
    const double out = (double)r->out[axis];
    switch (r->coordinates) {
    case BNR_COORD_HALF_PIXEL:
        return (o + 0.5) / scale - 0.5;
    case BNR_COORD_HALF_PIXEL_SYMMETRIC:
        return in / 2 * (1 - out / wide) + (o + 0.5) / scale - 0.5;
    case BNR_COORD_PYTORCH_HALF_PIXEL:
        return out > 1 ? (o + 0.5) / scale - 0.5 : 0;
    case BNR_COORD_ALIGN_CORNERS: // `wide` may have a fraction, as in ONNX's test data
        return wide == 1 ? 0 : o * (in - 1) / (wide - 1);
    case BNR_COORD_ASYMMETRIC:
        return o / scale;
    case BNR_COORD_TF_HALF_PIXEL_FOR_NN:
        return (o + 0.5) / scale;
    case BNR_COORD_TF_CROP_AND_RESIZE:
        break;
    }
    const double begin = r->roi_begin[axis], end = r->roi_end[axis];
    return wide == 1 ? (begin + end) * (in - 1) / 2
                     : begin * (in - 1) + o * (end - begin) * (in - 1) / (wide - 1);
}

static double nearest_index(const struct bnr_resize *r, int axis, double x) {
    switch (r->nearest) {
    case BNR_NEAREST_ROUND_PREFER_FLOOR:
        return ceil(x - 0.5);
    case BNR_NEAREST_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case BNR_NEAREST_FLOOR:
        return floor(x);
    case BNR_NEAREST_CEIL:
        return ceil(x);
    case BNR_NEAREST_SIMPLE:
        break;
    }
    return r->scale[axis] < 1 ? ceil(x) : floor(x);
}

static double cubic(double x, double a) {
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// The kernel's value at distance d from its middle.
static double kernel(const struct bnr_resize *r, double d) {
    return r->mode == BNR_RESIZE_CUBIC ? cubic(d, r->cubic_a) : fmax(0, 1 - fabs(d));
}

static int64_t clamp_index(double i, int64_t n) {
    return !(i > 0) ? 0 : i >= (double)n ? n - 1 : (int64_t)i;
}

// Kernels are stretched by 1 / shrink when an axis shrinks with antialias.
static double shrink_of(const struct bnr_resize *r, int axis) {
    return r->antialias && r->scale[axis] < 1 ? r->scale[axis] : 1;
}

static void weigh(const struct bnr_resize *r, int axis, double x, struct bnr_resize_axis *out,
                  int64_t i) {
    int64_t *index = out->index + i * out->taps;
    double *weight = out->weight + i * out->taps, sum = 0, all = 0;
    const double shrink = shrink_of(r, axis), left = floor(x);
    for (int64_t k = 0; k < out->taps; k++) {
        const double at = left + (double)(k - out->taps / 2 + 1);
        const bool outside = at < 0 || at >= (double)r->in[axis];
        const double w = kernel(r, (at - x) * shrink);
        index[k] = clamp_index(at, r->in[axis]);
        weight[k] = r->exclude_outside && outside ? 0 : w;
        sum += weight[k];
        all += w;
    }
    const double norm = r->exclude_outside ? sum : r->antialias ? all : 1;
    for (int64_t k = 0; k < out->taps && norm != 0; k++)
        weight[k] /= norm;
}

enum bnr_status bnr__resize_axis(const struct bnr_args *a, const struct bnr_resize *r, int axis,
                                 struct bnr_resize_axis *out) {
    const double half = (r->mode == BNR_RESIZE_CUBIC ? 2 : 1) / shrink_of(r, axis);
    if (!(half < 0x1p30))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "a scale of %g is too small for antialias",
                            r->scale[axis]);
    out->taps = r->mode == BNR_RESIZE_NEAREST ? 1 : 2 * (int64_t)ceil(half);
    const size_t n = (size_t)r->out[axis], taps = (size_t)out->taps;
    size_t total;
    if (!bnr__size_mul(n, taps, &total) || total > MAX_WEIGHTS)
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED,
                            "%zu elements of %zu weights each are too many", n, taps);
    out->index = bnr__temp(a, total, sizeof *out->index);
    out->weight = bnr__temp_f64(a, total);
    out->outside = bnr__temp(a, n, sizeof *out->outside);
    if (!out->index || !out->weight || !out->outside)
        return BNR_NO_MEMORY;
    for (int64_t i = 0; i < r->out[axis]; i++) {
        const double x = source(r, axis, i);
        out->outside[i] = r->coordinates == BNR_COORD_TF_CROP_AND_RESIZE &&
                          !(x >= 0 && x <= (double)(r->in[axis] - 1));
        if (r->mode == BNR_RESIZE_NEAREST) {
            out->index[i] = clamp_index(nearest_index(r, axis, x), r->in[axis]);
            out->weight[i] = 1;
        } else {
            weigh(r, axis, isfinite(x) ? x : 0, out, i);
        }
    }
    return BNR_OK;
}

// ---- running ------------------------------------------------------------------------------------

enum { GRAIN = 16 * 1024 };

// v [outer, n, inner] -> y [outer, m, inner].
struct along {
    const struct bnr_resize_axis *w;
    const double *v;
    double *y, extrapolation;
    size_t n, m, inner;
};

// Neighbours along the axis itself.
static void resize_lane(const struct along *a, size_t o) {
    const size_t taps = (size_t)a->w->taps;
    const double *from = a->v + o * a->n;
    for (size_t i = 0; i < a->m; i++) {
        double sum = 0;
        for (size_t k = i * taps; k < (i + 1) * taps; k++)
            sum += a->w->weight[k] * from[a->w->index[k]];
        a->y[o * a->m + i] = a->w->outside[i] ? a->extrapolation : sum;
    }
}

static void resize_rows(void *cx, size_t begin, size_t end) {
    const struct along *a = cx;
    const size_t taps = (size_t)a->w->taps;
    for (size_t row = begin; row < end; row++) {
        if (a->inner == 1) {
            resize_lane(a, row);
            continue;
        }
        const size_t o = row / a->m, i = row % a->m;
        double *to = a->y + row * a->inner;
        for (size_t k = i * taps; k < (i + 1) * taps && !a->w->outside[i]; k++) {
            const double f = a->w->weight[k];
            const double *from = a->v + (o * a->n + (size_t)a->w->index[k]) * a->inner;
            for (size_t e = 0; e < a->inner; e++)
                to[e] += f * from[e];
        }
        for (size_t e = 0; e < a->inner && a->w->outside[i]; e++)
            to[e] = a->extrapolation;
    }
}

static double *resize_one(const struct bnr_args *a, const struct bnr_resize *r, int axis,
                          const int64_t *dims, const double *v, enum bnr_status *status) {
    const size_t outer = bnr__dims_product(dims, 0, axis);
    struct bnr_resize_axis w;
    struct along along = {.w = &w,
                          .v = v,
                          .extrapolation = r->extrapolation,
                          .n = (size_t)r->in[axis],
                          .m = (size_t)r->out[axis],
                          .inner = bnr__dims_product(dims, axis + 1, r->rank)};
    *status = bnr__resize_axis(a, r, axis, &w);
    if (*status != BNR_OK)
        return NULL;
    along.y = bnr__temp_f64(a, outer * along.m * along.inner);
    *status = along.y ? BNR_OK : BNR_NO_MEMORY;
    const size_t rows = along.inner == 1 ? outer : outer * along.m;
    const size_t work = (along.inner == 1 ? along.m : along.inner) * (size_t)w.taps + 1;
    if (along.y)
        bnr__parallel_for(a->pool, rows, GRAIN / work + 1, resize_rows, &along);
    return along.y;
}

struct finished {
    struct bnr_tensor *y;
    const double *v;
};

static void finish(void *cx, size_t begin, size_t end) {
    enum { PART = 256 };
    const struct finished *f = cx;
    double part[PART];
    for (size_t at = begin; at < end; at += PART) {
        const size_t n = end - at < PART ? end - at : PART;
        const bool whole = !bnr__dtype_is_float(f->y->dtype);
        for (size_t i = 0; i < n && whole; i++)
            part[i] = rint(f->v[at + i]);
        bnr__store_f64(f->y->dtype, bnr__at_mut(f->y, at), whole ? part : f->v + at, n);
    }
}

static enum bnr_status interpolate(const struct bnr_args *a, const struct bnr_resize *r,
                                   struct bnr_tensor *y) {
    const struct bnr_tensor *x = a->in[0];
    int64_t dims[BNR_MAX_RANK];
    enum bnr_status status;
    const double *v = bnr__all_f64(a, x);
    if (!v)
        return BNR_NO_MEMORY;
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < r->rank; i++) {
        if (!r->resized[i])
            continue;
        v = resize_one(a, r, i, dims, v, &status);
        if (!v)
            return status;
        dims[i] = r->out[i];
    }
    struct finished f = {.y = y, .v = v};
    bnr__parallel_for(a->pool, y->numel, GRAIN, finish, &f);
    return BNR_OK;
}

// Elements of any dtype, moved.
struct picked {
    const struct bnr_resize *r;
    const struct bnr_resize_axis *w;
    const struct bnr_tensor *x;
    struct bnr_tensor *y;
};

static void pick_rows(void *cx, size_t begin, size_t end) {
    const struct picked *p = cx;
    const struct bnr_resize *r = p->r;
    const int last = r->rank - 1;
    const size_t size = bnr__dtype_size(p->x->dtype), width = (size_t)r->out[last];
    const float beyond = (float)r->extrapolation;
    for (size_t row = begin; row < end; row++) {
        size_t rest = row, from = 0, stride = (size_t)r->in[last];
        bool out = false;
        for (int d = last - 1; d >= 0; d--) {
            const size_t at = rest % (size_t)r->out[d];
            from += (size_t)p->w[d].index[at] * stride;
            out |= p->w[d].outside[at];
            stride *= (size_t)r->in[d];
            rest /= (size_t)r->out[d];
        }
        char *to = bnr__at_mut(p->y, row * width);
        const char *src = bnr__at(p->x, from);
        const int64_t *index = p->w[last].index;
        for (size_t i = 0; i < width; i++) {
            if ((out || p->w[last].outside[i]) && p->x->dtype != BNR_STRING)
                bnr__store_f32(p->y->dtype, to + i * size, &beyond, 1);
            else if (size == sizeof(float))
                memcpy(to + i * sizeof(float), src + (size_t)index[i] * sizeof(float), sizeof(float));
            else
                memcpy(to + i * size, src + (size_t)index[i] * size, size);
        }
    }
}

static enum bnr_status pick(const struct bnr_args *a, const struct bnr_resize *r,
                            struct bnr_tensor *y) {
    struct bnr_resize_axis w[BNR_MAX_RANK];
    struct picked p = {.r = r, .w = w, .x = a->in[0], .y = y};
    if (r->rank == 0) {
        memcpy(y->data, a->in[0]->data, bnr__dtype_size(y->dtype));
        return BNR_OK;
    }
    for (int i = 0; i < r->rank; i++)
        BNR_TRY(bnr__resize_axis(a, r, i, &w[i]));
    const size_t width = (size_t)r->out[r->rank - 1];
    bnr__parallel_for(a->pool, y->numel / width, GRAIN / width + 1, pick_rows, &p);
    return BNR_OK;
}

enum bnr_status bnr__resize_run(const struct bnr_args *a, const struct bnr_resize *r) {
    struct bnr_tensor *y = a->out[0];
    if (y->numel == 0)
        return BNR_OK;
    return r->mode == BNR_RESIZE_NEAREST ? pick(a, r, y) : interpolate(a, r, y);
}
