// SPDX-License-Identifier: Apache-2.0
#include "tools/peak.h"

#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { CHAINS = 12, TURNS = 20000 }; // as many as hide the latency of two units

// Sums of CHAINS independent chains: TURNS steps of one multiply-add each.
#define DEFINE_LOOP(name, target, V, set1, fma)                                                    \
    target static float name(void) {                                                               \
        V acc[CHAINS];                                                                             \
        const V a = set1(0.999f), b = set1(1e-3f);                                                 \
        float out[sizeof(V) / sizeof(float)];                                                      \
        for (int i = 0; i < CHAINS; i++)                                                           \
            acc[i] = set1((float)i);                                                               \
        for (int t = 0; t < TURNS; t++) {                                                          \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] = fma(acc[i], a, b);  \
        }                                                                                          \
        for (int i = 1; i < CHAINS; i++)                                                           \
            acc[0] = fma(acc[i], a, acc[0]);                                                       \
        memcpy(out, &acc[0], sizeof out);                                                          \
        return out[0];                                                                             \
    }

typedef float vec4 __attribute__((vector_size(16)));
#define SET4(x) ((vec4){x, x, x, x})
#define FMA4(x, a, b) ((x) * (a) + (b))
DEFINE_LOOP(loop_generic, , vec4, SET4, FMA4)
#if defined(__x86_64__)
DEFINE_LOOP(loop_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps)
DEFINE_LOOP(loop_avx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps)
#endif

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double peak_gflops(const char *level) {
    float (*loop)(void) = loop_generic;
    double lanes = 4, best = 0;
#if defined(__x86_64__)
    if (strcmp(level, "avx2") == 0) {
        loop = loop_avx2;
        lanes = 8;
    } else if (strcmp(level, "avx512") == 0) {
        loop = loop_avx512;
        lanes = 16;
    }
#else
    (void)level;
#endif
    volatile float keep;
    for (int i = 0; i < 60; i++) { // the best of many short ones: the clock rises, others interrupt
        const double start = seconds();
        keep = loop();
        const double rate = 2 * lanes * CHAINS * TURNS / (seconds() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    (void)keep;
    return best;
}
