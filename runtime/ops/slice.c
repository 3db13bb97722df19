// SPDX-License-Identifier: Apache-2.0
// Slice: start, end and step along the listed axes. Attributes without steps in opset 1, inputs
// from 10.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare_channels.h"
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/strided.h"

struct params {
    struct bnr_ints starts, ends, axes, steps;
    int axis[BNR_MAX_RANK]; // where the axes are known: resolved, one for each start
};

static enum bnr_status check(const struct bnr_node *n, struct bnr_error *err, struct params *p,
                             int rank) {
    const struct bnr_ints *const lists[] = {&p->ends, &p->axes, &p->steps};
    static const char *const names[] = {"ends", "axes", "steps"};
    if (!p->starts.given || !p->ends.given)
        return bnr__op_fail(n, err, BNR_SHAPE, "starts or ends are missing");
    for (int i = 0; i < 3; i++)
        if (lists[i]->given && lists[i]->n >= 0 && p->starts.n >= 0 && lists[i]->n != p->starts.n)
            return bnr__op_fail(n, err, BNR_SHAPE, "%d starts, but %d %s", p->starts.n, lists[i]->n,
                                names[i]);
    for (int i = 0; p->steps.given && p->steps.known && i < p->steps.n; i++)
        if (p->steps.v[i] == 0)
            return bnr__op_fail(n, err, BNR_SHAPE, "step %d is 0", i);
    if (rank < 0)
        return BNR_OK;
    if (p->starts.n > rank)
        return bnr__op_fail(n, err, BNR_SHAPE, "%d starts for an input of rank %d", p->starts.n,
                            rank);
    if (p->axes.given && p->axes.known)
        return bnr__resolve_axes(n, err, &p->axes, rank, p->axis);
    for (int i = 0; i < p->starts.n; i++)
        p->axis[i] = i;
    return BNR_OK;
}

// One axis: the first index and how many; `step` may be any number but 0.
static int64_t span(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first) {
    const bool back = step < 0;
    *first = 0;
    if (dim == 0)
        return 0;
    start = start < 0 ? start + dim : start;
    end = end < 0 ? end + dim : end;
    const int64_t low = back ? -1 : 0, high = back ? dim - 1 : dim;
    start = start < 0 ? 0 : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    *first = start;
    const int64_t distance = back ? start - end : end - start;
    if (distance <= 0)
        return 0;
    const uint64_t stride = back ? (uint64_t)0 - (uint64_t)step : (uint64_t)step;
    return (int64_t)(((uint64_t)distance - 1) / stride + 1);
}

static enum bnr_status read_infer(struct bnr_infer *cx, struct params *p) {
    const bool inputs = cx->node->since >= 10;
    BNR_TRY(bnr__infer_int_list(cx, inputs ? 1 : -1, "starts", &p->starts));
    BNR_TRY(bnr__infer_int_list(cx, inputs ? 2 : -1, "ends", &p->ends));
    BNR_TRY(bnr__infer_int_list(cx, inputs ? 3 : -1, inputs ? NULL : "axes", &p->axes));
    BNR_TRY(bnr__infer_int_list(cx, inputs ? 4 : -1, NULL, &p->steps));
    return check(cx->node, cx->err, p, cx->in[0]->type.shape.rank);
}

static enum bnr_status read_args(const struct bnr_args *a, struct params *p) {
    const bool inputs = a->node->since >= 10;
    BNR_TRY(bnr__args_int_list(a, inputs ? 1 : -1, "starts", &p->starts));
    BNR_TRY(bnr__args_int_list(a, inputs ? 2 : -1, "ends", &p->ends));
    BNR_TRY(bnr__args_int_list(a, inputs ? 3 : -1, inputs ? NULL : "axes", &p->axes));
    BNR_TRY(bnr__args_int_list(a, inputs ? 4 : -1, NULL, &p->steps));
    return check(a->node, a->err, p, a->in[0]->rank);
}

// One axis of an open dim, of an input that gives starts, ends and steps only in part.
static struct bnr_dim open_span(const struct params *p, int i, struct bnr_dim dim) {
    const int64_t step = !p->steps.given ? 1 : p->steps.known ? p->steps.v[i] : 0;
    int64_t first;
    if (!p->starts.known || !p->ends.known || step == 0)
        return bnr__dim_unknown();
    if (dim.n >= 0)
        return bnr__dim_of(span(dim.n, p->starts.v[i], p->ends.v[i], step, &first));
    const bool all = step == 1 && p->starts.v[i] == 0 && p->ends.v[i] >= INT32_MAX;
    const bool reversed = step == -1 && p->starts.v[i] == -1 && p->ends.v[i] <= -INT32_MAX;
    return all || reversed ? dim : bnr__dim_unknown();
}

static enum bnr_status slice_elems(struct bnr_infer *cx, const struct params *p) {
    const struct bnr_dim *elems;
    int n;
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    if (!elems || p->starts.n != 1 || !p->starts.known || !p->ends.known ||
        (p->steps.given && !p->steps.known))
        return BNR_OK;
    int64_t first;
    const int64_t step = p->steps.given ? p->steps.v[0] : 1;
    const int64_t count = span(n, p->starts.v[0], p->ends.v[0], step, &first);
    struct bnr_dim out[64];
    if (count > 64)
        return BNR_OK;
    for (int64_t i = 0; i < count; i++)
        out[i] = elems[first + i * step];
    return bnr__infer_set_elems(cx, 0, out, (int)count);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct params p;
    BNR_TRY(read_infer(cx, &p));
    struct bnr_shape y = cx->in[0]->type.shape;
    const bool placed = p.starts.n >= 0 && (!p.axes.given || p.axes.known);
    for (int i = 0; i < y.rank; i++)
        if (!placed)
            y.dims[i] = bnr__dim_unknown();
    for (int i = 0; y.rank >= 0 && placed && i < p.starts.n; i++)
        y.dims[p.axis[i]] = open_span(&p, i, y.dims[p.axis[i]]);
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return y.rank == 1 && placed ? slice_elems(cx, &p) : BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct params p;
    int64_t xs[BNR_MAX_RANK], ys[BNR_MAX_RANK], dims[BNR_MAX_RANK], src_strides[BNR_MAX_RANK],
        offset = 0;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(read_args(a, &p));
    bnr__dense_strides(x->rank, x->dims, xs);
    for (int d = 0; d < x->rank; d++) {
        dims[d] = x->dims[d];
        src_strides[d] = xs[d];
    }
    for (int i = 0; i < p.starts.n; i++) {
        const int d = p.axis[i];
        const int64_t step = p.steps.given ? p.steps.v[i] : 1;
        int64_t first;
        dims[d] = span(x->dims[d], p.starts.v[i], p.ends.v[i], step, &first);
        if (dims[d] > 0)
            offset += first * xs[d];
        if (dims[d] > 1)
            src_strides[d] = xs[d] * step; // within the input, as there is a second element
    }
    BNR_TRY(bnr__out_expect(a, 0, x->rank, dims));
    if (a->out[0]->numel == 0)
        return BNR_OK;
    bnr__dense_strides(x->rank, dims, ys);
    struct bnr_copy c = {.elem_size = bnr__dtype_size(x->dtype)};
    for (int d = 0; d < x->rank; d++)
        bnr__copy_dim(&c, dims[d], ys[d], src_strides[d]);
    bnr__copy_run(&c, a->out[0]->data, x->u8 + (size_t)offset * c.elem_size, a->pool);
    return BNR_OK;
}

static bool all_known(const struct params *p) {
    return p->starts.known && p->ends.known && (!p->axes.given || p->axes.known) &&
           (!p->steps.given || p->steps.known);
}

static bool strided(struct bnr_infer *cx, int out, struct bnr_strided *s) {
    struct params p;
    if (read_infer(cx, &p) != BNR_OK || !all_known(&p))
        return false;
    for (int i = 0; i < p.starts.n; i++) {
        const int64_t step = p.steps.given ? p.steps.v[i] : 1;
        int64_t first;
        const int64_t n = span(s->dims[p.axis[i]], p.starts.v[i], p.ends.v[i], step, &first);
        if (n == 0 || !bnr__strided_slice(s, p.axis[i], first, n, step))
            return false;
    }
    return true;
}

// Of channels alone, on blocked tensors.
static enum bnr_status prepare(struct bnr_prepare *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    struct bnr_infer infer_cx = {.node = cx->node,
                                 .in = cx->in,
                                 .n_in = cx->node->n_in,
                                 .arena = cx->arena,
                                 .err = cx->err};
    struct params p;
    int64_t first = 0, step = 1, start;
    if (!cx->lanes || x->rank < 3)
        return BNR_OK;
    BNR_TRY(read_infer(&infer_cx, &p));
    if (!all_known(&p))
        return BNR_OK;
    for (int i = 0; i < p.starts.n; i++) {
        const int64_t dim = x->dims[p.axis[i]].n, by = p.steps.given ? p.steps.v[i] : 1;
        const int64_t n = span(dim, p.starts.v[i], p.ends.v[i], by, &start);
        if (p.axis[i] != 1 && (n != dim || (by != 1 && dim > 1)))
            return BNR_OK;
        if (p.axis[i] == 1) {
            first = start;
            step = by;
        }
    }
    struct bnr_channel *list = bnr__channels_new(cx, &cx->out[0]->type);
    if (!list)
        return bnr__no_memory(cx->err);
    for (int64_t c = 0; c < cx->out[0]->type.shape.dims[1].n; c++)
        list[c] = (struct bnr_channel){.in = 0, .channel = (size_t)(first + c * step)};
    return bnr__prepare_channels(cx, 1, &(struct bnr_channels_out){&cx->out[0]->type, list}, 1);
}

BNR_DEFINE_OP(slice) = {
    .domain = "",
    .name = "Slice",
    .since = {1, 10, 11, 13},
    .min_in = 1,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = "starts:I ends:I axes:I",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
    .strided = strided,
    .affine = &bnr__affine_slice,
};
