// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM by matmul_f32 and eltwise_f32: the products of the inputs with W are one, for
// all steps. Sequences do not wait for one another: tasks are (direction, block of sequences).
// Where there are fewer tasks than threads and R is large, the threads share the products instead.
#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"
#include "runtime/ops/lib/prepare_window.h"
#include "runtime/ops/lib/recurrent_step.h"

enum {
    FEW = 4,
    SHARED = 1 << 19
}; // sequences of a block, at least; elements of R that threads share

// ---- packing ------------------------------------------------------------------------------------

static void pack_weight(char *dst, const struct bnr_rnn_weight *w, const float *src,
                        int directions) {
    for (int d = 0; d < directions; d++)
        for (int i = 0; i < 2; i++) {
            if (w->rows[i])
                bnr__matmul_f32_pack(&w->whole[i], (float *)dst, src, 1);
            dst += w->bytes[i];
            src += w->rows[i] * w->k;
        }
}

struct packing {
    const struct bnr_rnn_weight *w;
    int directions;
};

static void pack_constant(void *dst, const struct bnr_tensor *t, void *arg) {
    const struct packing *p = arg;
    pack_weight(dst, p->w, t->f32, p->directions);
}

// ---- a run --------------------------------------------------------------------------------------

static float *output(const struct bnr_args *a, int i) {
    return i < a->n_out && a->out[i] ? a->out[i]->f32 : NULL;
}

// The states after step s into Y, and zeros for sequences that are over.
static void store_step(const struct bnr_rnn_task *t, size_t s) {
    const struct bnr_recurrent *rnn = &t->st->rnn;
    const size_t h = (size_t)rnn->hidden, d = (size_t)rnn->directions,
                 direction = (size_t)t->direction;
    const size_t steps = (size_t)rnn->steps, batch = (size_t)rnn->batch;
    float *y = output(t->a, 0);
    for (size_t i = 0; y && i < t->n; i++) {
        const size_t b = t->first + i;
        size_t time;
        const bool any = bnr__rnn_time(t, i, s, &time);
        if (!any)
            time = s; // of the rows behind its end
        float *to = y + (rnn->batch_first ? (b * steps + time) * d + direction
                                          : (time * d + direction) * batch + b) *
                            h;
        if (any)
            memcpy(to, t->h + i * h, h * sizeof *to);
        else
            memset(to, 0, h * sizeof *to);
    }
}

// A state between its input or output [directions, batch, hidden] or [batch, directions, hidden]
// and the task's.
static void move_state(const struct bnr_rnn_task *t, const float *in, float *out, float *own) {
    const struct bnr_recurrent *rnn = &t->st->rnn;
    const size_t h = (size_t)rnn->hidden, d = (size_t)t->direction;
    for (size_t i = 0; i < t->n; i++) {
        const size_t b = t->first + i;
        const size_t at =
            (rnn->batch_first ? b * (size_t)rnn->directions + d : d * (size_t)rnn->batch + b) * h;
        if (out)
            memcpy(out + at, own + i * h, h * sizeof *own);
        else if (in)
            memcpy(own + i * h, in + at, h * sizeof *own);
        else
            memset(own + i * h, 0, h * sizeof *own);
    }
}

static const float *input(const struct bnr_args *a, int i) {
    return bnr__in(a, i) ? a->in[i]->f32 : NULL;
}

static void run_task(const struct bnr_args *a, const struct bnr_rnn_state *st, size_t index,
                     struct bnr_pool *pool) {
    const struct bnr_recurrent *rnn = &st->rnn;
    const size_t h = (size_t)rnn->hidden, rows = (size_t)rnn->gates * h, steps = (size_t)rnn->steps;
    struct bnr_rnn_task t = {
        .a = a, .st = st, .pool = pool, .direction = (int)(index / st->blocks)};
    const size_t d = (size_t)t.direction;
    t.first = index % st->blocks * st->block;
    t.n = min_size(st->block, (size_t)rnn->batch - t.first);
    t.xw =
        (const float *)((const char *)a->scratch + st->xw) + d * steps * (size_t)rnn->batch * rows;
    t.r_bias = input(a, BNR_RNN_B) ? input(a, BNR_RNN_B) + d * 2 * rows + rows : NULL;
    t.peephole = rnn->lstm && input(a, BNR_RNN_P) ? input(a, BNR_RNN_P) + d * 3 * h : NULL;
    char *own = (char *)a->scratch + st->tasks + index * st->task_bytes;
    t.scratch = own;
    t.h = (float *)(own + st->product);
    t.c = t.h + st->block * h;
    t.last = t.c + st->block * h;
    t.g = t.last + st->block * h;
    move_state(&t, input(a, BNR_RNN_H), NULL, t.h);
    move_state(&t, rnn->lstm ? input(a, BNR_RNN_C) : NULL, NULL, t.c);
    for (size_t s = 0; s < steps; s++) {
        bnr__rnn_step(&t, s);
        store_step(&t, s);
    }
    if (output(a, 1))
        move_state(&t, NULL, output(a, 1), t.h);
    if (rnn->lstm && output(a, 2))
        move_state(&t, NULL, output(a, 2), t.c);
}

struct job {
    const struct bnr_args *a;
    const struct bnr_rnn_state *st;
};

static void run_tasks(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t i = begin; i < end; i++)
        run_task(j->a, j->st, i, NULL);
}

// What is added to the products of one direction with W. The last gate of GRU takes that of R
// elsewhere when linear_before_reset.
static void sum_biases(const struct bnr_args *a, const struct bnr_rnn_state *st, size_t d,
                       float *dst) {
    const size_t h = (size_t)st->rnn.hidden, rows = (size_t)st->rnn.gates * h;
    const float *b = input(a, BNR_RNN_B);
    for (size_t j = 0; j < rows; j++) {
        const bool both = !(st->linear && j >= 2 * h);
        dst[j] = b ? b[d * 2 * rows + j] + (both ? b[d * 2 * rows + rows + j] : 0) : 0;
    }
}

static void multiply_inputs(const struct bnr_args *a, const struct bnr_rnn_state *st) {
    const struct bnr_recurrent *rnn = &st->rnn;
    const size_t rows = (size_t)(rnn->gates * rnn->hidden), n = (size_t)(rnn->steps * rnn->batch);
    float *bias = (float *)((char *)a->scratch + st->bias);
    struct bnr_matmul_f32 m = st->w.whole[0];
    const char *packed = st->w.packed ? st->w.packed : (const char *)a->scratch + st->w.scratch;
    m.e = (struct bnr_eltwise){
        .n = 1, .channels = 1, .step = {{.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_COLUMN}}};
    for (size_t d = 0; d < (size_t)rnn->directions; d++) {
        sum_biases(a, st, d, bias);
        m.packed_b = (const float *)(packed + d * st->w.bytes[0]);
        const struct bnr_matmul_f32_run r = {
            .c = &m,
            .dst = (float *)((char *)a->scratch + st->xw) + d * n * rows,
            .a = a->in[BNR_RNN_X]->f32,
            .operands = (const float *const[]){bias},
            .scratch = (char *)a->scratch + st->tasks, // nobody is at work there yet
        };
        bnr__matmul_f32_run(&r, a->pool);
    }
}

static void run(const struct bnr_args *a, const void *opaque) {
    const struct bnr_rnn_state *st = opaque;
    const struct bnr_recurrent *rnn = &st->rnn;
    *a->status = bnr__recurrent_lengths(a, rnn->steps, rnn->batch);
    if (*a->status != BNR_OK)
        return;
    if (!st->w.packed)
        pack_weight((char *)a->scratch + st->w.scratch, &st->w, a->in[BNR_RNN_W]->f32,
                    rnn->directions);
    if (!st->r.packed)
        pack_weight((char *)a->scratch + st->r.scratch, &st->r, a->in[BNR_RNN_R]->f32,
                    rnn->directions);
    multiply_inputs(a, st);
    struct job j = {a, st};
    const size_t tasks = st->blocks * (size_t)rnn->directions;
    for (size_t i = 0; st->shared && i < tasks; i++)
        run_task(a, st, i, a->pool);
    if (!st->shared)
        bnr__parallel_for(a->pool, tasks, 1, run_tasks, &j);
}

// ---- the plan -----------------------------------------------------------------------------------

// The products of n rows, and of rest, with a weight whose parts and k are set. False when a size
// overflows.
static bool init_weight(struct bnr_rnn_weight *w, unsigned cpu, size_t n, size_t rest,
                        int threads) {
    for (int i = 0; i < 2; i++) {
        struct bnr_product_shape s = {
            .m = n, .n = w->rows[i], .k = w->k, .trans_b = true, .count = 1, .constant_b = true};
        if (s.n == 0)
            continue;
        if (!bnr__matmul_f32_init(&w->whole[i], &s, cpu, threads))
            return false;
        w->bytes[i] = (w->whole[i].packed_bytes + 63) / 64 * 64;
        s.m = rest;
        if (rest && !bnr__matmul_f32_init(&w->rest[i], &s, cpu, threads))
            return false;
    }
    return true;
}

// The key names the parts: the rows of the first.
static enum bnr_status take_weight(struct bnr_prepare *cx, const struct bnr_rnn_state *st,
                                   struct bnr_rnn_weight *w, size_t *total) {
    size_t bytes;
    const int directions = st->rnn.directions;
    if (!bnr__size_mul(w->bytes[0] + w->bytes[1], (size_t)directions, &bytes))
        return BNR_NO_MEMORY;
    if (cx->in[w->in]->tensor) {
        struct packing p = {w, directions};
        w->packed = bnr__pack_get(cx, cx->in[w->in]->tensor, "recurrent_f32",
                                  w->rows[0] << 8 | w->whole[0].gemm->nr, bytes, pack_constant, &p);
        return w->packed ? BNR_OK : bnr__no_memory(cx->err);
    }
    w->scratch = *total;
    return bnr__size_add(*total, bytes, total) ? BNR_OK : BNR_NO_MEMORY;
}

static size_t most(const struct bnr_rnn_weight *w, size_t bytes) {
    for (int i = 0; i < 2; i++) {
        bytes = max_size(bytes, w->whole[i].scratch_bytes);
        bytes = max_size(bytes, w->rest[i].scratch_bytes);
    }
    return bytes;
}

// Blocks of sequences, and whether their threads share the products.
static void choose_tasks(struct bnr_rnn_state *st, size_t threads) {
    const size_t d = (size_t)st->rnn.directions, batch = (size_t)st->rnn.batch;
    st->blocks = min_size(ceil_div(threads, d), max_size(batch / FEW, 1));
    st->block = ceil_div(batch, st->blocks);
    st->blocks = ceil_div(batch, st->block);
    st->shared =
        d * st->blocks < threads && (st->r.rows[0] + st->r.rows[1]) * st->r.k * st->block >= SHARED;
}

// Room for everything in scratch; false when a size overflows, or is too large.
static bool reserve(struct bnr_rnn_state *st, size_t *total) {
    const struct bnr_recurrent *rnn = &st->rnn;
    const size_t rows = (size_t)(rnn->gates * rnn->hidden), d = (size_t)rnn->directions;
    size_t xw, own, all;
    st->bias = *total;
    st->xw = st->bias + (rows * sizeof(float) + 63) / 64 * 64;
    if (!bnr__size_mul(d * (size_t)rnn->steps, (size_t)rnn->batch, &xw) ||
        !bnr__size_mul(xw, rows * sizeof(float), &xw) || xw > BNR_MAX_SCRATCH ||
        !bnr__size_mul(st->block, (rows + 3 * (size_t)rnn->hidden) * sizeof(float), &own))
        return false;
    st->tasks = st->xw + (xw + 63) / 64 * 64;
    st->product = (most(&st->r, 0) + 63) / 64 * 64;
    if (!bnr__size_add(st->product, own, &st->task_bytes) || st->task_bytes > BNR_MAX_SCRATCH)
        return false;
    st->task_bytes = (st->task_bytes + 63) / 64 * 64;
    if (!bnr__size_mul(st->task_bytes, d * st->blocks, &all))
        return false;
    return bnr__size_add(st->tasks, max_size(all, st->w.whole[0].scratch_bytes), total);
}

static bool all_float(const struct bnr_prepare *cx, const struct bnr_recurrent *rnn) {
    for (int i = 0; i < cx->node->n_in; i++)
        if (cx->in[i] && i != BNR_RNN_LENGTHS && cx->in[i]->type.dtype != BNR_FLOAT)
            return false;
    for (int i = 0; i < rnn->functions * rnn->directions; i++)
        if (rnn->f[i].kind < 0)
            return false;
    return true;
}

static void read_sizes(const struct bnr_prepare *cx, struct bnr_rnn_state *st) {
    struct bnr_recurrent *rnn = &st->rnn;
    const struct bnr_dim *x = cx->in[BNR_RNN_X]->type.shape.dims;
    rnn->steps = x[rnn->batch_first ? 1 : 0].n;
    rnn->batch = x[rnn->batch_first ? 0 : 1].n;
    rnn->input = x[2].n;
    rnn->hidden = cx->in[BNR_RNN_R]->type.shape.dims[2].n;
    st->linear = rnn->gates == 3 && bnr__attr_int(cx->node, "linear_before_reset", 0) != 0;
    st->coupled = rnn->lstm && bnr__attr_int(cx->node, "input_forget", 0) != 0;
    const size_t h = (size_t)rnn->hidden, gates = (size_t)rnn->gates,
                 apart = gates == 3 && !st->linear;
    st->w =
        (struct bnr_rnn_weight){.in = BNR_RNN_W, .rows = {gates * h, 0}, .k = (size_t)rnn->input};
    st->r =
        (struct bnr_rnn_weight){.in = BNR_RNN_R, .rows = {(gates - apart) * h, apart * h}, .k = h};
}

enum bnr_status bnr__recurrent_prepare(struct bnr_prepare *cx, struct bnr_recurrent *rnn,
                                       const char *const *default_functions) {
    struct bnr_rnn_state *st = BNR_NEW(cx->arena, struct bnr_rnn_state);
    if (!st)
        return bnr__no_memory(cx->err);
    rnn->node = cx->node;
    BNR_TRY(bnr__recurrent_attributes(rnn, default_functions, cx->err));
    st->rnn = *rnn;
    read_sizes(cx, st);
    rnn = &st->rnn;
    if (!all_float(cx, rnn) || rnn->steps == 0 || rnn->batch == 0 || rnn->input == 0 ||
        rnn->hidden == 0)
        return BNR_OK;
    choose_tasks(st, (size_t)bnr__slots_count(cx->threads));
    const size_t rest = (size_t)rnn->batch % st->block;
    if (!init_weight(&st->w, cx->cpu, (size_t)(rnn->steps * rnn->batch), 0, cx->threads) ||
        !init_weight(&st->r, cx->cpu, st->block, rest, st->shared ? cx->threads : 1))
        return BNR_OK;
    size_t total = 0;
    if (!reserve(st, &total))
        return BNR_OK;
    BNR_TRY(take_weight(cx, st, &st->w, &total));
    BNR_TRY(take_weight(cx, st, &st->r, &total));
    st->eltwise = bnr__eltwise_f32_select(cx->cpu);
    cx->scratch = total;
    cx->kernel = bnr__arena_printf(cx->arena, "recurrent_f32_%s", st->eltwise->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
