// SPDX-License-Identifier: Apache-2.0
// nchwc_conv_f32: the choice of kernels and algorithm, weight packing, and the tasks: (images,
// group, band of pixels, blocks of output channels).
#include "runtime/kernels/nchwc_conv_f32.h"

#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/nchwc_band.h"
#include "runtime/kernels/nchwc_finish.h"
#include "runtime/kernels/nchwc_points.h"
#include "runtime/kernels/nchwc_winograd_f32.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"

static const struct bnr_nchwc_conv_f32_kernels *select_kernels(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_nchwc_conv_f32_kernels *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__nchwc_conv_f32_##isa},
#include "runtime/kernels/nchwc_conv_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_nchwc_conv_f32_kernels *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

size_t bnr__nchwc_lanes(unsigned cpu) {
    return select_kernels(cpu)->lanes;
}

static size_t volume(const size_t v[BNR_CONV_AXES]) {
    return v[0] * v[1] * v[2];
}

// ---- preparing ----------------------------------------------------------------------------------

// A 1x1 kernel that reads every pixel once sees no rows and planes: the image is one long row.
static void flatten(struct bnr_conv_shape *s) {
    for (int i = 0; i < BNR_CONV_AXES; i++) {
        if (s->kernel[i] != 1 || s->stride[i] != 1 || s->pad[i] != 0 || s->in[i] != s->out[i])
            return;
    }
    s->in[2] = s->out[2] = volume(s->in);
    s->in[0] = s->in[1] = s->out[0] = s->out[1] = 1;
}

static const struct bnr_nchwc_narrow_f32_kernels *select_narrow(const struct bnr_nchwc_conv_f32 *c,
                                                                unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_nchwc_narrow_f32_kernels *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__nchwc_narrow_f32_##isa},
#include "runtime/kernels/nchwc_narrow_f32.inc"
#undef BNR_KERNEL
    };
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        const size_t width = rows[i].kernels->lanes;
        if ((rows[i].needs & cpu) == rows[i].needs && width == c->s.cin &&
            (c->lanes == 2 * width || c->lanes == 4 * width))
            return rows[i].kernels;
    }
    return NULL;
}

static bool set_blocks(struct bnr_nchwc_conv_f32 *c, unsigned cpu) {
    const struct bnr_conv_shape *s = &c->s;
    size_t cin, cout, n;
    if (!bnr__size_mul(s->groups, s->cin, &cin) || !bnr__size_mul(s->groups, s->cout, &cout) ||
        cin > SIZE_MAX / 64 || cout > SIZE_MAX / 64)
        return false;
    c->lanewise =
        s->groups > 1 && (s->cout % c->lanes != 0 || (!c->plain && s->cin % c->lanes != 0));
    if (c->lanewise && !c->plain && s->cin == s->cout)
        c->narrow = select_narrow(c, cpu);
    c->lanewise = c->lanewise && !c->narrow;
    c->groups = c->lanewise || c->narrow ? 1 : s->groups;
    c->pixels = c->narrow ? c->narrow->pixels : c->kernels->pixels;
    c->out_blocks = ceil_div(c->groups == 1 ? cout : s->cout, c->lanes);
    c->in_blocks = c->plain ? s->cin : ceil_div(s->cin, c->lanes); // narrow: 1
    // Sizes of the whole tensors; the caller has them in memory, but not necessarily all of them.
    const size_t src_blocks = c->plain ? cin : ceil_div(cin, c->lanes) * c->lanes;
    const size_t dst_blocks = ceil_div(cout, c->lanes) * c->lanes;
    if (!bnr__size_mul(volume(s->in), src_blocks, &c->src_image) ||
        !bnr__size_mul(volume(s->out), dst_blocks, &c->dst_image))
        return false;
    n = c->out_blocks * c->lanes;
    return bnr__size_mul(n, s->cin, &n) && bnr__size_mul(n, c->taps, &n) &&
           bnr__size_mul(n, c->groups, &n) && bnr__size_mul(n, sizeof(float), &c->packed_bytes);
}

bool bnr__nchwc_conv_f32_init(struct bnr_nchwc_conv_f32 *c, const struct bnr_conv_shape *s,
                              const struct bnr_nchwc_options *o) {
    *c = (struct bnr_nchwc_conv_f32){.s = *s, .kernels = select_kernels(o->cpu), .plain = o->plain};
    c->far_memory = (o->cpu & BNR_CPU_FAR_MEMORY) != 0;
    c->eltwise = bnr__eltwise_f32_select(o->cpu);
    c->weight_kernels = bnr__weights_f32_select(o->cpu);
    c->lanes = c->kernels->lanes;
    c->taps = volume(s->kernel);
    if (s->groups * s->cin == 0 || s->batch * s->cout == 0 || volume(s->in) == 0 ||
        volume(s->out) == 0)
        return false;
    flatten(&c->s);
    if (!set_blocks(c, o->cpu))
        return false;
    c->algorithm = o->algorithm == BNR_NCHWC_AUTO ? bnr__nchwc_choose_algorithm(c, o->prologue)
                                                  : o->algorithm;
    c->variant = (uint64_t)s->groups << 16 | (uint64_t)c->algorithm << 12 |
                 (uint64_t)c->lanes << 4 | (uint64_t)c->plain;
    return c->algorithm == BNR_NCHWC_DIRECT ? bnr__nchwc_band_init(c, o->prologue, o->threads)
                                            : bnr__nchwc_winograd_init(c, o);
}

bool bnr__nchwc_conv_f32_accepts(const struct bnr_eltwise *e) {
    for (int i = 0; i < e->n; i++) {
        if (e->step[i].form == BNR_FORM_COLUMN)
            return false;
    }
    return true;
}

// ---- packing weights ----------------------------------------------------------------------------

// Packed, of an output block.
static size_t block_floats(const struct bnr_nchwc_conv_f32 *c) {
    return c->lanes * c->s.cin * (c->algorithm == BNR_NCHWC_DIRECT ? c->taps : c->form.points);
}

// The weights of nb output blocks: [input block][tap][channel of it][nb][c].
static bool pack_blocks(const struct bnr_nchwc_conv_f32 *c, float *dst,
                        const struct bnr_weights_rows *w, size_t block, size_t nb) {
    const size_t cin = c->s.cin, step = c->plain ? 1 : c->lanes, width = nb * c->lanes;
    struct bnr_weights_turn t = {
        .dst = dst,
        .factors = w->factors,
        .rows = min_size(width, c->s.cout - block * c->lanes),
        .src_step = cin * c->taps,
        .taps = c->taps,
        .width = width,
        .dst_step = width,
    };
    bool finite = true;
    for (size_t base = 0; base < cin; base += step) {
        t.src = w->w + base * c->taps;
        t.cols = min_size(step, cin - base) * c->taps;
        finite &= c->weight_kernels->turn(&t);
        t.dst += t.cols * width;
    }
    return finite;
}

// One output block's: [input channel of the group][tap][c].
static void pack_lanes(const struct bnr_nchwc_conv_f32 *c, float *dst, const float *w,
                       size_t block) {
    const size_t cout = c->s.groups * c->s.cout, steps = c->s.cin * c->taps;
    const size_t used = min_size(c->lanes, cout - block * c->lanes);
    for (size_t k = 0; k < steps; k++, dst += c->lanes) {
        for (size_t l = 0; l < c->lanes; l++)
            dst[l] = l < used ? w[l * steps + k] : 0;
    }
}

// One group's, for narrow tiles: [tap][channel][lane].
static void pack_group(const struct bnr_nchwc_conv_f32 *c, float *dst, const float *w) {
    const size_t width = c->s.cin;
    for (size_t tap = 0; tap < c->taps; tap++) {
        for (size_t ci = 0; ci < width; ci++, dst += width) {
            for (size_t i = 0; i < width; i++)
                dst[i] = w[(i * width + ci) * c->taps + tap];
        }
    }
}

static bool pack_phases(const struct bnr_nchwc_conv_f32 *c, float *dst,
                        const struct bnr_weights_rows *w, size_t block, size_t nb) {
    float kernels[BNR_NCHWC_NB * BNR_CONV_LANES_MAX * BNR_WINOGRAD_PHASE_CHANNELS *
                  BNR_WINOGRAD_PHASE_TAPS];
    const struct bnr_weights_rows rows = {(const bnr_any_float *)kernels, w->factors};
    bnr__winograd_phase_kernels(c, kernels, w->w,
                                min_size(nb * c->lanes, c->s.cout - block * c->lanes));
    return bnr__nchwc_winograd_pack(c, dst, &rows, block, nb);
}

static bool pack_pair(const struct bnr_nchwc_conv_f32 *c, float *dst,
                      const struct bnr_weights_rows *w, size_t block) {
    const size_t nb = min_size(BNR_NCHWC_NB, c->out_blocks - block);
    if (c->algorithm == BNR_NCHWC_DIRECT)
        return pack_blocks(c, dst, w, block, nb);
    if (c->algorithm == BNR_NCHWC_PHASES)
        return pack_phases(c, dst, w, block, nb);
    return bnr__nchwc_winograd_pack(c, dst, w, block, nb);
}

size_t bnr__nchwc_conv_f32_row(const struct bnr_nchwc_conv_f32 *c) {
    const struct bnr_conv_shape *s = c->algorithm == BNR_NCHWC_PHASES ? &c->whole : &c->s;
    return s->cin * volume(s->kernel);
}

// A part is what goes through a tile at once, or a group where there are several.
struct bnr_conv_parts bnr__nchwc_conv_f32_parts(const struct bnr_nchwc_conv_f32 *c) {
    const size_t k = bnr__nchwc_conv_f32_row(c);
    if (c->lanewise)
        return (struct bnr_conv_parts){c->out_blocks, c->lanes * k};
    if (c->s.groups > 1)
        return (struct bnr_conv_parts){c->s.groups, c->s.cout * k};
    return (struct bnr_conv_parts){ceil_div(c->out_blocks, BNR_NCHWC_NB),
                                   BNR_NCHWC_NB * c->lanes * k};
}

bool bnr__nchwc_conv_f32_packs_rows(const struct bnr_nchwc_conv_f32 *c) {
    return !c->lanewise && !c->narrow;
}

bool bnr__nchwc_conv_f32_pack_part(const struct bnr_nchwc_conv_f32 *c, float *dst,
                                   const struct bnr_weights_rows *src, size_t part) {
    const size_t block = block_floats(c), row = bnr__nchwc_conv_f32_row(c);
    const float *aligned = (const float *)(const void *)src->w;
    bool finite = true;
    if (c->lanewise) {
        pack_lanes(c, dst + part * block, aligned, part);
    } else if (c->narrow) {
        pack_group(c, dst + part * c->s.cin * row, aligned);
    } else if (c->s.groups == 1) {
        part *= BNR_NCHWC_NB;
        finite = pack_pair(c, dst + part * block, src, part);
    } else {
        dst += part * c->out_blocks * block;
        for (size_t b = 0; b < c->out_blocks; b += BNR_NCHWC_NB) {
            const size_t first = b * c->lanes;
            const struct bnr_weights_rows w = {src->w + first * row,
                                               src->factors ? src->factors + first : NULL};
            finite &= pack_pair(c, dst + b * block, &w, b);
        }
    }
    return finite;
}

void bnr__nchwc_conv_f32_pack(const struct bnr_nchwc_conv_f32 *c, float *dst,
                              const float *weights) {
    const struct bnr_conv_parts parts = bnr__nchwc_conv_f32_parts(c);
    for (size_t i = 0; i < parts.n; i++) {
        const struct bnr_weights_rows w = {.w = weights + i * parts.elems};
        bnr__nchwc_conv_f32_pack_part(c, dst, &w, i);
    }
}

// ---- running ------------------------------------------------------------------------------------

struct job {
    const struct bnr_nchwc_conv_f32_run *r;
    const size_t *offset;
    struct bnr_nchwc_finish finish;
    struct bnr_slots slots;
    size_t image_parts, block_parts;
};

// One task's place, and the blocks of input whose products are being added.
struct task {
    struct bnr_nchwc_band band;
    size_t image, images, block, blocks;
    size_t in_block, in_blocks;
};

// All groups of a block.
static void run_narrow_kernel(const struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_tile *tile,
                              size_t block, int rows, int cols) {
    const size_t width = c->s.cin, ratio = c->lanes / width;
    struct bnr_nchwc_tile t = *tile;
    t.last_bias = (int)width;
    for (size_t i = 0; i < ratio && block * ratio + i < c->s.groups; i++) {
        c->narrow->tile(&t, (int)ratio, rows, cols);
        t.src += width;
        t.weights += width * width * c->taps;
        t.dst += width;
        t.bias = t.bias ? t.bias + width : NULL;
        t.residual = t.residual ? t.residual + width : NULL;
    }
}

static void run_kernel(const struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_tile *t,
                       size_t block, int nb, int rows, int cols) {
    if (c->narrow)
        run_narrow_kernel(c, t, block, rows, cols);
    else if (c->lanewise)
        c->kernels->tile_lanes(t, nb, rows, cols);
    else if (c->plain)
        c->kernels->tile_plain(t, nb, rows, cols);
    else
        c->kernels->tile(t, nb, rows, cols);
}

// The first pixel of output blocks.
struct corner {
    size_t image, block, row, col; // block of the group, row and column of the band
};

static size_t pixel_of(const struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_band *b,
                       const struct corner *at) {
    return ((b->z * c->s.out[1]) + b->row + at->row) * c->s.out[2] + b->col + at->col;
}

static bool is_last_input(const struct job *j, const struct task *k) {
    return k->in_block + k->in_blocks == j->r->c->in_blocks;
}

// The sum over the input blocks in front is what the later ones' is added to.
static void run_tile(const struct job *j, const struct task *k, struct bnr_nchwc_tile *t,
                     const struct corner *corner, int nb, int rows, int cols) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    const size_t block = corner->block + k->band.group * c->out_blocks;
    const size_t at = block * t->dst_block + pixel_of(c, &k->band, corner) * c->lanes;
    const float *residual = j->finish.residual;
    t->dst = j->r->dst + corner->image * c->dst_image + at;
    t->residual = residual ? residual + corner->image * j->finish.blocks * t->dst_block + at : NULL;
    if (k->in_block > 0)
        t->residual = t->dst;
    run_kernel(c, t, block, nb, rows, cols);
}

// The steps of the epilogue that tiles leave out, for `rows` rows of `cols` pixels.
static void finish_pixels(const struct job *j, const struct task *k, const struct corner *corner,
                          size_t nb, size_t rows, size_t cols) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    struct bnr_nchwc_span s = {.image = corner->image, .blocks = nb, .pixels = cols};
    s.block = corner->block + k->band.group * c->out_blocks;
    s.pixel = pixel_of(c, &k->band, corner);
    for (size_t i = 0; i < rows; i++, s.pixel += c->s.out[2]) {
        s.dst = j->r->dst + s.image * c->dst_image + s.block * j->finish.plane + s.pixel * c->lanes;
        bnr__nchwc_finish_rest(&j->finish, j->r, &s);
    }
}

// Channels of input that go into the tile, times taps.
static size_t depth(const struct bnr_nchwc_tile *t) {
    return ((t->blocks - 1) * t->channels + t->last_channels) * t->taps;
}

static size_t rows_of_tile(const struct bnr_nchwc_conv_f32 *c, size_t cols, size_t rows_left) {
    return cols * 2 <= c->pixels && rows_left > 1 ? 2 : 1;
}

// All pixels of a band for nb blocks of output from `block` on.
static void run_pixels(const struct job *j, const struct task *k, struct bnr_nchwc_tile *t,
                       const struct bnr_nchwc_view *v, size_t image, size_t block, int nb) {
    enum { TILES_TO_FINISH = 4 }; // what they write stays in L1
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    const size_t most = c->pixels, pieces = ceil_div(k->band.cols, most);
    const bool rest = j->finish.n_rest > 0 && is_last_input(j, k);
    struct corner at = {.image = image, .block = block}, first = at;
    t->src_block = v->src_block;
    t->src_row = v->src_row;
    for (size_t rows; at.row < k->band.rows; at.row += rows) {
        rows = rows_of_tile(c, k->band.cols, k->band.rows - at.row);
        for (size_t i = 1; i <= pieces; i++) {
            const size_t end = k->band.cols * i / pieces;
            at.col = k->band.cols * (i - 1) / pieces;
            t->src = v->src + at.row * v->src_row + at.col * v->step;
            run_tile(j, k, t, &at, nb, (int)rows, (int)(end - at.col));
            t->ahead += t->ahead_step * depth(t);
            if (!rest || (i % TILES_TO_FINISH && i < pieces))
                continue;
            first.row = at.row;
            first.col = k->band.cols * ((i - 1) / TILES_TO_FINISH * TILES_TO_FINISH) / pieces;
            finish_pixels(j, k, &first, (size_t)nb, rows, end - first.col);
        }
    }
}

// The fields of a tile that follow from its blocks of output.
static void set_blocks_of_tile(const struct bnr_nchwc_conv_f32_run *r, struct bnr_nchwc_tile *t,
                               size_t group, size_t block, size_t nb) {
    const struct bnr_nchwc_conv_f32 *c = r->c;
    const size_t cout = c->groups == 1 ? c->s.groups * c->s.cout : c->s.cout;
    const size_t last = (block + nb - 1) * c->lanes;
    t->weights = c->weights + (group * c->out_blocks + block) * block_floats(c);
    t->bias = r->bias ? r->bias + group * cout + block * c->lanes : NULL;
    t->last_bias = (int)min_size(c->lanes, cout - last);
    t->half = cout - last <= c->lanes / 2;
}

// As many blocks of input at a time as leave room in L2 for the weights of the next ones.
static size_t inputs_at_once(const struct bnr_nchwc_conv_f32 *c) {
    enum { MOST_FLOATS = 80 * 1024, FLOATS = 40 * 1024 };
    const size_t block = BNR_NCHWC_NB * c->lanes * (c->plain ? 1 : c->lanes) * c->taps;
    if (c->in_blocks * block <= MOST_FLOATS)
        return c->in_blocks;
    return even_piece(c->in_blocks, max_size(FLOATS / block, 1), 1);
}

// Only the task's input blocks go into the tile, which has all set for the whole input. The next
// weights come from memory in equal shares while the tiles of these are computed.
static void set_inputs_of_tile(const struct job *j, const struct task *k, struct bnr_nchwc_tile *t,
                               size_t nb) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    const size_t width = nb * c->lanes;
    const size_t rows = ceil_div(k->band.rows, rows_of_tile(c, k->band.cols, k->band.rows));
    const size_t tiles = k->images * rows * ceil_div(k->band.cols, c->pixels);
    const bool last = is_last_input(j, k);
    t->blocks = k->in_blocks;
    t->last_channels = last && !c->plain ? c->s.cin - (c->in_blocks - 1) * c->lanes : t->channels;
    t->weights += width * c->taps * k->in_block * t->channels;
    t->ahead_step = ceil_div(width, tiles);
    t->ahead = t->weights + width * depth(t);
    t->clamp = last && j->finish.clamp;
    if (!last)
        t->bias = NULL;
}

static void run_direct(const struct job *j, struct task *k, struct bnr_nchwc_tile *t, float *copy) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    const size_t step = c->copies ? c->copy_floats : c->src_image, most = inputs_at_once(c);
    struct bnr_nchwc_view v;
    for (size_t i = k->images; i-- > 0;)
        bnr__nchwc_band_view(c, &k->band, j->r->src + (k->image + i) * c->src_image,
                             copy + i * (c->copies ? step : 0), &v);
    const float *first = v.src; // of the first image
    for (size_t b = k->block, nb; b < k->block + k->blocks; b += nb) {
        nb = min_size(BNR_NCHWC_NB, k->block + k->blocks - b);
        for (k->in_block = 0; k->in_block < c->in_blocks; k->in_block += k->in_blocks) {
            k->in_blocks = min_size(most, c->in_blocks - k->in_block);
            set_blocks_of_tile(j->r, t, k->band.group, b, nb);
            set_inputs_of_tile(j, k, t, nb);
            for (size_t i = 0; i < k->images; i++) {
                v.src = first + i * step + k->in_block * v.src_block;
                run_pixels(j, k, t, &v, k->image + i, b, (int)nb);
            }
        }
    }
}

static void run_block_by_block(const struct job *j, const struct task *k, struct bnr_nchwc_tile *t,
                               float *copy) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    struct bnr_nchwc_band band = k->band;
    struct bnr_nchwc_view v;
    for (size_t i = k->image; i < k->image + k->images; i++) {
        for (size_t b = k->block; b < k->block + k->blocks; b++) {
            const float *image = j->r->src + i * c->src_image;
            band.group = b;
            if (c->lanewise)
                bnr__nchwc_band_lanes(c, &band, image, b, copy, &v);
            else
                bnr__nchwc_band_view(c, &band, image, copy, &v);
            set_blocks_of_tile(j->r, t, 0, b, 1);
            run_pixels(j, k, t, &v, i, b, 1);
        }
    }
}

static struct task find_task(const struct job *j, size_t index) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    const struct bnr_conv_shape *s = &c->s;
    struct task k = {.in_blocks = c->in_blocks};
    k.block = index % j->block_parts * c->band_blocks;
    k.blocks = min_size(c->band_blocks, c->out_blocks - k.block);
    index /= j->block_parts;
    size_t i = index % c->col_parts;
    k.band.col = part_start(s->out[2], c->col_parts, c->col_unit, i);
    k.band.cols = part_start(s->out[2], c->col_parts, c->col_unit, i + 1) - k.band.col;
    index /= c->col_parts;
    i = index % c->row_parts;
    k.band.row = part_start(s->out[1], c->row_parts, c->row_unit, i);
    k.band.rows = part_start(s->out[1], c->row_parts, c->row_unit, i + 1) - k.band.row;
    index /= c->row_parts;
    k.band.z = index % s->out[0];
    index /= s->out[0];
    k.image = index % j->image_parts * c->band_images;
    k.images = min_size(c->band_images, s->batch - k.image);
    k.band.group = index / j->image_parts;
    return k;
}

// What all tiles have in common.
static struct bnr_nchwc_tile common_tile(const struct bnr_nchwc_conv_f32 *c,
                                         const struct bnr_nchwc_finish *finish) {
    return (struct bnr_nchwc_tile){
        .taps = c->taps,
        .blocks = c->lanewise ? c->s.cin : c->in_blocks,
        .channels = c->plain ? 1 : c->lanes,
        .last_channels = c->plain ? 1 : c->s.cin - (c->in_blocks - 1) * c->lanes,
        .far = c->taps == 1,
        .dst_block = volume(c->s.out) * c->lanes,
        .dst_row = c->s.out[2] * c->lanes,
        .clamp = finish->clamp,
        .lo = finish->lo,
        .hi = finish->hi,
    };
}

static void run_task(const struct job *j, size_t index, float *copy) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    struct task k = find_task(j, index);
    struct bnr_nchwc_tile t = common_tile(c, &j->finish);
    t.offset = j->offset;
    if (c->lanewise || c->narrow)
        run_block_by_block(j, &k, &t, copy);
    else
        run_direct(j, &k, &t, copy);
}

static void run_tasks(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    void *scratch = bnr__slots_take(&j->slots);
    for (size_t t = begin; t < end; t++)
        run_task(j, t, scratch);
    bnr__slots_give(&j->slots, scratch);
}

void bnr__nchwc_conv_f32_run(const struct bnr_nchwc_conv_f32_run *r, struct bnr_pool *pool) {
    const struct bnr_nchwc_conv_f32 *c = r->c;
    struct job j = {.r = r, .offset = r->scratch};
    bnr__nchwc_finish_init(&j.finish, r);
    if (c->algorithm != BNR_NCHWC_DIRECT) {
        bnr__nchwc_winograd_run(r, &j.finish, pool);
        return;
    }
    bnr__nchwc_band_offsets(c, r->scratch);
    j.image_parts = ceil_div(c->s.batch, c->band_images);
    j.block_parts = ceil_div(c->out_blocks, c->band_blocks);
    bnr__slots_init(&j.slots, (char *)r->scratch + c->table_bytes, c->slot_bytes, c->slots);
    const size_t tasks =
        c->groups * j.image_parts * c->s.out[0] * c->row_parts * c->col_parts * j.block_parts;
    bnr__parallel_for(pool, tasks, 1, run_tasks, &j);
}

// ---- pointwise, for a reader of its own ---------------------------------------------------------

bool bnr__nchwc_conv_f32_has_points(const struct bnr_nchwc_conv_f32 *c) {
    for (int i = 0; i < c->e.n; i++) {
        if (c->e.step[i].kind < BNR_ELTWISE_CLAMP) // reads an array
            return false;
    }
    return c->algorithm == BNR_NCHWC_DIRECT && c->taps == 1 && c->s.groups == 1 && !c->plain &&
           !c->copies && c->s.in[2] == volume(c->s.in) && inputs_at_once(c) == c->in_blocks;
}

void bnr__nchwc_conv_f32_points(const struct bnr_nchwc_conv_f32_run *r,
                                const struct bnr_nchwc_finish *finish,
                                const struct bnr_nchwc_points *p) {
    static const size_t no_offset[1] = {0};
    const struct bnr_nchwc_conv_f32 *c = r->c;
    const float *src = r->src + p->image * c->src_image + p->pixel * c->lanes;
    const size_t pieces = ceil_div(p->pixels, c->pixels);
    struct bnr_nchwc_tile t = common_tile(c, finish);
    t.offset = no_offset;
    t.src_block = c->s.in[2] * c->lanes;
    t.dst_block = p->dst_block;
    set_blocks_of_tile(r, &t, 0, p->block, p->blocks);
    for (size_t i = 0; i < pieces; i++) {
        const size_t first = part_start(p->pixels, pieces, 1, i);
        const size_t end = part_start(p->pixels, pieces, 1, i + 1);
        t.src = src + first * c->lanes;
        t.dst = p->dst + first * c->lanes;
        c->kernels->tile(&t, (int)p->blocks, 1, (int)(end - first));
    }
    const struct bnr_eltwise_tile e = {.dst = p->dst,
                                       .src = p->dst,
                                       .ld = p->dst_block,
                                       .rows = p->blocks,
                                       .cols = p->pixels * c->lanes};
    for (int i = 0; i < finish->n_rest; i++)
        c->eltwise->tile(&finish->rest[i], r->operands, &e);
}
