// SPDX-License-Identifier: Apache-2.0
// GroupQueryAttention by attention_f32: the caches are written first, and read where they were
// written.
#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/attention_f32.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/group_query.h"
#include "runtime/ops/lib/prepare_window.h"

enum { Y, KEY, VALUE, SCORES };

static enum bnr_status check_lengths(const struct bnr_args *a, const struct bnr_group_query *g) {
    if (a->in[BNR_GQ_SEQLENS]->numel != g->batch)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu seqlens_k for a batch of %zu",
                            a->in[BNR_GQ_SEQLENS]->numel, g->batch);
    if (g->total < g->length)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "total_sequence_length %zu is below %zu queries", g->total, g->length);
    for (size_t b = 0; b < g->batch; b++) {
        const int64_t last = g->seqlens[b];
        const int64_t past = g->length == g->total ? 0 : last + 1 - (int64_t)g->length;
        if (last < 0 || last >= (int64_t)g->total || past < 0 || past > (int64_t)g->past)
            return bnr__op_fail(
                a->node, a->err, BNR_SHAPE,
                "seqlens_k[%zu] is %lld with %zu new keys, a cache of %zu and %zu in all", b,
                (long long)last, g->length, g->past, g->total);
        for (size_t i = 0; g->rotates && i < g->length; i++) {
            const int64_t at = g->positions ? g->positions[b * g->length + i] : past + (int64_t)i;
            if (at < 0 || (size_t)at >= g->rows)
                return bnr__op_fail(a->node, a->err, BNR_SHAPE, "position %lld of %zu in cos_cache",
                                    (long long)at, g->rows);
        }
    }
    return BNR_OK;
}

static enum bnr_status check_bias(const struct bnr_args *a, const struct bnr_group_query *g) {
    const struct bnr_tensor *bias = bnr__in(a, BNR_GQ_BIAS);
    const size_t scores[] = {g->batch, g->heads, g->length, g->total};
    for (int i = 0; bias && i < 4; i++)
        if (bias->rank != 4 || ((size_t)bias->dims[i] != scores[i] && bias->dims[i] != 1))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "attention_bias does not fit the scores");
    return BNR_OK;
}

enum bnr_status bnr__group_query_read(const struct bnr_args *a, struct bnr_group_query *g) {
    const struct bnr_node *n = a->node;
    const struct bnr_tensor *q = a->in[BNR_GQ_Q], *past = bnr__in(a, BNR_GQ_PAST_KEY);
    const struct bnr_tensor *total = a->in[BNR_GQ_TOTAL], *positions = bnr__in(a, BNR_GQ_POSITIONS);
    if (total->numel != 1 || total->i32[0] < 0)
        return bnr__op_fail(n, a->err, BNR_SHAPE, "total_sequence_length is no number of keys");
    *g = (struct bnr_group_query){.batch = (size_t)q->dims[0], .length = (size_t)q->dims[1]};
    g->packed = !bnr__in(a, BNR_GQ_K);
    g->heads = (size_t)bnr__attr_int(n, "num_heads", 1);
    g->kv_heads = (size_t)bnr__attr_int(n, "kv_num_heads", 1);
    g->q_stride = (size_t)q->dims[2];
    g->size = g->q_stride / (g->heads + (g->packed ? 2 * g->kv_heads : 0));
    g->kv_stride = g->packed ? g->q_stride : g->kv_heads * g->size;
    g->past = past ? (size_t)past->dims[2] : 0;
    g->total = (size_t)total->i32[0];
    g->all = g->total > g->past ? g->total : g->past;
    g->scale = bnr__attr_float(n, "scale", 0);
    g->softcap = bnr__attr_float(n, "softcap", 0);
    g->window = bnr__attr_int(n, "local_window_size", -1);
    g->interleaved = bnr__attr_int(n, "rotary_interleaved", 0) != 0;
    g->rotates = bnr__attr_int(n, "do_rotary", 0) != 0;
    g->smooth = bnr__in(a, BNR_GQ_SINK) || bnr__attr_int(n, "smooth_softmax", 0) == 1;
    g->rows = g->rotates ? (size_t)a->in[BNR_GQ_COS]->dims[0] : 0;
    g->half = g->rotates ? (size_t)a->in[BNR_GQ_COS]->dims[1] : 0;
    g->seqlens = a->in[BNR_GQ_SEQLENS]->i32;
    if (positions && positions->numel != g->batch * g->length)
        return bnr__op_fail(n, a->err, BNR_SHAPE, "%zu position_ids for %zu tokens",
                            positions->numel, g->batch * g->length);
    g->positions = positions ? positions->i64 : NULL;
    BNR_TRY(check_lengths(a, g));
    return check_bias(a, g);
}

// ---- the kernel ---------------------------------------------------------------------------------

struct state {
    struct bnr_attention_f32 c;
    bool rotates;
    size_t bounds, rotated; // offsets in scratch: first and end; Q by heads
};

struct filling {
    const struct bnr_args *a;
    struct bnr_group_query g;
    const float *q, *k, *v;
    float *qs; // NULL: Q is not rotated
};

// One head's vector of the token (b, i), rotated by its position.
static void rotate(const struct filling *f, size_t b, size_t i, const float *x, float *y) {
    const struct bnr_group_query *g = &f->g;
    memcpy(y, x, g->size * sizeof *y);
    if (!g->rotates)
        return;
    const size_t at = bnr__group_query_position(g, b, i) * g->half;
    const float *cos = f->a->in[BNR_GQ_COS]->f32 + at, *sin = f->a->in[BNR_GQ_SIN]->f32 + at;
    for (size_t d = 0; d < g->half; d++) {
        const size_t p = g->interleaved ? 2 * d : d, q = g->interleaved ? p + 1 : d + g->half;
        y[p] = x[p] * cos[d] - x[q] * sin[d];
        y[q] = x[q] * cos[d] + x[p] * sin[d];
    }
}

// Old and new rows of a head into one of the caches, zeros behind them.
static void fill_cache(const struct filling *f, size_t b, size_t h, int out, const float *new) {
    const struct bnr_group_query *g = &f->g;
    const struct bnr_tensor *old = bnr__in(f->a, BNR_GQ_PAST_KEY + out - KEY);
    const size_t past = bnr__group_query_past(g, b), head = b * g->kv_heads + h;
    float *to = f->a->out[out]->f32 + head * g->all * g->size;
    if (past)
        memcpy(to, old->f32 + head * g->past * g->size, past * g->size * sizeof *to);
    to += past * g->size;
    for (size_t i = 0; i < g->length; i++, to += g->size) {
        const float *x = new + (b * g->length + i) * g->kv_stride + h * g->size;
        if (out == KEY)
            rotate(f, b, i, x, to);
        else
            memcpy(to, x, g->size * sizeof *to);
    }
    memset(to, 0, (g->all - past - g->length) * g->size * sizeof *to);
}

static void fill_heads(void *cx, size_t begin, size_t end) {
    const struct filling *f = cx;
    const struct bnr_group_query *g = &f->g;
    const size_t group = g->heads / g->kv_heads;
    for (size_t head = begin; head < end; head++) {
        const size_t b = head / g->kv_heads, kv = head % g->kv_heads;
        fill_cache(f, b, kv, KEY, f->k);
        fill_cache(f, b, kv, VALUE, f->v);
        for (size_t h = kv * group; f->qs && h < (kv + 1) * group; h++)
            for (size_t i = 0; i < g->length; i++)
                rotate(f, b, i, f->q + (b * g->length + i) * g->q_stride + h * g->size,
                       f->qs + ((b * g->heads + h) * g->length + i) * g->size);
    }
}

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    struct filling f = {.a = a};
    *a->status = bnr__group_query_read(a, &f.g);
    if (*a->status == BNR_OK && f.g.all != st->c.keys)
        *a->status = bnr__op_fail(a->node, a->err, BNR_INTERNAL, "%zu keys, %zu were planned",
                                  f.g.all, st->c.keys);
    if (*a->status != BNR_OK)
        return;
    const struct bnr_group_query *g = &f.g;
    f.q = a->in[BNR_GQ_Q]->f32;
    f.k = g->packed ? f.q + g->heads * g->size : a->in[BNR_GQ_K]->f32;
    f.v = g->packed ? f.k + g->kv_heads * g->size : a->in[BNR_GQ_V]->f32;
    f.qs = st->rotates ? (float *)((char *)a->scratch + st->rotated) : NULL;
    bnr__parallel_for(a->pool, g->batch * g->kv_heads, 1, fill_heads, &f);
    int64_t *first = (int64_t *)((char *)a->scratch + st->bounds), *end = first + g->batch;
    for (size_t b = 0; b < g->batch; b++) {
        first[b] = (int64_t)bnr__group_query_past(g, b);
        end[b] = first[b] + (int64_t)g->length;
    }
    const struct bnr_tensor *bias = bnr__in(a, BNR_GQ_BIAS), *sink = bnr__in(a, BNR_GQ_SINK);
    const struct bnr_attention_f32_run r = {.c = &st->c,
                                            .y = a->out[Y]->f32,
                                            .q = f.qs ? f.qs : f.q,
                                            .k = a->out[KEY]->f32,
                                            .v = a->out[VALUE]->f32,
                                            .mask = bias ? bias->data : NULL,
                                            .sink = sink ? sink->f32 : NULL,
                                            .first = first,
                                            .end = end,
                                            .scratch = a->scratch};
    bnr__attention_f32_run(&r, a->pool);
}

// Of a bias that has every key in use: a run checks that.
static bool read_bias(const struct bnr_prepare *cx, struct bnr_attention_f32 *c) {
    const struct bnr_info *bias = bnr__prepare_in(cx, BNR_GQ_BIAS);
    if (!bias)
        return true;
    const struct bnr_shape *s = &bias->type.shape;
    if (s->rank != 4 || (s->dims[3].n == 1 && c->keys > 1))
        return false;
    const size_t row = (size_t)s->dims[3].n, head = row * (size_t)s->dims[2].n;
    c->masked = true;
    c->mask_keys = row;
    c->mask.row = s->dims[2].n > 1 ? row : 0;
    c->mask.head = s->dims[1].n > 1 ? head : 0;
    c->mask.batch = s->dims[0].n > 1 ? head * (size_t)s->dims[1].n : 0;
    return true;
}

static void read_geometry(const struct bnr_prepare *cx, struct state *st) {
    const struct bnr_node *n = cx->node;
    const struct bnr_shape *q = &cx->in[BNR_GQ_Q]->type.shape, *key = &cx->out[KEY]->type.shape;
    struct bnr_attention_f32 *c = &st->c;
    const int64_t window = bnr__attr_int(n, "local_window_size", -1);
    const float scale = bnr__attr_float(n, "scale", 0);
    st->rotates = bnr__attr_int(n, "do_rotary", 0) != 0;
    c->batch = (size_t)q->dims[0].n;
    c->queries = (size_t)q->dims[1].n;
    c->heads = (size_t)bnr__attr_int(n, "num_heads", 1);
    c->kv_heads = (size_t)bnr__attr_int(n, "kv_num_heads", 1);
    c->keys = (size_t)key->dims[2].n;
    c->size = c->v_size = (size_t)key->dims[3].n;
    c->scale = scale != 0 ? scale : (float)(1 / sqrt((double)c->size));
    c->softcap = bnr__attr_float(n, "softcap", 0);
    c->causal = true;
    c->smooth = bnr__prepare_in(cx, BNR_GQ_SINK) || bnr__attr_int(n, "smooth_softmax", 0) == 1;
    c->left = window < 0 ? -1 : window - 1;
    c->right = -1;
    c->k = (struct bnr_attention_place){
        .batch = c->kv_heads * c->keys * c->size, .head = c->keys * c->size, .row = c->size};
    c->v = c->k;
    c->y = (struct bnr_attention_place){
        .batch = c->queries * c->heads * c->size, .head = c->size, .row = c->heads * c->size};
    const size_t row = (size_t)q->dims[2].n;
    c->q = (struct bnr_attention_place){.batch = c->queries * row, .head = c->size, .row = row};
    if (st->rotates)
        c->q = (struct bnr_attention_place){
            .batch = c->heads * c->queries * c->size, .head = c->queries * c->size, .row = c->size};
}

enum bnr_status bnr__prepare_group_query(struct bnr_prepare *cx) {
    struct state *st = BNR_NEW(cx->arena, struct state);
    size_t rotated;
    if (!st)
        return bnr__no_memory(cx->err);
    if (cx->in[BNR_GQ_Q]->type.dtype != BNR_FLOAT || cx->node->n_out < 3 || !cx->node->out[KEY] ||
        !cx->node->out[VALUE] || bnr__attr_int(cx->node, "local_window_size", -1) == 0 ||
        (cx->node->n_out > SCORES && cx->node->out[SCORES]))
        return BNR_OK;
    read_geometry(cx, st);
    struct bnr_attention_f32 *c = &st->c;
    if (c->batch == 0 || c->queries == 0 || c->keys == 0 || c->size == 0 || !read_bias(cx, c) ||
        !bnr__attention_f32_init(c, cx->cpu, cx->threads) || c->scratch_bytes > BNR_MAX_SCRATCH)
        return BNR_OK;
    st->bounds = c->scratch_bytes;
    st->rotated = st->bounds + (2 * c->batch * sizeof(int64_t) + 63) / 64 * 64;
    if (!bnr__size_mul(st->rotates ? c->batch * c->heads * c->queries : 0, c->size * sizeof(float),
                       &rotated) ||
        !bnr__size_add(st->rotated, rotated, &cx->scratch))
        return BNR_OK;
    cx->kernel = bnr__arena_printf(cx->arena, "attention_f32_%s", c->gemm->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
