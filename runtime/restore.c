// SPDX-License-Identifier: Apache-2.0
// Constants that passes evaluated on the way and no fold changed become again what they were in the file.
#include <string.h>

#include "graph/op.h"
#include "runtime/fold_file.h"

enum { MAX_CHAIN = 64 }; // nodes that make each other's inputs

// ---- before -----------------------------------------------------------------------------------------

static bool is_unread(const struct bnr_value *v) {
    return v->n_uses == 0 && v->n_graph_outputs == 0;
}

static enum bnr_status take_graph(struct bnr_graph *g, void *cx) {
    struct bnr_before *b = cx;
    for (size_t i = 0; i < g->n_values; i++) {
        const struct bnr_value *v = g->values[i];
        b->names[v->id] = v->name;
        b->unread[v->id] = is_unread(v);
    }
    return BNR_OK;
}

enum bnr_status bnr__before_take(struct bnr_before *b, const struct bnr_model *m, struct bnr_error *err) {
    *b = (struct bnr_before){.n = m->next_value_id};
    bnr__arena_init(&b->arena, m->allocator);
    b->names = BNR_NEW_ARRAY(&b->arena, (size_t)b->n, const char *);
    b->unread = BNR_NEW_ARRAY(&b->arena, (size_t)b->n, bool);
    if (!b->names || !b->unread) {
        bnr__arena_free(&b->arena);
        return bnr__no_memory(err);
    }
    return bnr__model_each_graph((struct bnr_model *)(uintptr_t)m, take_graph, b);
}

void bnr__before_free(struct bnr_before *b) {
    bnr__arena_free(&b->arena);
}

// ---- nodes that make constants ----------------------------------------------------------------------

struct restoring {
    const struct bnr_before *before;
    struct bnr_graph *g;
    const struct bnr_graph *origin;
    struct bnr_error *err;
    enum bnr_status status;
};

static bool same_as_before(const struct bnr_before *b, const struct bnr_value *v) {
    return v->id < b->n && b->names[v->id] && strcmp(b->names[v->id], v->name) == 0;
}

static bool fail(struct restoring *r, enum bnr_status st) {
    if (st != BNR_OK && r->status == BNR_OK)
        r->status = st == BNR_NO_MEMORY ? bnr__no_memory(r->err) : st;
    return false;
}

// The node of the file that made v, when v is a constant now; else NULL.
static const struct bnr_node *maker(const struct restoring *r, const struct bnr_value *v) {
    if (!v->tensor || v->producer || v->is_initializer || v->from_constant_node || v->is_input ||
        v->graph != r->g || !same_as_before(r->before, v))
        return NULL;
    const struct bnr_value *old = bnr__value_find(r->origin, v->name);
    const struct bnr_node *p = old && old->graph == r->origin ? old->producer : NULL;
    return p && p->n_out == 1 && !bnr__node_has_subgraphs(p) ? p : NULL;
}

// Shapes may have changed since.
static enum bnr_status declare_dtype(struct bnr_value *v, const struct bnr_value *as,
                                     struct bnr_error *err) {
    const struct bnr_type type = {.dtype = as->declared->dtype, .shape = bnr__shape_unknown()};
    return bnr__value_set_declared(v, &type, err);
}

static bool remake(struct restoring *r, const struct bnr_node *p, struct bnr_value *out,
                   struct bnr_node *before, int depth);

// The value of the same name as `old`, an input of a node that is made again in front of `before`.
static struct bnr_value *input_of(struct restoring *r, struct bnr_value *old, struct bnr_node *before,
                                  int depth) {
    struct bnr_value *v = bnr__value_find(r->g, old->name);
    if (v && (!same_as_before(r->before, v) || (v->producer && old->tensor)))
        return NULL;
    if (v) {
        const struct bnr_node *p = maker(r, v);
        if (p && depth > 0)
            remake(r, p, v, before, depth - 1); // or else the constant stays one
        return v;
    }
    if (old->graph != r->origin || (!old->tensor && !old->producer) || depth == 0)
        return NULL;
    enum bnr_status st = bnr__value_new(&v, r->g, old->name, r->err);
    if (st != BNR_OK) {
        fail(r, st);
        return NULL;
    }
    st = declare_dtype(v, old, r->err);
    if (st != BNR_OK) {
        fail(r, st);
        return NULL;
    }
    if (old->producer) {
        if (remake(r, old->producer, v, before, depth - 1))
            return v;
        bnr__value_remove(v);
        return NULL;
    }
    v->tensor = bnr__tensor_ref(old->tensor);
    v->is_initializer = old->is_initializer;
    v->from_constant_node = old->from_constant_node;
    v->constant_node = old->constant_node;
    v->source = old->source;
    return v;
}

static bool copy_node(struct restoring *r, struct bnr_node *to, const struct bnr_node *p) {
    to->opset = p->opset;
    to->op = p->op;
    to->since = p->since;
    to->source = p->source;
    to->label = bnr__model_intern(r->g->model, p->label);
    to->overload = bnr__model_intern(r->g->model, p->overload);
    if (!to->label || !to->overload)
        return fail(r, BNR_NO_MEMORY);
    for (size_t i = 0; i < p->n_attrs; i++)
        if (bnr__node_set_attr(to, &p->attrs[i]) != BNR_OK)
            return fail(r, BNR_NO_MEMORY);
    return true;
}

// False where it cannot be made again, and `out` stays what it is.
static bool remake(struct restoring *r, const struct bnr_node *p, struct bnr_value *out,
                   struct bnr_node *before, int depth) {
    struct bnr_value **in = BNR_NEW_ARRAY(&r->g->model->arena, (size_t)p->n_in + 1, struct bnr_value *);
    struct bnr_node *to;
    if (!in)
        return fail(r, BNR_NO_MEMORY);
    if (p->n_out != 1 || bnr__node_has_subgraphs(p))
        return false;
    for (int i = 0; i < p->n_in; i++)
        if (p->in[i] && !(in[i] = input_of(r, p->in[i], before, depth)))
            return false;
    const enum bnr_status st = bnr__node_new(&to, r->g, before, p->domain, p->op_type,
                                             p->name[0] ? p->name : NULL, p->n_in, in, 1, r->err);
    if (st != BNR_OK)
        return fail(r, st);
    if (!copy_node(r, to, p))
        return false;
    bnr__tensor_unref(out->tensor);
    out->tensor = NULL;
    bnr__node_set_output(to, 0, out);
    return true;
}

static void restore_inputs(struct restoring *r, struct bnr_node *n) {
    for (int i = 0; i < n->n_in && r->status == BNR_OK; i++) {
        struct bnr_value *v = n->in[i];
        const struct bnr_node *p = v ? maker(r, v) : NULL;
        if (p)
            remake(r, p, v, n, MAX_CHAIN);
    }
}

// ---- what the passes left without readers -----------------------------------------------------------

static bool is_orphan(const struct bnr_before *b, const struct bnr_value *v) {
    return is_unread(v) && (v->id >= b->n || !b->unread[v->id]);
}

static enum bnr_status sweep(struct bnr_graph *g, void *cx) {
    const struct bnr_before *b = cx;
    struct bnr_node *prev;
    for (struct bnr_node *n = g->last; n; n = prev) {
        prev = n->prev;
        bool dead = n->n_out > 0;
        for (int i = 0; i < n->n_out; i++)
            dead = dead && (!n->out[i] || is_orphan(b, n->out[i]));
        if (dead)
            bnr__node_remove(n);
    }
    for (size_t i = g->n_values; i-- > 0;) {
        struct bnr_value *v = g->values[i];
        if (is_orphan(b, v) && bnr__value_is_constant(v))
            bnr__value_remove(v);
    }
    return BNR_OK;
}

// A BN went into the node that makes its input: that node now makes what the BN made, under its name, and
// the nodes that read it stay as they were.
static enum bnr_status keep_name(struct restoring *r, const struct bnr_node *bn) {
    const struct bnr_value *x = bn->n_in > 0 ? bn->in[0] : NULL, *y = bn->n_out > 0 ? bn->out[0] : NULL;
    if (!x || !y || x->n_uses != 1 || x->n_graph_outputs > 0 || bnr__value_find(r->g, y->name))
        return BNR_OK;
    struct bnr_value *now = bnr__value_find(r->g, x->name), *named;
    struct bnr_node *p = now && now->graph == r->g ? now->producer : NULL;
    bool into = false;
    for (size_t i = 0; p && i < p->n_origins; i++)
        into = into || strcmp(p->origins[i]->name, bn->label) == 0;
    if (!into || !same_as_before(r->before, now) || now->n_graph_outputs > 0)
        return BNR_OK;
    BNR_TRY(bnr__value_new(&named, r->g, y->name, r->err));
    BNR_TRY(declare_dtype(named, now, r->err));
    bnr__node_set_output(p, now->producer_index, named);
    if (bnr__value_replace(now, named) != BNR_OK)
        return bnr__no_memory(r->err);
    bnr__value_remove(now);
    return BNR_OK;
}

// A node that the file does not have goes behind the one that it reads.
static void place_new(struct restoring *r, const struct bnr_map *ours) {
    struct bnr_node *next;
    for (struct bnr_node *n = r->g->first; n && !bnr__map_get(ours, n->label); n = next) {
        next = n->next;
        for (int i = 0; i < n->n_in; i++) {
            struct bnr_node *p = n->in[i] ? n->in[i]->producer : NULL;
            if (!p || p->graph != r->g)
                continue;
            bnr__node_move(n, p->next);
            break;
        }
    }
}

// Nodes made again stand in front of their readers; the file may have had them elsewhere. All of the file go
// back to its order, where labels tell them apart.
static enum bnr_status restore_order(struct restoring *r) {
    struct bnr_map now, ours;
    bnr__map_init(&now, &r->g->model->arena);
    bnr__map_init(&ours, &r->g->model->arena);
    for (struct bnr_node *n = r->g->first; n; n = n->next)
        if (!bnr__map_set(&now, n->label, n))
            return bnr__no_memory(r->err);
    for (struct bnr_node *p = r->origin->first; p; p = p->next)
        if (!bnr__map_set(&ours, p->label, p))
            return bnr__no_memory(r->err);
    if (now.count != r->g->n_nodes || ours.count != r->origin->n_nodes)
        return BNR_OK;
    for (const struct bnr_node *p = r->origin->first; p; p = p->next) {
        struct bnr_node *n = bnr__map_get(&now, p->label);
        if (n)
            bnr__node_move(n, NULL);
    }
    place_new(r, &ours);
    return BNR_OK;
}

enum bnr_status bnr__before_restore(const struct bnr_before *b, struct bnr_model *m,
                                    const struct bnr_model *origin, struct bnr_error *err) {
    struct restoring r = {b, m->graph, origin->graph, err, BNR_OK};
    for (struct bnr_node *n = m->graph->first; n && r.status == BNR_OK; n = n->next)
        restore_inputs(&r, n);
    BNR_TRY(r.status);
    for (const struct bnr_node *n = origin->graph->first; n; n = n->next)
        if (bnr__node_is(n, "", "BatchNormalization"))
            BNR_TRY(keep_name(&r, n));
    // Outer graphs come first: what only a body read is without readers in the second round.
    for (int round = 0; round < 2; round++)
        BNR_TRY(bnr__model_each_graph(m, sweep, (void *)(uintptr_t)b));
    BNR_TRY(restore_order(&r));
    BNR_TRY(bnr__graph_sort(m->graph, err));
    return bnr__model_infer(m, err);
}

// Quantized weights are small on purpose: where there are any, nothing is evaluated.
static enum bnr_status find_quantized(struct bnr_graph *g, void *cx) {
    for (const struct bnr_node *n = g->first; n; n = n->next)
        if (bnr__node_is(n, "", "DequantizeLinear"))
            *(bool *)cx = true;
    return BNR_OK;
}

const char *bnr__only_bn_passes(const struct bnr_model *m) {
    bool quantized = false;
    bnr__model_each_graph((struct bnr_model *)(uintptr_t)m, find_quantized, &quantized);
    return quantized ? "fold_affine,raise_affine" : "fold_constants,fold_affine,raise_affine";
}
