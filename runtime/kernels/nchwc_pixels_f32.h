// SPDX-License-Identifier: Apache-2.0
// Moving pixels of blocked float32 tensors (nchwc_f32.h): along every spatial axis, each index of
// the output is some index of the input, or outside of it. So spatial Pad, Slice and Resize to the
// nearest. Exact.
#ifndef BNR_KERNELS_NCHWC_PIXELS_F32_H
#define BNR_KERNELS_NCHWC_PIXELS_F32_H

#include <stdint.h>

#include "runtime/kernels/nchwc_f32.h"

enum { BNR_PIXEL_AXES = 3 };

// Leading axes that do not exist have size 1.
struct bnr_nchwc_pixels {
    size_t lanes, blocks; // of all images
    size_t in[BNR_PIXEL_AXES], out[BNR_PIXEL_AXES];
    const int64_t *from[BNR_PIXEL_AXES]; // [out]: the index in the input, -1: outside
    float fill;                          // what is outside
};

void bnr__nchwc_pixels_run(const struct bnr_nchwc_pixels *p, float *dst, const float *src,
                           struct bnr_pool *pool);

#endif
