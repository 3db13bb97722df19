// SPDX-License-Identifier: Apache-2.0
// bnrun.DotAttention, what exporters spell with two products: Softmax(scale * Q K + mask) V, with Q
// [.., queries, size], K [.., size, keys] and V [.., keys, v_size]. As with MatMul and Add all of
// them broadcast, and softmax is that of the operator: over the last axis, -Inf alone gives NaN.
#include <math.h>
#include <string.h>

#include "graph/affine.h"
#include "runtime/base/checked.h"
#include "runtime/kernels/attention_f32.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/matmul.h"
#include "runtime/ops/lib/prepare_window.h"
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/strided.h"

enum { Q, K, V, MASK };

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = bnr__shape_unknown(), scores;
    const struct bnr_type *mask = bnr__infer_in(cx, MASK);
    bool known = !mask || mask->shape.rank >= 0;
    BNR_TRY(bnr__infer_tensors(cx, Q, MASK, BNR_TYPE(FLOAT)));
    for (int i = Q; i <= V; i++) {
        BNR_TRY(bnr__infer_rank(cx, i, 2, BNR_MAX_RANK));
        known = known && cx->in[i]->type.shape.rank >= 0;
    }
    if (known) {
        const struct bnr_shape *q = &cx->in[Q]->type.shape, *k = &cx->in[K]->type.shape;
        BNR_TRY(bnr__matmul_infer_shape(cx, q, k, &scores));
        if (mask && !bnr__shape_broadcast(&scores, &mask->shape))
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "the mask does not broadcast with the scores");
        BNR_TRY(bnr__matmul_infer_shape(cx, &scores, &cx->in[V]->type.shape, &y));
    }
    bnr__infer_set(cx, 0, BNR_FLOAT, &y);
    return BNR_OK;
}

// ---- geometry -----------------------------------------------------------------------------------

struct matrices { // of an operand, as many as its leading dims say
    int rank;
    int64_t dims[BNR_MAX_RANK];
    size_t rows, cols; // 1 may stand for more
};

struct geometry {
    int batch_rank;
    int64_t batch[BNR_MAX_RANK];
    size_t count, queries, keys, size, v_size; // count: product of batch
    struct matrices in[4];
};

// Fewer dims than two get ones in front.
static struct matrices matrices_of(int rank, const int64_t *dims) {
    struct matrices m = {.rank = rank > 2 ? rank : 2, .dims = {1, 1}};
    if (rank > 0)
        memcpy(m.dims + m.rank - rank, dims, (size_t)rank * sizeof *dims);
    m.rows = (size_t)m.dims[m.rank - 2];
    m.cols = (size_t)m.dims[m.rank - 1];
    return m;
}

static void complete(struct geometry *g) {
    const struct matrices *q = &g->in[Q], *k = &g->in[K], *v = &g->in[V], *mask = &g->in[MASK];
    g->size = q->cols;
    g->v_size = v->cols;
    g->queries = q->rows != 1 ? q->rows : mask->rows;
    g->keys = k->cols != 1 ? k->cols : mask->cols;
    g->count = 1;
    for (int i = Q; i <= MASK; i++)
        if (g->in[i].rank - 2 > g->batch_rank)
            g->batch_rank = g->in[i].rank - 2;
    for (int d = 0; d < g->batch_rank; d++) {
        g->batch[d] = 1;
        for (int i = Q; i <= MASK; i++) {
            const int at = d - (g->batch_rank - (g->in[i].rank - 2));
            if (at >= 0 && g->in[i].dims[at] != 1)
                g->batch[d] = g->in[i].dims[at];
        }
        g->count *= (size_t)g->batch[d];
    }
}

// Which of m's matrices goes into matrix i of the result.
static size_t matrix_of(const struct geometry *g, const struct matrices *m, size_t i) {
    size_t index = 0, step = 1;
    for (int d = g->batch_rank - 1; d >= 0; d--) {
        const int at = d - (g->batch_rank - (m->rank - 2));
        if (at >= 0 && m->dims[at] != 1)
            index += i % (size_t)g->batch[d] * step;
        i /= (size_t)g->batch[d];
        step *= at >= 0 ? (size_t)m->dims[at] : 1;
    }
    return index;
}

// ---- reference ----------------------------------------------------------------------------------

struct job {
    struct geometry g;
    double scale;
    const double *in[4]; // mask NULL: none
    double *scores, *y;  // scores: [count, keys], scratch
};

static void softmax(double *s, size_t n) {
    double max = -HUGE_VAL, sum = 0;
    for (size_t j = 0; j < n; j++)
        max = fmax(max, s[j]);
    for (size_t j = 0; j < n; j++)
        sum += s[j] = exp(s[j] - max);
    for (size_t j = 0; j < n; j++)
        s[j] /= sum;
}

static void attend(const struct job *j, size_t i, size_t query) {
    const struct geometry *g = &j->g;
    const double *m[4] = {NULL};
    double *s = j->scores + i * g->keys, *y = j->y + (i * g->queries + query) * g->v_size;
    for (int k = Q; k <= MASK; k++) {
        const struct matrices *x = &g->in[k];
        if (j->in[k])
            m[k] = j->in[k] + matrix_of(g, x, i) * x->rows * x->cols;
        if (j->in[k] && (k == Q || k == MASK) && x->rows > 1)
            m[k] += query * x->cols;
    }
    for (size_t key = 0; key < g->keys; key++) {
        double sum = 0;
        for (size_t d = 0; d < g->size; d++)
            sum += m[Q][d] * m[K][d * g->in[K].cols + (g->in[K].cols > 1 ? key : 0)];
        s[key] = j->scale * sum + (m[MASK] ? m[MASK][g->in[MASK].cols > 1 ? key : 0] : 0);
    }
    softmax(s, g->keys);
    for (size_t key = 0; key < g->keys; key++)
        for (size_t d = 0; d < g->v_size; d++)
            y[d] += s[key] * m[V][key * g->v_size + d];
}

static void attend_all(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t i = begin; i < end; i++)
        for (size_t query = 0; query < j->g.queries; query++)
            attend(j, i, query);
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct job j = {.scale = (double)bnr__attr_float(a->node, "scale", 1)};
    int64_t dims[BNR_MAX_RANK];
    struct bnr_tensor *y;
    for (int i = Q; i <= MASK; i++) {
        const struct bnr_tensor *t = bnr__in(a, i);
        j.g.in[i] = matrices_of(t ? t->rank : 0, t ? t->dims : NULL);
        if (t && !(j.in[i] = bnr__all_f64(a, t)))
            return BNR_NO_MEMORY;
    }
    complete(&j.g);
    memcpy(dims, j.g.batch, sizeof dims);
    dims[j.g.batch_rank] = (int64_t)j.g.queries;
    dims[j.g.batch_rank + 1] = (int64_t)j.g.v_size;
    BNR_TRY(bnr__out(a, 0, BNR_FLOAT, j.g.batch_rank + 2, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    size_t scores;
    if (!bnr__size_mul(j.g.count, j.g.keys, &scores))
        return bnr__no_memory(a->err);
    j.scores = bnr__temp_f64(a, scores);
    j.y = bnr__temp_f64(a, y->numel);
    if (!j.scores || !j.y)
        return BNR_NO_MEMORY;
    bnr__parallel_for(a->pool, j.g.count, 1, attend_all, &j);
    bnr__store_f64(BNR_FLOAT, y->data, j.y, y->numel);
    return BNR_OK;
}

// ---- kernel -------------------------------------------------------------------------------------

enum { OPERANDS = MASK + 2 }; // the result is number -1

struct state {
    struct bnr_attention_f32 *c;
    struct geometry g;
    size_t *starts[OPERANDS], *own; // [count] each; own: scratch
};

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const struct bnr_attention_f32_run r = {.c = st->c,
                                            .y = a->out[0]->f32,
                                            .q = a->in[Q]->f32,
                                            .k = a->in[K]->f32,
                                            .v = a->in[V]->f32,
                                            .mask = st->c->masked ? a->in[MASK]->data : NULL,
                                            .scratch = a->scratch};
    bnr__attention_f32_run(&r, a->pool);
}

// Rows that the kernel reads (of K: its columns) or writes have their elements side by side, which
// columns of K need not; a single row or column may stand for all. Else false, and nothing changes.
static bool set_rows(const struct state *st, int i, const struct bnr_strided *at, size_t *step) {
    int64_t row, col;
    if (at->rank < 2 || !bnr__strided_step(at, at->rank - 2, &row) ||
        !bnr__strided_step(at, at->rank - 1, &col))
        return false;
    const bool upright = i == K && (row == 1 || st->g.size == 1);
    if (!upright && col != 1 && (i == K || at->dims[at->rank - 1] != 1))
        return false;
    if (i == K)
        st->c->k_turned = !upright;
    *step = (size_t)(upright ? col : row);
    return true;
}

static bool place(const void *opaque, int i, const struct bnr_strided *at) {
    const struct state *st = opaque;
    const struct geometry *g = &st->g;
    struct bnr_attention_f32 *c = st->c;
    struct bnr_attention_place *const places[OPERANDS] = {&c->y, &c->q, &c->k, &c->v, &c->mask};
    for (int k = 0; k < at->n; k++)
        if (at->parts[k].step < 0)
            return false;
    if (!set_rows(st, i, at, &places[i + 1]->row))
        return false;
    bnr__strided_starts(at, at->rank - 2, st->own);
    for (size_t k = 0; k < g->count; k++)
        st->starts[i + 1][k] = st->own[i < 0 ? k : matrix_of(g, &g->in[i], k)];
    places[i + 1]->starts = st->starts[i + 1];
    return true;
}

static struct state *state_new(const struct bnr_prepare *cx) {
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st || !(st->c = BNR_NEW(cx->arena, struct bnr_attention_f32)))
        return NULL;
    for (int i = Q; i <= MASK; i++) {
        const struct bnr_info *info = bnr__prepare_in(cx, i);
        int64_t dims[BNR_MAX_RANK];
        if (info)
            bnr__shape_numbers(&info->type.shape, dims);
        st->g.in[i] = matrices_of(info ? info->type.shape.rank : 0, dims);
    }
    complete(&st->g);
    for (int i = 0; i <= OPERANDS; i++) {
        size_t **list = i < OPERANDS ? &st->starts[i] : &st->own;
        if (!(*list = BNR_NEW_ARRAY(cx->arena, st->g.count, size_t)))
            return NULL;
    }
    return st;
}

// Everything as it is where nothing is known of what lies around.
static bool place_all(const struct state *st, const struct bnr_prepare *cx) {
    const struct bnr_shape *y = &cx->out[0]->type.shape;
    struct bnr_strided dense;
    int64_t dims[BNR_MAX_RANK];
    for (int i = Q; i <= MASK; i++) {
        bnr__strided_dense(&dense, st->g.in[i].rank, st->g.in[i].dims);
        if (!place(st, i, &dense))
            return false;
    }
    bnr__shape_numbers(y, dims);
    bnr__strided_dense(&dense, y->rank, dims);
    return place(st, -1, &dense);
}

static enum bnr_status prepare(struct bnr_prepare *cx) {
    struct state *st = state_new(cx);
    if (!st)
        return bnr__no_memory(cx->err);
    const struct geometry *g = &st->g;
    if (g->size == 0 || g->keys == 0)
        return BNR_OK;
    *st->c = (struct bnr_attention_f32){.batch = g->count,
                                        .heads = 1,
                                        .kv_heads = 1,
                                        .queries = g->queries,
                                        .keys = g->keys,
                                        .size = g->size,
                                        .v_size = g->v_size,
                                        .scale = bnr__attr_float(cx->node, "scale", 1),
                                        .left = -1,
                                        .right = -1,
                                        .plain = true,
                                        .masked = bnr__prepare_in(cx, MASK) != NULL,
                                        .mask_keys = g->keys,
                                        .mask_same = g->in[MASK].cols == 1};
    if (!bnr__attention_f32_init(st->c, cx->cpu, cx->threads) ||
        st->c->scratch_bytes > BNR_MAX_SCRATCH || !place_all(st, cx))
        return BNR_OK;
    cx->scratch = st->c->scratch_bytes;
    cx->kernel = bnr__arena_printf(cx->arena, "attention_f32_%s", st->c->gemm->isa);
    cx->place = place;
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}

BNR_DEFINE_OP(dot_attention) = {
    .domain = BNR_INTERNAL_DOMAIN,
    .name = "DotAttention",
    .since = {1},
    .min_in = 3,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = "scale:f",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
};
