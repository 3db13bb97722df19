// SPDX-License-Identifier: Apache-2.0
// Saving models. The graph gives nodes, values and tensors; the file that it came from gives the rest, and
// the bytes of whatever is still the same.
#include <stdio.h>
#include <string.h>

#include "graph/op.h"
#include "proto/onnx_file.h"
#include "proto/write.h"

// protobuf allows no message of 2 GB or more.
static const uint64_t max_message = INT32_MAX;

// ---- opset imports ----------------------------------------------------------------------------------

// Inlined functions bring nodes with imports of their own. A domain that the model does not import is
// added; one that it does must mean the same version of the operator.
static enum bnr_status check_import(struct writer *w, const struct bnr_node *n, struct bnr_map *extra) {
    int version = bnr__model_opset(w->m, n->domain);
    const struct bnr_node *first = version ? NULL : bnr__map_get(extra, n->domain);
    if (!version && !first)
        return bnr__map_set(extra, n->domain, bnr__unconst(n)) ? BNR_OK : bnr__no_memory(w->err);
    if (first)
        version = first->opset;
    if (version == n->opset || !n->op || bnr__op_version(n->op, version) == n->since)
        return BNR_OK;
    return bnr__fail(w->err, BNR_UNSUPPORTED,
                     "node '%s' (%s) means opset %d of domain '%s', the model imports %d: cannot be saved "
                     "in one file",
                     n->label, n->op_type, n->opset, n->domain, version);
}

struct import_cx {
    struct writer *w;
    struct bnr_map extra; // domain -> a node that needs it
};

static enum bnr_status check_imports(struct bnr_graph *g, void *cx) {
    struct import_cx *c = cx;
    size_t i = 0;
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        c->w->node_index[n->id] = i++;
        if (c->w->m->ir_version >= 3)
            BNR_TRY(check_import(c->w, n, &c->extra));
    }
    return BNR_OK;
}

static void put_opset(struct writer *w, struct bnr_sink *s, const char *domain, int version) {
    Onnx__OperatorSetIdProto p = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    p.domain = bnr__unconst(domain);
    p.has_version = 1;
    p.version = version;
    bnr__put_packed(w, s, BNR_MODEL_OPSET_IMPORT, &p.base);
}

// ---- the model --------------------------------------------------------------------------------------

struct model_cx {
    struct writer *w;
    struct bnr_bytes source; // the ModelProto, may be empty
    struct bnr_map *extra;
};

// Whether the OperatorSetIdProto says the same; it may spell the standard domain in three ways.
static bool same_import(struct bnr_bytes source, const struct bnr_opset *o) {
    struct bnr_wire_field f;
    if (!bnr__source_field(source, 2, &f) || f.number != (uint64_t)o->version)
        return false;
    if (bnr__source_says(source, 1, o->domain))
        return true;
    return !o->domain[0] && (!bnr__source_field(source, 1, &f) || bnr__source_says(source, 1, "ai.onnx"));
}

// The i-th import of the file, as long as it is the model's i-th, too.
static void put_imports(struct model_cx *c, struct bnr_sink *s) {
    const struct bnr_model *m = c->w->m;
    struct bnr_wire in = bnr__wire(c->source);
    struct bnr_wire_field f;
    for (size_t i = 0; i < m->n_opsets; i++) {
        const struct bnr_opset *o = &m->opsets[i];
        bool found = false;
        while (!found && bnr__wire_next(&in, &f))
            found = f.id == BNR_MODEL_OPSET_IMPORT;
        if (found && same_import(f.payload, o))
            bnr__put_bytes(s, f.start, (size_t)(f.payload.data + f.payload.size - f.start));
        else
            put_opset(c->w, s, o->domain, o->version);
    }
    for (size_t i = 0; i < c->extra->count; i++) {
        const struct bnr_node *n = c->extra->entries[i].value;
        put_opset(c->w, s, n->domain, n->opset > 0 ? n->opset : 1);
    }
}

static void put_meta(struct writer *w, struct bnr_sink *s) {
    for (size_t i = 0; i < w->m->n_meta; i++) {
        Onnx__StringStringEntryProto p = ONNX__STRING_STRING_ENTRY_PROTO__INIT;
        p.key = bnr__unconst(w->m->meta[i].key);
        p.value = bnr__unconst(w->m->meta[i].value);
        bnr__put_packed(w, s, BNR_MODEL_METADATA_PROPS, &p.base);
    }
}

static void emit_model(struct bnr_sink *s, struct model_cx *c) {
    const struct bnr_model *m = c->w->m;
    const ProtobufCMessageDescriptor *type = &onnx__model_proto__descriptor;
    struct bnr_wire_field f;
    struct bnr_bytes graph = {0};
    if (bnr__source_field(c->source, BNR_MODEL_GRAPH, &f))
        graph = f.payload;
    bnr__put_int(s, BNR_MODEL_IR_VERSION, m->ir_version);
    bnr__put_name(c->w, s, c->source, BNR_MODEL_PRODUCER_NAME, m->producer_name);
    bnr__put_name(c->w, s, c->source, BNR_MODEL_PRODUCER_VERSION, m->producer_version);
    bnr__put_name(c->w, s, c->source, BNR_MODEL_DOMAIN, m->domain);
    if (m->model_version || bnr__source_field(c->source, BNR_MODEL_MODEL_VERSION, &f))
        bnr__put_int(s, BNR_MODEL_MODEL_VERSION, m->model_version);
    bnr__put_name(c->w, s, c->source, BNR_MODEL_DOC_STRING, m->doc);
    bnr__put_graph(c->w, s, BNR_MODEL_GRAPH, m->graph, graph);
    put_imports(c, s);
    put_meta(c->w, s);
    bnr__copy_fields(c->w, s, c->source, type, BNR_MODEL_TRAINING_INFO);
    bnr__copy_fields(c->w, s, c->source, type, BNR_MODEL_CONFIGURATION);
    bnr__copy_unknown(c->w, s, c->source, type);
}

static enum bnr_status count_model(struct model_cx *c, uint64_t *size) {
    struct bnr_sink counter = {0};
    emit_model(&counter, c);
    *size = counter.size;
    return c->w->status;
}

// ---- files ------------------------------------------------------------------------------------------

static enum bnr_status write_data(struct writer *w, const char *path, struct bnr_target *t) {
    BNR_TRY(bnr__target_open(t, path, w->m->allocator, w->err));
    BNR_TRY(bnr__target_reserve(t, w->data_size, w->err));
    for (const struct data_place *p = w->first_place; p; p = p->next) {
        bnr__put_zeros(&t->sink, p->offset - t->sink.size);
        bnr__put_raw(&t->sink, p->tensor);
    }
    return bnr__target_close(t, w->err);
}

static enum bnr_status write_model(struct model_cx *c, const char *path, uint64_t size,
                                   struct bnr_target *t) {
    BNR_TRY(bnr__target_open(t, path, c->w->m->allocator, c->w->err));
    BNR_TRY(bnr__target_reserve(t, size, c->w->err));
    emit_model(&t->sink, c);
    BNR_TRY(bnr__target_close(t, c->w->err));
    return c->w->status;
}

static enum bnr_status write_files(struct model_cx *c, const char *path, uint64_t size) {
    struct bnr_target model = {0}, data = {0};
    struct bnr_error *err = c->w->err;
    const char *data_path = bnr__arena_printf(&c->w->temp, "%s.data", path);
    enum bnr_status st = data_path ? BNR_OK : bnr__no_memory(err);
    if (st == BNR_OK && c->w->location)
        st = write_data(c->w, data_path, &data);
    if (st == BNR_OK)
        st = write_model(c, path, size, &model);
    if (st == BNR_OK && c->w->location)
        st = bnr__target_commit(&data, err);
    if (st == BNR_OK)
        st = bnr__target_commit(&model, err);
    bnr__target_abandon(&model);
    bnr__target_abandon(&data);
    return st;
}

// Gives every large tensor its place in PATH.data.
static enum bnr_status plan_external(struct model_cx *c, const char *path, uint64_t *size) {
    struct writer *w = c->w;
    const char *slash = strrchr(path, '/');
    w->location = bnr__arena_printf(&w->temp, "%s.data", slash ? slash + 1 : path);
    if (!w->location)
        return bnr__no_memory(w->err);
    w->collecting = true;
    BNR_TRY(count_model(c, size));
    w->collecting = false;
    return count_model(c, size);
}

static enum bnr_status write_with(struct model_cx *c, const char *path, uint64_t limit, bool external) {
    uint64_t size = 0;
    BNR_TRY(count_model(c, &size));
    if (external || size > limit)
        BNR_TRY(plan_external(c, path, &size));
    if (size > max_message)
        return bnr__fail(c->w->err, BNR_UNSUPPORTED,
                         "%s: the model takes %llu bytes without its tensors, protobuf allows %llu", path,
                         (unsigned long long)size, (unsigned long long)max_message);
    return write_files(c, path, size);
}

enum bnr_status bnr__model_write_limited(const struct bnr_model *m, const struct bnr_model *origin,
                                         const char *path, uint64_t limit, struct bnr_error *err) {
    const struct bnr_source *source = origin ? origin->source : NULL;
    struct writer w = {.m = m, .skeleton = source ? &source->skeleton : NULL, .err = err};
    struct import_cx imports = {.w = &w};
    struct model_cx c = {.w = &w, .extra = &imports.extra};
    bnr__arena_init(&w.temp, m->allocator);
    bnr__arena_init(&w.scratch, m->allocator);
    bnr__map_init(&w.places, &w.temp);
    bnr__map_init(&imports.extra, &w.temp);
    if (source)
        c.source = (struct bnr_bytes){source->skeleton.bytes, source->skeleton.size};
    w.node_index = BNR_NEW_ARRAY(&w.temp, (size_t)m->next_node_id, size_t);
    enum bnr_status st = w.node_index ? BNR_OK : bnr__no_memory(err);
    if (st == BNR_OK)
        st = bnr__model_each_graph(bnr__unconst(m), check_imports, &imports);
    if (st == BNR_OK)
        st = write_with(&c, path, limit, source && source->external);
    bnr__arena_free(&w.scratch);
    bnr__arena_free(&w.temp);
    return st;
}

enum bnr_status bnr__model_write_file(const struct bnr_model *m, const struct bnr_model *origin,
                                      const char *path, struct bnr_error *err) {
    return bnr__model_write_limited(m, origin, path, max_message, err);
}
