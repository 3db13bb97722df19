// SPDX-License-Identifier: Apache-2.0
// Transposed convolution of float32 NCHW tensors with one to three spatial axes: a matrix product
// gives what every input pixel adds through every tap, [groups * cout * taps, pixels], and each
// output plane collects its share.
//
// Accuracy: gemm_f32.h for each tap, the taps added in order.
#ifndef BNR_KERNELS_CONVT_F32_H
#define BNR_KERNELS_CONVT_F32_H

#include "runtime/kernels/conv_f32.h"

struct bnr_convt_f32 {
    struct bnr_conv_shape s; // in, out: of the transposed convolution; pad: cut off in front
    struct bnr_conv_f32 product;
    const struct bnr_eltwise_f32 *eltwise;
    const float *weights; // packed: product.packed_bytes
    struct bnr_eltwise e; // what follows the bias
    size_t column_floats; // of one image
    size_t scratch_bytes;
};

// Sets everything but `weights` and `e` from the shape. False when a size overflows.
bool bnr__convt_f32_init(struct bnr_convt_f32 *c, const struct bnr_conv_shape *s, unsigned cpu,
                         int threads);
// Packs [groups * cin, cout, kernel...] into product.packed_bytes.
void bnr__convt_f32_pack(const struct bnr_convt_f32 *c, float *dst, const float *weights);

struct bnr_convt_f32_run {
    const struct bnr_convt_f32 *c;
    float *dst;
    const float *src;
    const float *bias; // [groups * cout] or NULL
    const float *const *operands;
    void *scratch; // scratch_bytes, 64-byte aligned
};

void bnr__convt_f32_run(const struct bnr_convt_f32_run *r, struct bnr_pool *pool);

#endif
