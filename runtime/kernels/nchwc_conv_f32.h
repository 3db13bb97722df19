// SPDX-License-Identifier: Apache-2.0
// Convolution of float32 tensors in blocked layout, [N][ceil(C / c)][spatial...][c] with c the
// vector width: one to three spatial axes, any strides, dilations, padding and groups, with what
// stands in front (a per-channel affine and a clamp) and what follows (bias, residual, activation)
// in the same pass.
//
// Blocked tensors start at multiples of 64 bytes and are readable and writable to the end of their
// last block. Lanes of channels that do not exist hold anything: inputs may have any bits there,
// and outputs get any.
//
// Accuracy: each element is one sum, in the order input block, tap, channel of the block, with one
// fused multiply-add (generic: product and sum rounded separately) per term; bias and residual are
// added last. Where the weights of a block of output are too many for L2, the input blocks are cut
// into pieces, of which each is one sum; the residual is added to the first one. Winograd:
// nchwc_winograd_f32.h. The result does not depend on threads.
#ifndef BNR_KERNELS_NCHWC_CONV_F32_H
#define BNR_KERNELS_NCHWC_CONV_F32_H

#include "runtime/kernels/conv_f32.h"
#include "runtime/kernels/weights_f32.h"

// ---- one instruction set's kernels --------------------------------------------------------------

// A tile of output: nb blocks of channels x rows x cols pixels, held in registers. Input pixel
// (row, col) of block b and tap t has its channels at src + b * src_block + offset[t] +
// row * src_row + col * step, where step is the lane count or, for plain input, 1.
struct bnr_nchwc_tile {
    const float *src, *weights; // weights: [blocks][taps][channels][nb][c], without gaps
    const size_t *offset;
    size_t taps, blocks, channels, last_channels; // channels: of every block but the last
    size_t src_block, src_row;
    // Weights that will be needed next and may be far: these are fetched, so many floats further on
    // with every channel; none if that is 0.
    const float *ahead;
    size_t ahead_step;
    bool ahead_l2; // to L2, not to L1
    bool far; // so may be the input and the output, which are fetched in time, too
    float *dst;
    size_t dst_block, dst_row;
    bool half; // the last block has at most half of its channels; the others may get anything
    // Applied in this order where not NULL or false.
    const float *bias;
    int last_bias;         // how many of the last block's channels have a bias
    const float *residual; // laid out like dst
    bool clamp;            // to [lo, hi]; NaN stays
    float lo, hi;
};

// n pixels, each `step` pixels after the one before, to neighbouring places.
struct bnr_nchwc_copy {
    float *dst;
    const float *src;
    size_t n, step;
    const float *s, *t; // s * x + t for the first `lanes` channels, or NULL
    int lanes;
    bool clamp;
    float lo, hi;
};

enum { BNR_NCHWC_NB = 2 }; // blocks of a tile, at most

struct bnr_nchwc_conv_f32_kernels {
    const char *isa;
    size_t lanes, pixels; // rows * cols of a tile is at most `pixels`, rows at most 2
    void (*tile)(const struct bnr_nchwc_tile *t, int nb, int rows, int cols);
    void (*tile_plain)(const struct bnr_nchwc_tile *t, int nb, int rows, int cols);
    // Lane l of the output sees only lane l of the input: nb = channels = 1.
    void (*tile_lanes)(const struct bnr_nchwc_tile *t, int nb, int rows, int cols);
    void (*copy)(const struct bnr_nchwc_copy *c);
    void (*copy_plain)(float *dst, const float *src, size_t n, size_t step); // every step-th float
};

#define BNR_KERNEL(isa, needs)                                                                     \
    extern const struct bnr_nchwc_conv_f32_kernels bnr__nchwc_conv_f32_##isa;
#include "runtime/kernels/nchwc_conv_f32.inc"
#undef BNR_KERNEL

// Groups of as many input and output channels as a shorter vector has lanes, 2 or 4 (`ratio`) of
// them in a block: a tile of one group, blocks = 1, whose pixels are ratio * lanes apart.
struct bnr_nchwc_narrow_f32_kernels {
    const char *isa;
    size_t lanes, pixels;
    void (*tile)(const struct bnr_nchwc_tile *t, int ratio, int rows, int cols);
};

#define BNR_KERNEL(isa, needs)                                                                     \
    extern const struct bnr_nchwc_narrow_f32_kernels bnr__nchwc_narrow_f32_##isa;
#include "runtime/kernels/nchwc_narrow_f32.inc"
#undef BNR_KERNEL

size_t bnr__nchwc_lanes(unsigned cpu); // c

// ---- convolution --------------------------------------------------------------------------------

enum bnr_nchwc_algorithm { // their values are part of `variant`
    BNR_NCHWC_AUTO,        // the fastest that is accurate enough
    BNR_NCHWC_DIRECT,
    BNR_NCHWC_WINOGRAD2, // 3x3, stride 1: tiles of 2x2 outputs
    BNR_NCHWC_WINOGRAD4, // ... of 4x4; 4x4: of 3x3; 5x5: of 2x2
    BNR_NCHWC_WINOGRAD6, // ... of 6x6
    BNR_NCHWC_LINE2,     // 1xk or kx1 with k = 3, 5, 7, stride 1: tiles of 2 outputs
    BNR_NCHWC_LINE4,     // ... of 4
    BNR_NCHWC_PHASES,    // plain input, kernels of 7 or 8, strides of 2: as 4x4 of WINOGRAD4
    BNR_NCHWC_ALGORITHMS
};

struct bnr_nchwc_options {
    unsigned cpu;
    int threads;
    bool plain;    // the input is [N][C][spatial...], not blocked; for few channels
    bool prologue; // there will be one
    enum bnr_nchwc_algorithm algorithm;
};

// x becomes clamp(s * x + t) before the convolution pads it with zeros.
struct bnr_nchwc_prologue {
    const float *s, *t; // [groups * cin], both or none
    bool clamp;
    float lo, hi;
};

struct bnr_winograd_transforms;
struct bnr_winograd_phase_row;

// Winograd's tiles: outputs and the patches of input for them, in pixels.
struct bnr_winograd_form {
    int kind; // of transforms, an index
    size_t tile_h, tile_w, patch_h, patch_w, points;
    double input, output; // cost of transforming a block of channels of a tile
};

struct bnr_nchwc_conv_f32 {
    struct bnr_conv_shape s;
    const float *weights; // packed, 64-byte aligned
    // What follows the bias; see bnr__nchwc_conv_f32_accepts. An addition of the whole tensor and a
    // clamp, in this order in front, are done in registers, other steps on the tile while it is in
    // L1.
    struct bnr_eltwise e;
    struct bnr_nchwc_prologue prologue;
    // Floats from one image to the next. Dense at first; the caller may raise them where the tensor
    // is a part of the channels of a larger one (the block at which it starts is in dst and src).
    // Operands are dense.
    size_t src_image, dst_image;
    size_t packed_bytes, scratch_bytes;
    uint64_t variant; // of the packed layout: equal variants of equal weights have equal bytes
    // Derived
    const struct bnr_weights_f32 *weight_kernels;
    enum bnr_nchwc_algorithm algorithm; // never AUTO
    const struct bnr_nchwc_conv_f32_kernels *kernels;
    const struct bnr_eltwise_f32 *eltwise;
    size_t lanes, in_blocks, out_blocks; // blocks: of one group
    size_t taps;
    bool plain, far_memory; // BNR_CPU_FAR_MEMORY
    // Groups that do not consist of whole blocks: several to a block by `narrow`, else lane by lane
    bool lanewise;
    const struct bnr_nchwc_narrow_f32_kernels *narrow;
    size_t groups; // that are computed one by one: with narrow and lanewise 1
    size_t pixels; // of the largest tile
    bool copies;   // the input is copied to scratch, padded, band by band
    size_t band_rows, band_cols, band_blocks, band_images; // at most
    size_t row_parts, col_parts;                           // nearly equal pieces of the output,
    size_t row_unit, col_unit;                             // but for the last one multiples of these
    size_t row_step;                          // input rows from one row of the copy to the next
    size_t copy_rows, copy_cols, copy_phases; // of a band's copy, per input plane
    size_t copy_floats;                       // of one image of a band
    size_t table_bytes, slot_bytes;
    int slots;
    // Of Winograd, which uses band_blocks, slot_bytes and slots, too. With BNR_NCHWC_PHASES s, taps
    // and in_blocks are those of the convolution of the phases and `whole` is the shape itself.
    struct bnr_conv_shape whole;
    struct bnr_winograd_form form;
    const struct bnr_winograd_transforms *winograd;
    void (*phase_row)(const struct bnr_winograd_phase_row *p);
    size_t planes, tile_rows, tile_cols; // planes: all images'
    size_t chunk;                        // tiles that go through together
    size_t u_point, m_point; // floats from one point to the next, in front of and after the product
};

// Sets everything but `weights`, `e` and `prologue`. False when the kernels do not apply: a size
// overflows or is 0, the wanted algorithm does not fit the shape.
bool bnr__nchwc_conv_f32_init(struct bnr_nchwc_conv_f32 *c, const struct bnr_conv_shape *s,
                              const struct bnr_nchwc_options *o);
// Whether the steps can be an epilogue. Forms, for the blocked output: SCALAR; SAME: a dense
// blocked tensor of the output's shape; CHANNEL: [C], plain; ROW: a blocked tensor [N][blocks][c],
// one number for each image and channel. Not COLUMN.
bool bnr__nchwc_conv_f32_accepts(const struct bnr_eltwise *e);
// Packing [groups * cout, cin, kernel...] into packed_bytes in parts that may be packed at once, as
// in conv_f32.h; or all of it. A row are the weights of an output channel. A part's rows may lie at
// any address and have factors where packs_rows says so; elsewhere they are aligned and have none.
// False: an element by its factor is infinite or no number.
struct bnr_conv_parts bnr__nchwc_conv_f32_parts(const struct bnr_nchwc_conv_f32 *c);
size_t bnr__nchwc_conv_f32_row(const struct bnr_nchwc_conv_f32 *c); // floats of one
bool bnr__nchwc_conv_f32_packs_rows(const struct bnr_nchwc_conv_f32 *c);
bool bnr__nchwc_conv_f32_pack_part(const struct bnr_nchwc_conv_f32 *c, float *dst,
                                   const struct bnr_weights_rows *src, size_t part);
void bnr__nchwc_conv_f32_pack(const struct bnr_nchwc_conv_f32 *c, float *dst, const float *weights);

struct bnr_nchwc_conv_f32_run {
    const struct bnr_nchwc_conv_f32 *c;
    float *dst;
    const float *src;
    const float *bias; // [groups * cout] or NULL
    const float *const *operands;
    void *scratch; // scratch_bytes, 64-byte aligned
};

void bnr__nchwc_conv_f32_run(const struct bnr_nchwc_conv_f32_run *r, struct bnr_pool *pool);

#endif
