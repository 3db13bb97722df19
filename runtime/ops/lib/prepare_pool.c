// SPDX-License-Identifier: Apache-2.0
// Poolings by pool_f32.
#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/pool_f32.h"
#include "runtime/ops/lib/pooling.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/prepare_window.h"
#include "runtime/ops/lib/steps.h"

// ---- windows ------------------------------------------------------------------------------------

struct state {
    struct bnr_pool_f32 pool;
    struct bnr_step_operands operands;
};

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    bnr__steps_operands(&st->operands, a, operands);
    const struct bnr_pool_f32_run r = {
        .p = &st->pool,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__pool_f32_run(&r, a->pool);
}

static void set_counts(struct bnr_pool_f32 *p, const struct bnr_window *w) {
    for (int i = 0; i < w->rank; i++) {
        p->count_pad[i + 2 - w->rank] = (size_t)w->axis[i].begin;
        p->count_end[i + 2 - w->rank] = (size_t)w->axis[i].end;
    }
}

// ---- windows with three axes --------------------------------------------------------------------

// A window is the product of one over the last two axes and one over the first, which has the
// planes of the others' results as its columns. So is the count of its elements: means of means are
// the mean.
struct volume_state {
    struct bnr_pool_f32 planes, depth;
    struct bnr_step_operands operands;
    size_t between; // offset in scratch of what the first pass gives
};

static void run_volume(const struct bnr_args *a, const void *opaque) {
    const struct volume_state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    bnr__steps_operands(&st->operands, a, operands);
    float *between = (float *)((char *)a->scratch + st->between);
    struct bnr_pool_f32_run r = {
        .p = &st->planes, .dst = between, .src = a->in[0]->f32, .scratch = a->scratch};
    bnr__pool_f32_run(&r, a->pool);
    r = (struct bnr_pool_f32_run){.p = &st->depth,
                                  .dst = a->out[0]->f32,
                                  .src = between,
                                  .operands = operands,
                                  .scratch = a->scratch};
    bnr__pool_f32_run(&r, a->pool);
}

static enum bnr_status prepare_volume(struct bnr_prepare *cx, const struct bnr_window *w,
                                      struct bnr_steps *steps, bool average) {
    struct volume_state *st = BNR_NEW(cx->arena, struct volume_state);
    struct bnr_window flat = *w, deep = *w;
    struct bnr_plane_shape planes, depth;
    if (!st)
        return bnr__no_memory(cx->err);
    flat.rank = 2;
    flat.axis[0] = w->axis[1];
    flat.axis[1] = w->axis[2];
    bnr__plane_shape(&flat, &planes);
    const int64_t columns = (int64_t)(planes.out[0] * planes.out[1]);
    deep.rank = 2;
    deep.axis[1] = (struct bnr_window_axis){
        .in = columns, .out = columns, .kernel = 1, .stride = 1, .dilation = 1};
    bnr__plane_shape(&deep, &depth);
    const size_t images = (size_t)(steps->dims[0] * steps->dims[1]), slices = images * depth.in[0];
    size_t bytes;
    if (steps->numel == 0 || bnr__window_in_numel(w) == 0 ||
        !bnr__pool_f32_init(&st->planes, &planes, cx->cpu, cx->threads) ||
        !bnr__pool_f32_init(&st->depth, &depth, cx->cpu, cx->threads) ||
        !bnr__size_mul(slices * sizeof(float), (size_t)columns, &bytes) ||
        st->planes.scratch_bytes > BNR_MAX_SCRATCH || st->depth.scratch_bytes > BNR_MAX_SCRATCH ||
        bytes > BNR_MAX_SCRATCH)
        return BNR_OK;
    st->planes.planes = slices;
    st->planes.channels = 1;
    st->depth.planes = images;
    st->depth.channels = (size_t)steps->dims[1];
    st->planes.average = st->depth.average = average;
    if (average && bnr__attr_int(cx->node, "count_include_pad", 0) != 0) {
        set_counts(&st->planes, &flat);
        set_counts(&st->depth, &deep);
    }
    bnr__steps_take_members(steps);
    st->depth.e = steps->e;
    st->operands = steps->operands;
    st->between = st->planes.scratch_bytes > st->depth.scratch_bytes ? st->planes.scratch_bytes
                                                                     : st->depth.scratch_bytes;
    cx->scratch = st->between + bytes;
    cx->kernel = bnr__arena_printf(cx->arena, "pool_f32_%s", st->depth.band.kernels->isa);
    cx->state = st;
    cx->run = run_volume;
    return BNR_OK;
}

// ---- the largest element and where it was -------------------------------------------------------

struct indexed_state {
    struct bnr_window_shape w;
    size_t planes, in, out; // elements of a plane
};

struct indexed_job {
    const struct bnr_args *a;
    const struct indexed_state *st;
};

// The window of one output, the taps in order: the first of equal elements wins, and NaN loses.
static void find_largest(const struct bnr_window_shape *w, const float *x, const size_t o[3],
                         float *y, int64_t *at) {
    float best = -INFINITY;
    int64_t where = -1;
    for (size_t kz = 0; kz < w->kernel[0]; kz++) {
        const size_t z = o[0] * w->stride[0] + kz * w->dilation[0] - w->pad[0];
        for (size_t ky = 0; ky < w->kernel[1] && z < w->in[0]; ky++) {
            const size_t row = o[1] * w->stride[1] + ky * w->dilation[1] - w->pad[1];
            const size_t first = o[2] * w->stride[2] - w->pad[2],
                         line = (z * w->in[1] + row) * w->in[2];
            for (size_t kx = 0; kx < w->kernel[2] && row < w->in[1]; kx++) {
                const size_t col = first + kx * w->dilation[2];
                if (col >= w->in[2]) // in front of it as well: sizes wrap
                    continue;
                const float v = x[line + col];
                if (where < 0)
                    where = (int64_t)(line + col);
                const int64_t take = -(int64_t)(v > best); // nobody could guess a branch
                where = (take & (int64_t)(line + col)) | (~take & where);
                best = v > best ? v : best;
            }
        }
    }
    *y = best;
    *at = where;
}

static void run_indexed_planes(void *cx, size_t begin, size_t end) {
    const struct indexed_job *j = cx;
    const struct indexed_state *st = j->st;
    const struct bnr_window_shape *w = &st->w;
    for (size_t plane = begin; plane < end; plane++) {
        const float *x = j->a->in[0]->f32 + plane * st->in;
        float *y = j->a->out[0]->f32 + plane * st->out;
        int64_t *at = j->a->out[1]->i64 + plane * st->out;
        for (size_t i = 0; i < st->out; i++) {
            const size_t o[] = {i / w->out[2] / w->out[1], i / w->out[2] % w->out[1],
                                i % w->out[2]};
            find_largest(w, x, o, &y[i], &at[i]);
            at[i] += at[i] < 0 ? 0 : (int64_t)(plane * st->in);
        }
    }
}

static void run_indexed(const struct bnr_args *a, const void *opaque) {
    const struct indexed_state *st = opaque;
    struct indexed_job j = {a, st};
    bnr__parallel_for(a->pool, st->planes, 1, run_indexed_planes, &j);
}

static enum bnr_status prepare_indexed(struct bnr_prepare *cx, const struct bnr_window *w,
                                       size_t planes) {
    struct indexed_state *st = BNR_NEW(cx->arena, struct indexed_state);
    if (!st)
        return bnr__no_memory(cx->err);
    if (cx->lanes || bnr__attr_int(cx->node, "storage_order", 0) != 0)
        return BNR_OK;
    bnr__window_shape(w, &st->w);
    st->planes = planes;
    st->in = (size_t)bnr__window_in_numel(w);
    st->out = (size_t)bnr__window_out_numel(w);
    cx->kernel = "indexed_pool_f32";
    cx->state = st;
    cx->run = run_indexed;
    return BNR_OK;
}

// ---- windows over blocked tensors ---------------------------------------------------------------

struct blocked_state {
    struct bnr_nchwc_window window;
    struct bnr_step_operands operands;
};

static void run_blocked(const struct bnr_args *a, const void *opaque) {
    const struct blocked_state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    bnr__steps_operands(&st->operands, a, operands);
    const struct bnr_nchwc_window_run r = {
        .w = &st->window,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__nchwc_window_run(&r, a->pool);
}

static enum bnr_status prepare_blocked(struct bnr_prepare *cx, const struct bnr_window *w,
                                       struct bnr_steps *steps, bool average) {
    struct bnr_window_shape s;
    if (w->rank > BNR_WINDOW_AXES || !bnr__steps_block(steps) || bnr__window_in_numel(w) == 0)
        return BNR_OK;
    struct blocked_state *st = BNR_NEW(cx->arena, struct blocked_state);
    if (!st)
        return bnr__no_memory(cx->err);
    bnr__window_shape(w, &s);
    if (!bnr__nchwc_window_init(&st->window, average ? BNR_WINDOW_AVERAGE : BNR_WINDOW_MAX, &s,
                                cx->cpu, cx->threads) ||
        st->window.scratch_bytes > BNR_MAX_SCRATCH)
        return BNR_OK;
    st->window.batch = steps->blocked.batch;
    st->window.blocks = steps->blocked.blocks;
    const bool counts = average && bnr__attr_int(cx->node, "count_include_pad", 0) != 0;
    for (int i = 0; counts && i < w->rank; i++) {
        st->window.count_pad[i + BNR_WINDOW_AXES - w->rank] = (size_t)w->axis[i].begin;
        st->window.count_end[i + BNR_WINDOW_AXES - w->rank] = (size_t)w->axis[i].end;
    }
    bnr__steps_take_members(steps);
    st->window.e = steps->e;
    st->operands = steps->operands;
    cx->blocked_in |= 1;
    cx->blocked_out = 1;
    cx->scratch = st->window.scratch_bytes;
    cx->kernel = bnr__arena_printf(cx->arena, "nchwc_window_f32_%s", st->window.kernels->isa);
    cx->state = st;
    cx->run = run_blocked;
    return BNR_OK;
}

static enum bnr_status prepare(struct bnr_prepare *cx, bool average) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *y = &cx->out[0]->type.shape;
    struct bnr_window w;
    struct bnr_plane_shape s;
    int64_t dims[BNR_MAX_RANK];
    const bool indices = cx->node->n_out > 1 && cx->out[1];
    if (cx->in[0]->type.dtype != BNR_FLOAT || x->rank < 3 || x->rank > 5)
        return BNR_OK;
    BNR_TRY(bnr__pooling_geometry(cx->node, x, &w, cx->err));
    bnr__shape_numbers(y, dims);
    if (indices)
        return cx->node->out[0] ? prepare_indexed(cx, &w, (size_t)(dims[0] * dims[1])) : BNR_OK;
    struct bnr_steps steps;
    bnr__steps_init(&steps, cx, y->rank, dims, (size_t)bnr__window_out_numel(&w));
    if (cx->lanes)
        return prepare_blocked(cx, &w, &steps, average);
    if (w.rank == 3)
        return prepare_volume(cx, &w, &steps, average);
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st)
        return bnr__no_memory(cx->err);
    bnr__plane_shape(&w, &s);
    if (steps.numel == 0 || bnr__window_in_numel(&w) == 0 ||
        !bnr__pool_f32_init(&st->pool, &s, cx->cpu, cx->threads) ||
        st->pool.scratch_bytes > BNR_MAX_SCRATCH)
        return BNR_OK;
    st->pool.planes = (size_t)(dims[0] * dims[1]);
    st->pool.channels = (size_t)dims[1];
    st->pool.average = average;
    if (average && bnr__attr_int(cx->node, "count_include_pad", 0) != 0)
        set_counts(&st->pool, &w);
    bnr__steps_take_members(&steps);
    st->pool.e = steps.e;
    st->pool.before = bnr__steps_before(cx);
    st->operands = steps.operands;
    cx->scratch = st->pool.scratch_bytes;
    cx->kernel = bnr__arena_printf(cx->arena, "pool_f32_%s", st->pool.band.kernels->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}

enum bnr_status bnr__prepare_max_pool(struct bnr_prepare *cx) {
    return prepare(cx, false);
}

enum bnr_status bnr__prepare_average_pool(struct bnr_prepare *cx) {
    return prepare(cx, true);
}

// ---- whole planes -------------------------------------------------------------------------------

struct global_state {
    const struct bnr_plane_f32 *kernels;
    size_t planes, n;
    bool average;
};

static void run_global(const struct bnr_args *a, const void *opaque) {
    const struct global_state *st = opaque;
    bnr__global_pool_f32(st->kernels, a->out[0]->f32, a->in[0]->f32, st->planes, st->n, st->average,
                         a->pool);
}

struct whole_state {
    const struct bnr_nchwc_window_kernels *kernels;
    struct bnr_nchwc shape;
    bool average, plain; // plain: the output is [batch, channels], not blocked
};

static void run_whole(const struct bnr_args *a, const void *opaque) {
    const struct whole_state *st = opaque;
    const size_t channels = st->shape.channels, row = st->shape.blocks * st->shape.lanes;
    float *dst = st->plain ? a->scratch : a->out[0]->f32;
    bnr__nchwc_whole_run(st->kernels, &st->shape, dst, a->in[0]->f32, st->average, a->pool);
    for (size_t i = 0; st->plain && i < st->shape.batch; i++)
        memcpy(a->out[0]->f32 + i * channels, dst + i * row, channels * sizeof(float));
}

enum bnr_status bnr__prepare_whole_blocked(struct bnr_prepare *cx, bool average) {
    struct whole_state *st = BNR_NEW(cx->arena, struct whole_state);
    if (!st)
        return bnr__no_memory(cx->err);
    if (!bnr__blocked_shape(&cx->in[0]->type, cx->lanes, &st->shape))
        return BNR_OK;
    st->kernels = bnr__nchwc_window_f32_select(cx->cpu);
    st->average = average;
    st->plain = cx->out[0]->type.shape.rank != cx->in[0]->type.shape.rank;
    cx->blocked_in = 1;
    cx->blocked_out = st->plain ? 0 : 1;
    cx->scratch =
        st->plain ? st->shape.batch * st->shape.blocks * st->shape.lanes * sizeof(float) : 0;
    cx->kernel = bnr__arena_printf(cx->arena, "nchwc_whole_f32_%s", st->kernels->isa);
    cx->state = st;
    cx->run = run_whole;
    return BNR_OK;
}

static enum bnr_status prepare_global(struct bnr_prepare *cx, bool average) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    if (cx->in[0]->type.dtype != BNR_FLOAT || x->rank < 3)
        return BNR_OK;
    if (cx->lanes)
        return bnr__prepare_whole_blocked(cx, average);
    struct global_state *st = BNR_NEW(cx->arena, struct global_state);
    if (!st)
        return bnr__no_memory(cx->err);
    st->kernels = bnr__plane_f32_select(cx->cpu);
    st->planes = (size_t)(x->dims[0].n * x->dims[1].n);
    st->n = 1;
    for (int i = 2; i < x->rank; i++)
        st->n *= (size_t)x->dims[i].n;
    st->average = average;
    if (st->n == 0)
        return BNR_OK;
    cx->kernel = bnr__arena_printf(cx->arena, "global_pool_f32_%s", st->kernels->isa);
    cx->state = st;
    cx->run = run_global;
    return BNR_OK;
}

enum bnr_status bnr__prepare_global_max_pool(struct bnr_prepare *cx) {
    return prepare_global(cx, false);
}

enum bnr_status bnr__prepare_global_average_pool(struct bnr_prepare *cx) {
    return prepare_global(cx, true);
}
