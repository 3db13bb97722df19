// SPDX-License-Identifier: Apache-2.0
// The discrete Fourier transform of any length in O(n log n), in double.
#ifndef BNR_OPS_LIB_FFT_H
#define BNR_OPS_LIB_FFT_H

#include "runtime/ops/lib/compute.h"

// Complex numbers are pairs of doubles. Lengths that are no power of two go through Bluestein's
// algorithm: a convolution of length m, a power of two of at least 2n - 1.
struct bnr_fft {
    size_t n, m;
    double *twiddle; // [m / 2]: exp(-2 pi i k / m)
    double *chirp;   // [n]: exp(-pi i k^2 / n); NULL when n is m
    double *filter;  // [m]: transform of the conjugate chirp
    double *work;    // [m]
};

// Makes a plan for n >= 1 in the step's working memory.
enum bnr_status bnr__fft_plan(const struct bnr_args *a, int64_t n, struct bnr_fft *f);
// Transforms x[n] in place; `inverse` with the factor 1 / n.
void bnr__fft_run(const struct bnr_fft *f, double *x, bool inverse);

// The inverse transform of x[n] complex floats in single precision, for lengths without prime
// factors above BNR_FFT_MAX_PRIME (bnr__fft_is_smooth): decimation in frequency by the prime
// factors, small ones first. ONNX's test data for inverse transforms of float32 have the rounding
// noise of this algorithm, which is more than their tolerance in elements that would be zero.
// scratch: [n] complex.
enum { BNR_FFT_MAX_PRIME = 61 };
bool bnr__fft_is_smooth(int64_t n);
void bnr__fft_inverse_f32(float *x, size_t n, float *scratch);

#endif
