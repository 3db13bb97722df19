// SPDX-License-Identifier: Apache-2.0
// Vectors of float32 for the kernel templates in ../tmpl: one vocabulary, defined once per
// instruction set (generic here, x86/vec_avx2.h, x86/vec_avx512.h). This is the portable one, on
// the compiler's own vectors, and the place where the words are explained. VW: lanes. vf: VW
// floats. vm: one truth value a lane. Loads and stores need no alignment and touch only the lanes
// that they name.
#ifndef BNR_KERNELS_VEC_GENERIC_H
#define BNR_KERNELS_VEC_GENERIC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VW 4
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vm __attribute__((vector_size(16)));

static inline vf v_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void v_store(float *p, vf v) {
    memcpy(p, &v, sizeof v);
}

// Lanes 0 .. n - 1, 0 <= n <= VW; the others are 0. Like v_load from any address.
static inline vf v_load_n(const float *p, int n) {
    vf v = {0};
    for (int i = 0; i < n; i++) {
        float lane;
        memcpy(&lane, p + i, sizeof lane);
        v[i] = lane;
    }
    return v;
}

static inline void v_store_n(float *p, vf v, int n) {
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}

// Lanes first .. last - 1 from p[lane] (p[lane * 2]); the others from `other`.
static inline vf v_load_range(const float *p, int first, int last, vf other) {
    for (int i = first; i < last; i++)
        other[i] = p[i];
    return other;
}

static inline vf v_load2_range(const float *p, int first, int last, vf other) {
    for (int i = first; i < last; i++)
        other[i] = p[2 * i];
    return other;
}

// Lane i: v[index[i]].
static inline vf v_lookup(vf v, const int32_t *index) {
    vf out = v;
    for (int i = 0; i < VW; i++)
        out[i] = v[index[i]];
    return out;
}

// VW vectors as a square: lane k of r[i] and lane i of r[k] change places.
static inline void v_transpose(vf r[VW]) {
    const vf a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    const vf b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    const vf c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    const vf d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

// Half of the lanes in double; both halves, rounded. vd knows the operators of C.
typedef double vd __attribute__((vector_size(16)));

static inline vd v_low_f64(vf v) {
    return (vd){(double)v[0], (double)v[1]};
}

static inline vd v_high_f64(vf v) {
    return (vd){(double)v[2], (double)v[3]};
}

static inline vf v_from_f64(vd low, vd high) {
    return (vf){(float)low[0], (float)low[1], (float)high[0], (float)high[1]};
}

static inline vf v_set1(float x) {
    return (vf){x, x, x, x};
}

static inline vf v_add(vf a, vf b) {
    return a + b;
}

static inline vf v_sub(vf a, vf b) {
    return a - b;
}

static inline vf v_mul(vf a, vf b) {
    return a * b;
}

static inline vf v_div(vf a, vf b) {
    return a / b;
}

static inline vf v_sqrt(vf a) {
    for (int i = 0; i < VW; i++)
        a[i] = sqrtf(a[i]);
    return a;
}

// a * b + c and c - a * b; rounded once where the instruction set can.
static inline vf v_fma(vf a, vf b, vf c) {
    return a * b + c;
}

static inline vf v_fnma(vf a, vf b, vf c) {
    return c - a * b;
}

static inline vm v_lt(vf a, vf b) {
    return a < b;
}

// m ? a : b
static inline vf v_select(vm m, vf a, vf b) {
    return (vf)(((vm)a & m) | ((vm)b & ~m));
}

// As the x86 instructions: b where either is NaN. So a NaN in b goes through.
static inline vf v_max(vf a, vf b) {
    return v_select(a > b, a, b);
}

static inline vf v_min(vf a, vf b) {
    return v_select(a < b, a, b);
}

static inline vf v_abs(vf a) {
    return (vf)((vm)a & INT32_MAX);
}

// |a| with the sign of s.
static inline vf v_copysign(vf a, vf s) {
    return (vf)(((vm)a & INT32_MAX) | ((vm)s & INT32_MIN));
}

// To the nearest integer, ties to even, for |a| < 2^22.
static inline vf v_round(vf a) {
    const vf magic = v_set1(12582912.0f); // 1.5 * 2^23: the sum has no fraction bits left
    return (a + magic) - magic;
}

static inline vf v_pow2_int(vm n) {
    return (vf)((n + 127) << 23);
}

// a * 2^n for integral n, |n| <= 252; in two steps, so that results in the subnormal range round
// once.
static inline vf v_scale2(vf a, vf n) {
    vm i;
    for (int k = 0; k < VW; k++)
        i[k] = n[k] == n[k] ? (int32_t)n[k] : 0;
    const vm half = i >> 1;
    return a * v_pow2_int(half) * v_pow2_int(i - half);
}

static inline float v_sum(vf a) {
    return (a[0] + a[2]) + (a[1] + a[3]);
}

#endif
