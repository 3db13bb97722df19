// SPDX-License-Identifier: Apache-2.0
// Topological order, by depth-first search from the nodes in their present order: a node is emitted after
// everything that it reads, so a graph that is in order stays as it is.
#include <string.h>

#include "graph/edit.h"

enum mark { NEW, OPEN, DONE };

struct frame {
    struct bnr_node *node;
    size_t next; // dependency to look at next
    size_t end;
};

struct sorter {
    struct bnr_graph *graph;
    struct bnr_arena *temp;
    unsigned char *marks; // [next_node_id]
    // Dependencies of the nodes on the stack, those of the top at the end.
    struct bnr_node **deps;
    size_t n_deps, deps_capacity;
    struct frame *stack;
    size_t depth, stack_capacity;
    struct bnr_error *err;
};

static enum bnr_status add_dep(struct sorter *s, struct bnr_node *producer) {
    struct bnr_node **deps =
        bnr__arena_grow(s->temp, s->deps, s->n_deps, &s->deps_capacity, sizeof(struct bnr_node *));
    if (!deps)
        return bnr__no_memory(s->err);
    s->deps = deps;
    deps[s->n_deps++] = producer;
    return BNR_OK;
}

// Producers in the sorted graph of what n, or a node nested in it, reads.
static enum bnr_status add_deps(struct sorter *s, const struct bnr_node *n) {
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->producer && n->in[i]->graph == s->graph)
            BNR_TRY(add_dep(s, n->in[i]->producer));
    for (size_t a = 0; a < n->n_attrs; a++) {
        const struct bnr_attr *attr = &n->attrs[a];
        if (attr->type == BNR_ATTR_GRAPH || attr->type == BNR_ATTR_GRAPHS)
            for (size_t i = 0; i < attr->n; i++)
                for (const struct bnr_node *m = attr->graphs[i]->first; m; m = m->next)
                    BNR_TRY(add_deps(s, m));
    }
    return BNR_OK;
}

static enum bnr_status push(struct sorter *s, struct bnr_node *n) {
    struct frame *stack =
        bnr__arena_grow(s->temp, s->stack, s->depth, &s->stack_capacity, sizeof *stack);
    if (!stack)
        return bnr__no_memory(s->err);
    s->stack = stack;
    stack[s->depth] = (struct frame){.node = n, .next = s->n_deps};
    BNR_TRY(add_deps(s, n));
    stack[s->depth++].end = s->n_deps;
    s->marks[n->id] = OPEN;
    return BNR_OK;
}

static enum bnr_status cycle(struct sorter *s, const struct bnr_node *n) {
    return bnr__fail(s->err, BNR_MALFORMED,
                     "node '%s' (%s): its inputs depend on its own output (a cycle)", n->label,
                     n->op_type);
}

// Appends n and all that it needs to order[*count].
static enum bnr_status visit(struct sorter *s, struct bnr_node *n, struct bnr_node **order,
                             size_t *count) {
    BNR_TRY(push(s, n));
    while (s->depth > 0) {
        struct frame *top = &s->stack[s->depth - 1];
        if (top->next < top->end) {
            struct bnr_node *dep = s->deps[top->next++];
            if (s->marks[dep->id] == OPEN)
                return cycle(s, dep);
            if (s->marks[dep->id] == NEW)
                BNR_TRY(push(s, dep));
            continue;
        }
        s->marks[top->node->id] = DONE;
        order[(*count)++] = top->node;
        s->depth--;
        s->n_deps = s->depth > 0 ? s->stack[s->depth - 1].end : 0;
    }
    return BNR_OK;
}

static enum bnr_status sort_graph(struct bnr_graph *g, unsigned char *marks, struct bnr_arena *temp,
                                  struct bnr_error *err);

static enum bnr_status sort_nested(struct bnr_graph *g, unsigned char *marks, struct bnr_arena *temp,
                                   struct bnr_error *err) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        for (size_t a = 0; a < n->n_attrs; a++)
            if (n->attrs[a].type == BNR_ATTR_GRAPH || n->attrs[a].type == BNR_ATTR_GRAPHS)
                for (size_t i = 0; i < n->attrs[a].n; i++)
                    BNR_TRY(sort_graph(n->attrs[a].graphs[i], marks, temp, err));
    return BNR_OK;
}

static enum bnr_status sort_graph(struct bnr_graph *g, unsigned char *marks, struct bnr_arena *temp,
                                  struct bnr_error *err) {
    struct sorter s = {.graph = g, .temp = temp, .marks = marks, .err = err};
    struct bnr_node **order = BNR_NEW_ARRAY(temp, g->n_nodes, struct bnr_node *);
    size_t count = 0;
    if (!order)
        return bnr__no_memory(err);
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (marks[n->id] == NEW)
            BNR_TRY(visit(&s, n, order, &count));
    for (size_t i = 0; i < count; i++) {
        order[i]->prev = i > 0 ? order[i - 1] : NULL;
        order[i]->next = i + 1 < count ? order[i + 1] : NULL;
    }
    g->first = count > 0 ? order[0] : NULL;
    g->last = count > 0 ? order[count - 1] : NULL;
    return sort_nested(g, marks, temp, err);
}

enum bnr_status bnr__graph_sort(struct bnr_graph *g, struct bnr_error *err) {
    struct bnr_arena temp;
    bnr__arena_init(&temp, g->model->allocator);
    unsigned char *marks = bnr__arena_alloc(&temp, (size_t)g->model->next_node_id);
    enum bnr_status st = marks ? sort_graph(g, marks, &temp, err) : bnr__no_memory(err);
    bnr__arena_free(&temp);
    return st;
}
