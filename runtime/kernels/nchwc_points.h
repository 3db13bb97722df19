// SPDX-License-Identifier: Apache-2.0
// Pointwise convolution of blocked tensors some pixels at a time, for a kernel that reads them at once.
#ifndef BNR_KERNELS_NCHWC_POINTS_H
#define BNR_KERNELS_NCHWC_POINTS_H

#include "runtime/kernels/nchwc_finish.h"

// Some pixels of a few blocks (at most BNR_NCHWC_NB) of a pointwise convolution's output, to
// somewhere else than the output: block after block, dst_block floats apart.
struct bnr_nchwc_points {
    float *dst;
    size_t dst_block, image, block, blocks, pixel, pixels;
};
// Whether there is such a way for the convolution, with its `e`.
bool bnr__nchwc_conv_f32_has_points(const struct bnr_nchwc_conv_f32 *c);
void bnr__nchwc_conv_f32_points(const struct bnr_nchwc_conv_f32_run *r,
                                const struct bnr_nchwc_finish *finish,
                                const struct bnr_nchwc_points *p);

#endif
