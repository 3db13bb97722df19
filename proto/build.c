// SPDX-License-Identifier: Apache-2.0
// Messages to graphs: names to values, nodes with their inputs and outputs, nested graphs.
#include "proto/build.h"

#include <string.h>

// ---- values -----------------------------------------------------------------------------------------

static struct bnr_value *find(const struct scope *s, const char *name) {
    struct bnr_value *v = NULL;
    for (; s && !v; s = s->outer)
        v = bnr__map_get(&s->values, name);
    return v;
}

enum bnr_status bnr__build_define(struct build *b, struct scope *s, const char *name,
                                  struct bnr_value **out) {
    const char *graph = s->graph->name;
    if (!name[0])
        return bnr__fail(b->err, BNR_MALFORMED, "graph '%s': an input or initializer has no name", graph);
    const uint64_t hash = bnr__map_hash(name);
    if (bnr__map_find(&s->values, name, hash))
        return bnr__fail(b->err, BNR_MALFORMED, "graph '%s': the name '%s' is defined twice", graph, name);
    enum bnr_status st = bnr__value_new(out, s->graph, name, NULL);
    if (st == BNR_MALFORMED) {
        // Hides a name of a graph around this one: values of the IR all have names of their own.
        const char *own = bnr__name_fresh(s->graph, name);
        st = own ? bnr__value_new(out, s->graph, own, NULL) : BNR_NO_MEMORY;
    }
    return st == BNR_OK && bnr__map_put(&s->values, name, hash, *out) ? BNR_OK
                                                                      : bnr__no_memory(b->err);
}

static enum bnr_status add_inputs(struct build *b, struct scope *s, const Onnx__GraphProto *p) {
    for (size_t i = 0; i < p->n_input; i++) {
        const char *name = text_of(p->input[i]->name);
        struct bnr_value *v;
        struct bnr_type type;
        BNR_TRY(bnr__build_define(b, s, name, &v));
        BNR_TRY(bnr__type_from_proto(b->m, p->input[i]->type, name, &type, b->err));
        BNR_TRY(bnr__value_set_declared(v, &type, b->err));
        BNR_TRY(bnr__graph_add_input(s->graph, v, b->err));
    }
    return BNR_OK;
}

// `t` is given away. `mark`: the message it came from.
static enum bnr_status set_initializer(struct build *b, struct scope *s, const char *name,
                                       struct bnr_tensor *t, const struct bnr_mark *mark) {
    struct bnr_value *v = bnr__map_get(&s->values, name);
    enum bnr_status st = BNR_OK;
    if (!v)
        st = bnr__build_define(b, s, name, &v);
    else if (v->tensor)
        st = bnr__fail(b->err, BNR_MALFORMED, "graph '%s': initializer '%s' is defined twice",
                       s->graph->name, name);
    else if (v->declared->kind != BNR_KIND_TENSOR ||
             (v->declared->dtype != BNR_UNDEFINED && v->declared->dtype != t->dtype))
        st = bnr__fail(b->err, BNR_MALFORMED,
                       "initializer '%s' is %s, but as graph input it is declared %s", name,
                       bnr__dtype_name(t->dtype),
                       v->declared->kind ? "no tensor" : bnr__dtype_name(v->declared->dtype));
    if (st != BNR_OK) {
        bnr__tensor_unref(t);
        return st;
    }
    v->tensor = t;
    v->is_initializer = true;
    v->source = mark;
    if (v->is_input && v->declared->dtype == BNR_UNDEFINED) {
        struct bnr_type *declared = bnr__value_declare(v);
        if (!declared)
            return bnr__no_memory(b->err);
        declared->dtype = t->dtype;
    }
    if (!bnr__value_is_constant(v)) { // a default that runs are given as it is
        BNR_TRY(bnr__tensor_align(&v->tensor, t, b->err));
        bnr__tensor_unref(t);
        t = v->tensor;
    }
    return BNR_OK;
}

static enum bnr_status add_initializers(struct build *b, struct scope *s, const Onnx__GraphProto *p) {
    const struct bnr_skeleton *skeleton = b->reader->skeleton;
    struct bnr_tensor *t;
    for (size_t i = 0; i < p->n_initializer; i++) {
        const Onnx__TensorProto *proto = p->initializer[i];
        b->reader->loose = true;
        const enum bnr_status st = bnr__tensor_from_proto(b->reader, proto, &t, b->err);
        b->reader->loose = false;
        BNR_TRY(st);
        BNR_TRY(set_initializer(b, s, text_of(proto->name), t, bnr__mark_of(skeleton, &proto->base)));
    }
    for (size_t i = 0; i < p->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *proto = p->sparse_initializer[i];
        BNR_TRY(bnr__dense_from_proto(b->reader, proto, &t, b->err));
        BNR_TRY(set_initializer(b, s, text_of(proto->values->name), t,
                                bnr__mark_of(skeleton, &proto->base)));
    }
    return BNR_OK;
}

// What value_info says is a hint: a type that cannot be read is passed over.
enum bnr_status bnr__build_value_infos(struct build *b, struct scope *s, size_t n,
                                       Onnx__ValueInfoProto **infos) {
    for (size_t i = 0; i < n; i++) {
        const char *name = text_of(infos[i]->name);
        struct bnr_value *v = bnr__map_get(&s->values, name);
        struct bnr_type type;
        if (!v || v->is_input)
            continue;
        enum bnr_status st = bnr__type_from_proto(b->m, infos[i]->type, name, &type, NULL);
        if (st == BNR_NO_MEMORY)
            return bnr__no_memory(b->err);
        if (st == BNR_OK)
            BNR_TRY(bnr__value_set_declared(v, &type, b->err));
    }
    return BNR_OK;
}

static enum bnr_status add_outputs(struct build *b, struct scope *s, const Onnx__GraphProto *p) {
    for (size_t i = 0; i < p->n_output; i++) {
        const char *name = text_of(p->output[i]->name);
        struct bnr_value *v = find(s, name);
        struct bnr_type type;
        if (!v)
            return bnr__fail(b->err, BNR_MALFORMED, "graph '%s': output '%s' is not defined",
                             s->graph->name, name);
        BNR_TRY(bnr__graph_add_output(s->graph, v, b->err));
        BNR_TRY(bnr__type_from_proto(b->m, p->output[i]->type, name, &type, b->err));
        if (v->graph == s->graph && !v->is_input)
            BNR_TRY(bnr__value_set_declared(v, &type, b->err));
    }
    return BNR_OK;
}

// ---- nodes ------------------------------------------------------------------------------------------

static bool is_constant_node(const Onnx__NodeProto *p) {
    const char *domain = text_of(p->domain);
    return strcmp(text_of(p->op_type), "Constant") == 0 && (!domain[0] || !strcmp(domain, "ai.onnx"));
}

static enum bnr_status define_outputs(struct build *b, struct scope *s, const Onnx__NodeProto *p) {
    for (size_t i = 0; i < p->n_output; i++) {
        struct bnr_value *v;
        if (p->output[i][0])
            BNR_TRY(bnr__build_define(b, s, p->output[i], &v));
    }
    return BNR_OK;
}

static enum bnr_status link_node(struct build *b, const struct scope *s, const Onnx__NodeProto *p,
                                 struct bnr_node **out) {
    struct bnr_value **in = BNR_NEW_ARRAY(b->temp, p->n_input, struct bnr_value *);
    if (!in)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < p->n_input; i++) {
        in[i] = p->input[i][0] ? find(s, p->input[i]) : NULL;
        if (!in[i] && p->input[i][0])
            return bnr__fail(b->err, BNR_MALFORMED, "node '%s' (%s): input %zu, '%s', is not defined",
                             text_of(p->name), p->op_type, i, p->input[i]);
    }
    BNR_TRY(bnr__node_new(out, s->graph, NULL, text_of(p->domain), p->op_type, p->name, (int)p->n_input,
                          in, (int)p->n_output, b->err));
    for (size_t i = 0; i < p->n_output; i++)
        if (p->output[i][0])
            bnr__node_set_output(*out, (int)i, bnr__map_get(&s->values, p->output[i]));
    return BNR_OK;
}

// Inside functions other versions may be in force than in the model: operators are looked up later
// there.
static enum bnr_status set_versions(struct build *b, struct bnr_node *n, const Onnx__NodeProto *p) {
    n->overload = bnr__model_intern(b->m, text_of(p->overload));
    n->source = bnr__mark_of(b->reader->skeleton, &p->base);
    if (b->opsets) {
        n->op = NULL;
        n->since = 0;
        n->opset = 0;
        for (size_t i = 0; i < b->n_opsets; i++)
            if (strcmp(b->opsets[i].domain, n->domain) == 0)
                n->opset = b->opsets[i].version;
    }
    return n->overload ? BNR_OK : bnr__no_memory(b->err);
}

static enum bnr_status add_node(struct build *b, const struct scope *s, const Onnx__NodeProto *p) {
    struct bnr_node *n;
    BNR_TRY(link_node(b, s, p, &n));
    BNR_TRY(set_versions(b, n, p));
    BNR_TRY(bnr__build_attrs(b, s, n, p->n_attribute, p->attribute, &n->attrs));
    n->n_attrs = p->n_attribute;
    return BNR_OK;
}

static enum bnr_status lift_constant(struct build *b, struct bnr_node *n) {
    struct bnr_value *v = n->n_out == 1 ? n->out[0] : NULL;
    const void *source = n->source;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, "sparse_value") == 0 && n->attrs[i].type == BNR_ATTR_SPARSE_TENSOR) {
            n->attrs[i].name = "value"; // it was made dense
            n->attrs[i].type = BNR_ATTR_TENSOR;
        }
    BNR_TRY(bnr__node_lift_constant(n, b->err));
    if (n->graph)
        return bnr__fail(b->err, BNR_MALFORMED,
                         "node '%s' (Constant): expected one output and one of the attributes value, "
                         "sparse_value and value_*",
                         n->label);
    v->source = source;
    return BNR_OK;
}

// A Constant node becomes a value at once, so that the model need not hold its tensor for the attribute.
static enum bnr_status add_constant(struct build *b, const struct scope *s, const Onnx__NodeProto *p) {
    b->keep_loose = true;
    b->n_loose = 0;
    enum bnr_status st = add_node(b, s, p);
    struct bnr_node *n = st == BNR_OK ? s->graph->last : NULL;
    struct bnr_value *v = n && n->n_out == 1 ? n->out[0] : NULL;
    if (st == BNR_OK)
        st = lift_constant(b, n);
    struct bnr_mark *mark = bnr__mark_of(b->reader->skeleton, &p->base);
    if (st == BNR_OK && mark)
        mark->tensor = bnr__tensor_ref(v->tensor);
    for (size_t i = 0; i < b->n_loose; i++)
        bnr__tensor_unref(b->loose[i]);
    b->keep_loose = false;
    return st;
}

enum bnr_status bnr__build_nodes(struct build *b, struct scope *s, size_t n, Onnx__NodeProto **nodes) {
    // All outputs first: not every file has its nodes in order.
    for (size_t i = 0; i < n; i++) {
        if (!text_of(nodes[i]->op_type)[0])
            return bnr__fail(b->err, BNR_MALFORMED, "graph '%s': node %zu, '%s', has no operator",
                             s->graph->name, i, text_of(nodes[i]->name));
        BNR_TRY(define_outputs(b, s, nodes[i]));
    }
    for (size_t i = 0; i < n; i++)
        BNR_TRY(is_constant_node(nodes[i]) && !b->in_function ? add_constant(b, s, nodes[i])
                                                               : add_node(b, s, nodes[i]));
    return BNR_OK;
}

// ---- graphs and models ------------------------------------------------------------------------------

enum bnr_status bnr__build_graph(struct build *b, struct bnr_graph *g, const Onnx__GraphProto *p,
                                 const struct scope *outer) {
    struct scope s = {.graph = g, .outer = outer};
    bnr__map_init(&s.values, b->temp);
    g->name = bnr__arena_strdup(&b->m->arena, text_of(p->name));
    g->doc = bnr__arena_strdup(&b->m->arena, text_of(p->doc_string));
    // Most nodes have one output.
    const size_t n_values = p->n_input + p->n_initializer + p->n_node;
    if (!g->name || !g->doc || bnr__graph_reserve(g, n_values) != BNR_OK ||
        !bnr__map_reserve(&s.values, n_values) ||
        !bnr__names_reserve(b->m->names, n_values + n_values / 8 + p->n_node))
        return bnr__no_memory(b->err);
    BNR_TRY(add_inputs(b, &s, p));
    BNR_TRY(add_initializers(b, &s, p));
    BNR_TRY(bnr__build_nodes(b, &s, p->n_node, p->node));
    BNR_TRY(add_outputs(b, &s, p));
    return bnr__build_value_infos(b, &s, p->n_value_info, p->value_info);
}

static enum bnr_status check_inputs(const struct bnr_graph *g, struct bnr_error *err) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct bnr_type *t = g->inputs[i]->declared;
        if ((t->kind == BNR_KIND_TENSOR || t->kind == BNR_KIND_SPARSE) && t->dtype == BNR_UNDEFINED)
            return bnr__fail(err, BNR_MALFORMED, "graph input '%s' has no element type",
                             g->inputs[i]->name);
    }
    return BNR_OK;
}

static enum bnr_status lift_constants(struct bnr_graph *g, void *cx) {
    for (struct bnr_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (bnr__node_is(n, "", "Constant"))
            BNR_TRY(lift_constant(cx, n));
    }
    return BNR_OK;
}

static enum bnr_status read_header(struct build *b, const Onnx__ModelProto *p) {
    struct bnr_model *m = b->m;
    struct bnr_arena *arena = &m->arena;
    m->ir_version = p->ir_version;
    m->model_version = p->model_version;
    if (p->ir_version < 1)
        return bnr__fail(b->err, BNR_MALFORMED, "no IR version: not an ONNX model");
    if (p->ir_version > ONNX__VERSION__IR_VERSION)
        return bnr__fail(b->err, BNR_UNSUPPORTED, "IR version %lld, the newest one known is %d",
                         (long long)p->ir_version, (int)ONNX__VERSION__IR_VERSION);
    if (!p->graph)
        return bnr__fail(b->err, BNR_MALFORMED, "the model has no graph");
    if (p->ir_version >= 3 && !p->n_opset_import)
        return bnr__fail(b->err, BNR_MALFORMED, "the model imports no operator set");
    m->producer_name = bnr__arena_strdup(arena, text_of(p->producer_name));
    m->producer_version = bnr__arena_strdup(arena, text_of(p->producer_version));
    m->domain = bnr__arena_strdup(arena, text_of(p->domain));
    m->doc = bnr__arena_strdup(arena, text_of(p->doc_string));
    m->meta = BNR_NEW_ARRAY(arena, p->n_metadata_props, struct bnr_meta);
    if (!m->producer_name || !m->producer_version || !m->domain || !m->doc || !m->meta)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < p->n_metadata_props; i++) {
        struct bnr_meta *meta = &m->meta[m->n_meta++];
        meta->key = bnr__arena_strdup(arena, text_of(p->metadata_props[i]->key));
        meta->value = bnr__arena_strdup(arena, text_of(p->metadata_props[i]->value));
        if (!meta->key || !meta->value)
            return bnr__no_memory(b->err);
    }
    BNR_TRY(bnr__build_opsets(b, "the model", p->n_opset_import, p->opset_import, &m->opsets));
    m->n_opsets = p->n_opset_import;
    return BNR_OK;
}

enum bnr_status bnr__model_build(struct bnr_model *m, const Onnx__ModelProto *p,
                                 struct bnr_tensor_reader *r, struct bnr_error *err) {
    struct build b = {.m = m, .reader = r, .temp = r->temp, .err = err};
    BNR_TRY(read_header(&b, p));
    BNR_TRY(bnr__build_functions(&b, p->n_functions, p->functions));
    m->graph = bnr__graph_new(m, NULL);
    if (!m->graph)
        return bnr__no_memory(err);
    BNR_TRY(bnr__build_graph(&b, m->graph, p->graph, NULL));
    BNR_TRY(check_inputs(m->graph, err));
    BNR_TRY(bnr__model_inline_functions(m, err));
    BNR_TRY(bnr__model_each_graph(m, lift_constants, &b));
    BNR_TRY(bnr__graph_sort(m->graph, err));
    return bnr__model_verify(m, err);
}
