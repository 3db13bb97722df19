// SPDX-License-Identifier: Apache-2.0
// gemm_i16 for AVX-512 with VNNI.
#include <immintrin.h>
#include <stdint.h>

#define VW 16
typedef __m512i vi;

static inline vi vi_load(const float *p) {
    return _mm512_loadu_si512(p);
}

static inline void vi_store(int32_t *p, vi v) {
    _mm512_storeu_si512(p, v);
}

static inline vi vi_set1(const float *p) {
    return _mm512_castps_si512(_mm512_set1_ps(*p));
}

static inline vi vi_dot(vi sum, vi a, vi b) {
    return _mm512_dpwssd_epi32(sum, a, b);
}

#define ISA(name) name##_vnni
#define ISA_NAME "vnni"
#define MR 8
#include "runtime/kernels/tmpl/gemm_i16.h"
