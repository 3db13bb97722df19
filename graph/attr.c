// SPDX-License-Identifier: Apache-2.0
// Attributes: looking up, setting, removing.
#include <string.h>

#include "graph/edit.h"

// ---- reading ----------------------------------------------------------------------------------------

const struct bnr_attr *bnr__attr(const struct bnr_node *n, const char *name) {
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}

// With at least one element and of that type; an unbound reference has none.
static const struct bnr_attr *find(const struct bnr_node *n, const char *name,
                                   enum bnr_attr_type type) {
    const struct bnr_attr *attr = bnr__attr(n, name);
    return attr && attr->type == type && attr->n > 0 && !attr->ref ? attr : NULL;
}

int64_t bnr__attr_int(const struct bnr_node *n, const char *name, int64_t fallback) {
    const struct bnr_attr *attr = find(n, name, BNR_ATTR_INT);
    return attr ? attr->ints[0] : fallback;
}

float bnr__attr_float(const struct bnr_node *n, const char *name, float fallback) {
    const struct bnr_attr *attr = find(n, name, BNR_ATTR_FLOAT);
    return attr ? attr->floats[0] : fallback;
}

const char *bnr__attr_string(const struct bnr_node *n, const char *name, const char *fallback) {
    const struct bnr_attr *attr = find(n, name, BNR_ATTR_STRING);
    return attr ? attr->strings[0].ptr : fallback;
}

const int64_t *bnr__attr_ints(const struct bnr_node *n, const char *name, size_t *count) {
    const struct bnr_attr *attr = bnr__attr(n, name);
    const bool there = attr && attr->type == BNR_ATTR_INTS && !attr->ref;
    *count = there ? attr->n : 0;
    return there ? attr->ints : NULL;
}

const float *bnr__attr_floats(const struct bnr_node *n, const char *name, size_t *count) {
    const struct bnr_attr *attr = bnr__attr(n, name);
    const bool there = attr && attr->type == BNR_ATTR_FLOATS && !attr->ref;
    *count = there ? attr->n : 0;
    return there ? attr->floats : NULL;
}

struct bnr_graph *bnr__attr_graph(const struct bnr_node *n, const char *name) {
    const struct bnr_attr *attr = find(n, name, BNR_ATTR_GRAPH);
    return attr ? attr->graphs[0] : NULL;
}

struct bnr_tensor *bnr__attr_tensor(const struct bnr_node *n, const char *name) {
    const struct bnr_attr *attr = find(n, name, BNR_ATTR_TENSOR);
    return attr ? attr->tensors[0] : NULL;
}

const char *bnr__attr_type_name(enum bnr_attr_type type) {
    static const char *const names[] = {
        "UNDEFINED", "FLOAT",  "INT",    "STRING", "TENSOR",        "GRAPH",          "FLOATS",    "INTS",
        "STRINGS",   "TENSORS", "GRAPHS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"};
    return (unsigned)type < BNR_COUNT(names) ? names[type] : "?";
}

// ---- writing ----------------------------------------------------------------------------------------

void bnr__attr_discard_graphs(struct bnr_attr *attr) {
    if (attr->type == BNR_ATTR_GRAPH || attr->type == BNR_ATTR_GRAPHS)
        for (size_t i = 0; i < attr->n; i++)
            bnr__graph_discard(attr->graphs[i]);
}

static enum bnr_status copy_strings(struct bnr_arena *arena, struct bnr_attr *attr) {
    struct bnr_str *copy = BNR_NEW_ARRAY(arena, attr->n, struct bnr_str);
    if (!copy)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < attr->n; i++) {
        copy[i].len = attr->strings[i].len;
        copy[i].ptr = bnr__arena_strndup(arena, attr->strings[i].ptr, copy[i].len);
        if (!copy[i].ptr)
            return BNR_NO_MEMORY;
    }
    attr->strings = copy;
    return BNR_OK;
}

static size_t element_size(enum bnr_attr_type type) {
    switch (type) {
    case BNR_ATTR_FLOAT:
    case BNR_ATTR_FLOATS:
        return sizeof(float);
    case BNR_ATTR_INT:
    case BNR_ATTR_INTS:
        return sizeof(int64_t);
    case BNR_ATTR_TYPE_PROTO:
    case BNR_ATTR_TYPE_PROTOS:
        return sizeof(struct bnr_type);
    case BNR_ATTR_UNDEFINED:
        return 0;
    default:
        return sizeof(void *);
    }
}

static bool has_tensors(const struct bnr_attr *attr) {
    return attr->type == BNR_ATTR_TENSOR || attr->type == BNR_ATTR_TENSORS ||
           attr->type == BNR_ATTR_SPARSE_TENSOR || attr->type == BNR_ATTR_SPARSE_TENSORS;
}

enum bnr_status bnr__attr_copy(struct bnr_model *m, struct bnr_attr *attr) {
    if (attr->type == BNR_ATTR_STRING || attr->type == BNR_ATTR_STRINGS)
        return copy_strings(&m->arena, attr);
    const size_t size = element_size(attr->type);
    void *copy = bnr__arena_array(&m->arena, attr->n, size);
    if (!copy)
        return BNR_NO_MEMORY;
    if (attr->n > 0 && size > 0)
        memcpy(copy, attr->floats, attr->n * size);
    attr->floats = copy; // any member: they are pointers in a union
    for (size_t i = 0; has_tensors(attr) && i < attr->n; i++)
        BNR_TRY(bnr__model_hold(m, bnr__tensor_ref(attr->tensors[i])));
    return BNR_OK;
}

enum bnr_status bnr__node_set_attr(struct bnr_node *n, const struct bnr_attr *attr) {
    struct bnr_model *m = n->graph->model;
    struct bnr_attr copy = *attr;
    copy.name = bnr__model_intern(m, attr->name);
    if (!copy.name || (attr->ref && !(copy.ref = bnr__model_intern(m, attr->ref))))
        return BNR_NO_MEMORY;
    BNR_TRY(bnr__attr_copy(m, &copy));
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, copy.name) == 0) {
            bnr__attr_discard_graphs(&n->attrs[i]);
            n->attrs[i] = copy;
            return BNR_OK;
        }
    struct bnr_attr *attrs = BNR_NEW_ARRAY(&m->arena, n->n_attrs + 1, struct bnr_attr);
    if (!attrs)
        return BNR_NO_MEMORY;
    if (n->n_attrs > 0)
        memcpy(attrs, n->attrs, n->n_attrs * sizeof *attrs);
    attrs[n->n_attrs++] = copy;
    n->attrs = attrs;
    return BNR_OK;
}

enum bnr_status bnr__node_set_attr_int(struct bnr_node *n, const char *name, int64_t v) {
    return bnr__node_set_attr(
        n, &(struct bnr_attr){.name = name, .type = BNR_ATTR_INT, .n = 1, .ints = &v});
}

enum bnr_status bnr__node_set_attr_ints(struct bnr_node *n, const char *name, const int64_t *v,
                                        size_t count) {
    return bnr__node_set_attr(
        n, &(struct bnr_attr){.name = name, .type = BNR_ATTR_INTS, .n = count, .ints = v});
}

enum bnr_status bnr__node_set_attr_float(struct bnr_node *n, const char *name, float v) {
    return bnr__node_set_attr(
        n, &(struct bnr_attr){.name = name, .type = BNR_ATTR_FLOAT, .n = 1, .floats = &v});
}

enum bnr_status bnr__node_set_attr_string(struct bnr_node *n, const char *name, const char *v) {
    const struct bnr_str s = {v, strlen(v)};
    return bnr__node_set_attr(
        n, &(struct bnr_attr){.name = name, .type = BNR_ATTR_STRING, .n = 1, .strings = &s});
}

enum bnr_status bnr__node_set_attr_tensor(struct bnr_node *n, const char *name,
                                          struct bnr_tensor *t) {
    enum bnr_status st = bnr__node_set_attr(
        n, &(struct bnr_attr){.name = name, .type = BNR_ATTR_TENSOR, .n = 1, .tensors = &t});
    bnr__tensor_unref(t); // the model holds one of its own
    return st;
}

void bnr__node_remove_attr(struct bnr_node *n, const char *name) {
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0) {
            bnr__attr_discard_graphs(&n->attrs[i]);
            memmove(&n->attrs[i], &n->attrs[i + 1], (--n->n_attrs - i) * sizeof *n->attrs);
            return;
        }
}
