// SPDX-License-Identifier: Apache-2.0
// Nodes: making, their inputs and outputs, moving, removing.
#include "graph/edit.h"

#include <stdint.h>
#include <string.h>

#include "graph/affine.h"
#include "graph/op.h"

void bnr__node_link(struct bnr_node *n, struct bnr_node *before) {
    struct bnr_graph *g = n->graph;
    n->next = before;
    n->prev = before ? before->prev : g->last;
    *(n->prev ? &n->prev->next : &g->first) = n;
    *(before ? &before->prev : &g->last) = n;
    g->n_nodes++;
}

void bnr__node_unlink(struct bnr_node *n) {
    struct bnr_graph *g = n->graph;
    *(n->prev ? &n->prev->next : &g->first) = n->next;
    *(n->next ? &n->next->prev : &g->last) = n->prev;
    n->prev = n->next = NULL;
    g->n_nodes--;
}

enum bnr_status bnr__node_grow_inputs(struct bnr_node *n, int n_in) {
    struct bnr_arena *arena = &n->graph->model->arena;
    if (n_in <= n->n_in)
        return BNR_OK;
    struct bnr_value **in = BNR_NEW_ARRAY(arena, (size_t)n_in, struct bnr_value *);
    size_t *slots = BNR_NEW_ARRAY(arena, (size_t)n_in, size_t);
    if (!in || !slots)
        return BNR_NO_MEMORY;
    if (n->n_in > 0) {
        memcpy(in, n->in, (size_t)n->n_in * sizeof *in);
        memcpy(slots, n->use_slots, (size_t)n->n_in * sizeof *slots);
    }
    n->in = in;
    n->use_slots = slots;
    n->n_in = n_in;
    return BNR_OK;
}

static void find_op(struct bnr_node *n) {
    const struct bnr_op *op = bnr__op_find(n->domain, n->op_type);
    n->since = op ? bnr__op_version(op, n->opset) : 0;
    n->op = n->since > 0 ? op : NULL;
}

static bool set_label(struct bnr_node *n) {
    n->label = n->name[0] ? n->name
                          : bnr__arena_printf(&n->graph->model->arena, "%s#%d", n->op_type, n->id);
    return n->label != NULL;
}

// Domain, op_type, name, label and the operator in force.
static enum bnr_status set_identity(struct bnr_node *n, const char *domain, const char *op_type,
                                    const char *name) {
    struct bnr_model *m = n->graph->model;
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    n->domain = bnr__model_intern(m, domain);
    n->op_type = bnr__model_intern(m, op_type);
    n->name = bnr__model_intern(m, name ? name : "");
    n->overload = "";
    if (!n->domain || !n->op_type || !n->name)
        return BNR_NO_MEMORY;
    n->opset = strcmp(domain, BNR_INTERNAL_DOMAIN) == 0 ? 1 : bnr__model_opset(m, domain);
    find_op(n);
    return set_label(n) ? BNR_OK : BNR_NO_MEMORY;
}

static struct bnr_node *make(struct bnr_graph *g) {
    struct bnr_node *n = BNR_NEW(&g->model->arena, struct bnr_node);
    if (n) {
        n->graph = g;
        n->id = g->model->next_node_id;
    }
    return n;
}

static enum bnr_status enter(struct bnr_node *n, struct bnr_node *before, int n_in,
                             struct bnr_value *const *in, int n_out) {
    struct bnr_model *m = n->graph->model;
    n->out = BNR_NEW_ARRAY(&m->arena, (size_t)n_out, struct bnr_value *);
    if (!n->out || bnr__node_grow_inputs(n, n_in) != BNR_OK)
        return BNR_NO_MEMORY;
    n->n_out = n_out;
    for (int i = 0; i < n_in; i++) {
        if (in[i] && bnr__uses_reserve(in[i], 1) != BNR_OK) {
            while (i-- > 0)
                bnr__use_drop(n, i);
            return BNR_NO_MEMORY;
        }
        if (in[i])
            bnr__use_add(in[i], n, i);
    }
    bnr__node_link(n, before);
    m->next_node_id++;
    return BNR_OK;
}

enum bnr_status bnr__node_new(struct bnr_node **out, struct bnr_graph *g, struct bnr_node *before,
                              const char *domain, const char *op_type, const char *name, int n_in,
                              struct bnr_value *const *in, int n_out, struct bnr_error *err) {
    struct bnr_node *n = make(g);
    *out = NULL;
    if (!n || set_identity(n, domain, op_type, name) != BNR_OK ||
        enter(n, before, n_in, in, n_out) != BNR_OK)
        return bnr__no_memory(err);
    *out = n;
    return BNR_OK;
}

enum bnr_status bnr__node_like(struct bnr_node **out, struct bnr_graph *g, struct bnr_node *before,
                               const struct bnr_node *like, const char *name, int n_in,
                               struct bnr_value *const *in, int n_out) {
    struct bnr_node *n = make(g);
    *out = n;
    if (!n)
        return BNR_NO_MEMORY;
    n->name = name;
    n->domain = like->domain;
    n->op_type = like->op_type;
    n->overload = like->overload;
    n->opset = like->opset;
    n->op = like->op;
    n->since = like->since;
    return set_label(n) ? enter(n, before, n_in, in, n_out) : BNR_NO_MEMORY;
}

enum bnr_status bnr__identity_new(struct bnr_graph *g, struct bnr_node *before, struct bnr_value *from,
                                  struct bnr_value *to, struct bnr_error *err) {
    struct bnr_node *n;
    BNR_TRY(bnr__node_new(&n, g, before, "", "Identity", NULL, 1, &from, 1, err));
    if (n->opset == 0) { // a model that imports other domains only
        n->opset = 1;
        find_op(n);
    }
    bnr__node_set_output(n, 0, to);
    return BNR_OK;
}

enum bnr_status bnr__node_set_input(struct bnr_node *n, int index, struct bnr_value *v) {
    if (index < 0 || index == INT32_MAX)
        return BNR_INVALID;
    if (index >= n->n_in) {
        if (!v)
            return BNR_OK;
        BNR_TRY(bnr__node_grow_inputs(n, index + 1));
    }
    if (n->in[index] == v)
        return BNR_OK;
    if (v)
        BNR_TRY(bnr__uses_reserve(v, 1));
    bnr__use_drop(n, index);
    if (v)
        bnr__use_add(v, n, index);
    return BNR_OK;
}

void bnr__node_set_output(struct bnr_node *n, int index, struct bnr_value *v) {
    struct bnr_value *old = n->out[index];
    if (old == v)
        return;
    if (old)
        old->producer = NULL;
    if (v && v->producer)
        v->producer->out[v->producer_index] = NULL;
    n->out[index] = v;
    if (v) {
        v->producer = n;
        v->producer_index = index;
    }
}

void bnr__node_remove(struct bnr_node *n) {
    for (int i = 0; i < n->n_in; i++)
        bnr__use_drop(n, i);
    for (size_t a = 0; a < n->n_attrs; a++)
        bnr__attr_discard_graphs(&n->attrs[a]);
    for (int i = 0; i < n->n_out; i++) {
        struct bnr_value *v = n->out[i];
        if (!v)
            continue;
        v->producer = NULL;
        n->out[i] = NULL;
        // One that is still read stays, for the verifier to name.
        if (v->n_uses == 0 && v->n_graph_outputs == 0)
            bnr__value_unlink(v);
    }
    bnr__node_unlink(n);
    n->graph = NULL;
}

void bnr__node_move(struct bnr_node *n, struct bnr_node *before) {
    if (before == n || (before && before == n->next))
        return;
    bnr__node_unlink(n);
    bnr__node_link(n, before);
}

static bool has_origin(const struct bnr_node *n, const struct bnr_bn *bn) {
    for (size_t i = 0; i < n->n_origins; i++)
        if (n->origins[i] == bn)
            return true;
    return false;
}

enum bnr_status bnr__node_add_origins(struct bnr_node *to, const struct bnr_node *from) {
    if (from->n_origins == 0 || from == to)
        return BNR_OK;
    struct bnr_bn **all = BNR_NEW_ARRAY(&to->graph->model->arena, to->n_origins + from->n_origins,
                                        struct bnr_bn *);
    if (!all)
        return BNR_NO_MEMORY;
    size_t n = to->n_origins;
    if (n > 0)
        memcpy(all, to->origins, n * sizeof(struct bnr_bn *));
    for (size_t i = 0; i < from->n_origins; i++)
        if (!has_origin(to, from->origins[i]))
            all[n++] = from->origins[i];
    to->origins = all;
    to->n_origins = n;
    return BNR_OK;
}

// Most questions are answered by the first character.
static bool has_type(const struct bnr_node *n, const char *op_type) {
    return n->op_type[0] == op_type[0] && strcmp(n->op_type, op_type) == 0;
}

bool bnr__node_is(const struct bnr_node *n, const char *domain, const char *op_type) {
    if (!has_type(n, op_type))
        return false;
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    return strcmp(n->domain, domain) == 0;
}

bool bnr__node_is_one_of(const struct bnr_node *n, const char *const *op_types) {
    if (n->domain[0] != '\0')
        return false;
    for (; *op_types; op_types++)
        if (has_type(n, *op_types))
            return true;
    return false;
}

bool bnr__node_has_subgraphs(const struct bnr_node *n) {
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == BNR_ATTR_GRAPH || n->attrs[i].type == BNR_ATTR_GRAPHS)
            return true;
    return false;
}
