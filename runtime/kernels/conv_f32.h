// SPDX-License-Identifier: Apache-2.0
// Convolution of float32 NCHW tensors with one to three spatial axes, any strides, dilations,
// padding and groups, as a matrix product per image and group: weights [Cout, K] times the patches
// [K, pixels], where K runs over the taps of the kernel and, within a tap, over the input channels.
// The patches are never stored as a whole: each block of them is packed straight from the input,
// which is read only where it exists.
//
// Accuracy: gemm_f32.h with this order of K.
#ifndef BNR_KERNELS_CONV_F32_H
#define BNR_KERNELS_CONV_F32_H

#include "runtime/kernels/gemm_f32.h"

enum { BNR_CONV_AXES = 3, BNR_CONV_LANES_MAX = 16 };

// Lanes first .. last - 1 of a vector hold src[offset + lane * stride] of a channel's plane;
// src[offset] itself need not exist.
struct bnr_conv_run {
    int first, last;
    ptrdiff_t offset;
};

// s * x + t, then an activation, per input channel: the usual prologue.
struct bnr_conv_before {
    const float *s, *t; // NULL: no multiply-add
    enum bnr_eltwise_kind kind; // AFFINE: nothing more. CLAMP, LEAKY_RELU by p and q, PRELU by slope
    float p, q;
    const float *slope;
};

// One vector of a panel for one tap, channel after channel; lanes in no run are zero.
struct bnr_conv_pack {
    float *dst;       // channel c's vector at dst + c * ld
    const float *src; // first channel's plane
    size_t ld, plane, channels, stride;
    int n; // runs
    struct bnr_conv_run run[BNR_CONV_LANES_MAX];
    const struct bnr_conv_before *before; // of the first channel on; NULL: none
};

struct bnr_conv_f32_kernels {
    const char *isa;
    size_t lanes;
    void (*pack)(const struct bnr_conv_pack *p);
};

#define BNR_KERNEL(isa, needs) extern const struct bnr_conv_f32_kernels bnr__conv_f32_##isa;
#include "runtime/kernels/conv_f32.inc"
#undef BNR_KERNEL

// Leading spatial axes that do not exist have size, kernel and stride 1.
struct bnr_conv_shape {
    size_t batch, groups;
    size_t cin, cout; // of one group
    size_t in[BNR_CONV_AXES], out[BNR_CONV_AXES], kernel[BNR_CONV_AXES];
    size_t stride[BNR_CONV_AXES], dilation[BNR_CONV_AXES], pad[BNR_CONV_AXES]; // pad: in front
    const struct bnr_gemm_f32 *gemm; // NULL: as the CPU says
};

struct bnr_conv_f32 {
    struct bnr_conv_shape s;
    const struct bnr_gemm_f32 *gemm;
    const struct bnr_conv_f32_kernels *kernels;
    const struct bnr_eltwise_f32 *eltwise;
    const float *weights; // packed
    struct bnr_eltwise e; // what follows the bias
    // What is done to the input in front, zeros of the padding excepted: steps without operands, whose
    // arrays are by BNR_FORM_ROW the input channels' of all groups. `usual` where it says all of them.
    struct bnr_eltwise before;
    bool is_usual;
    struct bnr_conv_before usual;
    // Derived
    size_t m, n, k;                // of one product
    size_t panel_rows, kc, nc, mc; // block sizes
    size_t packed_bytes;           // of the weights
    size_t slot_bytes, scratch_bytes;
    int slots;
    bool direct; // a 1x1 kernel over the plain input: no packing but at the edge
};

// Sets everything but `weights`, `e` and what is in front from the shape. False when a size overflows.
bool bnr__conv_f32_init(struct bnr_conv_f32 *c, const struct bnr_conv_shape *s, unsigned cpu,
                        int threads);
// Steps to do on the input as it is packed.
void bnr__conv_f32_set_before(struct bnr_conv_f32 *c, const struct bnr_eltwise *before);
// Packing in parts that may be packed at once: each is made of `elems` neighbouring weights (the last one of
// fewer), the first of which is *src.
struct bnr_conv_parts {
    size_t n, elems;
};
struct bnr_conv_parts bnr__conv_f32_parts(const struct bnr_conv_f32 *c);
void bnr__conv_f32_pack_part(const struct bnr_conv_f32 *c, float *dst, const float *src, size_t part);
// Packs [groups * cout, cin, kernel...] into packed_bytes.
void bnr__conv_f32_pack(const struct bnr_conv_f32 *c, float *dst, const float *weights);
// The same from [groups * cin, cout], for 1x1 kernels.
void bnr__conv_f32_pack_transposed(const struct bnr_conv_f32 *c, float *dst, const float *weights);

struct bnr_conv_f32_run {
    const struct bnr_conv_f32 *c;
    float *dst;
    const float *src;
    const float *bias; // [groups * cout] or NULL
    const float *const *operands;
    void *scratch; // scratch_bytes, 64-byte aligned
};

void bnr__conv_f32_run(const struct bnr_conv_f32_run *r, struct bnr_pool *pool);

#endif
