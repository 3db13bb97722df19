// SPDX-License-Identifier: Apache-2.0
// Unique: the different elements, or the different slices along `axis`, ascending or in the order
// in which they first occur; with the index of each one's first occurrence, which of them each
// element is, and how often each occurs. Slices compare like words, element by element.
#include <string.h>

#include "runtime/ops/lib/lanes.h"
#include "runtime/ops/lib/order.h"

#define UNIQUE_TYPES (BNR_TYPES_NUMERIC | BNR_TYPE(STRING) | BNR_TYPE(BOOL))

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct bnr_shape y = {.rank = 1}, list = {.rank = 1};
    list.dims[0] = bnr__dim_unknown();
    BNR_TRY(bnr__infer_types(cx, 0, UNIQUE_TYPES));
    y.dims[0] = bnr__dim_unknown();
    if (bnr__attr(cx->node, "axis") != NULL) {
        y = x->shape;
        int axis;
        if (y.rank >= 0) {
            BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), y.rank, &axis));
            y.dims[axis] = bnr__dim_unknown();
        }
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    for (int i = 1; i < 4; i++)
        bnr__infer_set(cx, i, BNR_INT64, &list);
    return BNR_OK;
}

// n slices: slice s has `outer` pieces of `inner` elements, from s * inner on, n * inner apart.
struct slices {
    const struct bnr_tensor *x;
    const uint64_t *keys; // NULL for strings
    struct bnr_lanes l;
};

static int compare_strings(struct bnr_str a, struct bnr_str b) {
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const struct slices *s, size_t a, size_t b) {
    const struct bnr_lanes *l = &s->l;
    for (size_t o = 0; o < l->outer; o++)
        for (size_t i = 0; i < l->inner; i++) {
            const size_t at = o * l->n * l->inner + i;
            const size_t p = at + a * l->inner, q = at + b * l->inner;
            const int order = s->keys == NULL
                                  ? compare_strings(s->x->str[p], s->x->str[q])
                                  : (s->keys[p] > s->keys[q]) - (s->keys[p] < s->keys[q]);
            if (order != 0)
                return order;
        }
    return 0;
}

static bool slice_less(size_t a, size_t b, const void *cx) {
    return compare(cx, a, b) < 0;
}

static bool index_less(size_t a, size_t b, const void *cx) {
    const size_t *first = cx;
    return first[a] < first[b];
}

struct groups {
    size_t count;
    size_t *order; // slices, equal ones together
    size_t *group; // of each slice
    size_t *first; // slice of each group
    size_t *size;  // of each group
    size_t *rank;  // groups in the order of the output
    size_t *work;
};

static enum bnr_status sort_slices(const struct bnr_args *a, const struct slices *s,
                                   struct groups *g) {
    const size_t n = s->l.n;
    const bool one_each = s->keys != NULL && s->l.outer * s->l.inner == 1;
    struct bnr_keyed *items = one_each ? bnr__temp(a, n, 2 * sizeof *items) : NULL;
    if (one_each && items == NULL)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < n && one_each; i++)
        items[i] = (struct bnr_keyed){s->keys[i], i};
    if (one_each)
        items = bnr__sort_keyed(items, items + n, n);
    for (size_t i = 0; i < n; i++)
        g->order[i] = one_each ? items[i].index : i;
    if (!one_each)
        bnr__sort_stable(g->order, n, g->work, slice_less, s);
    return BNR_OK;
}

static enum bnr_status make_groups(const struct bnr_args *a, const struct slices *s,
                                   struct groups *g) {
    const size_t n = s->l.n;
    size_t **arrays[] = {&g->order, &g->group, &g->first, &g->size, &g->rank, &g->work};
    for (size_t i = 0; i < BNR_COUNT(arrays); i++)
        if ((*arrays[i] = bnr__temp(a, n, sizeof(size_t))) == NULL)
            return BNR_NO_MEMORY;
    BNR_TRY(sort_slices(a, s, g));
    g->count = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || compare(s, g->order[i - 1], g->order[i]) != 0) {
            g->rank[g->count] = g->count;
            g->first[g->count++] = g->order[i];
        }
        g->group[g->order[i]] = g->count - 1;
        g->size[g->count - 1]++;
    }
    if (bnr__attr_int(a->node, "sorted", 1) == 0)
        bnr__sort_stable(g->rank, g->count, g->work, index_less, g->first);
    return BNR_OK;
}

static enum bnr_status write_lists(const struct bnr_args *a, const struct groups *g, size_t n) {
    const int64_t count = (int64_t)g->count, all = (int64_t)n;
    struct bnr_tensor *first, *inverse, *sizes;
    BNR_TRY(bnr__out(a, 1, BNR_INT64, 1, &count, &first));
    BNR_TRY(bnr__out(a, 2, BNR_INT64, 1, &all, &inverse));
    BNR_TRY(bnr__out(a, 3, BNR_INT64, 1, &count, &sizes));
    for (size_t r = 0; r < g->count; r++) {
        g->work[g->rank[r]] = r;
        if (first != NULL)
            first->i64[r] = (int64_t)g->first[g->rank[r]];
        if (sizes != NULL)
            sizes->i64[r] = (int64_t)g->size[g->rank[r]];
    }
    for (size_t i = 0; i < n && inverse != NULL; i++)
        inverse->i64[i] = (int64_t)g->work[g->group[i]];
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct slices s = {.x = x, .l = {1, x->numel, 1}};
    int64_t dims[BNR_MAX_RANK] = {0}, axis = bnr__attr_int(a->node, "axis", 0);
    const bool flat = bnr__attr(a->node, "axis") == NULL;
    axis += axis < 0 ? x->rank : 0;
    if (!flat) {
        if (axis < 0 || axis >= x->rank)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axis %lld does not exist in rank %d",
                                (long long)bnr__attr_int(a->node, "axis", 0), x->rank);
        s.l = bnr__lanes_of(x, (int)axis);
        if (x->numel == 0 && s.l.n > 0)
            return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "slices without elements");
        memcpy(dims, x->dims, sizeof dims);
    }
    if (x->dtype != BNR_STRING) {
        uint64_t *keys = bnr__temp(a, x->numel, sizeof *keys);
        if (keys == NULL)
            return BNR_NO_MEMORY;
        bnr__order_keys(keys, x->dtype, x->data, x->numel);
        s.keys = keys;
    }
    struct groups g;
    BNR_TRY(make_groups(a, &s, &g));
    dims[flat ? 0 : axis] = (int64_t)g.count;
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, flat ? 1 : x->rank, dims));
    BNR_TRY(write_lists(a, &g, s.l.n));
    const size_t piece = s.l.inner * bnr__dtype_size(x->dtype);
    char *y = a->out[0]->data;
    for (size_t o = 0; o < s.l.outer && x->numel > 0; o++)
        for (size_t r = 0; r < g.count; r++, y += piece)
            memcpy(y, bnr__at(x, (o * s.l.n + g.first[g.rank[r]]) * s.l.inner), piece);
    return BNR_OK;
}

BNR_DEFINE_OP(unique) = {
    .domain = "",
    .name = "Unique",
    .since = {11},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 4,
    .flags = BNR_OP_DATA_SHAPE,
    .attrs = "axis:i sorted:i",
    .infer = infer,
    .ref = ref,
};
