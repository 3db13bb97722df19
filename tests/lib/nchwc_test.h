// SPDX-License-Identifier: Apache-2.0
// What tests of the kernels on blocked tensors share: where an element of a plain tensor
// [batch][channels][pixels] lies, and copies with NaN in the lanes that do not exist.
#ifndef BNR_TESTS_NCHWC_TEST_H
#define BNR_TESTS_NCHWC_TEST_H

#include <math.h>
#include <string.h>

#include "runtime/kernels/nchwc_f32.h"
#include "tests/lib/kernel_test.h"

static inline size_t blocked_floats(const struct bnr_nchwc *s) {
    return s->batch * s->blocks * s->pixels * s->lanes;
}

static inline size_t plain_floats(const struct bnr_nchwc *s) {
    return s->batch * s->channels * s->pixels;
}

static inline struct bnr_nchwc nchwc_shape(size_t batch, size_t channels, size_t pixels,
                                           size_t lanes) {
    return (struct bnr_nchwc){.batch = batch,
                              .channels = channels,
                              .pixels = pixels,
                              .lanes = lanes,
                              .blocks = (channels + lanes - 1) / lanes};
}

// Of plain element i.
static inline size_t blocked_place(const struct bnr_nchwc *s, size_t i) {
    const size_t pixel = i % s->pixels, channel = i / s->pixels % s->channels;
    const size_t block = i / s->pixels / s->channels * s->blocks + channel / s->lanes;
    return (block * s->pixels + pixel) * s->lanes + channel % s->lanes;
}

// guard_floats' NaN stay in the lanes that do not exist.
static inline float *blocked_copy(const struct bnr_nchwc *s, const float *plain) {
    float *blocked = guard_floats(blocked_floats(s));
    for (size_t i = 0; i < plain_floats(s); i++)
        blocked[blocked_place(s, i)] = plain[i];
    return blocked;
}

// The first plain element that differs between two blocked tensors, or their number. Any NaN equals
// any other: which of several comes out of a sum is not defined.
static inline size_t first_difference(const struct bnr_nchwc *s, const float *a, const float *b) {
    size_t i = 0;
    for (; i < plain_floats(s); i++) {
        const float *x = &a[blocked_place(s, i)], *y = &b[blocked_place(s, i)];
        if (!(isnan(*x) && isnan(*y)) && memcmp(x, y, sizeof *x) != 0)
            break;
    }
    return i;
}

#endif
