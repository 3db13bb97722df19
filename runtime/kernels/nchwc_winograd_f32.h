// SPDX-License-Identifier: Apache-2.0
// 3x3 convolution with stride 1 in blocked layout by Winograd's F(m x m, 3x3), m = 2, 4 or 6: input
// patches of (m + 2)^2 pixels and the kernels are taken to (m + 2)^2 points, at each of which the
// convolution is a matrix product over channels, and the products back to m x m pixels. Likewise
// F(3x3, 4x4) and F(2x2, 5x5), and 1xk and kx1 with k = 3, 5, 7 and tiles of m = 2 or 4 pixels:
// F(m, k).
//
// Points of a line of n pixels: 0, infinity and +-1 (n = 4); +-5/8, +-3/2 (n = 6); +-1/2, +-1, +-2
// (n = 8); +-7/16, +-7/8, +-5/4, +-9/4 (n = 10). For n = 6 these have a third of the error of the
// usual +-1, +-2. Weights are transformed in double and rounded once.
//
// Accuracy, as tests/kernels/test_nchwc_conv_f32.c measures it: the largest error is about 0.6 (m =
// 2), 2 (m = 4) and 12 times (m = 6) that of the plain sum; by the output's largest magnitude, on
// random numbers clamped at 0 with 16 .. 512 input channels, 0.2 .. 0.8, 0.9 .. 4 and 5 .. 20 *
// 10^-6. An infinity or a NaN in the input makes all pixels of its patches NaN.
#ifndef BNR_KERNELS_NCHWC_WINOGRAD_F32_H
#define BNR_KERNELS_NCHWC_WINOGRAD_F32_H

#include "runtime/kernels/nchwc_conv_f32.h"
#include "runtime/kernels/nchwc_finish.h"

// A block of channels of `tiles` patches, m pixels from one to the next, to points.
struct bnr_winograd_input {
    const float *src; // first pixel of the first patch
    float *dst;       // its first point; the next patch's is the next vector
    size_t tiles, src_next, dst_point;
    size_t src_row; // 1xk, kx1: from pixel to pixel
};

// Phases of a row: lane l of pixel i is row[l][2 * (first + i)] where first + i is in [0, count[l]),
// else 0. More pixels are written, to the next multiple of the vector's length.
struct bnr_winograd_phase_row {
    const float *row[BNR_CONV_LANES_MAX]; // of count 0: anything
    ptrdiff_t count[BNR_CONV_LANES_MAX], first;
    size_t pixels;
    float *dst;
};

// Points of a block of channels to rows x cols (at most a tile's) pixels.
struct bnr_winograd_output {
    const float *src;
    float *dst;
    size_t src_point;
    size_t dst_row; // 1xk, kx1: from pixel to pixel
    int rows, cols;
    // Applied in this order where not NULL or false.
    const float *bias;
    int bias_lanes;
    const float *residual; // laid out like dst
    bool clamp;
    float lo, hi;
};

// Some input channels' kernels for at most BNR_NCHWC_NB blocks of output channels to points.
struct bnr_winograd_weights {
    struct bnr_weights_rows src; // from the first input and the first output channel on
    float *dst;
    size_t channels; // of input, dst_channel apart
    size_t src_row;  // to the next output channel's
    size_t dst_point, dst_channel;
    size_t rows, width; // output channels that exist, and all lanes; the others become 0
};

struct bnr_winograd_transforms {
    void (*input)(const struct bnr_winograd_input *t);
    void (*output)(const struct bnr_winograd_output *t);
    bool (*weights)(const struct bnr_winograd_weights *t); // see bnr_weights_f32's turn
};

enum { BNR_WINOGRAD_LINES = 3, BNR_WINOGRAD_LARGER = 9, BNR_WINOGRAD_KINDS = 11 };

struct bnr_nchwc_winograd_f32_kernels {
    const char *isa;
    // F(m x m, 3x3) with m = 2, 4, 6, then F(m, k): m = 2 with k = 3, 5, 7, and m = 4, then
    // F(3x3, 4x4), F(2x2, 5x5)
    struct bnr_winograd_transforms kind[BNR_WINOGRAD_KINDS];
    void (*phase_row)(const struct bnr_winograd_phase_row *p);
};

#define BNR_KERNEL(isa, needs)                                                                     \
    extern const struct bnr_nchwc_winograd_f32_kernels bnr__nchwc_winograd_f32_##isa;
#include "runtime/kernels/nchwc_winograd_f32.inc"
#undef BNR_KERNEL

// With more input channels m = 6 may exceed an error of 10^-5 and is not chosen.
enum { BNR_WINOGRAD6_CHANNELS = 64 };

// Makes the convolution, of plain input with strides of 2, one of stride 1 over the input's phases:
// channel (2 * py + px) * cin + c of the phases is channel c at the odd (1) or even (0) rows, py,
// and columns, px, and has half of the taps. False where it is none for that.
bool bnr__winograd_phases(struct bnr_nchwc_conv_f32 *c);
// The phases' kernels of n output channels: [n][4 * cin][taps...].
void bnr__winograd_phase_kernels(const struct bnr_nchwc_conv_f32 *c, float *dst,
                                 const bnr_any_float *src, size_t n);
enum { BNR_WINOGRAD_PHASE_CHANNELS = 16, BNR_WINOGRAD_PHASE_TAPS = 16 }; // at most

// False where the shape is none for the algorithm.
bool bnr__winograd_form(const struct bnr_nchwc_conv_f32 *c, enum bnr_nchwc_algorithm algorithm,
                        struct bnr_winograd_form *f);
// What so many tiles take for so many output blocks.
double bnr__winograd_cost(const struct bnr_nchwc_conv_f32 *c, const struct bnr_winograd_form *f,
                          double tiles, size_t out_blocks);

// The algorithm that is expected to be the fastest among those that are accurate enough.
enum bnr_nchwc_algorithm bnr__nchwc_choose_algorithm(const struct bnr_nchwc_conv_f32 *c,
                                                     bool prologue);

// Parts of nchwc_conv_f32's init, pack and run. init, with c->algorithm set: false where the shape
// is none for it.
bool bnr__nchwc_winograd_init(struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_options *o);
// pack: the weights of nb output blocks of a group from `block` on.
bool bnr__nchwc_winograd_pack(const struct bnr_nchwc_conv_f32 *c, float *dst,
                              const struct bnr_weights_rows *w, size_t block, size_t nb);
void bnr__nchwc_winograd_run(const struct bnr_nchwc_conv_f32_run *r,
                             const struct bnr_nchwc_finish *finish, struct bnr_pool *pool);

#endif
