// SPDX-License-Identifier: Apache-2.0
// Which dtypes an operator takes, by asking it: its inference runs on inputs of which nothing is
// known, and the checks that it makes are written down instead of being applied. So what is
// reported is what is checked.
#include <string.h>

#include "graph/op.h"

enum { MOST_OUT = 8 };

// An attribute that infer may count on gets a value.
static enum bnr_status add_attribute(struct bnr_node *n, const char *name, char type) {
    static const int64_t one = 1;
    static const float zero = 0;
    const struct bnr_str text = {"", 0};
    struct bnr_attr a = {.name = name, .n = 1};
    struct bnr_graph *body;
    struct bnr_tensor *tensor;
    switch (type) {
    case 'i':
    case 'I':
        a.type = type == 'i' ? BNR_ATTR_INT : BNR_ATTR_INTS;
        a.ints = &one;
        return bnr__node_set_attr(n, &a);
    case 'f':
    case 'F':
        a.type = type == 'f' ? BNR_ATTR_FLOAT : BNR_ATTR_FLOATS;
        a.floats = &zero;
        return bnr__node_set_attr(n, &a);
    case 's':
    case 'S':
        a.type = type == 's' ? BNR_ATTR_STRING : BNR_ATTR_STRINGS;
        a.strings = &text;
        return bnr__node_set_attr(n, &a);
    case 'g':
        body = bnr__graph_new(n->graph->model, n);
        a.type = BNR_ATTR_GRAPH;
        a.graphs = &body;
        return body ? bnr__node_set_attr(n, &a) : BNR_NO_MEMORY;
    case 't':
        BNR_TRY(bnr__tensor_new(&tensor, NULL, BNR_FLOAT, 1, &one, NULL));
        return bnr__node_set_attr_tensor(n, name, tensor);
    default:
        return BNR_OK;
    }
}

static enum bnr_status add_required(struct bnr_node *n, const char *attrs) {
    for (const char *s = attrs ? attrs : ""; *s;) {
        const size_t name = strcspn(s, ":"), length = strcspn(s, " ");
        if (s[length - 1] == '!') {
            char *copy = bnr__arena_strndup(&n->graph->model->arena, s, name);
            if (!copy)
                return BNR_NO_MEMORY;
            BNR_TRY(add_attribute(n, copy, s[name + 1]));
        }
        s += length;
        s += strspn(s, " ");
    }
    return BNR_OK;
}

// Twice: what is said of one input may hold for another because they must agree.
static enum bnr_status ask(struct bnr_node *n, uint32_t *types, int n_in) {
    struct bnr_arena *arena = &n->graph->model->arena;
    struct bnr_info *infos = BNR_NEW_ARRAY(arena, (size_t)n_in + MOST_OUT, struct bnr_info);
    const struct bnr_info **in = BNR_NEW_ARRAY(arena, (size_t)n_in + 1, const struct bnr_info *);
    struct bnr_info *out[MOST_OUT];
    if (!infos || !in)
        return BNR_NO_MEMORY;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < n_in + MOST_OUT; i++)
            infos[i] = bnr__info_unknown();
        for (int i = 0; i < n_in; i++)
            in[i] = &infos[i];
        for (int i = 0; i < MOST_OUT; i++)
            out[i] = &infos[n_in + i];
        struct bnr_infer cx = {.node = n,
                               .in = in,
                               .n_in = n_in,
                               .out = out,
                               .n_out = n->op->max_out < MOST_OUT ? n->op->max_out : MOST_OUT,
                               .arena = arena,
                               .types = types};
        n->op->infer(&cx); // a failure, about an attribute, says nothing about types
    }
    return BNR_OK;
}

static enum bnr_status ask_in(struct bnr_model *m, const struct bnr_op *op, int version,
                              uint32_t *types, int n_in) {
    struct bnr_node *n;
    if (!(m->graph = bnr__graph_new(m, NULL)))
        return BNR_NO_MEMORY;
    BNR_TRY(bnr__model_add_opset(m, op->domain, version));
    BNR_TRY(bnr__node_new(&n, m->graph, NULL, op->domain, op->name, NULL, 0, NULL, MOST_OUT, NULL));
    n->op = op;
    n->since = version;
    for (int i = 0; i < n_in + MOST_OUT; i++) {
        struct bnr_value *v;
        BNR_TRY(bnr__value_new(&v, m->graph, NULL, NULL));
        if (i < n_in)
            BNR_TRY(bnr__node_set_input(n, i, v));
        else
            bnr__node_set_output(n, i - n_in, v);
    }
    BNR_TRY(add_required(n, op->attrs));
    return ask(n, types, n_in);
}

enum bnr_status bnr__op_types(const struct bnr_op *op, int version, uint32_t *types, int n_in) {
    struct bnr_model *m = bnr__model_new(NULL);
    if (!m)
        return BNR_NO_MEMORY;
    for (int i = 0; i < n_in; i++)
        types[i] = BNR_DTYPES_ALL;
    const enum bnr_status st = op->infer ? ask_in(m, op, version, types, n_in) : BNR_OK;
    bnr__model_free(m);
    return st;
}
