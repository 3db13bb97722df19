// SPDX-License-Identifier: Apache-2.0
// reduce_f32: the choice of kernels, which elements belong together, and how work is cut. A piece
// is one result where the innermost dim is reduced, else a strip of neighbouring results; where
// pieces are few, each is cut along its outermost reduced dim, and the parts are joined in order.
#include "runtime/kernels/reduce_f32.h"

#include <math.h>
#include <string.h>

#include "runtime/kernels/pieces.h"

// Elements that are worth waking a thread for; of a part, and parts at most.
enum { TASK = 16 * 1024, PART = 64 * 1024, MOST_PARTS = 32, ENOUGH_PIECES = 8 };
enum { STRIP = BNR_REDUCE_F32_STRIP };

const struct bnr_reduce_f32_kernels *bnr__reduce_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_reduce_f32_kernels *kernels;
    } levels[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__reduce_f32_##isa},
#include "runtime/kernels/reduce_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_reduce_f32_kernels *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(levels); i++) {
        if ((levels[i].needs & cpu) == levels[i].needs)
            best = levels[i].kernels;
    }
    return best;
}

double bnr__reduce_f32_start(enum bnr_reduce_f32_kind kind) {
    return kind == BNR_REDUCE_F32_MAX   ? -(double)INFINITY
           : kind == BNR_REDUCE_F32_MIN ? (double)INFINITY
                                        : 0;
}

static double join(enum bnr_reduce_f32_kind kind, double acc, double x) {
    if (kind == BNR_REDUCE_F32_MAX)
        return acc > x || acc != acc ? acc : x;
    if (kind == BNR_REDUCE_F32_MIN)
        return acc < x || acc != acc ? acc : x;
    return acc + x;
}

// ---- the plan -----------------------------------------------------------------------------------

static int outermost_reduced(const struct bnr_reduce_f32 *r) {
    for (int d = 0; d < r->rank; d++)
        if (r->reduced[d])
            return d;
    return -1;
}

static size_t strips_of(const struct bnr_reduce_f32 *r) {
    return ceil_div(r->width, STRIP);
}

void bnr__reduce_f32_plan(struct bnr_reduce_f32 *r, const struct bnr_reduce_f32_kernels *kernels,
                          int rank, const size_t *dims, const bool *reduced) {
    *r = (struct bnr_reduce_f32){
        .kernels = kernels, .results = 1, .count = 1, .width = 1, .splits = 1};
    for (int d = 0; d < rank; d++) {
        *(reduced[d] ? &r->count : &r->results) *= dims[d];
        if (dims[d] == 1)
            continue;
        if (r->rank > 0 && r->reduced[r->rank - 1] == reduced[d]) {
            r->dims[r->rank - 1] *= dims[d];
            continue;
        }
        r->dims[r->rank] = dims[d];
        r->reduced[r->rank++] = reduced[d];
    }
    size_t stride = 1;
    for (int d = r->rank - 1; d >= 0; d--) {
        r->stride[d] = stride;
        stride *= r->dims[d];
    }
    if (r->rank > 0 && !r->reduced[r->rank - 1])
        r->width = r->dims[r->rank - 1];
    const int cut = outermost_reduced(r);
    const size_t pieces = r->results / r->width * strips_of(r);
    if (cut >= 0 && pieces < ENOUGH_PIECES)
        r->splits = max_size(
            1, min_size(min_size(MOST_PARTS, r->dims[cut]), r->results * r->count / pieces / PART));
}

size_t bnr__reduce_f32_scratch(const struct bnr_reduce_f32 *r) {
    return r->splits > 1 ? r->splits * r->results : 0;
}

// ---- reducing -----------------------------------------------------------------------------------

// Part of a piece: results `first` .. first + width - 1 from elements `at` on, with first_cut ..
// last_cut - 1 of the outermost reduced dim.
struct part {
    size_t first, width, at;
    size_t first_cut, last_cut;
};

// Narrow rows that lie one behind the other are taken as fewer wide ones, whose columns are joined
// then.
static void narrow_columns(const struct bnr_reduce_f32_run *run, double *acc, const float *src,
                           size_t rows, size_t cols, const float *shift) {
    double wide[STRIP];
    float shifts[STRIP] = {0};
    const size_t fold = min_size(STRIP / cols, rows), width = fold * cols;
    for (size_t i = 0; i < width; i++) {
        wide[i] = bnr__reduce_f32_start(run->kind);
        shifts[i] = shift ? shift[i % cols] : 0;
    }
    run->r->kernels->columns[run->kind](wide, src, rows / fold, width, width, shifts);
    for (size_t i = 0; i < width; i++)
        acc[i % cols] = join(run->kind, acc[i % cols], wide[i]);
    const size_t done = rows / fold * fold;
    run->r->kernels->columns[run->kind](acc, src + done * cols, rows - done, cols, cols, shift);
}

static void innermost(const struct bnr_reduce_f32_run *run, const struct part *p, size_t at,
                      size_t n, size_t pitch, double *acc) {
    enum { NARROW = 64 };
    const struct bnr_reduce_f32 *r = run->r;
    const float *shift = run->shift ? run->shift + p->first : NULL;
    if (r->width > 1) {
        if (p->width == pitch && p->width < NARROW)
            narrow_columns(run, acc, run->src + at, n, p->width, shift);
        else
            r->kernels->columns[run->kind](acc, run->src + at, n, pitch, p->width, shift);
        return;
    }
    *acc = join(run->kind, *acc, r->kernels->run[run->kind](run->src + at, n, shift ? *shift : 0));
}

// The innermost reduced dim by the kernels, those around it by counting.
static void reduce_part(const struct bnr_reduce_f32_run *run, const struct part *p, double *acc) {
    const struct bnr_reduce_f32 *r = run->r;
    size_t index[BNR_REDUCE_F32_RANK] = {0}, at = p->at;
    int axes[BNR_REDUCE_F32_RANK], n = 0;
    for (int d = 0; d < r->rank; d++)
        if (r->reduced[d])
            axes[n++] = d;
    for (size_t i = 0; i < p->width; i++)
        acc[i] = bnr__reduce_f32_start(run->kind);
    if (n == 0) { // one element to a result
        innermost(run, p, at, 1, p->width, acc);
        return;
    }
    at += p->first_cut * r->stride[axes[0]];
    const size_t length = p->last_cut - p->first_cut;
    for (;;) {
        const int last = axes[n - 1];
        innermost(run, p, at, n == 1 ? length : r->dims[last], r->stride[last], acc);
        int k = n - 2;
        for (; k >= 0; k--) {
            const size_t dim = k == 0 ? length : r->dims[axes[k]];
            at += r->stride[axes[k]];
            if (++index[k] < dim)
                break;
            at -= r->stride[axes[k]] * dim;
            index[k] = 0;
        }
        if (k < 0)
            return;
    }
}

static void finish(const struct bnr_reduce_f32_run *run, size_t first, const double *acc,
                   size_t n) {
    for (size_t i = 0; i < n; i++)
        run->dst[first + i] = run->finish(acc[i], run->shift ? run->shift[first + i] : 0, run->p);
}

static void reduce_items(void *cx, size_t begin, size_t end) {
    const struct bnr_reduce_f32_run *run = cx;
    const struct bnr_reduce_f32 *r = run->r;
    const size_t strips = strips_of(r);
    const int cut = outermost_reduced(r);
    const size_t length = cut >= 0 ? r->dims[cut] : 0;
    for (size_t item = begin; item < end; item++) {
        const size_t split = item % r->splits, piece = item / r->splits;
        const size_t column = piece % strips * STRIP;
        size_t row = piece / strips;
        double acc[STRIP];
        struct part p = {.first = row * r->width + column,
                         .width = min_size(r->width - column, STRIP),
                         .at = column,
                         .first_cut = split * length / r->splits,
                         .last_cut = (split + 1) * length / r->splits};
        for (int d = r->rank - 1; d >= 0; d--) {
            if (r->reduced[d] || (d == r->rank - 1 && r->width > 1))
                continue;
            p.at += row % r->dims[d] * r->stride[d];
            row /= r->dims[d];
        }
        reduce_part(run, &p, acc);
        if (r->splits == 1)
            finish(run, p.first, acc, p.width);
        else
            memcpy(run->scratch + split * r->results + p.first, acc, p.width * sizeof *acc);
    }
}

static void join_parts(const struct bnr_reduce_f32_run *run) {
    const struct bnr_reduce_f32 *r = run->r;
    for (size_t i = 0; i < r->results; i++) {
        double acc = run->scratch[i];
        for (size_t s = 1; s < r->splits; s++)
            acc = join(run->kind, acc, run->scratch[s * r->results + i]);
        finish(run, i, &acc, 1);
    }
}

void bnr__reduce_f32_run(const struct bnr_reduce_f32_run *run, struct bnr_pool *pool) {
    const struct bnr_reduce_f32 *r = run->r;
    struct bnr_reduce_f32_run cx = *run;
    const size_t items = r->results / r->width * strips_of(r) * r->splits;
    const size_t work = max_size(1, r->results * r->count / items);
    bnr__parallel_for(pool, items, TASK / work + 1, reduce_items, &cx);
    if (r->splits > 1)
        join_parts(run);
}

// ---- applying -----------------------------------------------------------------------------------

struct application {
    const struct bnr_reduce_f32 *r;
    float *dst;
    const float *src, *mean, *scale;
    size_t length; // of the innermost dim
};

static void apply_rows(void *cx, size_t begin, size_t end) {
    const struct application *a = cx;
    const struct bnr_reduce_f32 *r = a->r;
    for (size_t row = begin; row < end; row++) {
        size_t rest = row, result = 0, step = r->width;
        for (int d = r->rank - 2; d >= 0; d--) {
            if (!r->reduced[d]) {
                result += rest % r->dims[d] * step;
                step *= r->dims[d];
            }
            rest /= r->dims[d];
        }
        r->kernels->apply(a->dst + row * a->length, a->src + row * a->length, a->length,
                          a->mean + result, a->scale + result, r->width > 1);
    }
}

void bnr__reduce_f32_apply(const struct bnr_reduce_f32 *r, float *dst, const float *src,
                           const float *mean, const float *scale, struct bnr_pool *pool) {
    struct application a = {.r = r,
                            .dst = dst,
                            .src = src,
                            .mean = mean,
                            .scale = scale,
                            .length = r->rank > 0 ? r->dims[r->rank - 1] : 1};
    bnr__parallel_for(pool, r->results * r->count / a.length, TASK / a.length + 1, apply_rows, &a);
}
