// SPDX-License-Identifier: Apache-2.0
// Template: the nchwc_window_f32 kernels on the vectors of the file that includes it. Needs
// ISA(name), ISA_NAME.
#include "runtime/kernels/nchwc_window_f32.h"

#include <math.h>

#include "runtime/base/compiler.h"

enum { CONV = BNR_WINDOW_CONV, MAX = BNR_WINDOW_MAX, AVERAGE = BNR_WINDOW_AVERAGE };
enum { COLS = 8 }; // of a tile

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

// n outputs from col on, all taps inside. kernel and stride: 0 where they are not constants.
BNR_INLINE void inside(const struct bnr_window_row *r, size_t col, const int n, const int kind,
                       const int kernel, const int stride) {
    const size_t size = kernel ? (size_t)kernel : r->kernel;
    const size_t step = (stride ? (size_t)stride : r->stride) * VW;
    const size_t tap = kernel ? VW : r->dilation * VW;
    const float *src = r->src + (col * r->stride - r->pad) * VW;
    vf acc[COLS];
    BNR_UNROLL
    for (int i = 0; i < n; i++)
        acc[i] = start(r, kind);
    for (size_t y = 0; y < r->rows; y++) {
        const float *row = src + r->at[y];
        const float *w = kind == CONV ? r->weights + r->weight_row[y] * r->kernel * VW : NULL;
        BNR_UNROLL
        for (size_t x = 0; x < size; x++) {
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
BNR_INLINE void row_of(const struct bnr_window_row *r, size_t first, size_t last, const int kind,
                       const int kernel, const int stride) {
    size_t col = 0;
    for (; col < first; col++)
        at_edge(r, col, kind);
    for (; col + COLS <= last; col += COLS)
        inside(r, col, COLS, kind, kernel, stride);
    for (; col + 4 <= last; col += 4)
        inside(r, col, 4, kind, kernel, stride);
    for (; col + 2 <= last; col += 2)
        inside(r, col, 2, kind, kernel, stride);
    for (; col < last; col++)
        inside(r, col, 1, kind, kernel, stride);
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

static void conv_row(const struct bnr_window_row *r) {
    size_t first, last;
    find_inside(r, &first, &last);
    if (r->kernel == 3 && r->dilation == 1 && r->stride == 1)
        row_of(r, first, last, CONV, 3, 1);
    else if (r->kernel == 3 && r->dilation == 1 && r->stride == 2)
        row_of(r, first, last, CONV, 3, 2);
    else if (r->kernel == 5 && r->dilation == 1 && r->stride == 1)
        row_of(r, first, last, CONV, 5, 1);
    else if (r->kernel == 5 && r->dilation == 1 && r->stride == 2)
        row_of(r, first, last, CONV, 5, 2);
    else
        row_of(r, first, last, CONV, 0, 0);
}

static void max_row(const struct bnr_window_row *r) {
    size_t first, last;
    find_inside(r, &first, &last);
    row_of(r, first, last, MAX, 0, 0);
}

static void average_row(const struct bnr_window_row *r) {
    size_t first, last;
    find_inside(r, &first, &last);
    row_of(r, first, last, AVERAGE, 0, 0);
}

BNR_INLINE void whole_plane(float *dst, const float *src, size_t pixels, const int kind) {
    const vf begin = v_set1(kind == MAX ? -INFINITY : 0);
    vf acc[4] = {begin, begin, begin, begin};
    size_t i = 0;
    for (; i + 4 <= pixels; i += 4) {
        BNR_UNROLL
        for (int k = 0; k < 4; k++)
            acc[k] = join(acc[k], v_load(src + (i + (size_t)k) * VW), kind);
    }
    for (; i < pixels; i++)
        acc[0] = join(acc[0], v_load(src + i * VW), kind);
    vf v = join(join(acc[0], acc[1], kind), join(acc[2], acc[3], kind), kind);
    if (kind == AVERAGE)
        v = v_div(v, v_set1((float)pixels));
    v_store(dst, v);
}

static void whole(float *dst, const float *src, size_t pixels, bool average) {
    if (average)
        whole_plane(dst, src, pixels, AVERAGE);
    else
        whole_plane(dst, src, pixels, MAX);
}

const struct bnr_nchwc_window_kernels ISA(bnr__nchwc_window_f32) = {
    .isa = ISA_NAME, .lanes = VW, .row = {conv_row, max_row, average_row}, .whole = whole};
