// SPDX-License-Identifier: Apache-2.0
// BatchNormalization with given statistics by eltwise_f32: (x - mean) * s + B, s = scale / sqrt(var
// + epsilon) computed in double with every run. Subtracting first keeps the digits of x where the
// mean is large; s * x + t would lose them.
#include <math.h>

#include "graph/affine.h"
#include "runtime/base/checked.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"

struct state {
    const struct bnr_eltwise_f32 *kernels;
    size_t rows, cols, channels;
    enum bnr_eltwise_form form;
    double epsilon;
};

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *scale = a->in[1]->f32, *mean = a->in[3]->f32, *var = a->in[4]->f32;
    float *s = a->scratch;
    for (size_t i = 0; i < st->channels; i++)
        s[i] = (float)((double)scale[i] / sqrt((double)var[i] + st->epsilon));
    struct bnr_eltwise e = {.n = 2, .channels = st->channels};
    e.step[0] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_SUB, .form = st->form};
    e.step[1] = (struct bnr_eltwise_step){
        .kind = BNR_ELTWISE_AFFINE, .form = st->form, .s = s, .t = a->in[2]->f32};
    const struct bnr_eltwise_run r = {
        .e = &e,
        .kernels = st->kernels,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .operands = &mean,
        .rows = st->rows,
        .cols = st->cols,
    };
    bnr__eltwise_f32_run(&r, a->pool);
}

static bool is_covered(const struct bnr_prepare *cx) {
    const struct bnr_node *n = cx->node;
    for (int i = 0; i < 5; i++) {
        if (cx->in[i]->type.dtype != BNR_FLOAT)
            return false;
    }
    for (int i = 1; i < n->n_out; i++) {
        if (cx->out[i])
            return false;
    }
    const bool spatial = n->since >= 9 || bnr__attr_int(n, "spatial", 1) != 0;
    return spatial && !bnr__batch_norm_trains(n) && cx->in[0]->type.shape.rank >= 2;
}

enum bnr_status bnr__prepare_batch_norm(struct bnr_prepare *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    if (!is_covered(cx))
        return BNR_OK;
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st)
        return bnr__no_memory(cx->err);
    st->channels = (size_t)x->dims[1].n;
    st->rows = (size_t)x->dims[0].n * st->channels;
    st->cols = 1;
    for (int i = 2; i < x->rank; i++)
        st->cols *= (size_t)x->dims[i].n;
    st->form = BNR_FORM_CHANNEL;
    if (st->cols == 1) {
        st->form = BNR_FORM_COLUMN;
        st->cols = st->channels;
        st->rows = (size_t)x->dims[0].n;
    }
    st->kernels = bnr__eltwise_f32_select(cx->cpu);
    st->epsilon = (double)bnr__attr_float(cx->node, "epsilon", 1e-5f);
    if (!bnr__size_mul(st->channels, sizeof(float), &cx->scratch))
        return BNR_OK;
    cx->kernel = bnr__arena_printf(cx->arena, "eltwise_f32_%s", st->kernels->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
