// SPDX-License-Identifier: Apache-2.0
// One node by its reference code, outside any session: for constant folding and shape arithmetic.
#include <string.h>

#include "graph/infer.h"

struct eval {
    const struct bnr_node *node;
    const struct bnr_allocator *allocator;
    struct bnr_arena temp, strings;
    struct bnr_info *in_infos, *out_infos;
    struct bnr_tensor *nothing; // what stands in an output slot of unknown shape
    struct bnr_tensor **aligned; // [node->n_in]: references on the inputs
    struct bnr_tensor **outs;
    struct bnr_error *err;
};

static enum bnr_status infer_outputs(struct eval *e, struct bnr_tensor *const *in) {
    const struct bnr_node *n = e->node;
    const size_t n_in = (size_t)n->n_in, n_out = (size_t)n->n_out;
    const struct bnr_info **ins = BNR_NEW_ARRAY(&e->temp, n_in, const struct bnr_info *);
    struct bnr_info **outs = BNR_NEW_ARRAY(&e->temp, n_out, struct bnr_info *);
    e->in_infos = BNR_NEW_ARRAY(&e->temp, n_in, struct bnr_info);
    e->out_infos = BNR_NEW_ARRAY(&e->temp, n_out, struct bnr_info);
    if (!ins || !outs || !e->in_infos || !e->out_infos)
        return bnr__no_memory(e->err);
    for (size_t i = 0; i < n_in; i++)
        if (in[i]) {
            if (bnr__info_of_tensor(&e->in_infos[i], in[i], &e->temp) != BNR_OK)
                return bnr__no_memory(e->err);
            ins[i] = &e->in_infos[i];
        }
    for (size_t i = 0; i < n_out; i++) {
        e->out_infos[i] = bnr__info_unknown();
        outs[i] = n->out[i] ? &e->out_infos[i] : NULL;
    }
    struct bnr_infer cx = {.node = n,
                           .in = ins,
                           .n_in = n->n_in,
                           .out = outs,
                           .n_out = n->n_out,
                           .arena = &e->temp,
                           .err = e->err};
    return bnr__infer_call(&cx);
}

static enum bnr_status allocate_outputs(struct eval *e) {
    const struct bnr_node *n = e->node;
    const int64_t none[1] = {0};
    BNR_TRY(bnr__tensor_wrap(&e->nothing, e->allocator, BNR_UINT8, 1, none, NULL, NULL, NULL, e->err));
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        const struct bnr_type *t = &e->out_infos[i].type;
        int64_t dims[BNR_MAX_RANK];
        if (t->kind != BNR_KIND_TENSOR || t->dtype == BNR_UNDEFINED || !bnr__shape_known(&t->shape) ||
            (n->op->flags & BNR_OP_DATA_SHAPE)) {
            e->outs[i] = bnr__tensor_ref(e->nothing);
            continue;
        }
        bnr__shape_numbers(&t->shape, dims);
        enum bnr_status st =
            bnr__tensor_new(&e->outs[i], e->allocator, t->dtype, t->shape.rank, dims, e->err);
        if (st != BNR_OK)
            return bnr__fail_prefix(e->err, st, "node '%s' (%s)", n->label, n->op_type);
    }
    return BNR_OK;
}

static bool has_strings(const struct bnr_tensor *t) {
    for (size_t i = 0; i < t->n_items; i++)
        if (has_strings(t->items[i]))
            return true;
    return t->kind == BNR_KIND_TENSOR && t->dtype == BNR_STRING;
}

// Reference code reads elements in place.
static enum bnr_status align_inputs(struct eval *e, struct bnr_tensor *const *in,
                                    struct bnr_tensor ***out) {
    e->aligned = BNR_NEW_ARRAY(&e->temp, (size_t)e->node->n_in, struct bnr_tensor *);
    if (!e->aligned)
        return bnr__no_memory(e->err);
    for (int i = 0; i < e->node->n_in; i++)
        if (in[i])
            BNR_TRY(bnr__tensor_align(&e->aligned[i], in[i], e->err));
    *out = e->aligned;
    return BNR_OK;
}

// Results must not point into the arenas of this evaluation.
static enum bnr_status finish_outputs(struct eval *e) {
    for (int i = 0; i < e->node->n_out; i++) {
        struct bnr_tensor *t = e->outs[i], *copy;
        if (t && t == e->nothing)
            return bnr__op_fail(e->node, e->err, BNR_INTERNAL, "its reference code made no output %d", i);
        if (!t || e->strings.used == 0 || !has_strings(t))
            continue;
        BNR_TRY(bnr__tensor_clone(&copy, e->allocator, t, e->err));
        bnr__tensor_unref(t);
        e->outs[i] = copy;
    }
    return BNR_OK;
}

static enum bnr_status run(struct eval *e, struct bnr_tensor *const *given) {
    struct bnr_tensor **in = NULL;
    BNR_TRY(align_inputs(e, given, &in));
    BNR_TRY(infer_outputs(e, in));
    BNR_TRY(allocate_outputs(e));
    struct bnr_arena temp;
    bnr__arena_init(&temp, e->allocator);
    const struct bnr_args args = {.node = e->node,
                                  .in = (const struct bnr_tensor *const *)in,
                                  .n_in = e->node->n_in,
                                  .out = e->outs,
                                  .n_out = e->node->n_out,
                                  .strings = &e->strings,
                                  .temp = &temp,
                                  .err = e->err};
    enum bnr_status st = bnr__op_status(e->node, e->err, e->node->op->ref(&args));
    bnr__arena_free(&temp);
    return st == BNR_OK ? finish_outputs(e) : st;
}

enum bnr_status bnr__node_eval(const struct bnr_node *n, struct bnr_tensor *const *in,
                               struct bnr_tensor **outs, const struct bnr_allocator *a,
                               struct bnr_error *err) {
    for (int i = 0; i < n->n_out; i++)
        outs[i] = NULL;
    if (!n->op || !n->op->ref || bnr__node_has_subgraphs(n))
        return bnr__op_fail(n, err, BNR_UNSUPPORTED, "cannot be evaluated outside a session");
    struct eval e = {.node = n, .allocator = a, .outs = outs, .err = err};
    bnr__arena_init(&e.temp, a);
    bnr__arena_init(&e.strings, a);
    enum bnr_status st = run(&e, in);
    if (st != BNR_OK)
        for (int i = 0; i < n->n_out; i++) {
            bnr__tensor_unref(outs[i]);
            outs[i] = NULL;
        }
    bnr__tensor_unref(e.nothing);
    for (int i = 0; e.aligned && i < n->n_in; i++)
        bnr__tensor_unref(e.aligned[i]);
    bnr__arena_free(&e.strings);
    bnr__arena_free(&e.temp);
    return st;
}
