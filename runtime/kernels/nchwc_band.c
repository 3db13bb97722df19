// SPDX-License-Identifier: Apache-2.0
// nchwc_band: sizes of bands, offsets of taps, copying.
#include "runtime/kernels/nchwc_band.h"

#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"

// A band's input stays in L2 beside the weights of a few output blocks, which pass through it.
enum { BAND_FLOATS = 96 * 1024 };

// From a pixel of the input, or of its copy, to the next.
static size_t pixel_step(const struct bnr_nchwc_conv_f32 *c) {
    return c->plain && !c->lanewise ? 1 : c->lanes;
}

// ---- sizes --------------------------------------------------------------------------------------

static size_t reach(const struct bnr_conv_shape *s, int axis) {
    return (s->kernel[axis] - 1) * s->dilation[axis];
}

// Every tap of every output pixel lies in the image, and output columns follow each other in it.
static bool reads_in_place(const struct bnr_nchwc_conv_f32 *c) {
    const struct bnr_conv_shape *s = &c->s;
    for (int i = 0; i < BNR_CONV_AXES; i++) {
        if (s->pad[i] != 0 || (s->out[i] - 1) * s->stride[i] + reach(s, i) >= s->in[i])
            return false;
    }
    return s->stride[2] == 1 && !c->lanewise;
}

// The copy's floats for a band of that size; false on overflow.
static bool copy_size(const struct bnr_nchwc_conv_f32 *c, size_t rows, size_t cols, size_t *rows_in,
                      size_t *cols_in, size_t *floats) {
    const struct bnr_conv_shape *s = &c->s;
    const bool phases = c->copy_phases > 1;
    const size_t blocks = c->lanewise ? s->cin : c->in_blocks;
    *rows_in = (rows - 1) * (s->stride[1] / c->row_step) + reach(s, 1) / c->row_step + 1;
    *cols_in = cols + (phases ? reach(s, 2) / s->stride[2] : reach(s, 2));
    size_t n = pixel_step(c);
    if (!bnr__size_mul(n, *rows_in, &n) || !bnr__size_mul(n, *cols_in, &n) ||
        !bnr__size_mul(n, c->copy_phases, &n) || !bnr__size_mul(n, s->kernel[0], &n) ||
        !bnr__size_mul(n, blocks, &n))
        return false;
    *floats = n;
    return n <= SIZE_MAX / 64;
}

static bool fits(const struct bnr_nchwc_conv_f32 *c, size_t rows, size_t cols, size_t most) {
    size_t r, q, floats;
    return copy_size(c, rows, cols, &r, &q, &floats) && floats <= most;
}

// Weights that are many times the input would rather go by once than once for each of two bands.
static bool is_deep(const struct bnr_nchwc_conv_f32 *c) {
    const size_t weights = c->packed_bytes / sizeof(float);
    return fits(c, c->s.out[1], c->s.out[2], min_size(weights / 4, 2 * BAND_FLOATS));
}

// As many columns, then rows, then images as a band may have.
static void choose_band(struct bnr_nchwc_conv_f32 *c) {
    const struct bnr_conv_shape *s = &c->s;
    const size_t pixels = c->pixels, most = is_deep(c) ? 2 * BAND_FLOATS : BAND_FLOATS;
    c->band_cols = s->out[2];
    while (c->band_cols > 4 * pixels && !fits(c, 1, c->band_cols, most))
        c->band_cols = even_piece(s->out[2], c->band_cols / 2, pixels);
    c->band_rows = s->out[1];
    while (c->band_rows > 4 && !fits(c, c->band_rows, c->band_cols, most))
        c->band_rows = even_piece(s->out[1], c->band_rows * 3 / 4, 2);
    while (c->band_rows > 1 && !fits(c, c->band_rows, c->band_cols, 2 * BAND_FLOATS))
        c->band_rows /= 2;
    size_t r, q, floats;
    c->band_images = 1;
    if (c->band_rows == s->out[1] && c->band_cols == s->out[2] && s->out[0] == 1 &&
        copy_size(c, s->out[1], s->out[2], &r, &q, &floats))
        c->band_images = max_size(min_size(s->batch, BAND_FLOATS / floats), 1);
}

static size_t count_tasks(const struct bnr_nchwc_conv_f32 *c) {
    const struct bnr_conv_shape *s = &c->s;
    return ceil_div(s->batch, c->band_images) * s->out[0] * ceil_div(s->out[1], c->band_rows) *
           ceil_div(s->out[2], c->band_cols) * c->groups * ceil_div(c->out_blocks, c->band_blocks);
}

// Pixels of its own for each thread, where there are enough of them: most of what it reads it has
// written itself then, and need not come from another's cache.
static void part_pixels(struct bnr_nchwc_conv_f32 *c) {
    enum { ROWS = 4, TILES = 4 };
    const struct bnr_conv_shape *s = &c->s;
    const size_t slots = (size_t)c->slots;
    if (ceil_div(s->batch, c->band_images) * s->out[0] >= slots)
        return;
    if (s->out[1] >= ROWS * slots)
        c->band_rows = min_size(c->band_rows, ceil_div(s->out[1], slots));
    else if (s->out[1] == 1 && s->out[2] >= TILES * c->pixels * slots)
        c->band_cols =
            min_size(c->band_cols, even_piece(s->out[2], ceil_div(s->out[2], slots), c->pixels));
}

// Cuts bands until there are some for every thread: first images, then a part of the pixels for
// each thread, output blocks as long as many are left to share a copy, pixels (but no two parts of
// them read the weights of a deep layer while each thread has two tasks), and output blocks again.
static void share(struct bnr_nchwc_conv_f32 *c, size_t wanted) {
    const size_t pixels = c->pixels;
    while (count_tasks(c) < wanted && c->band_images > 1)
        c->band_images = ceil_div(c->band_images, 2);
    part_pixels(c);
    while (count_tasks(c) < wanted && c->band_blocks > 8)
        c->band_blocks = even_piece(c->out_blocks, c->band_blocks / 2, BNR_NCHWC_NB);
    if (is_deep(c) && count_tasks(c) >= 2 * (size_t)c->slots)
        return;
    while (count_tasks(c) < wanted && c->band_rows > 4)
        c->band_rows = even_piece(c->s.out[1], c->band_rows / 2, 2);
    while (count_tasks(c) < wanted && c->band_rows == 1 && c->band_cols > 4 * pixels)
        c->band_cols = even_piece(c->s.out[2], c->band_cols / 2, pixels);
    while (count_tasks(c) < wanted && c->band_blocks > BNR_NCHWC_NB)
        c->band_blocks = even_piece(c->out_blocks, c->band_blocks / 2, BNR_NCHWC_NB);
}

// As many parts of the axis that is cut as give every thread the same number of tasks, where there
// are so few that one more or less counts.
static void set_parts(struct bnr_nchwc_conv_f32 *c) {
    enum { MANY = 16 };
    const size_t slots = (size_t)c->slots, tasks = count_tasks(c);
    c->row_parts = ceil_div(c->s.out[1], c->band_rows);
    c->col_parts = ceil_div(c->s.out[2], c->band_cols);
    c->row_unit = c->band_rows % 2 == 0 && c->band_cols * 2 <= c->pixels ? 2 : 1;
    c->col_unit = c->band_cols % c->pixels == 0 ? c->pixels : 1;
    const bool rows = c->row_parts > 1;
    size_t *parts = rows ? &c->row_parts : &c->col_parts;
    const size_t units =
        rows ? ceil_div(c->s.out[1], c->row_unit) : ceil_div(c->s.out[2], c->col_unit);
    const size_t others = tasks / *parts, most = min_size(*parts + slots - 1, units);
    if (*parts == 1 || tasks >= MANY * slots)
        return;
    for (size_t n = *parts; n <= most; n++) {
        if (n * others % slots == 0) {
            *parts = n;
            return;
        }
    }
}

bool bnr__nchwc_band_init(struct bnr_nchwc_conv_f32 *c, bool prologue, int threads) {
    const struct bnr_conv_shape *s = &c->s;
    c->copies = prologue || !reads_in_place(c);
    c->row_step = s->kernel[1] == 1 ? s->stride[1] : 1;
    c->copy_phases = s->kernel[2] == 1 ? 1 : s->stride[2];
    c->slots = bnr__slots_count(threads);
    c->band_blocks = ceil_div(c->out_blocks, BNR_NCHWC_NB) * BNR_NCHWC_NB;
    choose_band(c);
    if (c->slots > 1)
        share(c, (c->plain ? 16 : 4) * (size_t)c->slots); // plain: first, when threads are woken
    set_parts(c);
    if (!copy_size(c, c->band_rows, c->band_cols, &c->copy_rows, &c->copy_cols, &c->copy_floats))
        return false;
    size_t n, table;
    if (!bnr__size_mul(c->copies ? c->copy_floats : 1, c->band_images, &n) ||
        !bnr__slots_bytes(c->slots, n, 0, &c->slot_bytes, &n) ||
        !bnr__size_mul(c->taps, sizeof(size_t), &table) || !bnr__size_add(table, 63, &table))
        return false;
    c->table_bytes = table / 64 * 64;
    return bnr__size_add(n, c->table_bytes, &c->scratch_bytes);
}

void bnr__nchwc_band_offsets(const struct bnr_nchwc_conv_f32 *c, size_t *offset) {
    const struct bnr_conv_shape *s = &c->s;
    for (size_t t = 0; t < c->taps; t++) {
        const size_t x = t % s->kernel[2] * s->dilation[2];
        const size_t y = t / s->kernel[2] % s->kernel[1] * s->dilation[1];
        const size_t z = t / s->kernel[2] / s->kernel[1];
        size_t pixel = ((z * s->dilation[0] * s->in[1]) + y) * s->in[2] + x;
        if (c->copies) {
            const size_t line = (z * c->copy_rows + y) * c->copy_phases + x % c->copy_phases;
            pixel = line * c->copy_cols + x / c->copy_phases;
        }
        offset[t] = pixel * pixel_step(c);
    }
}

// ---- copying ------------------------------------------------------------------------------------

// n pixels of a row of the copy, from pixel `at` of the input on.
struct source {
    const struct bnr_nchwc_conv_f32 *c;
    const float *image;
    size_t group, block; // of the input; lanewise: input channel of the group, and
    size_t out_block;
};

static float prologue(const struct bnr_nchwc_prologue *p, size_t channel, float x) {
    if (p->s)
        x = p->s[channel] * x + p->t[channel];
    if (p->clamp) {
        x = x < p->lo ? p->lo : x;
        x = x > p->hi ? p->hi : x;
    }
    return x;
}

static size_t volume(const size_t v[BNR_CONV_AXES]) {
    return v[0] * v[1] * v[2];
}

// One channel of a plain image, or one lane of a blocked one, to a lane of the copy.
static void copy_channel(const struct source *f, float *dst, size_t at, size_t n, size_t channel) {
    const struct bnr_nchwc_conv_f32 *c = f->c;
    const size_t lanes = c->plain ? 1 : c->lanes, plane = volume(c->s.in) * lanes;
    const size_t step = c->s.stride[2] * lanes, dst_step = pixel_step(c);
    const float *src = f->image + channel / lanes * plane + channel % lanes + at * lanes;
    if (dst_step == 1 && !c->prologue.s && !c->prologue.clamp) {
        c->kernels->copy_plain(dst, src, n, step);
        return;
    }
    if (!c->prologue.s && !c->prologue.clamp) {
        for (size_t i = 0; i < n; i++)
            dst[i * dst_step] = src[i * step];
        return;
    }
    for (size_t i = 0; i < n; i++)
        dst[i * dst_step] = prologue(&c->prologue, channel, src[i * step]);
}

static void copy_lanes(const struct source *f, float *dst, size_t at, size_t n) {
    const struct bnr_conv_shape *s = &f->c->s;
    const size_t lanes = f->c->lanes, first = f->out_block * lanes;
    const size_t used = min_size(lanes, s->groups * s->cout - first);
    if (used < lanes)
        memset(dst, 0, n * lanes * sizeof *dst);
    for (size_t l = 0; l < used; l++)
        copy_channel(f, dst + l, at, n, (first + l) / s->cout * s->cin + f->block);
}

static void copy_block(const struct source *f, float *dst, size_t at, size_t n) {
    const struct bnr_nchwc_conv_f32 *c = f->c;
    const struct bnr_nchwc_prologue *p = &c->prologue;
    // With several groups in a block f->group counts blocks.
    const size_t group = f->group * (c->narrow ? c->lanes : c->s.cin);
    const size_t left = c->narrow ? c->s.groups * c->s.cin - group : c->s.cin - f->block * c->lanes;
    const size_t channel = group + f->block * c->lanes;
    const float *plane =
        f->image + (f->group * c->in_blocks + f->block) * volume(c->s.in) * c->lanes;
    const struct bnr_nchwc_copy copy = {
        .dst = dst,
        .src = plane + at * c->lanes,
        .n = n,
        .step = c->s.stride[2],
        .s = p->s ? p->s + channel : NULL,
        .t = p->t ? p->t + channel : NULL,
        .lanes = (int)min_size(c->lanes, left),
        .clamp = p->clamp,
        .lo = p->lo,
        .hi = p->hi,
    };
    c->kernels->copy(&copy);
}

static void copy_pixels(const struct source *f, float *dst, size_t at, size_t n) {
    if (f->c->lanewise)
        copy_lanes(f, dst, at, n);
    else if (f->c->plain)
        copy_channel(f, dst, at, n, f->group * f->c->s.cin + f->block);
    else
        copy_block(f, dst, at, n);
}

static void zero_pixels(const struct source *f, float *dst, size_t n) {
    memset(dst, 0, n * pixel_step(f->c) * sizeof *dst);
}

// Row `y` of plane `z` of the input, from column `x` (which may be outside) on, in phases.
static void copy_row(const struct source *f, float *dst, size_t line, ptrdiff_t x) {
    const struct bnr_nchwc_conv_f32 *c = f->c;
    const ptrdiff_t stride = (ptrdiff_t)c->s.stride[2], width = (ptrdiff_t)c->s.in[2];
    const ptrdiff_t cols = (ptrdiff_t)c->copy_cols;
    const size_t step = pixel_step(c);
    for (size_t phase = 0; phase < c->copy_phases; phase++, x++, dst += c->copy_cols * step) {
        ptrdiff_t first = x < 0 ? (-x + stride - 1) / stride : 0;
        ptrdiff_t last = x < width ? (width - x + stride - 1) / stride : 0;
        first = first < cols ? first : cols;
        last = last < cols ? last : cols;
        last = last > first ? last : first;
        zero_pixels(f, dst, (size_t)first);
        if (last > first)
            copy_pixels(f, dst + (size_t)first * step,
                        line * c->s.in[2] + (size_t)(x + first * stride), (size_t)(last - first));
        zero_pixels(f, dst + (size_t)last * step, (size_t)(cols - last));
    }
}

// One block of input, all planes that the kernel covers.
static void copy_planes(const struct source *f, const struct bnr_nchwc_band *b, float *dst) {
    const struct bnr_nchwc_conv_f32 *c = f->c;
    const struct bnr_conv_shape *s = &c->s;
    const size_t row = c->copy_phases * c->copy_cols * pixel_step(c);
    const size_t rows = (b->rows - 1) * (s->stride[1] / c->row_step) + reach(s, 1) + 1;
    for (size_t k = 0; k < s->kernel[0]; k++, dst += c->copy_rows * row) {
        const size_t z = b->z * s->stride[0] + k * s->dilation[0] - s->pad[0]; // wraps below 0
        for (size_t r = 0; r < rows; r++) {
            const size_t y = b->row * s->stride[1] + r * c->row_step - s->pad[1];
            if (z < s->in[0] && y < s->in[1])
                copy_row(f, dst + r * row, z * s->in[1] + y,
                         (ptrdiff_t)(b->col * s->stride[2]) - (ptrdiff_t)s->pad[2]);
            else
                memset(dst + r * row, 0, row * sizeof *dst);
        }
    }
}

static void copied_view(const struct bnr_nchwc_conv_f32 *c, const float *copy,
                        struct bnr_nchwc_view *v) {
    v->src = copy;
    v->step = pixel_step(c);
    v->src_row = c->s.stride[1] / c->row_step * c->copy_phases * c->copy_cols * v->step;
    v->src_block = c->s.kernel[0] * c->copy_rows * c->copy_phases * c->copy_cols * v->step;
}

void bnr__nchwc_band_view(const struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_band *b,
                          const float *image, float *copy, struct bnr_nchwc_view *v) {
    const struct bnr_conv_shape *s = &c->s;
    if (c->copies) {
        struct source f = {.c = c, .image = image, .group = b->group};
        copied_view(c, copy, v);
        for (; f.block < c->in_blocks; f.block++)
            copy_planes(&f, b, copy + f.block * v->src_block);
        return;
    }
    const size_t line = b->z * s->stride[0] * s->in[1] + b->row * s->stride[1];
    v->step = pixel_step(c);
    v->src_block = volume(s->in) * v->step;
    v->src_row = s->stride[1] * s->in[2] * v->step;
    v->src = image + b->group * c->in_blocks * v->src_block + (line * s->in[2] + b->col) * v->step;
}

void bnr__nchwc_band_lanes(const struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_band *b,
                           const float *image, size_t block, float *copy,
                           struct bnr_nchwc_view *v) {
    struct source f = {.c = c, .image = image, .out_block = block};
    copied_view(c, copy, v);
    for (; f.block < c->s.cin; f.block++)
        copy_planes(&f, b, copy + f.block * v->src_block);
}
