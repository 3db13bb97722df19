// SPDX-License-Identifier: Apache-2.0
// TopK: the k largest or smallest elements along an axis and where they were; of equal ones those
// of lower index. Always sorted (which `sorted` = 0 allows). A NaN counts as the largest. k is an
// attribute in version 1, input 1 later.
#include <string.h>

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

struct candidate {
    uint64_t key; // larger is better
    size_t index;
};

static inline bool worse(struct candidate a, struct candidate b) {
    return a.key != b.key ? a.key < b.key : a.index > b.index;
}

// heap[0] is the worst of n candidates; it sinks to its place.
static void sink(struct candidate *heap, size_t n) {
    const struct candidate moving = heap[0];
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

static void rise(struct candidate *heap, size_t at) {
    const struct candidate moving = heap[at];
    for (; at > 0 && worse(moving, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = moving;
}

// The k best of n keys (`stride` apart), best first.
static void select_best(const uint64_t *keys, size_t n, size_t stride, struct candidate *heap,
                        size_t k) {
    for (size_t i = 0; i < n && k > 0; i++) {
        const struct candidate c = {keys[i * stride], i};
        if (i < k) {
            heap[i] = c;
            rise(heap, i);
        } else if (worse(heap[0], c)) {
            heap[0] = c;
            sink(heap, k);
        }
    }
    for (size_t left = k; left > 1; left--) { // the worst goes to the end
        const struct candidate last = heap[left - 1];
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

static void write_best(const struct bnr_tensor *x, size_t start, const struct bnr_lanes *l,
                       const struct candidate *best, size_t k, struct bnr_tensor *const *out,
                       size_t to) {
    const size_t size = bnr__dtype_size(x->dtype);
    for (size_t j = 0; j < k; j++, to += l->inner) {
        memcpy(bnr__at_mut(out[0], to), bnr__at(x, start + best[j].index * l->inner), size);
        if (out[1] != NULL)
            out[1]->i64[to] = (int64_t)best[j].index;
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const bool largest = bnr__attr_int(a->node, "largest", 1) != 0;
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
    const struct bnr_lanes l = bnr__lanes_of(x, (int)axis);
    uint64_t *keys = bnr__temp(a, x->numel, sizeof *keys);
    struct candidate *heap = bnr__temp(a, (size_t)k, sizeof *heap);
    if (keys == NULL || heap == NULL)
        return BNR_NO_MEMORY;
    bnr__order_keys(keys, x->dtype, x->data, x->numel);
    for (size_t i = 0; i < x->numel && !largest; i++)
        keys[i] = ~keys[i];
    struct bnr_tensor *out[2] = {a->out[0], a->n_out > 1 ? a->out[1] : NULL};
    for (size_t lane = 0; lane < l.outer * l.inner; lane++) {
        const size_t start = bnr__lane_start(&l, lane);
        select_best(keys + start, l.n, l.inner, heap, (size_t)k);
        write_best(x, start, &l, heap, (size_t)k, out,
                   lane / l.inner * (size_t)k * l.inner + lane % l.inner);
    }
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
