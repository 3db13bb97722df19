// SPDX-License-Identifier: Apache-2.0
// The vocabulary of generic/vec_generic.h for NEON (AArch64): 4 lanes, 32 registers.
#ifndef BNR_KERNELS_VEC_NEON_H
#define BNR_KERNELS_VEC_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define VW 4
typedef float32x4_t vf;
typedef uint32x4_t vm;

static inline vf v_load(const float *p) {
    return vld1q_f32(p);
}

static inline void v_store(float *p, vf v) {
    vst1q_f32(p, v);
}

static inline vf v_load_n(const float *p, int n) {
    vf v = vdupq_n_f32(0);
    if (n >= 4)
        return vld1q_f32(p);
    if (n > 0)
        v = vld1q_lane_f32(p, v, 0);
    if (n > 1)
        v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2)
        v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}

static inline void v_store_n(float *p, vf v, int n) {
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    if (n & 2) {
        vst1_f32(p, vget_low_f32(v));
        if (n & 1)
            vst1q_lane_f32(p + 2, v, 2);
    } else if (n & 1) {
        vst1q_lane_f32(p, v, 0);
    }
}

static inline vf v_load_range(const float *p, int first, int last, vf other) {
    float lanes[4];
    if (first <= 0 && last >= 4)
        return vld1q_f32(p);
    vst1q_f32(lanes, other);
    for (int i = first; i < last; i++)
        lanes[i] = p[i];
    return vld1q_f32(lanes);
}

static inline vf v_load2_range(const float *p, int first, int last, vf other) {
    float lanes[4];
    vst1q_f32(lanes, other);
    for (int i = first; i < last; i++)
        lanes[i] = p[2 * i];
    return vld1q_f32(lanes);
}

static inline void v_transpose(vf r[VW]) {
    const float32x4x2_t a = vzipq_f32(r[0], r[2]), b = vzipq_f32(r[1], r[3]);
    const float32x4x2_t low = vzipq_f32(a.val[0], b.val[0]), high = vzipq_f32(a.val[1], b.val[1]);
    r[0] = low.val[0];
    r[1] = low.val[1];
    r[2] = high.val[0];
    r[3] = high.val[1];
}

typedef float64x2_t vd;

static inline vd v_low_f64(vf v) {
    return vcvt_f64_f32(vget_low_f32(v));
}

static inline vd v_high_f64(vf v) {
    return vcvt_high_f64_f32(v);
}

static inline vf v_from_f64(vd low, vd high) {
    return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
}

static inline vf v_set1(float x) {
    return vdupq_n_f32(x);
}

static inline vf v_add(vf a, vf b) {
    return vaddq_f32(a, b);
}

static inline vf v_sub(vf a, vf b) {
    return vsubq_f32(a, b);
}

static inline vf v_mul(vf a, vf b) {
    return vmulq_f32(a, b);
}

static inline vf v_div(vf a, vf b) {
    return vdivq_f32(a, b);
}

static inline vf v_sqrt(vf a) {
    return vsqrtq_f32(a);
}

static inline vf v_fma(vf a, vf b, vf c) {
    return vfmaq_f32(c, a, b);
}

static inline vf v_fnma(vf a, vf b, vf c) {
    return vfmsq_f32(c, a, b);
}

static inline vm v_lt(vf a, vf b) {
    return vcltq_f32(a, b);
}

static inline vf v_select(vm m, vf a, vf b) {
    return vbslq_f32(m, a, b);
}

// The machine's own vmaxq_f32 gives NaN where either is one: not what the word means.
static inline vf v_max(vf a, vf b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vf v_min(vf a, vf b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline vf v_abs(vf a) {
    return vabsq_f32(a);
}

static inline vf v_copysign(vf a, vf s) {
    return vbslq_f32(vdupq_n_u32(0x80000000u), s, a);
}

static inline vf v_round(vf a) {
    return vrndnq_f32(a);
}

static inline vf v_pow2_int(int32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

static inline vf v_scale2(vf a, vf n) {
    const int32x4_t i = vcvtnq_s32_f32(n), half = vshrq_n_s32(i, 1);
    return v_mul(v_mul(a, v_pow2_int(half)), v_pow2_int(vsubq_s32(i, half)));
}

static inline float v_sum(vf a) {
    const float32x2_t s = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(s, 0) + vget_lane_f32(s, 1);
}

#endif
