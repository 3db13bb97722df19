// SPDX-License-Identifier: Apache-2.0
// Inference over graphs: walks nodes in order, gives each operator what is known of its inputs, and
// evaluates what follows from constants and known dims alone.
#include "graph/infer.h"

#include <assert.h>
#include <string.h>

#include "graph/edit.h"

enum {
    EVAL_MAX_OUTPUT = 1024, // elements of a result that is evaluated here; the rest is constant folding's
    EVAL_MAX_INPUT = 16384,
    FEW = 16, // inputs or outputs that need no memory
};

struct bnr_infer_driver {
    struct bnr_model *model;
    struct bnr_infer_table *table; // NULL: value->info
    struct bnr_arena *arena;
    bool evaluate;
    bool collect; // what cannot run for want of a dtype goes to model->missing
    // Nodes still to be inferred. Operators may look at a body more than once, bodies nest, and a file
    // must not make that exponential: where nothing is left, bodies give unknown types.
    size_t budget;
    struct bnr_error *err;
};

static const struct bnr_info *info_of(const struct bnr_infer_driver *d, const struct bnr_value *v) {
    if (!d->table)
        return v->info;
    assert((size_t)v->id < d->table->n);
    return &d->table->infos[v->id];
}

// To be written; NULL when out of memory.
static struct bnr_info *own_info(const struct bnr_infer_driver *d, struct bnr_value *v) {
    return d->table ? &d->table->infos[v->id] : bnr__value_info(v);
}

static enum bnr_status set_type(const struct bnr_infer_driver *d, struct bnr_value *v,
                                const struct bnr_type *type) {
    struct bnr_info *info = own_info(d, v);
    if (!info)
        return bnr__no_memory(d->err);
    info->type = *type;
    return BNR_OK;
}

static enum bnr_status forget_value(const struct bnr_infer_driver *d, struct bnr_value *v) {
    struct bnr_info *info = own_info(d, v);
    if (!info)
        return bnr__no_memory(d->err);
    *info = bnr__info_unknown();
    return BNR_OK;
}

// ---- declared types ---------------------------------------------------------------------------------

static bool is_known(const struct bnr_type *t) {
    return t->kind != BNR_KIND_TENSOR || t->dtype != BNR_UNDEFINED || t->shape.rank >= 0;
}

// What inference left open, from the file, as far as it can be believed: not the dims, which are often
// stale where a model's inputs were edited after shape inference.
static void fill_from_declared(const struct bnr_infer_driver *d, struct bnr_info *info,
                               const struct bnr_value *v) {
    const struct bnr_type *declared = v->declared;
    if (!is_known(&info->type) && declared->kind != BNR_KIND_TENSOR) {
        // Where an optional is declared, what it would hold may stand for it: a Loop carries the one
        // in its first round and the other from then on.
        if (declared->kind != BNR_KIND_OPTIONAL)
            info->type = *declared;
        return;
    }
    if (info->type.kind != declared->kind)
        return;
    if (info->type.dtype == BNR_UNDEFINED)
        info->type.dtype = declared->dtype;
    if (!info->type.elem)
        info->type.elem = declared->elem;
    // A plan must not count on it.
    if (!d->table && info->type.shape.rank < 0 && declared->shape.rank >= 0) {
        info->type.shape.rank = declared->shape.rank;
        for (int i = 0; i < declared->shape.rank; i++)
            info->type.shape.dims[i] = bnr__dim_unknown();
    }
}

static enum bnr_status contradiction(const char *what, const struct bnr_value *v,
                                     const struct bnr_type *seen, struct bnr_error *err) {
    char a[200], b[200];
    return bnr__fail(err, BNR_SHAPE, "%s '%s' is %s, but declared as %s", what, v->name,
                     bnr__type_describe(seen, a, sizeof a),
                     bnr__type_describe(v->declared, b, sizeof b));
}

static bool same_dtype(const struct bnr_type *a, const struct bnr_type *b) {
    if (!is_known(a) || !is_known(b))
        return true;
    return a->kind == b->kind && (a->dtype == b->dtype || a->dtype == BNR_UNDEFINED ||
                                  b->dtype == BNR_UNDEFINED);
}

static bool same_dims(const struct bnr_shape *a, const struct bnr_shape *b) {
    if (a->rank < 0 || b->rank < 0)
        return true;
    for (int i = 0; i < a->rank && i < b->rank; i++)
        if (a->dims[i].n >= 0 && b->dims[i].n >= 0 && a->dims[i].n != b->dims[i].n)
            return false;
    return a->rank == b->rank;
}

// ---- evaluation -------------------------------------------------------------------------------------

// Takes over the reference to t, also on failure.
static enum bnr_status own(struct bnr_infer_driver *d, struct bnr_info *info, struct bnr_tensor *t) {
    struct bnr_infer_table *table = d->table;
    struct bnr_model *m = d->model;
    struct bnr_tensor ***list = table ? &table->made : &m->evaluated;
    size_t *n = table ? &table->n_made : &m->n_evaluated;
    size_t *capacity = table ? &table->made_capacity : &m->evaluated_capacity;
    struct bnr_tensor **grown = bnr__arena_grow(table ? table->arena : &m->arena, *list, *n, capacity,
                                                sizeof(struct bnr_tensor *));
    if (!grown) {
        bnr__tensor_unref(t);
        return bnr__no_memory(d->err);
    }
    *list = grown;
    grown[(*n)++] = t;
    const struct bnr_dim *elems = info->elems;
    const int n_elems = info->n_elems;
    if (bnr__info_of_tensor(info, t, d->arena) != BNR_OK)
        return bnr__no_memory(d->err);
    info->elems = elems;
    info->n_elems = n_elems;
    return BNR_OK;
}

static bool has_number_elems(const struct bnr_info *info) {
    if (!info->elems || info->type.dtype == BNR_UNDEFINED || !bnr__shape_known(&info->type.shape))
        return false;
    for (int i = 0; i < info->n_elems; i++)
        if (!bnr__elem_is_number(info->elems[i]))
            return false;
    return true;
}

// Elements that are all numbers become a tensor, so that there is one form of "known".
static enum bnr_status tensor_from_elems(struct bnr_infer_driver *d, struct bnr_info *info) {
    if (info->tensor || !has_number_elems(info))
        return BNR_OK;
    struct bnr_tensor *t;
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(&info->type.shape, dims);
    BNR_TRY(bnr__tensor_new(&t, d->arena->allocator, info->type.dtype, info->type.shape.rank, dims,
                            d->err));
    if (t->numel != (size_t)info->n_elems) {
        bnr__tensor_unref(t);
        return bnr__fail(d->err, BNR_INTERNAL, "inference gave %d elements for a shape of %zu",
                         info->n_elems, t->numel);
    }
    for (int i = 0; i < info->n_elems; i++)
        bnr__store_i64(t->dtype, t->u8 + (size_t)i * bnr__dtype_size(t->dtype), &info->elems[i].n, 1);
    return own(d, info, t);
}

static bool inputs_evaluable(const struct bnr_infer *cx) {
    size_t total = 0;
    for (int i = 0; i < cx->n_in; i++) {
        if (!cx->in[i])
            continue;
        const struct bnr_tensor *t = cx->in[i]->tensor;
        if (!t || t->kind != BNR_KIND_TENSOR || bnr__tensor_is_hollow(t) || t->numel > EVAL_MAX_INPUT - total)
            return false;
        total += t->numel;
    }
    return !(cx->node->op->flags & BNR_OP_DATA_SHAPE) || total <= EVAL_MAX_OUTPUT;
}

static bool outputs_evaluable(const struct bnr_infer *cx) {
    const bool by_data = cx->node->op->flags & BNR_OP_DATA_SHAPE;
    bool wanted = false;
    for (int i = 0; i < cx->n_out; i++) {
        if (!cx->out[i])
            continue;
        const struct bnr_type *t = &cx->out[i]->type;
        int64_t dims[BNR_MAX_RANK];
        size_t numel;
        wanted = wanted || !cx->out[i]->tensor;
        if (t->kind != BNR_KIND_TENSOR)
            return false;
        if (by_data)
            continue;
        if (t->dtype == BNR_UNDEFINED || !bnr__shape_known(&t->shape))
            return false;
        bnr__shape_numbers(&t->shape, dims);
        if (bnr__shape_numel(dims, t->shape.rank, "", &numel, NULL) != BNR_OK || numel > EVAL_MAX_OUTPUT)
            return false;
    }
    return wanted;
}

static enum bnr_status evaluate(struct bnr_infer_driver *d, const struct bnr_infer *cx) {
    const struct bnr_node *n = cx->node;
    for (int i = 0; i < cx->n_out; i++)
        if (cx->out[i])
            BNR_TRY(tensor_from_elems(d, cx->out[i]));
    if (!n->op->ref || (n->op->flags & BNR_OP_RANDOM) || bnr__node_has_subgraphs(n) ||
        !inputs_evaluable(cx) || !outputs_evaluable(cx))
        return BNR_OK;
    struct bnr_tensor **all = BNR_NEW_ARRAY(d->arena, (size_t)(cx->n_in + cx->n_out), struct bnr_tensor *);
    if (!all)
        return bnr__no_memory(d->err);
    struct bnr_tensor **outs = all + cx->n_in;
    for (int i = 0; i < cx->n_in; i++)
        all[i] = cx->in[i] ? cx->in[i]->tensor : NULL;
    // What fails here may stand in a branch that is never taken: it fails when it runs.
    enum bnr_status st = bnr__node_eval(n, all, outs, d->arena->allocator, NULL);
    if (st != BNR_OK)
        return st == BNR_NO_MEMORY ? bnr__no_memory(d->err) : BNR_OK;
    for (int i = 0; i < cx->n_out; i++) {
        if (!outs[i])
            continue;
        if (st != BNR_OK || outs[i]->kind != BNR_KIND_TENSOR || outs[i]->numel > EVAL_MAX_INPUT)
            bnr__tensor_unref(outs[i]);
        else
            st = own(d, cx->out[i], outs[i]);
    }
    return st;
}

// ---- nodes and graphs -------------------------------------------------------------------------------

enum bnr_status bnr__infer_call(struct bnr_infer *cx) {
    const struct bnr_node *n = cx->node;
    if (cx->n_in < n->op->min_in || cx->n_out < n->op->min_out)
        return bnr__op_fail(n, cx->err, BNR_MALFORMED, "has %d inputs and %d outputs, too few", cx->n_in,
                            cx->n_out);
    for (int i = 0; i < cx->n_in; i++) {
        if (!cx->in[i] && i < n->op->min_in)
            return bnr__op_fail(n, cx->err, BNR_MALFORMED, "input %d is left out, but is not optional", i);
        if (cx->in[i] && cx->in[i]->type.kind != BNR_KIND_TENSOR && !(n->op->flags & BNR_OP_ANY_KIND)) {
            char seen[200];
            return bnr__op_fail(n, cx->err, BNR_SHAPE, "input %d is a %s, expected a tensor", i,
                                bnr__type_describe(&cx->in[i]->type, seen, sizeof seen));
        }
    }
    return bnr__op_status(n, cx->err, n->op->infer(cx));
}

static enum bnr_status infer_graph(struct bnr_infer_driver *d, struct bnr_graph *g);

// Bodies of an operator that this build does not know: only declared types.
static enum bnr_status infer_unknown(struct bnr_infer_driver *d, struct bnr_node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i])
            BNR_TRY(set_type(d, n->out[i], n->out[i]->declared));
    for (size_t a = 0; a < n->n_attrs; a++)
        if (n->attrs[a].type == BNR_ATTR_GRAPH || n->attrs[a].type == BNR_ATTR_GRAPHS)
            for (size_t i = 0; i < n->attrs[a].n; i++) {
                struct bnr_graph *body = n->attrs[a].graphs[i];
                for (size_t k = 0; k < body->n_inputs; k++) {
                    BNR_TRY(forget_value(d, body->inputs[k]));
                    BNR_TRY(set_type(d, body->inputs[k], body->inputs[k]->declared));
                }
                BNR_TRY(infer_graph(d, body));
            }
    return BNR_OK;
}

// The node is treated like one of an unknown operator, so that all of them are found.
static enum bnr_status lacks_dtype(struct bnr_infer_driver *d, struct bnr_node *n) {
    struct bnr_model *m = d->model;
    n->op = NULL;
    BNR_TRY(bnr__model_add_missing(m, d->err->message, d->err));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i])
            BNR_TRY(forget_value(d, n->out[i]));
    return infer_unknown(d, n);
}

static enum bnr_status infer_node(struct bnr_infer_driver *d, struct bnr_node *n) {
    const struct bnr_info *few_in[FEW], **in = few_in;
    struct bnr_info *few_out[FEW], **out = few_out;
    if (n->n_in > FEW)
        in = BNR_NEW_ARRAY(d->arena, (size_t)n->n_in, const struct bnr_info *);
    if (n->n_out > FEW)
        out = BNR_NEW_ARRAY(d->arena, (size_t)n->n_out, struct bnr_info *);
    if (!in || !out)
        return bnr__no_memory(d->err);
    for (int i = 0; i < n->n_in; i++)
        in[i] = n->in[i] ? info_of(d, n->in[i]) : NULL;
    for (int i = 0; i < n->n_out; i++) {
        out[i] = n->out[i] ? own_info(d, n->out[i]) : NULL;
        if (n->out[i] && !out[i])
            return bnr__no_memory(d->err);
        if (out[i])
            *out[i] = bnr__info_unknown();
    }
    if (!n->op)
        return infer_unknown(d, n);
    struct bnr_infer cx = {.node = n,
                           .in = in,
                           .n_in = n->n_in,
                           .out = out,
                           .n_out = n->n_out,
                           .arena = d->arena,
                           .err = d->err,
                           .driver = d};
    const enum bnr_status st = bnr__infer_call(&cx);
    if (st == BNR_UNSUPPORTED && d->collect)
        return lacks_dtype(d, n);
    BNR_TRY(st);
    for (int i = 0; i < n->n_out; i++)
        if (out[i])
            fill_from_declared(d, out[i], n->out[i]);
    return d->evaluate ? evaluate(d, &cx) : BNR_OK;
}

static enum bnr_status infer_graph(struct bnr_infer_driver *d, struct bnr_graph *g) {
    for (size_t i = 0; i < g->n_values; i++) {
        struct bnr_value *v = g->values[i];
        if (!bnr__value_is_constant(v))
            continue;
        if ((d->table ? bnr__info_of_tensor(&d->table->infos[v->id], v->tensor, d->arena)
                      : bnr__value_info_of_constant(v)) != BNR_OK)
            return bnr__no_memory(d->err);
    }
    for (struct bnr_node *n = g->first; n; n = n->next)
        BNR_TRY(infer_node(d, n));
    return BNR_OK;
}

static enum bnr_status set_body_inputs(struct bnr_infer *cx, struct bnr_graph *body,
                                       const struct bnr_info *const *ins, size_t n) {
    const struct bnr_infer_driver *d = cx->driver;
    // Old files list the initializers of a body behind its real inputs.
    bool fits = n <= body->n_inputs;
    for (size_t i = n; fits && i < body->n_inputs; i++)
        fits = body->inputs[i]->tensor != NULL;
    if (!fits)
        return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "its body '%s' has %zu inputs, expected %zu",
                            body->name, body->n_inputs, n);
    for (size_t i = 0; i < n; i++) {
        struct bnr_info *info = own_info(d, body->inputs[i]);
        if (!info)
            return bnr__no_memory(d->err);
        *info = ins[i] ? *ins[i] : bnr__info_unknown();
        fill_from_declared(d, info, body->inputs[i]);
    }
    return BNR_OK;
}

enum bnr_status bnr__infer_body(struct bnr_infer *cx, struct bnr_graph *body,
                                const struct bnr_info *const *ins, size_t n,
                                const struct bnr_info **outs) {
    struct bnr_infer_driver *d = cx->driver;
    if (!d)
        return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED, "its body can only be run by a session");
    BNR_TRY(set_body_inputs(cx, body, ins, n));
    const bool affordable = d->budget > body->n_nodes;
    if (affordable) {
        d->budget -= body->n_nodes + 1;
        BNR_TRY(infer_graph(d, body));
    }
    for (size_t i = 0; i < body->n_outputs; i++) {
        if (!affordable)
            BNR_TRY(forget_value(d, body->outputs[i]));
        outs[i] = info_of(d, body->outputs[i]);
    }
    return BNR_OK;
}

static struct bnr_infer_driver make_driver(struct bnr_model *m, struct bnr_infer_table *table,
                                           bool evaluates, struct bnr_error *err) {
    return (struct bnr_infer_driver){.model = m,
                                     .table = table,
                                     .arena = table ? table->arena : &m->infer_arena,
                                     .evaluate = evaluates,
                                     .budget = 100000 + 16 * (size_t)m->next_node_id,
                                     .err = err};
}

enum bnr_status bnr__node_infer(struct bnr_node *n, struct bnr_infer_table *table,
                                struct bnr_error *err) {
    struct bnr_infer_driver d = make_driver(n->graph->model, table, false, err);
    return infer_node(&d, n);
}

enum bnr_status bnr__graph_infer(struct bnr_graph *g, struct bnr_infer_table *table,
                                 struct bnr_error *err) {
    struct bnr_infer_driver d = make_driver(g->model, table, true, err);
    return infer_graph(&d, g);
}

enum bnr_status bnr__infer_table_init(struct bnr_infer_table *table, const struct bnr_model *m,
                                      struct bnr_arena *arena) {
    *table = (struct bnr_infer_table){.arena = arena, .n = (size_t)m->next_value_id};
    table->infos = BNR_NEW_ARRAY(arena, table->n, struct bnr_info);
    if (!table->infos)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < table->n; i++)
        table->infos[i] = bnr__info_unknown();
    return BNR_OK;
}

void bnr__infer_table_free(struct bnr_infer_table *table) {
    for (size_t i = 0; i < table->n_made; i++)
        bnr__tensor_unref(table->made[i]);
    table->made = NULL;
    table->n_made = table->made_capacity = 0;
}

// ---- models -----------------------------------------------------------------------------------------

// Constants stay known.
static bool stays_known(const struct bnr_value *v) {
    return v->info->tensor && v->info->tensor == v->tensor && bnr__value_is_constant(v) &&
           v->tensor->kind == BNR_KIND_TENSOR;
}

static void forget_evaluated(struct bnr_model *m) {
    for (size_t i = 0; i < m->n_evaluated; i++)
        bnr__tensor_unref(m->evaluated[i]);
    m->n_evaluated = 0;
    bnr__arena_reset(&m->infer_arena);
}

static void forget(struct bnr_model *m) {
    for (struct bnr_graph *g = m->made_graphs; g; g = g->next_made)
        for (size_t i = 0; i < g->n_values; i++)
            if (!stays_known(g->values[i]))
                bnr__value_reset_info(g->values[i]);
    forget_evaluated(m);
}

void bnr__model_forget_infos(struct bnr_model *m) {
    for (struct bnr_graph *g = m->made_graphs; g; g = g->next_made)
        for (size_t i = 0; i < g->n_values; i++)
            bnr__value_drop_info(g->values[i]);
    forget_evaluated(m);
    bnr__arena_free(&m->infer_arena);
    bnr__arena_free(&m->info_arena);
}

static enum bnr_status set_model_inputs(const struct bnr_infer_driver *d, struct bnr_graph *g) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct bnr_value *v = g->inputs[i];
        const bool constant = bnr__value_is_constant(v);
        if (!constant)
            BNR_TRY(set_type(d, v, v->declared));
        if (!v->tensor)
            continue;
        struct bnr_info given;
        if (bnr__info_of_tensor(&given, v->tensor, d->arena) != BNR_OK)
            return bnr__no_memory(d->err);
        if (!same_dtype(&given.type, v->declared) ||
            (!constant && !same_dims(&given.type.shape, &v->declared->shape)))
            return contradiction("the initializer of input", v, &given.type, d->err);
        if (!constant && v->declared->dtype == BNR_UNDEFINED)
            BNR_TRY(set_type(d, v, &given.type));
    }
    return BNR_OK;
}

static enum bnr_status infer_model(struct bnr_model *m, bool collect, struct bnr_error *err) {
    struct bnr_infer_driver d = make_driver(m, NULL, true, err);
    struct bnr_graph *g = m->graph;
    forget(m);
    d.collect = collect;
    BNR_TRY(set_model_inputs(&d, g));
    BNR_TRY(infer_graph(&d, g));
    for (size_t i = 0; i < g->n_outputs; i++)
        if (!same_dtype(&g->outputs[i]->info->type, g->outputs[i]->declared))
            return contradiction("output", g->outputs[i], &g->outputs[i]->info->type, err);
    return BNR_OK;
}

enum bnr_status bnr__model_infer(struct bnr_model *m, struct bnr_error *err) {
    return infer_model(m, false, err);
}

enum bnr_status bnr__model_infer_first(struct bnr_model *m, struct bnr_error *err) {
    struct bnr_error ours; // the text is needed, also where the caller does not want it
    return infer_model(m, true, err ? err : &ours);
}
