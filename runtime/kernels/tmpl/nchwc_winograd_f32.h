// SPDX-License-Identifier: Apache-2.0
// Template: Winograd's transforms on the vectors of the file that includes it. Needs ISA(name),
// ISA_NAME.
//
// With N(x) the product of x - p over the finite points p, the input's transform has a row for each
// point: the coefficients of N(x) / (x - p), for infinity those of N(x). The kernel's has
// (1, p, p^2) / N'(p), the output's the columns (1, p, p^2, ...). Points come in pairs +-p, whose
// rows differ in the sign of their odd part.
#include "runtime/kernels/nchwc_winograd_f32.h"

#include "runtime/base/compiler.h"

// m = 2: 0, +-1
BNR_INLINE void input_line_2(const vf *d, vf *r) {
    r[0] = v_sub(d[2], d[0]);
    r[1] = v_add(d[2], d[1]);
    r[2] = v_sub(d[2], d[1]);
    r[3] = v_sub(d[3], d[1]);
}

BNR_INLINE void output_line_2(const vf *p, vf *y) {
    y[0] = v_add(p[0], v_add(p[1], p[2]));
    y[1] = v_add(v_sub(p[1], p[2]), p[3]);
}

static const double points_2[] = {0, 1, -1};

// m = 4: 0, +-A, +-B
#define A 0.625f
#define B 1.5f
#define A2 (A * A)
#define B2 (B * B)

BNR_INLINE void input_line_4(const vf *d, vf *r) {
    const vf a = v_set1(A), b = v_set1(B), a2 = v_set1(A2), b2 = v_set1(B2);
    const vf sum = v_set1(A2 + B2), product = v_set1(A2 * B2);
    r[0] = v_fma(product, d[0], v_fnma(sum, d[2], d[4]));
    const vf even_a = v_fnma(b2, d[2], d[4]), odd_a = v_fnma(b2, d[1], d[3]);
    r[1] = v_fma(a, odd_a, even_a);
    r[2] = v_fnma(a, odd_a, even_a);
    const vf even_b = v_fnma(a2, d[2], d[4]), odd_b = v_fnma(a2, d[1], d[3]);
    r[3] = v_fma(b, odd_b, even_b);
    r[4] = v_fnma(b, odd_b, even_b);
    r[5] = v_fma(product, d[1], v_fnma(sum, d[3], d[5]));
}

BNR_INLINE void output_line_4(const vf *p, vf *y) {
    const vf sum_a = v_add(p[1], p[2]), dif_a = v_sub(p[1], p[2]);
    const vf sum_b = v_add(p[3], p[4]), dif_b = v_sub(p[3], p[4]);
    y[0] = v_add(p[0], v_add(sum_a, sum_b));
    y[1] = v_fma(v_set1(B), dif_b, v_mul(v_set1(A), dif_a));
    y[2] = v_fma(v_set1(B2), sum_b, v_mul(v_set1(A2), sum_a));
    y[3] = v_fma(v_set1(B2 * B), dif_b, v_fma(v_set1(A2 * A), dif_a, p[5]));
}

static const double points_4[] = {0, A, -A, B, -B};

// m = 6: 0, +-1/2, +-1, +-2
BNR_INLINE void input_line_6(const vf *d, vf *r) {
    const vf half = v_set1(0.5f), two = v_set1(2), q5 = v_set1(5), q425 = v_set1(4.25f);
    const vf q525 = v_set1(5.25f), q125 = v_set1(1.25f), quarter = v_set1(0.25f), four = v_set1(4);
    // (x^2 - 1/4)(x^2 - 1)(x^2 - 4) = x^6 - 5.25 x^4 + 5.25 x^2 - 1
    r[0] = v_fma(q525, v_sub(d[2], d[4]), v_sub(d[6], d[0]));
    r[7] = v_fma(q525, v_sub(d[3], d[5]), v_sub(d[7], d[1]));
    // +-1/2: (x^2 - 1)(x^2 - 4) = x^4 - 5 x^2 + 4
    vf even = v_fma(four, d[2], v_fnma(q5, d[4], d[6]));
    vf odd = v_fma(four, d[1], v_fnma(q5, d[3], d[5]));
    r[1] = v_fma(half, odd, even);
    r[2] = v_fnma(half, odd, even);
    // +-1: (x^2 - 1/4)(x^2 - 4) = x^4 - 4.25 x^2 + 1
    even = v_fnma(q425, d[4], v_add(d[6], d[2]));
    odd = v_fnma(q425, d[3], v_add(d[5], d[1]));
    r[3] = v_add(even, odd);
    r[4] = v_sub(even, odd);
    // +-2: (x^2 - 1/4)(x^2 - 1) = x^4 - 1.25 x^2 + 1/4
    even = v_fma(quarter, d[2], v_fnma(q125, d[4], d[6]));
    odd = v_fma(quarter, d[1], v_fnma(q125, d[3], d[5]));
    r[5] = v_fma(two, odd, even);
    r[6] = v_fnma(two, odd, even);
}

BNR_INLINE void output_line_6(const vf *p, vf *y) {
    const vf sum_a = v_add(p[1], p[2]), dif_a = v_sub(p[1], p[2]); // of +-1/2
    const vf sum_b = v_add(p[3], p[4]), dif_b = v_sub(p[3], p[4]); // of +-1
    const vf sum_c = v_add(p[5], p[6]), dif_c = v_sub(p[5], p[6]); // of +-2
    y[0] = v_add(v_add(p[0], sum_a), v_add(sum_b, sum_c));
    y[1] = v_fma(v_set1(2), dif_c, v_fma(v_set1(0.5f), dif_a, dif_b));
    y[2] = v_fma(v_set1(4), sum_c, v_fma(v_set1(0.25f), sum_a, sum_b));
    y[3] = v_fma(v_set1(8), dif_c, v_fma(v_set1(0.125f), dif_a, dif_b));
    y[4] = v_fma(v_set1(16), sum_c, v_fma(v_set1(0.0625f), sum_a, sum_b));
    y[5] = v_fma(v_set1(32), dif_c, v_fma(v_set1(0.03125f), dif_a, v_add(dif_b, p[7])));
}

static const double points_6[] = {0, 0.5, -0.5, 1, -1, 2, -2};

// ---- in two dimensions
// ------------------------------------------------------------------------------

BNR_INLINE void finish_line(const struct bnr_winograd_output *t, vf *y, int row, const int m) {
    if (t->bias) {
        const vf bias = v_load_n(t->bias, t->bias_lanes);
        BNR_UNROLL
        for (int j = 0; j < m; j++)
            y[j] = v_add(y[j], bias);
    }
    const size_t at = (size_t)row * t->dst_row;
    if (t->residual) {
        BNR_UNROLL
        for (int j = 0; j < m; j++) {
            if (j < t->cols)
                y[j] = v_add(y[j], v_load(t->residual + at + j * VW));
        }
    }
    if (t->clamp) {
        const vf lo = v_set1(t->lo), hi = v_set1(t->hi);
        BNR_UNROLL
        for (int j = 0; j < m; j++)
            y[j] = v_min(hi, v_max(lo, y[j]));
    }
    BNR_UNROLL
    for (int j = 0; j < m; j++) {
        if (j < t->cols)
            v_store(t->dst + at + j * VW, y[j]);
    }
}

#define WINOGRAD(m, unroll)                                                                        \
    static void input_##m(const struct bnr_winograd_input *t) {                                    \
        enum { N = m + 2 };                                                                        \
        const float *src = t->src;                                                                 \
        float *dst = t->dst;                                                                       \
        for (size_t n = t->tiles; n > 0; n--, src += m * VW, dst += VW) {                          \
            vf half[N][N];                                                                         \
            unroll for (int j = 0; j < N; j++) {                                                   \
                vf d[N], r[N];                                                                     \
                BNR_UNROLL                                                                         \
                for (int i = 0; i < N; i++)                                                        \
                    d[i] = v_load(src + (size_t)i * t->src_row + j * VW);                          \
                input_line_##m(d, r);                                                              \
                BNR_UNROLL                                                                         \
                for (int i = 0; i < N; i++)                                                        \
                    half[i][j] = r[i];                                                             \
            }                                                                                      \
            unroll for (int i = 0; i < N; i++) {                                                   \
                vf r[N];                                                                           \
                input_line_##m(half[i], r);                                                        \
                BNR_UNROLL                                                                         \
                for (int j = 0; j < N; j++)                                                        \
                    v_store(dst + (size_t)(i * N + j) * t->dst_point, r[j]);                       \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void output_##m(const struct bnr_winograd_output *t) {                                  \
        enum { N = m + 2 };                                                                        \
        vf half[m][N];                                                                             \
        unroll for (int j = 0; j < N; j++) {                                                       \
            vf p[N], y[m];                                                                         \
            BNR_UNROLL                                                                             \
            for (int i = 0; i < N; i++)                                                            \
                p[i] = v_load(t->src + (size_t)(i * N + j) * t->src_point);                        \
            output_line_##m(p, y);                                                                 \
            BNR_UNROLL                                                                             \
            for (int i = 0; i < m; i++)                                                            \
                half[i][j] = y[i];                                                                 \
        }                                                                                          \
        for (int i = 0; i < t->rows; i++) {                                                        \
            vf y[m];                                                                               \
            output_line_##m(half[i], y);                                                           \
            finish_line(t, y, i, m);                                                               \
        }                                                                                          \
    }                                                                                              \
    static void weights_##m(const struct bnr_winograd_weights *t) {                                \
        weights(t, points_##m, m + 2);                                                             \
    }

// Lanes first .. of a row of the kernel's transform: (1, p, p^2) / N'(p), or (0, 0, 1).
static void weights_row(const double *points, int n, int i, double row[3]) {
    double d = 1;
    row[0] = row[1] = 0;
    row[2] = 1;
    if (i == n - 1)
        return;
    for (int j = 0; j < n - 1; j++)
        d *= j == i ? 1 : points[i] - points[j];
    row[0] = 1 / d;
    row[1] = points[i] / d;
    row[2] = points[i] * points[i] / d;
}

static void weights(const struct bnr_winograd_weights *t, const double *points, int n) {
    double g[9][VW] = {{0}}, half[3][VW], rows[8][3];
    for (int l = 0; l < t->lanes; l++) {
        for (int k = 0; k < 9; k++)
            g[k][l] = (double)t->src[(size_t)l * t->src_lane + (size_t)k];
    }
    for (int i = 0; i < n; i++)
        weights_row(points, n, i, rows[i]);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < 3; k++) {
            for (int l = 0; l < VW; l++)
                half[k][l] =
                    rows[i][0] * g[k][l] + rows[i][1] * g[3 + k][l] + rows[i][2] * g[6 + k][l];
        }
        for (int j = 0; j < n; j++) {
            float *dst = t->dst + (size_t)(i * n + j) * t->dst_point;
            for (int l = 0; l < VW; l++)
                dst[l] = (float)(rows[j][0] * half[0][l] + rows[j][1] * half[1][l] +
                                 rows[j][2] * half[2][l]);
        }
    }
}

#define NOTHING
WINOGRAD(2, BNR_UNROLL)
WINOGRAD(4, BNR_UNROLL)
WINOGRAD(6, NOTHING)

#define TRANSFORMS(m)                                                                              \
    { input_##m, output_##m, weights_##m }
const struct bnr_nchwc_winograd_f32_kernels ISA(bnr__nchwc_winograd_f32) = {
    .isa = ISA_NAME, .m = {TRANSFORMS(2), TRANSFORMS(4), TRANSFORMS(6)}};
