// SPDX-License-Identifier: Apache-2.0
// Linear and cubic Resize of float32, plain or blocked: one axis after the other, the last one first
// unless the result is smaller. What lies behind an axis are rows that are weighed as a whole; the
// last axis of a plain tensor is gathered.
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/blocked.h"
#include "runtime/ops/lib/prepare_window.h"
#include "runtime/ops/lib/resize.h"

enum { GRAIN = 16 * 1024, STRIP = 1024 };

// [outer, n, inner] -> [outer, m, inner].
struct pass {
    size_t outer, n, m, inner, taps;
    const int32_t *index; // [m][taps]
    const float *weight;
};

struct state {
    int n;
    struct pass pass[BNR_MAX_RANK];
    size_t at[2]; // in scratch: what passes but the last one write, in turn
};

struct job {
    const struct pass *p;
    float *dst;
    const float *src;
};

static void gather_rows(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct pass *p = j->p;
    for (size_t o = begin; o < end; o++) {
        const float *src = j->src + o * p->n;
        float *dst = j->dst + o * p->m;
        const int32_t *index = p->index;
        const float *weight = p->weight;
        for (size_t i = 0; i < p->m; i++, index += p->taps, weight += p->taps) {
            float sum = weight[0] * src[index[0]];
            for (size_t k = 1; k < p->taps; k++)
                sum += weight[k] * src[index[k]];
            dst[i] = sum;
        }
    }
}

static void first_taps(float *restrict dst, const float *a, const float *b, float f, float g,
                       size_t n) {
    for (size_t e = 0; e < n; e++)
        dst[e] = f * a[e] + g * b[e];
}

static void add_tap(float *restrict dst, const float *a, float f, size_t n) {
    for (size_t e = 0; e < n; e++)
        dst[e] += f * a[e];
}

// Taps come in pairs.
static void weigh_rows(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct pass *p = j->p;
    for (size_t row = begin; row < end; row++) {
        const size_t i = row % p->m * p->taps;
        const int32_t *index = p->index + i;
        const float *weight = p->weight + i, *src = j->src + row / p->m * p->n * p->inner;
        for (size_t e = 0; e < p->inner; e += STRIP) {
            const size_t n = min_size(STRIP, p->inner - e);
            float *dst = j->dst + row * p->inner + e;
            first_taps(dst, src + (size_t)index[0] * p->inner + e,
                       src + (size_t)index[1] * p->inner + e, weight[0], weight[1], n);
            for (size_t k = 2; k < p->taps; k++)
                add_tap(dst, src + (size_t)index[k] * p->inner + e, weight[k], n);
        }
    }
}

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    struct job j = {.src = a->in[0]->f32};
    for (int i = 0; i < st->n; i++, j.src = j.dst) {
        const struct pass *p = j.p = &st->pass[i];
        j.dst = i + 1 == st->n ? a->out[0]->f32 : (float *)((char *)a->scratch + st->at[i % 2]);
        const bool gathers = p->inner == 1;
        const size_t rows = gathers ? p->outer : p->outer * p->m;
        const size_t work = (gathers ? p->m : p->inner) * p->taps;
        bnr__parallel_for(a->pool, rows, GRAIN / work + 1, gathers ? gather_rows : weigh_rows, &j);
    }
}

// Index and weights of an axis as the passes read them.
static enum bnr_status set_weights(struct bnr_prepare *cx, const struct bnr_resize *r, int axis,
                                   struct pass *p) {
    const struct bnr_args args = {.node = cx->node, .temp = cx->arena, .err = cx->err};
    struct bnr_resize_axis w;
    BNR_TRY(bnr__resize_axis(&args, r, axis, &w));
    p->taps = (size_t)w.taps;
    int32_t *index = BNR_NEW_ARRAY(cx->arena, p->m * p->taps, int32_t);
    float *weight = BNR_NEW_ARRAY(cx->arena, p->m * p->taps, float);
    if (!index || !weight)
        return bnr__no_memory(cx->err);
    for (size_t i = 0; i < p->m * p->taps; i++) {
        index[i] = (int32_t)w.index[i];
        weight[i] = (float)w.weight[i];
    }
    p->index = index;
    p->weight = weight;
    return BNR_OK;
}

static bool reserve(struct state *st, size_t *total) {
    size_t most[2] = {0};
    for (int i = 0; i + 1 < st->n; i++) {
        const struct pass *p = &st->pass[i];
        size_t bytes;
        if (!bnr__size_mul(p->outer * p->m, p->inner * sizeof(float), &bytes) ||
            bytes > BNR_MAX_SCRATCH)
            return false;
        most[i % 2] = max_size(most[i % 2], (bytes + 63) / 64 * 64);
    }
    st->at[1] = most[0];
    *total = most[0] + most[1];
    return true;
}

enum bnr_status bnr__prepare_interpolate(struct bnr_prepare *cx, const struct bnr_resize *r) {
    struct state *st = BNR_NEW(cx->arena, struct state);
    int64_t dims[BNR_MAX_RANK];
    int rank = r->rank;
    if (!st)
        return bnr__no_memory(cx->err);
    if (cx->in[0]->type.dtype != BNR_FLOAT || r->coordinates == BNR_COORD_TF_CROP_AND_RESIZE)
        return BNR_OK;
    bnr__shape_numbers(&cx->in[0]->type.shape, dims);
    struct bnr_nchwc blocked;
    if (cx->lanes && !bnr__blocked_shape(&cx->in[0]->type, cx->lanes, &blocked))
        return BNR_OK;
    if (cx->lanes)
        rank = bnr__blocked_dims(&cx->in[0]->type, cx->lanes, dims);
    for (int d = 0; d < rank; d++)
        if (dims[d] == 0 || dims[d] > INT32_MAX || (d < r->rank && r->out[d] == 0))
            return BNR_OK;
    const bool shrinks =
        bnr__dims_product(r->out, 0, r->rank) < bnr__dims_product(r->in, 0, r->rank);
    for (int i = 0; i < r->rank; i++) {
        const int d = shrinks ? i : r->rank - 1 - i;
        if (!r->resized[d])
            continue;
        if (cx->lanes && d < 2)
            return BNR_OK;
        struct pass *p = &st->pass[st->n++];
        *p = (struct pass){.outer = bnr__dims_product(dims, 0, d),
                           .n = (size_t)dims[d],
                           .m = (size_t)r->out[d],
                           .inner = bnr__dims_product(dims, d + 1, rank)};
        BNR_TRY(set_weights(cx, r, d, p));
        dims[d] = r->out[d];
    }
    if (st->n == 0 || !reserve(st, &cx->scratch))
        return BNR_OK;
    cx->blocked_in = cx->blocked_out = cx->lanes != 0;
    cx->kernel = "resize_f32";
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
