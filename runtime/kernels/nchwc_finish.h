// SPDX-License-Identifier: Apache-2.0
// What follows a blocked convolution's bias: an addition of a whole tensor and a clamp for the
// kernels to do in registers, and the other steps of an epilogue for the tile while it is in L1.
#ifndef BNR_KERNELS_NCHWC_FINISH_H
#define BNR_KERNELS_NCHWC_FINISH_H

#include "runtime/kernels/nchwc_conv_f32.h"

struct bnr_nchwc_finish {
    const float *residual; // or NULL
    bool clamp;
    float lo, hi;
    struct bnr_eltwise rest[BNR_ELTWISE_MAX]; // of one step each
    enum bnr_eltwise_form form[BNR_ELTWISE_MAX];
    int n_rest;
    size_t plane, blocks; // floats of a block; blocks of an image
};

void bnr__nchwc_finish_init(struct bnr_nchwc_finish *f, const struct bnr_nchwc_conv_f32_run *r);

// `pixels` neighbouring pixels of some blocks of an image, in the first of them at dst.
struct bnr_nchwc_span {
    float *dst;
    size_t image, block, blocks, pixel, pixels;
};

void bnr__nchwc_finish_rest(const struct bnr_nchwc_finish *f,
                            const struct bnr_nchwc_conv_f32_run *r, const struct bnr_nchwc_span *s);

#endif
