// SPDX-License-Identifier: Apache-2.0
// bnrun.ConvGradient(x, w, dy): dx and dw of a Conv with the same attributes, or with `transposed` of
// a ConvTranspose.
#include <string.h>

#include "graph/affine.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/conv.h"

static bool is_transposed(const struct bnr_node *n) {
    return bnr__attr_int(n, "transposed", 0) != 0;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_node conv = bnr__node_since(cx->node);
    struct bnr_conv c;
    BNR_TRY(bnr__infer_tensors(cx, 0, 2, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__conv_geometry(&conv, &cx->in[0]->type.shape, &cx->in[1]->type.shape,
                               is_transposed(cx->node), &c, cx->err));
    for (int i = 0; i < 2; i++)
        bnr__infer_set(cx, i, bnr__infer_in_dtype(cx, i), &cx->in[i]->type.shape);
    return BNR_OK;
}

struct job {
    struct bnr_conv conv;
    struct bnr_window window; // over the larger one of x and dy
    const double *x, *w, *dy;
    double *dx, *dw;
};

// Both gradients of plane k of the weights: each pair of positions that a tap connects. A transposed
// convolution has its windows over dy.
static void plane(const struct job *j, const double *x, const double *dy, size_t k, double *dx) {
    const struct bnr_window *w = &j->window;
    const size_t taps = (size_t)bnr__window_taps(w);
    struct bnr_window_run r;
    for (size_t t = 0; t < taps; t++) {
        const double kt = j->w[k * taps + t];
        double sum = 0;
        for (bool ok = bnr__window_first(w, (int64_t)t, &r); ok; ok = bnr__window_next(w, &r))
            for (size_t i = 0; i < r.count; i++) {
                const size_t wide = r.x + i * r.step, narrow = r.y + i;
                const size_t at = j->conv.transposed ? narrow : wide;
                const double d = dy[j->conv.transposed ? wide : narrow];
                sum += d * x[at];
                dx[at] += d * kt;
            }
        j->dw[k * taps + t] += sum;
    }
}

// Groups share nothing.
static void groups(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct bnr_conv *c = &j->conv;
    const size_t in = (size_t)bnr__window_in_numel(&c->window);
    const size_t out = (size_t)bnr__window_out_numel(&c->window);
    const size_t gi = (size_t)c->group_in, go = (size_t)c->group_out;
    for (size_t g = begin; g < end; g++)
        for (size_t b = 0; b < (size_t)c->batch; b++)
            for (size_t o = g * go; o < (g + 1) * go; o++)
                for (size_t i = g * gi; i < (g + 1) * gi; i++) {
                    const size_t from = (b * (size_t)c->in_channels + i) * in;
                    plane(j, j->x + from, j->dy + (b * (size_t)c->out_channels + o) * out,
                          c->transposed ? i * go + o - g * go : o * gi + i - g * gi, j->dx + from);
                }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *w = a->in[1], *dy = a->in[2];
    int64_t dims[BNR_MAX_RANK];
    const struct bnr_node conv = bnr__node_since(a->node);
    struct bnr_tensor *dx, *dw;
    struct job j;
    BNR_TRY(bnr__conv_of(&conv, x, w, is_transposed(a->node), &j.conv, a->err));
    j.window = j.conv.transposed ? bnr__window_transpose(&j.conv.window) : j.conv.window;
    const int rank = bnr__conv_out_dims(&j.conv, dims);
    if (dy->rank != rank || memcmp(dy->dims, dims, (size_t)rank * sizeof(*dims)) != 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "dy has not the dims of the convolution");
    BNR_TRY(bnr__out_like(a, 0, x, &dx));
    BNR_TRY(bnr__out_like(a, 1, w, &dw));
    j.x = bnr__all_f64(a, x);
    j.w = bnr__all_f64(a, w);
    j.dy = bnr__all_f64(a, dy);
    j.dx = bnr__temp_f64(a, x->numel);
    j.dw = bnr__temp_f64(a, w->numel);
    if (!j.x || !j.w || !j.dy || !j.dx || !j.dw)
        return BNR_NO_MEMORY;
    if (dy->numel > 0 && x->numel > 0 && w->numel > 0)
        bnr__parallel_for(a->pool, (size_t)j.conv.group, 1, groups, &j);
    if (dx)
        bnr__store_f64(dx->dtype, dx->data, j.dx, dx->numel);
    if (dw)
        bnr__store_f64(dw->dtype, dw->data, j.dw, dw->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(conv_gradient) = {
    .domain = BNR_INTERNAL_DOMAIN,
    .name = "ConvGradient",
    .since = {1},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 2,
    .attrs = "auto_pad:s dilations:I group:i kernel_shape:I output_padding:I output_shape:I pads:I "
             "since:i strides:I transposed:i",
    .infer = infer,
    .ref = ref,
};
