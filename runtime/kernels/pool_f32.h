// SPDX-License-Identifier: Apache-2.0
// Maximum and average pooling of float32 NCHW tensors with one or two spatial axes, and over whole
// planes. Accuracy: plane_f32.h; the mean of a whole plane is a sum in several parts, divided once.
#ifndef BNR_KERNELS_POOL_F32_H
#define BNR_KERNELS_POOL_F32_H

#include "runtime/kernels/plane_f32.h"

struct bnr_pool_f32 {
    struct bnr_plane_band band;
    const struct bnr_eltwise_f32 *eltwise;
    size_t planes, channels;
    bool average;
    size_t count_pad[2], count_end[2]; // average: padding in front and behind that counts
    struct bnr_eltwise before; // bnr_plane_before
    struct bnr_eltwise e;
    size_t slot_bytes, scratch_bytes;
    int slots;
};

// Sets the band, sizes and kernels; the caller sets planes to count_end and e. False when a size
// overflows.
bool bnr__pool_f32_init(struct bnr_pool_f32 *p, const struct bnr_plane_shape *s, unsigned cpu,
                        int threads);

struct bnr_pool_f32_run {
    const struct bnr_pool_f32 *p;
    float *dst;
    const float *src;
    const float *const *operands;
    void *scratch;
};

void bnr__pool_f32_run(const struct bnr_pool_f32_run *r, struct bnr_pool *pool);

// dst[i] = mean (or maximum) of the i-th plane of n floats.
void bnr__global_pool_f32(const struct bnr_plane_f32 *kernels, float *dst, const float *src,
                          size_t planes, size_t n, bool average, struct bnr_pool *pool);

#endif
