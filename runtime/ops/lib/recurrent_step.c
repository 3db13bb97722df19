// SPDX-License-Identifier: Apache-2.0
// One step of recurrent operators: a product of the states with R, and element-wise work.
#include "runtime/ops/lib/recurrent_step.h"

#include <math.h>
#include <string.h>

// dst[n, rows of the part] = src[n, hidden] * R of the part.
static void multiply(const struct bnr_rnn_task *t, int part, float *dst, const float *src) {
    const struct bnr_rnn_state *st = t->st;
    const struct bnr_rnn_weight *w = &st->r;
    struct bnr_matmul_f32 m = t->n == st->block ? w->whole[part] : w->rest[part];
    const char *packed = w->packed ? w->packed : (const char *)t->a->scratch + w->scratch;
    packed += (size_t)t->direction * (w->bytes[0] + w->bytes[1]) + (part ? w->bytes[0] : 0);
    m.packed_b = (const float *)packed;
    const struct bnr_matmul_f32_run r = {.c = &m, .dst = dst, .a = src, .scratch = t->scratch};
    bnr__matmul_f32_run(&r, t->pool);
}

// Function k of the direction on n rows of cols elements, ld apart.
static void activate(const struct bnr_rnn_task *t, int k, float *dst, const float *src, size_t ld,
                     size_t cols) {
    const struct bnr_recurrent *rnn = &t->st->rnn;
    const struct bnr_activation *f = &rnn->f[t->direction * rnn->functions + k];
    struct bnr_eltwise e = {.channels = 1};
    if (rnn->clip < HUGE_VAL)
        e.step[e.n++] = (struct bnr_eltwise_step){
            .kind = BNR_ELTWISE_CLAMP, .p = -(float)rnn->clip, .q = (float)rnn->clip};
    e.step[e.n++] = (struct bnr_eltwise_step){
        .kind = (enum bnr_eltwise_kind)f->kind, .p = (float)f->alpha, .q = (float)f->beta};
    if (f->kind == BNR_ELTWISE_CLAMP) {
        e.step[e.n - 1].p = 0;
        e.step[e.n - 1].q = INFINITY;
    } else if (f->kind == BNR_ELTWISE_ELU) {
        e.step[e.n - 1].q = 1;
    }
    const struct bnr_eltwise_tile tile = {
        .dst = dst, .src = src, .ld = ld, .rows = t->n, .cols = cols};
    t->st->eltwise->tile(&e, NULL, &tile);
}

static const int32_t *lengths_of(const struct bnr_args *a) {
    return bnr__in(a, BNR_RNN_LENGTHS) ? a->in[BNR_RNN_LENGTHS]->i32 : NULL;
}

bool bnr__rnn_time(const struct bnr_rnn_task *t, size_t i, size_t s, size_t *time) {
    const struct bnr_recurrent *rnn = &t->st->rnn;
    const int32_t *lengths = lengths_of(t->a);
    const size_t steps = lengths ? (size_t)lengths[t->first + i] : (size_t)rnn->steps;
    *time = t->direction == 1 || rnn->reverse ? steps - 1 - s : s;
    return s < steps;
}

// The row of xw and y for that time, in the order in which X has them; any row behind the end.
static const float *inputs_of(const struct bnr_rnn_task *t, size_t i, size_t s) {
    const struct bnr_recurrent *rnn = &t->st->rnn;
    size_t time;
    if (!bnr__rnn_time(t, i, s, &time))
        time = 0;
    const size_t b = t->first + i;
    const size_t row =
        rnn->batch_first ? b * (size_t)rnn->steps + time : time * (size_t)rnn->batch + b;
    return t->xw + row * (size_t)(rnn->gates * rnn->hidden);
}

static void add(float *restrict dst, const float *restrict x, size_t n) {
    for (size_t j = 0; j < n; j++)
        dst[j] += x[j];
}

static void add_scaled(float *restrict dst, const float *restrict x, const float *restrict y,
                       size_t n) {
    for (size_t j = 0; j < n; j++)
        dst[j] += x[j] * y[j];
}

static void rnn_step(const struct bnr_rnn_task *t, size_t s) {
    const size_t h = (size_t)t->st->rnn.hidden;
    multiply(t, 0, t->g, t->h);
    for (size_t i = 0; i < t->n; i++)
        add(t->g + i * h, inputs_of(t, i, s), h);
    activate(t, 0, t->g, t->g, h, h);
    for (size_t i = 0; i < t->n; i++) {
        size_t time;
        if (bnr__rnn_time(t, i, s, &time))
            memcpy(t->h + i * h, t->g + i * h, h * sizeof *t->h);
    }
}

// g: z, r (and h) of each sequence; last: the new state.
static void gru_step(const struct bnr_rnn_task *t, size_t s) {
    const struct bnr_rnn_state *st = t->st;
    const size_t h = (size_t)st->rnn.hidden, ld = st->linear ? 3 * h : 2 * h;
    multiply(t, 0, t->g, t->h);
    for (size_t i = 0; i < t->n; i++)
        add(t->g + i * ld, inputs_of(t, i, s), 2 * h);
    activate(t, 0, t->g, t->g, ld, 2 * h);
    float *reset = t->g + t->n * ld; // r . h, in the third part of g
    for (size_t i = 0; i < t->n; i++) {
        const float *r = t->g + i * ld + h, *old = t->h + i * h;
        for (size_t j = 0; j < h && !st->linear; j++)
            reset[i * h + j] = r[j] * old[j];
    }
    if (!st->linear)
        multiply(t, 1, t->last, reset);
    for (size_t i = 0; i < t->n; i++) {
        float *new = t->last + i *h;
        const float *r = t->g + i * ld + h, *product = r + h;
        for (size_t j = 0; j < h && st->linear; j++)
            new[j] = r[j] * (product[j] + (t->r_bias ? t->r_bias[2 * h + j] : 0));
        add(new, inputs_of(t, i, s) + 2 * h, h);
    }
    activate(t, 1, t->last, t->last, h, h);
    for (size_t i = 0; i < t->n; i++) {
        const float *z = t->g + i * ld, *new = t->last + i *h;
        float *old = t->h + i * h;
        size_t time;
        for (size_t j = 0; bnr__rnn_time(t, i, s, &time) && j < h; j++)
            old[j] = (1 - z[j]) * new[j] + z[j] * old[j];
    }
}

// Gates i, o, f, c.
static void lstm_step(const struct bnr_rnn_task *t, size_t s) {
    const struct bnr_rnn_state *st = t->st;
    const size_t h = (size_t)st->rnn.hidden, ld = 4 * h;
    const float *p = t->peephole;
    multiply(t, 0, t->g, t->h);
    for (size_t i = 0; i < t->n; i++) {
        float *g = t->g + i * ld;
        add(g, inputs_of(t, i, s), 4 * h);
        if (p) {
            add_scaled(g, p, t->c + i * h, h);
            add_scaled(g + 2 * h, p + 2 * h, t->c + i * h, h);
        }
    }
    if (p) { // the output gate looks at the new cell
        activate(t, 0, t->g, t->g, ld, h);
        activate(t, 0, t->g + 2 * h, t->g + 2 * h, ld, h);
    } else {
        activate(t, 0, t->g, t->g, ld, 3 * h);
    }
    activate(t, 1, t->g + 3 * h, t->g + 3 * h, ld, h);
    for (size_t i = 0; i < t->n; i++) {
        float *g = t->g + i * ld, *c = t->last + i * h, *old = t->c + i * h;
        size_t time;
        for (size_t j = 0; j < h && st->coupled; j++)
            g[2 * h + j] = 1 - g[j];
        for (size_t j = 0; j < h; j++)
            c[j] = g[2 * h + j] * old[j] + g[j] * g[3 * h + j];
        if (bnr__rnn_time(t, i, s, &time))
            memcpy(old, c, h * sizeof *old);
        if (p)
            add_scaled(g + h, p + h, c, h);
    }
    if (p)
        activate(t, 0, t->g + h, t->g + h, ld, h);
    activate(t, 2, t->last, t->last, h, h);
    for (size_t i = 0; i < t->n; i++) {
        const float *o = t->g + i * ld + h, *c = t->last + i * h;
        float *y = t->h + i * h;
        size_t time;
        for (size_t j = 0; bnr__rnn_time(t, i, s, &time) && j < h; j++)
            y[j] = o[j] * c[j];
    }
}

void bnr__rnn_step(const struct bnr_rnn_task *t, size_t s) {
    const int gates = t->st->rnn.gates;
    (gates == 1 ? rnn_step : gates == 3 ? gru_step : lstm_step)(t, s);
}
