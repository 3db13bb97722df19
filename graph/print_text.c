// SPDX-License-Identifier: Apache-2.0
// The graph as text: a line for each input, constant, node and output; nested graphs are indented.
#include <inttypes.h>

#include "graph/print.h"

enum { FEW = 8, MANY = 64 }; // elements of constants and attributes that are printed

struct printer {
    struct bnr_text *t;
    int indent;
};

static void start_line(struct printer *p) {
    bnr__text_add(p->t, "%*s", p->indent * 2, "");
}

static void print_typed(struct printer *p, const struct bnr_value *v) {
    const struct bnr_type type = bnr__print_type_of(v);
    bnr__print_name(p->t, v->name);
    bnr__text_add(p->t, ": ");
    bnr__print_type(p->t, &type);
}

static void print_constant(struct printer *p, const struct bnr_value *v, const char *what) {
    start_line(p);
    bnr__text_add(p->t, "%s ", what);
    print_typed(p, v);
    if (v->tensor && v->tensor->kind == BNR_KIND_TENSOR && v->tensor->numel <= FEW) {
        bnr__text_add(p->t, " = ");
        bnr__print_elements(p->t, v->tensor, FEW);
    } else if (v->tensor) {
        bnr__text_add(p->t, " = ...");
    }
    bnr__text_add(p->t, "\n");
}

static void print_graph(struct printer *p, const struct bnr_graph *g);

static void print_list(struct printer *p, const struct bnr_attr *attr,
                       void (*element)(struct bnr_text *t, const struct bnr_attr *attr, size_t i)) {
    const bool list = attr->type == BNR_ATTR_FLOATS || attr->type == BNR_ATTR_INTS ||
                      attr->type == BNR_ATTR_STRINGS || attr->type == BNR_ATTR_TENSORS ||
                      attr->type == BNR_ATTR_SPARSE_TENSORS || attr->type == BNR_ATTR_TYPE_PROTOS;
    bnr__text_add(p->t, list ? "[" : "");
    for (size_t i = 0; i < attr->n && i < MANY; i++) {
        bnr__text_add(p->t, i > 0 ? ", " : "");
        element(p->t, attr, i);
    }
    if (attr->n > MANY)
        bnr__text_add(p->t, ", ... (%zu)", attr->n);
    bnr__text_add(p->t, list ? "]" : "");
}

static void float_element(struct bnr_text *t, const struct bnr_attr *attr, size_t i) {
    bnr__text_add(t, "%.9g", (double)attr->floats[i]);
}

static void int_element(struct bnr_text *t, const struct bnr_attr *attr, size_t i) {
    bnr__text_add(t, "%" PRId64, attr->ints[i]);
}

static void string_element(struct bnr_text *t, const struct bnr_attr *attr, size_t i) {
    bnr__print_string(t, attr->strings[i]);
}

static void tensor_element(struct bnr_text *t, const struct bnr_attr *attr, size_t i) {
    char text[200];
    bnr__text_add(t, "%s ", bnr__tensor_describe(attr->tensors[i], text, sizeof text));
    if (!bnr__print_elements(t, attr->tensors[i], FEW))
        bnr__text_add(t, "...");
}

static void type_element(struct bnr_text *t, const struct bnr_attr *attr, size_t i) {
    bnr__print_type(t, &attr->types[i]);
}

static void print_attr(struct printer *p, const struct bnr_attr *attr) {
    bnr__print_name(p->t, attr->name);
    bnr__text_add(p->t, "=");
    if (attr->ref) {
        bnr__text_add(p->t, "@");
        bnr__print_name(p->t, attr->ref);
        return;
    }
    switch (attr->type) {
    case BNR_ATTR_FLOAT:
    case BNR_ATTR_FLOATS:
        print_list(p, attr, float_element);
        break;
    case BNR_ATTR_INT:
    case BNR_ATTR_INTS:
        print_list(p, attr, int_element);
        break;
    case BNR_ATTR_STRING:
    case BNR_ATTR_STRINGS:
        print_list(p, attr, string_element);
        break;
    case BNR_ATTR_TYPE_PROTO:
    case BNR_ATTR_TYPE_PROTOS:
        print_list(p, attr, type_element);
        break;
    case BNR_ATTR_GRAPH:
    case BNR_ATTR_GRAPHS:
        for (size_t i = 0; i < attr->n; i++)
            print_graph(p, attr->graphs[i]);
        break;
    case BNR_ATTR_UNDEFINED:
        bnr__text_add(p->t, "?");
        break;
    default:
        print_list(p, attr, tensor_element);
    }
}

static void print_node(struct printer *p, const struct bnr_node *n) {
    struct bnr_text *t = p->t;
    start_line(p);
    for (int i = 0; i < n->n_out; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        if (n->out[i])
            print_typed(p, n->out[i]);
        else
            bnr__text_add(t, "_");
    }
    bnr__text_add(t, " = ");
    if (n->domain[0]) {
        bnr__print_name(t, n->domain);
        bnr__text_add(t, ".");
    }
    bnr__print_name(t, n->op_type);
    bnr__text_add(t, "(");
    for (int i = 0; i < n->n_in; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        bnr__print_name(t, n->in[i] ? n->in[i]->name : "_");
    }
    bnr__text_add(t, ")");
    for (size_t i = 0; i < n->n_attrs; i++) {
        bnr__text_add(t, i > 0 ? ", " : " {");
        print_attr(p, &n->attrs[i]);
    }
    bnr__text_add(t, n->n_attrs > 0 ? "}" : "");
    if (n->name[0]) {
        bnr__text_add(t, "  # ");
        bnr__print_name(t, n->name);
    }
    if (n->fused_into) {
        bnr__text_add(t, "  -> ");
        bnr__print_name(t, n->fused_into->label);
    }
    bnr__text_add(t, "\n");
}

static void print_graph(struct printer *p, const struct bnr_graph *g) {
    bnr__text_add(p->t, "graph ");
    bnr__print_name(p->t, g->name);
    bnr__text_add(p->t, " {\n");
    p->indent++;
    for (size_t i = 0; i < g->n_inputs; i++)
        print_constant(p, g->inputs[i], "input");
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->tensor && !g->values[i]->is_input)
            print_constant(p, g->values[i], "const");
    for (const struct bnr_node *n = g->first; n; n = n->next)
        print_node(p, n);
    for (size_t i = 0; i < g->n_outputs; i++) {
        start_line(p);
        bnr__text_add(p->t, "output ");
        print_typed(p, g->outputs[i]);
        bnr__text_add(p->t, "\n");
    }
    p->indent--;
    start_line(p);
    bnr__text_add(p->t, "}");
}

static void print_functions(struct printer *p, const struct bnr_model *m) {
    for (size_t i = 0; i < m->n_functions; i++) {
        bnr__text_add(p->t, "function ");
        bnr__print_name(p->t, bnr__print_domain(m->functions[i].domain));
        bnr__text_add(p->t, ".");
        bnr__print_name(p->t, m->functions[i].name);
        bnr__text_add(p->t, " ");
        print_graph(p, m->functions[i].body);
        bnr__text_add(p->t, "\n");
    }
}

void bnr__print_text(struct bnr_text *t, const struct bnr_model *m) {
    struct printer p = {.t = t};
    bnr__text_add(t, "model ");
    bnr__print_name(t, m->path);
    bnr__text_add(t, ": IR version %" PRId64, m->ir_version);
    for (size_t i = 0; i < m->n_opsets; i++) {
        bnr__text_add(t, ", ");
        bnr__print_name(t, bnr__print_domain(m->opsets[i].domain));
        bnr__text_add(t, " %d", m->opsets[i].version);
    }
    if (m->producer_name[0]) {
        bnr__text_add(t, ", made by ");
        bnr__print_name(t, m->producer_name);
        bnr__text_add(t, " ");
        bnr__print_name(t, m->producer_version);
    }
    bnr__text_add(t, "\n");
    print_functions(&p, m);
    if (m->graph)
        print_graph(&p, m->graph);
    bnr__text_add(t, "\n");
}
