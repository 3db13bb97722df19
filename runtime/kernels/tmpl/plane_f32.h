// SPDX-License-Identifier: Apache-2.0
// Template: the plane_f32 kernels on the vectors of the file that includes it. Needs ISA(name),
// ISA_NAME.
#include "runtime/kernels/plane_f32.h"

#include <math.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/tmpl/address.h"

// ---- padded copies ------------------------------------------------------------------------------

// Lane i of the vector: src[i * stride], for first <= i < last. `known`: the stride where it is a
// constant, else 0.
BNR_INLINE vf load_strided(const float *src, int first, int last, size_t stride, vf other,
                           const int known) {
    if (known == 1)
        return first == 0 && last == VW ? v_load(src) : v_load_range(src, first, last, other);
    if (known == 2)
        return v_load2_range(src, first, last, other);
    float lanes[VW];
    v_store(lanes, other);
    for (int i = first; i < last; i++)
        lanes[i] = src[(size_t)i * stride];
    return v_load(lanes);
}

// The first j with j * stride + p >= limit.
static ptrdiff_t first_at(size_t limit, size_t p, size_t stride) {
    return limit > p ? (ptrdiff_t)((limit - p + stride - 1) / stride) : 0;
}

static int clamp_lane(ptrdiff_t i) {
    return i < 0 ? 0 : i > VW ? VW : (int)i;
}

BNR_INLINE void copy_phase(const struct bnr_plane_copy *c, size_t p, const int known) {
    const vf fill = v_set1(c->fill);
    const ptrdiff_t first = first_at(c->pad[1], p, c->stride);
    const ptrdiff_t last = first_at(c->pad[1] + c->in[1], p, c->stride);
    for (size_t y = c->row; y < c->row + c->rows; y++) {
        const bool inside = y >= c->pad[0] && y - c->pad[0] < c->in[0];
        const float *src = inside ? c->src + (y - c->pad[0]) * c->in[1] : NULL;
        float *dst = c->dst + ((y - c->row) * c->phases + p) * c->width;
        for (size_t j = 0; j < c->width; j += VW) {
            const int from = clamp_lane(first - (ptrdiff_t)j), to = clamp_lane(last - (ptrdiff_t)j);
            const ptrdiff_t at = (ptrdiff_t)(j * c->stride + p) - (ptrdiff_t)c->pad[1];
            vf v = fill;
            if (src && from < to)
                v = load_strided(v_address(src, at), from, to, c->stride, fill, known);
            v_store(dst + j, v);
        }
    }
}

static void copy(const struct bnr_plane_copy *c) {
    for (size_t p = 0; p < c->phases; p++) {
        if (c->stride == 1)
            copy_phase(c, p, 1);
        else if (c->stride == 2)
            copy_phase(c, p, 2);
        else
            copy_phase(c, p, 0);
    }
}

// ---- depthwise convolution ----------------------------------------------------------------------

BNR_INLINE void store_outputs(const struct bnr_plane_conv *c, size_t row, size_t col, vf v) {
    v = v_add(v, v_set1(c->bias));
    if (c->clamp)
        v = v_min(v_set1(c->hi), v_max(v_set1(c->lo), v));
    float *dst = c->dst + row * c->ld + col;
    if (c->cols - col >= VW)
        v_store(dst, v);
    else
        v_store_n(dst, v, (int)(c->cols - col));
}

// rows x 1 vector of outputs: each vector of inputs is loaded once for all output rows that it
// touches.
BNR_INLINE void conv_block(const struct bnr_plane_conv *c, const vf *w, size_t row, size_t col,
                           const int size, const int stride, const int rows) {
    const float *src = c->src + row * c->stride * c->line + col;
    vf acc[4];
    BNR_UNROLL
    for (int r = 0; r < rows; r++)
        acc[r] = v_set1(0);
    BNR_UNROLL
    for (int i = 0; i < (rows - 1) * stride + size; i++) {
        BNR_UNROLL
        for (int x = 0; x < size; x++) {
            const vf v = v_load(src + (size_t)i * c->line + c->tap[x]);
            BNR_UNROLL
            for (int y = 0; y < size; y++) {
                const int d = i - y;
                if (d >= 0 && d % stride == 0 && d / stride < rows)
                    acc[d / stride] = v_fma(w[y * size + x], v, acc[d / stride]);
            }
        }
    }
    BNR_UNROLL
    for (int r = 0; r < rows; r++)
        store_outputs(c, row + (size_t)r, col, acc[r]);
}

BNR_INLINE void conv_square(const struct bnr_plane_conv *c, const int size, const int stride) {
    vf w[25];
    BNR_UNROLL
    for (int i = 0; i < size * size; i++)
        w[i] = v_set1(c->weights[i]);
    size_t row = 0;
    for (; row + 4 <= c->rows; row += 4) {
        for (size_t col = 0; col < c->cols; col += VW)
            conv_block(c, w, row, col, size, stride, 4);
    }
    const size_t left = c->rows - row;
    for (size_t col = 0; col < c->cols; col += VW) {
        if (left == 3)
            conv_block(c, w, row, col, size, stride, 3);
        else if (left == 2)
            conv_block(c, w, row, col, size, stride, 2);
        else if (left == 1)
            conv_block(c, w, row, col, size, stride, 1);
    }
}

// rows x n vectors of outputs; their sums do not wait for one another.
BNR_INLINE void conv_any_block(const struct bnr_plane_conv *c, size_t row, size_t col,
                               const int rows, const int n) {
    const size_t step = c->stride * c->line;
    vf acc[4];
    BNR_UNROLL
    for (int j = 0; j < rows * n; j++)
        acc[j] = v_set1(0);
    for (size_t y = 0; y < c->kernel[0]; y++) {
        const float *src = c->src + (row * c->stride + y * c->dilation) * c->line + col;
        for (size_t x = 0; x < c->kernel[1]; x++) {
            const vf w = v_set1(c->weights[y * c->kernel[1] + x]);
            BNR_UNROLL
            for (int j = 0; j < rows * n; j++)
                acc[j] = v_fma(w, v_load(src + c->tap[x] + (size_t)(j / n) * step + j % n * VW),
                               acc[j]);
        }
    }
    BNR_UNROLL
    for (int j = 0; j < rows * n; j++)
        store_outputs(c, row + (size_t)(j / n), col + (size_t)(j % n) * VW, acc[j]);
}

static void conv_any(const struct bnr_plane_conv *c) {
    size_t row = 0;
    for (; row + 4 <= c->rows; row += 4) {
        for (size_t col = 0; col < c->cols; col += VW)
            conv_any_block(c, row, col, 4, 1);
    }
    for (; row < c->rows; row++) {
        size_t col = 0;
        for (; col + 4 * VW <= c->cols; col += 4 * VW)
            conv_any_block(c, row, col, 1, 4);
        for (; col < c->cols; col += VW)
            conv_any_block(c, row, col, 1, 1);
    }
}

static void conv_3x3(const struct bnr_plane_conv *c) {
    conv_square(c, 3, 1);
}

static void conv_3x3_stride2(const struct bnr_plane_conv *c) {
    conv_square(c, 3, 2);
}

static void conv_5x5(const struct bnr_plane_conv *c) {
    conv_square(c, 5, 1);
}

static void conv_5x5_stride2(const struct bnr_plane_conv *c) {
    conv_square(c, 5, 2);
}

static void conv_rows(const struct bnr_plane_conv *c) {
    const bool square = c->kernel[0] == c->kernel[1] && c->dilation == 1;
    if (square && c->kernel[0] == 3 && c->stride == 1)
        conv_3x3(c);
    else if (square && c->kernel[0] == 3 && c->stride == 2)
        conv_3x3_stride2(c);
    else if (square && c->kernel[0] == 5 && c->stride == 1)
        conv_5x5(c);
    else if (square && c->kernel[0] == 5 && c->stride == 2)
        conv_5x5_stride2(c);
    else
        conv_any(c);
}

// ---- pooling ------------------------------------------------------------------------------------

// acc may not be NaN: where x is, acc stays.
BNR_INLINE vf join(vf x, vf acc, const bool average) {
    return average ? v_add(acc, x) : v_max(x, acc);
}

BNR_INLINE void pool_rows(const struct bnr_plane_pool *p, const bool average) {
    const vf start = v_set1(average ? 0 : -INFINITY);
    const size_t in_rows = (p->rows - 1) * p->stride + (p->kernel[0] - 1) * p->dilation + 1;
    for (size_t i = 0; i < in_rows; i++) {
        for (size_t col = 0; col < p->out_width; col += VW) {
            vf acc = start;
            for (size_t x = 0; x < p->kernel[1]; x++)
                acc = join(v_load(p->src + i * p->line + p->tap[x] + col), acc, average);
            v_store(p->reduced + i * p->out_width + col, acc);
        }
    }
    for (size_t row = 0; row < p->rows; row++) {
        for (size_t col = 0; col < p->cols; col += VW) {
            const float *src = p->reduced + row * p->stride * p->out_width + col;
            vf acc = start;
            for (size_t y = 0; y < p->kernel[0]; y++)
                acc = join(v_load(src + y * p->dilation * p->out_width), acc, average);
            if (average)
                acc = v_div(acc, v_mul(v_set1(p->row_count[row]), v_load(p->col_count + col)));
            const size_t left = p->cols - col;
            v_store_n(p->dst + row * p->ld + col, acc, left < VW ? (int)left : VW);
        }
    }
}

static void pool(const struct bnr_plane_pool *p) {
    if (p->average)
        pool_rows(p, true);
    else
        pool_rows(p, false);
}

BNR_INLINE vf reduce(const float *x, size_t n, const bool average) {
    const vf start = v_set1(average ? 0 : -INFINITY);
    vf acc[4] = {start, start, start, start};
    size_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW) {
        BNR_UNROLL
        for (int j = 0; j < 4; j++)
            acc[j] = join(v_load(x + i + j * VW), acc[j], average);
    }
    for (; i + VW <= n; i += VW)
        acc[0] = join(v_load(x + i), acc[0], average);
    return join(join(acc[0], acc[1], average), join(acc[2], acc[3], average), average);
}

static float sum(const float *x, size_t n) {
    const size_t tail = n % VW;
    const vf v = v_add(reduce(x, n - tail, true), v_load_n(x + n - tail, (int)tail));
    return v_sum(v);
}

static float max(const float *x, size_t n) {
    const size_t tail = n % VW;
    float lanes[VW], most = -INFINITY;
    v_store(lanes, reduce(x, n - tail, false));
    for (size_t i = 0; i < VW; i++)
        most = lanes[i] > most ? lanes[i] : most;
    for (size_t i = n - tail; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

const struct bnr_plane_f32 ISA(bnr__plane_f32) = {.isa = ISA_NAME,
                                                  .lanes = VW,
                                                  .copy = copy,
                                                  .conv = conv_rows,
                                                  .pool = pool,
                                                  .sum = sum,
                                                  .max = max};
