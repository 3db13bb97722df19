// SPDX-License-Identifier: Apache-2.0
// A band of a blocked convolution: a rectangle of output pixels, and its input as the tiles read
// it, either in place or as a padded copy in which neighbouring output columns are neighbouring
// pixels for every tap (so a stride splits the columns into as many phases).
#ifndef BNR_KERNELS_NCHWC_BAND_H
#define BNR_KERNELS_NCHWC_BAND_H

#include "runtime/kernels/nchwc_conv_f32.h"

struct bnr_nchwc_band {
    size_t z, row, rows, col, cols; // of the output
    size_t group;                   // with several groups in a block: the block
};

// Output pixel (row, col) of the band at src + row * src_row + col * step: the first fields of a
// tile.
struct bnr_nchwc_view {
    const float *src;
    size_t src_block, src_row, step;
};

// Chooses between copying and reading in place, and the sizes of bands. False when a size
// overflows.
bool bnr__nchwc_band_init(struct bnr_nchwc_conv_f32 *c, bool prologue, int threads);
void bnr__nchwc_band_offsets(const struct bnr_nchwc_conv_f32 *c, size_t *offset); // of every tap
// The view of an image; `copy` has copy_floats, unused where nothing is copied.
void bnr__nchwc_band_view(const struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_band *b,
                          const float *image, float *copy, struct bnr_nchwc_view *v);
// The same for one block of output of a lanewise convolution.
void bnr__nchwc_band_lanes(const struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_band *b,
                           const float *image, size_t block, float *copy, struct bnr_nchwc_view *v);

#endif
