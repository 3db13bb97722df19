// SPDX-License-Identifier: Apache-2.0
// The vocabulary of generic/vec_generic.h for AVX2 with FMA: 8 lanes.
#ifndef BNR_KERNELS_VEC_AVX2_H
#define BNR_KERNELS_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VW 8
typedef __m256 vf;
typedef __m256 vm;

static inline vf v_load(const float *p) {
    return _mm256_loadu_ps(p);
}

static inline void v_store(float *p, vf v) {
    _mm256_storeu_ps(p, v);
}

static inline __m256i v_lanes_below(int n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
}

static inline vf v_load_n(const float *p, int n) {
    return _mm256_maskload_ps(p, v_lanes_below(n));
}

// In parts: masked stores take dozens of cycles on some processors.
static inline void v_store_n(float *p, vf v, int n) {
    __m128 part = _mm256_castps256_ps128(v);
    if (n >= 8) {
        _mm256_storeu_ps(p, v);
        return;
    }
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, part);
}

static inline __m256i v_lanes_range(int first, int last) {
    return _mm256_andnot_si256(v_lanes_below(first), v_lanes_below(last));
}

static inline vf v_load_range(const float *p, int first, int last, vf other) {
    const __m256i lanes = v_lanes_range(first, last);
    return _mm256_blendv_ps(other, _mm256_maskload_ps(p, lanes), _mm256_castsi256_ps(lanes));
}

static inline vf v_load2_range(const float *p, int first, int last, vf other) {
    // Each source vector holds four of the lanes in its even places.
    const __m256i even = _mm256_setr_epi32(-1, 0, -1, 0, -1, 0, -1, 0);
    const __m256i low = v_lanes_range(2 * first, 2 * last);
    const __m256i high = v_lanes_range(2 * first - 8, 2 * last - 8);
    const __m256 a = _mm256_maskload_ps(p, _mm256_and_si256(low, even));
    const __m256 b = _mm256_maskload_ps(p + 8, _mm256_and_si256(high, even));
    const __m256d mixed = _mm256_castps_pd(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
    const __m256 v = _mm256_castpd_ps(_mm256_permute4x64_pd(mixed, _MM_SHUFFLE(3, 1, 2, 0)));
    return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(v_lanes_range(first, last)));
}

static inline vf v_lookup(vf v, const int32_t *index) {
    return _mm256_permutevar8x32_ps(v, _mm256_loadu_si256((const __m256i *)(const void *)index));
}

static inline void v_transpose(vf r[VW]) {
    vf t[VW];
    for (int i = 0; i < VW; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < VW; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < VW; i++)
        r[i] = t[i];
}

typedef __m256d vd;

static inline vd v_low_f64(vf v) {
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}

static inline vd v_high_f64(vf v) {
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

static inline vf v_from_f64(vd low, vd high) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high),
                                1);
}

static inline vf v_set1(float x) {
    return _mm256_set1_ps(x);
}

static inline vf v_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b) {
    return _mm256_div_ps(a, b);
}

static inline vf v_sqrt(vf a) {
    return _mm256_sqrt_ps(a);
}

static inline vf v_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf v_fnma(vf a, vf b, vf c) {
    return _mm256_fnmadd_ps(a, b, c);
}

static inline vm v_lt(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

static inline vf v_select(vm m, vf a, vf b) {
    return _mm256_blendv_ps(b, a, m);
}

static inline vf v_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}

static inline vf v_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}

static inline vf v_abs(vf a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

static inline vf v_copysign(vf a, vf s) {
    return _mm256_or_ps(v_abs(a), _mm256_and_ps(_mm256_set1_ps(-0.0f), s));
}

static inline vf v_round(vf a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf v_pow2_int(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

static inline vf v_scale2(vf a, vf n) {
    const __m256i i = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(i, 1);
    return v_mul(v_mul(a, v_pow2_int(half)), v_pow2_int(_mm256_sub_epi32(i, half)));
}

static inline float v_sum(vf a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#endif
