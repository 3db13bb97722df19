// SPDX-License-Identifier: Apache-2.0
// attention_f32: tasks are (batch, key head, block of rows); a row is a query of one of the heads
// that share the keys.
#include "runtime/kernels/attention_f32.h"

#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"

enum {
    SCORES = 128 * 1024, // of a block: half a megabyte
    MAX_ROWS = 144,      // K and V are packed for each block
    KEYS = 128,          // packed in one go
};

// V is read where it lies: that takes whole vectors. Rows far apart share few lines of the cache,
// which does not hold them from one panel of scores to the next.
static bool reads_values_in_place(const struct bnr_attention_f32 *c) {
    return c->v_size % (c->gemm->nr / 2) == 0 && (c->panels == 1 || c->v.row == c->v_size);
}

bool bnr__attention_f32_init(struct bnr_attention_f32 *c, unsigned cpu, int threads) {
    c->gemm = bnr__gemm_f32_select(cpu);
    c->softmax = bnr__rows_f32_select(cpu);
    c->eltwise = bnr__eltwise_f32_select(cpu);
    c->slots = bnr__slots_count(threads);
    const size_t all = c->heads / c->kv_heads * c->queries, mr = c->gemm->mr;
    size_t rows = min_size(max_size(SCORES / c->keys / mr, 1), MAX_ROWS / mr) * mr;
    c->blocks = ceil_div(all, rows);
    c->rows = rows = ceil_div(all, c->blocks);
    c->ld = ceil_div(c->keys + c->smooth, 16) * 16;
    c->panels = ceil_div(rows, mr);
    const size_t wide = c->panels * bnr__gemm_f32_panel_rows(c->gemm, rows);
    size_t scores, own, keys;
    if (!bnr__size_mul(c->size, wide, &own) || !bnr__size_mul(c->size, KEYS + c->gemm->nr, &keys) ||
        !bnr__size_mul(c->ld, rows, &scores))
        return false;
    c->panel_floats = max_size(own, wide * BNR_GEMM_KC);
    c->key_floats = max_size(keys, BNR_GEMM_KC * c->gemm->nr);
    // Rows of Q, then of the result.
    return bnr__size_mul(max_size(c->size, c->v_size), rows, &own) &&
           bnr__size_add(own, scores, &own) &&
           bnr__slots_bytes(c->slots, own, c->panel_floats + c->key_floats, &c->slot_bytes,
                            &c->scratch_bytes);
}

struct job {
    const struct bnr_attention_f32_run *r;
    struct bnr_slots slots;
};

struct range {
    int64_t begin, end; // of keys
};

struct block {
    const struct bnr_attention_f32_run *r;
    size_t batch, kv_head, row, rows;
    struct range keys, of[MAX_ROWS];
    float *scores, *own, *panels, *packed; // scratch
};

static size_t start(const struct block *b, const struct bnr_attention_place *at, size_t head) {
    return at->starts ? at->starts[b->batch] : b->batch * at->batch + head * at->head;
}

// The place of row i of the block among those of a tensor by query heads.
static size_t place(const struct block *b, const struct bnr_attention_place *at, size_t i) {
    const struct bnr_attention_f32 *c = b->r->c;
    const size_t head = b->kv_head * (c->heads / c->kv_heads) + (b->row + i) / c->queries;
    return start(b, at, head) + (b->row + i) % c->queries * at->row;
}

static struct range keys_of(const struct block *b, size_t i) {
    const struct bnr_attention_f32 *c = b->r->c;
    if (c->plain)
        return (struct range){0, (int64_t)c->keys};
    const int64_t p = b->r->first[b->batch] + (int64_t)((b->row + i) % c->queries);
    struct range r = {0, b->r->end[b->batch]};
    if (c->masked && r.end > (int64_t)c->mask_keys)
        r.end = (int64_t)c->mask_keys;
    if (c->causal && r.end > p + 1)
        r.end = p + 1;
    if (c->right >= 0 && c->right < r.end - p - 1)
        r.end = p + c->right + 1;
    if (c->left >= 0 && c->left < p)
        r.begin = p - c->left;
    return r.begin < r.end ? r : (struct range){0, 0};
}

// Sets the keys of every row, and those of all; false where there are none.
static bool set_ranges(struct block *b) {
    b->keys = (struct range){INT64_MAX, 0};
    for (size_t i = 0; i < b->rows; i++) {
        const struct range r = b->of[i] = keys_of(b, i);
        if (r.begin == r.end)
            continue;
        b->keys.begin = r.begin < b->keys.begin ? r.begin : b->keys.begin;
        b->keys.end = r.end > b->keys.end ? r.end : b->keys.end;
    }
    return b->keys.end > 0;
}

// The block's rows of k elements, `step` apart, as panels; a single row is one as it is.
static const float *pack_rows(const struct block *b, const float *src, size_t k, size_t step) {
    const struct bnr_gemm_f32 *g = b->r->c->gemm;
    const size_t width = bnr__gemm_f32_panel_rows(g, b->rows), panels = ceil_div(b->rows, width);
    if (b->rows == 1)
        return src;
    for (size_t i = 0; i < panels; i++) {
        const size_t first = b->rows * i / panels, end = b->rows * (i + 1) / panels;
        const struct bnr_gemm_panel p = {.dst = b->panels + i * width * k,
                                         .src = src + first * step,
                                         .width = width,
                                         .count = end - first,
                                         .k = k,
                                         .step = step};
        g->pack(&p);
    }
    return b->panels;
}

static struct bnr_gemm_block product(const struct block *b, const float *a, size_t k) {
    static const struct bnr_gemm_finish nothing;
    const struct bnr_gemm_f32 *g = b->r->c->gemm;
    const size_t width = bnr__gemm_f32_panel_rows(g, b->rows);
    return (struct bnr_gemm_block){.g = g,
                                   .a = a,
                                   .a_step = width * k,
                                   .b_step = g->nr * k,
                                   .panel_rows = width,
                                   .even = true,
                                   .ldb = g->nr,
                                   .m = b->rows,
                                   .k = k,
                                   .first = true,
                                   .last = true,
                                   .finish = &nothing};
}

// Keys from `first` on, up to a panel's width of them.
static void pack_keys(const struct block *b, float *dst, size_t first, size_t count) {
    const struct bnr_attention_f32 *c = b->r->c;
    const float *k = b->r->k + start(b, &c->k, b->kv_head);
    const struct bnr_gemm_panel panel = {.dst = dst,
                                         .src = k + first * (c->k_turned ? 1 : c->k.row),
                                         .width = c->gemm->nr,
                                         .count = min_size(c->gemm->nr, count),
                                         .k = c->size,
                                         .step = c->k.row};
    if (c->k_turned)
        bnr__gemm_f32_pack_across(&panel);
    else
        c->gemm->pack(&panel);
}

// Column j of the scores is key keys.begin + j.
static void make_scores(const struct block *b) {
    const struct bnr_attention_f32 *c = b->r->c;
    const size_t n = (size_t)(b->keys.end - b->keys.begin), nr = c->gemm->nr;
    const float scale = c->softcap > 0 ? c->scale / c->softcap : c->scale;
    for (size_t i = 0; i < b->rows; i++) {
        const float *q = b->r->q + place(b, &c->q, i);
        for (size_t d = 0; d < c->size; d++)
            b->own[i * c->size + d] = q[d] * scale;
    }
    struct bnr_gemm_block p = product(b, pack_rows(b, b->own, c->size, c->size), c->size);
    p.b = b->packed;
    p.ldc = c->ld;
    for (size_t j = 0; j < n; j += KEYS) {
        p.n = min_size(KEYS, n - j);
        p.c = b->scores + j;
        for (size_t i = 0; i < p.n; i += nr)
            pack_keys(b, b->packed + i * c->size, (size_t)b->keys.begin + j + i, p.n - i);
        bnr__gemm_f32_block(&p);
    }
}

static void cap_scores(const struct block *b) {
    const struct bnr_attention_f32 *c = b->r->c;
    const float *operands[] = {&c->softcap};
    const struct bnr_eltwise e = {
        .n = 2,
        .channels = 1,
        .step = {{.kind = BNR_ELTWISE_TANH}, {.kind = BNR_ELTWISE_MUL, .form = BNR_FORM_SCALAR}}};
    const struct bnr_eltwise_tile t = {.dst = b->scores,
                                       .src = b->scores,
                                       .ld = c->ld,
                                       .rows = b->rows,
                                       .cols = (size_t)(b->keys.end - b->keys.begin)};
    c->eltwise->tile(&e, operands, &t);
}

// Applies the mask to n scores from key `key` on.
static void mask_row(const struct block *b, size_t i, float *s, size_t key, size_t n) {
    const struct bnr_attention_f32 *c = b->r->c;
    const size_t at = place(b, &c->mask, i) + key;
    if (c->boolean) {
        const uint8_t *m = (const uint8_t *)b->r->mask + at;
        for (size_t j = 0; j < n; j++)
            s[j] = m[j] ? s[j] : -INFINITY;
        return;
    }
    const float *m = (const float *)b->r->mask + at;
    for (size_t j = 0; c->mask_same && j < n; j++)
        s[j] += m[0];
    for (size_t j = 0; c->plain && !c->mask_same && j < n; j++)
        s[j] += m[j];
    for (size_t j = 0; !c->plain && j < n; j++) {
        const float sum = s[j] + m[j];
        s[j] = m[j] == -INFINITY ? -INFINITY : sum;
    }
}

static bool all_out(const float *s, size_t n) {
    size_t j = 0;
    while (j < n && s[j] == -INFINITY)
        j++;
    return j == n;
}

// The score more stands behind the others, in a column that no value belongs to.
static void smooth_softmax(const struct block *b, size_t i, float *s, size_t n) {
    const struct bnr_attention_f32 *c = b->r->c;
    const size_t head = b->kv_head * (c->heads / c->kv_heads) + (b->row + i) / c->queries;
    s[n] = b->r->sink ? b->r->sink[head] : 0;
    c->softmax->softmax(s, s, n + 1);
}

static void normalize(const struct block *b) {
    const struct bnr_attention_f32 *c = b->r->c;
    const size_t n = (size_t)(b->keys.end - b->keys.begin);
    for (size_t i = 0; i < b->rows; i++) {
        float *row = b->scores + i * c->ld;
        const struct range r = b->of[i];
        size_t begin = 0, end = 0;
        if (r.end > 0) {
            begin = (size_t)(r.begin - b->keys.begin);
            end = (size_t)(r.end - b->keys.begin);
        }
        if (c->masked)
            mask_row(b, i, row + begin, (size_t)r.begin, end - begin);
        if (!c->plain && all_out(row + begin, end - begin))
            end = begin;
        else if (c->smooth)
            smooth_softmax(b, i, row + begin, end - begin);
        else
            c->softmax->softmax(row + begin, row + begin, end - begin);
        memset(row, 0, begin * sizeof *row);
        memset(row + end, 0, (n - end) * sizeof *row);
    }
}

// own[rows, v_size] += rows of scores from column `col` on, k of them, by V.
static void add_values(const struct block *b, size_t col, size_t k, bool first) {
    const struct bnr_attention_f32 *c = b->r->c;
    const size_t nr = c->gemm->nr;
    const float *v =
        b->r->v + start(b, &c->v, b->kv_head) + ((size_t)b->keys.begin + col) * c->v.row;
    struct bnr_gemm_block p = product(b, pack_rows(b, b->scores + col, k, c->ld), k);
    p.first = first;
    p.ldc = c->v_size;
    if (reads_values_in_place(c)) {
        p.b = v;
        p.b_step = nr;
        p.ldb = c->v.row;
        p.n = c->v_size;
        p.c = b->own;
        bnr__gemm_f32_block(&p);
        return;
    }
    p.b = b->packed;
    for (size_t j = 0; j < c->v_size; j += nr) {
        const struct bnr_gemm_panel panel = {.dst = b->packed,
                                             .src = v + j,
                                             .width = nr,
                                             .count = min_size(nr, c->v_size - j),
                                             .k = k,
                                             .step = c->v.row};
        bnr__gemm_f32_pack_across(&panel);
        p.n = panel.count;
        p.c = b->own + j;
        bnr__gemm_f32_block(&p);
    }
}

static void run_block(struct block *b) {
    const struct bnr_attention_f32 *c = b->r->c;
    const bool any = set_ranges(b);
    if (any) {
        make_scores(b);
        if (c->softcap > 0)
            cap_scores(b);
        normalize(b);
        const size_t n = (size_t)(b->keys.end - b->keys.begin);
        for (size_t k0 = 0; k0 < n; k0 += BNR_GEMM_KC)
            add_values(b, k0, min_size(BNR_GEMM_KC, n - k0), k0 == 0);
    }
    for (size_t i = 0; i < b->rows; i++) {
        float *y = b->r->y + place(b, &c->y, i);
        if (any)
            memcpy(y, b->own + i * c->v_size, c->v_size * sizeof *y);
        else
            memset(y, 0, c->v_size * sizeof *y);
    }
}

static void run_blocks(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    const struct bnr_attention_f32 *c = j->r->c;
    const size_t all = c->heads / c->kv_heads * c->queries;
    float *scratch = bnr__slots_take(&j->slots);
    for (size_t i = begin; i < end; i++) {
        const size_t block = i % c->blocks, head = i / c->blocks;
        struct block b = {.r = j->r,
                          .batch = head / c->kv_heads,
                          .kv_head = head % c->kv_heads,
                          .row = block * c->rows,
                          .panels = scratch,
                          .packed = scratch + c->panel_floats};
        b.rows = min_size(c->rows, all - b.row);
        b.scores = b.packed + c->key_floats;
        b.own = b.scores + c->rows * c->ld;
        run_block(&b);
    }
    bnr__slots_give(&j->slots, scratch);
}

void bnr__attention_f32_run(const struct bnr_attention_f32_run *r, struct bnr_pool *pool) {
    const struct bnr_attention_f32 *c = r->c;
    struct job j = {.r = r};
    bnr__slots_init(&j.slots, r->scratch, c->slot_bytes, c->slots);
    bnr__parallel_for(pool, c->batch * c->kv_heads * c->blocks, 1, run_blocks, &j);
}
