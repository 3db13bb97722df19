// SPDX-License-Identifier: Apache-2.0
// Reductions. The dims are merged into alternating kept and reduced ones. Where the innermost dim
// is kept, a piece is a strip of neighbouring results; where it is reduced, a piece is one result,
// accumulated in LANES independent sums. Pieces are what threads share, so the order of additions
// is fixed.
#include "runtime/ops/lib/reduce.h"

#include <math.h>
#include <stdalign.h>
#include <string.h>

#include "runtime/base/pool.h"

enum { STRIP = 256, LANES = 8, WORK_PER_GRAIN = 32 * 1024 };

// ---- which axes ---------------------------------------------------------------------------------

// Axis i of n values in [-rank, rank) -> reduced[axis]; none of them: all, or none with
// noop_with_empty_axes.
static enum bnr_status mark_axes(const struct bnr_node *node, const int64_t *axes, size_t n,
                                 int rank, bool reduced[BNR_MAX_RANK], struct bnr_error *err) {
    const bool all = n == 0 && bnr__attr_int(node, "noop_with_empty_axes", 0) == 0;
    for (int d = 0; d < rank; d++)
        reduced[d] = all;
    for (size_t i = 0; i < n; i++) {
        if (axes[i] < -rank || axes[i] >= rank)
            return bnr__op_fail(node, err, BNR_SHAPE, "axis %lld is outside [%d, %d) for rank %d",
                                (long long)axes[i], -rank, rank, rank);
        reduced[axes[i] < 0 ? axes[i] + rank : axes[i]] = true;
    }
    return BNR_OK;
}

static bool axes_are_input(const struct bnr_node *n, const struct bnr_reduce *op) {
    return n->since >= op->axes_input;
}

bool bnr__reduce_known_axes(const struct bnr_prepare *cx, const struct bnr_reduce *op,
                            bool reduced[BNR_MAX_RANK]) {
    const struct bnr_node *n = cx->node;
    const int64_t *axes = NULL;
    size_t count = 0;
    if (!axes_are_input(n, op)) {
        axes = bnr__attr_ints(n, "axes", &count);
    } else if (n->n_in > 1 && cx->in[1]) {
        const struct bnr_tensor *t = cx->in[1]->tensor;
        if (!t)
            return false;
        axes = t->i64;
        count = t->numel;
    }
    return mark_axes(n, axes, count, cx->in[0]->type.shape.rank, reduced, cx->err) == BNR_OK;
}

// ---- inference ----------------------------------------------------------------------------------

// *known false: the axes are data that nobody knows yet.
static enum bnr_status infer_axes(struct bnr_infer *cx, const struct bnr_reduce *op, int rank,
                                  bool reduced[BNR_MAX_RANK], bool *known) {
    const int64_t *axes = NULL;
    size_t n = 0;
    *known = true;
    if (!axes_are_input(cx->node, op)) {
        axes = bnr__attr_ints(cx->node, "axes", &n);
    } else if (cx->n_in > 1 && cx->in[1] != NULL) {
        const struct bnr_dim *elems;
        int count;
        BNR_TRY(bnr__infer_ints(cx, 1, &elems, &count));
        *known = elems != NULL && count <= 4 * BNR_MAX_RANK;
        int64_t *values = BNR_NEW_ARRAY(cx->arena, 4 * BNR_MAX_RANK, int64_t);
        if (values == NULL)
            return bnr__no_memory(cx->err);
        for (int i = 0; i < count && *known; i++) {
            *known = bnr__elem_is_number(elems[i]);
            values[i] = elems[i].n;
        }
        axes = values;
        n = (size_t)count;
    }
    return *known ? mark_axes(cx->node, axes, n, rank, reduced, cx->err) : BNR_OK;
}

enum bnr_status bnr__reduce_infer(struct bnr_infer *cx, const struct bnr_reduce *op) {
    const struct bnr_type *x = &cx->in[0]->type;
    const bool keep = bnr__attr_int(cx->node, "keepdims", 1) != 0;
    bool reduced[BNR_MAX_RANK], known = false;
    BNR_TRY(bnr__infer_types(cx, 0, op->types));
    if (axes_are_input(cx->node, op)) {
        BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPE(INT64)));
        BNR_TRY(bnr__infer_rank(cx, 1, 0, 1));
    }
    if (x->shape.rank >= 0)
        BNR_TRY(infer_axes(cx, op, x->shape.rank, reduced, &known));
    struct bnr_shape y = bnr__shape_unknown();
    if (x->shape.rank >= 0 && (known || keep))
        y.rank = 0;
    for (int d = 0; d < x->shape.rank && y.rank >= 0; d++) {
        if (!known)
            y.dims[y.rank++] = bnr__dim_unknown();
        else if (!reduced[d])
            y.dims[y.rank++] = x->shape.dims[d];
        else if (keep)
            y.dims[y.rank++] = bnr__dim_of(1);
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

// ---- evaluation ---------------------------------------------------------------------------------

struct reduction {
    const struct bnr_reduce *op;
    const struct bnr_reduce_loops *loops;
    const struct bnr_tensor *x;
    struct bnr_tensor *y;
    enum bnr_class cls; // of the accumulators: DOUBLE, INT or UINT
    union {
        double f;
        int64_t i;
    } start;
    int rank; // merged dims
    int64_t dims[BNR_MAX_RANK], stride[BNR_MAX_RANK];
    bool reduced[BNR_MAX_RANK];
    size_t count;  // elements to a result
    size_t width;  // length of the innermost dim where it is kept, else 1
    size_t strips; // pieces to a row of results
};

// Elements of the accumulator type, 8 bytes each; only copied as bytes here.
enum { WORD = 8 };
struct buffers {
    alignas(BNR_TENSOR_ALIGN) char x[STRIP * WORD];
    alignas(BNR_TENSOR_ALIGN) char acc[STRIP * WORD];
    alignas(BNR_TENSOR_ALIGN) char m[STRIP * WORD];
};

static void load(const struct reduction *r, void *dst, size_t offset, size_t n) {
    const char *src = (const char *)r->x->data + offset * bnr__dtype_size(r->x->dtype);
    if (r->cls == BNR_CLASS_DOUBLE)
        bnr__load_f64(dst, r->x->dtype, src, n);
    else
        bnr__load_i64(dst, r->x->dtype, src, n);
}

static void store(const struct reduction *r, const void *src, size_t offset, size_t n) {
    char *dst = (char *)r->y->data + offset * bnr__dtype_size(r->y->dtype);
    if (r->cls == BNR_CLASS_DOUBLE)
        bnr__store_f64(r->y->dtype, dst, src, n);
    else
        bnr__store_i64(r->y->dtype, dst, src, n);
}

static void fill(char *dst, size_t n, const void *word) {
    for (size_t j = 0; j < n; j++)
        memcpy(dst + j * WORD, word, WORD);
}

// A contiguous run of elements that all belong to one result, in lanes.
static void step_run(const struct reduction *r, const struct bnr_reduce_loops *loops,
                     struct buffers *b, size_t offset, size_t n) {
    while (n > 0) {
        const size_t part = n < STRIP ? n : STRIP, rows = part / LANES, rest = part % LANES;
        load(r, b->x, offset, part);
        loops->step(b->acc, LANES, b->x, rows, b->m);
        if (rest > 0)
            loops->step(b->acc, rest, b->x + rows * LANES * WORD, 1, b->m);
        offset += part;
        n -= part;
    }
}

// Rows of `width` results each, `pitch` elements apart in x.
static void step_rows(const struct reduction *r, const struct bnr_reduce_loops *loops,
                      struct buffers *b, size_t offset, size_t width, size_t rows, size_t pitch) {
    const size_t at_once = width == pitch ? STRIP / width : 1;
    while (rows > 0) {
        const size_t part = rows < at_once ? rows : at_once;
        load(r, b->x, offset, part * width);
        loops->step(b->acc, width, b->x, part, b->m);
        offset += part * pitch;
        rows -= part;
    }
}

// Everything that belongs to the results at `offset` (in x): the innermost reduced dim by the
// functions above, the ones around it by counting.
static void accumulate(const struct reduction *r, const struct bnr_reduce_loops *loops,
                       struct buffers *b, size_t offset, size_t width) {
    int axes[BNR_MAX_RANK], n = 0;
    int64_t at[BNR_MAX_RANK] = {0};
    for (int d = 0; d < r->rank; d++)
        if (r->reduced[d])
            axes[n++] = d;
    const size_t rows = n > 0 ? (size_t)r->dims[axes[n - 1]] : 1;
    const size_t pitch = n > 0 ? (size_t)r->stride[axes[n - 1]] : 0;
    for (;;) {
        if (r->width == 1)
            step_run(r, loops, b, offset, rows);
        else
            step_rows(r, loops, b, offset, width, rows, pitch);
        int k = n - 2;
        for (; k >= 0; k--) {
            offset += (size_t)r->stride[axes[k]];
            if (++at[k] < r->dims[axes[k]])
                break;
            offset -= (size_t)(r->stride[axes[k]] * at[k]);
            at[k] = 0;
        }
        if (k < 0)
            return;
    }
}

#define LARGER(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
BNR_REDUCE_LOOPS(largest, double, x, LARGER(a, b))
static const struct bnr_reduce_loops find_largest = {BNR_REDUCE(largest)};

static void find_shifts(const struct reduction *r, struct buffers *b, size_t offset, size_t width) {
    const double lowest = -HUGE_VAL;
    const size_t lanes = r->width == 1 ? LANES : width;
    fill(b->acc, lanes, &lowest);
    if (r->count > 0)
        accumulate(r, &find_largest, b, offset, width);
    if (r->width == 1)
        find_largest.merge(b->acc, LANES);
    for (size_t j = 0; j < lanes; j++) {
        double m;
        memcpy(&m, b->acc + (r->width == 1 ? 0 : j * WORD), WORD);
        m = isinf(m) ? 0 : m;
        memcpy(b->m + j * WORD, &m, WORD);
    }
}

static void reduce_pieces(void *cx, size_t begin, size_t end) {
    const struct reduction *r = cx;
    struct buffers b;
    for (size_t piece = begin; piece < end; piece++) {
        const size_t row = piece / r->strips, column = piece % r->strips * STRIP;
        const size_t left = r->width - column, width = left < STRIP ? left : STRIP;
        size_t offset = column, rest = row;
        for (int d = r->rank - 1; d >= 0; d--) {
            if (r->reduced[d] || (d == r->rank - 1 && r->width > 1))
                continue;
            offset += rest % (size_t)r->dims[d] * (size_t)r->stride[d];
            rest /= (size_t)r->dims[d];
        }
        if (r->op->shifted)
            find_shifts(r, &b, offset, width);
        fill(b.acc, r->width == 1 ? LANES : width, &r->start);
        if (r->count > 0)
            accumulate(r, r->loops, &b, offset, width);
        if (r->width == 1)
            r->loops->merge(b.acc, LANES);
        if (r->loops->finish != NULL)
            r->loops->finish(b.acc, width, r->count, b.m);
        store(r, b.acc, row * r->width + column, width);
    }
}

// ---- setting up ---------------------------------------------------------------------------------

static void merge_dims(struct reduction *r, const bool *reduced) {
    int64_t stride = 1;
    int at = BNR_MAX_RANK; // filled from the end
    r->count = 1;
    r->width = r->strips = 1;
    if (r->x->numel == 0) { // results of nothing, or none
        r->count = 0;
        return;
    }
    for (int d = r->x->rank - 1; d >= 0; d--) {
        const int64_t dim = r->x->dims[d];
        if (reduced[d])
            r->count *= (size_t)dim;
        if (dim == 1)
            continue;
        if (at < BNR_MAX_RANK && r->reduced[at] == reduced[d]) {
            r->dims[at] *= dim;
        } else {
            at--;
            r->dims[at] = dim;
            r->stride[at] = stride;
            r->reduced[at] = reduced[d];
        }
        stride *= dim;
    }
    r->rank = BNR_MAX_RANK - at;
    for (int d = 0; d < r->rank; d++) {
        r->dims[d] = r->dims[at + d];
        r->stride[d] = r->stride[at + d];
        r->reduced[d] = r->reduced[at + d];
    }
    const bool kept = r->rank > 0 && !r->reduced[r->rank - 1];
    r->width = kept ? (size_t)r->dims[r->rank - 1] : 1;
    r->strips = (r->width + STRIP - 1) / STRIP;
}

// A merge of lanes starts from each lane's start value, so that must be neutral: for max and min
// the limit of the dtype, which is also the result of an empty set.
static void set_start(struct reduction *r) {
    int64_t element = 0;
    r->start.i = 0;
    switch (r->op->start) {
    case BNR_START_ZERO:
        return;
    case BNR_START_ONE:
        if (r->cls == BNR_CLASS_DOUBLE)
            r->start.f = 1;
        else
            r->start.i = 1;
        return;
    default:
        if (r->cls == BNR_CLASS_DOUBLE) {
            r->start.f = r->op->start == BNR_START_LOWEST ? -HUGE_VAL : HUGE_VAL;
        } else {
            bnr__dtype_limit(r->x->dtype, r->op->start == BNR_START_HIGHEST, &element);
            r->start.i = bnr__get_i64(r->x->dtype, &element, 0);
        }
    }
}

static enum bnr_status out_dims(const struct bnr_args *a, const struct bnr_reduce *op,
                                bool reduced[BNR_MAX_RANK]) {
    const struct bnr_tensor *x = a->in[0];
    const int64_t *axes;
    size_t n = 0;
    if (!axes_are_input(a->node, op)) {
        axes = bnr__attr_ints(a->node, "axes", &n);
    } else {
        const struct bnr_tensor *t = a->n_in > 1 ? a->in[1] : NULL;
        if (t != NULL && t->dtype != BNR_INT64)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axes are %s, expected int64",
                                bnr__dtype_name(t->dtype));
        axes = t != NULL ? t->i64 : NULL;
        n = t != NULL ? t->numel : 0;
    }
    BNR_TRY(mark_axes(a->node, axes, n, x->rank, reduced, a->err));
    int64_t dims[BNR_MAX_RANK];
    int rank = 0;
    const bool keep = bnr__attr_int(a->node, "keepdims", 1) != 0;
    for (int d = 0; d < x->rank; d++)
        if (!reduced[d] || keep)
            dims[rank++] = reduced[d] ? 1 : x->dims[d];
    return bnr__out_alloc(a, 0, x->dtype, rank, dims);
}

enum bnr_status bnr__reduce_run(const struct bnr_args *a, const struct bnr_reduce *op) {
    struct reduction r = {.op = op, .x = a->in[0]};
    bool reduced[BNR_MAX_RANK];
    if (!(op->types >> r.x->dtype & 1))
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "not defined for %s",
                            bnr__dtype_name(r.x->dtype));
    BNR_TRY(out_dims(a, op, reduced));
    r.y = a->out[0];
    const enum bnr_class c = bnr__dtype_class(r.x->dtype);
    r.cls = bnr__dtype_is_float(r.x->dtype) || op->as_double ? BNR_CLASS_DOUBLE
            : c == BNR_CLASS_INT                             ? BNR_CLASS_INT
                                                             : BNR_CLASS_UINT;
    r.loops = r.cls == BNR_CLASS_DOUBLE ? &op->f64 : r.cls == BNR_CLASS_INT ? &op->i64 : &op->u64;
    merge_dims(&r, reduced);
    set_start(&r);
    if (r.y->numel == 0)
        return BNR_OK;
    const size_t work = (r.count > 0 ? r.count : 1) * (r.width < STRIP ? r.width : STRIP);
    bnr__parallel_for(a->pool, r.y->numel / r.width * r.strips,
                      work < WORK_PER_GRAIN ? WORK_PER_GRAIN / work : 1, reduce_pieces, &r);
    return BNR_OK;
}
