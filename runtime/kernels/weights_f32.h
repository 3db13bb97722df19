// SPDX-License-Identifier: Apache-2.0
// weights_f32: what is done to all float32 weights between a model's file and their packed form. Exact, or
// rounded once; the same bits at every level. Weights may lie at any address.
#ifndef BNR_KERNELS_WEIGHTS_F32_H
#define BNR_KERNELS_WEIGHTS_F32_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/cpu.h"

typedef float bnr_any_float BNR_ANY_ADDRESS;

// Weights as packing finds them: rows that start at *w, each to be taken by a factor in double,
// rounded once, 0 where that is subnormal; factors NULL: as they are.
struct bnr_weights_rows {
    const bnr_any_float *w;
    const double *factors;
};

// Rows become columns: element k of row i goes to dst[place(k) * dst_step + i], where place(k) = k % taps *
// (cols / taps) + k / taps: [cols / taps][taps] becomes [taps][cols / taps].
struct bnr_weights_turn {
    float *dst;
    const bnr_any_float *src;
    const double *factors;       // of the rows, as in bnr_weights_rows
    size_t rows, cols, src_step; // src_step: floats from row to row
    size_t taps;                 // a divisor of cols
    size_t width;                // floats of a row of dst that are written, zeros behind `rows`
    size_t dst_step;
};

struct bnr_weights_f32 {
    const char *isa;
    // False: an element by its factor is infinite or no number.
    bool (*turn)(const struct bnr_weights_turn *t);
    // dst[i] = src[i] * f in double, rounded once; 0 where that is subnormal.
    void (*scale)(float *dst, const bnr_any_float *src, size_t n, double f);
    // dst[i] = src[i] * (f * each[i]), likewise.
    void (*scale_each)(float *dst, const bnr_any_float *src, size_t n, double f, const double *each);
    // The largest magnitude; NaN or infinity where there is one.
    float (*largest)(const bnr_any_float *src, size_t n);
};

#define BNR_KERNEL(isa, needs) extern const struct bnr_weights_f32 bnr__weights_f32_##isa;
#include "runtime/kernels/weights_f32.inc"
#undef BNR_KERNEL

const struct bnr_weights_f32 *bnr__weights_f32_select(unsigned cpu);

#endif
