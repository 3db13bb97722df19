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
#include "runtime/kernels/tmpl/turn.h"

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

// The same points, m = 3 and m = 2.
BNR_INLINE void output_line_3(const vf *p, vf *y) {
    const vf sum_a = v_add(p[1], p[2]), dif_a = v_sub(p[1], p[2]);
    const vf sum_b = v_add(p[3], p[4]), dif_b = v_sub(p[3], p[4]);
    y[0] = v_add(p[0], v_add(sum_a, sum_b));
    y[1] = v_fma(v_set1(B), dif_b, v_mul(v_set1(A), dif_a));
    y[2] = v_fma(v_set1(B2), sum_b, v_fma(v_set1(A2), sum_a, p[5]));
}

BNR_INLINE void output_line_2_of_6(const vf *p, vf *y) {
    y[0] = v_add(p[0], v_add(v_add(p[1], p[2]), v_add(p[3], p[4])));
    y[1] = v_fma(v_set1(B), v_sub(p[3], p[4]), v_fma(v_set1(A), v_sub(p[1], p[2]), p[5]));
}

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

// n = 10: 0, +-E, +-F, +-G, +-H. With the elementary symmetric functions of squares.
#define E 0.4375f
#define F 0.875f
#define G 1.25f
#define H 2.25f
#define SUM3(x, y, z) ((x) * (x) + (y) * (y) + (z) * (z))
#define PAIRS3(x, y, z) ((x) * (x) * (y) * (y) + (x) * (x) * (z) * (z) + (y) * (y) * (z) * (z))
#define PRODUCT3(x, y, z) ((x) * (x) * (y) * (y) * (z) * (z))

// Rows of +-p, the other points being +-x, +-y, +-z: (x^2 - X)(x^2 - Y)(x^2 - Z).
BNR_INLINE void rows_of_pair(const vf *d, float p, float x, float y, float z, vf *r) {
    const vf s1 = v_set1(SUM3(x, y, z)), s2 = v_set1(PAIRS3(x, y, z));
    const vf s3 = v_set1(PRODUCT3(x, y, z)), point = v_set1(p);
    const vf even = v_fma(s2, d[4], v_fnma(s3, d[2], v_fnma(s1, d[6], d[8])));
    const vf odd = v_fma(s2, d[3], v_fnma(s3, d[1], v_fnma(s1, d[5], d[7])));
    r[0] = v_fma(point, odd, even);
    r[1] = v_fnma(point, odd, even);
}

BNR_INLINE void input_line_8(const vf *d, vf *r) {
    const vf s1 = v_set1(SUM3(E, F, G) + H * H);
    const vf s2 = v_set1(PAIRS3(E, F, G) + H * H * SUM3(E, F, G));
    const vf s3 = v_set1(PRODUCT3(E, F, G) + H * H * PAIRS3(E, F, G));
    const vf s4 = v_set1(H * H * PRODUCT3(E, F, G));
    r[0] = v_fma(s4, d[0], v_fnma(s3, d[2], v_fma(s2, d[4], v_fnma(s1, d[6], d[8]))));
    r[9] = v_fma(s4, d[1], v_fnma(s3, d[3], v_fma(s2, d[5], v_fnma(s1, d[7], d[9]))));
    rows_of_pair(d, E, F, G, H, r + 1);
    rows_of_pair(d, F, E, G, H, r + 3);
    rows_of_pair(d, G, E, F, H, r + 5);
    rows_of_pair(d, H, E, F, G, r + 7);
}

static const double points_8[] = {0, E, -E, F, -F, G, -G, H, -H};

// ---- in two dimensions --------------------------------------------------------------------------

// m pixels, `step` from one to the next, of which the first `cols` exist.
BNR_INLINE void finish_line(const struct bnr_winograd_output *t, vf *y, size_t at, size_t step,
                            int cols, const int m) {
    if (t->bias) {
        const vf bias = v_load_n(t->bias, t->bias_lanes);
        BNR_UNROLL
        for (int j = 0; j < m; j++)
            y[j] = v_add(y[j], bias);
    }
    if (t->residual) {
        BNR_UNROLL
        for (int j = 0; j < m; j++) {
            if (j < cols)
                y[j] = v_add(y[j], v_load(t->residual + at + (size_t)j * step));
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
        if (j < cols)
            v_store(t->dst + at + (size_t)j * step, y[j]);
    }
}

#define INPUT(line, N, unroll)                                                                     \
    static void input_##line(const struct bnr_winograd_input *t) {                                 \
        const float *src = t->src;                                                                 \
        float *dst = t->dst;                                                                       \
        for (size_t n = t->tiles; n > 0; n--, src += t->src_next, dst += VW) {                     \
            vf half[N][N];                                                                         \
            unroll for (int j = 0; j < N; j++) {                                                   \
                vf d[N], r[N];                                                                     \
                BNR_UNROLL                                                                         \
                for (int i = 0; i < N; i++)                                                        \
                    d[i] = v_load(src + (size_t)i * t->src_row + j * VW);                          \
                input_line_##line(d, r);                                                           \
                BNR_UNROLL                                                                         \
                for (int i = 0; i < N; i++)                                                        \
                    half[i][j] = r[i];                                                             \
            }                                                                                      \
            unroll for (int i = 0; i < N; i++) {                                                   \
                vf r[N];                                                                           \
                input_line_##line(half[i], r);                                                     \
                BNR_UNROLL                                                                         \
                for (int j = 0; j < N; j++)                                                        \
                    v_store(dst + (size_t)(i * N + j) * t->dst_point, r[j]);                       \
            }                                                                                      \
        }                                                                                          \
    }

#define OUTPUT(line, N, m, unroll)                                                                 \
    static void output_##line(const struct bnr_winograd_output *t) {                               \
        vf half[m][N];                                                                             \
        unroll for (int j = 0; j < N; j++) {                                                       \
            vf p[N], y[m];                                                                         \
            BNR_UNROLL                                                                             \
            for (int i = 0; i < N; i++)                                                            \
                p[i] = v_load(t->src + (size_t)(i * N + j) * t->src_point);                        \
            output_line_##line(p, y);                                                              \
            BNR_UNROLL                                                                             \
            for (int i = 0; i < m; i++)                                                            \
                half[i][j] = y[i];                                                                 \
        }                                                                                          \
        for (int i = 0; i < t->rows; i++) {                                                        \
            vf y[m];                                                                               \
            output_line_##line(half[i], y);                                                        \
            finish_line(t, y, (size_t)i * t->dst_row, VW, t->cols, m);                             \
        }                                                                                          \
    }

#define WEIGHTS(name, points, N, k)                                                                \
    static bool weights_##name(const struct bnr_winograd_weights *t) {                             \
        return weights(t, points, N, k);                                                           \
    }

// A row of the kernel's transform: (1, p, p^2, ...) / N'(p), or (0, 0, ..., 1).
static void weights_row(const double *points, int n, int i, double *row, int taps) {
    double d = 1, power = 1;
    for (int j = 0; j < n - 1 && i < n - 1; j++)
        d *= j == i ? 1 : points[i] - points[j];
    for (int k = 0; k < taps; k++) {
        row[k] = i < n - 1 ? power / d : k == taps - 1;
        power *= i < n - 1 ? points[i] : 0;
    }
}

// Whose kernels are turned at a time: whole squares, however many taps, that stay in L1 (36 KiB).
enum { CHANNELS = 2 * VW };

// Channels first .. first + n - 1: [channel][tap][width].
BNR_INLINE bool load_kernels(const struct bnr_winograd_weights *t, size_t first, size_t n,
                             float *dst, const size_t taps) {
    const struct bnr_weights_turn turned = {
        .dst = dst,
        .src = t->src.w + first * taps,
        .factors = t->src.factors,
        .rows = t->rows,
        .cols = n * taps,
        .src_step = t->src_row,
        .taps = 1,
        .width = t->width,
        .dst_step = t->width,
    };
    return turn(&turned);
}

BNR_INLINE vd half_of(vf v, int high) {
    return high ? v_high_f64(v) : v_low_f64(v);
}

enum { SQUARE_MAX = 5 }; // taps of a line of a square kernel

// k taps by a row of the kernel's transform: what even and what odd ones give.
BNR_INLINE void even_and_odd(const double *row, const vd *g, vd *even, vd *odd, const int k) {
    *even = row[0] * g[0];
    *odd = row[1] * g[1];
    BNR_UNROLL
    for (int i = 2; i < k; i++) {
        if (i % 2)
            *odd += row[i] * g[i];
        else
            *even += row[i] * g[i];
    }
}

// k taps by the rows of the kernel's transform. Those of 0 and of infinity have one coefficient,
// those of +-p differ in the sign of the odd ones.
BNR_INLINE void weights_line(double (*rows)[7], const vd *g, vd *r, const int n, const int k) {
    r[0] = rows[0][0] * g[0];
    BNR_UNROLL
    for (int i = 1; i < n - 1; i += 2) {
        vd even, odd;
        even_and_odd(rows[i], g, &even, &odd, k);
        r[i] = even + odd;
        r[i + 1] = even - odd;
    }
    r[n - 1] = g[k - 1];
}

// Row `row` of the points, that of 0 or of p, and row `other`, that of infinity or of -p.
struct point_rows {
    int row, other;
    float *dst, *dst_other;
    size_t dst_point;
};

// One channel's, a vector of lanes: rows[i] x kernel x rows[j].
BNR_INLINE void weights_of_channel(const float *kernel, size_t step, const struct point_rows *p,
                                   size_t at, double (*rows)[7], const int n, const int k) {
    const double *row = rows[p->row];
    vd half[2][2][SQUARE_MAX];
    BNR_UNROLL
    for (int tap = 0; tap < k; tap++) {
        vf g[SQUARE_MAX];
        BNR_UNROLL
        for (int i = 0; i < k; i++)
            g[i] = v_load(kernel + (size_t)(k * i + tap) * step);
        BNR_UNROLL
        for (int h = 0; h < 2; h++) {
            vd column[SQUARE_MAX], even, odd;
            BNR_UNROLL
            for (int i = 0; i < k; i++)
                column[i] = half_of(g[i], h);
            half[0][h][tap] = row[0] * column[0];
            half[1][h][tap] = column[k - 1];
            if (p->row > 0) {
                even_and_odd(row, column, &even, &odd, k);
                half[0][h][tap] = even + odd;
                half[1][h][tap] = even - odd;
            }
        }
    }
    float *dst[2] = {p->dst + at, p->dst_other + at};
    BNR_UNROLL
    for (int i = 0; i < 2; i++) {
        vd low[8], high[8];
        weights_line(rows, half[i][0], low, n, k);
        weights_line(rows, half[i][1], high, n, k);
        BNR_UNROLL
        for (int j = 0; j < n; j++)
            v_store(dst[i] + (size_t)j * p->dst_point, v_from_f64(low[j], high[j]));
    }
}

// Points lie far apart, at addresses that share few sets of a cache: two rows of them at a time,
// each of which is written from end to end.
BNR_INLINE bool weights(const struct bnr_winograd_weights *t, const double *points, const int n,
                        const int k) {
    enum { TAPS = CHANNELS * 9 > CHANNELS / 2 * 25 ? CHANNELS * 9 : CHANNELS / 2 * 25 };
    float kernels[TAPS * BNR_NCHWC_NB * VW];
    const size_t most = k == 3 ? CHANNELS : CHANNELS / 2;
    bool finite = true;
    double rows[8][7];
    const size_t taps = (size_t)(k * k);
    for (int i = 0; i < n; i++)
        weights_row(points, n, i, rows[i], k);
    for (size_t first = 0, count; first < t->channels; first += count) {
        count = min_size(most, t->channels - first);
        finite &= load_kernels(t, first, count, kernels, taps);
        for (int row = 0; row < n - 1; row += row ? 2 : 1) {
            struct point_rows p = {.row = row, .other = row ? row + 1 : n - 1};
            p.dst_point = t->dst_point;
            p.dst = t->dst + first * t->dst_channel + (size_t)(p.row * n) * t->dst_point;
            p.dst_other = t->dst + first * t->dst_channel + (size_t)(p.other * n) * t->dst_point;
            for (size_t c = 0; c < count; c++) {
                for (size_t lane = 0; lane < t->width; lane += VW)
                    weights_of_channel(kernels + c * taps * t->width + lane, t->width, &p,
                                       c * t->dst_channel + lane, rows, n, k);
            }
        }
    }
    return finite;
}

// ---- in one -------------------------------------------------------------------------------------

#define INPUT_OF_LINE(n, line)                                                                     \
    static void line_input_##n(const struct bnr_winograd_input *t) {                               \
        const float *src = t->src;                                                                 \
        float *dst = t->dst;                                                                       \
        for (size_t i = t->tiles; i > 0; i--, src += t->src_next, dst += VW) {                     \
            vf d[n], r[n];                                                                         \
            BNR_UNROLL                                                                             \
            for (int j = 0; j < n; j++)                                                            \
                d[j] = v_load(src + (size_t)j * t->src_row);                                       \
            input_line_##line(d, r);                                                               \
            BNR_UNROLL                                                                             \
            for (int j = 0; j < n; j++)                                                            \
                v_store(dst + (size_t)j * t->dst_point, r[j]);                                     \
        }                                                                                          \
    }

INPUT_OF_LINE(4, 2)
INPUT_OF_LINE(6, 4)
INPUT_OF_LINE(8, 6)
INPUT_OF_LINE(10, 8)

// m pixels from n points; the columns of the output's transform are (1, p, p^2, ...).
BNR_INLINE void output_of_line(const struct bnr_winograd_output *t, const double *points,
                               const int n, const int m) {
    vf y[4];
    const vf zero = v_load(t->src), infinity = v_load(t->src + (size_t)(n - 1) * t->src_point);
    y[0] = zero;
    y[1] = m == 2 ? infinity : v_set1(0);
    y[2] = v_set1(0);
    y[3] = infinity;
    BNR_UNROLL
    for (int i = 1; i < n - 1; i += 2) {
        const float p = (float)points[i];
        const vf plus = v_load(t->src + (size_t)i * t->src_point);
        const vf minus = v_load(t->src + (size_t)(i + 1) * t->src_point);
        const vf sum = v_add(plus, minus), difference = v_sub(plus, minus);
        y[0] = v_add(y[0], sum);
        y[1] = v_fma(v_set1(p), difference, y[1]);
        y[2] = v_fma(v_set1(p * p), sum, y[2]);
        y[3] = v_fma(v_set1(p * p * p), difference, y[3]);
    }
    finish_line(t, y, 0, t->dst_row, t->rows * t->cols, m);
}

// One channel's: rows x kernel.
BNR_INLINE void line_of_channel(const float *kernel, size_t step, float *dst, size_t dst_point,
                                double (*rows)[7], const int n, const int taps) {
    vf g[7];
    BNR_UNROLL
    for (int k = 0; k < taps; k++)
        g[k] = v_load(kernel + (size_t)k * step);
    for (int i = 0; i < n; i++, dst += dst_point) {
        vd low = {0}, high = {0};
        BNR_UNROLL
        for (int k = 0; k < taps; k++) {
            low += rows[i][k] * v_low_f64(g[k]);
            high += rows[i][k] * v_high_f64(g[k]);
        }
        v_store(dst, v_from_f64(low, high));
    }
}

BNR_INLINE bool weights_of_line(const struct bnr_winograd_weights *t, const double *points,
                                const int n, const int taps) {
    bool finite = true;
    float kernels[CHANNELS * 7 * BNR_NCHWC_NB * VW];
    double rows[10][7];
    for (int i = 0; i < n; i++)
        weights_row(points, n, i, rows[i], taps);
    for (size_t first = 0, count; first < t->channels; first += count) {
        count = min_size(CHANNELS, t->channels - first);
        finite &= load_kernels(t, first, count, kernels, (size_t)taps);
        for (size_t c = 0; c < count; c++) {
            for (size_t lane = 0; lane < t->width; lane += VW)
                line_of_channel(kernels + c * (size_t)taps * t->width + lane, t->width,
                                t->dst + (first + c) * t->dst_channel + lane, t->dst_point, rows, n,
                                taps);
        }
    }
    return finite;
}

#define LINE(m, taps, n, points)                                                                   \
    static void line_output_##m##_##taps(const struct bnr_winograd_output *t) {                    \
        output_of_line(t, points, n, m);                                                           \
    }                                                                                              \
    static bool line_weights_##m##_##taps(const struct bnr_winograd_weights *t) {                  \
        return weights_of_line(t, points, n, taps);                                                \
    }

LINE(2, 3, 4, points_2)
LINE(2, 5, 6, points_4)
LINE(2, 7, 8, points_6)
LINE(4, 3, 6, points_4)
LINE(4, 5, 8, points_6)
LINE(4, 7, 10, points_8)

#define NOTHING
INPUT(2, 4, BNR_UNROLL)
INPUT(4, 6, BNR_UNROLL)
INPUT(6, 8, NOTHING)
OUTPUT(2, 4, 2, BNR_UNROLL)
OUTPUT(4, 6, 4, BNR_UNROLL)
OUTPUT(6, 8, 6, NOTHING)
OUTPUT(3, 6, 3, BNR_UNROLL)
OUTPUT(2_of_6, 6, 2, BNR_UNROLL)
WEIGHTS(2, points_2, 4, 3)
WEIGHTS(4, points_4, 6, 3)
WEIGHTS(6, points_6, 8, 3)
WEIGHTS(3, points_4, 6, 4)
WEIGHTS(2_of_6, points_4, 6, 5)

// A square of pixels and lanes at a time.
static void phase_row(const struct bnr_winograd_phase_row *p) {
    float *dst = p->dst;
    for (ptrdiff_t at = p->first, end = at + (ptrdiff_t)p->pixels; at < end; at += VW) {
        vf r[VW];
        for (int l = 0; l < VW; l++) {
            const ptrdiff_t from = at < 0 ? -at : 0, left = p->count[l] - at;
            const int to = left < VW ? (int)left : VW;
            r[l] = v_set1(0);
            if (from == 0 && to == VW)
                r[l] = v_load2_range(p->row[l] + 2 * at, 0, VW, r[l]);
            else if (from < to)
                r[l] = v_load2_range(p->row[l] + 2 * at, (int)from, to, r[l]);
        }
        v_transpose(r);
        for (int i = 0; i < VW; i++, dst += VW)
            v_store(dst, r[i]);
    }
}

#define TRANSFORMS(input, m)                                                                       \
    { input_##input, output_##m, weights_##m }
#define TRANSFORMS_OF_LINE(m, taps, n)                                                             \
    { line_input_##n, line_output_##m##_##taps, line_weights_##m##_##taps }

const struct bnr_nchwc_winograd_f32_kernels ISA(bnr__nchwc_winograd_f32) = {
    .isa = ISA_NAME,
    .kind = {TRANSFORMS(2, 2), TRANSFORMS(4, 4), TRANSFORMS(6, 6), TRANSFORMS_OF_LINE(2, 3, 4),
             TRANSFORMS_OF_LINE(2, 5, 6), TRANSFORMS_OF_LINE(2, 7, 8), TRANSFORMS_OF_LINE(4, 3, 6),
             TRANSFORMS_OF_LINE(4, 5, 8), TRANSFORMS_OF_LINE(4, 7, 10), TRANSFORMS(4, 3),
             TRANSFORMS(4, 2_of_6)},
    .phase_row = phase_row};
