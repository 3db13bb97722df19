// SPDX-License-Identifier: Apache-2.0
// matmul_f32: block sizes, packing of both operands, and the tasks: (product, rows of C, columns of
// C).
#include "runtime/kernels/matmul_f32.h"

#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"

// A block of A [ROWS, KC] and one of B [KC, COLUMNS] share L2. A task has up to TASK_COLUMNS
// columns, so that packing A for it is worth little beside the product.
enum { ROWS = 210, COLUMNS = 128, TASK_COLUMNS = 1024 };
enum { PART = 1 << 17 }; // elements of a plain B that are packed in one go

static size_t columns_packed(const struct bnr_matmul_f32 *c) {
    return ceil_div(c->s.n, c->gemm->nr) * c->gemm->nr;
}

// As many rows go together as fit into L2. Each thread has blocks of its own where there are rows
// enough: what it reads of A, and of C later, lies in its caches then, and not in those of others.
static size_t count_row_blocks(const struct bnr_matmul_f32 *c) {
    const size_t slots = (size_t)c->slots, few = 3 * c->gemm->mr;
    const size_t blocks = ceil_div(c->s.m, ROWS), more = ceil_div(blocks, slots) * slots;
    return c->s.count % slots != 0 && c->s.m / more >= few ? more : blocks;
}

bool bnr__matmul_f32_in_place(const struct bnr_product_shape *s) {
    return s->constant_b && s->trans_b && s->m == 1 && s->count == 1;
}

bool bnr__matmul_f32_init(struct bnr_matmul_f32 *c, const struct bnr_product_shape *s, unsigned cpu,
                          int threads) {
    *c = (struct bnr_matmul_f32){.s = *s, .gemm = s->gemm};
    if (!s->gemm)
        c->gemm = bnr__gemm_f32_select(cpu);
    c->eltwise = bnr__eltwise_f32_select(cpu);
    c->weight_kernels = bnr__weights_f32_select(cpu);
    c->slots = bnr__slots_count(threads);
    c->row_blocks = count_row_blocks(c);
    c->mc = ceil_div(s->m, max_size(c->row_blocks, 1));
    c->panel_rows = bnr__gemm_f32_panel_rows(c->gemm, c->mc);
    c->kc = even_piece(s->k, BNR_GEMM_KC, 1);
    c->nc = even_piece(s->n, TASK_COLUMNS, c->gemm->nr);
    // Few blocks: smaller ones, so that all threads have work.
    const size_t tasks = s->count * c->row_blocks * ceil_div(s->n, c->nc);
    const size_t wanted = 4 * (size_t)c->slots;
    if (c->slots > 1 && tasks < wanted)
        c->nc = even_piece(s->n, max_size(c->nc * tasks / wanted, c->gemm->nr), c->gemm->nr);
    const size_t panels = ceil_div(c->mc, c->panel_rows);
    const size_t b_floats = s->constant_b ? 0 : c->kc * min_size(c->nc, COLUMNS);
    return bnr__size_mul(columns_packed(c), s->k, &c->packed_bytes) &&
           bnr__size_mul(c->packed_bytes, sizeof(float), &c->packed_bytes) &&
           bnr__slots_bytes(c->slots, panels * c->panel_rows * c->kc, b_floats, &c->slot_bytes,
                            &c->scratch_bytes);
}

// ---- packing ------------------------------------------------------------------------------------

static void pack_panel(const struct bnr_matmul_f32 *c, const struct bnr_gemm_panel *p,
                       bool k_is_near) {
    if (k_is_near)
        c->gemm->pack(p);
    else
        bnr__gemm_f32_pack_across(p);
}

// Columns col .. col + cols - 1 of B, elements k0 .. k0 + k - 1, panel by panel, `step` floats
// apart.
static void pack_b(const struct bnr_matmul_f32 *c, float *dst, const float *b, size_t col,
                   size_t cols, size_t k0, size_t k, size_t step) {
    const struct bnr_product_shape *s = &c->s;
    const size_t nr = c->gemm->nr;
    for (size_t j = 0; j < cols; j += nr, dst += step) {
        const struct bnr_gemm_panel p = {
            .dst = dst,
            .src = s->trans_b ? b + (col + j) * s->k + k0 : b + k0 * s->n + col + j,
            .width = nr,
            .count = min_size(nr, cols - j),
            .k = k,
            .step = s->trans_b ? s->k : s->n,
        };
        pack_panel(c, &p, s->trans_b);
    }
}

// A part of a transposed B is a panel, one of a plain B some rows.
struct bnr_matmul_parts bnr__matmul_f32_parts(const struct bnr_matmul_f32 *c) {
    const struct bnr_product_shape *s = &c->s;
    if (s->trans_b)
        return (struct bnr_matmul_parts){ceil_div(s->n, c->gemm->nr), c->gemm->nr * s->k};
    const size_t rows = min_size(max_size(PART / s->n, 1), s->k);
    return (struct bnr_matmul_parts){ceil_div(s->k, rows), rows * s->n};
}

static void scale_panels(float *dst, size_t panels, size_t step, size_t n, float scale) {
    for (size_t p = 0; scale != 1.0f && p < panels; p++)
        for (size_t i = 0; i < n; i++)
            dst[p * step + i] *= scale;
}

// Some columns of B, which lie in memory as rows, as a panel.
static bool pack_columns(const struct bnr_matmul_f32 *c, float *dst,
                         const struct bnr_weights_rows *src, size_t cols) {
    const size_t nr = c->gemm->nr, k = c->s.k;
    const struct bnr_weights_turn t = {.dst = dst,
                                       .src = src->w,
                                       .factors = src->factors,
                                       .rows = cols,
                                       .cols = k,
                                       .src_step = k,
                                       .taps = 1,
                                       .width = nr,
                                       .dst_step = nr};
    return c->weight_kernels->turn(&t);
}

// Row i of `src`, of all columns of B, to its place in each panel.
static bool pack_row(const struct bnr_matmul_f32 *c, float *dst,
                     const struct bnr_weights_rows *src, size_t i) {
    const size_t nr = c->gemm->nr, n = c->s.n;
    const bnr_any_float *w = src->w + i * n;
    bool finite = true;
    for (size_t j = 0; j < n; j += nr, dst += nr * c->s.k) {
        const size_t cols = min_size(nr, n - j);
        if (src->factors) {
            c->weight_kernels->scale(dst, w + j, cols, src->factors[i]);
            finite = finite && isfinite(c->weight_kernels->largest((bnr_any_float *)dst, cols));
        } else {
            memcpy(dst, w + j, cols * sizeof *dst);
        }
        memset(dst + cols, 0, (nr - cols) * sizeof *dst);
    }
    return finite;
}

size_t bnr__matmul_f32_row(const struct bnr_matmul_f32 *c) {
    return c->s.trans_b ? c->s.k : c->s.n;
}

bool bnr__matmul_f32_pack_part(const struct bnr_matmul_f32 *c, float *dst,
                               const struct bnr_weights_rows *src, size_t part, float scale) {
    const struct bnr_product_shape *s = &c->s;
    const size_t nr = c->gemm->nr, step = nr * s->k;
    bool finite = true;
    if (s->trans_b) {
        dst += part * step;
        finite = pack_columns(c, dst, src, min_size(nr, s->n - part * nr));
        scale_panels(dst, 1, step, step, scale);
        return finite;
    }
    const size_t rows = bnr__matmul_f32_parts(c).elems / s->n, k0 = part * rows;
    const size_t k = min_size(rows, s->k - k0);
    dst += k0 * nr;
    for (size_t i = 0; i < k; i++)
        finite &= pack_row(c, dst + i * nr, src, i);
    scale_panels(dst, ceil_div(s->n, nr), step, k * nr, scale);
    return finite;
}

void bnr__matmul_f32_pack(const struct bnr_matmul_f32 *c, float *dst, const float *b, float scale) {
    const struct bnr_matmul_parts parts = bnr__matmul_f32_parts(c);
    for (size_t i = 0; i < parts.n; i++) {
        const struct bnr_weights_rows src = {.w = (const bnr_any_float *)b + i * parts.elems};
        bnr__matmul_f32_pack_part(c, dst, &src, i, scale);
    }
}

// Rows row .. row + rows - 1 of A in panels, spread evenly: a last panel of a few rows would take
// more time than they are worth.
static void pack_a(const struct bnr_matmul_f32 *c, float *dst, const float *a, size_t row,
                   size_t rows, size_t k0, size_t k) {
    const struct bnr_product_shape *s = &c->s;
    const size_t panels = ceil_div(rows, c->panel_rows);
    for (size_t i = 0; i < panels; i++, dst += c->panel_rows * k) {
        const size_t first = row + rows * i / panels, end = row + rows * (i + 1) / panels;
        const struct bnr_gemm_panel p = {
            .dst = dst,
            .src = s->trans_a ? a + k0 * s->m + first : a + first * s->k + k0,
            .width = c->panel_rows,
            .count = end - first,
            .k = k,
            .step = s->trans_a ? s->m : s->k,
        };
        pack_panel(c, &p, !s->trans_a);
    }
}

// ---- running ------------------------------------------------------------------------------------

struct job {
    const struct bnr_matmul_f32_run *r;
    struct bnr_gemm_finish finish;
    struct bnr_eltwise rest;
    struct bnr_slots slots;
    size_t col_blocks;
};

struct task {
    const float *a, *b; // of the product
    size_t row, rows, col, cols;
    float *a_scratch, *b_scratch;
};

// Where packed B is read after the task's columns in front of `col`, elements k0 .. k0 + k - 1: the
// task's next columns, its first ones further on in K, or the next task's. NULL behind the end.
static const float *next_columns(const struct bnr_matmul_f32 *c, const struct task *t, size_t col,
                                 size_t k0, size_t k) {
    if (col == t->col + t->cols && k0 + k < c->s.k) {
        col = t->col;
        k0 += k;
    } else if (col == t->col + t->cols) {
        k0 = 0;
    }
    return col < c->s.n ? c->packed_b + col * c->s.k + k0 * c->gemm->nr : NULL;
}

// Elements k0 .. k0 + b->k - 1 of the sums of one task's rows and columns.
static void run_slice(const struct job *j, const struct task *t, struct bnr_gemm_block b,
                      size_t k0) {
    const struct bnr_matmul_f32 *c = j->r->c;
    const size_t nr = c->gemm->nr;
    float *dst = b.c;
    b.a = t->a + k0;
    b.a_step = c->panel_rows * b.k;
    if (c->s.m > 1) { // a single row is a panel as it is
        pack_a(c, t->a_scratch, t->a, t->row, t->rows, k0, b.k);
        b.a = t->a_scratch;
    }
    for (size_t j0 = 0; j0 < t->cols; j0 += COLUMNS) {
        b.col = t->col + j0;
        b.n = min_size(COLUMNS, t->cols - j0);
        b.c = dst + j0;
        b.b = t->b_scratch;
        b.b_step = nr * b.k;
        if (c->s.constant_b) {
            b.b = c->packed_b + b.col * c->s.k + k0 * nr;
            b.b_step = nr * c->s.k;
            b.ahead = next_columns(c, t, b.col + b.n, k0, b.k);
        } else {
            pack_b(c, t->b_scratch, t->b, b.col, b.n, k0, b.k, b.b_step);
        }
        bnr__gemm_f32_block(&b);
    }
}

static void run_task(const struct job *j, size_t index, float *scratch) {
    const struct bnr_matmul_f32 *c = j->r->c;
    const struct bnr_product_shape *s = &c->s;
    const size_t product = index / j->col_blocks / c->row_blocks;
    struct task t = {
        .a = j->r->a + (s->a_at ? s->a_at[product] : 0),
        .b = j->r->b + (s->b_at ? s->b_at[product] : 0),
        .col = index % j->col_blocks * c->nc,
        .a_scratch = scratch,
        .b_scratch = scratch + ceil_div(c->mc, c->panel_rows) * c->panel_rows * c->kc,
    };
    const size_t block = index / j->col_blocks % c->row_blocks;
    t.row = part_start(s->m, c->row_blocks, 1, block);
    t.rows = part_start(s->m, c->row_blocks, 1, block + 1) - t.row;
    t.cols = min_size(c->nc, s->n - t.col);
    struct bnr_gemm_finish finish = j->finish;
    finish.row0 = product * s->m;
    struct bnr_gemm_block b = {
        .g = c->gemm,
        .panel_rows = c->panel_rows,
        .even = true,
        .ldb = c->gemm->nr,
        .m = t.rows,
        .row = t.row,
        .c = j->r->dst + (product * s->m + t.row) * s->n + t.col,
        .ldc = s->n,
        .finish = &finish,
    };
    for (size_t k0 = 0; k0 < s->k; k0 += c->kc) {
        b.k = min_size(c->kc, s->k - k0);
        b.first = k0 == 0;
        b.last = k0 + b.k == s->k;
        run_slice(j, &t, b, k0);
    }
}

static void run_tasks(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    void *scratch = bnr__slots_take(&j->slots);
    for (size_t t = begin; t < end; t++)
        run_task(j, t, scratch);
    bnr__slots_give(&j->slots, scratch);
}

static void run_dots(void *cx, size_t begin, size_t end) {
    const struct bnr_matmul_f32_run *r = cx;
    const struct bnr_matmul_f32 *c = r->c;
    for (size_t t = begin; t < end; t++) {
        const size_t col = t * c->nc, cols = min_size(c->nc, c->s.n - col);
        const struct bnr_gemm_dots d = {
            .dst = r->dst + col, .a = r->a, .b = c->plain_b + col * c->s.k, .n = cols, .k = c->s.k};
        const struct bnr_eltwise_tile e = {
            .dst = d.dst, .src = d.dst, .ld = cols, .rows = 1, .cols = cols, .col = col, .place = col};
        c->gemm->dots(&d);
        if (c->e.n > 0)
            c->eltwise->tile(&c->e, r->operands, &e);
    }
}

void bnr__matmul_f32_run(const struct bnr_matmul_f32_run *r, struct bnr_pool *pool) {
    const struct bnr_matmul_f32 *c = r->c;
    if (c->s.in_place) {
        bnr__parallel_for(pool, ceil_div(c->s.n, c->nc), 1, run_dots, (void *)(uintptr_t)r);
        return;
    }
    struct job j = {.r = r};
    j.col_blocks = ceil_div(c->s.n, c->nc);
    j.finish =
        (struct bnr_gemm_finish){.eltwise = c->eltwise, .operands = r->operands, .c0 = r->dst};
    bnr__gemm_f32_finish_steps(&j.finish, &c->e, &j.rest);
    bnr__slots_init(&j.slots, r->scratch, c->slot_bytes, c->slots);
    bnr__parallel_for(pool, c->s.count * c->row_blocks * j.col_blocks, 1, run_tasks, &j);
}
