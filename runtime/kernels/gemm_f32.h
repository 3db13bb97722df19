// SPDX-License-Identifier: Apache-2.0
// C[M, N] = A[M, K] * B[K, N] in float32 from packed panels: register tiles, the loop over a cache
// block of them, and the whole product for a constant B. Convolution is built on the same blocks.
//
// Panels of A: `mr` rows each, held k by k: a[k * mr + row]. Panels of B: `nr` columns each, the
// same way: b[k * nr + column], the last one filled up with zeros.
//
// Accuracy: each element is a sum in the order of k, one fused multiply-add (generic: product and
// sum rounded separately) per term; beyond BNR_GEMM_KC terms in several partial sums. It depends on
// the shape only, not on threads. What is added afterwards (bias, residual) is added last.
#ifndef BNR_KERNELS_GEMM_F32_H
#define BNR_KERNELS_GEMM_F32_H

#include "runtime/base/pool.h"
#include "runtime/kernels/cpu.h"
#include "runtime/kernels/eltwise_f32.h"
#include "runtime/kernels/weights_f32.h"

// A block of panels [KC, nr] is read from L1 or L2 while the registers hold the tile.
enum { BNR_GEMM_KC = 384 };

// One register tile. Every element of `b` is read whatever the number of columns; of `c`,
// `residual` and `col_bias` only the columns that exist.
struct bnr_gemm_tile {
    const float *a; // [k][lda], a row's element i of the tile at a[k * lda + i]
    const float *b; // [k][ldb]
    float *c;       // [rows][ldc]
    size_t k, lda, ldb, ldc;
    bool add; // to what C holds (a later block of K)
    // What is read soon after, brought into the caches meanwhile: ahead_step floats for every k.
    const float *ahead;
    size_t ahead_step;
    // Applied in this order where not NULL or false; only with the last block of K.
    const float *row_bias; // [rows]
    const float *col_bias; // [cols]
    const float *residual; // [rows][ldc]
    bool clamp;            // to [lo, hi]; NaN stays
    float lo, hi;
};

// `count` rows of A, or columns of B, of k elements each to a panel that is `width` wide; what is
// missing there is 0.
struct bnr_gemm_panel {
    float *dst;       // [k][width]
    const float *src; // row i at src + i * step
    size_t width, count, k, step;
};

// One row of A by rows of B that lie as they are, at any address: dst[j] = sum over i of a[i] * b[j * k + i].
// In a fixed number of partial sums.
struct bnr_gemm_dots {
    float *dst;             // [n]
    const float *a;         // [k]
    const bnr_any_float *b; // [n][k]
    size_t n, k;
};

// One instruction set's kernels.
struct bnr_gemm_f32 {
    const char *isa;
    size_t mr, nr;
    // 1 <= rows <= mr, 1 <= cols <= nr.
    void (*tile)(const struct bnr_gemm_tile *t, int rows, int cols);
    void (*pack)(const struct bnr_gemm_panel *p);
    void (*dots)(const struct bnr_gemm_dots *d);
};

#define BNR_KERNEL(isa, needs, mr, nr) extern const struct bnr_gemm_f32 bnr__gemm_f32_##isa;
#include "runtime/kernels/gemm_f32.inc"
#undef BNR_KERNEL

const struct bnr_gemm_f32 *bnr__gemm_f32_select(unsigned cpu);

// The same as `pack` of what lies k by k: element i of k at src[k * step + i].
void bnr__gemm_f32_pack_across(const struct bnr_gemm_panel *p);

// How many rows the panels of A have when M rows are cut into as few panels as possible of nearly
// equal height: a last panel of a few rows would waste most of its tile's time on loads.
size_t bnr__gemm_f32_panel_rows(const struct bnr_gemm_f32 *g, size_t m);

// What becomes of the finished elements: first what the tile does in registers, then `rest` on the
// tile while it is in L1.
struct bnr_gemm_finish {
    const float *row_bias; // [M] or NULL
    const float *col_bias; // [N] or NULL
    const float *residual; // like C, or NULL
    bool clamp;
    float lo, hi;
    const struct bnr_eltwise *rest; // NULL: nothing
    const struct bnr_eltwise_f32 *eltwise;
    const float *const *operands;
    const float
        *c0;     // the output's first element: operands and residual have their places from here
    size_t row0; // row of the output, seen as a matrix, at which this product's rows start
};

// Sets col_bias, residual, clamp and rest so that the steps of `e` follow: as many as possible in
// registers, the others copied to *rest. operands, eltwise and the rest of *f are set already.
void bnr__gemm_f32_finish_steps(struct bnr_gemm_finish *f, const struct bnr_eltwise *e,
                                struct bnr_eltwise *rest);

// A cache block: panels of A times panels of B.
struct bnr_gemm_block {
    const struct bnr_gemm_f32 *g;
    const float *a, *b;    // the first panels, at the block's first k
    size_t a_step, b_step; // floats from one panel to the next
    const float *ahead;    // the first panel of B that is read after this block, or NULL
    size_t panel_rows;     // of A's panels, also the distance from k to k
    bool even;  // panel i of n holds rows m * i / n to m * (i + 1) / n, else all but the last are
                // full
    size_t ldb; // nr for packed panels of B
    size_t m, n, k;
    size_t row, col; // of the block in the product
    float *c;
    size_t ldc;
    bool first, last; // block of K
    const struct bnr_gemm_finish *finish;
};

void bnr__gemm_f32_block(const struct bnr_gemm_block *b);

#endif
