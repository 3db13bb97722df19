// SPDX-License-Identifier: Apache-2.0
// Copies of graphs: values, nodes, attributes, nested graphs.
#include "graph/copy.h"

#include <string.h>

#include "graph/edit.h"

struct bnr_value *bnr__copy_of(const struct bnr_copy_scope *scope, struct bnr_value *v) {
    for (; scope; scope = scope->outer)
        if (v->graph == scope->from)
            return scope->map[v->slot];
    return v;
}

// ---- types ------------------------------------------------------------------------------------------

enum bnr_status bnr__copy_type(struct bnr_copy *c, struct bnr_type *to, const struct bnr_type *from) {
    *to = *from;
    for (int i = 0; i < from->shape.rank; i++) {
        struct bnr_dim *d = &to->shape.dims[i];
        // The symbols of a function are its own in every call.
        if (c->call)
            d->sym = NULL;
    }
    if (!from->elem)
        return BNR_OK;
    struct bnr_type *elem = BNR_NEW(&c->to->arena, struct bnr_type);
    if (!elem)
        return bnr__no_memory(c->err);
    to->elem = elem;
    return bnr__copy_type(c, elem, from->elem);
}

// ---- values -----------------------------------------------------------------------------------------

// NULL when out of memory. The name itself when cloning.
static const char *copied_name(struct bnr_copy *c, struct bnr_graph *g, const char *name) {
    if (!c->call)
        return name;
    const char *hint = bnr__arena_printf(c->temp, "%s/%s", c->call->label, name);
    return hint ? bnr__name_fresh(g, hint) : NULL;
}

static enum bnr_status fill_value(struct bnr_copy *c, struct bnr_value *copy,
                                  const struct bnr_value *v) {
    copy->is_initializer = v->is_initializer;
    copy->from_constant_node = v->from_constant_node;
    copy->constant_node = v->constant_node;
    copy->tensor = bnr__tensor_ref(v->tensor);
    copy->source = c->from ? v->source : NULL;
    if (!bnr__value_declares(v))
        return BNR_OK;
    struct bnr_type *declared = bnr__value_declare(copy);
    return declared ? bnr__copy_type(c, declared, v->declared) : bnr__no_memory(c->err);
}

// All of them, with the table of their names: slots stay the same.
static enum bnr_status clone_values(struct bnr_copy *c, struct bnr_copy_scope *scope) {
    const struct bnr_graph *from = scope->from;
    struct bnr_graph *to = scope->to;
    struct bnr_value *copies = BNR_NEW_ARRAY(&c->to->arena, from->n_values, struct bnr_value);
    to->values = BNR_NEW_ARRAY(&c->to->arena, from->values_capacity, struct bnr_value *);
    if (!copies || !to->values || !bnr__map_copy(&to->names, &from->names))
        return bnr__no_memory(c->err);
    to->values_capacity = from->values_capacity;
    for (size_t i = 0; i < from->n_values; i++) {
        scope->map[i] = &copies[i];
        bnr__value_place(&copies[i], to, from->values[i]->name);
    }
    for (size_t i = 0; i < to->names.count; i++) {
        struct bnr_map_entry *e = &to->names.entries[i];
        const struct bnr_value *original = e->value;
        e->value = original ? &copies[original->slot] : NULL;
    }
    for (size_t i = 0; i < from->n_values; i++)
        BNR_TRY(fill_value(c, &copies[i], from->values[i]));
    return BNR_OK;
}

enum bnr_status bnr__copy_values(struct bnr_copy *c, struct bnr_copy_scope *scope) {
    const bool function_body = c->call && !scope->outer;
    if (c->from)
        return clone_values(c, scope);
    for (size_t i = 0; i < scope->from->n_values; i++) {
        const struct bnr_value *v = scope->from->values[i];
        if (scope->map[i] || (v->is_input && function_body))
            continue;
        const char *name = copied_name(c, scope->to, v->name);
        if (!name)
            return bnr__no_memory(c->err);
        BNR_TRY(bnr__value_new(&scope->map[i], scope->to, name, c->err));
        BNR_TRY(fill_value(c, scope->map[i], v));
    }
    return BNR_OK;
}

// ---- attributes -------------------------------------------------------------------------------------

static const struct bnr_attr *bound(const struct bnr_copy *c, const struct bnr_attr *attr) {
    if (!attr->ref || !c->call)
        return attr;
    const struct bnr_attr *given = bnr__attr(c->call, attr->ref);
    if (given)
        return given;
    for (size_t i = 0; i < c->function->n_attr_defaults; i++)
        if (strcmp(c->function->attr_defaults[i].name, attr->ref) == 0)
            return &c->function->attr_defaults[i];
    return NULL;
}

static enum bnr_status copy_graphs(struct bnr_copy *c, const struct bnr_copy_scope *scope,
                                   struct bnr_node *owner, struct bnr_attr *to,
                                   const struct bnr_attr *from) {
    to->graphs = BNR_NEW_ARRAY(&c->to->arena, from->n, struct bnr_graph *);
    to->n = 0;
    if (!to->graphs)
        return bnr__no_memory(c->err);
    for (size_t i = 0; i < from->n; i++) {
        struct bnr_graph *g = bnr__graph_new(c->to, owner);
        if (!g)
            return bnr__no_memory(c->err);
        to->graphs[to->n++] = g;
        BNR_TRY(bnr__copy_graph(c, scope, from->graphs[i], g));
    }
    return BNR_OK;
}

static enum bnr_status copy_attr(struct bnr_copy *c, const struct bnr_copy_scope *scope,
                                 struct bnr_node *to, const struct bnr_attr *attr) {
    const struct bnr_attr *from = bound(c, attr);
    if (!from)
        return BNR_OK; // neither given nor with a default: absent
    struct bnr_attr *copy = &to->attrs[to->n_attrs++];
    *copy = *from;
    copy->name = attr->name;
    if (from->type == BNR_ATTR_GRAPH || from->type == BNR_ATTR_GRAPHS) {
        copy->n = 0;
        return copy_graphs(c, scope, to, copy, from);
    }
    if (bnr__attr_copy(c->to, copy) != BNR_OK)
        return bnr__no_memory(c->err);
    if (from->type != BNR_ATTR_TYPE_PROTO && from->type != BNR_ATTR_TYPE_PROTOS)
        return BNR_OK;
    struct bnr_type *types = BNR_NEW_ARRAY(&c->to->arena, from->n, struct bnr_type);
    if (!types)
        return bnr__no_memory(c->err);
    copy->types = types;
    for (size_t i = 0; i < from->n; i++)
        BNR_TRY(bnr__copy_type(c, &types[i], &from->types[i]));
    return BNR_OK;
}

// ---- nodes and graphs -------------------------------------------------------------------------------

static enum bnr_status copy_origins(struct bnr_copy *c, struct bnr_node *to,
                                    const struct bnr_node *n) {
    to->origins = BNR_NEW_ARRAY(&c->to->arena, n->n_origins, struct bnr_bn *);
    if (!to->origins)
        return bnr__no_memory(c->err);
    for (size_t i = 0; i < n->n_origins; i++)
        for (size_t k = 0; k < c->from->n_bns; k++)
            if (c->from->bns[k] == n->origins[i])
                to->origins[to->n_origins++] = c->to->bns[k];
    return BNR_OK;
}

// What only a clone takes over.
static enum bnr_status copy_history(struct bnr_copy *c, struct bnr_node *to, const struct bnr_node *n) {
    to->label = n->label == n->name ? to->name : bnr__model_intern(c->to, n->label);
    if (!to->label)
        return bnr__no_memory(c->err);
    to->source = n->source;
    to->multiplied = n->multiplied;
    c->nodes[n->id] = to;
    return copy_origins(c, to, n);
}

// When all nodes are there: a head may stand in front of a member or behind it, or be gone.
static void copy_marks(const struct bnr_copy *c, const struct bnr_graph *from) {
    for (const struct bnr_node *n = from->first; n && c->from; n = n->next)
        if (n->fused_into)
            c->nodes[n->id]->fused_into = c->nodes[n->fused_into->id];
}

enum bnr_status bnr__copy_node(struct bnr_copy *c, const struct bnr_copy_scope *scope,
                               const struct bnr_node *n, struct bnr_node *before) {
    struct bnr_value **in = BNR_NEW_ARRAY(c->temp, (size_t)n->n_in, struct bnr_value *);
    const char *name = n->name[0] ? copied_name(c, scope->to, n->name) : "";
    if (!in || !name)
        return bnr__no_memory(c->err);
    for (int i = 0; i < n->n_in; i++)
        in[i] = n->in[i] ? bnr__copy_of(scope, n->in[i]) : NULL;
    struct bnr_node *to;
    if (bnr__node_like(&to, scope->to, before, n, name, n->n_in, in, n->n_out) != BNR_OK)
        return bnr__no_memory(c->err);
    to->attrs = BNR_NEW_ARRAY(&c->to->arena, n->n_attrs, struct bnr_attr);
    if (!to->attrs)
        return bnr__no_memory(c->err);
    for (int i = 0; i < n->n_out; i++)
        bnr__node_set_output(to, i, n->out[i] ? bnr__copy_of(scope, n->out[i]) : NULL);
    for (size_t i = 0; i < n->n_attrs; i++)
        BNR_TRY(copy_attr(c, scope, to, &n->attrs[i]));
    return c->from ? copy_history(c, to, n) : BNR_OK;
}

enum bnr_status bnr__copy_graph(struct bnr_copy *c, const struct bnr_copy_scope *outer,
                                const struct bnr_graph *from, struct bnr_graph *to) {
    struct bnr_copy_scope scope = {.from = from, .to = to, .outer = outer};
    scope.map = BNR_NEW_ARRAY(c->temp, from->n_values, struct bnr_value *);
    to->name = bnr__model_intern(c->to, from->name);
    to->doc = bnr__model_intern(c->to, from->doc);
    if (!scope.map || !to->name || !to->doc ||
        (c->call && bnr__graph_reserve(to, from->n_values) != BNR_OK))
        return bnr__no_memory(c->err);
    BNR_TRY(bnr__copy_values(c, &scope));
    for (size_t i = 0; i < from->n_inputs; i++)
        BNR_TRY(bnr__graph_add_input(to, scope.map[from->inputs[i]->slot], c->err));
    for (const struct bnr_node *n = from->first; n; n = n->next)
        BNR_TRY(bnr__copy_node(c, &scope, n, NULL));
    copy_marks(c, from);
    for (size_t i = 0; i < from->n_outputs; i++)
        BNR_TRY(bnr__graph_add_output(to, scope.map[from->outputs[i]->slot], c->err));
    return BNR_OK;
}
