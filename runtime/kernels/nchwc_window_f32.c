// SPDX-License-Identifier: Apache-2.0
// nchwc_window_f32: a task is some bands of rows of outputs, each of one block.
#include "runtime/kernels/nchwc_window_f32.h"

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"

enum { BAND_FLOATS = 1 << 13, PRODUCTS_A_TASK = 1 << 16 };

const struct bnr_nchwc_window_kernels *bnr__nchwc_window_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_nchwc_window_kernels *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__nchwc_window_f32_##isa},
#include "runtime/kernels/nchwc_window_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_nchwc_window_kernels *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

// Each thread has rows of its own in all blocks, where there are enough: other steps are shared out
// in the same way, so that it reads what it has written itself.
static void set_bands(struct bnr_nchwc_window *w, size_t most) {
    enum { ROWS = 4 };
    const size_t rows = w->s.out[0] * w->s.out[1], slots = (size_t)w->slots;
    w->parts = rows >= ROWS * slots ? slots : 1;
    w->bands = ceil_div(ceil_div(rows, w->parts), most);
}

// A slot holds the places of input rows, their numbers among the kernel's, and counts of columns.
bool bnr__nchwc_window_init(struct bnr_nchwc_window *w, enum bnr_window_kind kind,
                            const struct bnr_window_shape *s, unsigned cpu, int threads) {
    size_t rows, words, row_floats;
    *w = (struct bnr_nchwc_window){.kind = kind, .s = *s, .e = {.channels = 1}};
    w->kernels = bnr__nchwc_window_f32_select(cpu);
    w->eltwise = bnr__eltwise_f32_select(cpu);
    w->slots = bnr__slots_count(threads);
    if (!bnr__size_mul(s->kernel[0], s->kernel[1], &rows) ||
        !bnr__size_mul(rows, s->kernel[2], &w->taps) ||
        !bnr__size_mul(rows, 2 * sizeof(size_t) / sizeof(float), &words) ||
        !bnr__slots_bytes(w->slots, words, s->out[2], &w->slot_bytes, &w->scratch_bytes) ||
        !bnr__size_mul(s->out[2], w->kernels->lanes, &row_floats) || row_floats == 0)
        return false;
    set_bands(w, max_size(BAND_FLOATS / row_floats, 1));
    return true;
}

size_t bnr__nchwc_window_packed(const struct bnr_nchwc_window *w, size_t channels) {
    const size_t lanes = w->kernels->lanes;
    return (channels + lanes - 1) / lanes * lanes * w->taps * sizeof(float);
}

void bnr__nchwc_window_pack(const struct bnr_nchwc_window *w, float *dst, const float *weights,
                            size_t channels) {
    const size_t lanes = w->kernels->lanes;
    for (size_t first = 0; first < channels; first += lanes)
        for (size_t tap = 0; tap < w->taps; tap++)
            for (size_t l = 0; l < lanes; l++)
                *dst++ = first + l < channels ? weights[(first + l) * w->taps + tap] : 0;
}

// How many taps of the window of output o count, along one axis.
static float count_taps(const struct bnr_nchwc_window *w, int axis, size_t o) {
    const struct bnr_window_shape *s = &w->s;
    // In coordinates that start with the padding.
    const size_t first = s->pad[axis] - w->count_pad[axis];
    const size_t last = s->pad[axis] + s->in[axis] + w->count_end[axis];
    size_t n = 0, at = o * s->stride[axis];
    for (size_t t = 0; t < s->kernel[axis]; t++, at += s->dilation[axis])
        n += at >= first && at < last;
    return (float)n;
}

struct job {
    const struct bnr_nchwc_window_run *r;
    struct bnr_slots slots;
    struct bnr_nchwc_window_steps steps;
};

struct slot {
    size_t *at, *weight_row;
    float *count;
};

static struct slot slot_in(const struct bnr_nchwc_window *w, void *memory) {
    const size_t rows = w->s.kernel[0] * w->s.kernel[1];
    struct slot slot = {.at = memory};
    slot.weight_row = slot.at + rows;
    slot.count = (float *)(slot.weight_row + rows);
    return slot;
}

// The input rows of output row (z, y), of which the source holds the last `ring`.
static size_t find_rows(const struct bnr_nchwc_window *w, const struct slot *slot, size_t ring,
                        size_t z, size_t y) {
    const struct bnr_window_shape *s = &w->s;
    size_t n = 0;
    for (size_t i = 0; i < s->kernel[0]; i++) {
        const size_t in_z = z * s->stride[0] + i * s->dilation[0] - s->pad[0];
        for (size_t k = 0; k < s->kernel[1] && in_z < s->in[0]; k++) {
            const size_t in_y = y * s->stride[1] + k * s->dilation[1] - s->pad[1];
            if (in_y >= s->in[1])
                continue;
            slot->at[n] = (in_z * s->in[1] + in_y) % ring * s->in[2] * w->kernels->lanes;
            slot->weight_row[n++] = i * s->kernel[1] + k;
        }
    }
    return n;
}

// What the rows have in common.
static struct bnr_window_row common_row(const struct bnr_nchwc_window_rows *t,
                                        const struct slot *slot) {
    const struct bnr_nchwc_window *w = t->r->w;
    const struct bnr_window_shape *s = &w->s;
    const size_t lanes = w->kernels->lanes, channel = t->block % w->blocks;
    struct bnr_window_row r = {
        .cols = s->out[2],
        .src = t->src,
        .at = slot->at,
        .weight_row = slot->weight_row,
        .width = s->in[2],
        .kernel = s->kernel[2],
        .stride = s->stride[2],
        .dilation = s->dilation[2],
        .pad = s->pad[2],
        .count = slot->count,
        .clamp = t->steps->clamp,
        .lo = t->steps->lo,
        .hi = t->steps->hi,
    };
    if (w->kind == BNR_WINDOW_CONV) {
        r.weights = w->weights + channel * w->taps * lanes;
        r.bias = w->bias ? w->bias + channel * lanes : NULL;
    }
    return r;
}

static void count_row(const struct bnr_nchwc_window *w, const struct slot *slot, size_t z,
                      size_t y) {
    const float rows = count_taps(w, 0, z) * count_taps(w, 1, y);
    for (size_t i = 0; i < w->s.out[2]; i++)
        slot->count[i] = rows * count_taps(w, 2, i);
}

void bnr__nchwc_window_rows(const struct bnr_nchwc_window_rows *t) {
    const struct bnr_nchwc_window *w = t->r->w;
    const size_t all = w->s.out[0] * w->s.out[1], row_floats = w->s.out[2] * w->kernels->lanes;
    const size_t place = (t->block * all + t->first) * row_floats;
    const struct slot slot = slot_in(w, t->memory);
    struct bnr_window_row r = common_row(t, &slot);
    r.dst = t->r->dst + place;
    for (size_t row = t->first; row < t->last; row++, r.dst += row_floats) {
        const size_t z = row / w->s.out[1], y = row % w->s.out[1];
        r.rows = find_rows(w, &slot, t->ring, z, y);
        if (w->kind == BNR_WINDOW_AVERAGE)
            count_row(w, &slot, z, y);
        w->kernels->row[w->kind](&r);
    }
    if (t->steps->rest.n == 0)
        return;
    const struct bnr_eltwise_tile e = {.dst = t->r->dst + place,
                                       .src = t->r->dst + place,
                                       .ld = all * row_floats,
                                       .rows = 1,
                                       .cols = (t->last - t->first) * row_floats,
                                       .row = t->block,
                                       .col = t->first * row_floats,
                                       .place = place};
    w->eltwise->tile(&t->steps->rest, t->r->operands, &e);
}

static void run_bands(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    const struct bnr_nchwc_window *w = j->r->w;
    const size_t out_rows = w->s.out[0] * w->s.out[1], in_rows = w->s.in[0] * w->s.in[1];
    void *memory = bnr__slots_take(&j->slots);
    struct bnr_nchwc_window_rows t = {
        .r = j->r, .steps = &j->steps, .ring = in_rows, .memory = memory};
    for (size_t i = begin; i < end; i++) {
        const size_t block = i / w->bands % w->blocks, part = i / w->bands / w->blocks % w->parts;
        const size_t image = i / w->bands / w->blocks / w->parts;
        const size_t band = part * w->bands + i % w->bands;
        t.block = image * w->blocks + block;
        t.src = j->r->src + t.block * in_rows * w->s.in[2] * w->kernels->lanes;
        t.first = part_start(out_rows, w->parts * w->bands, 1, band);
        t.last = part_start(out_rows, w->parts * w->bands, 1, band + 1);
        bnr__nchwc_window_rows(&t);
    }
    bnr__slots_give(&j->slots, memory);
}

void bnr__nchwc_window_split(struct bnr_nchwc_window_steps *s, const struct bnr_eltwise *e) {
    *s = (struct bnr_nchwc_window_steps){.rest = *e};
    if (e->n == 0 || e->step[0].kind != BNR_ELTWISE_CLAMP)
        return;
    s->clamp = true;
    s->lo = e->step[0].p;
    s->hi = e->step[0].q;
    s->rest.n--;
    for (int i = 0; i < s->rest.n; i++)
        s->rest.step[i] = e->step[i + 1];
}

void bnr__nchwc_window_run(const struct bnr_nchwc_window_run *r, struct bnr_pool *pool) {
    const struct bnr_nchwc_window *w = r->w;
    struct job j = {.r = r};
    bnr__nchwc_window_split(&j.steps, &w->e);
    bnr__slots_init(&j.slots, r->scratch, w->slot_bytes, w->slots);
    const size_t bands = w->batch * w->blocks * w->parts * w->bands;
    const size_t rows = ceil_div(w->s.out[0] * w->s.out[1], w->parts * w->bands);
    const size_t products = rows * w->s.out[2] * w->kernels->lanes * w->taps;
    const size_t least = 1 + PRODUCTS_A_TASK / max_size(products, 1);
    bnr__parallel_for(pool, bands, even_grain(bands, least, (size_t)w->slots), run_bands, &j);
}

// ---- whole planes -------------------------------------------------------------------------------

struct whole_job {
    const struct bnr_nchwc_window_kernels *kernels;
    const struct bnr_nchwc *s;
    float *dst;
    const float *src;
    bool average;
};

static void run_planes(void *cx, size_t begin, size_t end) {
    const struct whole_job *j = cx;
    const size_t lanes = j->s->lanes;
    for (size_t i = begin; i < end; i++)
        j->kernels->whole(j->dst + i * lanes, j->src + i * j->s->pixels * lanes, j->s->pixels,
                          j->average);
}

void bnr__nchwc_whole_run(const struct bnr_nchwc_window_kernels *kernels, const struct bnr_nchwc *s,
                          float *dst, const float *src, bool average, struct bnr_pool *pool) {
    struct whole_job j = {.kernels = kernels, .s = s, .dst = dst, .src = src, .average = average};
    bnr__parallel_for(pool, s->batch * s->blocks, 1 + PRODUCTS_A_TASK / (s->pixels * s->lanes),
                      run_planes, &j);
}
