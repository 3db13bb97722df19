// SPDX-License-Identifier: Apache-2.0
// gemm_i16 in portable C, with the one instruction that every x86-64 has for it.
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define VW 4
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));

static inline vi vi_load(const float *p) {
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void vi_store(int32_t *p, vi v) {
    memcpy(p, &v, sizeof v);
}

static inline vi vi_set1(const float *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return (vi){pair, pair, pair, pair};
}

#ifdef __SSE2__
static inline vi vi_dot(vi sum, vi a, vi b) {
    return (vi)_mm_add_epi32((__m128i)sum, _mm_madd_epi16((__m128i)a, (__m128i)b));
}
#else
static inline vi vi_dot(vi sum, vi a, vi b) {
    const vi a0 = (vi)((vu)a << 16) >> 16, b0 = (vi)((vu)b << 16) >> 16;
    return (vi)((vu)sum + (vu)(a0 * b0) + (vu)((a >> 16) * (b >> 16)));
}
#endif

#define ISA(name) name##_generic
#define ISA_NAME "generic"
#define MR 4
#include "runtime/kernels/tmpl/gemm_i16.h"
