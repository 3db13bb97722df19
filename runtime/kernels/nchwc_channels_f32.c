// SPDX-License-Identifier: Apache-2.0
// nchwc_channels_f32: a task is some pixels of some blocks.
#include "runtime/kernels/nchwc_channels_f32.h"

#include "runtime/kernels/pieces.h"

const struct bnr_nchwc_channels_kernels *bnr__nchwc_channels_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_nchwc_channels_kernels *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__nchwc_channels_f32_##isa},
#include "runtime/kernels/nchwc_channels_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_nchwc_channels_kernels *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

enum { FLOATS_A_TASK = 1 << 15 };

// Lane l of a block is channel `from`; adds to the block's n pieces where they have none for it.
static size_t add_lane(struct bnr_channels_piece *piece, size_t n, size_t l,
                       const struct bnr_channel *from, size_t lanes) {
    const size_t block = from->channel / lanes;
    size_t i = 0;
    while (i < n && (piece[i].in != from->in || piece[i].block != block))
        i++;
    if (i == n)
        piece[i] = (struct bnr_channels_piece){.in = from->in, .block = block, .whole = true};
    piece[i].from[l] = (uint8_t)(from->channel % lanes);
    piece[i].taken[l] = 1;
    return i == n ? n + 1 : n;
}

// The pieces of block b.
static size_t plan_block(const struct bnr_nchwc *s, struct bnr_channels_piece *piece,
                         const struct bnr_channel *list, size_t b) {
    size_t n = 0;
    for (size_t l = 0; l < s->lanes && b * s->lanes + l < s->channels; l++)
        n = add_lane(piece, n, l, &list[b * s->lanes + l], s->lanes);
    return n;
}

size_t bnr__nchwc_channels_pieces(const struct bnr_nchwc *shape, const struct bnr_channel *list) {
    struct bnr_channels_piece piece[BNR_LANES_MAX];
    size_t n = 0;
    for (size_t b = 0; b < shape->blocks; b++)
        n += plan_block(shape, piece, list, b);
    return n;
}

void bnr__nchwc_channels_plan(struct bnr_nchwc_channels *c, const struct bnr_channel *list) {
    const struct bnr_nchwc *s = &c->shape;
    struct bnr_channels_piece *piece = c->piece;
    c->first[0] = 0;
    for (size_t b = 0; b < s->blocks; b++) {
        const size_t n = plan_block(s, piece, list, b);
        for (size_t i = 0; i < n; i++)
            for (size_t l = 0; l < s->lanes; l++)
                piece[i].whole =
                    piece[i].whole && (b * s->lanes + l >= s->channels ||
                                       (piece[i].taken[l] && (size_t)piece[i].from[l] == l));
        piece += n;
        c->first[b + 1] = c->first[b] + n;
    }
}

struct job {
    const struct bnr_nchwc_channels *c;
    float *dst;
    const float *const *src;
    size_t parts; // of the pixels
};

static void run_blocks(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct bnr_nchwc_channels *c = j->c;
    const size_t lanes = c->shape.lanes, block_floats = c->shape.pixels * lanes;
    for (size_t i = begin; i < end; i++) {
        const size_t block = i % c->shape.blocks, part = i / c->shape.blocks % j->parts;
        const size_t image = i / c->shape.blocks / j->parts;
        const size_t first = part_start(c->shape.pixels, j->parts, 1, part);
        const size_t last = part_start(c->shape.pixels, j->parts, 1, part + 1);
        const struct bnr_channels_piece *piece = c->piece + c->first[block];
        const int n = (int)(c->first[block + 1] - c->first[block]);
        const float *src[BNR_LANES_MAX];
        for (int k = 0; k < n; k++)
            src[k] = j->src[piece[k].in] + first * lanes +
                     (image * c->in_blocks[piece[k].in] + piece[k].block) * block_floats;
        float *dst = j->dst + (image * c->shape.blocks + block) * block_floats + first * lanes;
        c->kernels->gather(dst, piece, src, n, last - first);
    }
}

// Each thread has pixels of its own in all blocks, as in the steps around.
void bnr__nchwc_channels_run(const struct bnr_nchwc_channels *c, float *dst,
                             const float *const *src, struct bnr_pool *pool) {
    enum { PIXELS = 64 };
    const size_t threads = (size_t)bnr__pool_threads(pool), pixels = c->shape.pixels;
    struct job j = {.c = c, .dst = dst, .src = src};
    j.parts = pixels >= PIXELS * threads ? threads : 1;
    const size_t n = c->shape.batch * j.parts * c->shape.blocks;
    const size_t least = 1 + FLOATS_A_TASK / (ceil_div(pixels, j.parts) * c->shape.lanes);
    bnr__parallel_for(pool, n, even_grain(n, least, threads), run_blocks, &j);
}
