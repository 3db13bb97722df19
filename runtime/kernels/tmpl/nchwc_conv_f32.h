// SPDX-License-Identifier: Apache-2.0
// Template: the nchwc_conv_f32 kernels on the vectors of the file that includes it. Needs
// ISA(name), ISA_NAME, PIXELS (nchwc_tile_f32.h).
#include "runtime/kernels/tmpl/nchwc_tile_f32.h"

#include <string.h>

// What the channels of the next block or tile and the places of the output are fetched by, a pixel
// with every channel of block b, counted from the last.
struct fetch {
    const float *next, *dst, *more; // more: the residual, or places of the output
};

BNR_INLINE struct fetch fetch_in(const struct bnr_nchwc_tile *t, const float *block, size_t b,
                                 const size_t nb, const size_t cols) {
    struct fetch f;
    f.next = block + (b > 1 ? t->src_block : cols * VW);
    f.dst = b <= nb ? t->dst + (b - 1) * t->dst_block : f.next;
    f.more = f.dst;
    if (b <= nb && t->residual)
        f.more = t->residual + (b - 1) * t->dst_block;
    else if (t->blocks == 1)
        f.more += (nb - 1) * t->dst_block;
    return f;
}

BNR_INLINE void fetch_weights(const float *w, size_t n, bool l2) {
    for (const float *end = w + n; w < end; w += 16) {
        if (l2)
            __builtin_prefetch(w, 0, 2);
        else
            __builtin_prefetch(w);
    }
}

BNR_INLINE void tile(const struct bnr_nchwc_tile *t, const int nb, const bool half, const int rows,
                     const int cols) {
    vf acc[NB][PIXELS];
    clear_tile(acc, nb, rows * cols);
    const float *w = t->weights, *block = t->src, *ahead = t->ahead;
    const size_t row = t->src_row, ahead_step = t->ahead_step;
    for (size_t b = t->blocks; b > 0; b--, block += t->src_block) {
        const size_t channels = b > 1 ? t->channels : t->last_channels;
        struct fetch f = fetch_in(t, block, b, (size_t)nb, (size_t)cols);
        for (size_t tap = 0; tap < t->taps; tap++) {
            const float *x = block + t->offset[tap], *end = x + channels;
            fetch_weights(ahead, channels * ahead_step, t->ahead_l2);
            ahead += channels * ahead_step;
            if (!t->far) {
                for (; x < end; x++, w += nb * VW)
                    add_channel(acc, x, w, row, nb, half, rows, cols, VW);
                continue;
            }
            for (; x < end; x++, w += nb * VW, f.next += VW, f.dst += VW, f.more += VW) {
                __builtin_prefetch(f.next);
                __builtin_prefetch(f.dst, 1);
                __builtin_prefetch(f.more);
                add_channel(acc, x, w, row, nb, half, rows, cols, VW);
            }
        }
    }
    finish_tile(t, acc, nb, rows, cols, VW);
}

// Blocks of one channel, neighbouring pixels next to each other. As there are few, the places of
// the output are fetched from the first tap on.
BNR_INLINE void tile_plain(const struct bnr_nchwc_tile *t, const int nb, const int rows,
                           const int cols) {
    vf acc[NB][PIXELS];
    clear_tile(acc, nb, rows * cols);
    const float *w = t->weights, *block = t->src, *dst = t->dst;
    for (size_t b = t->blocks; b > 0; b--, block += t->src_block) {
        for (size_t tap = 0; tap < t->taps; tap++, w += nb * VW, dst += VW) {
            __builtin_prefetch(dst, 1);
            __builtin_prefetch(dst + (nb - 1) * t->dst_block, 1);
            add_channel(acc, block + t->offset[tap], w, t->src_row, nb, false, rows, cols, 1);
        }
    }
    finish_tile(t, acc, nb, rows, cols, VW);
}

BNR_INLINE void tile_of_lanes(const struct bnr_nchwc_tile *t, const int rows, const int cols) {
    vf acc[NB][PIXELS];
    clear_tile(acc, 1, rows * cols);
    const float *w = t->weights, *block = t->src;
    const size_t row = t->src_row;
    for (size_t b = t->blocks; b > 0; b--, block += t->src_block) {
        for (size_t tap = 0; tap < t->taps; tap++, w += VW) {
            const float *x = block + t->offset[tap];
            const vf wv = v_load(w);
            BNR_UNROLL
            for (int i = 0; i < rows * cols; i++)
                acc[0][i] =
                    v_fma(wv, v_load(x + (size_t)(i / cols) * row + i % cols * VW), acc[0][i]);
        }
    }
    finish_tile(t, acc, 1, rows, cols, VW);
}

// ---- instances ----------------------------------------------------------------------------------

#define TILE_OF(name, nb, half, rows, cols)                                                        \
    static void tile_##name##_##rows##_##cols(const struct bnr_nchwc_tile *t) {                    \
        tile(t, nb, half, rows, cols);                                                             \
    }

#define PLAIN_OF(nb, rows, cols)                                                                   \
    static void plain_##nb##_##rows##_##cols(const struct bnr_nchwc_tile *t) {                     \
        tile_plain(t, nb, rows, cols);                                                             \
    }

#define TILE(rows, cols)                                                                           \
    TILE_OF(1, 1, false, rows, cols)                                                               \
    TILE_OF(2, 2, false, rows, cols)                                                               \
    PLAIN_OF(1, rows, cols)                                                                        \
    PLAIN_OF(2, rows, cols)                                                                        \
    static void lanes_1_##rows##_##cols(const struct bnr_nchwc_tile *t) {                          \
        tile_of_lanes(t, rows, cols);                                                              \
    }

TILES(TILE)

typedef void tile_function(const struct bnr_nchwc_tile *);

#define TILE_1(rows, cols) [rows - 1][cols - 1] = tile_1_##rows##_##cols,
#define TILE_2(rows, cols) [rows - 1][cols - 1] = tile_2_##rows##_##cols,
#define PLAIN_1(rows, cols) [rows - 1][cols - 1] = plain_1_##rows##_##cols,
#define PLAIN_2(rows, cols) [rows - 1][cols - 1] = plain_2_##rows##_##cols,
#define LANES_1(rows, cols) [rows - 1][cols - 1] = lanes_1_##rows##_##cols,

// Those of a last block that is not more than half full.
#ifdef BNR_HALF_VECTORS
#define TILE_HALF(rows, cols)                                                                      \
    TILE_OF(half, 1, true, rows, cols)                                                             \
    TILE_OF(1_half, 2, true, rows, cols)
TILES(TILE_HALF)
#define HALF_1(rows, cols) [rows - 1][cols - 1] = tile_half_##rows##_##cols,
#define HALF_2(rows, cols) [rows - 1][cols - 1] = tile_1_half_##rows##_##cols,
#else
#define HALF_1 TILE_1
#define HALF_2 TILE_2
#endif

static void any_tile(const struct bnr_nchwc_tile *t, int nb, int rows, int cols) {
    static tile_function *const tiles[2][NB][2][PIXELS] = {{{TILES(TILE_1)}, {TILES(TILE_2)}},
                                                           {{TILES(HALF_1)}, {TILES(HALF_2)}}};
    tiles[t->half][nb - 1][rows - 1][cols - 1](t);
}

static void any_plain(const struct bnr_nchwc_tile *t, int nb, int rows, int cols) {
    static tile_function *const tiles[NB][2][PIXELS] = {{TILES(PLAIN_1)}, {TILES(PLAIN_2)}};
    tiles[nb - 1][rows - 1][cols - 1](t);
}

static void any_lanes(const struct bnr_nchwc_tile *t, int nb, int rows, int cols) {
    static tile_function *const tiles[2][PIXELS] = {TILES(LANES_1)};
    (void)nb;
    tiles[rows - 1][cols - 1](t);
}

// ---- copying ------------------------------------------------------------------------------------

static void copy(const struct bnr_nchwc_copy *c) {
    const float *src = c->src;
    float *dst = c->dst, *end = dst + c->n * VW;
    const size_t step = c->step * VW;
    if (!c->s && !c->clamp) {
        for (; dst < end; dst += VW, src += step)
            v_store(dst, v_load(src));
        return;
    }
    const vf s = c->s ? v_load_n(c->s, c->lanes) : v_set1(1);
    const vf t = c->s ? v_load_n(c->t, c->lanes) : v_set1(0);
    const vf lo = v_set1(c->lo), hi = v_set1(c->hi);
    for (; dst < end; dst += VW, src += step) {
        vf v = v_load(src);
        if (c->s)
            v = v_fma(s, v, t);
        if (c->clamp)
            v = v_min(hi, v_max(lo, v));
        v_store(dst, v);
    }
}

static void copy_plain(float *dst, const float *src, size_t n, size_t step) {
    size_t i = 0;
    if (step == 1)
        memcpy(dst, src, n * sizeof *dst);
    else if (step == 2)
        for (; i + VW <= n; i += VW)
            v_store(dst + i, v_load2_range(src + 2 * i, 0, VW, v_set1(0)));
    for (; step != 1 && i < n; i++)
        dst[i] = src[i * step];
}

const struct bnr_nchwc_conv_f32_kernels ISA(bnr__nchwc_conv_f32) = {
    .isa = ISA_NAME,
    .lanes = VW,
    .pixels = PIXELS,
    .tile = any_tile,
    .tile_plain = any_plain,
    .tile_lanes = any_lanes,
    .copy = copy,
    .copy_plain = copy_plain,
};
