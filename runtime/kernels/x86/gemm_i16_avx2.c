// SPDX-License-Identifier: Apache-2.0
// gemm_i16 for AVX2.
#include <immintrin.h>
#include <stdint.h>

#define VW 8
typedef __m256i vi;

static inline vi vi_load(const float *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline void vi_store(int32_t *p, vi v) {
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

static inline vi vi_set1(const float *p) {
    return _mm256_castps_si256(_mm256_broadcast_ss(p));
}

static inline vi vi_dot(vi sum, vi a, vi b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

#define ISA(name) name##_avx2
#define ISA_NAME "avx2"
#define MR 6
#include "runtime/kernels/tmpl/gemm_i16.h"
