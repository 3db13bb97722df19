// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/conv.h"

#include "runtime/ops/lib/compute.h"

struct job {
    const struct bnr_conv *conv;
    struct bnr_window window; // with the roles of x and y as the loops need them
    const double *x, *w, *bias;
    double *y;
};

// y[o] += k[tap] * x[i] for every pair of positions that a tap connects.
static void accumulate(const struct job *j, const double *x, const double *k, double *y) {
    const struct bnr_window *w = &j->window;
    const int64_t taps = bnr__window_taps(w);
    struct bnr_window_run r;
    for (int64_t t = 0; t < taps; t++) {
        const double kt = k[t];
        for (bool ok = bnr__window_first(w, t, &r); ok; ok = bnr__window_next(w, &r)) {
            if (j->conv->transposed) {
                for (size_t i = 0; i < r.count; i++)
                    y[r.x + i * r.step] += kt * x[r.y + i];
            } else if (r.step == 1) {
                for (size_t i = 0; i < r.count; i++)
                    y[r.y + i] += kt * x[r.x + i];
            } else {
                for (size_t i = 0; i < r.count; i++)
                    y[r.y + i] += kt * x[r.x + i * r.step];
            }
        }
    }
}

static void run_channels(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct bnr_conv *c = j->conv;
    const struct bnr_window *w = &c->window;
    const size_t taps = (size_t)bnr__window_taps(w);
    const size_t in = (size_t)bnr__window_in_numel(w), out = (size_t)bnr__window_out_numel(w);
    const size_t group_in = (size_t)c->group_in, group_out = (size_t)c->group_out;
    for (size_t o = begin; o < end; o++) {
        const size_t g = o / group_out;
        double *y = j->y + o * out;
        const double b = j->bias ? j->bias[o] : 0;
        for (size_t i = 0; i < out; i++)
            y[i] = b;
        for (size_t i = 0; i < group_in; i++) {
            const size_t channel = g * group_in + i;
            const size_t k = c->transposed ? channel * group_out + o % group_out : o * group_in + i;
            accumulate(j, j->x + channel * in, j->w + k * taps, y);
        }
    }
}

void bnr__conv_f64(const struct bnr_conv *c, const double *x, const double *w, const double *bias,
                   double *y, struct bnr_pool *pool) {
    struct job j = {.conv = c, .x = x, .w = w, .bias = bias, .y = y};
    j.window = c->transposed ? bnr__window_transpose(&c->window) : c->window;
    bnr__parallel_for(pool, (size_t)c->out_channels, 1, run_channels, &j);
}

// in_channels, out_channels and the group's share of both from X's and W's channel dims.
static enum bnr_status channels(const struct bnr_node *n, int64_t xc, int64_t w0, int64_t w1,
                                struct bnr_conv *c, struct bnr_error *err) {
    const int64_t g = c->group;
    const int64_t split = c->transposed ? (w0 >= 0 ? w0 : xc) : w0; // must be a multiple of group
    if (split >= 0 && split % g != 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "%lld %s channels do not divide into %lld groups",
                            (long long)split, c->transposed ? "input" : "output", (long long)g);
    if (c->transposed && w1 > INT64_MAX / g)
        return bnr__op_fail(n, err, BNR_SHAPE, "%lld groups of %lld channels: too many",
                            (long long)g, (long long)w1);
    const int64_t wanted = c->transposed        ? w0
                           : w1 < 0             ? -1
                           : w1 > INT64_MAX / g ? INT64_MAX
                                                : w1 * g;
    if (xc >= 0 && wanted >= 0 && xc != wanted)
        return bnr__op_fail(
            n, err, BNR_SHAPE,
            "the input has %lld channels, but the weight (with %lld groups) expects %lld",
            (long long)xc, (long long)g, (long long)wanted);
    c->in_channels = xc >= 0 ? xc : wanted;
    c->out_channels = c->transposed ? (w1 < 0 ? -1 : w1 * g) : w0;
    c->group_in = c->in_channels < 0 ? -1 : c->in_channels / g;
    c->group_out = c->out_channels < 0 ? -1 : c->out_channels / g;
    return BNR_OK;
}

enum bnr_status bnr__conv_geometry(const struct bnr_node *n, const struct bnr_shape *x,
                                   const struct bnr_shape *w, bool transposed, struct bnr_conv *c,
                                   struct bnr_error *err) {
    *c = (struct bnr_conv){.transposed = transposed, .window.rank = -1};
    c->group = bnr__attr_int(n, "group", 1);
    if (c->group < 1)
        return bnr__op_fail(n, err, BNR_SHAPE, "group is %lld, expected 1 or more",
                            (long long)c->group);
    const int rank = x->rank >= 0 ? x->rank : w->rank;
    if (rank < 0)
        return BNR_OK;
    if (rank < 3)
        return bnr__op_fail(n, err, BNR_SHAPE, "the input has rank %d, expected 3 or more", rank);
    if (w->rank >= 0 && w->rank != rank)
        return bnr__op_fail(n, err, BNR_SHAPE, "the weight has rank %d, but the input has %d",
                            w->rank, rank);
    struct bnr_shape xs = *x, ws = *w;
    for (int i = 0; i < rank; i++) {
        if (x->rank < 0)
            xs.dims[i] = (struct bnr_dim){.n = -1};
        if (w->rank < 0)
            ws.dims[i] = (struct bnr_dim){.n = -1};
    }
    c->batch = xs.dims[0].n;
    BNR_TRY(channels(n, xs.dims[1].n, ws.dims[0].n, ws.dims[1].n, c, err));
    BNR_TRY(bnr__window_attrs(n, rank - 2, ws.dims + 2, &c->window, err));
    return transposed ? bnr__window_size_transposed(n, xs.dims + 2, &c->window, err)
                      : bnr__window_size(n, xs.dims + 2, &c->window, err);
}

enum bnr_status bnr__conv_of(const struct bnr_node *n, const struct bnr_tensor *x,
                             const struct bnr_tensor *w, bool transposed, struct bnr_conv *c,
                             struct bnr_error *err) {
    const struct bnr_shape xs = bnr__shape_of(x->rank, x->dims),
                           ws = bnr__shape_of(w->rank, w->dims);
    return bnr__conv_geometry(n, &xs, &ws, transposed, c, err);
}

enum bnr_status bnr__conv_infer(struct bnr_infer *cx, struct bnr_conv_inputs in,
                                enum bnr_dtype dtype) {
    const struct bnr_type *x = bnr__infer_in(cx, in.x), *w = bnr__infer_in(cx, in.w);
    const struct bnr_shape unknown = bnr__shape_unknown();
    struct bnr_conv c;
    BNR_TRY(bnr__conv_geometry(cx->node, x ? &x->shape : &unknown, w ? &w->shape : &unknown,
                               in.transposed, &c, cx->err));
    struct bnr_shape y = {.rank = c.window.rank < 0 ? -1 : c.window.rank + 2};
    if (y.rank > 0) {
        y.dims[0] = x && x->shape.rank > 0 ? x->shape.dims[0] : (struct bnr_dim){.n = -1};
        y.dims[1].n = c.out_channels;
        for (int i = 0; i < c.window.rank; i++)
            y.dims[i + 2].n = c.window.axis[i].out;
        BNR_TRY(bnr__infer_length(cx, in.b, y.dims[1]));
    }
    bnr__infer_set(cx, 0, dtype, &y);
    return BNR_OK;
}

int bnr__conv_out_dims(const struct bnr_conv *c, int64_t dims[BNR_MAX_RANK]) {
    dims[0] = c->batch;
    dims[1] = c->out_channels;
    for (int i = 0; i < c->window.rank; i++)
        dims[i + 2] = c->window.axis[i].out;
    return c->window.rank + 2;
}

enum bnr_status bnr__conv_ref(const struct bnr_args *a, bool transposed) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_tensor *y;
    struct bnr_conv c;
    int64_t dims[BNR_MAX_RANK];
    BNR_TRY(bnr__conv_of(a->node, x, a->in[1], transposed, &c, a->err));
    BNR_TRY(bnr__out(a, 0, x->dtype, bnr__conv_out_dims(&c, dims), dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const size_t in = x->numel / (size_t)c.batch, out = y->numel / (size_t)c.batch;
    const struct bnr_tensor *b = bnr__in(a, 2);
    const double *w = bnr__all_f64(a, a->in[1]), *bias = bnr__all_f64(a, b);
    double *xd = bnr__temp_f64(a, in), *yd = bnr__temp_f64(a, out);
    if (!w || (b && !bias) || !xd || !yd)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < (size_t)c.batch; i++) {
        bnr__load_f64(xd, x->dtype, bnr__at(x, i * in), in);
        bnr__conv_f64(&c, xd, w, bias, yd, a->pool);
        bnr__store_f64(y->dtype, bnr__at_mut(y, i * out), yd, out);
    }
    return BNR_OK;
}
