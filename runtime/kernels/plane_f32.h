// SPDX-License-Identifier: Apache-2.0
// Windows that slide over one plane at a time: depthwise convolution and pooling of float32 NCHW
// tensors with one or two spatial axes. A band of rows is copied into scratch with its padding,
// columns sorted by their place within the stride, so that every tap of a row of outputs reads
// neighbouring floats. From there the kernels compute rows of outputs.
//
// Accuracy: depthwise convolution as gemm_f32.h, in the order of the taps. Average: the sum over a
// window row, then over the rows, divided by the count once. Maximum: exact; NaN loses against
// every number.
#ifndef BNR_KERNELS_PLANE_F32_H
#define BNR_KERNELS_PLANE_F32_H

#include "runtime/kernels/eltwise_f32.h"

// [0]: rows, [1]: columns. A leading axis that does not exist has size, kernel and stride 1.
struct bnr_plane_shape {
    size_t in[2], out[2], kernel[2], stride[2], dilation[2], pad[2]; // pad: in front
};

// Rows of the padded copy of a plane: for each row and each phase p, width floats
// x[j * stride + p - pad] or `fill`. width is a multiple of the lanes.
struct bnr_plane_copy {
    float *dst; // [rows][phases][width]
    const float *src;
    size_t in[2], pad[2];
    size_t row, rows; // which, counted from the start of the padding
    size_t stride, phases, width;
    float fill;
};

// Rows of depthwise outputs from a padded copy.
struct bnr_plane_conv {
    const float *src;        // the first output row's first input row
    size_t line;             // floats from input row to input row
    size_t stride, dilation; // of rows
    size_t kernel[2];
    const size_t *tap; // [kernel[1]]: where a row's outputs find their taps, from the row's start
    const float *weights; // [kernel[0]][kernel[1]]
    float *dst;
    size_t ld, rows, cols;
    float bias;
    bool clamp;
    float lo, hi;
};

// Rows of pooling outputs from a padded copy. Every input row is first reduced over the columns of
// its windows.
struct bnr_plane_pool {
    const float *src;
    size_t line, stride, dilation;
    size_t kernel[2];
    const size_t *tap;
    bool average;
    float *reduced; // [in_rows][out_width]
    size_t out_width;
    const float *row_count, *col_count; // average: elements of a window by output row and column
    float *dst;
    size_t ld, rows, cols;
};

struct bnr_plane_f32 {
    const char *isa;
    size_t lanes;
    void (*copy)(const struct bnr_plane_copy *c);
    void (*conv)(const struct bnr_plane_conv *c);
    void (*pool)(const struct bnr_plane_pool *p);
    float (*sum)(const float *x, size_t n);
    float (*max)(const float *x, size_t n); // NaN loses; -Inf for n = 0
};

#define BNR_KERNEL(isa, needs) extern const struct bnr_plane_f32 bnr__plane_f32_##isa;
#include "runtime/kernels/plane_f32.inc"
#undef BNR_KERNEL

const struct bnr_plane_f32 *bnr__plane_f32_select(unsigned cpu);

// How planes are cut into bands, and a band's copy in scratch.
struct bnr_plane_band {
    struct bnr_plane_shape s;
    const struct bnr_plane_f32 *kernels;
    size_t bands;
    size_t rows,
        in_rows; // outputs of a band (the last one may have fewer), and the input rows they need
    size_t out_width;     // columns of outputs rounded up to whole vectors
    size_t width, phases; // floats of a phase of a row; phases that taps read
    size_t copy_floats, tap_floats;
};

// False when a size overflows.
bool bnr__plane_band_init(struct bnr_plane_band *b, const struct bnr_plane_shape *s,
                          const struct bnr_plane_f32 *kernels);
// Copies what the output rows first .. first + rows - 1 of a plane need.
void bnr__plane_band_copy(const struct bnr_plane_band *b, float *dst, const float *plane,
                          size_t first, size_t rows, float fill);
// Does steps without operands, whose arrays are by BNR_FORM_ROW the channels', on what such a copy holds of
// the plane of a channel. Its padding stays.
struct bnr_plane_before {
    const struct bnr_eltwise *e;
    const struct bnr_eltwise_f32 *kernels;
    size_t channel;
};
void bnr__plane_band_before(const struct bnr_plane_band *b, const struct bnr_plane_before *before,
                            float *copy, size_t first, size_t rows);
// Fills tap[kernel[1]], which takes tap_floats floats' room.
void bnr__plane_band_taps(const struct bnr_plane_band *b, size_t *tap);
// How many bands make a task that is worth a thread's waking.
size_t bnr__plane_band_grain(const struct bnr_plane_band *b);

#endif
