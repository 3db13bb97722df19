// SPDX-License-Identifier: Apache-2.0
// Template: the weights_f32 kernels on the vectors of the file that includes it. Needs ISA(name),
// ISA_NAME.
#include <string.h>

#include "runtime/kernels/tmpl/turn.h"

// Simple enough for the compiler's vectors.
static void scale(float *dst, const bnr_any_float *src, size_t n, double f) {
    for (size_t i = 0; i < n; i++)
        dst[i] = scaled_element(src[i], f);
}

// Magnitudes order like their bits.
static float largest(const bnr_any_float *src, size_t n) {
    int32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, &src[i], sizeof bits);
        bits &= INT32_MAX;
        most = bits > most ? bits : most;
    }
    float f;
    memcpy(&f, &most, sizeof f);
    return f;
}

const struct bnr_weights_f32 ISA(bnr__weights_f32) = {
    .isa = ISA_NAME, .turn = turn, .scale = scale, .largest = largest};
