// SPDX-License-Identifier: Apache-2.0
// Template: the gemm_i16 kernels. Needs ISA(name), ISA_NAME, MR (rows of the largest tile, a
// literal: 4, 6 or 8), VW (32-bit lanes), and vectors: vi, vi_load(p), vi_set1(p) (of the pair at
// p), vi_dot(sum, a, b), vi_store(p, v).
#include <string.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/gemm_i16.h"
#include "runtime/kernels/tmpl/gemm_rows.h"

// The sums of a row, of which cols exist, to C.
BNR_INLINE void store_row(const struct bnr_gemm_tile *t, vi sums[2], size_t row, int cols) {
    int32_t sum[2 * VW], old[2 * VW] = {0};
    float *c = t->c + row * t->ldc;
    vi_store(sum, sums[0]);
    vi_store(sum + VW, sums[1]);
    const size_t bytes = (size_t)cols * sizeof *sum;
    if (t->add)
        memcpy(old, c, bytes);
    for (int j = 0; j < 2 * VW; j++) // modulo 2^32
        sum[j] = (int32_t)((uint32_t)sum[j] + (uint32_t)old[j]);
    memcpy(c, sum, bytes);
}

BNR_INLINE void tile(const struct bnr_gemm_tile *t, int cols, const int rows) {
    vi acc[MR][2];
    const float *a = t->a, *b = t->b;
    BNR_UNROLL
    for (int i = 0; i < rows; i++)
        acc[i][0] = acc[i][1] = (vi){0};
    for (size_t k = 0; k < t->k; k++, a += t->lda, b += t->ldb) {
        const vi b0 = vi_load(b), b1 = vi_load(b + VW);
        BNR_UNROLL
        for (int i = 0; i < rows; i++) {
            const vi av = vi_set1(a + i);
            acc[i][0] = vi_dot(acc[i][0], av, b0);
            acc[i][1] = vi_dot(acc[i][1], av, b1);
        }
    }
    vi sums[MR][2];
    BNR_UNROLL
    for (int i = 0; i < rows; i++) {
        sums[i][0] = acc[i][0];
        sums[i][1] = acc[i][1];
    }
    for (int i = 0; i < rows; i++)
        store_row(t, sums[i], (size_t)i, cols);
}

#define TILE(r)                                                                                    \
    static void tile_##r(const struct bnr_gemm_tile *t, int cols) {                                \
        tile(t, cols, r);                                                                          \
    }
TILES(TILE)

#define TILE_ENTRY(r) tile_##r,
static void any_tile(const struct bnr_gemm_tile *t, int rows, int cols) {
    static void (*const tiles[MR])(const struct bnr_gemm_tile *, int) = {TILES(TILE_ENTRY)};
    tiles[rows - 1](t, cols);
}

// ---- in front and behind ------------------------------------------------------------------------

// int8 are read as uint8 with the upper bit turned, which are 128 more.
static void pairs(int16_t *restrict dst, const void *a, const void *b, size_t n, int zero,
                  bool is_signed) {
    const uint8_t *x = a, *y = b ? b : a;
    const int flip = is_signed ? 128 : 0, low = zero + flip, mask = b ? -1 : 0;
    for (size_t i = 0; i < n; i++) {
        dst[2 * i] = (int16_t)((x[i] ^ flip) - low);
        dst[2 * i + 1] = (int16_t)(((y[i] ^ flip) - low) & mask);
    }
}

static void widen(int16_t *restrict dst, const void *src, size_t n, int zero, bool is_signed) {
    const uint8_t *x = src;
    const int flip = is_signed ? 128 : 0, low = zero + flip;
    for (size_t i = 0; i < n; i++)
        dst[i] = (int16_t)((x[i] ^ flip) - low);
}

enum { BLOCK = 16 };

static void requantize_block(uint8_t *restrict dst, const int32_t *restrict src,
                             const float *restrict factors, const struct bnr_requantize *q) {
    const double magic = 6755399441055744.0; // 1.5 * 2^52: the sum has no fraction bits left
    const double bias = q->bias, low = q->low, high = q->high;
    int32_t whole[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
        double v = ((double)src[i] + bias) * (double)factors[i];
        v = v == v ? v : 0;
        v = v < low ? low : v;
        v = v > high ? high : v;
        whole[i] = (int32_t)((v + magic) - magic) + q->zero;
    }
    for (int i = 0; i < BLOCK; i++)
        dst[i] = (uint8_t)whole[i];
}

static void requantize(uint8_t *dst, const int32_t *src, size_t n, const struct bnr_requantize *q) {
    float same[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        same[i] = q->factor;
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        requantize_block(dst + i, src + i, q->factors ? q->factors + i : same, q);
    if (i == n)
        return;
    uint8_t bytes[BLOCK];
    int32_t sums[BLOCK] = {0};
    memcpy(sums, src + i, (n - i) * sizeof *src);
    if (q->factors)
        memcpy(same, q->factors + i, (n - i) * sizeof *same);
    requantize_block(bytes, sums, same, q);
    memcpy(dst + i, bytes, n - i);
}

const struct bnr_gemm_i16_kernels ISA(bnr__gemm_i16) = {.isa = ISA_NAME,
                                                        .mr = MR,
                                                        .nr = 2 * VW,
                                                        .tile = any_tile,
                                                        .pairs = pairs,
                                                        .widen = widen,
                                                        .requantize = requantize};
