// SPDX-License-Identifier: Apache-2.0
// DeformConv (ai.onnx 19, 22): a convolution whose taps are moved by offsets (one vector for each
// tap and output position, in groups of input channels), sampled linearly with zeros outside, and
// weighted by mask.
#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/matmul.h"
#include "runtime/ops/lib/sample.h"

enum { X, W, OFFSET, B, MASK };

// Input i is [N, channels, output dims...].
static enum bnr_status check_field(struct bnr_infer *cx, int i, const char *name,
                                   const struct bnr_conv *c, int64_t channels) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    if (!t || t->shape.rank < 0)
        return BNR_OK;
    BNR_TRY(bnr__infer_rank(cx, i, c->window.rank + 2, c->window.rank + 2));
    for (int d = 0; d < t->shape.rank; d++) {
        const int64_t want = d == 0 ? c->batch : d == 1 ? channels : c->window.axis[d - 2].out;
        const int64_t have = t->shape.dims[d].n;
        if (have >= 0 && want >= 0 && have != want)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "%s has %lld in dim %d, expected %lld", name, (long long)have, d,
                                (long long)want);
    }
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, X), *w = bnr__infer_in(cx, W);
    const int64_t groups = bnr__attr_int(cx->node, "offset_group", 1);
    struct bnr_conv c;
    BNR_TRY(bnr__infer_tensors(cx, X, MASK, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__conv_geometry(cx->node, &x->shape, &w->shape, false, &c, cx->err));
    if (groups < 1 || (c.in_channels >= 0 && c.in_channels % groups != 0))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "%lld channels do not divide into %lld offset groups",
                            (long long)c.in_channels, (long long)groups);
    int64_t taps = groups;
    for (int i = 0; i < c.window.rank; i++) {
        const int64_t k = c.window.axis[i].kernel;
        taps = taps < 0 || k < 0 || taps > ((int64_t)1 << 40) / k ? -1 : taps * k;
    }
    if (c.window.rank >= 0) {
        BNR_TRY(check_field(cx, OFFSET, "offset", &c, taps < 0 ? -1 : taps * c.window.rank));
        BNR_TRY(check_field(cx, MASK, "mask", &c, taps));
    }
    return bnr__conv_infer(cx, (struct bnr_conv_inputs){.x = X, .w = W, .b = B}, x->dtype);
}

struct job {
    const struct bnr_conv *c;
    struct bnr_sampler s;
    size_t groups, taps, in, out;    // offset groups; elements of a channel
    const double *x, *offset, *mask; // of one image; mask may be NULL
    double *columns;                 // [channels, taps, out]
};

// Position of output o for a tap, before its offset.
static void regular_position(const struct bnr_window *w, size_t tap, size_t o, double *p) {
    for (int i = w->rank - 1; i >= 0; i--) {
        const struct bnr_window_axis *a = &w->axis[i];
        p[i] = (double)((int64_t)(o % (size_t)a->out) * a->stride +
                        (int64_t)(tap % (size_t)a->kernel) * a->dilation - a->begin);
        o /= (size_t)a->out;
        tap /= (size_t)a->kernel;
    }
}

// Row number g * taps + t of the columns: one offset group's tap, all its channels.
static void sample_rows(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct bnr_window *w = &j->c->window;
    const size_t channels = (size_t)j->c->in_channels / j->groups, rank = (size_t)w->rank;
    double p[BNR_MAX_RANK];
    struct bnr_sample at;
    for (size_t row = begin; row < end; row++)
        for (size_t o = 0; o < j->out; o++) {
            const size_t g = row / j->taps, t = row % j->taps;
            const double m = j->mask ? j->mask[row * j->out + o] : 1;
            regular_position(w, t, o, p);
            for (size_t i = 0; i < rank; i++)
                p[i] += j->offset[(row * rank + i) * j->out + o];
            bnr__sample_prepare(&j->s, p, &at);
            for (size_t c = g * channels; c < (g + 1) * channels; c++)
                j->columns[(c * j->taps + t) * j->out + o] =
                    m * bnr__sample_value(&j->s, &at, j->x + c * j->in);
        }
}

// y [M, out] = w times the columns, group by group, plus bias.
static void multiply(const struct job *j, const double *w, const double *bias, double *y,
                     struct bnr_pool *pool) {
    const size_t m = (size_t)j->c->group_out, k = (size_t)j->c->group_in * j->taps;
    for (size_t g = 0; g < (size_t)j->c->group; g++) {
        const struct bnr_matmul p = {
            .m = m, .n = j->out, .k = k, .b_dtype = BNR_DOUBLE, .b = j->columns + g * k * j->out};
        bnr__matmul_f64(&p, w + g * m * k, y + g * m * j->out, pool);
    }
    for (size_t i = 0; bias && i < (size_t)j->c->out_channels * j->out; i++)
        y[i] += bias[i / j->out];
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[X], *b = bnr__in(a, B), *mask = bnr__in(a, MASK);
    struct bnr_conv c;
    struct bnr_tensor *y;
    int64_t dims[BNR_MAX_RANK];
    BNR_TRY(bnr__conv_of(a->node, x, a->in[W], false, &c, a->err));
    BNR_TRY(bnr__out(a, 0, x->dtype, bnr__conv_out_dims(&c, dims), dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    struct job j = {.c = &c, .s = {.rank = c.window.rank, .mode = BNR_SAMPLE_LINEAR}};
    j.groups = (size_t)bnr__attr_int(a->node, "offset_group", 1);
    j.taps = (size_t)bnr__window_taps(&c.window);
    j.in = (size_t)bnr__window_in_numel(&c.window);
    j.out = (size_t)bnr__window_out_numel(&c.window);
    for (int i = 0; i < c.window.rank; i++)
        j.s.dims[i] = c.window.axis[i].in;
    const size_t batch = (size_t)c.batch, channels = (size_t)c.in_channels;
    const size_t out_image = (size_t)c.out_channels * j.out, rows = j.groups * j.taps;
    const double *xd = bnr__all_f64(a, x), *w = bnr__all_f64(a, a->in[W]),
                 *bias = bnr__all_f64(a, b);
    const double *offset = bnr__all_f64(a, a->in[OFFSET]), *md = bnr__all_f64(a, mask);
    j.columns = bnr__temp_f64(a, channels * j.taps * j.out);
    double *yd = bnr__temp_f64(a, out_image);
    if (!xd || !w || !offset || (b && !bias) || (mask && !md) || !j.columns || !yd)
        return BNR_NO_MEMORY;
    for (size_t n = 0; n < batch; n++) {
        j.x = xd + n * channels * j.in;
        j.offset = offset + n * rows * (size_t)c.window.rank * j.out;
        j.mask = md ? md + n * rows * j.out : NULL;
        bnr__parallel_for(a->pool, rows, 1, sample_rows, &j);
        multiply(&j, w, bias, yd, a->pool);
        bnr__store_f64(y->dtype, bnr__at_mut(y, n * out_image), yd, out_image);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(deform_conv) = {
    .domain = "",
    .name = "DeformConv",
    .since = {19, 22},
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = "dilations:I group:i kernel_shape:I offset_group:i pads:I strides:I",
    .infer = infer,
    .ref = ref,
};
