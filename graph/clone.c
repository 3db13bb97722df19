// SPDX-License-Identifier: Apache-2.0
// A deep copy of a model's IR that shares all tensors.
#include "graph/copy.h"
#include "graph/edit.h"

static bool copy_text(struct bnr_model *m, const char **to, const char *from) {
    *to = from ? bnr__model_intern(m, from) : NULL;
    return !from || *to;
}

static enum bnr_status copy_header(struct bnr_model *to, const struct bnr_model *m) {
    to->ir_version = m->ir_version;
    to->model_version = m->model_version;
    to->freeze_initializers = m->freeze_initializers;
    to->name_counter = m->name_counter;
    to->meta = BNR_NEW_ARRAY(&to->arena, m->n_meta, struct bnr_meta);
    bool ok = to->meta && copy_text(to, &to->path, m->path) &&
              copy_text(to, &to->producer_name, m->producer_name) &&
              copy_text(to, &to->producer_version, m->producer_version) &&
              copy_text(to, &to->domain, m->domain) && copy_text(to, &to->doc, m->doc);
    for (size_t i = 0; ok && i < m->n_meta; i++, to->n_meta++)
        ok = copy_text(to, &to->meta[i].key, m->meta[i].key) &&
             copy_text(to, &to->meta[i].value, m->meta[i].value);
    for (size_t i = 0; ok && i < m->n_opsets; i++)
        ok = bnr__model_add_opset(to, m->opsets[i].domain, m->opsets[i].version) == BNR_OK;
    to->missing = BNR_NEW_ARRAY(&to->arena, m->n_missing, const char *);
    to->missing_capacity = m->n_missing;
    for (size_t i = 0; ok && to->missing && i < m->n_missing; i++, to->n_missing++)
        ok = copy_text(to, &to->missing[i], m->missing[i]);
    return ok && to->missing ? BNR_OK : BNR_NO_MEMORY;
}

static enum bnr_status copy_bns(struct bnr_model *to, const struct bnr_model *m) {
    to->bns = BNR_NEW_ARRAY(&to->arena, m->n_bns, struct bnr_bn *);
    if (!to->bns)
        return BNR_NO_MEMORY;
    to->bns_capacity = m->n_bns;
    for (size_t i = 0; i < m->n_bns; i++) {
        struct bnr_bn *bn = BNR_NEW(&to->arena, struct bnr_bn);
        if (!bn)
            return BNR_NO_MEMORY;
        *bn = *m->bns[i];
        if (!copy_text(to, &bn->name, m->bns[i]->name) || !copy_text(to, &bn->into, m->bns[i]->into) ||
            !copy_text(to, &bn->reason, m->bns[i]->reason))
            return BNR_NO_MEMORY;
        to->bns[to->n_bns++] = bn;
    }
    return BNR_OK;
}

static enum bnr_status copy_model(struct bnr_model *to, const struct bnr_model *m,
                                  struct bnr_arena *temp, struct bnr_error *err) {
    struct bnr_copy c = {.to = to, .temp = temp, .err = err, .from = m};
    c.nodes = BNR_NEW_ARRAY(temp, (size_t)m->next_node_id, struct bnr_node *);
    if (!c.nodes || copy_header(to, m) != BNR_OK || copy_bns(to, m) != BNR_OK)
        return bnr__no_memory(err);
    to->graph = bnr__graph_new(to, NULL);
    if (!to->graph)
        return bnr__no_memory(err);
    return bnr__copy_graph(&c, NULL, m->graph, to->graph);
}

enum bnr_status bnr__model_clone(struct bnr_model **out, const struct bnr_model *m,
                                 struct bnr_error *err) {
    *out = NULL;
    if (m->n_functions > 0 || !m->graph)
        return bnr__fail(err, BNR_INVALID, "a model can be copied after its functions were inlined");
    struct bnr_model *to = bnr__model_beside(m->allocator, m->names);
    if (!to)
        return bnr__no_memory(err);
    struct bnr_arena temp;
    bnr__arena_init(&temp, m->allocator);
    enum bnr_status st = copy_model(to, m, &temp, err);
    bnr__arena_free(&temp);
    if (st == BNR_OK)
        *out = to;
    else
        bnr__model_free(to);
    return st;
}
