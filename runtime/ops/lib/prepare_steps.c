// SPDX-License-Identifier: Apache-2.0
// Element-wise operators and chains of them by eltwise_f32.
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"

struct state {
    struct bnr_eltwise e;
    const struct bnr_eltwise_f32 *kernels;
    size_t rows, cols;
    int src; // index into a->in
    struct bnr_step_operands operands;
};

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    bnr__steps_operands(&st->operands, a, operands);
    const struct bnr_eltwise_run r = {
        .e = &st->e,
        .kernels = st->kernels,
        .dst = a->out[0]->f32,
        .src = a->in[st->src]->f32,
        .operands = operands,
        .rows = st->rows,
        .cols = st->cols,
    };
    bnr__eltwise_f32_run(&r, a->pool);
}

// The input that has the dims of the output; -1: none, or not float32.
static int find_source(const struct bnr_prepare *cx) {
    const struct bnr_type *out = &cx->out[0]->type;
    for (int i = 0; i < cx->node->n_in; i++) {
        const struct bnr_type *t = cx->in[i] ? &cx->in[i]->type : NULL;
        if (!t || t->dtype != BNR_FLOAT || t->shape.rank != out->shape.rank)
            continue;
        bool same = true;
        for (int d = 0; d < out->shape.rank; d++)
            same = same && t->shape.dims[d].n == out->shape.dims[d].n;
        if (same)
            return i;
    }
    return -1;
}

enum bnr_status bnr__prepare_steps(struct bnr_prepare *cx) {
    struct bnr_steps s;
    int64_t dims[BNR_MAX_RANK];
    const int src = find_source(cx);
    if (src < 0 || cx->out[0]->type.dtype != BNR_FLOAT)
        return BNR_OK;
    bnr__shape_numbers(&cx->out[0]->type.shape, dims);
    bnr__steps_init(&s, cx, cx->out[0]->type.shape.rank, dims, 0);
    s.chained = src;
    if (s.numel == 0 || !bnr__steps_block(&s) || !cx->node->op->step(&s, cx->node))
        return BNR_OK;
    bnr__steps_take_members(&s);
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st)
        return bnr__no_memory(cx->err);
    st->e = s.e;
    st->kernels = bnr__eltwise_f32_select(cx->cpu);
    st->cols = s.cols ? s.cols : s.numel;
    st->rows = s.blocked.lanes ? s.blocked.batch * s.blocked.blocks : s.numel / st->cols;
    st->src = src;
    st->operands = s.operands;
    cx->overwrites = src;
    if (s.blocked.lanes && src < 64) {
        cx->blocked_in |= (uint64_t)1 << src;
        cx->blocked_out = 1;
    }
    cx->kernel = bnr__arena_printf(cx->arena, "eltwise_f32_%s", st->kernels->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
