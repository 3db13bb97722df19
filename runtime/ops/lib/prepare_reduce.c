// SPDX-License-Identifier: Apache-2.0
// Reductions and what scales by them, over any axes, by reduce_f32.
#include <math.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/reduce_f32.h"
#include "runtime/ops/lib/reduce.h"

_Static_assert((int)BNR_REDUCE_F32_RANK >= (int)BNR_MAX_RANK, "merged dims fit");

struct plan {
    struct bnr_reduce_f32 r;
    enum bnr_reduce_fast fast;
    enum bnr_scaling scaling;
};

static float finish_sum(double v, float shift, double p) {
    (void)shift;
    return (float)(v / p);
}

static float finish_root(double v, float shift, double p) {
    (void)shift;
    return (float)sqrt(v / p);
}

static float finish_log(double v, float shift, double p) {
    (void)p;
    return (float)(log(v) + (double)shift);
}

// The largest element as a shift of exponents.
static float finish_shift(double v, float shift, double p) {
    (void)shift, (void)p;
    return isinf(v) ? 0 : (float)v;
}

static float finish_deviation(double v, float shift, double p) {
    (void)shift;
    return (float)(sqrt(v / p) + 1e-9);
}

static float finish_norm(double v, float shift, double p) {
    (void)shift;
    const float norm = (float)(p == 2 ? sqrt(v) : v);
    return norm == 0 ? 1 : norm;
}

// ---- planning -----------------------------------------------------------------------------------

// NULL where the kernels do not apply.
static struct plan *make(struct bnr_prepare *cx, const bool *reduced, enum bnr_status *status) {
    const struct bnr_type *x = &cx->in[0]->type;
    size_t dims[BNR_MAX_RANK];
    *status = BNR_OK;
    if (x->kind != BNR_KIND_TENSOR || x->dtype != BNR_FLOAT)
        return NULL;
    for (int i = 0; i < x->shape.rank; i++) {
        dims[i] = (size_t)x->shape.dims[i].n;
        if (dims[i] == 0)
            return NULL;
    }
    struct plan *p = BNR_NEW(cx->arena, struct plan);
    if (!p)
        *status = bnr__no_memory(cx->err);
    else
        bnr__reduce_f32_plan(&p->r, bnr__reduce_f32_select(cx->cpu), x->shape.rank, dims, reduced);
    return p;
}

static enum bnr_status take(struct bnr_prepare *cx, const struct plan *p, size_t floats,
                            void (*run)(const struct bnr_args *a, const void *state)) {
    size_t bytes;
    if (!bnr__size_mul(floats, sizeof(float), &bytes) ||
        !bnr__size_add(bytes, bnr__reduce_f32_scratch(&p->r) * sizeof(double), &cx->scratch))
        return bnr__no_memory(cx->err);
    cx->kernel = bnr__arena_printf(cx->arena, "reduce_f32_%s", p->r.kernels->isa);
    cx->state = p;
    cx->run = run;
    return BNR_OK;
}

// ---- reductions ---------------------------------------------------------------------------------

static void run_reduce(const struct bnr_args *a, const void *state) {
    static const struct {
        enum bnr_reduce_f32_kind kind;
        float (*finish)(double v, float shift, double p);
    } ways[] = {
        [BNR_FAST_SUM] = {BNR_REDUCE_F32_SUM, finish_sum},
        [BNR_FAST_MEAN] = {BNR_REDUCE_F32_SUM, finish_sum},
        [BNR_FAST_L1] = {BNR_REDUCE_F32_ABS, finish_sum},
        [BNR_FAST_L2] = {BNR_REDUCE_F32_SQUARES, finish_root},
        [BNR_FAST_SUM_SQUARE] = {BNR_REDUCE_F32_SQUARES, finish_sum},
        [BNR_FAST_LOG_SUM] = {BNR_REDUCE_F32_SUM, finish_log},
        [BNR_FAST_LOG_SUM_EXP] = {BNR_REDUCE_F32_EXP, finish_log},
        [BNR_FAST_MAX] = {BNR_REDUCE_F32_MAX, finish_sum},
        [BNR_FAST_MIN] = {BNR_REDUCE_F32_MIN, finish_sum},
    };
    const struct plan *p = state;
    struct bnr_reduce_f32_run run = {.r = &p->r,
                                     .dst = a->out[0]->f32,
                                     .src = a->in[0]->f32,
                                     .p = p->fast == BNR_FAST_MEAN ? (double)p->r.count : 1,
                                     .scratch = a->scratch};
    if (p->fast == BNR_FAST_LOG_SUM_EXP) {
        run.kind = BNR_REDUCE_F32_MAX;
        run.finish = finish_shift;
        bnr__reduce_f32_run(&run, a->pool);
        run.shift = run.dst;
    }
    run.kind = ways[p->fast].kind;
    run.finish = ways[p->fast].finish;
    bnr__reduce_f32_run(&run, a->pool);
}

enum bnr_status bnr__prepare_reduce(struct bnr_prepare *cx, const struct bnr_reduce *op) {
    const int rank = cx->in[0]->type.shape.rank;
    bool reduced[BNR_MAX_RANK];
    enum bnr_status status;
    if (op->fast == BNR_FAST_NONE || cx->in[0]->type.dtype != BNR_FLOAT ||
        !bnr__reduce_known_axes(cx, op, reduced))
        return BNR_OK;
    if (cx->lanes) {
        bool spatial = rank > 2 && op->fast == BNR_FAST_MEAN;
        for (int i = 0; i < rank; i++)
            spatial = spatial && reduced[i] == (i >= 2);
        return spatial ? bnr__prepare_whole_blocked(cx, true) : BNR_OK;
    }
    struct plan *p = make(cx, reduced, &status);
    if (!p)
        return status;
    p->fast = op->fast;
    return take(cx, p, 0, run_reduce);
}

// ---- scaling ------------------------------------------------------------------------------------

static void run_scaled(const struct bnr_args *a, const void *state) {
    const struct plan *p = state;
    const size_t n = p->r.results;
    double *parts = a->scratch;
    float *mean = (float *)(parts + bnr__reduce_f32_scratch(&p->r)), *scale = mean + n;
    struct bnr_reduce_f32_run run = {.r = &p->r,
                                     .dst = mean,
                                     .src = a->in[0]->f32,
                                     .finish = finish_sum,
                                     .p = (double)p->r.count,
                                     .scratch = parts};
    const bool norm = p->scaling == BNR_SCALE_L1 || p->scaling == BNR_SCALE_L2;
    for (size_t i = 0; i < n; i++) {
        mean[i] = 0;
        scale[i] = 1;
    }
    if (!norm)
        bnr__reduce_f32_run(&run, a->pool);
    run.dst = scale;
    run.kind = p->scaling == BNR_SCALE_L1 ? BNR_REDUCE_F32_ABS : BNR_REDUCE_F32_SQUARES;
    run.shift = norm ? NULL : mean;
    run.finish = norm ? finish_norm : finish_deviation;
    if (norm)
        run.p = p->scaling == BNR_SCALE_L1 ? 1 : 2;
    if (p->scaling != BNR_SCALE_ONE)
        bnr__reduce_f32_run(&run, a->pool);
    bnr__reduce_f32_apply(&p->r, a->out[0]->f32, a->in[0]->f32, mean, scale, a->pool);
}

enum bnr_status bnr__prepare_scaled(struct bnr_prepare *cx, const bool *reduced,
                                    enum bnr_scaling scaling) {
    enum bnr_status status;
    size_t floats;
    if (cx->lanes)
        return BNR_OK;
    struct plan *p = make(cx, reduced, &status);
    if (!p)
        return status;
    p->scaling = scaling;
    if (!bnr__size_mul(p->r.results, 2, &floats))
        return bnr__no_memory(cx->err);
    cx->overwrites = 0;
    return take(cx, p, floats, run_scaled);
}
