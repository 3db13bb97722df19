// SPDX-License-Identifier: Apache-2.0
// Writing compiled models. See runtime/compiled_text.h for what is written.
#include <string.h>

#include "proto/onnx_file.h"
#include "proto/sink.h"
#include "runtime/base/text.h"
#include "runtime/compiled.h"
#include "runtime/compiled_text.h"
#include "runtime/kernels/cpu.h"
#include "runtime/session.h"

// Bytes of the data section.
struct blob {
    const void *data;
    size_t size;
};

struct writer {
    const struct bnr_session *s;
    const struct bnr_options *options;
    struct bnr_text text;
    struct bnr_arena temp;
    uint64_t *number_of; // [value id]
    uint64_t n_values, n_nodes;
    int *index_of; // [node id] -> position in its graph
    struct blob *blobs;
    size_t n_blobs, blobs_capacity;
    uint64_t data_size;
    struct bnr_error *err;
};

// ---- words --------------------------------------------------------------------------------------

static void put(struct writer *w, uint64_t v) {
    bnr__text_bytes(&w->text, (const char *)&v, sizeof v);
}

static void put_double(struct writer *w, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put(w, bits);
}

static void put_bytes(struct writer *w, const void *data, size_t size) {
    static const char zeros[8];
    put(w, size);
    if (size)
        bnr__text_bytes(&w->text, data, size);
    bnr__text_bytes(&w->text, zeros, 8 - size % 8);
}

static void put_text(struct writer *w, const char *s) {
    if (s)
        put_bytes(w, s, strlen(s));
    else
        put(w, NO_TEXT);
}

static enum bnr_status put_place(struct writer *w, const void *data, size_t size) {
    struct blob *blobs =
        bnr__arena_grow(&w->temp, w->blobs, w->n_blobs, &w->blobs_capacity, sizeof *blobs);
    if (!blobs)
        return bnr__no_memory(w->err);
    w->blobs = blobs;
    blobs[w->n_blobs++] = (struct blob){data, size};
    put(w, w->data_size);
    w->data_size += (size + DATA_PAD + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
    return BNR_OK;
}

// ---- types and tensors --------------------------------------------------------------------------

static enum bnr_status put_type(struct writer *w, const struct bnr_type *t, int depth) {
    if (depth == MAX_TYPE_DEPTH)
        return bnr__fail(w->err, BNR_UNSUPPORTED, "a type is nested more than %d deep", depth);
    put(w, (uint64_t)t->kind);
    put(w, (uint64_t)t->dtype);
    put(w, (uint64_t)(t->shape.rank + 1));
    for (int i = 0; i < t->shape.rank; i++) {
        put(w, (uint64_t)t->shape.dims[i].n);
        put_text(w, t->shape.dims[i].sym);
    }
    put(w, t->elem != NULL);
    return t->elem ? put_type(w, t->elem, depth + 1) : BNR_OK;
}

static enum bnr_status put_tensor(struct writer *w, const struct bnr_tensor *t, const char *name) {
    if (!t) {
        put(w, TENSOR_NONE);
        return BNR_OK;
    }
    if (t->kind != BNR_KIND_TENSOR || t->dtype == BNR_STRING)
        return bnr__fail(w->err, BNR_UNSUPPORTED,
                         "constant '%s' is of strings or no dense tensor: cannot be compiled", name);
    const bool hollow = !t->data && t->nbytes > 0;
    put(w, hollow ? TENSOR_HOLLOW : TENSOR_FULL);
    put(w, (uint64_t)t->dtype);
    put(w, (uint64_t)t->rank);
    for (int i = 0; i < t->rank; i++)
        put(w, (uint64_t)t->dims[i]);
    return hollow ? BNR_OK : put_place(w, t->data, t->nbytes);
}

// ---- graphs -------------------------------------------------------------------------------------

static enum bnr_status put_graph(struct writer *w, const struct bnr_graph *g);

static enum bnr_status put_element(struct writer *w, const struct bnr_attr *a, size_t i) {
    switch (a->type) {
    case BNR_ATTR_STRING:
    case BNR_ATTR_STRINGS:
        put_bytes(w, a->strings[i].ptr, a->strings[i].len);
        return BNR_OK;
    case BNR_ATTR_TENSOR:
    case BNR_ATTR_TENSORS:
        return put_tensor(w, a->tensors[i], a->name);
    case BNR_ATTR_GRAPH:
    case BNR_ATTR_GRAPHS:
        return put_graph(w, a->graphs[i]);
    case BNR_ATTR_TYPE_PROTO:
    case BNR_ATTR_TYPE_PROTOS:
        return put_type(w, &a->types[i], 0);
    default:
        return bnr__fail(w->err, BNR_UNSUPPORTED, "attribute '%s' of type %s cannot be compiled",
                         a->name, bnr__attr_type_name(a->type));
    }
}

static enum bnr_status put_attr(struct writer *w, const struct bnr_attr *a) {
    put_text(w, a->name);
    put(w, (uint64_t)a->type);
    put(w, a->n);
    if (a->type == BNR_ATTR_FLOAT || a->type == BNR_ATTR_FLOATS) {
        put_bytes(w, a->floats, a->n * sizeof *a->floats);
        return BNR_OK;
    }
    if (a->type == BNR_ATTR_INT || a->type == BNR_ATTR_INTS) {
        put_bytes(w, a->ints, a->n * sizeof *a->ints);
        return BNR_OK;
    }
    for (size_t i = 0; i < a->n; i++)
        BNR_TRY(put_element(w, a, i));
    return BNR_OK;
}

static void put_values(struct writer *w, struct bnr_value *const *values, int n) {
    put(w, (uint64_t)n);
    for (int i = 0; i < n; i++)
        put(w, values[i] ? w->number_of[values[i]->id] + 1 : 0);
}

static enum bnr_status put_node(struct writer *w, const struct bnr_node *n) {
    const struct bnr_model *m = w->s->model;
    put_text(w, n->domain);
    put_text(w, n->op_type);
    put_text(w, n->name);
    put_text(w, n->label);
    put_text(w, n->overload);
    put(w, (uint64_t)n->opset);
    put_values(w, n->in, n->n_in);
    put_values(w, n->out, n->n_out);
    put(w, n->n_attrs);
    for (size_t i = 0; i < n->n_attrs; i++)
        BNR_TRY(put_attr(w, &n->attrs[i]));
    put(w, n->n_origins);
    for (size_t i = 0; i < n->n_origins; i++) {
        size_t bn = 0;
        while (bn + 1 < m->n_bns && m->bns[bn] != n->origins[i])
            bn++;
        put(w, bn);
    }
    put(w, n->fused_into ? (uint64_t)w->index_of[n->fused_into->id] + 1 : 0);
    return BNR_OK;
}

static enum bnr_status put_value(struct writer *w, const struct bnr_value *v) {
    w->number_of[v->id] = w->n_values++;
    put_text(w, v->name);
    put(w, (v->is_initializer ? VALUE_INITIALIZER : 0) |
               (v->from_constant_node ? VALUE_FROM_NODE : 0));
    put_text(w, v->constant_node);
    put(w, (uint64_t)v->id);
    BNR_TRY(put_type(w, v->declared, 0));
    return put_tensor(w, v->tensor, v->name);
}

static enum bnr_status put_graph(struct writer *w, const struct bnr_graph *g) {
    int index = 0;
    put_text(w, g->name);
    put(w, g->n_values);
    for (size_t i = 0; i < g->n_values; i++)
        BNR_TRY(put_value(w, g->values[i]));
    put(w, g->n_inputs);
    for (size_t i = 0; i < g->n_inputs; i++)
        put(w, w->number_of[g->inputs[i]->id]);
    for (const struct bnr_node *n = g->first; n; n = n->next)
        w->index_of[n->id] = index++;
    w->n_nodes += (uint64_t)index;
    put(w, (uint64_t)index);
    for (const struct bnr_node *n = g->first; n; n = n->next)
        BNR_TRY(put_node(w, n));
    put(w, g->n_outputs);
    for (size_t i = 0; i < g->n_outputs; i++)
        put(w, w->number_of[g->outputs[i]->id]);
    return BNR_OK;
}

// ---- the model ----------------------------------------------------------------------------------

static void put_bn(struct writer *w, const struct bnr_bn *bn) {
    put_text(w, bn->name);
    put(w, (uint64_t)bn->verdict);
    put_text(w, bn->into);
    put_text(w, bn->reason);
    put(w, (uint64_t)bn->channels);
    put_double(w, bn->max_scale);
    put_double(w, bn->min_var_eps);
}

struct pack_cx {
    struct writer *w;
    const struct bnr_pack_entry *entry;
    bool found;
};

static enum bnr_status find_source(struct bnr_graph *g, void *cx) {
    struct pack_cx *c = cx;
    for (size_t i = 0; i < g->n_values && !c->found; i++)
        if (g->values[i]->tensor == c->entry->source) {
            put(c->w, c->w->number_of[g->values[i]->id]);
            c->found = true;
        }
    return BNR_OK;
}

// What is packed of a constant that no value holds any more has no use.
static enum bnr_status put_packs(struct writer *w) {
    const struct bnr_packs *packs = &w->s->packs;
    const size_t count_at = w->text.size;
    uint64_t n = 0;
    put(w, 0);
    for (size_t i = 0; i < packs->n_slots; i++) {
        struct bnr_pack_entry entry;
        struct pack_cx cx = {.w = w, .entry = &entry};
        if (!bnr__packs_entry(packs, i, &entry))
            continue;
        bnr__model_each_graph(w->s->model, find_source, &cx);
        if (!cx.found)
            continue;
        put_text(w, entry.key);
        put(w, entry.variant);
        BNR_TRY(put_place(w, entry.data, entry.size));
        put(w, entry.size);
        n++;
    }
    if (!w->text.failed)
        memcpy(w->text.data + count_at, &n, sizeof n);
    return BNR_OK;
}

static enum bnr_status put_model(struct writer *w) {
    const struct bnr_model *m = w->s->model;
    put(w, (uint64_t)m->ir_version);
    put(w, m->freeze_initializers);
    put_text(w, m->producer_name);
    put_text(w, m->producer_version);
    put_text(w, m->domain);
    put(w, m->n_opsets);
    for (size_t i = 0; i < m->n_opsets; i++) {
        put_text(w, m->opsets[i].domain);
        put(w, (uint64_t)m->opsets[i].version);
    }
    put(w, w->s->stats.nodes_before);
    put(w, (uint64_t)(int64_t)w->options->stop_after);
    put_text(w, w->options->passes);
    put_text(w, w->options->keep);
    put(w, m->n_bns);
    for (size_t i = 0; i < m->n_bns; i++)
        put_bn(w, m->bns[i]);
    const size_t counts_at = w->text.size;
    put(w, 0);
    put(w, 0);
    BNR_TRY(put_graph(w, m->graph));
    BNR_TRY(put_packs(w));
    if (w->text.failed)
        return bnr__no_memory(w->err);
    const uint64_t counts[2] = {w->n_values, w->n_nodes};
    memcpy(w->text.data + counts_at, counts, sizeof counts);
    return BNR_OK;
}

// ---- the file -----------------------------------------------------------------------------------

static size_t padding_of(size_t size) {
    return (size + DATA_PAD + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN - size;
}

static uint64_t hash_data(const struct writer *w) {
    static const uint8_t zeros[DATA_PAD + DATA_ALIGN];
    struct bnr_compiled_sum sum = {.size = 0};
    for (size_t i = 0; i < w->n_blobs; i++) {
        bnr__compiled_sum_add(&sum, w->blobs[i].data, w->blobs[i].size);
        bnr__compiled_sum_add(&sum, zeros, padding_of(w->blobs[i].size));
    }
    return bnr__compiled_sum_end(&sum);
}

static void set_header(const struct writer *w, const struct bnr_bytes *original,
                       struct bnr_compiled_header *h) {
    *h = (struct bnr_compiled_header){.magic = "bnrun\r\n", .format = BNR_COMPILED_FORMAT};
    strncpy(h->build, bnr__build_id(), sizeof h->build - 1);
    strncpy(h->cpu, bnr__cpu_level_name(w->s->cpu), sizeof h->cpu - 1);
    h->far_memory = (w->s->cpu & BNR_CPU_FAR_MEMORY) != 0;
    h->flags = w->s->flags & ~(unsigned)(BNR_PROFILE | BNR_SPIN);
    h->text = sizeof *h;
    h->text_size = w->text.size;
    h->text_hash = bnr__compiled_hash(w->text.data, w->text.size);
    h->data = (h->text + h->text_size + BNR_COMPILED_PAGE - 1) / BNR_COMPILED_PAGE * BNR_COMPILED_PAGE;
    h->data_size = w->data_size;
    h->data_hash = hash_data(w);
    h->file_size = h->data + h->data_size;
    if (original->size > 0) {
        h->original = h->file_size;
        h->original_size = original->size;
        h->original_hash = bnr__compiled_hash(original->data, original->size);
        h->file_size += original->size;
    }
    h->header_hash = bnr__compiled_hash(h, sizeof *h);
}

static void put_file(const struct writer *w, const struct bnr_compiled_header *h,
                     const struct bnr_bytes *original, struct bnr_sink *sink) {
    bnr__put_bytes(sink, h, sizeof *h);
    bnr__put_bytes(sink, w->text.data, w->text.size);
    bnr__put_zeros(sink, h->data - sink->size);
    for (size_t i = 0; i < w->n_blobs; i++) {
        const size_t size = w->blobs[i].size;
        if (size)
            bnr__put_bytes(sink, w->blobs[i].data, size);
        bnr__put_zeros(sink, padding_of(size));
    }
    if (original->size > 0)
        bnr__put_bytes(sink, original->data, original->size);
}

static enum bnr_status write_file(struct writer *w, const struct bnr_model *model,
                                  const char *path) {
    struct bnr_compiled_header header;
    struct bnr_bytes original = bnr__model_file_bytes(model);
    struct bnr_target target;
    BNR_TRY(put_model(w));
    if (w->text.size > BNR_COMPILED_TEXT_MAX)
        return bnr__fail(w->err, BNR_UNSUPPORTED, "the graph takes %zu bytes, at most %d are supported",
                         w->text.size, BNR_COMPILED_TEXT_MAX);
    set_header(w, &original, &header);
    enum bnr_status st = bnr__target_open(&target, path, w->temp.allocator, w->err);
    if (st == BNR_OK) {
        put_file(w, &header, &original, &target.sink);
        st = bnr__target_close(&target, w->err);
    }
    if (st == BNR_OK)
        st = bnr__target_commit(&target, w->err);
    bnr__target_abandon(&target);
    return st;
}

enum bnr_status bnr__compiled_write(const struct bnr_session *s, const struct bnr_model *model,
                                    const struct bnr_options *o, const char *path,
                                    struct bnr_error *err) {
    struct writer w = {.s = s, .options = o, .text.allocator = s->allocator, .err = err};
    bnr__arena_init(&w.temp, s->allocator);
    w.number_of = BNR_NEW_ARRAY(&w.temp, (size_t)s->model->next_value_id, uint64_t);
    w.index_of = BNR_NEW_ARRAY(&w.temp, (size_t)s->model->next_node_id, int);
    const enum bnr_status st =
        w.number_of && w.index_of ? write_file(&w, model, path) : bnr__no_memory(err);
    bnr__text_free(&w.text);
    bnr__arena_free(&w.temp);
    return st;
}
