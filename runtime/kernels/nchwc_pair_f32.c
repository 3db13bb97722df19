// SPDX-License-Identifier: Apache-2.0
// nchwc_pair_f32: a task is (image, part of the rows, pair of blocks). Rows of the tensor between
// the two convolutions are held in a ring: row y at place y % ring.
#include "runtime/kernels/nchwc_pair_f32.h"

#include "runtime/base/checked.h"
#include "runtime/kernels/nchwc_points.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"

enum {
    RING_FLOATS = 32 * 1024,
    FAR_FLOATS = 256 * 1024, // of an image between the two that would not stay in L2
};

// Input rows that `rows` neighbouring rows of output see.
static size_t rows_seen(const struct bnr_window_shape *s, size_t rows) {
    return (rows - 1) * s->stride[1] + (s->kernel[1] - 1) * s->dilation[1] + 1;
}

static bool fit_together(const struct bnr_nchwc_conv_f32 *c, const struct bnr_nchwc_window *w) {
    const struct bnr_window_shape *s = &w->s;
    return bnr__nchwc_conv_f32_has_points(c) && w->kind == BNR_WINDOW_CONV && s->in[0] == 1 &&
           s->out[0] == 1 && s->kernel[0] == 1 && w->blocks == c->out_blocks &&
           w->batch == c->s.batch && s->in[1] * s->in[2] == c->s.out[2];
}

bool bnr__nchwc_pair_init(struct bnr_nchwc_pair *p, const struct bnr_nchwc_conv_f32 *front,
                          const struct bnr_nchwc_window *window, int threads) {
    enum { ROWS = 4 };
    const struct bnr_window_shape *s = &window->s;
    *p = (struct bnr_nchwc_pair){.front = front, .window = window, .rows = 1};
    size_t row, ring;
    if (!fit_together(front, window) || !bnr__size_mul(s->in[2], BNR_NCHWC_NB * front->lanes, &row))
        return false;
    while (p->rows < s->out[1] && rows_seen(s, p->rows + 1) * row <= RING_FLOATS)
        p->rows++;
    p->ring = rows_seen(s, p->rows);
    p->slots = bnr__slots_count(threads);
    p->parts = s->out[1] >= ROWS * (size_t)p->slots ? (size_t)p->slots : 1;
    p->pairs = ceil_div(window->blocks, BNR_NCHWC_NB);
    return bnr__size_mul(p->ring, row, &ring) &&
           bnr__slots_bytes(p->slots, ring, window->slot_bytes / sizeof(float), &p->slot_bytes,
                            &p->scratch_bytes);
}

bool bnr__nchwc_pair_is_worth_it(const struct bnr_nchwc_pair *p) {
    return p->front->dst_image > FAR_FLOATS;
}

struct job {
    const struct bnr_nchwc_pair_run *r;
    struct bnr_nchwc_conv_f32_run front;
    struct bnr_nchwc_window_run window;
    struct bnr_nchwc_finish finish;
    struct bnr_nchwc_window_steps steps;
    struct bnr_slots slots;
};

// Rows first .. last - 1 of the front's output, of those blocks, to their places in the ring.
static void fill_ring(const struct job *j, struct bnr_nchwc_points *t, float *ring, size_t first,
                      size_t last) {
    const struct bnr_nchwc_pair *p = j->r->p;
    const size_t width = p->window->s.in[2];
    for (size_t rows; first < last; first += rows) {
        const size_t place = first % p->ring;
        rows = min_size(last - first, p->ring - place);
        t->dst = ring + place * width * p->front->lanes;
        t->pixel = first * width;
        t->pixels = rows * width;
        bnr__nchwc_conv_f32_points(&j->front, &j->finish, t);
    }
}

static void run_task(const struct job *j, size_t index, float *ring) {
    const struct bnr_nchwc_pair *p = j->r->p;
    const struct bnr_window_shape *s = &p->window->s;
    const size_t part = index / p->pairs % p->parts,
                 block_floats = p->ring * s->in[2] * p->front->lanes;
    struct bnr_nchwc_points t = {.image = index / p->pairs / p->parts,
                                 .block = index % p->pairs * BNR_NCHWC_NB,
                                 .dst_block = block_floats};
    t.blocks = min_size(BNR_NCHWC_NB, p->window->blocks - t.block);
    struct bnr_nchwc_window_rows w = {.r = &j->window,
                                      .steps = &j->steps,
                                      .ring = p->ring,
                                      .memory = ring + BNR_NCHWC_NB * block_floats};
    const size_t end = part_start(s->out[1], p->parts, 1, part + 1);
    size_t done = 0; // rows in front of it are in the ring or not needed any more
    for (w.first = part_start(s->out[1], p->parts, 1, part); w.first < end; w.first = w.last) {
        w.last = min_size(w.first + p->rows, end);
        const size_t from = w.first * s->stride[1], to = from + rows_seen(s, w.last - w.first);
        const size_t first = from > s->pad[1] ? min_size(from - s->pad[1], s->in[1]) : 0;
        const size_t last = to > s->pad[1] ? min_size(to - s->pad[1], s->in[1]) : 0;
        fill_ring(j, &t, ring, max_size(first, done), last);
        done = max_size(done, last);
        for (size_t b = 0; b < t.blocks; b++) {
            w.block = t.image * p->window->blocks + t.block + b;
            w.src = ring + b * block_floats;
            bnr__nchwc_window_rows(&w);
        }
    }
}

static void run_tasks(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    void *ring = bnr__slots_take(&j->slots);
    for (size_t i = begin; i < end; i++)
        run_task(j, i, ring);
    bnr__slots_give(&j->slots, ring);
}

void bnr__nchwc_pair_run(const struct bnr_nchwc_pair_run *r, struct bnr_pool *pool) {
    const struct bnr_nchwc_pair *p = r->p;
    struct job j = {.r = r,
                    .front = {.c = p->front, .src = r->src, .bias = r->bias},
                    .window = {.w = p->window, .dst = r->dst, .operands = r->operands}};
    bnr__nchwc_finish_init(&j.finish, &j.front);
    bnr__nchwc_window_split(&j.steps, &p->window->e);
    bnr__slots_init(&j.slots, r->scratch, p->slot_bytes, p->slots);
    bnr__parallel_for(pool, p->window->batch * p->parts * p->pairs, 1, run_tasks, &j);
}
