// SPDX-License-Identifier: Apache-2.0
// TopK: the k largest or smallest elements along an axis and where they were; of equal ones those
// of lower index. Always sorted (which `sorted` = 0 allows). A NaN counts as the largest. k is an
// attribute in version 1, input 1 later.
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"
#include "runtime/ops/lib/lanes.h"
#include "runtime/ops/lib/order.h"

static int64_t axis_attr(const struct bnr_node *n) {
    return bnr__attr_int(n, "axis", -1);
}

static enum bnr_status check_k(const struct bnr_node *n, int64_t k, int64_t dim,
                               struct bnr_error *err) {
    if (k >= 0 && (dim < 0 || k <= dim))
        return BNR_OK;
    return bnr__op_fail(n, err, BNR_SHAPE,
                        "k is %lld, expected at most the %lld elements along the axis",
                        (long long)k, (long long)dim);
}

static enum bnr_status infer_k(struct bnr_infer *cx, struct bnr_dim *k) {
    const struct bnr_dim *elems;
    int n;
    *k = (struct bnr_dim){.n = BNR_ELEM_UNKNOWN};
    if (cx->node->since < 10) {
        k->n = bnr__attr_int(cx->node, "k", -1);
        return BNR_OK;
    }
    if (cx->n_in < 2 || cx->in[1] == NULL)
        return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "input 1 (K) is missing");
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_ints(cx, 1, &elems, &n));
    if (elems != NULL && n != 1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "K has %d elements, expected 1", n);
    if (elems != NULL)
        *k = elems[0];
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct bnr_shape y = x->shape;
    struct bnr_dim k;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_NUMERIC));
    BNR_TRY(infer_k(cx, &k));
    if (y.rank >= 0) {
        int axis;
        BNR_TRY(bnr__infer_axis(cx, axis_attr(cx->node), y.rank, &axis));
        if (bnr__elem_is_number(k))
            BNR_TRY(check_k(cx->node, k.n, y.dims[axis].n, cx->err));
        y.dims[axis] = bnr__dim_of_elem(k);
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    bnr__infer_set(cx, 1, BNR_INT64, &y);
    return BNR_OK;
}

// ---- evaluation ---------------------------------------------------------------------------------

// Keys are larger for better elements here; of equal ones the lower index is the better.
static inline bool worse(struct bnr_keyed a, struct bnr_keyed b) {
    return a.key != b.key ? a.key < b.key : a.index > b.index;
}

// heap[0] is the worst of n candidates; it sinks to its place.
static void sink(struct bnr_keyed *heap, size_t n) {
    const struct bnr_keyed moving = heap[0];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], moving))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

static void rise(struct bnr_keyed *heap, size_t at) {
    const struct bnr_keyed moving = heap[at];
    for (; at > 0 && worse(moving, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = moving;
}

// Adds n keys, of the elements from `first` on, to the k best of those before.
static void heap_add(struct bnr_keyed *heap, size_t k, const uint64_t *keys, size_t first,
                     size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct bnr_keyed c = {keys[i], first + i};
        if (c.index < k) {
            heap[c.index] = c;
            rise(heap, c.index);
        } else if (c.key > heap[0].key) { // a later one of equal keys is worse
            heap[0] = c;
            sink(heap, k);
        }
    }
}

static void heap_order(struct bnr_keyed *heap, size_t k) {
    for (size_t left = k; left > 1; left--) { // the worst goes to the end
        const struct bnr_keyed last = heap[left - 1];
        heap[left - 1] = heap[0];
        heap[0] = last;
        sink(heap, left - 1);
    }
}

static enum bnr_status read_k(const struct bnr_args *a, int64_t *k) {
    *k = bnr__attr_int(a->node, "k", -1);
    if (a->node->since < 10)
        return BNR_OK;
    const struct bnr_tensor *t = bnr__in(a, 1);
    if (t == NULL || t->numel != 1 || t->dtype != BNR_INT64)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "K must be one int64");
    *k = t->i64[0];
    return BNR_OK;
}

struct search {
    const struct bnr_tensor *x;
    struct bnr_tensor *y, *index; // index: may be NULL
    struct bnr_lanes l;
    size_t k;
    bool largest;
    bool sorts;             // a whole lane is sorted, which is faster for a large k
    struct bnr_slots slots; // candidates of one lane, twice those for sorting
};

enum { PART = 256 };

// Keys of n elements of a lane from `first` on, larger for better ones.
static void lane_keys(const struct search *s, size_t start, size_t first, size_t n,
                      uint64_t *keys) {
    const size_t size = bnr__dtype_size(s->x->dtype), step = s->l.inner;
    char part[PART * sizeof(uint64_t)];
    const char *from = bnr__at(s->x, start + first * step);
    for (size_t i = 0; step > 1 && i < n; i++)
        memcpy(part + i * size, from + i * step * size, size);
    bnr__order_keys(keys, s->x->dtype, step > 1 ? part : from, n);
    for (size_t i = 0; i < n && !s->largest; i++)
        keys[i] = ~keys[i];
}

// The k best of a lane, best first; in `space`.
static const struct bnr_keyed *best_of_lane(const struct search *s, size_t start,
                                            struct bnr_keyed *space) {
    uint64_t keys[PART];
    for (size_t first = 0; first < s->l.n; first += PART) {
        const size_t n = min_size(s->l.n - first, PART);
        lane_keys(s, start, first, n, keys);
        if (!s->sorts)
            heap_add(space, s->k, keys, first, n);
        for (size_t i = 0; i < n && s->sorts; i++)
            space[first + i] = (struct bnr_keyed){~keys[i], first + i};
    }
    if (s->sorts)
        return bnr__sort_keyed(space, space + s->l.n, s->l.n);
    heap_order(space, s->k);
    return space;
}

static void search_lanes(void *cx, size_t begin, size_t end) {
    struct search *s = cx;
    const size_t size = bnr__dtype_size(s->x->dtype);
    struct bnr_keyed *space = bnr__slots_take(&s->slots);
    for (size_t lane = begin; lane < end; lane++) {
        const size_t start = bnr__lane_start(&s->l, lane);
        const struct bnr_keyed *best = best_of_lane(s, start, space);
        size_t to = lane / s->l.inner * s->k * s->l.inner + lane % s->l.inner;
        for (size_t j = 0; j < s->k; j++, to += s->l.inner) {
            memcpy(bnr__at_mut(s->y, to), bnr__at(s->x, start + best[j].index * s->l.inner), size);
            if (s->index != NULL)
                s->index->i64[to] = (int64_t)best[j].index;
        }
    }
    bnr__slots_give(&s->slots, space);
}

static enum bnr_status take_slots(const struct bnr_args *a, struct search *s) {
    const int count = bnr__slots_count(bnr__pool_threads(a->pool));
    size_t items = s->k, bytes, all;
    if ((s->sorts && !bnr__size_mul(s->l.n, 2, &items)) ||
        !bnr__size_mul(items, sizeof(struct bnr_keyed), &bytes) ||
        !bnr__size_add(bytes, 63, &bytes) ||
        !bnr__size_mul(bytes &= ~(size_t)63, (size_t)count, &all) || !bnr__size_add(all, 63, &all))
        return bnr__no_memory(a->err);
    char *space = bnr__temp(a, all, 1);
    if (space == NULL)
        return BNR_NO_MEMORY;
    space += (64 - (uintptr_t)space % 64) % 64;
    bnr__slots_init(&s->slots, space, bytes, count);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    int64_t dims[BNR_MAX_RANK], k, axis = axis_attr(a->node);
    if (axis < -x->rank || axis >= x->rank)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axis %lld is outside [%d, %d)",
                            (long long)axis, -x->rank, x->rank);
    axis += axis < 0 ? x->rank : 0;
    BNR_TRY(read_k(a, &k));
    BNR_TRY(check_k(a->node, k, x->dims[axis], a->err));
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = k;
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, dims));
    BNR_TRY(bnr__out_alloc(a, 1, BNR_INT64, x->rank, dims));
    if (a->out[0]->numel == 0)
        return BNR_OK;
    struct search s = {.x = x,
                       .y = a->out[0],
                       .index = a->n_out > 1 ? a->out[1] : NULL,
                       .l = bnr__lanes_of(x, (int)axis),
                       .k = (size_t)k,
                       .largest = bnr__attr_int(a->node, "largest", 1) != 0};
    s.sorts = s.l.n >= 1024 && s.k >= s.l.n / 16;
    BNR_TRY(take_slots(a, &s));
    bnr__parallel_for(a->pool, s.l.outer * s.l.inner, 8192 / s.l.n + 1, search_lanes, &s);
    return BNR_OK;
}

BNR_DEFINE_OP(top_k) = {
    .domain = "",
    .name = "TopK",
    .since = {1, 10, 11, 24},
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 2,
    .attrs = "axis:i k:i largest:i sorted:i",
    .infer = infer,
    .ref = ref,
};
