// SPDX-License-Identifier: Apache-2.0
// The invariants of the IR, checked in one walk over the model in execution order.
#include <inttypes.h>
#include <string.h>

#include "graph/edit.h"

struct verifier {
    const struct bnr_model *model;
    struct bnr_arena temp;
    // By value id: node inputs and graph outputs met so far; whether the value was met in its graph.
    size_t *uses, *outputs;
    unsigned char *values, *inputs;
    unsigned char *nodes; // by node id: SEEN in its graph's list, DONE once everything it holds is checked
    bool in_function;
    struct bnr_error *err;
};

enum { SEEN = 1, DONE = 2 };

#define CHECK(v, condition, code, ...)                                                             \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return bnr__fail((v)->err, code, __VA_ARGS__);                                         \
    } while (0)

// ---- tensors and attributes -------------------------------------------------------------------------

static enum bnr_status verify_tensor(struct verifier *v, const struct bnr_tensor *t, const char *what,
                                     const char *name) {
    size_t numel;
    CHECK(v, t && atomic_load(&t->refs) > 0, BNR_INTERNAL, "%s '%s': its tensor was released", what,
          name);
    for (size_t i = 0; i < t->n_items; i++)
        BNR_TRY(verify_tensor(v, t->items[i], what, name));
    if (t->kind != BNR_KIND_TENSOR)
        return BNR_OK;
    CHECK(v, bnr__dtype_valid((int)t->dtype), BNR_MALFORMED, "%s '%s': its tensor has dtype %d", what,
          name, (int)t->dtype);
    CHECK(v, t->rank >= 0 && t->rank <= BNR_MAX_RANK, BNR_MALFORMED, "%s '%s': its tensor has rank %d",
          what, name, t->rank);
    BNR_TRY(bnr__shape_numel(t->dims, t->rank, name, &numel, v->err));
    CHECK(v, numel == t->numel && t->nbytes == numel * bnr__dtype_size(t->dtype), BNR_INTERNAL,
          "%s '%s': its tensor holds %zu elements in %zu bytes, its dims say %zu", what, name, t->numel,
          t->nbytes, numel);
    return BNR_OK;
}

static enum bnr_status verify_names(struct verifier *v, const struct bnr_node *n) {
    enum { FEW = 32 };
    struct bnr_map seen;
    bnr__map_init(&seen, &v->temp);
    for (size_t i = 0; i < n->n_attrs; i++) {
        const char *name = n->attrs[i].name;
        CHECK(v, name, BNR_INTERNAL, "node '%s': attribute %zu has no name", n->label, i);
        bool twice = n->n_attrs > FEW && bnr__map_get(&seen, name);
        for (size_t k = 0; n->n_attrs <= FEW && k < i; k++)
            twice = twice || strcmp(n->attrs[k].name, name) == 0;
        CHECK(v, !twice, BNR_MALFORMED, "node '%s': attribute '%s' is given twice", n->label, name);
        if (n->n_attrs > FEW && !bnr__map_set(&seen, name, v))
            return bnr__no_memory(v->err);
    }
    return BNR_OK;
}

static enum bnr_status verify_graph(struct verifier *v, const struct bnr_graph *g);

static enum bnr_status verify_attr(struct verifier *v, const struct bnr_node *n,
                                   const struct bnr_attr *attr) {
    const bool singular = (attr->type >= BNR_ATTR_FLOAT && attr->type <= BNR_ATTR_GRAPH) ||
                          attr->type == BNR_ATTR_SPARSE_TENSOR || attr->type == BNR_ATTR_TYPE_PROTO;
    CHECK(v, attr->type >= BNR_ATTR_UNDEFINED && attr->type <= BNR_ATTR_TYPE_PROTOS, BNR_MALFORMED,
          "node '%s': attribute '%s' has type %d", n->label, attr->name, (int)attr->type);
    CHECK(v, !attr->ref || v->in_function, BNR_MALFORMED,
          "node '%s': attribute '%s' refers to '%s' of a function, outside of any", n->label, attr->name,
          attr->ref);
    if (attr->ref || attr->type == BNR_ATTR_UNDEFINED)
        return BNR_OK;
    CHECK(v, !singular || attr->n == 1, BNR_INTERNAL, "node '%s': attribute '%s' (%s) has %zu values",
          n->label, attr->name, bnr__attr_type_name(attr->type), attr->n);
    CHECK(v, attr->n == 0 || attr->floats, BNR_INTERNAL, "node '%s': attribute '%s' has no values",
          n->label, attr->name);
    const bool tensors = attr->type == BNR_ATTR_TENSOR || attr->type == BNR_ATTR_TENSORS;
    for (size_t i = 0; tensors && i < attr->n; i++)
        BNR_TRY(verify_tensor(v, attr->tensors[i], "attribute", attr->name));
    const bool graphs = attr->type == BNR_ATTR_GRAPH || attr->type == BNR_ATTR_GRAPHS;
    for (size_t i = 0; graphs && i < attr->n; i++) {
        const struct bnr_graph *g = attr->graphs[i];
        CHECK(v, g && g->owner == n && g->model == v->model, BNR_INTERNAL,
              "node '%s': the graph in attribute '%s' belongs elsewhere", n->label, attr->name);
        BNR_TRY(verify_graph(v, g));
    }
    return BNR_OK;
}

// ---- values -----------------------------------------------------------------------------------------

static bool is_live(const struct bnr_value *value) {
    const struct bnr_graph *g = value->graph;
    return g && value->slot < g->n_values && g->values[value->slot] == value;
}

static enum bnr_status verify_value(struct verifier *v, const struct bnr_graph *g, size_t slot) {
    const struct bnr_value *value = g->values[slot];
    CHECK(v, value && value->name, BNR_INTERNAL, "graph '%s': value %zu has no name", g->name, slot);
    const char *name = value->name;
    CHECK(v, value->graph == g && value->slot == slot, BNR_INTERNAL, "value '%s' is not where it says",
          name);
    CHECK(v, value->id >= 0 && value->id < v->model->next_value_id && !v->values[value->id],
          BNR_INTERNAL, "value '%s' has the id %d of another or none", name, value->id);
    v->values[value->id] = SEEN;
    if (value->tensor) {
        CHECK(v, !value->producer, BNR_INTERNAL, "value '%s' is constant, but node '%s' produces it",
              name, value->producer->label);
        BNR_TRY(verify_tensor(v, value->tensor, "value", name));
    }
    const struct bnr_node *p = value->producer;
    CHECK(v,
          !p || (p->graph == g && value->producer_index >= 0 && value->producer_index < p->n_out &&
                 p->out[value->producer_index] == value),
          BNR_INTERNAL, "value '%s' is not an output of its producer '%s'", name, p->label);
    CHECK(v, !(p && value->is_input), BNR_INTERNAL, "graph input '%s' is produced by node '%s'", name,
          p->label);
    return BNR_OK;
}

// Each value is found by its name: the keys of a map are distinct, so that it is enough to count.
static enum bnr_status verify_index(struct verifier *v, const struct bnr_graph *g) {
    size_t found = 0;
    for (size_t i = 0; i < g->names.count; i++) {
        const struct bnr_map_entry *e = &g->names.entries[i];
        const struct bnr_value *value = e->value;
        if (!value)
            continue;
        CHECK(v, value->graph == g && is_live(value) && value->name == e->key, BNR_INTERNAL,
              "graph '%s': value '%s' is found by the name '%s'", g->name, value->name, e->key);
        found++;
    }
    CHECK(v, found == g->n_values, BNR_INTERNAL,
          "graph '%s': %zu of its %zu values are found by their names", g->name, found,
          g->n_values);
    return BNR_OK;
}

// Something gives it a value before anything reads it.
static enum bnr_status verify_source(struct verifier *v, const struct bnr_value *value,
                                     const char *what, const char *reader) {
    if (!value->producer) {
        CHECK(v, value->is_input || value->tensor, BNR_MALFORMED,
              "%s '%.200s' reads '%s', which nothing produces", what, reader, value->name);
        return BNR_OK;
    }
    CHECK(v, v->nodes[value->producer->id] & DONE, BNR_MALFORMED,
          "%s '%.200s' reads '%s' before node '%s' produces it", what, reader, value->name,
          value->producer->label);
    return BNR_OK;
}

static enum bnr_status verify_interface(struct verifier *v, const struct bnr_graph *g) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct bnr_value *value = g->inputs[i];
        CHECK(v, value && value->graph == g && is_live(value) && value->is_input, BNR_INTERNAL,
              "graph '%s': input %zu is not a value of it", g->name, i);
        CHECK(v, !v->inputs[value->id], BNR_MALFORMED, "graph '%s': input '%s' is listed twice", g->name,
              value->name);
        v->inputs[value->id] = SEEN;
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        const struct bnr_value *value = g->outputs[i];
        CHECK(v, value && value->graph == g && is_live(value), BNR_INTERNAL,
              "graph '%s': output %zu is not a value of it", g->name, i);
        v->outputs[value->id]++;
    }
    return BNR_OK;
}

// ---- nodes ------------------------------------------------------------------------------------------

static enum bnr_status verify_inputs(struct verifier *v, const struct bnr_node *n) {
    for (int i = 0; i < n->n_in; i++) {
        const struct bnr_value *value = n->in[i];
        if (!value)
            continue;
        CHECK(v, is_live(value), BNR_INTERNAL, "node '%s': input %d was removed", n->label, i);
        if (value->graph != n->graph) {
            CHECK(v, bnr__graph_is_inside(n->graph, value->graph), BNR_INTERNAL,
                  "node '%s': input '%s' belongs to a graph that it cannot see", n->label, value->name);
            CHECK(v, bnr__value_find(n->graph, value->name) == value, BNR_INTERNAL,
                  "node '%s': input '%s' of an outer graph has the name of another value", n->label,
                  value->name);
        }
        const size_t slot = n->use_slots[i];
        CHECK(v, slot < value->n_uses && value->uses[slot].node == n && value->uses[slot].index == i,
              BNR_INTERNAL, "value '%s' does not know that node '%s' reads it", value->name, n->label);
        v->uses[value->id]++;
        BNR_TRY(verify_source(v, value, "node", n->label));
    }
    return BNR_OK;
}

static enum bnr_status verify_outputs(struct verifier *v, const struct bnr_node *n) {
    for (int i = 0; i < n->n_out; i++) {
        const struct bnr_value *value = n->out[i];
        CHECK(v, !value || (is_live(value) && value->producer == n && value->producer_index == i),
              BNR_INTERNAL, "node '%s': output %d is not its own", n->label, i);
    }
    return BNR_OK;
}

static enum bnr_status verify_node(struct verifier *v, const struct bnr_graph *g,
                                   const struct bnr_node *n) {
    CHECK(v, n->name && n->op_type && n->domain && n->overload && n->label, BNR_INTERNAL,
          "graph '%s': node %d has no name, operator, domain or label", g->name, n->id);
    CHECK(v, n->graph == g, BNR_INTERNAL, "node '%s' is in the list of another graph", n->label);
    CHECK(v, n->id >= 0 && n->id < v->model->next_node_id && !v->nodes[n->id], BNR_INTERNAL,
          "node '%s' has the id %d of another or none", n->label, n->id);
    v->nodes[n->id] = SEEN;
    CHECK(v, n->n_in >= 0 && n->n_out >= 0 && (n->n_in == 0 || (n->in && n->use_slots)) &&
                 (n->n_out == 0 || n->out),
          BNR_INTERNAL, "node '%s' has no list of inputs or outputs", n->label);
    BNR_TRY(verify_inputs(v, n));
    BNR_TRY(verify_outputs(v, n));
    BNR_TRY(verify_names(v, n));
    for (size_t i = 0; i < n->n_attrs; i++)
        BNR_TRY(verify_attr(v, n, &n->attrs[i]));
    const struct bnr_node *head = n->fused_into;
    CHECK(v, !head || !head->graph || (head->graph == g && head != n && !head->fused_into),
          BNR_INTERNAL, "node '%s' is fused into itself, a fused node or one of another graph", n->label);
    for (size_t i = 0; i < n->n_origins; i++)
        CHECK(v, n->origins && n->origins[i], BNR_INTERNAL, "node '%s': origin %zu is missing", n->label, i);
    v->nodes[n->id] |= DONE;
    return BNR_OK;
}

static enum bnr_status verify_graph(struct verifier *v, const struct bnr_graph *g) {
    for (size_t i = 0; i < g->n_values; i++)
        BNR_TRY(verify_value(v, g, i));
    BNR_TRY(verify_index(v, g));
    BNR_TRY(verify_interface(v, g));
    size_t count = 0;
    const struct bnr_node *last = NULL;
    for (const struct bnr_node *n = g->first; n; last = n, n = n->next) {
        CHECK(v, n->prev == last, BNR_INTERNAL, "node '%s' is not linked with the one in front",
              n->label ? n->label : "");
        BNR_TRY(verify_node(v, g, n));
        count++;
    }
    CHECK(v, count == g->n_nodes && last == g->last, BNR_INTERNAL,
          "graph '%s' counts %zu nodes, its list has %zu", g->name, g->n_nodes, count);
    for (size_t i = 0; i < g->n_outputs; i++)
        BNR_TRY(verify_source(v, g->outputs[i], "graph", g->name));
    return BNR_OK;
}

// ---- the model --------------------------------------------------------------------------------------

// After the walk: nobody else claims to read or list a value.
static enum bnr_status verify_counts(struct verifier *v) {
    for (const struct bnr_graph *g = v->model->made_graphs; g; g = g->next_made)
        for (size_t i = 0; i < g->n_values; i++) {
            const struct bnr_value *value = g->values[i];
            if (!v->values[value->id]) // of a graph that is made, but not attached yet
                continue;
            CHECK(v, value->n_uses == v->uses[value->id], BNR_INTERNAL,
                  "value '%s' counts %zu uses, nodes read it %zu times", value->name, value->n_uses,
                  v->uses[value->id]);
            CHECK(v, (size_t)value->n_graph_outputs == v->outputs[value->id], BNR_INTERNAL,
                  "value '%s' counts as %d outputs, its graph lists it %zu times", value->name,
                  value->n_graph_outputs, v->outputs[value->id]);
            CHECK(v, value->is_input == (v->inputs[value->id] != 0), BNR_INTERNAL,
                  "value '%s' is marked as graph input, but not listed", value->name);
        }
    return BNR_OK;
}

static enum bnr_status verify_function(struct verifier *v, const struct bnr_function *f) {
    CHECK(v, f->name && f->domain && f->overload && f->body && !f->body->owner, BNR_INTERNAL,
          "a function has no name, domain or body");
    CHECK(v, f->body->n_inputs == f->n_inputs && f->body->n_outputs == f->n_outputs, BNR_INTERNAL,
          "function '%s': its body has %zu inputs and %zu outputs, expected %zu and %zu", f->name,
          f->body->n_inputs, f->body->n_outputs, f->n_inputs, f->n_outputs);
    v->in_function = true;
    enum bnr_status st = verify_graph(v, f->body);
    v->in_function = false;
    return st;
}

static enum bnr_status verify_all(struct verifier *v) {
    const struct bnr_model *m = v->model;
    const size_t n_values = (size_t)m->next_value_id, n_nodes = (size_t)m->next_node_id;
    v->uses = BNR_NEW_ARRAY(&v->temp, n_values, size_t);
    v->outputs = BNR_NEW_ARRAY(&v->temp, n_values, size_t);
    v->values = BNR_NEW_ARRAY(&v->temp, n_values, unsigned char);
    v->inputs = BNR_NEW_ARRAY(&v->temp, n_values, unsigned char);
    v->nodes = BNR_NEW_ARRAY(&v->temp, n_nodes, unsigned char);
    if (!v->uses || !v->outputs || !v->values || !v->inputs || !v->nodes)
        return bnr__no_memory(v->err);
    CHECK(v, m->graph && m->graph->model == m && !m->graph->owner, BNR_INTERNAL,
          "the model has no graph of its own");
    for (size_t i = 0; i < m->n_functions; i++)
        BNR_TRY(verify_function(v, &m->functions[i]));
    BNR_TRY(verify_graph(v, m->graph));
    return verify_counts(v);
}

enum bnr_status bnr__model_verify(const struct bnr_model *m, struct bnr_error *err) {
    struct verifier v = {.model = m, .err = err};
    bnr__arena_init(&v.temp, m->allocator);
    enum bnr_status st = verify_all(&v);
    bnr__arena_free(&v.temp);
    return st;
}
