// SPDX-License-Identifier: Apache-2.0
// eltwise_f32: the choice of kernels, and the loop over a whole tensor.
#include "runtime/kernels/eltwise_f32.h"

#include "runtime/kernels/pieces.h"

const struct bnr_eltwise_f32 *bnr__eltwise_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_eltwise_f32 *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__eltwise_f32_##isa},
#include "runtime/kernels/eltwise_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_eltwise_f32 *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

// A tile stays in L1 with its operands; a task is worth waking a thread for.
enum { TILE = 2048, TASK = 16 * TILE, LINE = 16 }; // LINE: floats of a cache line

// Rows of up to TILE elements go together; longer ones are cut.
static void run_tiles(const struct bnr_eltwise_run *r, struct bnr_eltwise_tile t, size_t last_row,
                      size_t last_col) {
    const size_t col_step = min_size(r->cols, TILE), row_step = TILE / col_step;
    const size_t first_col = t.col;
    for (; t.row < last_row; t.row += row_step) {
        t.rows = min_size(row_step, last_row - t.row);
        for (t.col = first_col; t.col < last_col; t.col += col_step) {
            t.cols = min_size(col_step, last_col - t.col);
            t.place = t.row * r->cols + t.col;
            t.dst = r->dst + t.place;
            t.src = r->src + t.place;
            r->kernels->tile(r->e, r->operands, &t);
        }
    }
}

static void run_rows(void *cx, size_t begin, size_t end) {
    const struct bnr_eltwise_run *r = cx;
    run_tiles(r, (struct bnr_eltwise_tile){.ld = r->cols, .row = begin}, end, r->cols);
}

static void run_columns(void *cx, size_t begin, size_t end) {
    const struct bnr_eltwise_run *r = cx;
    run_tiles(r, (struct bnr_eltwise_tile){.ld = r->cols, .col = begin}, r->rows, end);
}

void bnr__eltwise_f32_run(const struct bnr_eltwise_run *r, struct bnr_pool *pool) {
    struct bnr_eltwise_run run = *r;
    if (r->rows == 0 || r->cols == 0)
        return;
    const size_t threads = (size_t)bnr__pool_threads(pool);
    if (r->cols >= TASK && r->rows < 64) {
        const size_t least = max_size(TASK / LINE / r->rows, 1);
        bnr__parallel_for(pool, r->cols, LINE * even_grain(ceil_div(r->cols, LINE), least, threads),
                          run_columns, &run);
    } else {
        bnr__parallel_for(pool, r->rows, even_grain(r->rows, ceil_div(TASK, r->cols), threads),
                          run_rows, &run);
    }
}
