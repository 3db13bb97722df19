// SPDX-License-Identifier: Apache-2.0
// AttributeProto to attributes.
#include <stdio.h>
#include <string.h>

#include "proto/build.h"

// What is read, for messages.
struct place {
    const struct bnr_node *node; // NULL: the defaults of a function's parameters
    const char *name;
};

struct owner_text {
    char text[256];
};

static struct owner_text owner_of(const struct place *at) {
    struct owner_text t = {"its parameters"};
    if (at->node)
        snprintf(t.text, sizeof t.text, "node '%s' (%s)", at->node->label, at->node->op_type);
    return t;
}

static enum bnr_status fail(struct build *b, const struct place *at, const char *why) {
    return bnr__fail(b->err, BNR_MALFORMED, "%s: attribute '%s' %s", owner_of(at).text, at->name,
                     why);
}

enum bnr_attr_type bnr__attr_type_of(const Onnx__AttributeProto *p) {
    if (p->has_type && p->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED)
        return (enum bnr_attr_type)p->type;
    const struct {
        bool set;
        enum bnr_attr_type type;
    } fields[] = {
        {p->has_f, BNR_ATTR_FLOAT},
        {p->has_i, BNR_ATTR_INT},
        {p->has_s, BNR_ATTR_STRING},
        {p->t, BNR_ATTR_TENSOR},
        {p->g, BNR_ATTR_GRAPH},
        {p->sparse_tensor, BNR_ATTR_SPARSE_TENSOR},
        {p->tp, BNR_ATTR_TYPE_PROTO},
        {p->n_floats, BNR_ATTR_FLOATS},
        {p->n_ints, BNR_ATTR_INTS},
        {p->n_strings, BNR_ATTR_STRINGS},
        {p->n_tensors, BNR_ATTR_TENSORS},
        {p->n_graphs, BNR_ATTR_GRAPHS},
        {p->n_sparse_tensors, BNR_ATTR_SPARSE_TENSORS},
        {p->n_type_protos, BNR_ATTR_TYPE_PROTOS},
    };
    for (size_t i = 0; i < BNR_COUNT(fields); i++)
        if (fields[i].set)
            return fields[i].type;
    return BNR_ATTR_UNDEFINED;
}

static void *copy_array(struct build *b, const void *src, size_t n, size_t size) {
    void *copy = bnr__arena_array(&b->m->arena, n, size);
    if (copy && n)
        memcpy(copy, src, n * size);
    return copy;
}

static enum bnr_status read_strings(struct build *b, size_t n, const ProtobufCBinaryData *src,
                                    struct bnr_attr *out) {
    struct bnr_str *strings = BNR_NEW_ARRAY(&b->m->arena, n, struct bnr_str);
    if (!strings)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < n; i++) {
        const char *bytes = src[i].len ? (const char *)src[i].data : "";
        strings[i].len = src[i].len;
        strings[i].ptr = bnr__arena_strndup(&b->m->arena, bytes, src[i].len);
        if (!strings[i].ptr)
            return bnr__no_memory(b->err);
    }
    out->strings = strings;
    out->n = n;
    return BNR_OK;
}

// The model's, or that of the Constant node which becomes a value: then the model need not keep it.
static enum bnr_status keep_tensor(struct build *b, struct bnr_tensor *t) {
    enum bnr_status st = BNR_OK;
    if (!b->keep_loose) {
        st = bnr__model_hold(b->m, t);
    } else {
        struct bnr_tensor **loose =
            bnr__arena_grow(b->temp, b->loose, b->n_loose, &b->loose_capacity, sizeof *loose);
        if (loose) {
            b->loose = loose;
            loose[b->n_loose++] = t;
        } else {
            bnr__tensor_unref(t);
            st = BNR_NO_MEMORY;
        }
    }
    return st == BNR_OK ? BNR_OK : bnr__no_memory(b->err);
}

static enum bnr_status read_tensors(struct build *b, const struct place *at, size_t n,
                                    Onnx__TensorProto **dense, Onnx__SparseTensorProto **sparse,
                                    struct bnr_attr *out) {
    out->tensors = BNR_NEW_ARRAY(&b->m->arena, n, struct bnr_tensor *);
    if (!out->tensors)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < n; i++) {
        enum bnr_status st =
            dense ? bnr__tensor_from_proto(b->reader, dense[i], &out->tensors[i], b->err)
                  : bnr__dense_from_proto(b->reader, sparse[i], &out->tensors[i], b->err);
        if (st != BNR_OK)
            return bnr__fail_prefix(b->err, st, "%s: attribute '%s'", owner_of(at).text, at->name);
        BNR_TRY(keep_tensor(b, out->tensors[i]));
    }
    out->n = n;
    return BNR_OK;
}

static enum bnr_status read_graphs(struct build *b, const struct scope *s, struct bnr_node *owner,
                                   const struct place *at, size_t n, Onnx__GraphProto **protos,
                                   struct bnr_attr *out) {
    if (b->keep_loose)
        return fail(b, at, "is a graph");
    if (!owner)
        return bnr__fail(b->err, BNR_UNSUPPORTED, "%s: attribute '%s' has a graph as its default",
                         owner_of(at).text, at->name);
    out->graphs = BNR_NEW_ARRAY(&b->m->arena, n, struct bnr_graph *);
    if (!out->graphs)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < n; i++) {
        out->graphs[i] = bnr__graph_new(b->m, owner);
        if (!out->graphs[i])
            return bnr__no_memory(b->err);
        BNR_TRY(bnr__build_graph(b, out->graphs[i], protos[i], s));
    }
    out->n = n;
    return BNR_OK;
}

static enum bnr_status read_types(struct build *b, const struct place *at, size_t n,
                                  Onnx__TypeProto **protos, struct bnr_attr *out) {
    struct bnr_type *types = BNR_NEW_ARRAY(&b->m->arena, n, struct bnr_type);
    if (!types)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < n; i++) {
        enum bnr_status st = bnr__type_from_proto(b->m, protos[i], at->name, &types[i], b->err);
        if (st != BNR_OK)
            return bnr__fail_prefix(b->err, st, "%s", owner_of(at).text);
    }
    out->types = types;
    out->n = n;
    return BNR_OK;
}

static enum bnr_status read_numbers(struct build *b, const void *src, size_t n, size_t size,
                                    struct bnr_attr *out) {
    out->floats = copy_array(b, src, n, size); // any member: they are pointers in a union
    out->n = n;
    return out->floats ? BNR_OK : bnr__no_memory(b->err);
}

// A single number or string that is absent is zero or empty: writers with proto3 rules leave these out.
static enum bnr_status read_content(struct build *b, const struct scope *s, struct bnr_node *owner,
                                    const struct place *at, Onnx__AttributeProto *p,
                                    struct bnr_attr *out) {
    switch (out->type) {
    case BNR_ATTR_FLOAT:
        return read_numbers(b, &p->f, 1, sizeof p->f, out);
    case BNR_ATTR_INT:
        return read_numbers(b, &p->i, 1, sizeof p->i, out);
    case BNR_ATTR_FLOATS:
        return read_numbers(b, p->floats, p->n_floats, sizeof p->floats[0], out);
    case BNR_ATTR_INTS:
        return read_numbers(b, p->ints, p->n_ints, sizeof p->ints[0], out);
    case BNR_ATTR_STRING:
        return read_strings(b, 1, &p->s, out);
    case BNR_ATTR_STRINGS:
        return read_strings(b, p->n_strings, p->strings, out);
    case BNR_ATTR_TENSOR:
        return p->t ? read_tensors(b, at, 1, &p->t, NULL, out) : fail(b, at, "has no tensor");
    case BNR_ATTR_TENSORS:
        return read_tensors(b, at, p->n_tensors, p->tensors, NULL, out);
    case BNR_ATTR_SPARSE_TENSOR:
        return p->sparse_tensor ? read_tensors(b, at, 1, NULL, &p->sparse_tensor, out)
                                : fail(b, at, "has no sparse tensor");
    case BNR_ATTR_SPARSE_TENSORS:
        return read_tensors(b, at, p->n_sparse_tensors, NULL, p->sparse_tensors, out);
    case BNR_ATTR_GRAPH:
        return p->g ? read_graphs(b, s, owner, at, 1, &p->g, out) : fail(b, at, "has no graph");
    case BNR_ATTR_GRAPHS:
        return read_graphs(b, s, owner, at, p->n_graphs, p->graphs, out);
    case BNR_ATTR_TYPE_PROTO:
        return p->tp ? read_types(b, at, 1, &p->tp, out) : fail(b, at, "has no type");
    case BNR_ATTR_TYPE_PROTOS:
        return read_types(b, at, p->n_type_protos, p->type_protos, out);
    case BNR_ATTR_UNDEFINED:
        break;
    }
    return fail(b, at, "has no type or one that is not known");
}

static enum bnr_status read_attr(struct build *b, const struct scope *s, struct bnr_node *owner,
                                 const struct place *at, Onnx__AttributeProto *p, struct bnr_attr *out) {
    out->name = bnr__model_intern(b->m, at->name);
    out->type = bnr__attr_type_of(p);
    if (!out->name)
        return bnr__no_memory(b->err);
    if (!p->ref_attr_name || !p->ref_attr_name[0])
        return read_content(b, s, owner, at, p, out);
    if (!b->in_function)
        return fail(b, at, "refers to an attribute of a function, but is in none");
    out->ref = bnr__model_intern(b->m, p->ref_attr_name);
    return out->ref ? BNR_OK : bnr__no_memory(b->err);
}

enum bnr_status bnr__build_attrs(struct build *b, const struct scope *s, struct bnr_node *owner,
                                 size_t n, Onnx__AttributeProto **protos, struct bnr_attr **out) {
    enum { FEW = 16 };
    struct bnr_map seen; // where there are more
    bnr__map_init(&seen, b->temp);
    *out = n ? BNR_NEW_ARRAY(&b->m->arena, n, struct bnr_attr) : NULL;
    if (n && !*out)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < n; i++) {
        struct place at = {owner, text_of(protos[i]->name)};
        bool twice = n > FEW && bnr__map_get(&seen, at.name);
        for (size_t k = 0; n <= FEW && k < i; k++)
            twice = twice || strcmp((*out)[k].name, at.name) == 0;
        if (twice)
            return fail(b, &at, "appears twice");
        if (n > FEW && !bnr__map_set(&seen, at.name, protos[i]))
            return bnr__no_memory(b->err);
        BNR_TRY(read_attr(b, s, owner, &at, protos[i], &(*out)[i]));
    }
    return BNR_OK;
}
