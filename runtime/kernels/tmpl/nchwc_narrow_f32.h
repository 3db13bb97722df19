// SPDX-License-Identifier: Apache-2.0
// Template: the nchwc_narrow_f32 kernels on the vectors of the file that includes it. Needs
// ISA(name), ISA_NAME, PIXELS (nchwc_tile_f32.h).
#include "runtime/kernels/tmpl/nchwc_tile_f32.h"

BNR_INLINE void tile_narrow(const struct bnr_nchwc_tile *t, const int ratio, const int rows,
                            const int cols) {
    vf acc[NB][PIXELS];
    clear_tile(acc, 1, rows * cols);
    const float *w = t->weights;
    for (size_t tap = 0; tap < t->taps; tap++) {
        const float *x = t->src + t->offset[tap];
        for (int i = 0; i < VW; i++, w += VW)
            add_channel(acc, x + i, w, t->src_row, 1, false, rows, cols, ratio * VW);
    }
    finish_tile(t, acc, 1, rows, cols, ratio * VW);
}

#define TILE(rows, cols)                                                                           \
    static void tile_2_##rows##_##cols(const struct bnr_nchwc_tile *t) {                           \
        tile_narrow(t, 2, rows, cols);                                                             \
    }                                                                                              \
    static void tile_4_##rows##_##cols(const struct bnr_nchwc_tile *t) {                           \
        tile_narrow(t, 4, rows, cols);                                                             \
    }

TILES(TILE)

#define TILE_2(rows, cols) [rows - 1][cols - 1] = tile_2_##rows##_##cols,
#define TILE_4(rows, cols) [rows - 1][cols - 1] = tile_4_##rows##_##cols,

static void any_tile(const struct bnr_nchwc_tile *t, int ratio, int rows, int cols) {
    static void (*const tiles[2][2][PIXELS])(const struct bnr_nchwc_tile *) = {{TILES(TILE_2)},
                                                                               {TILES(TILE_4)}};
    tiles[ratio / 4][rows - 1][cols - 1](t);
}

const struct bnr_nchwc_narrow_f32_kernels ISA(bnr__nchwc_narrow_f32) = {
    .isa = ISA_NAME, .lanes = VW, .pixels = PIXELS, .tile = any_tile};
