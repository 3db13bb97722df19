// SPDX-License-Identifier: Apache-2.0
// Nodes and attributes to messages. Whatever is as it was in the file is copied from there.
#include <string.h>

#include "proto/build.h"
#include "proto/write.h"

struct attr_cx {
    struct writer *w;
    const struct bnr_attr *attr;
    struct bnr_bytes source; // the AttributeProto of that name, may be empty
};

static const struct bnr_tensor *mark_tensor(const struct writer *w, const ProtobufCMessage *m) {
    const struct bnr_mark *mark = bnr__mark_of(w->skeleton, m);
    return mark ? mark->tensor : NULL;
}

static bool same_tensors(struct writer *w, const struct bnr_attr *attr, size_t n, void *messages) {
    ProtobufCMessage **list = messages;
    bool same = attr->n == n;
    for (size_t i = 0; same && i < n; i++)
        same = mark_tensor(w, list[i]) == attr->tensors[i] && bnr__is_inline(w, attr->tensors[i]);
    return same;
}

static bool same_strings(const struct bnr_attr *attr, size_t n, const ProtobufCBinaryData *strings) {
    bool same = attr->n == n;
    for (size_t i = 0; same && i < n; i++)
        same = attr->strings[i].len == strings[i].len &&
               (!strings[i].len || !memcmp(attr->strings[i].ptr, strings[i].data, strings[i].len));
    return same;
}

static bool same_numbers(const struct bnr_attr *attr, size_t n, const void *data, size_t size) {
    return attr->n == n && (!n || memcmp(attr->floats, data, n * size) == 0);
}

static bool same_content(struct writer *w, const struct bnr_attr *attr, Onnx__AttributeProto *p) {
    switch (attr->type) {
    case BNR_ATTR_FLOAT:
        return same_numbers(attr, 1, &p->f, sizeof p->f);
    case BNR_ATTR_INT:
        return same_numbers(attr, 1, &p->i, sizeof p->i);
    case BNR_ATTR_FLOATS:
        return same_numbers(attr, p->n_floats, p->floats, sizeof p->floats[0]);
    case BNR_ATTR_INTS:
        return same_numbers(attr, p->n_ints, p->ints, sizeof p->ints[0]);
    case BNR_ATTR_STRING:
        return same_strings(attr, 1, &p->s);
    case BNR_ATTR_STRINGS:
        return same_strings(attr, p->n_strings, p->strings);
    case BNR_ATTR_TENSOR:
        return p->t && same_tensors(w, attr, 1, &p->t);
    case BNR_ATTR_TENSORS:
        return same_tensors(w, attr, p->n_tensors, p->tensors);
    case BNR_ATTR_SPARSE_TENSOR:
        return p->sparse_tensor && same_tensors(w, attr, 1, &p->sparse_tensor);
    case BNR_ATTR_SPARSE_TENSORS:
        return same_tensors(w, attr, p->n_sparse_tensors, p->sparse_tensors);
    case BNR_ATTR_TYPE_PROTO:
    case BNR_ATTR_TYPE_PROTOS:
        return true; // nothing changes these
    default:
        return false;
    }
}

// Whether the source says the same as the attribute. Graphs are looked into node by node instead.
static bool is_as_in_source(struct attr_cx *c) {
    ProtobufCMessage *m;
    struct writer *w = c->w;
    if (!c->source.data || c->attr->type == BNR_ATTR_GRAPH || c->attr->type == BNR_ATTR_GRAPHS)
        return false;
    // In an arena of its own: comparing tensors uses w->scratch.
    struct bnr_arena arena;
    bnr__arena_init(&arena, w->m->allocator);
    enum bnr_status st = bnr__unpack(c->source, &onnx__attribute_proto__descriptor, &arena, &m, w->err);
    bool same = false;
    if (st == BNR_OK) {
        Onnx__AttributeProto *p = (Onnx__AttributeProto *)m;
        same = !text_of(p->ref_attr_name)[0] && bnr__attr_type_of(p) == c->attr->type &&
               same_content(w, c->attr, p);
    } else {
        bnr__write_failed(w, st);
    }
    bnr__arena_free(&arena);
    return same;
}

static bool fill_strings(const struct bnr_attr *attr, Onnx__AttributeProto *p, struct bnr_arena *arena) {
    p->strings = BNR_NEW_ARRAY(arena, attr->n, ProtobufCBinaryData);
    for (size_t i = 0; p->strings && i < attr->n; i++)
        p->strings[i] = (ProtobufCBinaryData){attr->strings[i].len, bnr__unconst(attr->strings[i].ptr)};
    p->n_strings = attr->n;
    if (p->strings && attr->type == BNR_ATTR_STRING) {
        p->has_s = 1;
        p->s = p->strings[0];
        p->n_strings = 0;
    }
    return p->strings;
}

static bool fill_types(const struct bnr_attr *attr, Onnx__AttributeProto *p, struct bnr_arena *arena) {
    p->type_protos = BNR_NEW_ARRAY(arena, attr->n, Onnx__TypeProto *);
    for (size_t i = 0; p->type_protos && i < attr->n; i++)
        if (!(p->type_protos[i] = bnr__type_to_proto(&attr->types[i], arena)))
            return false;
    p->n_type_protos = attr->n;
    if (p->type_protos && attr->type == BNR_ATTR_TYPE_PROTO) {
        p->tp = p->type_protos[0];
        p->n_type_protos = 0;
    }
    return p->type_protos;
}

// Attributes without tensors and graphs are packed by protobuf-c.
static bool small_attr(struct writer *w, const struct bnr_attr *attr, Onnx__AttributeProto *p) {
    onnx__attribute_proto__init(p);
    p->name = bnr__unconst(attr->name);
    p->has_type = 1;
    p->type = (Onnx__AttributeProto__AttributeType)attr->type;
    switch (attr->type) {
    case BNR_ATTR_FLOAT:
        p->has_f = 1;
        p->f = attr->floats[0];
        return true;
    case BNR_ATTR_INT:
        p->has_i = 1;
        p->i = attr->ints[0];
        return true;
    case BNR_ATTR_FLOATS:
        p->n_floats = attr->n;
        p->floats = bnr__unconst(attr->floats);
        return true;
    case BNR_ATTR_INTS:
        p->n_ints = attr->n;
        p->ints = bnr__unconst(attr->ints);
        return true;
    case BNR_ATTR_STRING:
    case BNR_ATTR_STRINGS:
        return fill_strings(attr, p, &w->scratch);
    case BNR_ATTR_TYPE_PROTO:
    case BNR_ATTR_TYPE_PROTOS:
        return fill_types(attr, p, &w->scratch);
    default:
        return true;
    }
}

static void put_graphs(struct attr_cx *c, struct bnr_sink *s) {
    const struct bnr_attr *attr = c->attr;
    uint32_t id = attr->type == BNR_ATTR_GRAPH ? BNR_ATTRIBUTE_G : BNR_ATTRIBUTE_GRAPHS;
    struct bnr_wire in = bnr__wire(c->source);
    struct bnr_wire_field f;
    for (size_t i = 0; i < attr->n; i++) {
        struct bnr_bytes source = {0};
        while (!source.data && bnr__wire_next(&in, &f))
            if (f.id == id)
                source = f.payload;
        bnr__put_graph(c->w, s, id, attr->graphs[i], source);
    }
}

static void emit_big_attr(struct bnr_sink *s, void *cx) {
    struct attr_cx *c = cx;
    const struct bnr_attr *attr = c->attr;
    const ProtobufCMessageDescriptor *type = &onnx__attribute_proto__descriptor;
    bool one = attr->type == BNR_ATTR_TENSOR, list = attr->type == BNR_ATTR_TENSORS;
    bool sparse = attr->type == BNR_ATTR_SPARSE_TENSOR || attr->type == BNR_ATTR_SPARSE_TENSORS;
    bnr__put_text(s, BNR_ATTRIBUTE_NAME, attr->name);
    for (size_t i = 0; (one || list) && i < attr->n; i++)
        bnr__put_tensor(c->w, s, one ? BNR_ATTRIBUTE_T : BNR_ATTRIBUTE_TENSORS, attr->tensors[i], NULL,
                        (struct bnr_bytes){0});
    if (attr->type == BNR_ATTR_GRAPH || attr->type == BNR_ATTR_GRAPHS)
        put_graphs(c, s);
    bnr__copy_fields(c->w, s, c->source, type, BNR_ATTRIBUTE_DOC_STRING);
    bnr__put_int(s, BNR_ATTRIBUTE_TYPE, attr->type);
    for (size_t i = 0; sparse && i < attr->n; i++)
        bnr__put_sparse(c->w, s,
                        attr->type == BNR_ATTR_SPARSE_TENSOR ? BNR_ATTRIBUTE_SPARSE_TENSOR
                                                             : BNR_ATTRIBUTE_SPARSE_TENSORS,
                        attr->tensors[i]);
}

static bool is_big(enum bnr_attr_type type) {
    return type == BNR_ATTR_TENSOR || type == BNR_ATTR_TENSORS || type == BNR_ATTR_GRAPH ||
           type == BNR_ATTR_GRAPHS || type == BNR_ATTR_SPARSE_TENSOR || type == BNR_ATTR_SPARSE_TENSORS;
}

static void put_attr(struct writer *w, struct bnr_sink *s, const struct bnr_attr *attr,
                     struct bnr_bytes source) {
    struct attr_cx c = {w, attr, source};
    Onnx__AttributeProto p;
    if (attr->ref) // of a function's parameter that was not given: absent
        return;
    if (is_as_in_source(&c)) {
        bnr__copy_message(w, s, BNR_NODE_ATTRIBUTE, source, &onnx__attribute_proto__descriptor);
    } else if (is_big(attr->type)) {
        bnr__put_message(s, BNR_NODE_ATTRIBUTE, emit_big_attr, &c);
    } else if (small_attr(w, attr, &p)) {
        bnr__put_packed(w, s, BNR_NODE_ATTRIBUTE, &p.base);
    } else {
        bnr__write_failed(w, bnr__no_memory(w->err));
    }
}

struct node_cx {
    struct writer *w;
    const struct bnr_node *n;
    struct bnr_bytes source;
};

// What the file leaves out at the end by "" is not among the node's inputs any more.
static void put_inputs(const struct node_cx *c, struct bnr_sink *s) {
    const struct bnr_node *n = c->n;
    struct bnr_wire source = bnr__wire(c->source);
    struct bnr_wire_field f;
    int count = 0;
    for (int i = 0; i < n->n_in; i++)
        bnr__put_text(s, BNR_NODE_INPUT, n->in[i] ? n->in[i]->name : "");
    while (bnr__wire_next(&source, &f))
        if (f.id == BNR_NODE_INPUT && count++ >= n->n_in && f.payload.size == 0)
            bnr__put_text(s, BNR_NODE_INPUT, "");
}

static void emit_node(struct bnr_sink *s, void *cx) {
    struct node_cx *c = cx;
    const struct bnr_node *n = c->n;
    const ProtobufCMessageDescriptor *type = &onnx__node_proto__descriptor;
    struct finder attrs = {c->source, BNR_NODE_ATTRIBUTE, NULL};
    put_inputs(c, s);
    for (int i = 0; i < n->n_out; i++)
        bnr__put_text(s, BNR_NODE_OUTPUT, n->out[i] ? n->out[i]->name : "");
    bnr__put_name(c->w, s, c->source, BNR_NODE_NAME, n->name);
    bnr__put_text(s, BNR_NODE_OP_TYPE, n->op_type);
    for (size_t i = 0; i < n->n_attrs; i++)
        put_attr(c->w, s, &n->attrs[i], bnr__find_named(&attrs, n->attrs[i].name));
    bnr__copy_fields(c->w, s, c->source, type, BNR_NODE_DOC_STRING);
    // The IR spells the standard domain "".
    if (!n->domain[0] && bnr__source_says(c->source, BNR_NODE_DOMAIN, "ai.onnx"))
        bnr__put_text(s, BNR_NODE_DOMAIN, "ai.onnx");
    else
        bnr__put_name(c->w, s, c->source, BNR_NODE_DOMAIN, n->domain);
    bnr__put_name(c->w, s, c->source, BNR_NODE_OVERLOAD, n->overload);
    bnr__copy_fields(c->w, s, c->source, type, BNR_NODE_METADATA_PROPS);
    bnr__copy_fields(c->w, s, c->source, type, BNR_NODE_DEVICE_CONFIGURATIONS);
    bnr__copy_unknown(c->w, s, c->source, type);
}

void bnr__put_node(struct writer *w, struct bnr_sink *s, const struct bnr_node *n) {
    struct node_cx c = {w, n, bnr__source_bytes(w, n->source, &onnx__node_proto__descriptor)};
    bnr__put_message(s, BNR_GRAPH_NODE, emit_node, &c);
}

// ---- Constant nodes ---------------------------------------------------------------------------------

struct constant_cx {
    struct writer *w;
    const struct bnr_value *v;
    struct bnr_bytes source;
};

static void emit_constant(struct bnr_sink *s, void *cx) {
    struct constant_cx *c = cx;
    const struct bnr_value *v = c->v;
    const ProtobufCMessageDescriptor *type = &onnx__node_proto__descriptor;
    struct bnr_tensor *t = v->tensor;
    const struct bnr_attr value = {.name = "value", .type = BNR_ATTR_TENSOR, .n = 1, .tensors = &t};
    bnr__put_text(s, BNR_NODE_OUTPUT, v->name);
    bnr__put_name(c->w, s, c->source, BNR_NODE_NAME, text_of(v->constant_node));
    bnr__put_text(s, BNR_NODE_OP_TYPE, "Constant");
    put_attr(c->w, s, &value, (struct bnr_bytes){0});
    bnr__copy_fields(c->w, s, c->source, type, BNR_NODE_DOC_STRING);
    bnr__copy_fields(c->w, s, c->source, type, BNR_NODE_METADATA_PROPS);
    bnr__copy_fields(c->w, s, c->source, type, BNR_NODE_DEVICE_CONFIGURATIONS);
}

void bnr__put_constant_node(struct writer *w, struct bnr_sink *s, const struct bnr_value *v) {
    const ProtobufCMessageDescriptor *type = &onnx__node_proto__descriptor;
    const struct bnr_mark *mark = bnr__source_mark(w, v->source);
    struct constant_cx c = {w, v, bnr__source_bytes(w, v->source, type)};
    if (c.source.data && mark->tensor == v->tensor && bnr__is_inline(w, v->tensor) &&
        bnr__source_says(c.source, BNR_NODE_OUTPUT, v->name))
        bnr__copy_message(w, s, BNR_GRAPH_NODE, c.source, type);
    else
        bnr__put_message(s, BNR_GRAPH_NODE, emit_constant, &c);
}
