// SPDX-License-Identifier: Apache-2.0
// Template: the nchwc_window_f32 kernels on the vectors of the file that includes it. Needs
// ISA(name), ISA_NAME.
#include "runtime/kernels/nchwc_window_f32.h"

#include <math.h>

#include "runtime/base/compiler.h"

enum { CONV = BNR_WINDOW_CONV, MAX = BNR_WINDOW_MAX, AVERAGE = BNR_WINDOW_AVERAGE };
enum { COLS = 8 }; // of a tile
#if VW == 16
#define CONV_COLS 14 // of depthwise convolution
#else
#define CONV_COLS 8
#endif

// acc may not be NaN for MAX: where x is, acc stays.
BNR_INLINE vf join(vf acc, vf x, const int kind) {
    return kind == MAX ? v_max(x, acc) : v_add(acc, x);
}

BNR_INLINE vf start(const struct bnr_window_row *r, const int kind) {
    if (kind == MAX)
        return v_set1(-INFINITY);
    return kind == CONV && r->bias ? v_load(r->bias) : v_set1(0);
}

BNR_INLINE void finish(const struct bnr_window_row *r, size_t col, vf v, const int kind) {
    if (kind == AVERAGE)
        v = v_div(v, v_set1(r->count[col]));
    if (r->clamp)
        v = v_min(v_set1(r->hi), v_max(v_set1(r->lo), v));
    v_store(r->dst + col * VW, v);
}

// n outputs from col on, all taps inside.
BNR_INLINE void inside(const struct bnr_window_row *r, size_t col, const int n, const int kind) {
    const size_t step = r->stride * VW, tap = r->dilation * VW;
    const float *src = r->src + (col * r->stride - r->pad) * VW;
    vf acc[COLS];
    BNR_UNROLL
    for (int i = 0; i < n; i++)
        acc[i] = start(r, kind);
    for (size_t y = 0; y < r->rows; y++) {
        const float *row = src + r->at[y];
        const float *w = kind == CONV ? r->weights + r->weight_row[y] * r->kernel * VW : NULL;
        for (size_t x = 0; x < r->kernel; x++) {
            const vf wx = kind == CONV ? v_load(w + x * VW) : v_set1(0);
            BNR_UNROLL
            for (int i = 0; i < n; i++) {
                const vf v = v_load(row + x * tap + (size_t)i * step);
                acc[i] = kind == CONV ? v_fma(wx, v, acc[i]) : join(acc[i], v, kind);
            }
        }
    }
    BNR_UNROLL
    for (int i = 0; i < n; i++)
        finish(r, col + (size_t)i, acc[i], kind);
}

// One output, any taps outside.
BNR_INLINE void at_edge(const struct bnr_window_row *r, size_t col, const int kind) {
    vf acc = start(r, kind);
    for (size_t x = 0; x < r->kernel; x++) {
        const size_t at = col * r->stride + x * r->dilation - r->pad; // wraps where it is outside
        if (at >= r->width)
            continue;
        for (size_t y = 0; y < r->rows; y++) {
            const vf v = v_load(r->src + r->at[y] + at * VW);
            if (kind == CONV)
                acc = v_fma(v_load(r->weights + (r->weight_row[y] * r->kernel + x) * VW), v, acc);
            else
                acc = join(acc, v, kind);
        }
    }
    finish(r, col, acc, kind);
}

// The outputs first .. last - 1 have all their taps inside.
BNR_INLINE void row_of(const struct bnr_window_row *r, size_t first, size_t last, const int kind) {
    size_t col = 0;
    for (; col < first; col++)
        at_edge(r, col, kind);
    for (; col + COLS <= last; col += COLS)
        inside(r, col, COLS, kind);
    for (; col + 4 <= last; col += 4)
        inside(r, col, 4, kind);
    for (; col + 2 <= last; col += 2)
        inside(r, col, 2, kind);
    for (; col < last; col++)
        inside(r, col, 1, kind);
    for (; col < r->cols; col++)
        at_edge(r, col, kind);
}

static void find_inside(const struct bnr_window_row *r, size_t *first, size_t *last) {
    const size_t extent = (r->kernel - 1) * r->dilation;
    *first = (r->pad + r->stride - 1) / r->stride;
    *last = r->width + r->pad > extent ? (r->width + r->pad - extent - 1) / r->stride + 1 : 0;
    *last = *last < r->cols ? *last : r->cols;
    if (*first >= *last)
        *first = *last = r->cols;
}

// ---- depthwise convolution with frequent kernels ------------------------------------------------

// n outputs from col on, of which the first has `left` taps outside and the last one `right`, at
// most half the kernel. Each input pixel goes to all outputs that see it.
BNR_INLINE void conv_tile(const struct bnr_window_row *r, size_t col, size_t left, size_t right,
                          const int n, const int kernel, const int stride) {
    const int pixels = (n - 1) * stride + kernel, edge = kernel / 2;
    const float *src = r->src + (ptrdiff_t)(col * r->stride - r->pad) * VW;
    const vf bias = start(r, CONV);
    vf acc[CONV_COLS];
    BNR_UNROLL
    for (int i = 0; i < n; i++)
        acc[i] = bias;
    for (size_t y = 0; y < r->rows; y++) {
        const float *row = src + r->at[y];
        const float *w = r->weights + r->weight_row[y] * (size_t)kernel * VW;
        vf wx[5];
        BNR_UNROLL
        for (int x = 0; x < kernel; x++)
            wx[x] = v_load(w + x * VW);
        BNR_UNROLL
        for (int p = 0; p < pixels; p++) {
            if ((p < edge && (size_t)p < left) ||
                (pixels - 1 - p < edge && (size_t)(pixels - 1 - p) < right))
                continue;
            const vf v = v_load(row + p * VW);
            BNR_UNROLL
            for (int x = 0; x < kernel; x++) {
                if (p >= x && (p - x) % stride == 0 && (p - x) / stride < n)
                    acc[(p - x) / stride] = v_fma(wx[x], v, acc[(p - x) / stride]);
            }
        }
    }
    float *dst = r->dst + col * VW;
    if (r->clamp) {
        const vf lo = v_set1(r->lo), hi = v_set1(r->hi);
        BNR_UNROLL
        for (int i = 0; i < n; i++)
            acc[i] = v_min(hi, v_max(lo, acc[i]));
    }
    BNR_UNROLL
    for (int i = 0; i < n; i++)
        v_store(dst + i * VW, acc[i]);
}

#define CONV_TILES(kernel, stride)                                                                 \
    CONV_TILE(1, kernel, stride)                                                                   \
    CONV_TILE(2, kernel, stride)                                                                   \
    CONV_TILE(3, kernel, stride)                                                                   \
    CONV_TILE(4, kernel, stride)                                                                   \
    CONV_TILE(5, kernel, stride)                                                                   \
    CONV_TILE(6, kernel, stride)                                                                   \
    CONV_TILE(7, kernel, stride)                                                                   \
    CONV_TILE(8, kernel, stride)                                                                   \
    CONV_TILES_TO_14(kernel, stride)

#if CONV_COLS == 14
#define CONV_TILES_TO_14(kernel, stride)                                                           \
    CONV_TILE(9, kernel, stride)                                                                   \
    CONV_TILE(10, kernel, stride)                                                                  \
    CONV_TILE(11, kernel, stride)                                                                  \
    CONV_TILE(12, kernel, stride)                                                                  \
    CONV_TILE(13, kernel, stride)                                                                  \
    CONV_TILE(14, kernel, stride)
#else
#define CONV_TILES_TO_14(kernel, stride)
#endif

#define CONV_TILE(n, kernel, stride)                                                               \
    static void conv_##kernel##_##stride##_##n(const struct bnr_window_row *r, size_t col,         \
                                               size_t left, size_t right) {                        \
        conv_tile(r, col, left, right, n, kernel, stride);                                         \
    }
CONV_TILES(3, 1)
CONV_TILES(3, 2)
CONV_TILES(5, 1)
CONV_TILES(5, 2)
#undef CONV_TILE

typedef void conv_tile_function(const struct bnr_window_row *, size_t, size_t, size_t);

#define CONV_TILE(n, kernel, stride) [n - 1] = conv_##kernel##_##stride##_##n,
static conv_tile_function *const conv_tiles[2][2][CONV_COLS] = {
    {{CONV_TILES(3, 1)}, {CONV_TILES(3, 2)}}, {{CONV_TILES(5, 1)}, {CONV_TILES(5, 2)}}};
#undef CONV_TILE

static size_t above_zero(size_t a, size_t b) { // a - b
    return a > b ? a - b : 0;
}

static void conv_row_in_tiles(const struct bnr_window_row *r) {
    conv_tile_function *const *tiles = conv_tiles[r->kernel / 2 - 1][r->stride - 1];
    // Outputs first .. last - 1 have at most half the kernel outside.
    const size_t edge = r->kernel / 2, reach = r->width + r->pad;
    const size_t first = (above_zero(r->pad, edge) + r->stride - 1) / r->stride;
    size_t last = above_zero(reach + edge, r->kernel - 1);
    last = (last + r->stride - 1) / r->stride;
    last = last < r->cols ? last : r->cols;
    size_t col = 0;
    for (; col < first && col < r->cols; col++)
        at_edge(r, col, CONV);
    const size_t begin = col, all = above_zero(last, begin);
    const size_t pieces = (all + CONV_COLS - 1) / CONV_COLS;
    for (size_t i = 1; i <= pieces; i++) {
        const size_t end = begin + all * i / pieces;
        tiles[end - col - 1](r, col, above_zero(r->pad, col * r->stride),
                             above_zero((end - 1) * r->stride + r->kernel, reach));
        col = end;
    }
    for (; col < r->cols; col++)
        at_edge(r, col, CONV);
}

static void conv_row(const struct bnr_window_row *r) {
    size_t first, last;
    if ((r->kernel == 3 || r->kernel == 5) && r->dilation == 1 && r->stride <= 2) {
        conv_row_in_tiles(r);
        return;
    }
    find_inside(r, &first, &last);
    row_of(r, first, last, CONV);
}

static void max_row(const struct bnr_window_row *r) {
    size_t first, last;
    find_inside(r, &first, &last);
    row_of(r, first, last, MAX);
}

// ---- averages -----------------------------------------------------------------------------------

// Of n pixels, `step` floats apart, in four parts.
static vf short_sum(const float *src, size_t n, size_t step) {
    vf acc[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        BNR_UNROLL
        for (int k = 0; k < 4; k++)
            acc[k] = v_add(acc[k], v_load(src + (i + (size_t)k) * step));
    }
    for (; i < n; i++)
        acc[0] = v_add(acc[0], v_load(src + i * step));
    return v_add(v_add(acc[0], acc[1]), v_add(acc[2], acc[3]));
}

// A sum of sums: the error of a single long one would be the same all over the image.
static vf sum_of(const float *src, size_t n, size_t step) {
    enum { PIECE = 64 };
    vf acc = v_set1(0);
    for (size_t i = 0; i < n; i += PIECE)
        acc = v_add(acc, short_sum(src + i * step, n - i < PIECE ? n - i : PIECE, step));
    return acc;
}

static void wide_average(const struct bnr_window_row *r, size_t col) {
    const size_t begin = col * r->stride, by = r->dilation;
    const size_t outside = begin < r->pad ? (r->pad - begin + by - 1) / by : 0;
    const size_t at = begin + outside * by - r->pad;
    const size_t inside_them = at < r->width ? (r->width - at + by - 1) / by : 0;
    const size_t left = r->kernel > outside ? r->kernel - outside : 0;
    vf acc = v_set1(0);
    for (size_t y = 0; y < r->rows; y++)
        acc = v_add(acc, sum_of(r->src + r->at[y] + at * VW, left < inside_them ? left : inside_them,
                                by * VW));
    finish(r, col, acc, AVERAGE);
}

static void average_row(const struct bnr_window_row *r) {
    enum { WIDE = 25 };
    size_t first, last;
    if (r->kernel * r->rows >= WIDE) {
        for (size_t col = 0; col < r->cols; col++)
            wide_average(r, col);
        return;
    }
    find_inside(r, &first, &last);
    row_of(r, first, last, AVERAGE);
}

// ---- whole planes -------------------------------------------------------------------------------

static vf whole_max(const float *src, size_t pixels) {
    const vf begin = v_set1(-INFINITY);
    vf acc[4] = {begin, begin, begin, begin};
    size_t i = 0;
    for (; i + 4 <= pixels; i += 4) {
        BNR_UNROLL
        for (int k = 0; k < 4; k++)
            acc[k] = v_max(v_load(src + (i + (size_t)k) * VW), acc[k]);
    }
    for (; i < pixels; i++)
        acc[0] = v_max(v_load(src + i * VW), acc[0]);
    return v_max(v_max(acc[0], acc[1]), v_max(acc[2], acc[3]));
}

static void whole(float *dst, const float *src, size_t pixels, bool average) {
    const vf count = v_set1((float)pixels);
    v_store(dst, average ? v_div(sum_of(src, pixels, VW), count) : whole_max(src, pixels));
}

const struct bnr_nchwc_window_kernels ISA(bnr__nchwc_window_f32) = {
    .isa = ISA_NAME, .lanes = VW, .row = {conv_row, max_row, average_row}, .whole = whole};
