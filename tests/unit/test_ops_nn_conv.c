// SPDX-License-Identifier: Apache-2.0
// Conv, ConvTranspose, MatMul and Gemm against index formulas, and what they must refuse.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

// ---- Conv: y[n,m,o] = b[m] + sum over c, k of w[m,c,k] * x[n, c, o * stride + k * dilation - pad]

struct conv2d {
    int64_t n, c, h, w, m, kh, kw, group;
    int64_t stride[2], dilation[2], pads[4];
};

static double conv2d_at(const struct conv2d *p, const struct ops_test *t, int64_t n, int64_t m,
                        int64_t oh, int64_t ow) {
    const int64_t per = p->c / p->group, g = m / (p->m / p->group);
    double sum = t->n_in > 2 ? ops_test_x(t, 2, (size_t)m) : 0;
    for (int64_t c = 0; c < per; c++)
        for (int64_t i = 0; i < p->kh; i++)
            for (int64_t j = 0; j < p->kw; j++) {
                const int64_t h = oh * p->stride[0] + i * p->dilation[0] - p->pads[0];
                const int64_t w = ow * p->stride[1] + j * p->dilation[1] - p->pads[1];
                if (h < 0 || h >= p->h || w < 0 || w >= p->w)
                    continue;
                sum += ops_test_x(t, 1, (size_t)(((m * per + c) * p->kh + i) * p->kw + j)) *
                       ops_test_x(t, 0, (size_t)(((n * p->c + g * per + c) * p->h + h) * p->w + w));
            }
    return sum;
}

static void run_conv2d(const struct conv2d *p, enum bnr_dtype dtype, bool bias, double tolerance) {
    struct ops_test t;
    ops_test_begin(&t, "Conv", 22, 1);
    t.dtype = dtype;
    ops_test_in(&t, DIMS(p->n, p->c, p->h, p->w), NULL);
    ops_test_in(&t, DIMS(p->m, p->c / p->group, p->kh, p->kw), NULL);
    if (bias)
        ops_test_in(&t, DIMS(p->m), NULL);
    bnr__node_set_attr_ints(t.node, "strides", p->stride, 2);
    bnr__node_set_attr_ints(t.node, "dilations", p->dilation, 2);
    bnr__node_set_attr_ints(t.node, "pads", p->pads, 4);
    bnr__node_set_attr_int(t.node, "group", p->group);
    ops_test_ok(&t);
    const int64_t oh =
        (p->h + p->pads[0] + p->pads[2] - (p->kh - 1) * p->dilation[0] - 1) / p->stride[0] + 1;
    const int64_t ow =
        (p->w + p->pads[1] + p->pads[3] - (p->kw - 1) * p->dilation[1] - 1) / p->stride[1] + 1;
    ops_test_dims(&t, 0, DIMS(p->n, p->m, oh, ow));
    for (int64_t i = 0; i < p->n * p->m * oh * ow; i++) {
        const double e =
            conv2d_at(p, &t, i / (p->m * oh * ow), i / (oh * ow) % p->m, i / ow % oh, i % ow);
        const double y = ops_test_y(&t, 0, (size_t)i);
        if (fabs(y - e) > tolerance * (1 + fabs(e)))
            fail_msg("[%lld]: %.9g, expected %.9g", (long long)i, y, e);
    }
    ops_test_end(&t);
}

static void conv_2d(void **state) {
    static const struct conv2d cases[] = {
        {1, 1, 5, 5, 1, 3, 3, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}},
        {2, 3, 6, 7, 4, 3, 2, 1, {2, 1}, {1, 2}, {1, 0, 2, 1}},
        {1, 4, 5, 6, 6, 1, 1, 2, {1, 1}, {1, 1}, {0, 0, 0, 0}},
        {1, 4, 5, 6, 8, 1, 1, 1, {2, 3}, {1, 1}, {0, 0, 0, 0}},
        {2, 6, 7, 5, 6, 3, 3, 6, {1, 2}, {2, 1}, {2, 1, 2, 1}},
        {1, 2, 3, 3, 2, 3, 3, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}},
        {1, 2, 3, 4, 2, 1, 3, 1, {1, 1}, {1, 1}, {0, 1, 0, 1}},
        {1, 1, 4, 4, 1, 3, 3, 1, {1, 1}, {1, 1}, {4, 4, 4, 4}}, // windows wholly in the padding
        {1, 1, 2, 2, 1, 2, 2, 1, {5, 5}, {1, 1}, {0, 0, 0, 0}},
    };
    static const struct {
        enum bnr_dtype dtype;
        double tolerance;
    } types[] = {{BNR_FLOAT, 1e-7}, {BNR_DOUBLE, 1e-14}, {BNR_FLOAT16, 1e-3}, {BNR_BFLOAT16, 8e-3}};
    for (size_t i = 0; i < BNR_COUNT(cases); i++)
        for (size_t k = 0; k < BNR_COUNT(types); k++)
            run_conv2d(&cases[i], types[k].dtype, i % 2 == 0, types[k].tolerance);
}

static void conv_other_ranks(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "Conv", 1, 1);
    ops_test_in(&t, DIMS(1, 1, 5), (double[]){1, 2, 3, 4, 5});
    ops_test_in(&t, DIMS(1, 1, 2), (double[]){1, -1});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){-1, -1, -1, -1}, 4, 0);
    ops_test_end(&t);
    // 3-D: a kernel of ones with padding counts the neighbours inside.
    double ones[27];
    for (int i = 0; i < 27; i++)
        ones[i] = 1;
    ops_test_begin(&t, "Conv", 11, 1);
    ops_test_in(&t, DIMS(1, 1, 2, 2, 2), ones);
    ops_test_in(&t, DIMS(1, 1, 3, 3, 3), ones);
    bnr__node_set_attr_ints(t.node, "pads", INTS(1, 1, 1, 1, 1, 1));
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){8, 8, 8, 8, 8, 8, 8, 8}, 8, 0);
    ops_test_end(&t);
}

static void conv_auto_pad(void **state) {
    static const struct {
        const char *mode;
        int64_t out;
        double y[3];
    } cases[] = {
        {"SAME_UPPER", 3, {3, 7, 5}}, // one element of padding, at the end
        {"SAME_LOWER", 3, {1, 5, 9}},
        {"VALID", 2, {3, 7, 0}},
        {"NOTSET", 2, {3, 7, 0}},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct ops_test t;
        ops_test_begin(&t, "Conv", 22, 1);
        ops_test_in(&t, DIMS(1, 1, 5), (double[]){1, 2, 3, 4, 5});
        ops_test_in(&t, DIMS(1, 1, 2), (double[]){1, 1});
        bnr__node_set_attr_ints(t.node, "strides", INTS(2));
        bnr__node_set_attr_string(t.node, "auto_pad", cases[i].mode);
        ops_test_ok(&t);
        ops_test_near(&t, 0, cases[i].y, (size_t)cases[i].out, 0);
        ops_test_end(&t);
    }
}

static struct ops_test conv_3x3(const int64_t *w_dims) {
    struct ops_test t;
    ops_test_begin(&t, "Conv", 22, 1);
    ops_test_in(&t, DIMS(1, 4, 5, 5), NULL);
    ops_test_in(&t, 4, w_dims, NULL);
    return t;
}

static void conv_refusals(void **state) {
    const int64_t good[] = {2, 4, 3, 3};
    struct ops_test t = conv_3x3(good);
    bnr__node_set_attr_ints(t.node, "strides", INTS(0, 1));
    ops_test_refused(&t, "strides has 0");
    t = conv_3x3(good);
    bnr__node_set_attr_ints(t.node, "strides", INTS(1));
    ops_test_refused(&t, "strides has 1 elements, expected 2");
    t = conv_3x3(good);
    bnr__node_set_attr_ints(t.node, "pads", INTS(0, 0, 0, -1));
    ops_test_refused(&t, "pads has -1");
    t = conv_3x3(good);
    bnr__node_set_attr_ints(t.node, "dilations", INTS(INT64_MAX, 1));
    ops_test_refused(&t, "dilations");
    t = conv_3x3(good);
    bnr__node_set_attr_ints(t.node, "dilations", INTS(3, 1));
    ops_test_refused(&t, "does not fit");
    t = conv_3x3(good);
    bnr__node_set_attr_ints(t.node, "kernel_shape", INTS(3, 2));
    ops_test_refused(&t, "kernel_shape[1] is 2, but the weight has 3");
    t = conv_3x3(good);
    bnr__node_set_attr_int(t.node, "group", 0);
    ops_test_refused(&t, "group is 0");
    t = conv_3x3(good);
    bnr__node_set_attr_int(t.node, "group", 3);
    ops_test_refused(&t, "do not divide");
    t = conv_3x3((const int64_t[]){2, 3, 3, 3});
    ops_test_refused(&t, "has 4 channels");
    t = conv_3x3(good);
    bnr__node_set_attr_string(t.node, "auto_pad", "same");
    ops_test_refused(&t, "auto_pad is 'same'");
    t = conv_3x3(good);
    bnr__node_set_attr_int(t.node, "pads", 1);
    ops_test_refused(&t, "attribute 'pads' is an int");
    t = conv_3x3(good);
    ops_test_in(&t, DIMS(3), NULL);
    ops_test_refused(&t, "input 2 has 3 elements, expected 2");
    ops_test_begin(&t, "Conv", 22, 1);
    ops_test_in_as(&t, BNR_INT32, DIMS(1, 1, 3), NULL);
    ops_test_in_as(&t, BNR_INT32, DIMS(1, 1, 3), NULL);
    ops_test_refused(&t, "int32");
    ops_test_begin(&t, "Conv", 22, 1);
    ops_test_in(&t, DIMS(3, 3), NULL);
    ops_test_in(&t, DIMS(3, 3), NULL);
    ops_test_refused(&t, "rank 2");
}

// ---- ConvTranspose: y[n, m, i * stride + k * dilation - pad] += x[n, c, i] * w[c, m, k] ---------

static void conv_transpose_2d(void **state) {
    enum { N = 2, C = 4, M = 6, G = 2, H = 3, W = 4, K = 3 };
    const int64_t s[2] = {2, 3}, d[2] = {2, 1}, pads[4] = {1, 0, 2, 1}, extra[2] = {1, 2};
    const int64_t oh = s[0] * (H - 1) + extra[0] + (K - 1) * d[0] + 1 - pads[0] - pads[2];
    const int64_t ow = s[1] * (W - 1) + extra[1] + (K - 1) * d[1] + 1 - pads[1] - pads[3];
    struct ops_test t;
    ops_test_begin(&t, "ConvTranspose", 11, 1);
    ops_test_in(&t, DIMS(N, C, H, W), NULL);
    ops_test_in(&t, DIMS(C, M / G, K, K), NULL);
    ops_test_in(&t, DIMS(M), NULL);
    bnr__node_set_attr_int(t.node, "group", G);
    bnr__node_set_attr_ints(t.node, "strides", s, 2);
    bnr__node_set_attr_ints(t.node, "dilations", d, 2);
    bnr__node_set_attr_ints(t.node, "pads", pads, 4);
    bnr__node_set_attr_ints(t.node, "output_padding", extra, 2);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(N, M, oh, ow));
    const size_t plane = (size_t)(oh * ow), total = N * M * plane;
    double *e = calloc(total, sizeof *e);
    for (size_t i = 0; i < total; i++)
        e[i] = ops_test_x(&t, 2, i / plane % M);
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++)
            for (int m = 0; m < M / G; m++)
                for (int at = 0; at < H * W * K * K; at++) {
                    const int h = at / (W * K * K), w = at / (K * K) % W, i = at / K % K,
                              j = at % K;
                    const int64_t y = h * s[0] + i * d[0] - pads[0],
                                  x = w * s[1] + j * d[1] - pads[1];
                    const int out = c / (C / G) * (M / G) + m;
                    if (y >= 0 && y < oh && x >= 0 && x < ow)
                        e[((size_t)(n * M + out)) * plane + (size_t)(y * ow + x)] +=
                            ops_test_x(&t, 0, (size_t)(((n * C + c) * H + h) * W + w)) *
                            ops_test_x(&t, 1, (size_t)(((c * (M / G) + m) * K + i) * K + j));
                }
    ops_test_near(&t, 0, e, total, 1e-7);
    free(e);
    ops_test_end(&t);
}

static void conv_transpose_sizes(void **state) {
    static const struct {
        const char *auto_pad;
        int64_t shape; // output_shape, 0: not given
        int opset;
        int64_t out;
        double y[8];
    } cases[] = {
        // x = 1, 1, 1; kernel 1, 2, 4; stride 2: the full output is 1, 2, 5, 2, 5, 2, 4.
        {"NOTSET", 0, 11, 7, {1, 2, 5, 2, 5, 2, 4}},
        {"SAME_UPPER", 0, 11, 6, {1, 2, 5, 2, 5, 2}},
        {"SAME_LOWER", 0, 11, 6, {2, 5, 2, 5, 2, 4}},
        {"NOTSET", 6, 11, 6, {2, 5, 2, 5, 2, 4}},
        {"NOTSET", 6, 1, 6, {1, 2, 5, 2, 5, 2}},
        {"NOTSET", 5, 11, 5, {2, 5, 2, 5, 2}},
        {"NOTSET", 8, 11, 8, {1, 2, 5, 2, 5, 2, 4, 0}},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct ops_test t;
        ops_test_begin(&t, "ConvTranspose", cases[i].opset, 1);
        ops_test_in(&t, DIMS(1, 1, 3), (double[]){1, 1, 1});
        ops_test_in(&t, DIMS(1, 1, 3), (double[]){1, 2, 4});
        bnr__node_set_attr_ints(t.node, "strides", INTS(2));
        bnr__node_set_attr_string(t.node, "auto_pad", cases[i].auto_pad);
        if (cases[i].shape)
            bnr__node_set_attr_ints(t.node, "output_shape", &cases[i].shape, 1);
        ops_test_ok(&t);
        ops_test_near(&t, 0, cases[i].y, (size_t)cases[i].out, 0);
        ops_test_end(&t);
    }
}

static void conv_transpose_refusals(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "ConvTranspose", 11, 1);
    ops_test_in(&t, DIMS(1, 3, 4), NULL);
    ops_test_in(&t, DIMS(4, 1, 3), NULL);
    ops_test_refused(&t, "has 3 channels");
    ops_test_begin(&t, "ConvTranspose", 11, 1);
    ops_test_in(&t, DIMS(1, 3, 4), NULL);
    ops_test_in(&t, DIMS(3, 1, 3), NULL);
    bnr__node_set_attr_ints(t.node, "output_padding", INTS(1));
    ops_test_refused(&t, "output_padding[0] is 1");
    ops_test_begin(&t, "ConvTranspose", 11, 1);
    ops_test_in(&t, DIMS(1, 3, 4), NULL);
    ops_test_in(&t, DIMS(3, 1, 3), NULL);
    bnr__node_set_attr_ints(t.node, "pads", INTS(4, 4));
    ops_test_refused(&t, "leaves a size of -2");
    ops_test_begin(&t, "ConvTranspose", 11, 1);
    ops_test_in(&t, DIMS(1, 3, 4), NULL);
    ops_test_in(&t, DIMS(3, INT64_C(1), 3), NULL);
    bnr__node_set_attr_int(t.node, "group", 2);
    ops_test_refused(&t, "3 input channels do not divide into 2 groups");
}

// ---- MatMul and Gemm ----------------------------------------------------------------------------

static void matmul_shapes(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "MatMul", 13, 1);
    ops_test_in(&t, DIMS(3), (double[]){1, 2, 3});
    ops_test_in(&t, DIMS(3), (double[]){4, 5, 6});
    ops_test_ok(&t);
    ops_test_dims(&t, 0, 0, NULL);
    ops_test_near(&t, 0, (double[]){32}, 1, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "MatMul", 9, 1);
    t.dtype = BNR_INT32;
    ops_test_in(&t, DIMS(2), (double[]){1, -1});
    ops_test_in(&t, DIMS(2, 2, 2), (double[]){1, 2, 3, 4, 5, 6, 7, 9});
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 2));
    ops_test_near(&t, 0, (double[]){-2, -2, -2, -3}, 4, 0);
    ops_test_end(&t);
    // [2, 1, 2, 3] x [4, 3, 5]
    ops_test_begin(&t, "MatMul", 13, 1);
    ops_test_in(&t, DIMS(2, 1, 2, 3), NULL);
    ops_test_in(&t, DIMS(4, 3, 5), NULL);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 4, 2, 5));
    double e[80];
    for (size_t i = 0; i < 80; i++) {
        const size_t a = i / 40, b = i / 10 % 4, row = i / 5 % 2, col = i % 5;
        e[i] = 0;
        for (size_t k = 0; k < 3; k++)
            e[i] +=
                ops_test_x(&t, 0, (a * 2 + row) * 3 + k) * ops_test_x(&t, 1, (b * 3 + k) * 5 + col);
    }
    ops_test_near(&t, 0, e, 80, 1e-7);
    ops_test_end(&t);
    // nothing to sum
    ops_test_begin(&t, "MatMul", 13, 1);
    ops_test_in(&t, DIMS(2, 0), NULL);
    ops_test_in(&t, DIMS(0, 2), NULL);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0, 0, 0, 0}, 4, 0);
    ops_test_end(&t);
}

// Larger than a block in every direction.
static void matmul_blocks(void **state) {
    enum { M = 5, K = 131, N = 70 };
    for (int integers = 0; integers < 2; integers++) {
        struct ops_test t;
        double a[M * K], b[K * N], e[M * N];
        for (int i = 0; i < M * K; i++)
            a[i] = i * 37 % 101 - 50;
        for (int i = 0; i < K * N; i++)
            b[i] = i * 53 % 97 - 48;
        for (int i = 0; i < M * N; i++) {
            e[i] = 0;
            for (int k = 0; k < K; k++)
                e[i] += a[i / N * K + k] * b[k * N + i % N];
        }
        ops_test_begin(&t, "MatMul", 13, 1);
        t.dtype = integers ? BNR_INT64 : BNR_FLOAT;
        ops_test_in(&t, DIMS(M, K), a);
        ops_test_in(&t, DIMS(K, N), b);
        ops_test_ok(&t);
        ops_test_near(&t, 0, e, M * N, 0);
        ops_test_end(&t);
    }
}

static void matmul_refusals(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "MatMul", 13, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_refused(&t, "3 and 2 do not agree");
    ops_test_begin(&t, "MatMul", 13, 1);
    ops_test_in(&t, DIMS(2, 2, 3), NULL);
    ops_test_in(&t, DIMS(3, 3, 2), NULL);
    ops_test_refused(&t, "batch dims 2 and 3");
    ops_test_begin(&t, "MatMul", 13, 1);
    ops_test_in(&t, 0, NULL, NULL);
    ops_test_in(&t, DIMS(3), NULL);
    ops_test_refused(&t, "rank 0");
    ops_test_begin(&t, "MatMul", 13, 1);
    ops_test_in(&t, DIMS(3), NULL);
    ops_test_in_as(&t, BNR_DOUBLE, DIMS(3), NULL);
    ops_test_refused(&t, "expected the same");
}

static void gemm_at(int opset, bool ta, bool tb, enum bnr_dtype dtype, int c_rank,
                    const int64_t *c_dims) {
    enum { M = 3, K = 4, N = 2 };
    struct ops_test t;
    const float alpha = 0.5f, beta = 2.0f;
    ops_test_begin(&t, "Gemm", opset, 1);
    t.dtype = dtype;
    ops_test_in(&t, 2, ta ? (const int64_t[]){K, M} : (const int64_t[]){M, K}, NULL);
    ops_test_in(&t, 2, tb ? (const int64_t[]){N, K} : (const int64_t[]){K, N}, NULL);
    if (c_rank >= 0)
        ops_test_in(&t, c_rank, c_dims, NULL);
    bnr__node_set_attr_float(t.node, "alpha", alpha);
    bnr__node_set_attr_float(t.node, "beta", beta);
    bnr__node_set_attr_int(t.node, "transA", ta);
    bnr__node_set_attr_int(t.node, "transB", tb);
    if (opset < 7 && !(c_rank == 2 && c_dims[0] == M && c_dims[1] == N))
        bnr__node_set_attr_int(t.node, "broadcast", 1);
    ops_test_ok(&t);
    for (size_t i = 0; i < M * N; i++) {
        const size_t r = i / N, c = i % N;
        double e = 0, y = ops_test_y(&t, 0, i);
        for (size_t k = 0; k < K; k++)
            e += ops_test_x(&t, 0, ta ? k * M + r : r * K + k) *
                 ops_test_x(&t, 1, tb ? c * K + k : k * N + c);
        e *= (double)alpha;
        if (c_rank >= 0) {
            const size_t cols = c_rank >= 1 && c_dims[c_rank - 1] != 1,
                         rows = c_rank == 2 && c_dims[0] != 1;
            const size_t width = c_rank >= 1 ? (size_t)c_dims[c_rank - 1] : 1;
            e += (double)beta * ops_test_x(&t, 2, rows * r * width + cols * c);
        }
        assert_true(fabs(y - e) <= (dtype == BNR_FLOAT16 ? 1e-3 : 1e-7) * (1 + fabs(e)));
    }
    ops_test_end(&t);
}

static void gemm(void **state) {
    static const struct {
        int rank;
        int64_t dims[2];
    } c[] = {{-1, {0}},   {0, {0}},    {1, {1}},    {1, {2}},
             {2, {1, 2}}, {2, {3, 1}}, {2, {3, 2}}, {2, {1, 1}}};
    static const int opsets[] = {1, 6, 7, 9, 11, 13};
    for (size_t i = 0; i < BNR_COUNT(opsets); i++)
        for (size_t k = opsets[i] >= 11 ? 0 : 1; k < BNR_COUNT(c); k++)
            for (int trans = 0; trans < 4; trans++)
                gemm_at(opsets[i], trans & 1, trans & 2, i % 2 ? BNR_FLOAT : BNR_FLOAT16, c[k].rank,
                        c[k].dims);
}

static void gemm_integers(void **state) {
    struct ops_test t;
    const double big = 0x1p40 + 1; // floats would lose the 1
    ops_test_begin(&t, "Gemm", 13, 1);
    t.dtype = BNR_INT64;
    ops_test_in(&t, DIMS(1, 1), &big);
    ops_test_in(&t, DIMS(1, 1), (double[]){3});
    ops_test_in(&t, 0, NULL, (double[]){7});
    bnr__node_set_attr_float(t.node, "beta", 2);
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->i64[0], ((INT64_C(1) << 40) + 1) * 3 + 14);
    ops_test_end(&t);
}

static void gemm_refusals(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "Gemm", 6, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in(&t, DIMS(3, 2), NULL);
    ops_test_in(&t, DIMS(2), NULL); // without broadcast = 1
    ops_test_refused(&t, "does not equal");
    ops_test_begin(&t, "Gemm", 13, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in(&t, DIMS(3, 2), NULL);
    ops_test_in(&t, DIMS(3), NULL);
    ops_test_refused(&t, "does not broadcast to");
    ops_test_begin(&t, "Gemm", 13, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_refused(&t, "do not agree");
    ops_test_begin(&t, "Gemm", 13, 1);
    ops_test_in(&t, DIMS(2, 3, 1), NULL);
    ops_test_in(&t, DIMS(3, 2), NULL);
    ops_test_refused(&t, "rank 3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_2d),
        cmocka_unit_test(conv_other_ranks),
        cmocka_unit_test(conv_auto_pad),
        cmocka_unit_test(conv_refusals),
        cmocka_unit_test(conv_transpose_2d),
        cmocka_unit_test(conv_transpose_sizes),
        cmocka_unit_test(conv_transpose_refusals),
        cmocka_unit_test(matmul_shapes),
        cmocka_unit_test(matmul_blocks),
        cmocka_unit_test(matmul_refusals),
        cmocka_unit_test(gemm),
        cmocka_unit_test(gemm_integers),
        cmocka_unit_test(gemm_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
