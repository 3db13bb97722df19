// SPDX-License-Identifier: Apache-2.0
// Mean and population variance, two-pass in double.
#ifndef BNR_OPS_LIB_MOMENTS_H
#define BNR_OPS_LIB_MOMENTS_H

#include <stddef.h>

struct bnr_moments {
    double mean, var; // NaN for no elements
};

// Over `rows` rows of `count` adjacent elements, `stride` apart.
static inline struct bnr_moments bnr__moments(const double *x, size_t rows, size_t stride,
                                              size_t count) {
    const double n = (double)rows * (double)count;
    double sum = 0, squares = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < count; i++)
            sum += x[r * stride + i];
    const double mean = sum / n;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < count; i++) {
            const double d = x[r * stride + i] - mean;
            squares += d * d;
        }
    return (struct bnr_moments){.mean = mean, .var = squares / n};
}

#endif
