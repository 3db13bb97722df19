// SPDX-License-Identifier: Apache-2.0
// Models: making, freeing, interned strings, opsets, held tensors, walking all graphs.
#include <string.h>

#include "graph/edit.h"

struct bnr_model *bnr__model_beside(const struct bnr_allocator *a, struct bnr_names *names) {
    struct bnr_model *m = bnr__calloc(a, 1, sizeof *m);
    if (!m)
        return NULL;
    atomic_init(&m->refs, 1);
    m->allocator = a;
    m->path = "<memory>";
    m->producer_name = m->producer_version = m->domain = m->doc = "";
    bnr__arena_init(&m->arena, a);
    bnr__arena_init(&m->info_arena, a);
    bnr__arena_init(&m->infer_arena, a);
    m->names = bnr__names_new(a, names);
    if (m->names)
        return m;
    bnr__model_free(m);
    return NULL;
}

struct bnr_model *bnr__model_new(const struct bnr_allocator *a) {
    return bnr__model_beside(a, NULL);
}

struct bnr_model *bnr__model_ref(struct bnr_model *m) {
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void bnr__model_free(struct bnr_model *m) {
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (struct bnr_graph *g = m->made_graphs; g; g = g->next_made)
        for (size_t i = 0; i < g->n_values; i++)
            bnr__tensor_unref(g->values[i]->tensor);
    for (size_t i = 0; i < m->n_held; i++)
        bnr__tensor_unref(m->held[i]);
    for (size_t i = 0; i < m->n_trusted; i++)
        bnr__tensor_unref(m->trusted[i]);
    for (size_t i = 0; i < m->n_evaluated; i++)
        bnr__tensor_unref(m->evaluated[i]);
    // Last: tensors may point into what the loader made.
    if (m->release_source)
        m->release_source(m->source);
    bnr__arena_free(&m->info_arena);
    bnr__arena_free(&m->infer_arena);
    bnr__arena_free(&m->arena);
    bnr__names_unref(m->names);
    bnr__free(m->allocator, m, sizeof *m);
}

const char *bnr__intern_hashed(struct bnr_model *m, const char *s, uint64_t hash) {
    if (!s[0])
        return "";
    const char *found = bnr__names_find(m->names, s, hash);
    return found ? found : bnr__names_add(m->names, s, hash);
}

const char *bnr__model_intern(struct bnr_model *m, const char *s) {
    return bnr__intern_hashed(m, s, s[0] ? bnr__map_hash(s) : 0);
}

bool bnr__name_is_used(const struct bnr_model *m, const char *name) {
    return bnr__names_find(m->names, name, bnr__map_hash(name)) != NULL;
}

void bnr__model_renumber(struct bnr_model *m) {
    m->next_value_id = 0;
    for (struct bnr_graph *g = m->made_graphs; g; g = g->next_made)
        for (size_t i = 0; i < g->n_values; i++)
            g->values[i]->id = m->next_value_id++;
}

static const char *canonical_domain(const char *domain) {
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

int bnr__model_opset(const struct bnr_model *m, const char *domain) {
    domain = canonical_domain(domain);
    for (size_t i = 0; i < m->n_opsets; i++)
        if (strcmp(m->opsets[i].domain, domain) == 0)
            return m->opsets[i].version;
    return m->ir_version < 3 && m->n_opsets == 0 && domain[0] == '\0' ? 1 : 0;
}

enum bnr_status bnr__model_add_opset(struct bnr_model *m, const char *domain, int version) {
    domain = bnr__model_intern(m, canonical_domain(domain));
    struct bnr_opset *opsets = BNR_NEW_ARRAY(&m->arena, m->n_opsets + 1, struct bnr_opset);
    if (!domain || !opsets)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < m->n_opsets; i++) {
        if (strcmp(m->opsets[i].domain, domain) == 0) {
            m->opsets[i].version = version;
            return BNR_OK;
        }
        opsets[i] = m->opsets[i];
    }
    opsets[m->n_opsets++] = (struct bnr_opset){domain, version};
    m->opsets = opsets;
    return BNR_OK;
}

enum bnr_status bnr__model_hold(struct bnr_model *m, struct bnr_tensor *t) {
    if (!t)
        return BNR_OK;
    struct bnr_tensor **held =
        bnr__arena_grow(&m->arena, m->held, m->n_held, &m->held_capacity, sizeof *held);
    if (!held) {
        bnr__tensor_unref(t);
        return BNR_NO_MEMORY;
    }
    m->held = held;
    held[m->n_held++] = t;
    return BNR_OK;
}

static enum bnr_status each_graph(struct bnr_graph *g,
                                  enum bnr_status (*fn)(struct bnr_graph *g, void *cx), void *cx) {
    BNR_TRY(fn(g, cx));
    if (!g->model->made_graphs->next_made)
        return BNR_OK; // it is the only one
    for (struct bnr_node *n = g->first; n; n = n->next)
        for (size_t a = 0; a < n->n_attrs; a++) {
            const struct bnr_attr *attr = &n->attrs[a];
            if (attr->type != BNR_ATTR_GRAPH && attr->type != BNR_ATTR_GRAPHS)
                continue;
            for (size_t i = 0; i < attr->n; i++)
                BNR_TRY(each_graph(attr->graphs[i], fn, cx));
        }
    return BNR_OK;
}

enum bnr_status bnr__model_each_graph(struct bnr_model *m,
                                      enum bnr_status (*fn)(struct bnr_graph *g, void *cx),
                                      void *cx) {
    return m->graph ? each_graph(m->graph, fn, cx) : BNR_OK;
}
