// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/elements.h"

#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/shape.h"

// A task takes, at one place of all other dims, every index along the axis, for a chunk of the last
// dim: what lies beside each other in the data is written by one task.
enum { CHUNK = 256, GRAIN = 16 * 1024 };

struct walk {
    const struct bnr_tensor *x, *index;
    const int64_t *v;
    int axis;
    int64_t x_strides[BNR_MAX_RANK], strides[BNR_MAX_RANK]; // of the data, of the indices
    size_t chunks;
    void (*row)(void *cx, const struct bnr_elements_row *row);
    void *cx;
};

static void walk_lanes(const struct walk *w, size_t at, size_t base, size_t columns) {
    const int last = w->index->rank - 1;
    const bool along = w->axis == last;
    struct bnr_elements_row row = {.at = at,
                                   .n = columns,
                                   .dim = w->x->dims[w->axis],
                                   .base = base,
                                   .stride = (size_t)w->x_strides[w->axis],
                                   .step = along ? 0 : 1};
    const int64_t rows = along ? 1 : w->index->dims[w->axis];
    for (int64_t k = 0; k < rows; k++, row.at += (size_t)w->strides[w->axis]) {
        row.index = w->v + row.at;
        w->row(w->cx, &row);
    }
}

static void walk_items(void *cx, size_t begin, size_t end) {
    const struct walk *w = cx;
    const int last = w->index->rank - 1;
    const size_t width = (size_t)w->index->dims[last];
    for (size_t item = begin; item < end; item++) {
        const size_t column = item % w->chunks * CHUNK;
        size_t rest = item / w->chunks, at = column, base = column;
        for (int d = last - 1; d >= 0; d--) {
            if (d == w->axis)
                continue;
            const size_t i = rest % (size_t)w->index->dims[d];
            at += i * (size_t)w->strides[d];
            base += i * (size_t)w->x_strides[d];
            rest /= (size_t)w->index->dims[d];
        }
        walk_lanes(w, at, base, w->axis == last ? width : min_size(CHUNK, width - column));
    }
}

enum bnr_status bnr__elements_walk(const struct bnr_args *a,
                                   void (*row)(void *cx, const struct bnr_elements_row *row),
                                   void *cx) {
    const struct bnr_tensor *x = a->in[0], *index = a->in[1];
    struct walk w = {.x = x, .index = index, .row = row, .cx = cx, .chunks = 1};
    BNR_TRY(
        bnr__resolve_axis(a->node, a->err, bnr__attr_int(a->node, "axis", 0), x->rank, &w.axis));
    for (int i = 0; i < x->rank && index->numel > 0; i++)
        if (i != w.axis && index->dims[i] > x->dims[i])
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "dim %d of the indices is %lld, of the data %lld", i,
                                (long long)index->dims[i], (long long)x->dims[i]);
    BNR_TRY(bnr__args_indices_in(a, 1, x->dims[w.axis], &w.v));
    if (index->numel == 0)
        return BNR_OK;
    bnr__dense_strides(x->rank, x->dims, w.x_strides);
    bnr__dense_strides(index->rank, index->dims, w.strides);
    const int last = x->rank - 1;
    size_t items = index->numel / (size_t)index->dims[last];
    if (w.axis != last) {
        w.chunks = ceil_div((size_t)index->dims[last], CHUNK);
        items = items / (size_t)index->dims[w.axis] * w.chunks;
    }
    bnr__parallel_for(a->pool, items, GRAIN / (index->numel / items + 1) + 1, walk_items, &w);
    return BNR_OK;
}
