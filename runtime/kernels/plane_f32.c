// SPDX-License-Identifier: Apache-2.0
// plane_f32: the choice of kernels, bands and their padded copies.
#include "runtime/kernels/plane_f32.h"

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"

enum { COPY_FLOATS = 8192, WORK = 1 << 17 }; // a copy that stays in L1; taps of a task

const struct bnr_plane_f32 *bnr__plane_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_plane_f32 *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__plane_f32_##isa},
#include "runtime/kernels/plane_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_plane_f32 *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

// As many rows as fit into COPY_FLOATS, but at least 4: neighbouring bands copy the same input
// rows.
static size_t band_rows(const struct bnr_plane_shape *s, size_t line, size_t extent) {
    const size_t fit = COPY_FLOATS / line;
    const size_t rows = fit > extent ? (fit - extent) / s->stride[0] + 1 : 1;
    const size_t bands = ceil_div(s->out[0], rows < 4 ? 4 : rows / 4 * 4);
    return ceil_div(ceil_div(s->out[0], bands), 4) * 4;
}

bool bnr__plane_band_init(struct bnr_plane_band *b, const struct bnr_plane_shape *s,
                          const struct bnr_plane_f32 *kernels) {
    *b = (struct bnr_plane_band){.s = *s, .kernels = kernels};
    size_t reach[2], line; // from the first to the last tap
    for (int i = 0; i < 2; i++) {
        if (!bnr__size_mul(s->kernel[i] - 1, s->dilation[i], &reach[i]))
            return false;
    }
    b->phases = min_size(s->stride[1], reach[1] + 1);
    b->out_width = ceil_div(s->out[1], kernels->lanes) * kernels->lanes;
    b->width = b->out_width + ceil_div(reach[1] / s->stride[1], kernels->lanes) * kernels->lanes;
    if (!bnr__size_mul(b->width, b->phases, &line))
        return false;
    b->rows = min_size(band_rows(s, line, reach[0] + 1), s->out[0]);
    b->bands = ceil_div(s->out[0], b->rows);
    if (!bnr__size_mul(b->rows - 1, s->stride[0], &b->in_rows) ||
        !bnr__size_add(b->in_rows, reach[0] + 1, &b->in_rows) ||
        !bnr__size_mul(b->in_rows, line, &b->copy_floats))
        return false;
    b->tap_floats = s->kernel[1] * (sizeof(size_t) / sizeof(float));
    return true;
}

// Rows of input that rows of output need.
static size_t extent(const struct bnr_plane_shape *s, size_t rows) {
    return (rows - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1;
}

void bnr__plane_band_copy(const struct bnr_plane_band *b, float *dst, const float *plane,
                          size_t first, size_t rows, float fill) {
    const struct bnr_plane_shape *s = &b->s;
    const struct bnr_plane_copy c = {
        .dst = dst,
        .src = plane,
        .in = {s->in[0], s->in[1]},
        .pad = {s->pad[0], s->pad[1]},
        .row = first * s->stride[0],
        .rows = extent(s, rows),
        .stride = s->stride[1],
        .phases = b->phases,
        .width = b->width,
        .fill = fill,
    };
    b->kernels->copy(&c);
}

// How many columns of a phase lie in front of column x of the input.
static size_t columns_before(const struct bnr_plane_shape *s, size_t phase, size_t x) {
    const size_t padded = x + s->pad[1];
    return padded > phase ? ceil_div(padded - phase, s->stride[1]) : 0;
}

void bnr__plane_band_before(const struct bnr_plane_band *b, const struct bnr_plane_before *before,
                            float *copy, size_t first, size_t rows) {
    const struct bnr_plane_shape *s = &b->s;
    const size_t count = extent(s, rows);
    for (size_t r = 0; before->e->n > 0 && r < count; r++) {
        const size_t y = first * s->stride[0] + r - s->pad[0]; // wraps below 0
        for (size_t phase = 0; y < s->in[0] && phase < b->phases; phase++) {
            const size_t from = min_size(columns_before(s, phase, 0), b->width);
            const size_t to = min_size(columns_before(s, phase, s->in[1]), b->width);
            float *row = copy + (r * b->phases + phase) * b->width + from;
            const struct bnr_eltwise_tile t = {.dst = row,
                                               .src = row,
                                               .ld = b->width,
                                               .rows = 1,
                                               .cols = to - from,
                                               .row = before->channel};
            before->kernels->tile(before->e, NULL, &t);
        }
    }
}

void bnr__plane_band_taps(const struct bnr_plane_band *b, size_t *tap) {
    for (size_t x = 0; x < b->s.kernel[1]; x++) {
        const size_t at = x * b->s.dilation[1];
        tap[x] = at % b->s.stride[1] * b->width + at / b->s.stride[1];
    }
}

size_t bnr__plane_band_grain(const struct bnr_plane_band *b) {
    const size_t work = b->rows * b->out_width * b->s.kernel[0] * b->s.kernel[1];
    return work < WORK ? WORK / (work ? work : 1) : 1;
}
