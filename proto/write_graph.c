// SPDX-License-Identifier: Apache-2.0
// Graphs to messages, fields in ascending order. Nodes stand in the graph's order; initializers, and
// Constant nodes where that is possible, in the file's.
#include <stdlib.h>

#include "proto/write.h"

struct item {
    const struct bnr_value *v;
    size_t position; // of a Constant node: in front of the node with this index
    size_t order;    // in the file; new values behind all others
};

struct graph_cx {
    struct writer *w;
    const struct bnr_graph *g;
    struct bnr_bytes source;
    struct item *constants, *initializers;
    size_t n_constants, n_initializers;
};

// ---- constants --------------------------------------------------------------------------------------

static size_t order_of(const struct writer *w, const void *source, int id) {
    const struct bnr_mark *mark = bnr__source_mark(w, source);
    return mark ? mark->offset : (size_t)INT32_MAX + (size_t)id;
}

static bool is_node_constant(const struct graph_cx *c, const struct bnr_value *v) {
    if (v->from_constant_node)
        return true;
    // Before IR version 4 an initializer had to be an input, too, which that of a new value in a nested
    // graph cannot become.
    return c->w->m->ir_version < 4 && c->g->owner && !v->is_initializer;
}

// The index of the first node of c->g that reads v, itself or in a nested graph.
static size_t first_reader(const struct graph_cx *c, const struct bnr_value *v) {
    size_t first = c->g->n_nodes;
    for (size_t i = 0; i < v->n_uses; i++) {
        const struct bnr_node *n = v->uses[i].node;
        while (n->graph != c->g)
            n = n->graph->owner;
        if (c->w->node_index[n->id] < first)
            first = c->w->node_index[n->id];
    }
    return first;
}

// A Constant node goes where it was among the nodes of the file, but in front of all that read it.
static bool place_constants(struct graph_cx *c) {
    size_t *latest = BNR_NEW_ARRAY(&c->w->temp, c->g->n_nodes, size_t); // of all nodes up to here
    size_t i = 0, highest = 0;
    if (!latest)
        return false;
    for (const struct bnr_node *n = c->g->first; n; n = n->next) {
        const struct bnr_mark *mark = bnr__source_mark(c->w, n->source);
        if (mark && mark->offset > highest)
            highest = mark->offset;
        latest[i++] = highest;
    }
    for (size_t k = 0; k < c->n_constants; k++) {
        size_t low = 0, high = c->g->n_nodes;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (latest[middle] > c->constants[k].order)
                high = middle;
            else
                low = middle + 1;
        }
        size_t reader = first_reader(c, c->constants[k].v);
        c->constants[k].position = low < reader ? low : reader;
    }
    return true;
}

static int compare_items(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return x->v->id < y->v->id ? -1 : x->v->id > y->v->id;
}

static bool collect_constants(struct graph_cx *c) {
    const struct bnr_graph *g = c->g;
    c->constants = BNR_NEW_ARRAY(&c->w->temp, g->n_values, struct item);
    c->initializers = BNR_NEW_ARRAY(&c->w->temp, g->n_values, struct item);
    if (!c->constants || !c->initializers)
        return false;
    for (size_t i = 0; i < g->n_values; i++) {
        const struct bnr_value *v = g->values[i];
        if (!v->tensor || v->producer)
            continue;
        struct item item = {v, 0, order_of(c->w, v->source, v->id)};
        if (is_node_constant(c, v))
            c->constants[c->n_constants++] = item;
        else
            c->initializers[c->n_initializers++] = item;
    }
    if (c->n_constants && !place_constants(c))
        return false;
    qsort(c->constants, c->n_constants, sizeof(struct item), compare_items);
    qsort(c->initializers, c->n_initializers, sizeof(struct item), compare_items);
    return true;
}

// ---- fields -----------------------------------------------------------------------------------------

static void put_nodes(struct graph_cx *c, struct bnr_sink *s) {
    size_t k = 0;
    for (const struct bnr_node *n = c->g->first; n; n = n->next) {
        while (k < c->n_constants && c->constants[k].position <= c->w->node_index[n->id])
            bnr__put_constant_node(c->w, s, c->constants[k++].v);
        bnr__put_node(c->w, s, n);
    }
    while (k < c->n_constants)
        bnr__put_constant_node(c->w, s, c->constants[k++].v);
}

static bool is_external(struct bnr_bytes tensor) {
    struct bnr_wire_field f;
    return bnr__source_field(tensor, BNR_TENSOR_DATA_LOCATION, &f) && f.number != 0;
}

// The message that the value came from, as long as it says what the value is now.
static struct bnr_bytes untouched(struct writer *w, const struct bnr_value *v, bool sparse) {
    const struct bnr_mark *mark = bnr__source_mark(w, v->source);
    struct bnr_bytes none = {0}, tensor, all;
    if (!mark || mark->tensor != v->tensor || !bnr__is_inline(w, v->tensor))
        return none;
    all = tensor = bnr__source_bytes(
        w, v->source, sparse ? &onnx__sparse_tensor_proto__descriptor : &onnx__tensor_proto__descriptor);
    struct bnr_wire_field values;
    if (sparse && bnr__source_field(all, BNR_SPARSE_VALUES, &values))
        tensor = values.payload;
    return bnr__source_says(tensor, BNR_TENSOR_NAME, v->name) && !is_external(tensor) ? all : none;
}

static void put_initializers(struct graph_cx *c, struct bnr_sink *s) {
    for (size_t i = 0; i < c->n_initializers; i++) {
        const struct bnr_value *v = c->initializers[i].v;
        struct bnr_bytes source = untouched(c->w, v, false);
        if (source.data)
            bnr__copy_message(c->w, s, BNR_GRAPH_INITIALIZER, source, &onnx__tensor_proto__descriptor);
        else if (!untouched(c->w, v, true).data)
            bnr__put_tensor(c->w, s, BNR_GRAPH_INITIALIZER, v->tensor, v->name,
                            bnr__source_bytes(c->w, v->source, &onnx__tensor_proto__descriptor));
    }
}

static void put_sparse_initializers(struct graph_cx *c, struct bnr_sink *s) {
    for (size_t i = 0; i < c->n_initializers; i++) {
        struct bnr_bytes source = untouched(c->w, c->initializers[i].v, true);
        if (source.data)
            bnr__copy_message(c->w, s, BNR_GRAPH_SPARSE_INITIALIZER, source,
                              &onnx__sparse_tensor_proto__descriptor);
    }
}

static bool is_known(const struct bnr_type *t) {
    return t->dtype != BNR_UNDEFINED || t->kind == BNR_KIND_SEQUENCE || t->kind == BNR_KIND_OPTIONAL;
}

static void put_value_info(struct graph_cx *c, struct bnr_sink *s, uint32_t id, const struct bnr_value *v,
                           const struct bnr_type *type) {
    Onnx__ValueInfoProto p = ONNX__VALUE_INFO_PROTO__INIT;
    p.name = bnr__unconst(v->name);
    if (is_known(type)) {
        p.type = bnr__type_to_proto(type, &c->w->scratch);
        if (!p.type)
            bnr__write_failed(c->w, bnr__no_memory(c->w->err));
    }
    bnr__put_packed(c->w, s, id, &p.base);
}

static void put_interface(struct graph_cx *c, struct bnr_sink *s, uint32_t id, size_t n,
                          struct bnr_value **values) {
    struct finder infos = {c->source, id, NULL};
    for (size_t i = 0; i < n; i++) {
        const struct bnr_value *v = values[i];
        struct bnr_bytes source = bnr__find_named(&infos, v->name);
        if (source.data)
            bnr__copy_message(c->w, s, id, source, &onnx__value_info_proto__descriptor);
        else
            put_value_info(c, s, id, v, is_known(v->declared) ? v->declared : &v->info->type);
    }
}

// Before IR version 4 every initializer of the main graph is an input, too.
static void put_old_inputs(struct graph_cx *c, struct bnr_sink *s) {
    if (c->w->m->ir_version >= 4 || c->g->owner)
        return;
    for (size_t i = 0; i < c->n_initializers; i++) {
        const struct bnr_tensor *t = c->initializers[i].v->tensor;
        struct bnr_type type = {.kind = BNR_KIND_TENSOR, .dtype = t->dtype};
        type.shape = bnr__shape_of(t->rank, t->dims);
        if (!c->initializers[i].v->is_input)
            put_value_info(c, s, BNR_GRAPH_INPUT, c->initializers[i].v, &type);
    }
}

static bool has_value(const struct graph_cx *c, struct bnr_bytes message, uint32_t id) {
    struct bnr_wire_field f;
    if (!bnr__source_field(message, id, &f))
        return false;
    const char *name =
        bnr__arena_strndup(&c->w->scratch, (const char *)f.payload.data, f.payload.size);
    if (!name)
        bnr__write_failed(c->w, bnr__no_memory(c->w->err));
    bool found = name && bnr__map_get(&c->g->names, name);
    bnr__arena_reset(&c->w->scratch);
    return found;
}

static bool keeps_annotation(const struct graph_cx *c, struct bnr_bytes annotation) {
    struct bnr_wire in = bnr__wire(annotation);
    struct bnr_wire_field f;
    if (!has_value(c, annotation, 1))
        return false;
    while (bnr__wire_next(&in, &f))
        if (f.id == 2 && !has_value(c, f.payload, 2)) // a parameter's tensor
            return false;
    return true;
}

// What the file says about values that are still there.
static void put_notes(struct graph_cx *c, struct bnr_sink *s, uint32_t id) {
    struct bnr_wire in = bnr__wire(c->source);
    struct bnr_wire_field f;
    while (bnr__wire_next(&in, &f))
        if (f.id == id && (id == BNR_GRAPH_VALUE_INFO ? has_value(c, f.payload, 1)
                                                      : keeps_annotation(c, f.payload)))
            bnr__put_bytes(s, f.start, (size_t)(f.payload.data + f.payload.size - f.start));
}

static void put_declared(struct graph_cx *c, struct bnr_sink *s) {
    for (const struct bnr_node *n = c->g->first; n && !c->source.data; n = n->next)
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i] && !bnr__value_is_output(n->out[i]) && is_known(n->out[i]->declared))
                put_value_info(c, s, BNR_GRAPH_VALUE_INFO, n->out[i], n->out[i]->declared);
}

static void emit_graph(struct bnr_sink *s, void *cx) {
    struct graph_cx *c = cx;
    const struct bnr_graph *g = c->g;
    const ProtobufCMessageDescriptor *type = &onnx__graph_proto__descriptor;
    put_nodes(c, s);
    bnr__put_name(c->w, s, c->source, BNR_GRAPH_NAME, g->name);
    put_initializers(c, s);
    bnr__put_name(c->w, s, c->source, BNR_GRAPH_DOC_STRING, g->doc);
    put_interface(c, s, BNR_GRAPH_INPUT, g->n_inputs, g->inputs);
    put_old_inputs(c, s);
    put_interface(c, s, BNR_GRAPH_OUTPUT, g->n_outputs, g->outputs);
    put_notes(c, s, BNR_GRAPH_VALUE_INFO);
    put_declared(c, s);
    put_notes(c, s, BNR_GRAPH_QUANTIZATION_ANNOTATION);
    put_sparse_initializers(c, s);
    bnr__copy_fields(c->w, s, c->source, type, BNR_GRAPH_METADATA_PROPS);
    bnr__copy_unknown(c->w, s, c->source, type);
}

void bnr__put_graph(struct writer *w, struct bnr_sink *s, uint32_t id, const struct bnr_graph *g,
                    struct bnr_bytes source) {
    struct graph_cx c = {.w = w, .g = g, .source = source};
    if (!collect_constants(&c)) {
        bnr__write_failed(w, bnr__no_memory(w->err));
        return;
    }
    bnr__put_message(s, id, emit_graph, &c);
}
