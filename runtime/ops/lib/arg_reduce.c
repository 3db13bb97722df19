// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/arg_reduce.h"

#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/lanes.h"
#include "runtime/ops/lib/order.h"

enum bnr_status bnr__arg_infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    const bool keep = bnr__attr_int(cx->node, "keepdims", 1) != 0;
    struct bnr_shape y = bnr__shape_unknown();
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_NUMERIC));
    if (x->rank >= 0) {
        int axis;
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), x->rank, &axis));
        if (x->dims[axis].n == 0)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "axis %d of input 0 has no elements",
                                axis);
        y.rank = 0;
        for (int d = 0; d < x->rank; d++)
            if (d != axis || keep)
                y.dims[y.rank++] = d == axis ? bnr__dim_of(1) : x->dims[d];
    }
    bnr__infer_set(cx, 0, BNR_INT64, &y);
    return BNR_OK;
}

struct search {
    const struct bnr_tensor *x;
    int64_t *y;
    struct bnr_lanes lanes;
    bool largest, last;
};

enum { STRIP = 256 };

// ---- float32 ------------------------------------------------------------------------------------
// Elements times -1 where the smallest is asked for, so that larger is better; a NaN is best of
// all.

static bool is_better(float v, float best, bool last) {
    return v > best || (v != v && best == best) || (last && (v == best || v != v));
}

// Whether there is something at least as good as `best` among n elements.
static bool has_better(const float *x, size_t n, float sign, float best) {
    int found = 0;
    for (size_t i = 0; i < n; i++)
        found |= !(x[i] * sign < best);
    return found != 0;
}

static int64_t search_floats(const struct search *s, size_t offset) {
    const float *x = s->x->f32 + offset, sign = s->largest ? 1 : -1;
    float best = x[0] * sign;
    int64_t index = 0;
    for (size_t at = 0; at < s->lanes.n; at += STRIP) {
        const size_t end = min_size(s->lanes.n, at + STRIP);
        if (!has_better(x + at, end - at, sign, best))
            continue;
        for (size_t i = at; i < end; i++)
            if (is_better(x[i] * sign, best, s->last)) {
                best = x[i] * sign;
                index = (int64_t)i;
            }
    }
    return index;
}

static void search_float_strip(const struct search *s, size_t offset, size_t width,
                               int64_t *index) {
    const float sign = s->largest ? 1 : -1;
    const int last = s->last;
    float best[STRIP];
    int32_t where[STRIP] = {0};
    for (size_t i = 0; i < width; i++)
        best[i] = s->x->f32[offset + i] * sign;
    for (size_t k = 1; k < s->lanes.n; k++) {
        const float *x = s->x->f32 + offset + k * s->lanes.inner;
        for (size_t i = 0; i < width; i++) {
            const float v = x[i] * sign, old = best[i];
            const int nan = v != v, equal = last & ((v == old) | nan);
            const int take = (v > old) | (nan & (old == old)) | equal;
            best[i] = take ? v : old;
            where[i] = take ? (int32_t)k : where[i];
        }
    }
    for (size_t i = 0; i < width; i++)
        index[i] = where[i];
}

// ---- any dtype ----------------------------------------------------------------------------------

// Larger is better, whichever was asked for.
static void load_keys(const struct search *s, uint64_t *keys, size_t offset, size_t n) {
    bnr__order_keys(keys, s->x->dtype, bnr__at(s->x, offset), n);
    for (size_t i = 0; i < n && !s->largest; i++)
        keys[i] = keys[i] == UINT64_MAX && bnr__dtype_is_float(s->x->dtype) ? keys[i] : ~keys[i];
}

static inline bool better(uint64_t key, uint64_t best, bool last) {
    return last ? key >= best : key > best;
}

static int64_t search_lane(const struct search *s, size_t offset) {
    uint64_t keys[STRIP], best = 0;
    int64_t index = 0;
    for (size_t at = 0; at < s->lanes.n; at += STRIP) {
        const size_t part = s->lanes.n - at < STRIP ? s->lanes.n - at : STRIP;
        load_keys(s, keys, offset + at, part);
        for (size_t i = 0; i < part; i++)
            if (better(keys[i], best, s->last)) {
                best = keys[i];
                index = (int64_t)(at + i);
            }
    }
    return index;
}

// `width` neighbouring lanes at once, row by row.
static void search_strip(const struct search *s, size_t offset, size_t width, int64_t *index) {
    uint64_t keys[STRIP], best[STRIP];
    for (size_t k = 0; k < s->lanes.n; k++) {
        load_keys(s, keys, offset + k * s->lanes.inner, width);
        for (size_t i = 0; i < width; i++) {
            const bool take = k == 0 || better(keys[i], best[i], s->last);
            best[i] = take ? keys[i] : best[i];
            index[i] = take ? (int64_t)k : index[i];
        }
    }
}

static void search_rows(void *cx, size_t begin, size_t end) {
    const struct search *s = cx;
    const size_t inner = s->lanes.inner, strips = (inner + STRIP - 1) / STRIP;
    for (size_t piece = begin; piece < end; piece++) {
        const size_t outer = piece / strips, column = piece % strips * STRIP;
        const size_t width = inner - column < STRIP ? inner - column : STRIP;
        const size_t offset = outer * s->lanes.n * inner + column;
        int64_t *y = s->y + outer * inner + column;
        const bool floats = s->x->dtype == BNR_FLOAT && s->lanes.n <= INT32_MAX;
        if (inner == 1)
            *y = floats ? search_floats(s, offset) : search_lane(s, offset);
        else if (floats)
            search_float_strip(s, offset, width, y);
        else
            search_strip(s, offset, width, y);
    }
}

void bnr__arg_search(const struct bnr_tensor *x, const struct bnr_lanes *lanes, bool largest,
                     bool last, int64_t *y, struct bnr_pool *pool) {
    struct search s = {.x = x, .y = y, .lanes = *lanes, .largest = largest, .last = last};
    const size_t work = lanes->n * min_size(lanes->inner, STRIP);
    bnr__parallel_for(pool, lanes->outer * ceil_div(lanes->inner, STRIP), 1 + 16384 / work,
                      search_rows, &s);
}

enum bnr_status bnr__arg_run(const struct bnr_args *a, bool largest) {
    const struct bnr_tensor *x = a->in[0];
    const bool keep = bnr__attr_int(a->node, "keepdims", 1) != 0;
    int64_t dims[BNR_MAX_RANK], axis = bnr__attr_int(a->node, "axis", 0);
    if (axis < -x->rank || axis >= x->rank)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axis %lld is outside [%d, %d)",
                            (long long)axis, -x->rank, x->rank);
    axis += axis < 0 ? x->rank : 0;
    int rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (d != axis || keep)
            dims[rank++] = d == axis ? 1 : x->dims[d];
    BNR_TRY(bnr__out_alloc(a, 0, BNR_INT64, rank, dims));
    if (a->out[0]->numel == 0)
        return BNR_OK;
    const struct bnr_lanes lanes = bnr__lanes_of(x, (int)axis);
    if (lanes.n == 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axis %d of input 0 has no elements",
                            (int)axis);
    const bool last = bnr__attr_int(a->node, "select_last_index", 0) != 0;
    bnr__arg_search(x, &lanes, largest, last, a->out[0]->i64, a->pool);
    return BNR_OK;
}
