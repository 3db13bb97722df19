// SPDX-License-Identifier: Apache-2.0
// Scan: runs a body once for each slice of its scan inputs. Body inputs: N states, then a slice of
// each of M scan inputs; outputs: N states, then K values that are stacked along a new axis. Axes
// and directions can be chosen from opset 9. Opset 8 runs the whole for each entry of a batch (axis
// 0; slices along axis 1), over its own length where `sequence_lens` (input 0) is given.
#include <string.h>

#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/stack.h"
#include "runtime/ops/lib/types.h"

// What the node says, the same for infer and ref.
struct scan {
    const struct bnr_node *node;
    struct bnr_graph *body;
    bool batched;            // opset 8
    int first;               // of the states among the inputs
    int n_states, n_scanned; // N, M
    int n_stacked;           // K
    struct bnr_ints in_axes, in_directions, out_axes, out_directions;
};

static struct bnr_ints list_attr(const struct bnr_node *n, const char *name) {
    struct bnr_ints list = {.given = bnr__attr(n, name) != NULL, .known = true};
    size_t count;
    list.v = bnr__attr_ints(n, name, &count);
    list.n = (int)count;
    return list;
}

static enum bnr_status check_flags(const struct scan *s, struct bnr_error *err) {
    const struct {
        const struct bnr_ints *list;
        const char *name;
        int n;
        bool flags;
    } all[] = {
        {&s->in_axes, "scan_input_axes", s->n_scanned, false},
        {&s->in_directions, s->batched ? "directions" : "scan_input_directions", s->n_scanned,
         true},
        {&s->out_axes, "scan_output_axes", s->n_stacked, false},
        {&s->out_directions, "scan_output_directions", s->n_stacked, true},
    };
    for (size_t i = 0; i < BNR_COUNT(all); i++) {
        if (all[i].list->given && all[i].list->n != all[i].n)
            return bnr__op_fail(s->node, err, BNR_SHAPE,
                                "attribute '%s' has %d entries, expected %d", all[i].name,
                                all[i].list->n, all[i].n);
        for (int k = 0; all[i].flags && k < all[i].list->n; k++)
            if (all[i].list->v[k] != 0 && all[i].list->v[k] != 1)
                return bnr__op_fail(s->node, err, BNR_SHAPE,
                                    "attribute '%s' has a %lld, expected 0 or 1", all[i].name,
                                    (long long)all[i].list->v[k]);
    }
    return BNR_OK;
}

static enum bnr_status read_node(const struct bnr_node *n, struct bnr_error *err, struct scan *s) {
    const int64_t scanned = bnr__attr_int(n, "num_scan_inputs", 0);
    *s = (struct scan){.node = n, .body = bnr__attr_graph(n, "body"), .batched = n->since < 9};
    s->first = s->batched ? 1 : 0;
    if (scanned < 1 || scanned > n->n_in - s->first)
        return bnr__op_fail(n, err, BNR_SHAPE, "num_scan_inputs is %lld, the node has %d inputs",
                            (long long)scanned, n->n_in);
    s->n_scanned = (int)scanned;
    s->n_states = n->n_in - s->first - s->n_scanned;
    if (s->body->n_inputs < (size_t)(s->n_states + s->n_scanned) ||
        s->body->n_outputs < (size_t)s->n_states || s->body->n_outputs < (size_t)n->n_out)
        return bnr__op_fail(
            n, err, BNR_MALFORMED,
            "has %d states, %d scan inputs and %d outputs, its body %zu inputs and %zu outputs",
            s->n_states, s->n_scanned, n->n_out, s->body->n_inputs, s->body->n_outputs);
    s->n_stacked = (int)s->body->n_outputs - s->n_states;
    for (int i = s->first; i < n->n_in; i++)
        if (!n->in[i])
            return bnr__op_fail(n, err, BNR_MALFORMED, "input %d is left out", i);
    s->in_directions = list_attr(n, s->batched ? "directions" : "scan_input_directions");
    if (!s->batched) {
        s->in_axes = list_attr(n, "scan_input_axes");
        s->out_axes = list_attr(n, "scan_output_axes");
        s->out_directions = list_attr(n, "scan_output_directions");
    }
    return check_flags(s, err);
}

// ---- inference ----------------------------------------------------------------------------------

// Type t without axis `axis`; *dim is its size.
static void without_axis(struct bnr_type *t, int axis, struct bnr_dim *dim) {
    *dim = t->shape.dims[axis];
    for (int i = axis; i + 1 < t->shape.rank; i++)
        t->shape.dims[i] = t->shape.dims[i + 1];
    t->shape.rank--;
}

static enum bnr_status meet(struct bnr_infer *cx, const char *what, struct bnr_dim *so_far,
                            struct bnr_dim d) {
    if (so_far->n >= 0 && d.n >= 0 && so_far->n != d.n)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "the inputs have different %s: %lld and %lld", what,
                            (long long)so_far->n, (long long)d.n);
    if (so_far->n < 0 && (d.n >= 0 || !so_far->sym))
        *so_far = d;
    return BNR_OK;
}

// Types of the body's inputs, the length and (opset 8) the batch.
static enum bnr_status body_inputs(struct bnr_infer *cx, const struct scan *s, struct bnr_info *in,
                                   struct bnr_dim *length, struct bnr_dim *batch) {
    for (int i = 0; i < s->n_states + s->n_scanned; i++) {
        const bool scanned = i >= s->n_states;
        struct bnr_dim dim;
        in[i] = bnr__info_unknown();
        in[i].type = cx->in[s->first + i]->type;
        const int removed = s->batched + scanned;
        BNR_TRY(bnr__infer_rank(cx, s->first + i, removed, BNR_MAX_RANK));
        if (in[i].type.shape.rank < 0)
            continue;
        if (s->batched) {
            without_axis(&in[i].type, 0, &dim);
            BNR_TRY(meet(cx, "batch sizes", batch, dim));
        }
        if (scanned) {
            int axis;
            const int64_t given = s->in_axes.given ? s->in_axes.v[i - s->n_states] : 0;
            BNR_TRY(bnr__infer_axis(cx, given, in[i].type.shape.rank, &axis));
            without_axis(&in[i].type, axis, &dim);
            BNR_TRY(meet(cx, "lengths", length, dim));
        }
    }
    return BNR_OK;
}

// States are generalized until they hold for every round.
static enum bnr_status settle(struct bnr_infer *cx, const struct scan *s, struct bnr_info *in,
                              const struct bnr_info **outs) {
    const size_t n = (size_t)(s->n_states + s->n_scanned);
    const struct bnr_info **ins = BNR_NEW_ARRAY(cx->arena, n, const struct bnr_info *);
    if (!ins)
        return bnr__no_memory(cx->err);
    for (size_t i = 0; i < n; i++)
        ins[i] = &in[i];
    for (bool changed = true; changed;) {
        changed = false;
        BNR_TRY(bnr__infer_body(cx, s->body, ins, n, outs));
        for (int i = 0; i < s->n_states; i++)
            if (!bnr__type_merge(cx->arena, &in[i].type, &outs[i]->type, &changed))
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "state %d changes its dtype", i);
    }
    return BNR_OK;
}

// The type with a batch axis in front.
static enum bnr_status set_batched(struct bnr_infer *cx, int out, const struct bnr_type *item,
                                   struct bnr_dim batch) {
    return bnr__stack_type(cx, out, item, 0, batch);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct scan s;
    struct bnr_dim length = bnr__dim_unknown(), batch = bnr__dim_unknown();
    BNR_TRY(read_node(cx->node, cx->err, &s));
    struct bnr_info *in =
        BNR_NEW_ARRAY(cx->arena, (size_t)(s.n_states + s.n_scanned), struct bnr_info);
    const struct bnr_info **outs =
        BNR_NEW_ARRAY(cx->arena, s.body->n_outputs, const struct bnr_info *);
    if (!in || !outs)
        return bnr__no_memory(cx->err);
    BNR_TRY(body_inputs(cx, &s, in, &length, &batch));
    BNR_TRY(settle(cx, &s, in, outs));
    for (int i = 0; i < cx->n_out; i++) {
        const int k = i - s.n_states;
        if (!cx->out[i])
            continue;
        if (k >= 0)
            BNR_TRY(bnr__stack_type(cx, i, &outs[i]->type, s.out_axes.given ? s.out_axes.v[k] : 0,
                                    length));
        else
            cx->out[i]->type = in[i].type;
        const struct bnr_type item = cx->out[i]->type;
        if (s.batched)
            BNR_TRY(set_batched(cx, i, &item, batch));
    }
    return BNR_OK;
}

// ---- evaluation ---------------------------------------------------------------------------------

struct work {
    const struct bnr_args *a;
    struct scan s;
    struct bnr_tensor **in, **out; // of the body, owned
    int64_t length, batch;
};

static int axis_of(const struct work *w, int k) {
    const int rank = w->a->in[w->s.first + w->s.n_states + k]->rank;
    const int64_t axis = w->s.in_axes.given ? w->s.in_axes.v[k] : w->s.batched;
    return (int)(axis < 0 ? axis + rank : axis);
}

static void drop(struct bnr_tensor **t, int n) {
    for (int i = 0; i < n; i++) {
        bnr__tensor_unref(t[i]);
        t[i] = NULL;
    }
}

// x[index] along each of n axes, given in ascending order. In place where that is one run of
// memory.
static enum bnr_status slice(const struct bnr_args *a, const struct bnr_tensor *x, int n,
                             const int *axis, const int64_t *index, struct bnr_tensor **out) {
    int64_t xs[BNR_MAX_RANK], ts[BNR_MAX_RANK], dims[BNR_MAX_RANK], strides[BNR_MAX_RANK],
        offset = 0;
    int rank = 0;
    bool leading = true;
    bnr__dense_strides(x->rank, x->dims, xs);
    for (int i = 0, k = 0; i < x->rank; i++) {
        if (k < n && axis[k] == i) {
            leading = leading && i == k;
            offset += index[k++] * xs[i];
            continue;
        }
        strides[rank] = xs[i];
        dims[rank++] = x->dims[i];
    }
    const size_t size = bnr__dtype_size(x->dtype);
    uint8_t *from = x->numel > 0 ? x->u8 + (size_t)offset * size : x->u8;
    if (leading)
        return bnr__tensor_wrap(out, a->temp->allocator, x->dtype, rank, dims, from, NULL, NULL,
                                a->err);
    BNR_TRY(bnr__tensor_new(out, a->temp->allocator, x->dtype, rank, dims, a->err));
    struct bnr_copy c = {.elem_size = size};
    bnr__dense_strides(rank, dims, ts);
    for (int i = 0; i < rank; i++)
        bnr__copy_dim(&c, dims[i], ts[i], strides[i]);
    if ((*out)->numel > 0)
        bnr__copy_run(&c, (*out)->data, from, a->pool);
    return BNR_OK;
}

static enum bnr_status slice_inputs(struct work *w, int64_t b, int64_t t) {
    for (int k = 0; k < w->s.n_scanned; k++) {
        const bool back = w->s.in_directions.given && w->s.in_directions.v[k];
        const int64_t at = back ? w->length - 1 - t : t;
        const int axes[2] = {0, 1}, one[1] = {axis_of(w, k)};
        const int64_t both[2] = {b, at};
        const int i = w->s.n_states + k;
        drop(&w->in[i], 1);
        BNR_TRY(slice(w->a, w->a->in[w->s.first + i], w->s.batched ? 2 : 1,
                      w->s.batched ? axes : one, w->s.batched ? both : &at, &w->in[i]));
    }
    return BNR_OK;
}

static enum bnr_status start_states(struct work *w, int64_t b) {
    for (int i = 0; i < w->s.n_states; i++) {
        const struct bnr_tensor *x = w->a->in[w->s.first + i];
        const int axis[1] = {0};
        drop(&w->in[i], 1);
        if (w->s.batched)
            BNR_TRY(slice(w->a, x, 1, axis, &b, &w->in[i]));
        else
            w->in[i] = bnr__tensor_share(x);
    }
    return BNR_OK;
}

// `length` rounds; results go into the stacks, the last states stay in w->in.
static enum bnr_status run_rounds(struct work *w, int64_t b, int64_t length,
                                  struct bnr_stack *stacks) {
    const struct bnr_args *a = w->a;
    BNR_TRY(start_states(w, b));
    for (int64_t t = 0; t < length; t++) {
        BNR_TRY(slice_inputs(w, b, t));
        BNR_TRY(
            bnr__run_body(a, w->s.body, w->in, (size_t)(w->s.n_states + w->s.n_scanned), w->out));
        enum bnr_status st = BNR_OK;
        for (int k = 0; st == BNR_OK && k < w->s.n_stacked; k++)
            st = bnr__stack_add(a, &stacks[k], w->out[w->s.n_states + k]);
        for (int i = 0; st == BNR_OK && i < w->s.n_states; i++) {
            drop(&w->in[i], 1);
            st = bnr__tensor_keep(&w->in[i], w->out[i], a->err);
        }
        drop(w->out, (int)w->s.body->n_outputs);
        BNR_TRY(st);
    }
    return BNR_OK;
}

static const struct bnr_type *item_type(const struct work *w, int k) {
    const struct bnr_value *v = w->s.body->outputs[w->s.n_states + k];
    return bnr__type_is_unknown(&v->info->type) ? v->declared : &v->info->type;
}

static enum bnr_status run_plain(struct work *w) {
    const struct bnr_args *a = w->a;
    struct bnr_stack *stacks = BNR_NEW_ARRAY(a->temp, (size_t)w->s.n_stacked + 1, struct bnr_stack);
    if (!stacks)
        return bnr__no_memory(a->err);
    for (int k = 0; k < w->s.n_stacked; k++)
        stacks[k] =
            (struct bnr_stack){.out = w->s.n_states + k,
                               .count = w->length,
                               .axis = w->s.out_axes.given ? w->s.out_axes.v[k] : 0,
                               .backwards = w->s.out_directions.given && w->s.out_directions.v[k]};
    BNR_TRY(run_rounds(w, 0, w->length, stacks));
    for (int k = 0; k < w->s.n_stacked; k++)
        BNR_TRY(bnr__stack_finish(a, &stacks[k], item_type(w, k)));
    for (int i = 0; i < w->s.n_states; i++)
        BNR_TRY(bnr__out_keep(a, i, w->in[i]));
    return BNR_OK;
}

// Opset 8. The entries' results are stacked, first along the sequence, then along the batch;
// sequences that are shorter than the longest possible are filled up with zeros.
static enum bnr_status pad_to(const struct bnr_args *a, struct bnr_tensor **t, int64_t length) {
    struct bnr_tensor *longer, *old = *t;
    int64_t dims[BNR_MAX_RANK];
    if (old->dims[0] == length)
        return BNR_OK;
    memcpy(dims, old->dims, sizeof dims);
    dims[0] = length;
    BNR_TRY(bnr__tensor_new(&longer, old->allocator, old->dtype, old->rank, dims, a->err));
    if (longer->nbytes > 0)
        memset(longer->data, 0, longer->nbytes);
    if (old->nbytes > 0)
        memcpy(longer->data, old->data, old->nbytes);
    bnr__tensor_unref(old);
    *t = longer;
    return BNR_OK;
}

static enum bnr_status run_entry(struct work *w, const struct bnr_args *entry, int64_t b,
                                 int64_t length, struct bnr_stack *batch_stacks) {
    const struct bnr_args *a = w->a;
    struct bnr_stack *stacks = BNR_NEW_ARRAY(a->temp, (size_t)w->s.n_stacked + 1, struct bnr_stack);
    if (!stacks)
        return bnr__no_memory(a->err);
    for (int k = 0; k < w->s.n_stacked; k++)
        stacks[k] = (struct bnr_stack){.out = w->s.n_states + k, .count = length};
    struct work inner = *w;
    inner.a = entry;
    const enum bnr_status st = run_rounds(&inner, b, length, stacks);
    BNR_TRY(st);
    for (int i = 0; i < a->n_out; i++) {
        if (!a->out[i])
            continue;
        if (i >= w->s.n_states) {
            BNR_TRY(bnr__stack_finish(entry, &stacks[i - w->s.n_states],
                                      item_type(w, i - w->s.n_states)));
            BNR_TRY(pad_to(a, &entry->out[i], w->length));
        }
        BNR_TRY(bnr__stack_add(a, &batch_stacks[i], i < w->s.n_states ? w->in[i] : entry->out[i]));
    }
    return BNR_OK;
}

static enum bnr_status length_of(const struct work *w, int64_t b, int64_t *length) {
    const struct bnr_tensor *lens = w->a->in[0];
    *length = w->length;
    if (!lens)
        return BNR_OK;
    if (lens->dtype != BNR_INT64 || (int64_t)lens->numel != w->batch || lens->i64[b] < 0 ||
        lens->i64[b] > w->length)
        return bnr__op_fail(w->a->node, w->a->err, BNR_SHAPE,
                            "sequence_lens must have %lld elements of int64 in [0, %lld]",
                            (long long)w->batch, (long long)w->length);
    *length = lens->i64[b];
    return BNR_OK;
}

static enum bnr_status run_batched(struct work *w) {
    const struct bnr_args *a = w->a;
    const size_t n = (size_t)a->n_out;
    struct bnr_stack *stacks = BNR_NEW_ARRAY(a->temp, n + 1, struct bnr_stack);
    struct bnr_tensor **outs = BNR_NEW_ARRAY(a->temp, n + 1, struct bnr_tensor *);
    if (!stacks || !outs)
        return bnr__no_memory(a->err);
    for (size_t i = 0; i < n; i++)
        stacks[i] = (struct bnr_stack){.out = (int)i, .count = w->batch};
    struct bnr_args entry = *a;
    entry.out = outs;
    enum bnr_status st = BNR_OK;
    for (int64_t b = 0; st == BNR_OK && b < w->batch; b++) {
        int64_t length = 0;
        const int64_t none[1] = {0};
        for (size_t i = 0; i < n && st == BNR_OK; i++)
            if (a->out[i])
                st = bnr__tensor_new(&outs[i], a->temp->allocator, BNR_UINT8, 1, none, a->err);
        if (st == BNR_OK)
            st = length_of(w, b, &length);
        if (st == BNR_OK)
            st = run_entry(w, &entry, b, length, stacks);
        drop(outs, (int)n);
    }
    for (size_t i = 0; st == BNR_OK && w->batch == 0 && i < n; i++)
        st = bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "an empty batch");
    return st;
}

// All scan inputs agree on the length, in opset 8 all inputs on the batch.
static enum bnr_status sizes(struct work *w) {
    const struct bnr_args *a = w->a;
    w->length = w->batch = -1;
    for (int i = 0; i < w->s.n_states + w->s.n_scanned; i++) {
        const struct bnr_tensor *x = a->in[w->s.first + i];
        const int k = i - w->s.n_states;
        const int axis = k >= 0 ? axis_of(w, k) : -1;
        if (x->rank < w->s.batched + (k >= 0) || axis >= x->rank || (k >= 0 && axis < 0))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d has rank %d, too small",
                                w->s.first + i, x->rank);
        if (w->s.batched && w->batch >= 0 && w->batch != x->dims[0])
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "the inputs have batches of %lld and %lld", (long long)w->batch,
                                (long long)x->dims[0]);
        if (k > 0 && w->length != x->dims[axis])
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "the scan inputs have lengths %lld and %lld", (long long)w->length,
                                (long long)x->dims[axis]);
        if (w->s.batched)
            w->batch = x->dims[0];
        if (k >= 0)
            w->length = x->dims[axis];
    }
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct work w = {.a = a};
    BNR_TRY(read_node(a->node, a->err, &w.s));
    BNR_TRY(sizes(&w));
    const int n = w.s.n_states + w.s.n_scanned;
    w.in = BNR_NEW_ARRAY(a->temp, (size_t)n, struct bnr_tensor *);
    w.out = BNR_NEW_ARRAY(a->temp, w.s.body->n_outputs + 1, struct bnr_tensor *);
    if (!w.in || !w.out)
        return bnr__no_memory(a->err);
    const enum bnr_status st = w.s.batched ? run_batched(&w) : run_plain(&w);
    drop(w.in, n);
    return st;
}

BNR_DEFINE_OP(scan) = {
    .domain = "",
    .name = "Scan",
    .since = {8, 9, 11, 16, 19, 21, 23, 24, 25},
    .min_in = 0,
    .max_in = BNR_VARIADIC,
    .min_out = 0,
    .max_out = BNR_VARIADIC,
    .attrs = "body:g! num_scan_inputs:i! directions:I scan_input_axes:I scan_input_directions:I "
             "scan_output_axes:I scan_output_directions:I",
    .infer = infer,
    .ref = ref,
};
