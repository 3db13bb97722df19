// SPDX-License-Identifier: Apache-2.0
// The graph for programs, as one JSON object.
#include <inttypes.h>

#include "graph/print.h"

enum { MAX_ELEMENTS = 64 }; // of constants whose elements are given

static void key(struct bnr_text *t, const char *name) {
    bnr__text_json_string(t, name);
    bnr__text_add(t, ": ");
}

static void string_field(struct bnr_text *t, const char *name, const char *value, const char *end) {
    key(t, name);
    bnr__text_json_string(t, value);
    bnr__text_add(t, "%s", end);
}

static void print_shape(struct bnr_text *t, const struct bnr_shape *s) {
    if (s->rank < 0) {
        bnr__text_add(t, "null");
        return;
    }
    bnr__text_add(t, "[");
    for (int i = 0; i < s->rank; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        if (s->dims[i].n >= 0)
            bnr__text_add(t, "%" PRId64, s->dims[i].n);
        else
            bnr__text_json_string(t, s->dims[i].sym); // NULL: null
    }
    bnr__text_add(t, "]");
}

static void print_type(struct bnr_text *t, const struct bnr_type *type, int depth) {
    static const char *const kinds[] = {"tensor", "sequence", "optional", "map", "sparse"};
    bnr__text_add(t, "{\"kind\": \"%s\"", kinds[type->kind]);
    if (type->kind != BNR_KIND_SEQUENCE && type->kind != BNR_KIND_OPTIONAL) {
        bnr__text_add(t, ", ");
        string_field(t, "dtype", type->dtype ? bnr__dtype_name(type->dtype) : NULL, "");
    }
    if (type->kind == BNR_KIND_TENSOR || type->kind == BNR_KIND_SPARSE) {
        bnr__text_add(t, ", \"shape\": ");
        print_shape(t, &type->shape);
    } else if (type->elem && depth < 8) {
        bnr__text_add(t, ", \"elem\": ");
        print_type(t, type->elem, depth + 1);
    }
    bnr__text_add(t, "}");
}

static void print_value(struct bnr_text *t, const struct bnr_value *v) {
    if (!v) {
        bnr__text_add(t, "null");
        return;
    }
    const struct bnr_type type = bnr__print_type_of(v);
    bnr__text_add(t, "{");
    string_field(t, "name", v->name, ", \"type\": ");
    print_type(t, &type, 0);
    bnr__text_add(t, "}");
}

static void print_tensor(struct bnr_text *t, const struct bnr_tensor *tensor) {
    struct bnr_type type = {.kind = tensor->kind, .dtype = tensor->dtype, .shape = {.rank = -1}};
    if (tensor->kind == BNR_KIND_TENSOR)
        type.shape = bnr__shape_of(tensor->rank, tensor->dims);
    bnr__text_add(t, "{\"type\": ");
    print_type(t, &type, 0);
    if (tensor->kind == BNR_KIND_TENSOR && tensor->numel <= MAX_ELEMENTS &&
        bnr__dtype_class(tensor->dtype) != BNR_CLASS_COMPLEX) {
        bnr__text_add(t, ", \"elements\": ");
        bnr__print_elements(t, tensor, MAX_ELEMENTS);
    }
    bnr__text_add(t, "}");
}

// ---- attributes -------------------------------------------------------------------------------------

static void print_graph(struct bnr_text *t, const struct bnr_graph *g);

static void print_attr_element(struct bnr_text *t, const struct bnr_attr *attr, size_t i) {
    switch (attr->type) {
    case BNR_ATTR_FLOAT:
    case BNR_ATTR_FLOATS:
        bnr__text_json_number(t, (double)attr->floats[i]);
        break;
    case BNR_ATTR_INT:
    case BNR_ATTR_INTS:
        bnr__text_add(t, "%" PRId64, attr->ints[i]);
        break;
    case BNR_ATTR_STRING:
    case BNR_ATTR_STRINGS:
        bnr__print_string(t, attr->strings[i]);
        break;
    case BNR_ATTR_GRAPH:
    case BNR_ATTR_GRAPHS:
        print_graph(t, attr->graphs[i]);
        break;
    case BNR_ATTR_TYPE_PROTO:
    case BNR_ATTR_TYPE_PROTOS:
        print_type(t, &attr->types[i], 0);
        break;
    case BNR_ATTR_UNDEFINED:
        bnr__text_add(t, "null");
        break;
    default:
        print_tensor(t, attr->tensors[i]);
    }
}

static void print_attr(struct bnr_text *t, const struct bnr_attr *attr) {
    const bool list = (attr->type >= BNR_ATTR_FLOATS && attr->type <= BNR_ATTR_GRAPHS) ||
                      attr->type == BNR_ATTR_SPARSE_TENSORS || attr->type == BNR_ATTR_TYPE_PROTOS;
    key(t, attr->name);
    bnr__text_add(t, "{\"type\": \"%s\", ", bnr__attr_type_name(attr->type));
    if (attr->ref) {
        string_field(t, "ref", attr->ref, "}");
        return;
    }
    bnr__text_add(t, "\"value\": %s", list ? "[" : "");
    for (size_t i = 0; i < attr->n; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        print_attr_element(t, attr, i);
    }
    bnr__text_add(t, "%s}", list ? "]" : attr->n == 0 ? "null" : "");
}

// ---- nodes and graphs -------------------------------------------------------------------------------

static void print_node(struct bnr_text *t, const struct bnr_node *n) {
    bnr__text_add(t, "{\"id\": %d, ", n->id);
    string_field(t, "name", n->name, ", ");
    string_field(t, "domain", bnr__print_domain(n->domain), ", ");
    string_field(t, "op_type", n->op_type, ", ");
    bnr__text_add(t, "\"opset\": %d, \"since\": %d, \"inputs\": [", n->opset, n->since);
    for (int i = 0; i < n->n_in; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        bnr__text_json_string(t, n->in[i] ? n->in[i]->name : NULL);
    }
    bnr__text_add(t, "], \"outputs\": [");
    for (int i = 0; i < n->n_out; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        print_value(t, n->out[i]);
    }
    bnr__text_add(t, "], \"attributes\": {");
    for (size_t i = 0; i < n->n_attrs; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        print_attr(t, &n->attrs[i]);
    }
    bnr__text_add(t, "}");
    if (n->fused_into)
        bnr__text_add(t, ", \"fused_into\": %d", n->fused_into->id);
    bnr__text_add(t, "}");
}

static void print_values(struct bnr_text *t, const char *name, struct bnr_value *const *values,
                         size_t n) {
    bnr__text_add(t, "\"%s\": [", name);
    for (size_t i = 0; i < n; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        print_value(t, values[i]);
    }
    bnr__text_add(t, "],\n");
}

// Initializers that are listed as inputs, too, so that both lists are complete.
static void print_constants(struct bnr_text *t, const struct bnr_graph *g) {
    const char *separator = "\n";
    bnr__text_add(t, "\"constants\": [");
    for (size_t i = 0; i < g->n_values; i++) {
        const struct bnr_value *v = g->values[i];
        if (!v->tensor)
            continue;
        bnr__text_add(t, "%s{", separator);
        string_field(t, "name", v->name, ", ");
        bnr__text_add(t, "\"overridable\": %s, ", bnr__value_is_constant(v) ? "false" : "true");
        bnr__text_add(t, "\"tensor\": ");
        print_tensor(t, v->tensor);
        bnr__text_add(t, "}");
        separator = ",\n";
    }
    bnr__text_add(t, "],\n");
}

static void print_graph(struct bnr_text *t, const struct bnr_graph *g) {
    bnr__text_add(t, "{");
    string_field(t, "name", g->name, ",\n");
    print_values(t, "inputs", g->inputs, g->n_inputs);
    print_values(t, "outputs", g->outputs, g->n_outputs);
    print_constants(t, g);
    bnr__text_add(t, "\"nodes\": [");
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        bnr__text_add(t, n->prev ? ",\n" : "\n");
        print_node(t, n);
    }
    bnr__text_add(t, "]}");
}

static void print_header(struct bnr_text *t, const struct bnr_model *m) {
    string_field(t, "path", m->path, ",\n");
    bnr__text_add(t, "\"ir_version\": %" PRId64 ",\n", m->ir_version);
    bnr__text_add(t, "\"model_version\": %" PRId64 ",\n", m->model_version);
    string_field(t, "producer_name", m->producer_name, ",\n");
    string_field(t, "producer_version", m->producer_version, ",\n");
    string_field(t, "domain", m->domain, ",\n");
    bnr__text_add(t, "\"opsets\": [");
    for (size_t i = 0; i < m->n_opsets; i++) {
        bnr__text_add(t, "%s{", i > 0 ? ", " : "");
        string_field(t, "domain", bnr__print_domain(m->opsets[i].domain), ", ");
        bnr__text_add(t, "\"version\": %d}", m->opsets[i].version);
    }
    bnr__text_add(t, "],\n\"metadata\": [");
    for (size_t i = 0; i < m->n_meta; i++) {
        bnr__text_add(t, "%s{", i > 0 ? ", " : "");
        string_field(t, "key", m->meta[i].key, ", ");
        string_field(t, "value", m->meta[i].value, "}");
    }
    bnr__text_add(t, "],\n\"missing\": [");
    for (size_t i = 0; i < m->n_missing; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        bnr__text_json_string(t, m->missing[i]);
    }
    bnr__text_add(t, "],\n");
}

void bnr__print_json(struct bnr_text *t, const struct bnr_model *m) {
    bnr__text_add(t, "{");
    print_header(t, m);
    bnr__text_add(t, "\"graph\": ");
    if (m->graph)
        print_graph(t, m->graph);
    else
        bnr__text_add(t, "null");
    bnr__text_add(t, "}\n");
}
