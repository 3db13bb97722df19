// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution of float32 NCHW tensors with one or two spatial axes: each output channel
// reads one input channel. 3x3 and 5x5 with row stride 1 and 2 keep their weights in registers;
// other sizes run the same way from memory. Accuracy: plane_f32.h.
#ifndef BNR_KERNELS_DWCONV_F32_H
#define BNR_KERNELS_DWCONV_F32_H

#include "runtime/kernels/plane_f32.h"

struct bnr_dwconv_f32 {
    struct bnr_plane_band band;
    const struct bnr_eltwise_f32 *eltwise;
    size_t batch, channels, multiplier; // output channels: channels * multiplier
    const float *weights;               // [channels * multiplier][kernel], as in the model
    struct bnr_eltwise before; // bnr_plane_before, by input channel
    struct bnr_eltwise e;               // what follows the bias
    size_t slot_bytes, scratch_bytes;
    int slots;
};

// Sets everything but `weights`, `before` and `e`. False when a size overflows.
bool bnr__dwconv_f32_init(struct bnr_dwconv_f32 *c, const struct bnr_plane_shape *s, unsigned cpu,
                          int threads);

struct bnr_dwconv_f32_run {
    const struct bnr_dwconv_f32 *c;
    float *dst;
    const float *src;
    const float *bias; // [channels * multiplier] or NULL
    const float *const *operands;
    void *scratch; // scratch_bytes, 64-byte aligned
};

void bnr__dwconv_f32_run(const struct bnr_dwconv_f32_run *r, struct bnr_pool *pool);

#endif
