// SPDX-License-Identifier: Apache-2.0
// Checks a node's attributes against the types that its operator declares, so that operators can read
// them without looking at types.
#include <stdbool.h>
#include <string.h>

#include "graph/op.h"

static const char *const type_names[] = {
    [BNR_ATTR_UNDEFINED] = "nothing",
    [BNR_ATTR_FLOAT] = "a float",
    [BNR_ATTR_INT] = "an int",
    [BNR_ATTR_STRING] = "a string",
    [BNR_ATTR_TENSOR] = "a tensor",
    [BNR_ATTR_GRAPH] = "a graph",
    [BNR_ATTR_FLOATS] = "a list of floats",
    [BNR_ATTR_INTS] = "a list of ints",
    [BNR_ATTR_STRINGS] = "a list of strings",
    [BNR_ATTR_TENSORS] = "a list of tensors",
    [BNR_ATTR_GRAPHS] = "a list of graphs",
    [BNR_ATTR_SPARSE_TENSOR] = "a sparse tensor",
    [BNR_ATTR_SPARSE_TENSORS] = "a list of sparse tensors",
    [BNR_ATTR_TYPE_PROTO] = "a type",
    [BNR_ATTR_TYPE_PROTOS] = "a list of types",
};

static enum bnr_attr_type letter_type(char c) {
    switch (c) {
    case 'f':
        return BNR_ATTR_FLOAT;
    case 'i':
        return BNR_ATTR_INT;
    case 's':
        return BNR_ATTR_STRING;
    case 't':
        return BNR_ATTR_TENSOR;
    case 'g':
        return BNR_ATTR_GRAPH;
    case 'F':
        return BNR_ATTR_FLOATS;
    case 'I':
        return BNR_ATTR_INTS;
    case 'S':
        return BNR_ATTR_STRINGS;
    case 'T':
        return BNR_ATTR_TENSORS;
    case 'G':
        return BNR_ATTR_GRAPHS;
    default:
        return BNR_ATTR_UNDEFINED;
    }
}

// One "name:letters!" entry; `end` points behind it.
struct entry {
    const char *name, *letters, *end;
    size_t name_len;
    bool required;
};

static struct entry parse_entry(const char *s) {
    struct entry e = {.name = s, .name_len = strcspn(s, ":"), .end = s + strcspn(s, " ")};
    e.letters = s + e.name_len + 1;
    e.required = e.end[-1] == '!';
    return e;
}

static bool type_allowed(const struct entry *e, enum bnr_attr_type type) {
    for (const char *c = e->letters; c < e->end && *c != '!'; c++)
        if (letter_type(*c) == type)
            return true;
    return false;
}

static enum bnr_status check_entry(const struct bnr_node *n, const struct entry *e,
                                   struct bnr_error *err) {
    bool seen = false;
    for (size_t i = 0; i < n->n_attrs; i++) {
        const struct bnr_attr *a = &n->attrs[i];
        if (strlen(a->name) != e->name_len || memcmp(a->name, e->name, e->name_len) != 0)
            continue;
        seen = true;
        if (a->ref || type_allowed(e, a->type))
            continue;
        unsigned type = (unsigned)a->type;
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute '%s' is %s, expected %s", a->name,
                            type < BNR_COUNT(type_names) ? type_names[type] : "of an unknown type",
                            type_names[letter_type(*e->letters)]);
    }
    if (e->required && !seen)
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute '%.*s' is required", (int)e->name_len,
                            e->name);
    return BNR_OK;
}

enum bnr_status bnr__op_check_attrs(const struct bnr_node *n, struct bnr_error *err) {
    if (!n->op || !n->op->attrs)
        return BNR_OK;
    for (const char *s = n->op->attrs; *s;) {
        struct entry e = parse_entry(s);
        BNR_TRY(check_entry(n, &e, err));
        s = e.end + strspn(e.end, " ");
    }
    return BNR_OK;
}
