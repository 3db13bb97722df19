// SPDX-License-Identifier: Apache-2.0
// gemm_f32: the choice of kernels, and the loop over a cache block of register tiles.
#include "runtime/kernels/gemm_f32.h"

#include <string.h>

#include "runtime/kernels/pieces.h"

const struct bnr_gemm_f32 *bnr__gemm_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_gemm_f32 *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs, mr, nr) {needs, &bnr__gemm_f32_##isa},
#include "runtime/kernels/gemm_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_gemm_f32 *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

void bnr__gemm_f32_pack_across(const struct bnr_gemm_panel *p) {
    for (size_t k = 0; k < p->k; k++) {
        float *dst = p->dst + k * p->width;
        memcpy(dst, p->src + k * p->step, p->count * sizeof *dst);
        if (p->count < p->width)
            memset(dst + p->count, 0, (p->width - p->count) * sizeof *dst);
    }
}

size_t bnr__gemm_f32_panel_rows(const struct bnr_gemm_f32 *g, size_t m) {
    const size_t panels = (m + g->mr - 1) / g->mr;
    return panels ? (m + panels - 1) / panels : 1;
}

void bnr__gemm_f32_finish_steps(struct bnr_gemm_finish *f, const struct bnr_eltwise *e,
                                struct bnr_eltwise *rest) {
    int i = 0;
    const struct bnr_eltwise_step *s = e->step;
    if (i < e->n && s[i].kind == BNR_ELTWISE_ADD && s[i].form == BNR_FORM_COLUMN)
        f->col_bias = f->operands[s[i++].operand];
    if (i < e->n && s[i].kind == BNR_ELTWISE_ADD && s[i].form == BNR_FORM_SAME)
        f->residual = f->operands[s[i++].operand];
    if (i < e->n && s[i].kind == BNR_ELTWISE_CLAMP) {
        f->clamp = true;
        f->lo = s[i].p;
        f->hi = s[i++].q;
    }
    rest->channels = e->channels;
    rest->n = 0;
    while (i < e->n)
        rest->step[rest->n++] = s[i++];
    f->rest = rest->n ? rest : NULL;
}

// What the tile at (i, j) of the block does after its last block of K.
static void set_finish(const struct bnr_gemm_block *b, struct bnr_gemm_tile *t, size_t i,
                       size_t j) {
    const struct bnr_gemm_finish *f = b->finish;
    t->row_bias = f->row_bias ? f->row_bias + b->row + i : NULL;
    t->col_bias = f->col_bias ? f->col_bias + b->col + j : NULL;
    t->residual = f->residual ? f->residual + (t->c - f->c0) : NULL;
    t->clamp = f->clamp;
    t->lo = f->lo;
    t->hi = f->hi;
}

static void apply_rest(const struct bnr_gemm_block *b, const struct bnr_gemm_tile *t, size_t i,
                       size_t j, size_t rows, size_t cols) {
    const struct bnr_gemm_finish *f = b->finish;
    const struct bnr_eltwise_tile e = {
        .dst = t->c,
        .src = t->c,
        .ld = b->ldc,
        .rows = rows,
        .cols = cols,
        .row = f->row0 + b->row + i,
        .col = b->col + j,
        .place = (size_t)(t->c - f->c0),
    };
    f->eltwise->tile(f->rest, f->operands, &e);
}

// While a panel of A meets all panels of B, a part of each of the next ones comes from memory.
static void fetch_ahead(const struct bnr_gemm_block *b, struct bnr_gemm_tile *t, size_t panel,
                        size_t panels, size_t j) {
    if (!b->ahead || panels == 1)
        return;
    t->ahead_step = ceil_div(b->g->nr, panels);
    t->ahead = b->ahead + j / b->g->nr * b->b_step + panel * t->ahead_step * b->k;
}

// One panel of A, rows i .. i + rows - 1 of the block, by all panels of B.
static void run_panel(const struct bnr_gemm_block *b, size_t panel, size_t panels, size_t i,
                      size_t rows) {
    const size_t nr = b->g->nr;
    struct bnr_gemm_tile t = {.a = b->a + panel * b->a_step,
                              .b = b->b,
                              .k = b->k,
                              .lda = b->panel_rows,
                              .ldb = b->ldb,
                              .ldc = b->ldc,
                              .add = !b->first};
    for (size_t j = 0; j < b->n; j += nr, t.b += b->b_step) {
        const size_t cols = min_size(nr, b->n - j);
        t.c = b->c + i * b->ldc + j;
        fetch_ahead(b, &t, panel, panels, j);
        if (b->last)
            set_finish(b, &t, i, j);
        b->g->tile(&t, (int)rows, (int)cols);
        if (b->last && b->finish->rest)
            apply_rest(b, &t, i, j, rows, cols);
    }
}

void bnr__gemm_f32_block(const struct bnr_gemm_block *b) {
    const size_t mr = b->panel_rows, panels = ceil_div(b->m, mr);
    for (size_t p = 0; p < panels; p++) {
        const size_t i = b->even ? b->m * p / panels : p * mr;
        const size_t end = b->even ? b->m * (p + 1) / panels : min_size(i + mr, b->m);
        run_panel(b, p, panels, i, end - i);
    }
}
