// SPDX-License-Identifier: Apache-2.0
// Inlining of model-local functions: a call is replaced by a copy of the function's body, then calls in
// the copy, until none is left.
#include <string.h>

#include "graph/copy.h"
#include "graph/edit.h"

enum { MAX_DEPTH = 64, MAX_NODES = 1000000 };

// What a call of a function comes to.
struct extent {
    bool known, open; // open: being measured, so that meeting it again is recursion
    int height;       // calls within calls, itself included
    size_t nodes;     // copied, calls on the way included; no more than MAX_NODES + 1
};

struct inliner {
    struct bnr_model *model;
    struct bnr_map names; // function name -> any function with that name
    struct extent *extents; // [n_functions]
    struct bnr_arena temp;  // emptied with every call
    int first_id;
    struct bnr_error *err;
};

static bool same_domain(const char *a, const char *b) {
    const bool a_default = !a[0] || strcmp(a, "ai.onnx") == 0;
    const bool b_default = !b[0] || strcmp(b, "ai.onnx") == 0;
    return a_default ? b_default : strcmp(a, b) == 0;
}

static const struct bnr_function *find_function(const struct inliner *in, const struct bnr_node *n) {
    if (!bnr__map_get(&in->names, n->op_type))
        return NULL;
    for (size_t i = 0; i < in->model->n_functions; i++) {
        const struct bnr_function *f = &in->model->functions[i];
        if (strcmp(f->name, n->op_type) == 0 && same_domain(f->domain, n->domain) &&
            strcmp(f->overload, n->overload) == 0)
            return f;
    }
    return NULL;
}

static enum bnr_status fail(const struct inliner *in, const struct bnr_node *n,
                            const struct bnr_function *f, const char *what) {
    return bnr__fail(in->err, BNR_MALFORMED, "node '%s': function '%s.%s' %s", n->label,
                     f->domain[0] ? f->domain : "ai.onnx", f->name, what);
}

// ---- before anything is copied ----------------------------------------------------------------------

static enum bnr_status measure_graph(struct inliner *in, const struct bnr_graph *g, int depth,
                                     struct extent *sum);

static enum bnr_status measure_call(struct inliner *in, const struct bnr_node *n,
                                    const struct bnr_function *f, int depth, struct extent *sum) {
    struct extent *e = &in->extents[f - in->model->functions];
    if (e->open)
        return fail(in, n, f, "calls itself");
    if (depth >= MAX_DEPTH || depth + e->height > MAX_DEPTH)
        return fail(in, n, f, "is nested more than 64 calls deep");
    if (!e->known) {
        e->open = true;
        BNR_TRY(measure_graph(in, f->body, depth + 1, e));
        e->open = false;
        e->known = true;
        e->height++;
    }
    if (sum->height < e->height)
        sum->height = e->height;
    sum->nodes += e->nodes;
    if (sum->nodes > MAX_NODES)
        return fail(in, n, f, "expands to more than 1000000 nodes");
    return BNR_OK;
}

static enum bnr_status measure_graph(struct inliner *in, const struct bnr_graph *g, int depth,
                                     struct extent *sum) {
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        const struct bnr_function *f = find_function(in, n);
        sum->nodes++;
        if (f)
            BNR_TRY(measure_call(in, n, f, depth, sum));
        for (size_t a = 0; a < n->n_attrs; a++)
            if (n->attrs[a].type == BNR_ATTR_GRAPH || n->attrs[a].type == BNR_ATTR_GRAPHS)
                for (size_t i = 0; i < n->attrs[a].n && !n->attrs[a].ref; i++)
                    BNR_TRY(measure_graph(in, n->attrs[a].graphs[i], depth, sum));
    }
    return BNR_OK;
}

// ---- copying ----------------------------------------------------------------------------------------

static enum bnr_status check_call(const struct inliner *in, const struct bnr_node *n,
                                  const struct bnr_function *f) {
    // Not measured: a graph that a call passes to a function, which may use it several times.
    if (in->model->next_node_id - in->first_id > 2 * MAX_NODES)
        return fail(in, n, f, "expands to more than 2000000 nodes");
    for (int i = (int)f->body->n_inputs; i < n->n_in; i++)
        if (n->in[i])
            return fail(in, n, f, "is called with more inputs than it has");
    for (int i = (int)f->body->n_outputs; i < n->n_out; i++)
        if (n->out[i])
            return fail(in, n, f, "is called with more outputs than it has");
    return BNR_OK;
}

// The call's inputs stand for the body's; its outputs take the place of what the body's nodes produce.
static void bind(struct bnr_copy_scope *scope, struct bnr_node *n) {
    const struct bnr_graph *body = scope->from;
    for (size_t i = 0; i < body->n_inputs && i < (size_t)n->n_in; i++)
        scope->map[body->inputs[i]->slot] = n->in[i];
    for (size_t i = 0; i < body->n_outputs && i < (size_t)n->n_out; i++) {
        struct bnr_value *v = n->out[i];
        const struct bnr_value *result = body->outputs[i];
        if (!v || !result->producer || scope->map[result->slot])
            continue;
        bnr__node_set_output(n, (int)i, NULL);
        scope->map[result->slot] = v;
    }
}

// What bind left: outputs that are inputs or constants of the body, or the same as another output.
static enum bnr_status connect_rest(struct inliner *in, const struct bnr_copy_scope *scope,
                                    struct bnr_node *n, const struct bnr_function *f) {
    for (int i = 0; i < n->n_out; i++) {
        struct bnr_value *v = n->out[i];
        if (!v)
            continue;
        struct bnr_value *result = bnr__copy_of(scope, f->body->outputs[i]);
        if (!result)
            return fail(in, n, f, "returns an input that the call leaves out");
        bnr__node_set_output(n, i, NULL);
        BNR_TRY(bnr__identity_new(n->graph, n, result, v, in->err));
    }
    return BNR_OK;
}

// Puts a copy of the body in front of the call and takes the call away.
static enum bnr_status replace_call(struct inliner *in, struct bnr_node *n,
                                    const struct bnr_function *f) {
    struct bnr_copy c = {
        .to = in->model, .temp = &in->temp, .err = in->err, .call = n, .function = f};
    struct bnr_copy_scope scope = {.from = f->body, .to = n->graph};
    bnr__arena_reset(&in->temp);
    scope.map = BNR_NEW_ARRAY(&in->temp, f->body->n_values, struct bnr_value *);
    if (!scope.map)
        return bnr__no_memory(in->err);
    bind(&scope, n);
    BNR_TRY(bnr__copy_values(&c, &scope));
    for (const struct bnr_node *from = f->body->first; from; from = from->next)
        BNR_TRY(bnr__copy_node(&c, &scope, from, n));
    BNR_TRY(connect_rest(in, &scope, n, f));
    bnr__node_remove(n);
    return BNR_OK;
}

// `copied`: g, or what n stands in, came from a function's body.
static enum bnr_status expand_graph(struct inliner *in, struct bnr_graph *g, bool copied);

static enum bnr_status expand_node(struct inliner *in, struct bnr_node *n, bool copied) {
    // First, so that what a call passes to a function has no calls of its own.
    for (size_t a = 0; a < n->n_attrs; a++)
        if (n->attrs[a].type == BNR_ATTR_GRAPH || n->attrs[a].type == BNR_ATTR_GRAPHS)
            for (size_t i = 0; i < n->attrs[a].n; i++)
                BNR_TRY(expand_graph(in, n->attrs[a].graphs[i], copied));
    const struct bnr_function *f = find_function(in, n);
    if (!f)
        return copied ? bnr__node_lift_constant(n, in->err) : BNR_OK;
    BNR_TRY(check_call(in, n, f));
    struct bnr_graph *g = n->graph;
    struct bnr_node *before = n->prev, *after = n->next;
    BNR_TRY(replace_call(in, n, f));
    for (struct bnr_node *k = before ? before->next : g->first, *next; k != after; k = next) {
        next = k->next;
        BNR_TRY(expand_node(in, k, true));
    }
    return BNR_OK;
}

static enum bnr_status expand_graph(struct inliner *in, struct bnr_graph *g, bool copied) {
    for (struct bnr_node *n = g->first, *next; n; n = next) {
        next = n->next;
        BNR_TRY(expand_node(in, n, copied));
    }
    return BNR_OK;
}

static enum bnr_status inline_all(struct inliner *in) {
    struct bnr_model *m = in->model;
    struct extent all = {0};
    bnr__map_init(&in->names, &m->arena);
    in->extents = BNR_NEW_ARRAY(&m->arena, m->n_functions, struct extent);
    if (!in->extents)
        return bnr__no_memory(in->err);
    for (size_t i = 0; i < m->n_functions; i++)
        if (!bnr__map_set(&in->names, m->functions[i].name, &m->functions[i]))
            return bnr__no_memory(in->err);
    BNR_TRY(measure_graph(in, m->graph, 0, &all));
    return expand_graph(in, m->graph, false);
}

enum bnr_status bnr__model_inline_functions(struct bnr_model *m, struct bnr_error *err) {
    if (m->n_functions == 0 || !m->graph)
        return BNR_OK;
    struct inliner in = {.model = m, .first_id = m->next_node_id, .err = err};
    bnr__arena_init(&in.temp, m->allocator);
    enum bnr_status st = inline_all(&in);
    bnr__arena_free(&in.temp);
    if (st != BNR_OK)
        return st;
    for (size_t i = 0; i < m->n_functions; i++)
        bnr__graph_discard(m->functions[i].body);
    m->functions = NULL;
    m->n_functions = 0;
    return BNR_OK;
}
