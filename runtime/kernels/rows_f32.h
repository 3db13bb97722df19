// SPDX-License-Identifier: Apache-2.0
// What is done to each row of a float32 matrix by all of its elements: softmax, normalization to
// zero mean and unit variance. A row stays in cache between its passes.
//
// Accuracy: sums run in float in lanes over a few thousand elements, and such blocks are added in
// double, so that the relative error of a sum of n terms of one sign is below 2^-16 for any n; a
// sum of a block that leaves the range of float is infinite. Softmax: 2^-20 relative and 2^-126.
// Normalization: two passes, the mean first.
#ifndef BNR_KERNELS_ROWS_F32_H
#define BNR_KERNELS_ROWS_F32_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/pool.h"
#include "runtime/kernels/cpu.h"

struct bnr_rows_moments {
    float mean, inv; // inv: 1 / sqrt(variance + epsilon)
};

// One instruction set's kernels, each for one row (dst may be src) or a strip of columns.
struct bnr_rows_f32_kernels {
    const char *isa;
    double (*sum)(const float *src, size_t n);
    double (*squares)(const float *src, size_t n, float mean); // sum of (x - mean)^2
    void (*softmax)(float *dst, const float *src, size_t n);
    void (*log_softmax)(float *dst, const float *src, size_t n);
    // Of every column: n elements, `ld` apart.
    void (*softmax_columns)(float *dst, const float *src, size_t n, size_t ld, size_t cols);
    void (*log_softmax_columns)(float *dst, const float *src, size_t n, size_t ld, size_t cols);
    // (x - mean) * inv * scale + bias, element by element; bias may be NULL.
    void (*apply)(float *dst, const float *src, size_t n, const struct bnr_rows_moments *m,
                  const float *scale, const float *bias);
    // The same with one scale and one bias.
    void (*apply_uniform)(float *dst, const float *src, size_t n, const struct bnr_rows_moments *m,
                          float scale, float bias);
};

#define BNR_KERNEL(isa, needs) extern const struct bnr_rows_f32_kernels bnr__rows_f32_##isa;
#include "runtime/kernels/rows_f32.inc"
#undef BNR_KERNEL

const struct bnr_rows_f32_kernels *bnr__rows_f32_select(unsigned cpu);

enum bnr_rows_kind { BNR_ROWS_SOFTMAX, BNR_ROWS_NORMALIZE, BNR_ROWS_LOG_SOFTMAX };

struct bnr_rows_f32 {
    enum bnr_rows_kind kind;
    const struct bnr_rows_f32_kernels *kernels;
    size_t rows, n;
    size_t inner; // SOFTMAX, LOG_SOFTMAX: the tensor is [rows, n, inner], one lane a column; else 1
    // NORMALIZE: by 1 / sqrt(mean of squares + epsilon), after taking the mean off unless
    // `uncentered`. Scale and bias are [n]; or, with channels > 0, a row is that many channels with
    // a scale and a bias each, and the parameters are [groups * channels] for `groups` rows in
    // turn.
    double epsilon;
    bool uncentered;
    size_t channels, groups;
};

struct bnr_rows_f32_run {
    const struct bnr_rows_f32 *r;
    float *dst;
    const float *src;
    const float *scale, *bias; // NORMALIZE; bias may be NULL
};

void bnr__rows_f32_run(const struct bnr_rows_f32_run *run, struct bnr_pool *pool);

#endif
