// SPDX-License-Identifier: Apache-2.0
// Template: the gemm_f32 register tiles on the vectors of the file that includes it. Needs
// ISA(name), MR (rows of the largest tile, a literal) and NV (vectors of a row: 2).
#include "runtime/kernels/gemm_f32.h"
#include "runtime/kernels/tmpl/gemm_rows.h"
#include "runtime/kernels/tmpl/loading_fma.h"

// The tile stays in registers from the first statement to the last: rows and nv are constants in
// every instance, all loops over them are unrolled.
BNR_INLINE void finish_tile(const struct bnr_gemm_tile *t, vf acc[MR][NV], int cols, const int rows,
                            const int nv) {
    const int tail = cols - (nv - 1) * VW; // columns of the last vector, 1 .. VW
    if (t->row_bias) {
        BNR_UNROLL
        for (int i = 0; i < rows; i++) {
            const vf bias = v_set1(t->row_bias[i]);
            BNR_UNROLL
            for (int j = 0; j < nv; j++)
                acc[i][j] = v_add(acc[i][j], bias);
        }
    }
    if (t->col_bias) {
        BNR_UNROLL
        for (int j = 0; j < nv; j++) {
            const vf bias = v_load_n(t->col_bias + j * VW, j < nv - 1 ? VW : tail);
            BNR_UNROLL
            for (int i = 0; i < rows; i++)
                acc[i][j] = v_add(acc[i][j], bias);
        }
    }
    if (t->residual) {
        BNR_UNROLL
        for (int i = 0; i < rows; i++) {
            const float *r = t->residual + (size_t)i * t->ldc;
            BNR_UNROLL
            for (int j = 0; j < nv; j++)
                acc[i][j] = v_add(acc[i][j], v_load_n(r + j * VW, j < nv - 1 ? VW : tail));
        }
    }
    if (t->clamp) {
        const vf lo = v_set1(t->lo), hi = v_set1(t->hi);
        BNR_UNROLL
        for (int i = 0; i < rows; i++) {
            BNR_UNROLL
            for (int j = 0; j < nv; j++)
                acc[i][j] = v_min(hi, v_max(lo, acc[i][j]));
        }
    }
}

BNR_INLINE void store_tile(const struct bnr_gemm_tile *t, vf acc[MR][NV], int cols, const int rows,
                           const int nv) {
    const int tail = cols - (nv - 1) * VW;
    if (tail == VW) {
        BNR_UNROLL
        for (int i = 0; i < rows; i++) {
            BNR_UNROLL
            for (int j = 0; j < nv; j++)
                v_store(t->c + (size_t)i * t->ldc + j * VW, acc[i][j]);
        }
        return;
    }
    BNR_UNROLL
    for (int i = 0; i < rows; i++) {
        BNR_UNROLL
        for (int j = 0; j < nv - 1; j++)
            v_store(t->c + (size_t)i * t->ldc + j * VW, acc[i][j]);
        v_store_n(t->c + (size_t)i * t->ldc + (nv - 1) * VW, acc[i][nv - 1], tail);
    }
}

// One k for all elements of the tile; every second row by loading multiply-adds, as
// tmpl/loading_fma.h says.
BNR_INLINE void add_product(vf acc[MR][NV], const float *a, const float *b, const int rows,
                            const int nv) {
    vf bv[NV];
    BNR_UNROLL
    for (int j = 0; j < nv; j++)
        bv[j] = v_load(b + j * VW);
    BNR_UNROLL
    for (int i = 0; i < rows; i++) {
        if (LOADING_FMA && i % 2) {
            BNR_UNROLL
            for (int j = 0; j < nv; j++)
                acc[i][j] = v_fma_load1(a + i, bv[j], acc[i][j]);
            continue;
        }
        const vf av = v_set1(a[i]);
        BNR_UNROLL
        for (int j = 0; j < nv; j++)
            acc[i][j] = v_fma(av, bv[j], acc[i][j]);
    }
}

// k's between one look at what is to be fetched ahead and the next.
enum { FETCH = 16 };

BNR_INLINE void tile(const struct bnr_gemm_tile *t, int cols, const int rows, const int nv) {
    vf acc[MR][NV];
    const float *a = t->a, *b = t->b;
    const size_t lda = t->lda, ldb = t->ldb;
    BNR_UNROLL
    for (int i = 0; i < rows; i++) {
        BNR_UNROLL
        for (int j = 0; j < nv; j++)
            acc[i][j] = v_set1(0);
    }
    const float *ahead = t->ahead;
    for (size_t k = t->k, end; k > 0; k = end) {
        end = k > FETCH ? k - FETCH : 0;
        for (const float *last = ahead + (k - end) * t->ahead_step; ahead < last; ahead += 16)
            __builtin_prefetch(ahead);
        for (; k > end; k--, a += lda, b += ldb)
            add_product(acc, a, b, rows, nv);
    }
    if (t->add) {
        const int tail = cols - (nv - 1) * VW;
        BNR_UNROLL
        for (int i = 0; i < rows; i++) {
            const float *c = t->c + (size_t)i * t->ldc;
            BNR_UNROLL
            for (int j = 0; j < nv; j++)
                acc[i][j] = v_add(acc[i][j], v_load_n(c + j * VW, j < nv - 1 ? VW : tail));
        }
    }
    finish_tile(t, acc, cols, rows, nv);
    store_tile(t, acc, cols, rows, nv);
}

#define TILE(r)                                                                                    \
    static void tile_##r##_1(const struct bnr_gemm_tile *t, int cols) {                            \
        tile(t, cols, r, 1);                                                                       \
    }                                                                                              \
    static void tile_##r##_2(const struct bnr_gemm_tile *t, int cols) {                            \
        tile(t, cols, r, 2);                                                                       \
    }

TILES(TILE)

#define TILE_ENTRY(r) {tile_##r##_1, tile_##r##_2},
static void any_tile(const struct bnr_gemm_tile *t, int rows, int cols) {
    static void (*const tiles[MR][NV])(const struct bnr_gemm_tile *, int) = {TILES(TILE_ENTRY)};
    tiles[rows - 1][cols > VW](t, cols);
}

// ---- panels -------------------------------------------------------------------------------------

// VW rows by `n` elements; `whole`: of the first so many k's a whole vector may be stored, as what
// it writes behind the columns belongs to the panel and is written later.
BNR_INLINE void pack_square(const struct bnr_gemm_panel *p, size_t row, size_t k, const int n,
                            int whole) {
    const size_t rows = p->count > row ? p->count - row : 0;
    const int cols = p->width - row < VW ? (int)(p->width - row) : VW;
    const float *src = p->src + row * p->step + k;
    float *dst = p->dst + k * p->width + row;
    vf r[VW];
    BNR_UNROLL
    for (int i = 0; i < VW; i++) {
        r[i] = v_set1(0);
        if ((size_t)i < rows)
            r[i] = v_load_n(src + (size_t)i * p->step, n);
    }
    v_transpose(r);
    BNR_UNROLL
    for (int i = 0; i < VW; i++) {
        if (i < n && i < whole)
            v_store(dst + (size_t)i * p->width, r[i]);
        else if (i < n)
            v_store_n(dst + (size_t)i * p->width, r[i], cols);
    }
}

static void pack(const struct bnr_gemm_panel *p) {
    const size_t end = p->k * p->width;
    // Stores of whole vectors that stay in the panel, when its first columns are written.
    const size_t inside = end < VW ? 0 : (end - VW) / p->width + 1;
    for (size_t row = 0; row < p->width; row += VW) {
        const size_t wholes = p->width - row >= VW ? p->k : row > 0 ? 0 : inside;
        for (size_t k = 0; k < p->k; k += VW) {
            const int n = p->k - k < VW ? (int)(p->k - k) : VW;
            const int whole = wholes < k ? 0 : wholes - k < VW ? (int)(wholes - k) : VW;
            if (n == VW)
                pack_square(p, row, k, VW, whole);
            else
                pack_square(p, row, k, n, whole);
        }
    }
}

// ---- one row ------------------------------------------------------------------------------------

enum { DOTS = 4 }; // rows of B that are read side by side

BNR_INLINE void dot_rows(const struct bnr_gemm_dots *d, size_t j, const int rows) {
    const float *b = (const float *)(const void *)(d->b + j * d->k);
    const size_t k = d->k;
    vf sum[2][DOTS];
    size_t i = 0;
    BNR_UNROLL
    for (int r = 0; r < 2 * rows; r++)
        sum[r % 2][r / 2] = v_set1(0);
    for (; i + 2 * VW <= k; i += 2 * VW) {
        const vf first = v_load(d->a + i), second = v_load(d->a + i + VW);
        BNR_UNROLL
        for (int r = 0; r < rows; r++) {
            sum[0][r] = v_fma(first, v_load(b + (size_t)r * k + i), sum[0][r]);
            sum[1][r] = v_fma(second, v_load(b + (size_t)r * k + i + VW), sum[1][r]);
        }
    }
    for (; i < k; i += VW) {
        const int n = k - i < VW ? (int)(k - i) : VW;
        const vf a = v_load_n(d->a + i, n);
        BNR_UNROLL
        for (int r = 0; r < rows; r++)
            sum[0][r] = v_fma(a, v_load_n(b + (size_t)r * k + i, n), sum[0][r]);
    }
    BNR_UNROLL
    for (int r = 0; r < rows; r++)
        d->dst[j + (size_t)r] = v_sum(v_add(sum[0][r], sum[1][r]));
}

static void dots(const struct bnr_gemm_dots *d) {
    size_t j = 0;
    for (; j + DOTS <= d->n; j += DOTS)
        dot_rows(d, j, DOTS);
    for (; j < d->n; j++)
        dot_rows(d, j, 1);
}

const struct bnr_gemm_f32 ISA(bnr__gemm_f32) = {
    .isa = ISA_NAME, .mr = MR, .nr = NV * VW, .tile = any_tile, .pack = pack, .dots = dots};
