// SPDX-License-Identifier: Apache-2.0
// Pad: adds elements around the input (a constant, or taken from the input by reflection,
// repetition of the edge or wrapping), or cuts off where a pad is negative. `pads` is an attribute
// below opset 11.
#include <string.h>

#include "graph/tensor.h"
#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare_pixels.h"
#include "runtime/ops/lib/shape.h"

enum mode { CONSTANT, REFLECT, EDGE, WRAP };

struct params {
    enum mode mode;
    int64_t before[BNR_MAX_RANK], after[BNR_MAX_RANK];
};

static enum bnr_status get_mode(const struct bnr_node *n, struct bnr_error *err, enum mode *mode) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *name = bnr__attr_string(n, "mode", "constant");
    for (int i = 0; i < (n->since >= 19 ? 4 : 3); i++) {
        if (strcmp(name, names[i]) == 0) {
            *mode = (enum mode)i;
            return BNR_OK;
        }
    }
    return bnr__op_fail(n, err, BNR_SHAPE, "mode is '%s', expected constant, reflect, edge%s", name,
                        n->since >= 19 ? " or wrap" : "");
}

static const char *pads_attr(const struct bnr_node *n) {
    return n->since >= 11 ? NULL : n->since == 1 ? "paddings" : "pads";
}

// Spreads the pads over all axes.
static enum bnr_status spread(const struct bnr_node *n, struct bnr_error *err, int rank,
                              const struct bnr_ints *pads, const struct bnr_ints *axes,
                              struct params *p) {
    int axis[BNR_MAX_RANK];
    const int count = axes->given ? axes->n : rank;
    if (pads->n != 2 * count)
        return bnr__op_fail(n, err, BNR_SHAPE, "%d pads for %d axes, expected two each", pads->n,
                            count);
    if (axes->given)
        BNR_TRY(bnr__resolve_axes(n, err, axes, rank, axis));
    for (int i = 0; i < rank; i++)
        p->before[i] = p->after[i] = 0;
    for (int i = 0; i < count; i++) {
        const int d = axes->given ? axis[i] : i;
        p->before[d] = pads->v[i];
        p->after[d] = pads->v[count + i];
    }
    return BNR_OK;
}

// The padded size of dim i. A negative pad first cuts, and what is left must have something to
// repeat.
static enum bnr_status padded(const struct bnr_node *n, struct bnr_error *err,
                              const struct params *p, int i, int64_t dim, int64_t *out) {
    const int64_t cut_before = p->before[i] < 0 ? p->before[i] : 0,
                  cut_after = p->after[i] < 0 ? p->after[i] : 0;
    int64_t left = dim, total;
    if (!bnr__i64_add(left, cut_before, &left) || !bnr__i64_add(left, cut_after, &left) ||
        left < 0 || !bnr__i64_add(dim, p->before[i], &total) ||
        !bnr__i64_add(total, p->after[i], &total))
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "dim %d of size %lld cannot be padded by %lld and %lld", i,
                            (long long)dim, (long long)p->before[i], (long long)p->after[i]);
    if (p->mode != CONSTANT && left == 0 && total > 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "dim %d has no elements to pad from", i);
    *out = total;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = cx->in[0]->type.shape;
    struct bnr_ints pads, axes;
    struct params p;
    const bool inputs = cx->node->since >= 11;
    BNR_TRY(get_mode(cx->node, cx->err, &p.mode));
    BNR_TRY(bnr__infer_int_list(cx, inputs ? 1 : -1, pads_attr(cx->node), &pads));
    BNR_TRY(bnr__infer_int_list(cx, cx->node->since >= 18 ? 3 : -1, NULL, &axes));
    if (!pads.given)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the pads are missing");
    if (inputs)
        BNR_TRY(bnr__infer_same_dtype(cx, 0, 2));
    if (y.rank < 0 && !axes.given && pads.n >= 0 && pads.n <= 2 * BNR_MAX_RANK && pads.n % 2 == 0) {
        y.rank = pads.n / 2;
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    const bool known = pads.known && (!axes.given || axes.known);
    if (y.rank >= 0 && known)
        BNR_TRY(spread(cx->node, cx->err, y.rank, &pads, &axes, &p));
    for (int i = 0; i < y.rank; i++) {
        if (!known || (y.dims[i].n < 0 && (p.before[i] != 0 || p.after[i] != 0)))
            y.dims[i] = bnr__dim_unknown();
        else if (y.dims[i].n >= 0)
            BNR_TRY(padded(cx->node, cx->err, &p, i, y.dims[i].n, &y.dims[i].n));
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

// One element in the input's dtype, at most 16 bytes.
static enum bnr_status fill_value(const struct bnr_args *a, void *element) {
    const struct bnr_tensor *x = a->in[0], *v = a->n_in > 2 ? a->in[2] : NULL;
    memset(element, 0, 16);
    if (a->node->since < 11) {
        const float value = bnr__attr_float(a->node, "value", 0);
        bnr__store_f32(x->dtype, element, &value, 1);
        return BNR_OK;
    }
    if (!v)
        return BNR_OK;
    if (v->numel != 1 || v->dtype != x->dtype)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "the constant has %zu elements of dtype %s, expected one %s", v->numel,
                            bnr__dtype_name(v->dtype), bnr__dtype_name(x->dtype));
    memcpy(element, v->data, v->nbytes);
    return BNR_OK;
}

static enum bnr_status pad_constant(const struct bnr_args *a, const struct params *p) {
    const struct bnr_tensor *x = a->in[0], *y = a->out[0];
    int64_t xs[BNR_MAX_RANK], ys[BNR_MAX_RANK], from = 0, to = 0;
    struct bnr_copy c = {.elem_size = bnr__dtype_size(x->dtype)};
    uint64_t element[2];
    BNR_TRY(fill_value(a, element));
    if (y->numel == 0)
        return BNR_OK;
    bnr__copy_fill(y->data, element, c.elem_size, y->numel, a->pool);
    if (x->numel == 0)
        return BNR_OK;
    bnr__dense_strides(x->rank, x->dims, xs);
    bnr__dense_strides(y->rank, y->dims, ys);
    for (int i = 0; i < x->rank; i++) {
        const int64_t cut =
            (p->before[i] < 0 ? p->before[i] : 0) + (p->after[i] < 0 ? p->after[i] : 0);
        bnr__copy_dim(&c, x->dims[i] + cut, ys[i], xs[i]);
        from += p->before[i] < 0 ? -p->before[i] * xs[i] : 0;
        to += p->before[i] > 0 ? p->before[i] * ys[i] : 0;
    }
    for (int i = 0; i < c.rank; i++)
        if (c.dims[i] <= 0)
            return BNR_OK;
    bnr__copy_run(&c, y->u8 + (size_t)to * c.elem_size, x->u8 + (size_t)from * c.elem_size,
                  a->pool);
    return BNR_OK;
}

// Where index i of the padded axis comes from, for an axis of which n elements are left. Reflection
// repeats with a period of 2n - 2, as numpy.pad does for pads beyond the size.
static int64_t source(enum mode mode, int64_t i, int64_t n) {
    const int64_t period = mode == REFLECT ? 2 * n - 2 : n;
    if (i >= 0 && i < n)
        return i;
    if (mode == EDGE || period == 0)
        return i < 0 ? 0 : n - 1;
    i %= period;
    i = i < 0 ? i + period : i;
    return i < n ? i : period - i;
}

struct work {
    const struct bnr_tensor *x, *y;
    int64_t *map[BNR_MAX_RANK]; // per axis: source index, times its stride
    size_t size;
    size_t inner, inner_end; // of the last axis: what comes from neighbours in order
};

static void move_rows(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    const int last = w->y->rank - 1;
    const size_t n = (size_t)w->y->dims[last];
    for (size_t row = begin; row < end; row++) {
        size_t rest = row;
        int64_t base = 0;
        for (int d = last - 1; d >= 0; d--) {
            base += w->map[d][rest % (size_t)w->y->dims[d]];
            rest /= (size_t)w->y->dims[d];
        }
        const uint8_t *src = w->x->u8 + (size_t)base * w->size;
        uint8_t *dst = w->y->u8 + row * n * w->size;
        for (size_t i = 0; i < w->inner; i++)
            memcpy(dst + i * w->size, src + (size_t)w->map[last][i] * w->size, w->size);
        if (w->inner < w->inner_end)
            memcpy(dst + w->inner * w->size, src + (size_t)w->map[last][w->inner] * w->size,
                   (w->inner_end - w->inner) * w->size);
        for (size_t i = w->inner_end; i < n; i++)
            memcpy(dst + i * w->size, src + (size_t)w->map[last][i] * w->size, w->size);
    }
}

static enum bnr_status pad_mapped(const struct bnr_args *a, const struct params *p) {
    const struct bnr_tensor *x = a->in[0], *y = a->out[0];
    struct work w = {.x = x, .y = y, .size = bnr__dtype_size(x->dtype)};
    int64_t xs[BNR_MAX_RANK];
    if (y->numel == 0)
        return BNR_OK;
    bnr__dense_strides(x->rank, x->dims, xs);
    for (int d = 0; d < y->rank; d++) {
        const int64_t cut = p->before[d] < 0 ? -p->before[d] : 0;
        const int64_t n = x->dims[d] - cut + (p->after[d] < 0 ? p->after[d] : 0);
        w.map[d] = BNR_NEW_ARRAY(a->temp, (size_t)y->dims[d], int64_t);
        if (!w.map[d])
            return bnr__no_memory(a->err);
        for (int64_t i = 0; i < y->dims[d]; i++)
            w.map[d][i] =
                (cut + source(p->mode, i - (p->before[d] > 0 ? p->before[d] : 0), n)) * xs[d];
    }
    if (y->rank == 0) {
        memcpy(y->data, x->data, w.size);
        return BNR_OK;
    }
    const size_t n = (size_t)y->dims[y->rank - 1];
    const int64_t *map = w.map[y->rank - 1], before = p->before[y->rank - 1];
    w.inner = min_size(before > 0 ? (size_t)before : 0, n);
    w.inner_end = w.inner;
    while (w.inner_end < n &&
           (w.inner_end == w.inner || map[w.inner_end] == map[w.inner_end - 1] + 1))
        w.inner_end++;
    bnr__parallel_for(a->pool, y->numel / n, (1 << 14) / n + 1, move_rows, &w);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_ints pads, axes;
    struct params p;
    int64_t dims[BNR_MAX_RANK];
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(get_mode(a->node, a->err, &p.mode));
    BNR_TRY(bnr__args_int_list(a, a->node->since >= 11 ? 1 : -1, pads_attr(a->node), &pads));
    BNR_TRY(bnr__args_int_list(a, a->node->since >= 18 ? 3 : -1, NULL, &axes));
    BNR_TRY(spread(a->node, a->err, x->rank, &pads, &axes, &p));
    for (int i = 0; i < x->rank; i++)
        BNR_TRY(padded(a->node, a->err, &p, i, x->dims[i], &dims[i]));
    BNR_TRY(bnr__out_expect(a, 0, x->rank, dims));
    return p.mode == CONSTANT ? pad_constant(a, &p) : pad_mapped(a, &p);
}

// ---- on blocked tensors -------------------------------------------------------------------------

// The fill as far as it is known before a run.
static bool known_fill(const struct bnr_prepare *cx, float *fill) {
    const struct bnr_info *v = cx->node->n_in > 2 ? cx->in[2] : NULL;
    *fill = cx->node->since < 11 ? bnr__attr_float(cx->node, "value", 0) : 0;
    if (cx->node->since < 11 || !v)
        return true;
    if (!v->tensor || v->tensor->numel != 1 || v->tensor->dtype != BNR_FLOAT)
        return false;
    *fill = (float)bnr__tensor_f64(v->tensor, 0);
    return true;
}

static enum bnr_status map_axis(struct bnr_prepare *cx, const struct params *p, int d,
                                const int64_t **out) {
    const int64_t n = cx->in[0]->type.shape.dims[d].n, m = cx->out[0]->type.shape.dims[d].n;
    int64_t *from = BNR_NEW_ARRAY(cx->arena, (size_t)m, int64_t);
    if (!from)
        return bnr__no_memory(cx->err);
    for (int64_t i = 0; i < m; i++) {
        const int64_t at = i - p->before[d];
        from[i] = p->mode != CONSTANT ? source(p->mode, at, n) : at >= 0 && at < n ? at : -1;
    }
    *out = from;
    return BNR_OK;
}

static enum bnr_status prepare(struct bnr_prepare *cx) {
    const struct bnr_node *n = cx->node;
    const int rank = cx->in[0]->type.shape.rank;
    struct bnr_infer infer_cx = {
        .node = n, .in = cx->in, .n_in = n->n_in, .arena = cx->arena, .err = cx->err};
    const int64_t *from[BNR_MAX_RANK] = {NULL};
    struct bnr_ints pads, axes;
    struct params p;
    float fill;
    if (!cx->lanes || rank < 3 || rank > 5 || !known_fill(cx, &fill))
        return BNR_OK;
    BNR_TRY(get_mode(n, cx->err, &p.mode));
    BNR_TRY(bnr__infer_int_list(&infer_cx, n->since >= 11 ? 1 : -1, pads_attr(n), &pads));
    BNR_TRY(bnr__infer_int_list(&infer_cx, n->since >= 18 ? 3 : -1, NULL, &axes));
    if (!pads.known || (axes.given && !axes.known))
        return BNR_OK;
    BNR_TRY(spread(n, cx->err, rank, &pads, &axes, &p));
    for (int d = 0; d < rank; d++) {
        if (p.before[d] == 0 && p.after[d] == 0)
            continue;
        if (d < 2 || (p.mode != CONSTANT && (p.before[d] < 0 || p.after[d] < 0)))
            return BNR_OK;
        BNR_TRY(map_axis(cx, &p, d, &from[d]));
    }
    return bnr__prepare_pixels(cx, from, fill);
}

BNR_DEFINE_OP(pad) = {
    .domain = "",
    .name = "Pad",
    .since = {1, 2, 11, 13, 18, 19, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = "mode:s pads:I paddings:I value:f",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
    .affine = &bnr__affine_pad,
};
