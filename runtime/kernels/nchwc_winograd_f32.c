// SPDX-License-Identifier: Apache-2.0
// nchwc_winograd_f32: chunks of tiles, each transformed, multiplied and transformed back while it
// is in the caches. U is the transformed input of a chunk, [point][piece of tiles][block][tile][c],
// M the product of a pair of output blocks, [point][block][tile][c].
#include "runtime/kernels/nchwc_winograd_f32.h"

#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"

enum {
    POINTS_LINE_MAX = 8,
    PATCH_FLOATS = POINTS_LINE_MAX * POINTS_LINE_MAX * BNR_CONV_LANES_MAX,
};

static const struct bnr_nchwc_winograd_f32_kernels *select_kernels(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_nchwc_winograd_f32_kernels *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__nchwc_winograd_f32_##isa},
#include "runtime/kernels/nchwc_winograd_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_nchwc_winograd_f32_kernels *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

// ---- preparing ----------------------------------------------------------------------------------

// An odd number of vectors, so that the points of a tile do not fall into few sets of a cache.
static bool point_floats(size_t lanes, size_t vectors, size_t *floats) {
    return vectors < SIZE_MAX / 2 && bnr__size_mul(vectors | 1, lanes, floats);
}

// As many tiles as keep U near L2, so that the weights go by as rarely as possible; pieces of whole
// register tiles.
static size_t choose_chunk(const struct bnr_nchwc_conv_f32 *c, size_t tiles) {
    enum { U_FLOATS = 32 * 1024 };
    const size_t pixels = c->kernels->pixels;
    size_t most = U_FLOATS / (c->form.points * c->in_blocks * c->lanes) / pixels * pixels;
    most = max_size(most, 2 * pixels);
    return ceil_div(tiles, ceil_div(tiles, most));
}

static size_t count_tiles(const struct bnr_nchwc_conv_f32 *c) {
    return c->planes * c->tile_rows * c->tile_cols;
}

// Tasks of so many tiles and output blocks that the threads are done as early as possible. Output
// blocks that are shared out cost an input transform each.
static void share(struct bnr_nchwc_conv_f32 *c) {
    const size_t tiles = count_tiles(c), slots = (size_t)c->slots, pixels = c->kernels->pixels;
    const size_t fewest = ceil_div(tiles, c->chunk);
    const size_t most = min_size(ceil_div(tiles, pixels), fewest + 4 * slots);
    double least = -1;
    for (size_t chunks = fewest; chunks <= max_size(most, fewest); chunks++) {
        for (size_t parts = 1; parts <= 2 * slots; parts++) {
            const size_t pairs = ceil_div(c->out_blocks, parts * BNR_NCHWC_NB);
            const size_t blocks = pairs * BNR_NCHWC_NB, chunk = ceil_div(tiles, chunks);
            const size_t cut = ceil_div(tiles, chunk);
            const size_t tasks = cut * ceil_div(c->out_blocks, blocks) * c->s.groups;
            const double e = (double)ceil_div(tasks, slots) *
                             bnr__winograd_cost(c, &c->form, (double)tiles / (double)cut,
                                                min_size(blocks, c->out_blocks));
            if (least >= 0 && e >= least)
                continue;
            least = e;
            c->chunk = chunk;
            c->band_blocks = blocks;
        }
    }
}

// Phases of the input of a row of tiles, as many as are transformed at once.
static size_t phase_pixels(const struct bnr_nchwc_conv_f32 *c, size_t tiles) {
    return ceil_div((tiles - 1) * c->form.tile_w + c->form.patch_w, c->lanes) * c->lanes;
}

bool bnr__nchwc_winograd_init(struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_options *o) {
    const struct bnr_conv_shape *s = &c->s;
    const bool phases = c->algorithm == BNR_NCHWC_PHASES;
    size_t packed = c->packed_bytes / c->taps;
    if (phases && (o->prologue || !bnr__size_mul(packed, 4, &packed) || !bnr__winograd_phases(c)))
        return false;
    if (!bnr__winograd_form(c, c->algorithm, &c->form))
        return false;
    c->winograd = &select_kernels(o->cpu)->kind[c->form.kind];
    c->phase_row = select_kernels(o->cpu)->phase_row;
    c->planes = s->batch * s->out[0];
    c->tile_rows = ceil_div(s->out[1], c->form.tile_h);
    c->tile_cols = ceil_div(s->out[2], c->form.tile_w);
    c->copies = o->prologue;
    c->band_blocks = ceil_div(c->out_blocks, BNR_NCHWC_NB) * BNR_NCHWC_NB;
    c->slots = bnr__slots_count(o->threads);
    c->chunk = choose_chunk(c, count_tiles(c));
    if (c->slots > 1)
        share(c);
    const size_t row = phases ? phase_pixels(c, c->kernels->pixels) * c->lanes : 0;
    const size_t patch = phases ? c->form.patch_h * row : PATCH_FLOATS;
    size_t u, v;
    return bnr__size_mul(packed, c->form.points, &c->packed_bytes) &&
           bnr__size_mul(c->in_blocks, c->chunk, &u) && point_floats(c->lanes, u, &c->u_point) &&
           point_floats(c->lanes, BNR_NCHWC_NB * c->chunk, &c->m_point) &&
           bnr__size_mul(c->u_point, c->form.points, &u) &&
           bnr__size_mul(c->m_point, c->form.points, &v) && bnr__size_add(v, patch, &v) &&
           bnr__slots_bytes(c->slots, u, v, &c->slot_bytes, &c->scratch_bytes);
}

// [point][channel][nb][c]
bool bnr__nchwc_winograd_pack(const struct bnr_nchwc_conv_f32 *c, float *dst,
                              const struct bnr_weights_rows *w, size_t block, size_t nb) {
    const struct bnr_conv_shape *s = &c->s;
    const size_t width = nb * c->lanes;
    const struct bnr_winograd_weights t = {.src = *w,
                                           .dst = dst,
                                           .channels = s->cin,
                                           .src_row = s->cin * c->taps,
                                           .dst_point = s->cin * width,
                                           .dst_channel = width,
                                           .rows = min_size(width, s->cout - block * c->lanes),
                                           .width = width};
    return c->winograd->weights(&t);
}

// ---- running ------------------------------------------------------------------------------------

struct job {
    const struct bnr_nchwc_conv_f32_run *r;
    const struct bnr_nchwc_finish *finish;
    struct bnr_slots slots;
    size_t chunks, block_parts;
};

struct task {
    size_t group, block, blocks, tile, tiles;
    float *u, *m, *patch;
};

// A tile's first output pixel.
struct place {
    size_t image, z, y, x;
};

static struct place find_tile(const struct bnr_nchwc_conv_f32 *c, size_t tile) {
    const size_t plane = tile / c->tile_cols / c->tile_rows;
    return (struct place){
        .image = plane / c->s.out[0],
        .z = plane % c->s.out[0],
        .y = tile / c->tile_cols % c->tile_rows * c->form.tile_h,
        .x = tile % c->tile_cols * c->form.tile_w,
    };
}

static void next_tile(const struct bnr_nchwc_conv_f32 *c, struct place *p) {
    p->x += c->form.tile_w;
    if (p->x < c->tile_cols * c->form.tile_w)
        return;
    p->x = 0;
    p->y += c->form.tile_h;
    if (p->y < c->tile_rows * c->form.tile_h)
        return;
    p->y = 0;
    if (++p->z < c->s.out[0])
        return;
    p->z = 0;
    p->image++;
}

// One block's patch with zeros around the image, which starts at `plane`; first: its channel.
static void fill_patch(const struct bnr_nchwc_conv_f32 *c, float *patch, const float *plane,
                       size_t first, const struct place *p) {
    const struct bnr_conv_shape *s = &c->s;
    const struct bnr_nchwc_prologue *pro = &c->prologue;
    const size_t height = c->form.patch_h, width = c->form.patch_w, lanes = c->lanes;
    const size_t skip = p->x < s->pad[2] ? s->pad[2] - p->x : 0; // columns left of the image
    const size_t x = p->x + skip - s->pad[2];
    const size_t cols = x < s->in[2] && skip < width ? min_size(width - skip, s->in[2] - x) : 0;
    struct bnr_nchwc_copy copy = {
        .n = cols,
        .step = 1,
        .s = pro->s ? pro->s + first : NULL,
        .t = pro->t ? pro->t + first : NULL,
        .lanes = (int)min_size(lanes, s->groups * s->cin - first),
        .clamp = pro->clamp,
        .lo = pro->lo,
        .hi = pro->hi,
    };
    memset(patch, 0, height * width * lanes * sizeof *patch);
    for (size_t i = 0; i < height && cols; i++) {
        const size_t y = p->y + i - s->pad[1]; // wraps below 0
        if (y >= s->in[1])
            continue;
        copy.dst = patch + (i * width + skip) * lanes;
        copy.src = plane + (y * s->in[2] + x) * lanes;
        c->kernels->copy(&copy);
    }
}

// One block's pixels of the phases for `tiles` tiles of a row; first: its channel.
static size_t fill_phases(const struct bnr_nchwc_conv_f32 *c, float *dst, const float *image,
                          size_t first, const struct place *p, size_t tiles) {
    const struct bnr_conv_shape *w = &c->whole;
    struct bnr_winograd_phase_row r = {.dst = dst,
                                       .first = (ptrdiff_t)p->x - (ptrdiff_t)c->s.pad[2],
                                       .pixels = phase_pixels(c, tiles)};
    for (size_t i = 0; i < c->form.patch_h; i++, r.dst += r.pixels * c->lanes) {
        const size_t y = p->y + i - c->s.pad[1]; // wraps below 0
        for (size_t phase = 0, channel = 0; phase < 4; phase++) {
            const size_t row = 2 * y + phase / 2, odd = phase % 2;
            const bool exists = y < c->s.in[1] && row < w->in[1];
            const float *src = image + (exists ? row * w->in[2] + odd : 0);
            for (size_t k = 0; k < w->cin; k++, channel++, src += w->in[1] * w->in[2]) {
                if (channel < first || channel >= first + c->lanes)
                    continue;
                r.count[channel - first] = exists ? (ptrdiff_t)((w->in[2] - odd + 1) / 2) : 0;
                r.row[channel - first] = src;
            }
        }
        c->phase_row(&r);
    }
    return r.pixels * c->lanes;
}

// How many tiles from p on, in its row of tiles, lie inside of the image with all their patches.
static size_t count_inside(const struct bnr_nchwc_conv_f32 *c, const struct place *p) {
    const struct bnr_conv_shape *s = &c->s;
    const size_t height = c->form.patch_h, width = c->form.patch_w;
    if (c->copies || p->y < s->pad[1] || p->x < s->pad[2] || p->y - s->pad[1] + height > s->in[1] ||
        p->x - s->pad[2] + width > s->in[2])
        return 0;
    const size_t more = (s->in[2] - width - (p->x - s->pad[2])) / c->form.tile_w;
    return min_size(more + 1, c->tile_cols - p->x / c->form.tile_w);
}

// Input block `block` of tiles first .. last - 1 of the chunk.
static void transform_input(const struct job *j, const struct task *k, size_t first, size_t last,
                            size_t block) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    const struct bnr_conv_shape *s = &c->s;
    const size_t lanes = c->lanes, plane = s->in[1] * s->in[2] * lanes;
    struct bnr_winograd_input t = {.dst_point = c->u_point, .src_next = c->form.tile_w * lanes};
    t.dst = k->u + (first * c->in_blocks + block * (last - first)) * lanes;
    for (; first < last; first += t.tiles, t.dst += t.tiles * lanes) {
        const struct place p = find_tile(c, k->tile + first);
        const float *src = j->r->src + p.image * c->src_image +
                           ((k->group * c->in_blocks + block) * s->in[0] + p.z) * plane;
        t.tiles = min_size(count_inside(c, &p), last - first);
        t.src_row = c->form.patch_h == 1 ? lanes : s->in[2] * lanes;
        if (t.tiles > 0) {
            t.src = src + ((p.y - s->pad[1]) * s->in[2] + p.x - s->pad[2]) * lanes;
        } else {
            fill_patch(c, k->patch, src, k->group * s->cin + block * lanes, &p);
            t.tiles = 1;
            t.src = k->patch;
            t.src_row = c->form.patch_h == 1 ? lanes : c->form.patch_w * lanes;
        }
        c->winograd->input(&t);
    }
}

// The same for tiles of the input's phases.
static void transform_phases(const struct job *j, const struct task *k, size_t first, size_t last,
                             size_t block) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    const size_t lanes = c->lanes;
    struct bnr_winograd_input t = {
        .src = k->patch, .dst_point = c->u_point, .src_next = c->form.tile_w * lanes};
    t.dst = k->u + (first * c->in_blocks + block * (last - first)) * lanes;
    for (; first < last; first += t.tiles, t.dst += t.tiles * lanes) {
        const struct place p = find_tile(c, k->tile + first);
        const float *image = j->r->src + p.image * c->src_image;
        t.tiles = min_size(c->tile_cols - p.x / c->form.tile_w, last - first);
        t.src_row = fill_phases(c, k->patch, image, block * lanes, &p, t.tiles);
        c->winograd->input(&t);
    }
}

// The tiles' pieces, each of one register tile's width.
static size_t piece_start(const struct bnr_nchwc_conv_f32 *c, const struct task *k, size_t i) {
    return k->tiles * i / ceil_div(k->tiles, c->kernels->pixels);
}

static void transform_inputs(const struct job *j, const struct task *k) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    for (size_t first = 0, last, i = 0; first < k->tiles; first = last) {
        last = piece_start(c, k, ++i);
        for (size_t block = 0; block < c->in_blocks; block++) {
            if (c->algorithm == BNR_NCHWC_PHASES)
                transform_phases(j, k, first, last, block);
            else
                transform_input(j, k, first, last, block);
        }
    }
}

static void multiply(const struct job *j, const struct task *k, size_t block, size_t nb) {
    static const size_t no_offset[1] = {0};
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    struct bnr_nchwc_tile t = {
        .offset = no_offset,
        .taps = 1,
        .blocks = c->in_blocks,
        .channels = c->lanes,
        .last_channels = c->s.cin - (c->in_blocks - 1) * c->lanes,
        .dst_block = k->tiles * c->lanes,
    };
    const size_t all = c->s.cin * c->lanes * c->form.points; // floats of an output block's weights
    t.weights = c->weights + (k->group * c->out_blocks + block) * all;
    const size_t step = c->s.cin * nb * c->lanes; // of a point's
    t.ahead_step = ceil_div(nb * c->lanes, ceil_div(k->tiles, c->kernels->pixels));
    t.ahead_l2 = true; // L1 has this point's and the tiles to hold
    for (size_t point = 0; point < c->form.points; point++, t.weights += step) {
        t.ahead = t.weights + step;
        for (size_t first = 0, last, i = 0; first < k->tiles; first = last) {
            last = piece_start(c, k, ++i);
            t.src = k->u + point * c->u_point + first * c->in_blocks * c->lanes;
            t.src_block = (last - first) * c->lanes;
            t.dst = k->m + point * c->m_point + first * c->lanes;
            c->kernels->tile(&t, (int)nb, 1, (int)(last - first));
            t.ahead += t.ahead_step * c->s.cin;
        }
    }
}

static void transform_output(const struct job *j, const struct task *k, const struct place *p,
                             size_t block, const float *m) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    const struct bnr_conv_shape *s = &c->s;
    const size_t channel = block * c->lanes;
    struct bnr_nchwc_span span = {
        .image = p->image, .block = k->group * c->out_blocks + block, .blocks = 1};
    span.pixel = (p->z * s->out[1] + p->y) * s->out[2] + p->x;
    span.pixels = min_size(c->form.tile_w, s->out[2] - p->x);
    const size_t at = span.block * j->finish->plane + span.pixel * c->lanes;
    struct bnr_winograd_output t = {
        .src = m,
        .dst = j->r->dst + p->image * c->dst_image + at,
        .src_point = c->m_point,
        .dst_row = c->form.tile_h == 1 ? c->lanes : s->out[2] * c->lanes,
        .rows = (int)min_size(c->form.tile_h, s->out[1] - p->y),
        .cols = (int)span.pixels,
        .bias = j->r->bias ? j->r->bias + k->group * s->cout + channel : NULL,
        .bias_lanes = (int)min_size(c->lanes, s->cout - channel),
        .residual = j->finish->residual,
        .clamp = j->finish->clamp,
        .lo = j->finish->lo,
        .hi = j->finish->hi,
    };
    if (t.residual)
        t.residual += p->image * j->finish->blocks * j->finish->plane + at;
    c->winograd->output(&t);
    for (int i = 0; i < t.rows && j->finish->n_rest; i++, span.pixel += s->out[2]) {
        span.dst = t.dst + (size_t)i * t.dst_row;
        bnr__nchwc_finish_rest(j->finish, j->r, &span);
    }
}

static void run_task(const struct job *j, size_t index, float *scratch) {
    const struct bnr_nchwc_conv_f32 *c = j->r->c;
    struct task k = {.u = scratch};
    k.m = k.u + c->form.points * c->u_point;
    k.patch = k.m + c->form.points * c->m_point;
    k.block = index % j->block_parts * c->band_blocks;
    k.blocks = min_size(c->band_blocks, c->out_blocks - k.block);
    index /= j->block_parts;
    k.tile = part_start(count_tiles(c), j->chunks, 1, index % j->chunks);
    k.tiles = part_start(count_tiles(c), j->chunks, 1, index % j->chunks + 1) - k.tile;
    k.group = index / j->chunks;
    transform_inputs(j, &k);
    for (size_t b = k.block, nb; b < k.block + k.blocks; b += nb) {
        nb = min_size(BNR_NCHWC_NB, k.block + k.blocks - b);
        multiply(j, &k, b, nb);
        const float *m = k.m;
        for (size_t i = 0; i < nb; i++) {
            struct place p = find_tile(c, k.tile);
            for (size_t t = 0; t < k.tiles; t++, m += c->lanes, next_tile(c, &p))
                transform_output(j, &k, &p, b + i, m);
        }
    }
}

static void run_tasks(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    void *scratch = bnr__slots_take(&j->slots);
    for (size_t t = begin; t < end; t++)
        run_task(j, t, scratch);
    bnr__slots_give(&j->slots, scratch);
}

void bnr__nchwc_winograd_run(const struct bnr_nchwc_conv_f32_run *r,
                             const struct bnr_nchwc_finish *finish, struct bnr_pool *pool) {
    const struct bnr_nchwc_conv_f32 *c = r->c;
    struct job j = {.r = r, .finish = finish};
    j.chunks = ceil_div(count_tiles(c), c->chunk);
    j.block_parts = ceil_div(c->out_blocks, c->band_blocks);
    bnr__slots_init(&j.slots, r->scratch, c->slot_bytes, c->slots);
    bnr__parallel_for(pool, j.chunks * j.block_parts * c->s.groups, 1, run_tasks, &j);
}
