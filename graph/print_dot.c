// SPDX-License-Identifier: Apache-2.0
// The graph for Graphviz: operators as boxes with their constants' shapes, types on the edges, nested
// graphs and fused groups as clusters, captured values as dashed edges.
#include <stdio.h>

#include "graph/print.h"

// Text within a quoted label.
static void print_label(struct bnr_text *t, const char *s) {
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            bnr__text_bytes(t, "\\", 1);
        if ((unsigned char)*s >= 0x20 && *s != 0x7f)
            bnr__text_bytes(t, s, 1);
        else
            bnr__text_bytes(t, "?", 1);
    }
}

static void print_type_label(struct bnr_text *t, const struct bnr_value *v) {
    const struct bnr_type type = bnr__print_type_of(v);
    char text[200];
    print_label(t, bnr__type_describe(&type, text, sizeof text));
}

static void print_node(struct bnr_text *t, const struct bnr_node *n) {
    bnr__text_add(t, "n%d [shape=box, label=\"", n->id);
    print_label(t, n->op_type);
    if (n->name[0]) {
        bnr__text_add(t, "\\n");
        print_label(t, n->name);
    }
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->tensor && !n->in[i]->producer) {
            bnr__text_add(t, "\\n");
            print_label(t, n->in[i]->name);
            bnr__text_add(t, ": ");
            print_type_label(t, n->in[i]);
        }
    bnr__text_add(t, "\"%s];\n", n->op ? "" : ", color=red");
    if (!n->fused_into)
        return;
    bnr__text_add(t, "subgraph cluster_fused%d { style=dotted; n%d; n%d; }\n", n->fused_into->id,
                  n->fused_into->id, n->id);
}

static void print_edge(struct bnr_text *t, const struct bnr_value *v, const char *to, bool captured) {
    if (v->producer)
        bnr__text_add(t, "n%d", v->producer->id);
    else
        bnr__text_add(t, "v%d", v->id);
    bnr__text_add(t, " -> %s [label=\"", to);
    print_type_label(t, v);
    bnr__text_add(t, "\"%s];\n", captured ? ", style=dashed" : "");
}

static void print_graph(struct bnr_text *t, const struct bnr_graph *g);

static void print_bodies(struct bnr_text *t, const struct bnr_node *n) {
    for (size_t a = 0; a < n->n_attrs; a++) {
        const struct bnr_attr *attr = &n->attrs[a];
        if (attr->type != BNR_ATTR_GRAPH && attr->type != BNR_ATTR_GRAPHS)
            continue;
        for (size_t i = 0; i < attr->n; i++) {
            bnr__text_add(t, "subgraph cluster_n%d_%zu_%zu {\nlabel=\"", n->id, a, i);
            print_label(t, n->label);
            bnr__text_add(t, ": ");
            print_label(t, attr->name);
            bnr__text_add(t, "\";\n");
            print_graph(t, attr->graphs[i]);
            bnr__text_add(t, "}\n");
        }
    }
}

static void print_inputs(struct bnr_text *t, const struct bnr_graph *g) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (bnr__value_is_constant(g->inputs[i]))
            continue;
        bnr__text_add(t, "v%d [shape=ellipse, label=\"", g->inputs[i]->id);
        print_label(t, g->inputs[i]->name);
        bnr__text_add(t, "\\n");
        print_type_label(t, g->inputs[i]);
        bnr__text_add(t, "\"];\n");
    }
}

// Where an output comes straight from a constant, that gets a place of its own.
static void print_outputs(struct bnr_text *t, const struct bnr_graph *g) {
    for (size_t i = 0; i < g->n_outputs; i++) {
        const struct bnr_value *v = g->outputs[i];
        char to[48];
        snprintf(to, sizeof to, "o%d_%zu", v->id, i);
        if (!v->producer && bnr__value_is_constant(v)) {
            bnr__text_add(t, "v%d [shape=note, label=\"", v->id);
            print_label(t, v->name);
            bnr__text_add(t, "\"];\n");
        }
        bnr__text_add(t, "%s [shape=ellipse, label=\"", to);
        print_label(t, v->name);
        bnr__text_add(t, "\"];\n");
        print_edge(t, v, to, false);
    }
}

static void print_graph(struct bnr_text *t, const struct bnr_graph *g) {
    print_inputs(t, g);
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        char to[24];
        snprintf(to, sizeof to, "n%d", n->id);
        print_node(t, n);
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i] && !bnr__value_is_constant(n->in[i]))
                print_edge(t, n->in[i], to, n->in[i]->graph != g);
        print_bodies(t, n);
    }
    print_outputs(t, g);
}

void bnr__print_dot(struct bnr_text *t, const struct bnr_model *m) {
    bnr__text_add(t, "digraph \"");
    print_label(t, m->path);
    bnr__text_add(t, "\" {\nnode [fontname=\"sans-serif\"];\nedge [fontname=\"sans-serif\"];\n");
    if (m->graph)
        print_graph(t, m->graph);
    bnr__text_add(t, "}\n");
}
