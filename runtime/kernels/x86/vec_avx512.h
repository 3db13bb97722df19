// SPDX-License-Identifier: Apache-2.0
// The vocabulary of generic/vec_generic.h for AVX-512 (F, BW, DQ, VL): 16 lanes.
#ifndef BNR_KERNELS_VEC_AVX512_H
#define BNR_KERNELS_VEC_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/compiler.h"

#define VW 16
typedef __m512 vf;
typedef __mmask16 vm;

static inline vf v_load(const float *p) {
    return _mm512_loadu_ps(p);
}

static inline void v_store(float *p, vf v) {
    _mm512_storeu_ps(p, v);
}

static inline __mmask16 v_lanes_below(int n) {
    return (__mmask16)((1u << n) - 1);
}

static inline __mmask16 v_lanes_range(int first, int last) {
    return (__mmask16)((1u << last) - (1u << first));
}

static inline vf v_load_n(const float *p, int n) {
    return _mm512_maskz_loadu_ps(v_lanes_below(n), p);
}

static inline void v_store_n(float *p, vf v, int n) {
    _mm512_mask_storeu_ps(p, v_lanes_below(n), v);
}

static inline vf v_load_range(const float *p, int first, int last, vf other) {
    return _mm512_mask_loadu_ps(other, v_lanes_range(first, last), p);
}

static inline vf v_load2_range(const float *p, int first, int last, vf other) {
    // Each source vector holds eight of the lanes in its even places.
    const uint64_t lanes = ((1ull << (2 * last)) - (1ull << (2 * first))) & 0x55555555u;
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512 a = _mm512_maskz_loadu_ps((__mmask16)lanes, p);
    const __m512 b = _mm512_maskz_loadu_ps((__mmask16)(lanes >> 16), p + 16);
    const __m512 v = _mm512_permutex2var_ps(a, even, b);
    return _mm512_mask_blend_ps(v_lanes_range(first, last), other, v);
}

static inline vf v_lookup(vf v, const int32_t *index) {
    return _mm512_permutexvar_ps(_mm512_loadu_si512(index), v);
}

// First in each quarter of four rows, then quarters among rows four apart.
static inline void v_transpose(vf r[VW]) {
    vf t[VW];
    BNR_UNROLL
    for (int i = 0; i < VW; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    BNR_UNROLL
    for (int i = 0; i < VW; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    BNR_UNROLL
    for (int i = 0; i < 4; i++) {
        const vf a = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        const vf b = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        const vf c = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        const vf d = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
        t[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        t[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        t[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
    BNR_UNROLL
    for (int i = 0; i < VW; i++)
        r[i] = t[i];
}

typedef __m512d vd;

static inline vd v_low_f64(vf v) {
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}

static inline vd v_high_f64(vf v) {
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

static inline vf v_from_f64(vd low, vd high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high),
                              1);
}

static inline vf v_set1(float x) {
    return _mm512_set1_ps(x);
}

static inline vf v_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b) {
    return _mm512_div_ps(a, b);
}

static inline vf v_sqrt(vf a) {
    return _mm512_sqrt_ps(a);
}

static inline vf v_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}

// *a * b + c by one instruction. Of two of them with the same *a compilers would make one load and
// two multiply-adds.
#define BNR_LOADING_FMA
static inline vf v_fma_load1(const float *a, vf b, vf c) {
    __asm__("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(c) : "m"(*a), "v"(b));
    return c;
}

// a * b + c in the lower half of the lanes, anything in the others: half the work where vectors go
// through the multipliers in halves.
#define BNR_HALF_VECTORS
static inline vf v_fma_half(vf a, vf b, vf c) {
    return _mm512_castps256_ps512(_mm256_fmadd_ps(
        _mm512_castps512_ps256(a), _mm512_castps512_ps256(b), _mm512_castps512_ps256(c)));
}

static inline vf v_fnma(vf a, vf b, vf c) {
    return _mm512_fnmadd_ps(a, b, c);
}

static inline vm v_lt(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline vf v_select(vm m, vf a, vf b) {
    return _mm512_mask_blend_ps(m, b, a);
}

static inline vf v_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}

static inline vf v_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}

static inline vf v_abs(vf a) {
    return _mm512_abs_ps(a);
}

static inline vf v_copysign(vf a, vf s) {
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    // Per bit: sign ? s : a.
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(sign, _mm512_castps_si512(s), _mm512_castps_si512(a), 0xca));
}

static inline vf v_round(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf v_scale2(vf a, vf n) {
    return _mm512_scalef_ps(a, n);
}

static inline float v_sum(vf a) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#endif
