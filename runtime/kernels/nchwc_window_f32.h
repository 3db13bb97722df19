// SPDX-License-Identifier: Apache-2.0
// Windows that slide over blocked float32 tensors (nchwc_f32.h), every lane by itself: depthwise
// convolution, maximum and average pooling with one to three spatial axes, and pooling over whole
// planes. Taps outside of the input are left out.
//
// Accuracy: depthwise convolution is one sum in the order of the taps that begins with the bias,
// with one fused multiply-add (generic: product and sum rounded separately) a tap. Average: one sum
// in that order, divided once; of many taps and of whole planes a sum of short sums. Maximum: exact;
// NaN loses against every number.
#ifndef BNR_KERNELS_NCHWC_WINDOW_F32_H
#define BNR_KERNELS_NCHWC_WINDOW_F32_H

#include "runtime/kernels/eltwise_f32.h"
#include "runtime/kernels/nchwc_f32.h"

enum { BNR_WINDOW_AXES = 3 };

// Leading axes that do not exist have size, kernel and stride 1.
struct bnr_window_shape {
    size_t in[BNR_WINDOW_AXES], out[BNR_WINDOW_AXES], kernel[BNR_WINDOW_AXES];
    size_t stride[BNR_WINDOW_AXES], dilation[BNR_WINDOW_AXES], pad[BNR_WINDOW_AXES]; // in front
};

enum bnr_window_kind { BNR_WINDOW_CONV, BNR_WINDOW_MAX, BNR_WINDOW_AVERAGE };

// A row of outputs of one block. Rows of the kernel that lie outside of the input are not there.
struct bnr_window_row {
    float *dst;
    size_t cols;
    const float *src;         // the block's first pixel
    const size_t *at;         // [rows]: where the input rows begin, in floats from src
    const float *weights;     // [all rows][kernel][lanes]: CONV
    const size_t *weight_row; // [rows]: which of them
    size_t rows;
    size_t width, kernel, stride, dilation, pad; // of the last axis
    const float *bias;                           // [lanes]: CONV, or NULL
    const float *count;                          // [cols]: AVERAGE
    bool clamp;
    float lo, hi;
};

struct bnr_nchwc_window_kernels {
    const char *isa;
    size_t lanes;
    void (*row[3])(const struct bnr_window_row *r); // [kind]
    // Over `pixels` vectors: the sum divided by `pixels`, or the maximum.
    void (*whole)(float *dst, const float *src, size_t pixels, bool average);
};

#define BNR_KERNEL(isa, needs)                                                                     \
    extern const struct bnr_nchwc_window_kernels bnr__nchwc_window_f32_##isa;
#include "runtime/kernels/nchwc_window_f32.inc"
#undef BNR_KERNEL

const struct bnr_nchwc_window_kernels *bnr__nchwc_window_f32_select(unsigned cpu);

struct bnr_nchwc_window {
    enum bnr_window_kind kind;
    struct bnr_window_shape s;
    const struct bnr_nchwc_window_kernels *kernels;
    const struct bnr_eltwise_f32 *eltwise;
    size_t batch, blocks;
    const float *weights; // CONV: packed
    const float *bias;    // CONV: [blocks][lanes] or NULL
    // AVERAGE: padding in front and behind that counts.
    size_t count_pad[BNR_WINDOW_AXES], count_end[BNR_WINDOW_AXES];
    struct bnr_eltwise e; // what follows
    // Derived
    size_t taps, parts, bands; // rows of outputs are cut into parts, each of so many bands
    size_t slot_bytes, scratch_bytes;
    int slots;
};

// Sets everything but batch, blocks, weights, bias, counts and e. False when a size overflows or
// rows have no output.
bool bnr__nchwc_window_init(struct bnr_nchwc_window *w, enum bnr_window_kind kind,
                            const struct bnr_window_shape *s, unsigned cpu, int threads);
size_t bnr__nchwc_window_packed(const struct bnr_nchwc_window *w, size_t channels); // bytes
// Packs [channels, kernel...].
void bnr__nchwc_window_pack(const struct bnr_nchwc_window *w, float *dst, const float *weights,
                            size_t channels);

struct bnr_nchwc_window_run {
    const struct bnr_nchwc_window *w;
    float *dst;
    const float *src;
    const float *const *operands;
    void *scratch; // scratch_bytes, 64-byte aligned
};

void bnr__nchwc_window_run(const struct bnr_nchwc_window_run *r, struct bnr_pool *pool);

// The steps of `e`: a clamp in front is done in registers.
struct bnr_nchwc_window_steps {
    struct bnr_eltwise rest;
    bool clamp;
    float lo, hi;
};
void bnr__nchwc_window_split(struct bnr_nchwc_window_steps *s, const struct bnr_eltwise *e);

// Rows `first` .. `last` - 1 of outputs of one block, counted through all images. Input row y of the
// block is the (y % ring)-th at src.
struct bnr_nchwc_window_rows {
    const struct bnr_nchwc_window_run *r;
    const struct bnr_nchwc_window_steps *steps;
    const float *src;
    size_t ring, block, first, last;
    void *memory; // slot_bytes
};
void bnr__nchwc_window_rows(const struct bnr_nchwc_window_rows *t);

// The mean or maximum of every plane: s->blocks * s->batch vectors.
void bnr__nchwc_whole_run(const struct bnr_nchwc_window_kernels *kernels, const struct bnr_nchwc *s,
                          float *dst, const float *src, bool average, struct bnr_pool *pool);

#endif
