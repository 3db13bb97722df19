// SPDX-License-Identifier: Apache-2.0
// Graphs and their values: making, names, uses, replacing, removing.
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

#include "graph/edit.h"
#include "runtime/base/checked.h"

// ---- graphs -----------------------------------------------------------------------------------------

struct bnr_graph *bnr__graph_new(struct bnr_model *m, struct bnr_node *owner) {
    struct bnr_graph *g = BNR_NEW(&m->arena, struct bnr_graph);
    if (!g)
        return NULL;
    g->model = m;
    g->owner = owner;
    g->name = g->doc = "";
    bnr__map_init(&g->names, &m->arena);
    g->next_made = m->made_graphs;
    m->made_graphs = g;
    return g;
}

enum bnr_status bnr__graph_reserve(struct bnr_graph *g, size_t n_values) {
    n_values += n_values / 8 + 8; // rewrites make some more
    if (n_values <= g->values_capacity)
        return BNR_OK;
    struct bnr_value **values = BNR_NEW_ARRAY(&g->model->arena, n_values, struct bnr_value *);
    if (!values || !bnr__map_reserve(&g->names, n_values))
        return BNR_NO_MEMORY;
    if (g->n_values)
        memcpy(values, g->values, g->n_values * sizeof(struct bnr_value *));
    g->values = values;
    g->values_capacity = n_values;
    return BNR_OK;
}

enum bnr_status bnr__graph_add_input(struct bnr_graph *g, struct bnr_value *v,
                                     struct bnr_error *err) {
    if (v->graph != g || v->is_input || v->producer)
        return bnr__fail(err, BNR_MALFORMED, "graph '%s': input '%s' is %s", g->name, v->name,
                         v->is_input ? "listed twice" : "produced by a node or another graph");
    struct bnr_value **inputs = bnr__arena_grow(&g->model->arena, g->inputs, g->n_inputs,
                                                &g->inputs_capacity, sizeof(struct bnr_value *));
    if (!inputs)
        return bnr__no_memory(err);
    g->inputs = inputs;
    inputs[g->n_inputs++] = v;
    v->is_input = true;
    return BNR_OK;
}

static enum bnr_status add_identity(struct bnr_value **out, struct bnr_graph *g,
                                    struct bnr_value *v, struct bnr_error *err) {
    const char *name = bnr__name_fresh(g, v->name);
    if (!name)
        return bnr__no_memory(err);
    BNR_TRY(bnr__value_new(out, g, name, err));
    enum bnr_status st = bnr__identity_new(g, NULL, v, *out, err);
    if (st != BNR_OK)
        bnr__value_unlink(*out);
    return st;
}

enum bnr_status bnr__graph_add_output(struct bnr_graph *g, struct bnr_value *v,
                                      struct bnr_error *err) {
    struct bnr_value **outputs = bnr__arena_grow(&g->model->arena, g->outputs, g->n_outputs,
                                                 &g->outputs_capacity, sizeof(struct bnr_value *));
    if (!outputs)
        return bnr__no_memory(err);
    g->outputs = outputs;
    if (v->graph != g)
        BNR_TRY(add_identity(&v, g, v, err));
    outputs[g->n_outputs++] = v;
    v->n_graph_outputs++;
    return BNR_OK;
}

bool bnr__graph_is_inside(const struct bnr_graph *g, const struct bnr_graph *outer) {
    while (g && g != outer)
        g = g->owner ? g->owner->graph : NULL;
    return g == outer;
}

void bnr__graph_discard(struct bnr_graph *g) {
    for (struct bnr_node *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->n_in; i++)
            bnr__use_drop(n, i);
        for (size_t a = 0; a < n->n_attrs; a++)
            bnr__attr_discard_graphs(&n->attrs[a]);
        n->graph = NULL;
    }
    for (size_t i = 0; i < g->n_values; i++) {
        bnr__tensor_unref(g->values[i]->tensor);
        g->values[i]->tensor = NULL;
        g->values[i]->graph = NULL;
    }
    g->first = g->last = NULL;
    g->n_nodes = g->n_values = g->n_inputs = g->n_outputs = 0;
    g->owner = NULL;
}

struct capture_list {
    const struct bnr_graph *graph;
    struct bnr_arena *arena;
    struct bnr_map seen; // by name: names visible in one place are distinct
    struct bnr_value **values;
    size_t count, capacity;
};

static enum bnr_status add_capture(struct capture_list *list, struct bnr_value *v) {
    if (bnr__map_get(&list->seen, v->name))
        return BNR_OK;
    struct bnr_value **values = bnr__arena_grow(list->arena, list->values, list->count,
                                                &list->capacity, sizeof(struct bnr_value *));
    if (!values)
        return BNR_NO_MEMORY;
    list->values = values;
    if (!bnr__map_set(&list->seen, v->name, v))
        return BNR_NO_MEMORY;
    values[list->count++] = v;
    return BNR_OK;
}

static enum bnr_status collect_captures(struct capture_list *list, const struct bnr_graph *g) {
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i] && n->in[i]->graph != g &&
                !bnr__graph_is_inside(n->in[i]->graph, list->graph))
                BNR_TRY(add_capture(list, n->in[i]));
        for (size_t a = 0; a < n->n_attrs; a++)
            if (n->attrs[a].type == BNR_ATTR_GRAPH || n->attrs[a].type == BNR_ATTR_GRAPHS)
                for (size_t i = 0; i < n->attrs[a].n; i++)
                    BNR_TRY(collect_captures(list, n->attrs[a].graphs[i]));
    }
    return BNR_OK;
}

enum bnr_status bnr__graph_captures(const struct bnr_graph *g, struct bnr_arena *arena,
                                    struct bnr_value ***out, size_t *count) {
    struct capture_list list = {.graph = g, .arena = arena};
    bnr__map_init(&list.seen, arena);
    enum bnr_status st = collect_captures(&list, g);
    *out = st == BNR_OK ? list.values : NULL;
    *count = st == BNR_OK ? list.count : 0;
    return st;
}

// ---- values and names -------------------------------------------------------------------------------

// Longer hints are cut, so that names made from names made from names stay short.
enum { HINT_MAX = 200 };

const char *bnr__name_fresh(struct bnr_graph *g, const char *hint) {
    struct bnr_model *m = g->model;
    char name[HINT_MAX + 16];
    if (!hint[0])
        hint = "value";
    size_t len = strlen(hint);
    if (len > HINT_MAX)
        for (len = HINT_MAX; len > 1 && ((unsigned char)hint[len] & 0xC0) == 0x80;)
            len--; // not within a UTF-8 character
    memcpy(name, hint, len);
    name[len] = '\0';
    while (bnr__name_is_used(m, name))
        snprintf(name + len, sizeof name - len, "_%u", ++m->name_counter);
    return bnr__model_intern(m, name);
}

static struct bnr_value *find_value(const struct bnr_graph *g, const char *name, uint64_t hash) {
    for (; g; g = g->owner ? g->owner->graph : NULL) {
        struct bnr_value *v = bnr__map_find(&g->names, name, hash);
        if (v)
            return v;
    }
    return NULL;
}

struct bnr_value *bnr__value_find(const struct bnr_graph *g, const char *name) {
    return find_value(g, name, bnr__map_hash(name));
}

static const struct bnr_info nothing = {.type = {.kind = BNR_KIND_TENSOR, .shape = {.rank = -1}}};

struct bnr_type *bnr__value_declare(struct bnr_value *v) {
    if (v->declared != &nothing.type)
        return (struct bnr_type *)(uintptr_t)v->declared;
    struct bnr_type *own = BNR_NEW(&v->graph->model->arena, struct bnr_type);
    if (!own)
        return NULL;
    *own = nothing.type;
    v->declared = own;
    return own;
}

enum bnr_status bnr__value_set_declared(struct bnr_value *v, const struct bnr_type *type,
                                        struct bnr_error *err) {
    if (type->kind == BNR_KIND_TENSOR && type->dtype == BNR_UNDEFINED && type->shape.rank < 0) {
        v->declared = &nothing.type;
        return BNR_OK;
    }
    struct bnr_type *own = bnr__value_declare(v);
    if (!own)
        return bnr__no_memory(err);
    *own = *type;
    return BNR_OK;
}

struct bnr_info *bnr__value_info(struct bnr_value *v) {
    if (v->info != &nothing)
        return (struct bnr_info *)(uintptr_t)v->info;
    struct bnr_info *own = BNR_NEW(&v->graph->model->info_arena, struct bnr_info);
    if (!own)
        return NULL;
    *own = nothing;
    v->info = own;
    return own;
}

enum bnr_status bnr__value_info_of_constant(struct bnr_value *v) {
    if (v->info->tensor == v->tensor && v->tensor->kind == BNR_KIND_TENSOR)
        return BNR_OK;
    struct bnr_info *info = bnr__value_info(v);
    return info ? bnr__info_of_tensor(info, v->tensor, &v->graph->model->infer_arena)
                : BNR_NO_MEMORY;
}

void bnr__value_reset_info(struct bnr_value *v) {
    if (v->info != &nothing)
        *(struct bnr_info *)(uintptr_t)v->info = nothing;
}

void bnr__value_drop_info(struct bnr_value *v) {
    v->info = &nothing;
}

bool bnr__value_declares(const struct bnr_value *v) {
    return v->declared != &nothing.type;
}

void bnr__value_place(struct bnr_value *v, struct bnr_graph *g, const char *name) {
    v->name = name;
    v->id = g->model->next_value_id++;
    v->graph = g;
    v->slot = g->n_values;
    v->declared = &nothing.type;
    v->info = &nothing;
    g->values[g->n_values++] = v;
}

enum bnr_status bnr__value_new(struct bnr_value **out, struct bnr_graph *g, const char *name,
                               struct bnr_error *err) {
    struct bnr_model *m = g->model;
    *out = NULL;
    if (!name && !(name = bnr__name_fresh(g, "value")))
        return bnr__no_memory(err);
    const uint64_t hash = bnr__map_hash(name);
    if (find_value(g, name, hash))
        return bnr__fail(err, BNR_MALFORMED, "graph '%s': the name '%s' is defined twice", g->name,
                         name);
    name = bnr__intern_hashed(m, name, hash);
    struct bnr_value *v = BNR_NEW(&m->arena, struct bnr_value);
    struct bnr_value **values = bnr__arena_grow(&m->arena, g->values, g->n_values,
                                                &g->values_capacity, sizeof(struct bnr_value *));
    if (values)
        g->values = values; // with the capacity that was updated, whatever else fails
    if (!name || !v || !values || !bnr__map_put(&g->names, name, hash, v))
        return bnr__no_memory(err);
    bnr__value_place(v, g, name);
    *out = v;
    return BNR_OK;
}

enum bnr_status bnr__value_constant(struct bnr_value **out, struct bnr_graph *g, const char *hint,
                                    struct bnr_tensor *t, struct bnr_error *err) {
    char folded[HINT_MAX];
    int n = snprintf(folded, sizeof folded, "%s_folded", hint);
    bool taken = bnr__name_is_used(g->model, hint);
    const char *name = bnr__name_fresh(g, taken && n > 0 && (size_t)n < sizeof folded ? folded : hint);
    *out = NULL;
    enum bnr_status st = name ? bnr__value_new(out, g, name, err) : bnr__no_memory(err);
    if (st != BNR_OK) {
        bnr__tensor_unref(t);
        return st;
    }
    (*out)->tensor = t;
    if (bnr__value_info_of_constant(*out) == BNR_OK)
        return BNR_OK;
    bnr__value_unlink(*out);
    *out = NULL;
    return bnr__no_memory(err);
}

bool bnr__value_is_constant(const struct bnr_value *v) {
    if (!v->tensor || v->producer)
        return false;
    const struct bnr_model *m = v->graph->model;
    return !v->is_input || m->freeze_initializers || m->ir_version < 4;
}

const struct bnr_tensor *bnr__value_constant_tensor(const struct bnr_value *v) {
    return v && bnr__value_is_constant(v) && v->tensor->kind == BNR_KIND_TENSOR ? v->tensor : NULL;
}

bool bnr__value_single_use(const struct bnr_value *v) {
    return v->n_uses == 1 && v->n_graph_outputs == 0 && v->uses[0].node->graph == v->graph;
}

void bnr__value_unlink(struct bnr_value *v) {
    struct bnr_graph *g = v->graph;
    struct bnr_value *last = g->values[--g->n_values];
    g->values[v->slot] = last;
    last->slot = v->slot;
    bnr__map_set(&g->names, v->name, NULL); // cannot fail: nothing is added
    bnr__tensor_unref(v->tensor);
    v->tensor = NULL;
    v->info = &nothing;
    v->graph = NULL;
}

void bnr__value_remove(struct bnr_value *v) {
    struct bnr_graph *g = v->graph;
    if (v->producer || v->n_uses > 0 || v->n_graph_outputs > 0)
        return;
    if (v->is_input) {
        if (!bnr__value_is_constant(v))
            return;
        size_t i = 0;
        while (g->inputs[i] != v)
            i++;
        memmove(&g->inputs[i], &g->inputs[i + 1], (--g->n_inputs - i) * sizeof *g->inputs);
        v->is_input = false;
    }
    bnr__value_unlink(v);
}

// ---- uses -------------------------------------------------------------------------------------------

enum bnr_status bnr__uses_reserve(struct bnr_value *v, size_t extra) {
    size_t needed;
    if (!bnr__size_add(v->n_uses, extra, &needed))
        return BNR_NO_MEMORY;
    if (needed <= v->uses_capacity)
        return BNR_OK;
    if (needed < v->uses_capacity * 2)
        needed = v->uses_capacity * 2;
    struct bnr_use *uses = BNR_NEW_ARRAY(&v->graph->model->arena, needed, struct bnr_use);
    if (!uses)
        return BNR_NO_MEMORY;
    if (v->n_uses)
        memcpy(uses, v->uses, v->n_uses * sizeof *uses);
    v->uses = uses;
    v->uses_capacity = needed;
    return BNR_OK;
}

void bnr__use_add(struct bnr_value *v, struct bnr_node *node, int index) {
    node->in[index] = v;
    node->use_slots[index] = v->n_uses;
    v->uses[v->n_uses++] = (struct bnr_use){node, index};
}

void bnr__use_drop(struct bnr_node *node, int index) {
    struct bnr_value *v = node->in[index];
    if (!v)
        return;
    const size_t slot = node->use_slots[index];
    const struct bnr_use last = v->uses[--v->n_uses];
    v->uses[slot] = last;
    last.node->use_slots[last.index] = slot;
    node->in[index] = NULL;
}

bool bnr__value_replaceable(const struct bnr_value *from, const struct bnr_value *to) {
    if (from == to)
        return false;
    if (from->n_graph_outputs == 0)
        return bnr__graph_is_inside(from->graph, to->graph);
    return to->graph == from->graph && !to->is_input && !to->tensor && to->n_graph_outputs == 0;
}

// `to` becomes what the outside knows as `from`.
static void swap_interface(struct bnr_value *from, struct bnr_value *to) {
    struct bnr_graph *g = from->graph;
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == from)
            g->outputs[i] = to;
    to->n_graph_outputs = from->n_graph_outputs;
    from->n_graph_outputs = 0;

    const char *name = from->name;
    from->name = to->name;
    to->name = name;
    bnr__map_set(&g->names, from->name, from); // both keys are there: cannot fail
    bnr__map_set(&g->names, to->name, to);

    const struct bnr_type *declared = from->declared;
    from->declared = to->declared;
    to->declared = declared;
    const void *source = from->source;
    from->source = to->source;
    to->source = source;
}

enum bnr_status bnr__value_replace(struct bnr_value *from, struct bnr_value *to) {
    if (!bnr__value_replaceable(from, to))
        return BNR_UNSUPPORTED;
    BNR_TRY(bnr__uses_reserve(to, from->n_uses));
    while (from->n_uses > 0) {
        const struct bnr_use use = from->uses[from->n_uses - 1];
        bnr__use_drop(use.node, use.index);
        bnr__use_add(to, use.node, use.index);
    }
    if (from->n_graph_outputs > 0)
        swap_interface(from, to);
    return BNR_OK;
}
