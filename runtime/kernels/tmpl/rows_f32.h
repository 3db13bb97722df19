// SPDX-License-Identifier: Apache-2.0
// Template: the rows_f32 kernels on the vectors of the file that includes it. Needs ISA(name).
#include "runtime/kernels/rows_f32.h"

#include <math.h>

#include "runtime/kernels/tmpl/math_f32.h"

enum { SUM_BLOCK = 4096, ACCUMULATORS = 4, COLUMN_BLOCK = 256 };

// The sum of x, or of (x - mean)^2, over up to SUM_BLOCK elements.
BNR_INLINE float block_sum(const float *x, size_t n, const bool squares, float mean) {
    const vf center = v_set1(mean);
    vf acc[ACCUMULATORS];
    size_t i = 0;
    BNR_UNROLL
    for (int k = 0; k < ACCUMULATORS; k++)
        acc[k] = v_set1(0);
    for (; i + ACCUMULATORS * VW <= n; i += ACCUMULATORS * VW) {
        BNR_UNROLL
        for (int k = 0; k < ACCUMULATORS; k++) {
            const vf d = v_sub(v_load(x + i + k * VW), center);
            acc[k] = squares ? v_fma(d, d, acc[k]) : v_add(acc[k], d);
        }
    }
    for (; i + VW <= n; i += VW) {
        const vf d = v_sub(v_load(x + i), center);
        acc[0] = squares ? v_fma(d, d, acc[0]) : v_add(acc[0], d);
    }
    float sum = v_sum(v_add(v_add(acc[0], acc[1]), v_add(acc[2], acc[3])));
    for (; i < n; i++) {
        const float d = x[i] - mean;
        sum += squares ? d * d : d;
    }
    return sum;
}

BNR_INLINE double blocked_sum(const float *x, size_t n, const bool squares, float mean) {
    double sum = 0;
    for (size_t i = 0; i < n; i += SUM_BLOCK) {
        const size_t left = n - i;
        sum += (double)block_sum(x + i, left < SUM_BLOCK ? left : SUM_BLOCK, squares, mean);
    }
    return sum;
}

static double sum(const float *src, size_t n) {
    return blocked_sum(src, n, false, 0);
}

static double squares(const float *src, size_t n, float mean) {
    return blocked_sum(src, n, true, mean);
}

// NaN is passed over: it comes back with the differences.
static float row_max(const float *x, size_t n) {
    float lanes[VW], max = -INFINITY;
    vf m = v_set1(-INFINITY);
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        m = v_max(v_load(x + i), m);
    v_store(lanes, m);
    for (int k = 0; k < VW; k++)
        max = lanes[k] > max ? lanes[k] : max;
    for (; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static void softmax(float *dst, const float *src, size_t n) {
    const vf max = v_set1(row_max(src, n));
    for (size_t i = 0; i < n; i += VW) {
        const int lanes = n - i < VW ? (int)(n - i) : VW;
        v_store_n(dst + i, v_exp(v_sub(v_load_n(src + i, lanes), max)), lanes);
    }
    const vf factor = v_set1((float)(1 / sum(dst, n)));
    for (size_t i = 0; i < n; i += VW) {
        const int lanes = n - i < VW ? (int)(n - i) : VW;
        v_store_n(dst + i, v_mul(v_load_n(dst + i, lanes), factor), lanes);
    }
}

// One vector of columns. A lane's sum is one chain, so its blocks are shorter.
static void softmax_strip(float *dst, const float *src, size_t n, size_t ld, int lanes) {
    vf max = v_set1(-INFINITY), total = v_set1(0);
    for (size_t i = 0; i < n; i++)
        max = v_max(v_load_n(src + i * ld, lanes), max);
    for (size_t first = 0; first < n; first += COLUMN_BLOCK) {
        const size_t last = n - first < COLUMN_BLOCK ? n : first + COLUMN_BLOCK;
        vf part = v_set1(0);
        for (size_t i = first; i < last; i++) {
            const vf e = v_exp(v_sub(v_load_n(src + i * ld, lanes), max));
            v_store_n(dst + i * ld, e, lanes);
            part = v_add(part, e);
        }
        total = v_add(total, part);
    }
    const vf factor = v_div(v_set1(1), total);
    for (size_t i = 0; i < n; i++)
        v_store_n(dst + i * ld, v_mul(v_load_n(dst + i * ld, lanes), factor), lanes);
}

static void softmax_columns(float *dst, const float *src, size_t n, size_t ld, size_t cols) {
    for (size_t c = 0; c < cols; c += VW)
        softmax_strip(dst + c, src + c, n, ld, cols - c < VW ? (int)(cols - c) : VW);
}

static void log_softmax_strip(float *dst, const float *src, size_t n, size_t ld, int lanes) {
    float sums[VW];
    double total[VW] = {0};
    vf max = v_set1(-INFINITY);
    for (size_t i = 0; i < n; i++)
        max = v_max(v_load_n(src + i * ld, lanes), max);
    for (size_t first = 0; first < n; first += COLUMN_BLOCK) {
        const size_t last = n - first < COLUMN_BLOCK ? n : first + COLUMN_BLOCK;
        vf part = v_set1(0);
        for (size_t i = first; i < last; i++)
            part = v_add(part, v_exp(v_sub(v_load_n(src + i * ld, lanes), max)));
        v_store(sums, part);
        for (int k = 0; k < lanes; k++)
            total[k] += (double)sums[k];
    }
    for (int k = 0; k < lanes; k++)
        sums[k] = (float)log(total[k]);
    const vf rest = v_load_n(sums, lanes);
    for (size_t i = 0; i < n; i++)
        v_store_n(dst + i * ld, v_sub(v_sub(v_load_n(src + i * ld, lanes), max), rest), lanes);
}

static void log_softmax_columns(float *dst, const float *src, size_t n, size_t ld, size_t cols) {
    for (size_t c = 0; c < cols; c += VW)
        log_softmax_strip(dst + c, src + c, n, ld, cols - c < VW ? (int)(cols - c) : VW);
}

static void log_softmax(float *dst, const float *src, size_t n) {
    const float max = row_max(src, n);
    double total = 0;
    for (size_t first = 0; first < n; first += SUM_BLOCK) {
        const size_t last = n - first < SUM_BLOCK ? n : first + SUM_BLOCK;
        float tail[VW];
        vf part = v_set1(0);
        size_t i = first;
        for (; i + VW <= last; i += VW)
            part = v_add(part, v_exp(v_sub(v_load(src + i), v_set1(max))));
        total += (double)v_sum(part);
        v_store(tail, v_exp(v_sub(v_load_n(src + i, (int)(last - i)), v_set1(max))));
        for (size_t k = 0; k < last - i; k++)
            total += (double)tail[k];
    }
    const vf m = v_set1(max), rest = v_set1((float)log(total));
    for (size_t i = 0; i < n; i += VW) {
        const int lanes = n - i < VW ? (int)(n - i) : VW;
        v_store_n(dst + i, v_sub(v_sub(v_load_n(src + i, lanes), m), rest), lanes);
    }
}

static void apply(float *dst, const float *src, size_t n, const struct bnr_rows_moments *m,
                  const float *scale, const float *bias) {
    const vf mean = v_set1(m->mean), inv = v_set1(m->inv);
    for (size_t i = 0; i < n; i += VW) {
        const int lanes = n - i < VW ? (int)(n - i) : VW;
        const vf x = v_mul(v_sub(v_load_n(src + i, lanes), mean), inv);
        const vf b = bias ? v_load_n(bias + i, lanes) : v_set1(0);
        v_store_n(dst + i, v_fma(x, v_load_n(scale + i, lanes), b), lanes);
    }
}

static void apply_uniform(float *dst, const float *src, size_t n, const struct bnr_rows_moments *m,
                          float scale, float bias) {
    const vf mean = v_set1(m->mean), inv = v_set1(m->inv), s = v_set1(scale), b = v_set1(bias);
    for (size_t i = 0; i < n; i += VW) {
        const int lanes = n - i < VW ? (int)(n - i) : VW;
        v_store_n(dst + i, v_fma(v_mul(v_sub(v_load_n(src + i, lanes), mean), inv), s, b), lanes);
    }
}

const struct bnr_rows_f32_kernels ISA(bnr__rows_f32) = {.isa = ISA_NAME,
                                                        .sum = sum,
                                                        .squares = squares,
                                                        .softmax = softmax,
                                                        .log_softmax = log_softmax,
                                                        .softmax_columns = softmax_columns,
                                                        .log_softmax_columns = log_softmax_columns,
                                                        .apply = apply,
                                                        .apply_uniform = apply_uniform};
