// SPDX-License-Identifier: Apache-2.0
// Template: exp, sigmoid, tanh, erf and gelu on the vectors of the file that includes it. The
// polynomials are minimax fits of the relative error of the result, each coefficient rounded to
// float with the later ones refitted; the bound of each is given as a power of two, beside which
// the rounding of the last few operations counts. tests/kernels measures the sum in ulp.
#ifndef BNR_KERNELS_MATH_F32_H
#define BNR_KERNELS_MATH_F32_H

#include "runtime/base/compiler.h"

BNR_INLINE vf v_poly(vf x, const float *c,
                     const int n) { // c[0] + c[1] x + ... + c[n - 1] x^(n - 1)
    vf y = v_set1(c[n - 1]);
    BNR_UNROLL
    for (int i = n - 2; i >= 0; i--)
        y = v_fma(y, x, v_set1(c[i]));
    return y;
}

// e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln(2) / 2.
BNR_INLINE vf v_exp(vf x) {
    // (e^r - 1 - r) / r^2, 2^-28.2.
    static const float c[] = {0.49999994f, 0.166665167f, 0.0416681059f, 0.00836913101f,
                              0.00138364302f};
    // Beyond these the result is 0 (below half the smallest subnormal) or +Inf.
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    const vf n = v_round(v_mul(x, v_set1(1.44269504f)));
    // ln 2 in two parts, the first short enough for an exact product with n.
    vf r = v_fnma(n, v_set1(0.693359375f), x);
    r = v_fnma(n, v_set1(-2.12194440e-4f), r);
    const vf p = v_fma(v_mul(r, r), v_poly(r, c, 5), r);
    return v_scale2(v_add(v_set1(1), p), n);
}

BNR_INLINE vf v_sigmoid(vf x) {
    // e^-|x| cannot overflow; 1 / (1 + e) for x >= 0 and e / (1 + e) below.
    const vf e = v_exp(v_sub(v_set1(0), v_abs(x)));
    return v_div(v_select(v_lt(x, v_set1(0)), e, v_set1(1)), v_add(v_set1(1), e));
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
    const vf half = v_mul(x, v_set1(0.5f));
    return v_fma(half, v_erf(v_mul(x, v_set1(0.707106781f))), half);
}

BNR_INLINE vf v_gelu_tanh(vf x) {
    const vf half = v_mul(x, v_set1(0.5f));
    const vf inner = v_fma(v_mul(v_mul(x, x), x), v_set1(0.044715f), x);
    return v_fma(half, v_tanh(v_mul(inner, v_set1(0.797884561f))), half);
}

#endif
