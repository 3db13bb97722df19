// SPDX-License-Identifier: Apache-2.0
// Template: exp, sigmoid, tanh, erf, gelu and others on the vectors of the file that includes it.
// The polynomials are minimax fits of the relative error of the result, each coefficient rounded to
// float with the later ones refitted; the bound of each is given as a power of two, beside which
// the rounding of the last few operations counts. tests/kernels measures the sum in ulp.
#ifndef BNR_KERNELS_MATH_F32_H
#define BNR_KERNELS_MATH_F32_H

#include <math.h>
#include <stdbool.h>

#include "runtime/base/compiler.h"

BNR_INLINE vf v_poly(vf x, const float *c,
                     const int n) { // c[0] + c[1] x + ... + c[n - 1] x^(n - 1)
    vf y = v_set1(c[n - 1]);
    BNR_UNROLL
    for (int i = n - 2; i >= 0; i--)
        y = v_fma(y, x, v_set1(c[i]));
    return y;
}

// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2, 2^-28.2.
static const float exp_rest[] = {0.49999994f, 0.166665167f, 0.0416681059f, 0.00836913101f,
                                 0.00138364302f};

// e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln(2) / 2: e^r - 1, and n.
BNR_INLINE vf v_exp_parts(vf x, vf *n) {
    // Beyond these the result is 0 (below half the smallest subnormal) or +Inf.
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    *n = v_round(v_mul(x, v_set1(1.44269504f)));
    // ln 2 in two parts, the first short enough for an exact product with n.
    vf r = v_fnma(*n, v_set1(0.693359375f), x);
    r = v_fnma(*n, v_set1(-2.12194440e-4f), r);
    return v_fma(v_mul(r, r), v_poly(r, exp_rest, 5), r);
}

BNR_INLINE vf v_exp(vf x) {
    vf n;
    const vf p = v_exp_parts(x, &n);
    return v_scale2(v_add(v_set1(1), p), n);
}

// e^x - 1 = (2^n - 1) + 2^n (e^r - 1).
BNR_INLINE vf v_expm1(vf x) {
    vf n;
    const vf p = v_exp_parts(x, &n);
    return v_add(v_sub(v_scale2(v_set1(1), n), v_set1(1)), v_scale2(p, n));
}

// For 0 <= x <= 1, by 2 atanh(x / (2 + x)).
BNR_INLINE vf v_log1p(vf x) {
    // (2 atanh(s) - 2 s) / s^3 in s^2 for s <= 1 / 3, 2^-33 of the result.
    static const float c[] = {0.666666746f, 0.399989486f, 0.286152095f, 0.214439496f, 0.242449194f};
    const vf s = v_div(x, v_add(v_set1(2), x)), square = v_mul(s, s);
    return v_fma(v_mul(square, s), v_poly(square, c, 5), v_add(s, s));
}

BNR_INLINE vf v_softplus(vf x) {
    const vf e = v_exp(v_sub(v_set1(0), v_abs(x)));
    return v_add(v_max(v_set1(0), x), v_log1p(e));
}

// tanh(log(1 + e^x)) = (e^2x + 2 e^x) / (e^2x + 2 e^x + 2), for x >= 0 divided by e^2x.
BNR_INLINE vf v_mish(vf x) {
    const vf e = v_exp(v_sub(v_set1(0), v_abs(x))), two = v_set1(2), twice = v_add(e, e);
    const vm below = v_lt(x, v_set1(0));
    const vf top = v_select(below, v_fma(e, e, twice), v_add(v_set1(1), twice));
    const vf rest = v_select(below, two, v_mul(twice, e));
    return v_mul(x, v_div(top, v_add(top, rest)));
}

// To the nearest integer, ties to even, for any float; the sign of zero stays.
BNR_INLINE vf v_nearest(vf x) {
    const vf a = v_abs(x), magic = v_set1(0x1p23f); // from here on there are no fractions
    return v_select(v_lt(a, magic), v_copysign(v_sub(v_add(a, magic), magic), x), x);
}

BNR_INLINE vf v_floor(vf x) {
    const vf n = v_nearest(x);
    return v_select(v_lt(x, n), v_sub(n, v_set1(1)), n);
}

BNR_INLINE vf v_ceil(vf x) {
    const vf n = v_nearest(x);
    // -1 + 1 is -0, as x is negative there.
    return v_select(v_lt(n, x), v_copysign(v_add(n, v_set1(1)), x), n);
}

// sin(x) of which `quarters` quarters of a turn are left out, |x| <= 8192.
BNR_INLINE vf v_sin_quarters(vf x, vf quarters) {
    // (sin(r) - r) / r^3 and (cos(r) - 1 + r^2 / 2) / r^4 in r^2 for |r| <= pi / 4, 2^-32.
    static const float s[] = {-0.166666672f, 0.00833337847f, -0.000198525711f, 2.82651376e-06f};
    static const float c[] = {0.0416666456f, -0.00138872978f, 2.44300882e-05f};
    const vf n = v_nearest(v_mul(x, v_set1(0.636619772f)));
    // pi / 2 in parts that are short enough for exact products with n.
    vf r = v_fnma(n, v_set1(1.5703125f), x);
    r = v_fnma(n, v_set1(4.83751297e-4f), r);
    r = v_fnma(n, v_set1(7.54953362e-8f), r);
    r = v_fnma(n, v_set1(2.56334406e-12f), r);
    const vf square = v_mul(r, r), k = v_add(n, quarters);
    const vf turn = v_sub(k, v_mul(v_set1(4), v_floor(v_mul(k, v_set1(0.25f))))); // 0 .. 3
    const vf half = v_sub(turn, v_mul(v_set1(2), v_floor(v_mul(turn, v_set1(0.5f)))));
    const vf sine = v_fma(v_mul(square, r), v_poly(square, s, 4), r);
    const vf cosine =
        v_fma(v_mul(square, square), v_poly(square, c, 3), v_fnma(square, v_set1(0.5f), v_set1(1)));
    const vf y = v_select(v_lt(v_set1(0.5f), half), cosine, sine);
    return v_select(v_lt(v_set1(1.5f), turn), v_sub(v_set1(0), y), y);
}

// Arguments that are too large go to the C library, one by one.
BNR_INLINE vf v_sin_or_cos(vf x, const bool cosine) {
    const vm large = v_lt(v_set1(8192), v_abs(x));
    vf y = v_sin_quarters(x, v_set1(cosine ? 1 : 0));
    if (v_sum(v_select(large, v_set1(1), v_set1(0))) > 0) {
        float xs[VW], ys[VW];
        v_store(xs, x);
        v_store(ys, y);
        for (int i = 0; i < VW; i++)
            if (fabsf(xs[i]) > 8192)
                ys[i] = cosine ? cosf(xs[i]) : sinf(xs[i]);
        y = v_load(ys);
    }
    return y;
}

// asin(s) for 0 <= s <= 1 / 2.
BNR_INLINE vf v_asin_small(vf s) {
    // (asin(s) - s) / s^3 in s^2, 2^-27.6.
    static const float c[] = {0.166667521f, 0.0749530941f, 0.0454691499f, 0.0241847783f,
                              0.0421583056f};
    const vf square = v_mul(s, s);
    return v_fma(v_mul(square, s), v_poly(square, c, 5), s);
}

// asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2)), which is small near 1. pi / 2 is two floats.
BNR_INLINE vf v_asin(vf x) {
    const vf a = v_abs(x), high = v_set1(1.57079637f), low = v_set1(-4.37113883e-8f);
    const vm large = v_lt(v_set1(0.5f), a);
    const vf root = v_sqrt(v_mul(v_set1(0.5f), v_sub(v_set1(1), a)));
    const vf p = v_asin_small(v_select(large, root, a));
    return v_copysign(v_select(large, v_add(v_sub(high, v_add(p, p)), low), p), x);
}

BNR_INLINE vf v_acos(vf x) {
    const vf a = v_abs(x), high = v_set1(1.57079637f), low = v_set1(-4.37113883e-8f);
    const vm large = v_lt(v_set1(0.5f), a);
    const vf root = v_sqrt(v_mul(v_set1(0.5f), v_sub(v_set1(1), a)));
    const vf p = v_asin_small(v_select(large, root, a)), twice = v_add(p, p);
    const vf far = v_select(v_lt(x, v_set1(0)),
                            v_add(v_sub(v_add(high, high), twice), v_add(low, low)), twice);
    return v_select(large, far, v_add(v_sub(high, v_copysign(p, x)), low));
}

// atan(x) = pi / 2 - atan(1 / x) beyond 1.
BNR_INLINE vf v_atan(vf x) {
    // (atan(x) - x) / x^3 in x^2 for |x| <= 1, 2^-28.5.
    static const float c[] = {-0.333332986f,  0.19998534f,    -0.142641023f,
                              0.109515063f,   -0.0840158165f, 0.0579272285f,
                              -0.0311489366f, 0.0108996965f,  -0.00179040583f};
    const vf a = v_abs(x), high = v_set1(1.57079637f), low = v_set1(-4.37113883e-8f);
    const vm large = v_lt(v_set1(1), a);
    const vf t = v_select(large, v_div(v_set1(1), a), a), square = v_mul(t, t);
    const vf p = v_fma(v_mul(square, t), v_poly(square, c, 9), t);
    return v_copysign(v_select(large, v_add(v_sub(high, p), low), p), x);
}

// e^-|x| cannot overflow; 1 / (1 + e) for x >= 0 and e / (1 + e) below. This is v_exp for such
// arguments in as few instructions as it takes, which is what activations of whole networks wait
// for.
BNR_INLINE vf v_sigmoid(vf x) {
    const vf one = v_set1(1), magic = v_set1(0x1.8p23f); // rounds what is added to it
    const vf a = v_max(v_set1(-104.0f), v_copysign(x, v_set1(-1)));
    const vf n = v_sub(v_fma(a, v_set1(1.44269504f), magic), magic);
    vf r = v_fnma(n, v_set1(0.693359375f), a);
    r = v_fnma(n, v_set1(-2.12194440e-4f), r);
    const vf p = v_fma(v_fma(v_poly(r, exp_rest, 5), r, one), r, one);
    const vf e = v_scale2(p, n);
    return v_div(v_select(v_lt(x, v_set1(0)), e, one), v_add(one, e));
}

BNR_INLINE vf v_tanh(vf x) {
    // (tanh(x) - x) / x^3 in x^2 for |x| <= 0.625, 2^-27.7.
    static const float c[] = {-0.333332807f, 0.133314058f, -0.0537365153f, 0.0206281673f,
                              -0.0056922962f};
    const vf a = v_abs(x), square = v_mul(x, x);
    const vf small = v_fma(v_mul(square, x), v_poly(square, c, 5), x);
    const vf e = v_exp(v_add(a, a));
    const vf large = v_sub(v_set1(1), v_div(v_set1(2), v_add(e, v_set1(1))));
    return v_select(v_lt(a, v_set1(0.625f)), small, v_copysign(large, x));
}

BNR_INLINE vf v_erf(vf x) {
    // erf(x) / x - 1 in x^2 for |x| <= 0.9, 2^-26.
    static const float c[] = {0.128379151f,  -0.376125038f,  0.112819217f,
                              -0.026770493f, 0.00499895914f, -0.000602079963f};
    // -log(erfc(x)) for 0.9 <= x <= 3.94, 2^-29 of the result; from 3.93 on erf rounds to 1.
    static const float q[] = {0.000166458645f, 1.12779725f,    0.636975944f,    0.104113981f,
                              -0.0223154873f,  0.00306560495f, -0.000198237743f};
    const vf a = v_min(v_set1(3.94f), v_abs(x)), square = v_mul(x, x);
    const vf small = v_fma(x, v_poly(square, c, 6), x);
    const vf large = v_sub(v_set1(1), v_exp(v_sub(v_set1(0), v_poly(a, q, 7))));
    return v_select(v_lt(a, v_set1(0.9f)), small, v_copysign(large, x));
}

BNR_INLINE vf v_gelu(vf x) {
    // (P(x) - 1/2) / x, P the normal distribution's function, in 2 (x / 5.1)^2 - 1 for |x| <= 5.1;
    // 2^-24.4 / |x|, absolute. Beyond, P is 0 or 1 within 2^-22.4, and what the formula gives is
    // past it.
    static const float c[] = {0.138605326f,    -0.0690034479f,  0.0507788286f,  -0.0402103886f,
                              0.0317765139f,   -0.0241107196f,  0.0171490144f,  -0.0115898894f,
                              0.00759382034f,  -0.00416353438f, 0.00163257297f, -0.00102217507f,
                              0.000954517222f, -0.000351265073f};
    const vf half = v_set1(0.5f), square = v_min(v_set1(26.01f), v_mul(x, x));
    const vf p = v_mul(x, v_poly(v_fma(square, v_set1(0.0768935f), v_set1(-1)), c, 14));
    return v_mul(x, v_add(v_min(half, v_max(v_set1(-0.5f), p)), half));
}

BNR_INLINE vf v_gelu_tanh(vf x) {
    const vf half = v_mul(x, v_set1(0.5f));
    const vf inner = v_fma(v_mul(v_mul(x, x), x), v_set1(0.044715f), x);
    return v_fma(half, v_tanh(v_mul(inner, v_set1(0.797884561f))), half);
}

#endif
