// SPDX-License-Identifier: Apache-2.0
// Loop: runs a body while the trip count M and the condition allow it; either may be omitted. Body
// inputs: round number, condition, N carried values; outputs: condition, N carried values, K values
// that are stacked along a new axis 0.
#include <string.h>

#include "runtime/ops/lib/stack.h"
#include "runtime/ops/lib/types.h"

static const enum bnr_dtype trip_types[] = {BNR_INT64, BNR_INT32, BNR_UNDEFINED};
static const enum bnr_dtype condition_types[] = {BNR_BOOL, BNR_UNDEFINED};

static int carried_count(int n_in) {
    return n_in > 2 ? n_in - 2 : 0;
}

static enum bnr_status get_body(const struct bnr_node *n, struct bnr_error *err,
                                struct bnr_graph **body) {
    *body = bnr__attr_graph(n, "body");
    const size_t carried = (size_t)carried_count(n->n_in);
    if ((*body)->n_inputs >= carried + 2 && (*body)->n_outputs >= carried + 1 &&
        (*body)->n_outputs - 1 >= (size_t)n->n_out)
        return BNR_OK;
    return bnr__op_fail(
        n, err, BNR_MALFORMED,
        "has %d inputs and %d outputs, which does not fit to the %zu and %zu of its body", n->n_in,
        n->n_out, (*body)->n_inputs, (*body)->n_outputs);
}

// ---- inference ----------------------------------------------------------------------------------

struct rounds {
    struct bnr_info *state; // round, condition, carried values: what holds in every round
    const struct bnr_info **in, **outs; // pointers to `state`; the body's results
    int n;                              // of state
};

static bool known_true(const struct bnr_info *c) {
    return c && c->tensor && c->tensor->kind == BNR_KIND_TENSOR && c->tensor->numel == 1 &&
           c->tensor->u8[0];
}

static enum bnr_status start(struct bnr_infer *cx, const struct bnr_graph *body, struct rounds *r) {
    r->n = 2 + carried_count(cx->n_in);
    r->state = BNR_NEW_ARRAY(cx->arena, (size_t)r->n, struct bnr_info);
    r->in = BNR_NEW_ARRAY(cx->arena, (size_t)r->n, const struct bnr_info *);
    r->outs = BNR_NEW_ARRAY(cx->arena, body->n_outputs, const struct bnr_info *);
    if (!r->state || !r->in || !r->outs)
        return bnr__no_memory(cx->err);
    const struct bnr_info *condition = cx->n_in > 1 ? cx->in[1] : NULL;
    for (int i = 0; i < r->n; i++) {
        r->state[i] = bnr__info_unknown();
        r->in[i] = &r->state[i];
        if (i < 2)
            r->state[i].type.shape.rank = 0;
        else if (!cx->in[i])
            return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "input %d is left out", i);
        else
            r->state[i].type = cx->in[i]->type;
    }
    if (condition)
        r->state[1].type = condition->type;
    r->state[0].type.dtype = BNR_INT64;
    r->state[1].type.dtype = BNR_BOOL;
    r->state[1].tensor = known_true(condition) ? condition->tensor : NULL;
    return BNR_OK;
}

// One look at the body; *changed when a state was not as general as it has to be.
static enum bnr_status look(struct bnr_infer *cx, struct bnr_graph *body, struct rounds *r,
                            bool *changed) {
    BNR_TRY(bnr__infer_body(cx, body, r->in, (size_t)r->n, r->outs));
    for (int i = 1; i < r->n; i++) {
        struct bnr_type *t = &r->state[i].type;
        const struct bnr_type before = *t;
        const struct bnr_type *next = &r->outs[i - 1]->type;
        // Kinds may change: an optional sequence becomes a sequence once there is one.
        if (bnr__type_merge(cx->arena, t, next, changed) || before.kind != next->kind)
            continue;
        char from[160], to[160];
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "carried value %d starts as %s and becomes %s", i - 2,
                            bnr__type_describe(&before, from, sizeof from),
                            bnr__type_describe(next, to, sizeof to));
    }
    if (r->state[1].tensor && !known_true(r->outs[0])) {
        r->state[1].tensor = NULL;
        *changed = true;
    }
    return BNR_OK;
}

// The number of rounds, where that is no matter of data.
static enum bnr_status round_count(struct bnr_infer *cx, const struct rounds *r,
                                   struct bnr_dim *count) {
    const struct bnr_info *m = cx->n_in > 0 ? cx->in[0] : NULL,
                          *condition = cx->n_in > 1 ? cx->in[1] : NULL;
    const struct bnr_dim *elems;
    int n;
    *count = bnr__dim_unknown();
    if (condition && condition->tensor && !known_true(condition))
        *count = bnr__dim_of(0);
    if (!m || (condition && !r->state[1].tensor))
        return BNR_OK;
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    if (!elems || n != 1)
        return BNR_OK;
    *count = bnr__elem_is_number(elems[0]) && elems[0].n < 0 ? bnr__dim_of(0)
                                                             : bnr__dim_of_elem(elems[0]);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_graph *body;
    struct rounds r;
    struct bnr_dim count;
    bool changed = true;
    if (cx->n_in > 0)
        BNR_TRY(bnr__infer_dtype(cx, 0, trip_types));
    if (cx->n_in > 1)
        BNR_TRY(bnr__infer_dtype(cx, 1, condition_types));
    BNR_TRY(get_body(cx->node, cx->err, &body));
    BNR_TRY(start(cx, body, &r));
    while (changed) { // each time something becomes unknown for good
        changed = false;
        BNR_TRY(look(cx, body, &r, &changed));
    }
    BNR_TRY(round_count(cx, &r, &count));
    for (int i = 0; i < cx->n_out; i++) {
        if (i >= r.n - 2)
            BNR_TRY(bnr__stack_type(cx, i, &r.outs[1 + i]->type, 0, count));
        else if (cx->out[i])
            cx->out[i]->type = r.state[2 + i].type;
    }
    return BNR_OK;
}

// ---- evaluation ---------------------------------------------------------------------------------

struct loop {
    const struct bnr_args *a;
    struct bnr_graph *body;
    int n;                   // carried values
    size_t n_scan;           // stacked ones
    struct bnr_tensor **in;  // [2 + n], owned: round, condition, carried
    struct bnr_tensor **out; // [n_outputs of the body], owned
    struct bnr_stack *scan;  // [n_scan]
};

static enum bnr_status scalar(const struct bnr_args *a, enum bnr_dtype dtype, int64_t v,
                              struct bnr_tensor **out) {
    BNR_TRY(bnr__tensor_new(out, a->temp->allocator, dtype, 0, NULL, a->err));
    bnr__store_i64(dtype, (*out)->data, &v, 1);
    return BNR_OK;
}

static enum bnr_status set_up(struct loop *l, int64_t known_rounds) {
    const struct bnr_args *a = l->a;
    l->n = carried_count(a->n_in);
    l->n_scan = l->body->n_outputs - 1 - (size_t)l->n;
    l->in = BNR_NEW_ARRAY(a->temp, (size_t)l->n + 2, struct bnr_tensor *);
    l->out = BNR_NEW_ARRAY(a->temp, l->body->n_outputs, struct bnr_tensor *);
    l->scan = BNR_NEW_ARRAY(a->temp, l->n_scan + 1, struct bnr_stack);
    if (!l->in || !l->out || !l->scan)
        return bnr__no_memory(a->err);
    for (size_t k = 0; k < l->n_scan; k++)
        l->scan[k] = (struct bnr_stack){.out = l->n + (int)k, .count = known_rounds};
    for (int i = 0; i < l->n; i++)
        l->in[2 + i] = bnr__tensor_share(a->in[2 + i]);
    return a->n_in > 1 && a->in[1] ? (l->in[1] = bnr__tensor_share(a->in[1]), BNR_OK)
                                   : scalar(a, BNR_BOOL, 1, &l->in[1]);
}

// The body's results become the next round's inputs.
static enum bnr_status carry(struct loop *l) {
    for (size_t k = 0; k < l->n_scan; k++)
        BNR_TRY(bnr__stack_add(l->a, &l->scan[k], l->out[1 + (size_t)l->n + k]));
    for (int i = 0; i <= l->n; i++) {
        struct bnr_tensor *next;
        BNR_TRY(bnr__tensor_keep(&next, l->out[i], l->a->err));
        bnr__tensor_unref(l->in[1 + i]);
        l->in[1 + i] = next;
    }
    return BNR_OK;
}

static void drop(struct bnr_tensor **t, size_t n) {
    for (size_t i = 0; t && i < n; i++) {
        bnr__tensor_unref(t[i]);
        t[i] = NULL;
    }
}

static enum bnr_status condition_of(const struct loop *l, bool *go) {
    const struct bnr_tensor *c = l->in[1];
    if (c->kind != BNR_KIND_TENSOR || c->dtype != BNR_BOOL || c->numel != 1) {
        char seen[160];
        return bnr__op_fail(l->a->node, l->a->err, BNR_SHAPE,
                            "the condition is %s, expected a bool",
                            bnr__tensor_describe(c, seen, sizeof seen));
    }
    *go = c->u8[0] != 0;
    return BNR_OK;
}

static enum bnr_status run_rounds(struct loop *l, int64_t trip, bool has_condition) {
    bool go = true;
    if (has_condition)
        BNR_TRY(condition_of(l, &go));
    for (int64_t i = 0; i < trip && go; i++) {
        drop(l->in, 1);
        BNR_TRY(scalar(l->a, BNR_INT64, i, &l->in[0]));
        BNR_TRY(bnr__run_body(l->a, l->body, l->in, (size_t)l->n + 2, l->out));
        const enum bnr_status st = carry(l);
        drop(l->out, l->body->n_outputs);
        BNR_TRY(st);
        if (has_condition)
            BNR_TRY(condition_of(l, &go));
    }
    return BNR_OK;
}

static enum bnr_status finish(struct loop *l) {
    for (int i = 0; i < l->n; i++)
        BNR_TRY(bnr__out_keep(l->a, i, l->in[2 + i]));
    for (size_t k = 0; k < l->n_scan; k++) {
        const struct bnr_value *v = l->body->outputs[1 + (size_t)l->n + k];
        const struct bnr_type *t =
            bnr__type_is_unknown(&v->info->type) ? v->declared : &v->info->type;
        BNR_TRY(bnr__stack_finish(l->a, &l->scan[k], t));
    }
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct loop l = {.a = a};
    int64_t trip;
    const bool has_condition = a->n_in > 1 && a->in[1], has_trip = a->n_in > 0 && a->in[0];
    BNR_TRY(get_body(a->node, a->err, &l.body));
    BNR_TRY(bnr__args_scalar(a, 0, INT64_MAX, &trip));
    const bool fixed = has_trip && !has_condition && trip > 0;
    enum bnr_status st = set_up(&l, fixed ? trip : -1);
    if (st == BNR_OK)
        st = run_rounds(&l, trip, has_condition);
    if (st == BNR_OK)
        st = finish(&l);
    drop(l.in, l.in ? (size_t)l.n + 2 : 0);
    for (size_t k = 0; l.scan && k < l.n_scan; k++)
        bnr__stack_free(&l.scan[k]);
    return st;
}

BNR_DEFINE_OP(loop) = {
    .domain = "",
    .name = "Loop",
    .since = {1, 11, 13, 16, 19, 21, 23, 24, 25},
    .min_in = 0,
    .max_in = BNR_VARIADIC,
    .min_out = 0,
    .max_out = BNR_VARIADIC,
    .flags = BNR_OP_ANY_KIND,
    .attrs = "body:g!",
    .infer = infer,
    .ref = ref,
};
