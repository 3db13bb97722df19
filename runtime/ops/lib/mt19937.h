// SPDX-License-Identifier: Apache-2.0
// The Mersenne Twister as NumPy's RandomState(seed) uses it, so that seeded operators draw the same
// numbers as ONNX's own reference.
#ifndef BNR_OPS_LIB_MT19937_H
#define BNR_OPS_LIB_MT19937_H

#include <stdint.h>

struct bnr_mt19937 {
    uint32_t state[624];
    int next;
};

void bnr__mt19937_seed(struct bnr_mt19937 *mt, uint32_t seed);
uint32_t bnr__mt19937_u32(struct bnr_mt19937 *mt);
// Uniform in [0, 1) with 53 bits, from two draws.
double bnr__mt19937_double(struct bnr_mt19937 *mt);

#endif
