// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/prepare_window.h"

// What an axis that does not exist is like.
static const struct bnr_window_axis one = {
    .in = 1, .out = 1, .kernel = 1, .stride = 1, .dilation = 1};

void bnr__plane_shape(const struct bnr_window *w, struct bnr_plane_shape *s) {
    for (int i = 0; i < 2; i++) {
        const int from = i - (2 - w->rank);
        const struct bnr_window_axis *a = from < 0 ? &one : &w->axis[from];
        s->in[i] = (size_t)a->in;
        s->out[i] = (size_t)a->out;
        s->kernel[i] = (size_t)a->kernel;
        s->stride[i] = (size_t)a->stride;
        s->dilation[i] = (size_t)a->dilation;
        s->pad[i] = (size_t)a->begin;
    }
}

void bnr__window_shape(const struct bnr_window *w, struct bnr_window_shape *s) {
    for (int i = 0; i < BNR_WINDOW_AXES; i++) {
        const int from = i - (BNR_WINDOW_AXES - w->rank);
        const struct bnr_window_axis *a = from < 0 ? &one : &w->axis[from];
        s->in[i] = (size_t)a->in;
        s->out[i] = (size_t)a->out;
        s->kernel[i] = (size_t)a->kernel;
        s->stride[i] = (size_t)a->stride;
        s->dilation[i] = (size_t)a->dilation;
        s->pad[i] = (size_t)a->begin;
    }
}

void bnr__conv_shape(const struct bnr_conv *c, struct bnr_conv_shape *s) {
    const struct bnr_window *w = &c->window;
    *s = (struct bnr_conv_shape){.batch = (size_t)c->batch,
                                 .groups = (size_t)c->group,
                                 .cin = (size_t)c->group_in,
                                 .cout = (size_t)c->group_out};
    for (int i = 0; i < BNR_CONV_AXES; i++) {
        const int from = i - (BNR_CONV_AXES - w->rank);
        const struct bnr_window_axis *a = from < 0 ? &one : &w->axis[from];
        s->in[i] = (size_t)a->in;
        s->out[i] = (size_t)a->out;
        s->kernel[i] = (size_t)a->kernel;
        s->stride[i] = (size_t)a->stride;
        s->dilation[i] = (size_t)a->dilation;
        s->pad[i] = (size_t)a->begin;
    }
}
