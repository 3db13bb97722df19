// SPDX-License-Identifier: Apache-2.0
// After Matsumoto and Nishimura, "Mersenne Twister" (1998), with the seeding of their 2002
// revision.
#include "runtime/ops/lib/mt19937.h"

enum { N = 624, M = 397 };

void bnr__mt19937_seed(struct bnr_mt19937 *mt, uint32_t seed) {
    mt->state[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        mt->state[i] = 1812433253u * (mt->state[i - 1] ^ (mt->state[i - 1] >> 30)) + i;
    mt->next = N;
}

static void refill(struct bnr_mt19937 *mt) {
    uint32_t *s = mt->state;
    for (int i = 0; i < N; i++) {
        const uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);
        s[i] = s[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    mt->next = 0;
}

uint32_t bnr__mt19937_u32(struct bnr_mt19937 *mt) {
    if (mt->next >= N)
        refill(mt);
    uint32_t y = mt->state[mt->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double bnr__mt19937_double(struct bnr_mt19937 *mt) {
    const double high = (double)(bnr__mt19937_u32(mt) >> 5),
                 low = (double)(bnr__mt19937_u32(mt) >> 6);
    return (high * 0x1p26 + low) / 0x1p53;
}
