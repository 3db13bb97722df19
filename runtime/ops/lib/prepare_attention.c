// SPDX-License-Identifier: Apache-2.0
// Attention by attention_f32. Its output of scores stays with the reference code.
#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/attention_f32.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/prepare_window.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, NONPAD, SCORES = 3 };

// K or V: where the cache and the new rows lie, and whether they are brought together.
struct part {
    int in, past, out; // indices; out also of a->out
    size_t size, length, cached;
    struct bnr_attention_place place; // of the new rows
    bool joined;                      // [batch, heads, cached + length, size] is made
    size_t scratch;                   // offset of that where it is no output
};

struct state {
    struct bnr_attention_f32 c;
    struct part k, v;
    bool has_nonpad;
    size_t bounds; // offset in scratch of first and end
};

// Rows of [batch, heads, length, size], or with rank 3 [batch, length, heads * size].
static struct bnr_attention_place place_of(int rank, size_t heads, size_t length, size_t size) {
    if (rank == 3)
        return (struct bnr_attention_place){
            .batch = length * heads * size, .head = size, .row = heads * size};
    return (struct bnr_attention_place){
        .batch = heads * length * size, .head = length * size, .row = size};
}

struct joining {
    const struct part *p;
    const float *past, *new;
    float *to;
    size_t heads;
};

static void join_heads(void *cx, size_t begin, size_t end) {
    const struct joining *j = cx;
    const struct part *p = j->p;
    const size_t old = p->cached * p->size, all = old + p->length * p->size;
    for (size_t i = begin; i < end; i++) {
        float *to = j->to + i * all;
        const float *from = j->new + i / j->heads * p->place.batch + i % j->heads * p->place.head;
        if (old)
            memcpy(to, j->past + i * old, old * sizeof *to);
        for (size_t r = 0; r < p->length; r++)
            memcpy(to + old + r * p->size, from + r * p->place.row, p->size * sizeof *to);
    }
}

// Where the rows are that the kernel reads.
static const float *rows_of(const struct bnr_args *a, const struct state *st,
                            const struct part *p) {
    const float *new = a->in[p->in]->f32;
    if (!p->joined)
        return new;
    struct bnr_tensor *out = p->out < a->n_out ? a->out[p->out] : NULL;
    struct joining j = {.p = p, .new = new, .heads = st->c.kv_heads};
    j.past = p->cached ? a->in[p->past]->f32 : NULL;
    j.to = out ? out->f32 : (float *)((char *)a->scratch + p->scratch);
    bnr__parallel_for(a->pool, st->c.batch * st->c.kv_heads, 1, join_heads, &j);
    return j.to;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const struct bnr_attention_f32 *c = &st->c;
    int64_t *first = (int64_t *)((char *)a->scratch + st->bounds), *end = first + c->batch;
    for (size_t b = 0; b < c->batch; b++) {
        const int64_t most = (int64_t)1 << 39;
        const int64_t n = st->has_nonpad ? clamp(a->in[NONPAD]->i64[b], -most, most) : 0;
        first[b] = st->has_nonpad ? n - (int64_t)c->queries : (int64_t)st->k.cached;
        end[b] = st->has_nonpad ? clamp(n, 0, (int64_t)c->keys) : (int64_t)c->keys;
    }
    const struct bnr_attention_f32_run r = {.c = c,
                                            .y = a->out[0]->f32,
                                            .q = a->in[Q]->f32,
                                            .k = rows_of(a, st, &st->k),
                                            .v = rows_of(a, st, &st->v),
                                            .mask = c->masked ? a->in[MASK]->data : NULL,
                                            .first = first,
                                            .end = end,
                                            .scratch = a->scratch};
    bnr__attention_f32_run(&r, a->pool);
}

static bool wants(const struct bnr_prepare *cx, int out) {
    return out < cx->node->n_out && cx->node->out[out];
}

// The distances in the mask, seen as [batch, heads, queries, keys]. False where it is no float or
// bool.
static bool read_mask(const struct bnr_prepare *cx, struct bnr_attention_f32 *c) {
    const struct bnr_info *m = bnr__prepare_in(cx, MASK);
    if (!m)
        return true;
    const struct bnr_shape *s = &m->type.shape;
    size_t *const steps[] = {&c->mask.batch, &c->mask.head, &c->mask.row};
    c->masked = true;
    c->boolean = m->type.dtype == BNR_BOOL;
    c->mask_keys = (size_t)s->dims[s->rank - 1].n;
    size_t step = c->mask_keys;
    for (int d = s->rank - 2; d >= 0; d--) {
        const size_t n = (size_t)s->dims[d].n;
        *steps[4 - (s->rank - d)] = n > 1 ? step : 0;
        step *= n;
    }
    return c->boolean || m->type.dtype == BNR_FLOAT;
}

// Adds room in scratch.
static bool reserve(size_t *total, size_t *at, size_t bytes) {
    if (!bnr__size_add(*total, 63, total))
        return false;
    *at = *total / 64 * 64;
    return bnr__size_add(*at, bytes, total);
}

static struct part read_part(const struct bnr_prepare *cx, int in, int past, size_t heads) {
    const struct bnr_shape *s = &cx->in[in]->type.shape;
    const struct bnr_info *cache = bnr__prepare_in(cx, past);
    struct part p = {.in = in, .past = past, .out = in - Q};
    p.length = (size_t)s->dims[s->rank == 3 ? 1 : 2].n;
    p.size = s->rank == 3 ? (size_t)s->dims[2].n / heads : (size_t)s->dims[3].n;
    p.cached = cache ? (size_t)cache->type.shape.dims[2].n : 0;
    p.place = place_of(s->rank, heads, p.length, p.size);
    p.joined = cache || wants(cx, p.out);
    return p;
}

static void read_geometry(const struct bnr_prepare *cx, struct state *st) {
    const struct bnr_node *n = cx->node;
    const struct bnr_shape *q = &cx->in[Q]->type.shape, *k = &cx->in[K]->type.shape;
    struct bnr_attention_f32 *c = &st->c;
    const bool flat = q->rank == 3;
    c->batch = (size_t)q->dims[0].n;
    c->heads = (size_t)(flat ? bnr__attr_int(n, "q_num_heads", 1) : q->dims[1].n);
    c->kv_heads = (size_t)(flat ? bnr__attr_int(n, "kv_num_heads", 1) : k->dims[1].n);
    c->queries = (size_t)q->dims[flat ? 1 : 2].n;
    if (c->heads == 0 || c->kv_heads == 0)
        return;
    st->k = read_part(cx, K, PAST_KEY, c->kv_heads);
    st->v = read_part(cx, V, PAST_VALUE, c->kv_heads);
    c->keys = st->k.cached + st->k.length;
    c->size = st->k.size;
    c->v_size = st->v.size;
    c->q = place_of(q->rank, c->heads, c->queries, c->size);
    c->y = place_of(q->rank, c->heads, c->queries, c->v_size);
    c->k = st->k.joined ? place_of(4, c->kv_heads, c->keys, c->size) : st->k.place;
    c->v = st->v.joined ? place_of(4, c->kv_heads, c->keys, c->v_size) : st->v.place;
    c->causal = bnr__attr_int(n, "is_causal", 0) != 0;
    c->left = bnr__attr_int(n, "left_window_size", -1);
    c->right = bnr__attr_int(n, "right_window_size", -1);
    c->softcap = bnr__attr_float(n, "softcap", 0);
    c->scale =
        bnr__attr(n, "scale") ? bnr__attr_float(n, "scale", 1) : (float)(1 / sqrt((double)c->size));
}

static bool all_float(const struct bnr_prepare *cx) {
    static const int inputs[] = {Q, K, V, PAST_KEY, PAST_VALUE};
    for (size_t i = 0; i < BNR_COUNT(inputs); i++)
        if (bnr__prepare_in(cx, inputs[i]) && bnr__prepare_in(cx, inputs[i])->type.dtype != BNR_FLOAT)
            return false;
    return true;
}

// Room for a cache that is no output.
static bool reserve_part(const struct bnr_prepare *cx, const struct bnr_attention_f32 *c,
                         struct part *p, size_t *total) {
    size_t bytes;
    if (!p->joined || wants(cx, p->out))
        return true;
    return bnr__size_mul(c->batch * c->kv_heads * p->size, c->keys, &bytes) &&
           bnr__size_mul(bytes, sizeof(float), &bytes) && reserve(total, &p->scratch, bytes);
}

enum bnr_status bnr__prepare_attention(struct bnr_prepare *cx) {
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st)
        return bnr__no_memory(cx->err);
    if (!all_float(cx) || wants(cx, SCORES))
        return BNR_OK;
    read_geometry(cx, st);
    struct bnr_attention_f32 *c = &st->c;
    st->has_nonpad = bnr__prepare_in(cx, NONPAD) != NULL;
    if (c->batch == 0 || c->heads == 0 || c->queries == 0 || c->keys == 0 || c->size == 0 ||
        c->v_size == 0 || !read_mask(cx, c) || !bnr__attention_f32_init(c, cx->cpu, cx->threads))
        return BNR_OK;
    size_t total = c->scratch_bytes;
    if (total > BNR_MAX_SCRATCH || !reserve(&total, &st->bounds, 2 * c->batch * sizeof(int64_t)) ||
        !reserve_part(cx, c, &st->k, &total) || !reserve_part(cx, c, &st->v, &total))
        return BNR_OK;
    cx->scratch = total;
    cx->kernel = bnr__arena_printf(cx->arena, "attention_f32_%s", c->gemm->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
