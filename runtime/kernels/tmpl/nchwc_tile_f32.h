// SPDX-License-Identifier: Apache-2.0
// Template: the parts of nchwc register tiles. Needs PIXELS (of the largest tile, a literal: 14 or
// 6).
#include "runtime/kernels/nchwc_conv_f32.h"

#include "runtime/base/compiler.h"
#include "runtime/kernels/tmpl/loading_fma.h"

enum { NB = BNR_NCHWC_NB };

// The tile stays in registers from the first statement to the last: nb, rows, cols and step (from
// pixel to pixel) are constants in every instance, all loops over them are unrolled.
BNR_INLINE void clear_tile(vf acc[NB][PIXELS], const int nb, const int pixels) {
    BNR_UNROLL
    for (int b = 0; b < nb; b++) {
        BNR_UNROLL
        for (int i = 0; i < pixels; i++)
            acc[b][i] = v_set1(0);
    }
}

BNR_INLINE void finish_tile(const struct bnr_nchwc_tile *t, vf acc[NB][PIXELS], const int nb,
                            const int rows, const int cols, const int step) {
    const vf lo = v_set1(t->lo), hi = v_set1(t->hi);
    BNR_UNROLL
    for (int b = 0; b < nb; b++) {
        const size_t at = (size_t)b * t->dst_block;
        if (t->bias) {
            const vf bias = v_load_n(t->bias + b * VW, b < nb - 1 ? VW : t->last_bias);
            BNR_UNROLL
            for (int i = 0; i < rows * cols; i++)
                acc[b][i] = v_add(acc[b][i], bias);
        }
        if (t->residual) {
            BNR_UNROLL
            for (int i = 0; i < rows * cols; i++)
                acc[b][i] =
                    v_add(acc[b][i], v_load(t->residual + at + (size_t)(i / cols) * t->dst_row +
                                            i % cols * step));
        }
        if (t->clamp) {
            BNR_UNROLL
            for (int i = 0; i < rows * cols; i++)
                acc[b][i] = v_min(hi, v_max(lo, acc[b][i]));
        }
        BNR_UNROLL
        for (int i = 0; i < rows * cols; i++)
            v_store(t->dst + at + (size_t)(i / cols) * t->dst_row + i % cols * step, acc[b][i]);
    }
}

#ifndef BNR_HALF_VECTORS
#define v_fma_half v_fma
#endif

// One input channel for all output channels of the tile; half: only the lower lanes of the last
// block count. Every second pixel by loading multiply-adds, as tmpl/loading_fma.h says.
BNR_INLINE void add_channel(vf acc[NB][PIXELS], const float *x, const float *w, size_t row,
                            const int nb, const bool half, const int rows, const int cols,
                            const int step) {
    vf wv[NB];
    BNR_UNROLL
    for (int j = 0; j < nb; j++)
        wv[j] = v_load(w + j * VW);
    BNR_UNROLL
    for (int i = 0; i < rows * cols; i++) {
        const float *pixel = x + (size_t)(i / cols) * row + (size_t)(i % cols * step);
        if (LOADING_FMA && i % 2 && !half) {
            BNR_UNROLL
            for (int j = 0; j < nb; j++)
                acc[j][i] = v_fma_load1(pixel, wv[j], acc[j][i]);
            continue;
        }
        const vf xv = v_set1(*pixel);
        BNR_UNROLL
        for (int j = 0; j < nb; j++)
            acc[j][i] = half && j == nb - 1 ? v_fma_half(wv[j], xv, acc[j][i])
                                            : v_fma(wv[j], xv, acc[j][i]);
    }
}

// X(rows, cols) for every instance: one row of 1 .. PIXELS pixels, two rows of 1 .. PIXELS / 2.
#if PIXELS == 14
#define TILES(X)                                                                                   \
    X(1, 1)                                                                                        \
    X(1, 2)                                                                                        \
    X(1, 3)                                                                                        \
    X(1, 4)                                                                                        \
    X(1, 5)                                                                                        \
    X(1, 6)                                                                                        \
    X(1, 7) X(1, 8) X(1, 9) X(1, 10) X(1, 11) X(1, 12) X(1, 13) X(1, 14) X(2, 1) X(2, 2) X(2, 3)   \
        X(2, 4) X(2, 5) X(2, 6) X(2, 7)
#elif PIXELS == 6
#define TILES(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(2, 1) X(2, 2) X(2, 3)
#endif
