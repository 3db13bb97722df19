// SPDX-License-Identifier: Apache-2.0
// Products of 8-bit integers, exact modulo 2^32: what gemm_f32 is for float32, with pairs of 16-bit
// integers in the place of its floats (two neighbours in K, their zero points taken off) and 32-bit
// sums. The drivers of gemm_f32 (matmul_f32, conv_f32) only move what their tiles multiply, so they
// run on pairs as they are: K counts pairs, the output is int32, and there are no steps behind.
#ifndef BNR_KERNELS_GEMM_I16_H
#define BNR_KERNELS_GEMM_I16_H

#include <stdint.h>

#include "runtime/kernels/gemm_f32.h"

// How one channel's sums become 8-bit integers: round((sum + bias) * factor), NaN as 0, saturated
// to [low, high], plus zero; ties to even, in double.
struct bnr_requantize {
    float factor;
    const float *factors; // one for each element, or NULL
    int32_t bias, zero;
    int32_t low, high; // of the output type, less zero
};

struct bnr_gemm_i16_kernels {
    const char *isa;
    size_t mr, nr;
    void (*tile)(const struct bnr_gemm_tile *t, int rows, int cols);
    // Pair i: (a[i] - zero, b[i] - zero), of int8 or uint8; b NULL: zeros.
    void (*pairs)(int16_t *dst, const void *a, const void *b, size_t n, int zero, bool is_signed);
    // dst[i] = src[i] - zero.
    void (*widen)(int16_t *dst, const void *src, size_t n, int zero, bool is_signed);
    void (*requantize)(uint8_t *dst, const int32_t *src, size_t n, const struct bnr_requantize *q);
};

#define BNR_KERNEL(isa, needs) extern const struct bnr_gemm_i16_kernels bnr__gemm_i16_##isa;
#include "runtime/kernels/gemm_i16.inc"
#undef BNR_KERNEL

const struct bnr_gemm_i16_kernels *bnr__gemm_i16_select(unsigned cpu);
// The kernels as the drivers want them.
struct bnr_gemm_f32 bnr__gemm_i16_as_f32(const struct bnr_gemm_i16_kernels *kernels, unsigned cpu);

#endif
