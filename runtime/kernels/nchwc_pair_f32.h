// SPDX-License-Identifier: Apache-2.0
// A pointwise convolution and the depthwise convolution that alone reads it (the first two of an
// inverted residual block), both in blocked layout, in one pass: of the wide tensor between them
// there are only as many rows at a time, of as many blocks, as fit into a cache.
//
// Accuracy and bits: those of the two (nchwc_conv_f32.h, nchwc_window_f32.h).
#ifndef BNR_KERNELS_NCHWC_PAIR_F32_H
#define BNR_KERNELS_NCHWC_PAIR_F32_H

#include "runtime/kernels/nchwc_conv_f32.h"
#include "runtime/kernels/nchwc_window_f32.h"

struct bnr_nchwc_pair {
    const struct bnr_nchwc_conv_f32 *front;
    const struct bnr_nchwc_window *window;
    size_t rows, ring;   // rows of output made at a time, and of input to them that are held
    size_t parts, pairs; // of the rows of output, of blocks
    size_t slot_bytes, scratch_bytes;
    int slots;
};

// With both complete. False where the two cannot run so.
bool bnr__nchwc_pair_init(struct bnr_nchwc_pair *p, const struct bnr_nchwc_conv_f32 *front,
                          const struct bnr_nchwc_window *window, int threads);
// Whether the tensor between them is so large that it is faster.
bool bnr__nchwc_pair_is_worth_it(const struct bnr_nchwc_pair *p);

struct bnr_nchwc_pair_run {
    const struct bnr_nchwc_pair *p;
    float *dst;                   // of the depthwise convolution
    const float *src, *bias;      // of the pointwise one; bias: [cout] or NULL
    const float *const *operands; // of the depthwise convolution's steps
    void *scratch;                // scratch_bytes, 64-byte aligned
};

void bnr__nchwc_pair_run(const struct bnr_nchwc_pair_run *r, struct bnr_pool *pool);

#endif
