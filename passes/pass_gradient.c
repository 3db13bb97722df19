// SPDX-License-Identifier: Apache-2.0
// Gradient nodes (ai.onnx.preview.training) become the nodes that compute the gradient, by reverse-mode
// differentiation: from y back to xs, each node of the graph in between adds what its rule
// (passes/lib/gradient_*.c) makes of the gradients of its outputs.
//
//     c = Add(a, b);  d = Mul(c, a);  da, db = Gradient(a, b; xs = [a, b], y = d)
//     =>  dc = Mul(1, a);  da = Add(Mul(1, c), SumTo(dc, a));  db = SumTo(dc, b)
//
// Where the node is fed other values than the ones that xs and zs name, the graph in between is copied.
#include <string.h>

#include "passes/lib/gradient.h"
#include "passes/pass.h"

static bool is_gradient(const struct bnr_node *n) {
    return bnr__node_is(n, "ai.onnx.preview.training", "Gradient");
}

static enum bnr_status count_gradients(struct bnr_graph *g, void *cx) {
    for (const struct bnr_node *n = g->first; n; n = n->next)
        *(size_t *)cx += is_gradient(n);
    return BNR_OK;
}

bool bnr__has_gradients(struct bnr_model *m) {
    size_t count = 0;
    bnr__model_each_graph(m, count_gradients, &count);
    return count > 0;
}

struct expansion {
    struct bnr_gradient base;
    struct bnr_arena temp;
    struct bnr_value *y;
    size_t n_xs, n_fed;       // xs, xs and zs
    struct bnr_value **named; // [n_fed]
    struct bnr_value **fed;   // [n_fed]: the node's inputs
    bool *needed;             // by value id: on a way from named values to y
    bool *stop;               // by value id: what makes it does not matter
    struct bnr_node **nodes;  // that make needed values, in order
    size_t n_nodes;
};

static enum bnr_status find(struct expansion *e, const char *name, struct bnr_value **v) {
    const struct bnr_node *n = e->base.b.before;
    *v = bnr__value_find(e->base.b.graph, name);
    if (!*v)
        return bnr__op_fail(n, e->base.b.err, BNR_MALFORMED, "there is no value '%s'", name);
    return BNR_OK;
}

static enum bnr_status read_node(struct expansion *e) {
    struct bnr_node *n = e->base.b.before;
    const struct bnr_attr *xs = bnr__attr(n, "xs"), *zs = bnr__attr(n, "zs");
    e->n_xs = xs ? xs->n : 0;
    e->n_fed = e->n_xs + (zs ? zs->n : 0);
    if (e->n_fed != (size_t)n->n_in || (size_t)n->n_out > e->n_xs)
        return bnr__op_fail(n, e->base.b.err, BNR_MALFORMED,
                            "%d inputs and %d outputs, but xs has %zu names and zs %zu", n->n_in,
                            n->n_out, e->n_xs, e->n_fed - e->n_xs);
    e->named = BNR_NEW_ARRAY(&e->temp, e->n_fed + 1, struct bnr_value *);
    e->fed = BNR_NEW_ARRAY(&e->temp, e->n_fed + 1, struct bnr_value *);
    if (!e->named || !e->fed)
        return bnr__no_memory(e->base.b.err);
    for (size_t i = 0; i < e->n_fed; i++) {
        const struct bnr_str *s = i < e->n_xs ? &xs->strings[i] : &zs->strings[i - e->n_xs];
        e->fed[i] = n->in[i];
        BNR_TRY(find(e, s->ptr, &e->named[i]));
        if (!n->in[i])
            return bnr__op_fail(n, e->base.b.err, BNR_MALFORMED, "input %zu is left out", i);
    }
    BNR_TRY(find(e, bnr__attr_string(n, "y", ""), &e->y));
    if (e->y->graph != e->base.b.graph)
        return bnr__op_fail(n, e->base.b.err, BNR_UNSUPPORTED, "y is a value of a graph around this one");
    return BNR_OK;
}

// Which nodes lie between the values of `stops` and y.
static enum bnr_status find_nodes(struct expansion *e, struct bnr_value *const *stops) {
    struct bnr_graph *g = e->base.b.graph;
    const size_t n = (size_t)g->model->next_value_id;
    e->needed = BNR_NEW_ARRAY(&e->temp, n, bool);
    e->stop = BNR_NEW_ARRAY(&e->temp, n, bool);
    e->nodes = BNR_NEW_ARRAY(&e->temp, g->n_nodes + 1, struct bnr_node *);
    if (!e->needed || !e->stop || !e->nodes)
        return bnr__no_memory(e->base.b.err);
    for (size_t i = 0; i < e->n_fed; i++)
        e->stop[stops[i]->id] = true;
    e->needed[e->y->id] = true;
    size_t first = g->n_nodes;
    for (struct bnr_node *node = g->last; node; node = node->prev) {
        bool needed = false;
        for (int i = 0; i < node->n_out; i++) {
            const struct bnr_value *v = node->out[i];
            needed = needed || (v && e->needed[v->id] && !e->stop[v->id]);
        }
        for (int i = 0; needed && i < node->n_in; i++)
            if (node->in[i])
                e->needed[node->in[i]->id] = true;
        if (needed)
            e->nodes[--first] = node;
    }
    e->nodes += first;
    e->n_nodes = g->n_nodes - first;
    return BNR_OK;
}

// ---- other values than the named ones ---------------------------------------------------------------

static struct bnr_value *image_of(struct bnr_value *const *image, struct bnr_value *v) {
    return v && image[v->id] ? image[v->id] : v;
}

static enum bnr_status copy_node(struct expansion *e, struct bnr_node *n, struct bnr_value **image) {
    bool changes = false;
    struct bnr_value **in = BNR_NEW_ARRAY(&e->temp, (size_t)n->n_in + 1, struct bnr_value *);
    if (!in)
        return bnr__no_memory(e->base.b.err);
    for (int i = 0; i < n->n_in; i++) {
        in[i] = image_of(image, n->in[i]);
        changes = changes || in[i] != n->in[i];
    }
    if (!changes)
        return BNR_OK;
    e->base.b.node = n;
    if (bnr__node_has_subgraphs(n)) {
        bnr__build_fail(&e->base.b, BNR_UNSUPPORTED, "nodes with subgraphs are not fed other values");
        return e->base.b.status;
    }
    struct bnr_node *copy = bnr__build_again(&e->base.b, n, in);
    for (int i = 0; copy && i < n->n_out; i++)
        if (n->out[i]) {
            image[n->out[i]->id] = copy->out[i];
            struct bnr_info *info = bnr__value_info(copy->out[i]);
            if (!info)
                return bnr__no_memory(e->base.b.err);
            info->type = n->out[i]->info->type;
        }
    return e->base.b.status;
}

static enum bnr_status feed_others(struct expansion *e) {
    bool same = true;
    for (size_t i = 0; i < e->n_fed; i++)
        same = same && e->fed[i] == e->named[i];
    if (same)
        return BNR_OK;
    const size_t n = (size_t)e->base.b.graph->model->next_value_id;
    struct bnr_value **image = BNR_NEW_ARRAY(&e->temp, n, struct bnr_value *);
    if (!image)
        return bnr__no_memory(e->base.b.err);
    BNR_TRY(find_nodes(e, e->named));
    for (size_t i = 0; i < e->n_fed; i++)
        image[e->named[i]->id] = e->fed[i];
    for (size_t i = 0; i < e->n_nodes; i++)
        BNR_TRY(copy_node(e, e->nodes[i], image));
    e->y = image_of(image, e->y);
    return BNR_OK;
}

// ---- the way back -----------------------------------------------------------------------------------

// Rules look at the gradient of the first output; only Split has others.
static bool fits(struct bnr_gradient *cx, const struct bnr_node *n, struct bnr_value *const *dy) {
    if (strcmp(n->op_type, "Split") == 0)
        return true;
    for (int i = 0; i < n->n_out; i++)
        if (!dy[i] == (i == 0))
            bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "only its first output has a gradient rule");
    return cx->b.status == BNR_OK;
}

static enum bnr_status go_back(struct expansion *e, struct bnr_node *n) {
    struct bnr_gradient *cx = &e->base;
    bool wanted = false, any = false;
    struct bnr_value **dy = BNR_NEW_ARRAY(&e->temp, (size_t)n->n_out + 1, struct bnr_value *);
    if (!dy)
        return bnr__no_memory(cx->b.err);
    for (int i = 0; i < n->n_in; i++)
        wanted = wanted || bnr__grad_wants(cx, n, i);
    for (int i = 0; i < n->n_out; i++) {
        dy[i] = n->out[i] ? cx->adjoint[n->out[i]->id] : NULL;
        any = any || dy[i];
    }
    if (!wanted || !any)
        return BNR_OK;
    bnr_gradient_rule *rule = bnr__grad_rule(n);
    cx->b.node = n;
    if (!rule)
        bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "this build has no gradient rule for the operator");
    else if (fits(cx, n, dy))
        rule(cx, n, dy);
    if (cx->b.status == BNR_OK)
        return BNR_OK;
    return bnr__fail_prefix(cx->b.err, cx->b.status, "node '%s' (Gradient)", cx->b.before->label);
}

static enum bnr_status differentiate(struct expansion *e) {
    struct bnr_gradient *cx = &e->base;
    BNR_TRY(find_nodes(e, e->fed));
    cx->n = (size_t)cx->b.graph->model->next_value_id;
    cx->adjoint = BNR_NEW_ARRAY(&e->temp, cx->n, struct bnr_value *);
    cx->wanted = BNR_NEW_ARRAY(&e->temp, cx->n, bool);
    if (!cx->adjoint || !cx->wanted)
        return bnr__no_memory(cx->b.err);
    for (size_t i = 0; i < e->n_xs; i++)
        cx->wanted[e->fed[i]->id] = true;
    for (size_t k = 0; k < e->n_nodes; k++) {
        const struct bnr_node *n = e->nodes[k];
        bool wanted = false;
        for (int i = 0; i < n->n_in; i++)
            wanted = wanted || (n->in[i] && cx->wanted[n->in[i]->id]);
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i] && !e->stop[n->out[i]->id])
                cx->wanted[n->out[i]->id] = wanted;
    }
    cx->b.node = cx->b.before;
    cx->adjoint[e->y->id] = bnr__build_filled(&cx->b, e->y, 1);
    for (size_t k = e->n_nodes; k-- > 0 && cx->b.status == BNR_OK;)
        BNR_TRY(go_back(e, e->nodes[k]));
    return cx->b.status;
}

// The node's outputs come from Identity nodes in its place.
static enum bnr_status replace_outputs(struct expansion *e) {
    struct bnr_gradient *cx = &e->base;
    struct bnr_node *n = cx->b.before;
    cx->b.node = n;
    for (int i = 0; i < n->n_out; i++) {
        struct bnr_value *out = n->out[i], *v = cx->adjoint[e->fed[i]->id];
        if (!out)
            continue;
        v = bnr__build_1(&cx->b, "Identity", v ? v : bnr__build_filled(&cx->b, e->fed[i], 0));
        if (!v)
            return cx->b.status;
        bnr__node_set_output(v->producer, 0, out);
        bnr__value_remove(v);
    }
    bnr__node_remove(n);
    return bnr__graph_sort(cx->b.graph, cx->b.err);
}

static enum bnr_status expand(struct bnr_node *n, struct bnr_error *err) {
    struct bnr_model *m = n->graph->model;
    struct expansion e = {.base.b = {.graph = n->graph, .before = n, .node = n, .err = err}};
    bnr__arena_init(&e.temp, m->allocator);
    enum bnr_status st = read_node(&e);
    if (st == BNR_OK)
        st = feed_others(&e);
    if (st == BNR_OK)
        st = differentiate(&e);
    if (st == BNR_OK)
        st = replace_outputs(&e);
    bnr__arena_free(&e.temp);
    return st;
}

static enum bnr_status expand_graph(struct bnr_graph *g, void *cx) {
    struct bnr_node *next;
    for (struct bnr_node *n = g->first; n; n = next) {
        next = n->next;
        if (!is_gradient(n))
            continue;
        BNR_TRY(expand(n, cx));
        BNR_TRY(bnr__model_infer(g->model, cx));
        next = g->first; // sorting may have moved anything
    }
    return BNR_OK;
}

enum bnr_status bnr__expand_gradients(struct bnr_model *m, struct bnr_error *err) {
    if (!bnr__has_gradients(m))
        return BNR_OK;
    BNR_TRY(bnr__model_infer(m, err));
    return bnr__model_each_graph(m, expand_graph, err);
}
