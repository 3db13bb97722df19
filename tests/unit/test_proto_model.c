// SPDX-License-Identifier: Apache-2.0
// Reading models: what becomes of names, nodes, constants, nested graphs, functions and imports, what is
// refused, and that every failed allocation is survived.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/onnx_file.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/proto_test.h"

static struct bnr_arena arena;
static const int64_t dims14[] = {1, 4};

static int setup(void **state) {
    (void)state;
    bnr__arena_init(&arena, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    bnr__arena_free(&arena);
    return 0;
}

static struct bnr_model *load(const Onnx__ModelProto *p) {
    struct bnr_model *m;
    struct bnr_error err;
    if (pb_load(&arena, p, &m, &err) != BNR_OK)
        fail_msg("%s", err.message);
    return m;
}

static void expect_refused(const Onnx__ModelProto *p, enum bnr_status code, const char *part) {
    struct bnr_model *m;
    struct bnr_error err;
    enum bnr_status st = pb_load(&arena, p, &m, &err);
    assert_null(m);
    if (st != code || !strstr(err.message, part) || strchr(err.message, '\n'))
        fail_msg("status %d with '%s', expected %d with '%s'", (int)st, err.message, (int)code, part);
}

// ---- what is built ----------------------------------------------------------------------------------

static void test_header(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena));
    assert_int_equal(m->ir_version, 8);
    assert_int_equal(m->model_version, 3);
    assert_string_equal(m->producer_name, "a test");
    assert_string_equal(m->doc, "a model's note");
    assert_int_equal(bnr__model_opset(m, ""), 17);
    assert_int_equal(bnr__model_opset(m, "ai.onnx"), 17);
    assert_int_equal(bnr__model_opset(m, "test.domain"), 2);
    assert_int_equal(m->n_meta, 1);
    assert_string_equal(m->meta[0].key, "author");
    assert_string_equal(m->graph->doc, "a graph's note");
    assert_string_equal(m->graph->name, "rich");
    bnr__model_free(m);
}

static void test_values(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena));
    struct bnr_graph *g = m->graph;
    assert_int_equal(g->n_inputs, 2);
    const struct bnr_value *x = g->inputs[0];
    assert_string_equal(x->name, "x");
    assert_int_equal(x->declared->dtype, BNR_FLOAT);
    assert_int_equal(x->declared->shape.rank, 2);
    assert_string_equal(x->declared->shape.dims[0].sym, "batch");
    assert_int_equal(x->declared->shape.dims[1].n, 10);
    assert_int_equal(g->inputs[1]->declared->shape.rank, 0);
    const struct bnr_value *w = bnr__value_find(g, "weight");
    assert_true(w->is_initializer && bnr__value_is_constant(w) && !w->is_input);
    assert_int_equal(w->tensor->numel, 300);
    assert_memory_equal(bnr__value_find(g, "nibbles")->tensor->i8, ((int8_t[]){1, 2, 3, 4, 5}), 5);
    assert_int_equal(bnr__value_find(g, "shape")->tensor->i64[1], -1);
    assert_true(bnr__value_find(g, "scale")->tensor->f32[3] == 4.5f);
    assert_int_equal(bnr__value_find(g, "words")->tensor->str[2].len, 5);
    assert_int_equal(bnr__value_find(g, "zero_by_four")->tensor->numel, 0);
    assert_true(bnr__value_find(g, "sparse")->tensor->f32[5] == 0.5f);
    const struct bnr_value *c = bnr__value_find(g, "c");
    assert_true(c->from_constant_node && c->tensor && !c->producer && bnr__value_is_constant(c));
    assert_int_equal(bnr__value_find(g, "chosen")->declared->shape.rank, 2); // from value_info
    assert_int_equal(g->n_outputs, 1);
    assert_string_equal(g->outputs[0]->name, "y");
    bnr__model_free(m);
}

static const struct bnr_node *find_op(const struct bnr_graph *g, const char *op) {
    for (const struct bnr_node *n = g->first; n; n = n->next)
        if (strcmp(n->op_type, op) == 0)
            return n;
    fail_msg("no node %s", op);
    return NULL;
}

static void test_nodes(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena));
    const struct bnr_node *n = find_op(m->graph, "Everything");
    assert_string_equal(n->domain, "test.domain");
    assert_int_equal(n->opset, 2);
    assert_int_equal(n->n_in, 3);
    assert_null(n->in[1]); // omitted
    assert_string_equal(n->in[2]->name, "weight");
    assert_int_equal(n->n_out, 3);
    assert_null(n->out[1]); // unwanted
    size_t count;
    const int64_t *ints = bnr__attr_ints(n, "ints", &count);
    assert_int_equal(count, 2);
    assert_true(ints[0] == -7 && ints[1] == INT64_MAX);
    assert_true(bnr__attr_floats(n, "floats", &count)[0] == 1.25f);
    const struct bnr_attr *a = bnr__attr(n, "strings");
    assert_true(a->type == BNR_ATTR_STRINGS && a->n == 1 && a->strings[0].len == 3);
    assert_memory_equal(a->strings[0].ptr, "abc", 4); // with its NUL
    a = bnr__attr(n, "tensors");
    assert_true(a->type == BNR_ATTR_TENSORS && a->n == 1 && a->tensors[0]->numel == 300);
    a = bnr__attr(n, "type");
    assert_true(a->type == BNR_ATTR_TYPE_PROTO && a->types[0].dtype == BNR_DOUBLE);
    bnr__model_free(m);
}

static void test_nested_graphs(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena));
    const struct bnr_node *n = find_op(m->graph, "If");
    struct bnr_graph *branches[] = {bnr__attr_graph(n, "then_branch"), bnr__attr_graph(n, "else_branch")};
    for (int i = 0; i < 2; i++) {
        struct bnr_graph *g = branches[i];
        assert_non_null(g);
        assert_ptr_equal(g->owner, n);
        assert_int_equal(g->n_nodes, 1); // the Constant became a value
        assert_string_equal(g->first->in[0]->name, "h");
        assert_ptr_equal(g->first->in[0]->graph, m->graph);
        assert_true(g->first->in[1]->tensor->f32[0] == 0.25f);
        assert_int_equal(g->first->in[1]->tensor->rank, 0);
        assert_int_equal(g->n_outputs, 1);
    }
    bnr__model_free(m);
}

static void test_functions(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena));
    const struct bnr_node *leaky = find_op(m->graph, "LeakyRelu");
    assert_true(bnr__attr_float(leaky, "alpha", 0) == 0.125f); // bound
    assert_string_equal(leaky->in[0]->name, "x");
    assert_int_equal(leaky->opset, 17);
    const struct bnr_node *add = find_op(m->graph, "Add");
    assert_ptr_equal(add->in[0], leaky->out[0]);
    assert_string_equal(add->out[0]->name, "h");
    bnr__model_free(m);
}

// A function may import another version of a domain than the model does.
static void test_function_opset(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_rich_model(&arena);
    p->functions[0]->opset_import[0]->version = 15;
    struct bnr_model *m = load(p);
    assert_int_equal(find_op(m->graph, "LeakyRelu")->opset, 15);
    assert_int_equal(find_op(m->graph, "Mul")->opset, 17);
    bnr__model_free(m);
}

// A Constant whose value is a parameter of its function.
static void test_constant_in_function(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_rich_model(&arena);
    Onnx__NodeProto *n = pb_node(&arena, "Constant", "", "k");
    Onnx__AttributeProto *value = pb_attr(&arena, "value_float", BNR_ATTR_FLOAT);
    value->ref_attr_name = pb_text("slope");
    PB_PUSH(&arena, n, attribute, value);
    PB_PUSH(&arena, p->functions[0], node, n);
    p->functions[0]->node[1]->input[1] = pb_text("k");
    struct bnr_model *m = load(p);
    const struct bnr_node *add = find_op(m->graph, "Add");
    assert_non_null(add->in[1]->tensor);
    assert_true(add->in[1]->tensor->f32[0] == 0.125f);
    bnr__model_free(m);
}

// Nodes may stand in any order.
static void test_order(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    p->graph->node[0] = pb_node(&arena, "Relu", "b", "y");
    PB_PUSH(&arena, p->graph, node, pb_node(&arena, "Relu", "a", "b"));
    PB_PUSH(&arena, p->graph, node, pb_node(&arena, "Relu", "x", "a"));
    struct bnr_model *m = load(p);
    assert_string_equal(m->graph->first->in[0]->name, "x");
    assert_string_equal(m->graph->last->out[0]->name, "y");
    bnr__model_free(m);
    p->graph->node[2]->input[0] = pb_text("y");
    expect_refused(p, BNR_MALFORMED, "cycle");
}

// A nested graph may hide names of the graphs around it; values have names of their own.
static void test_hiding(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    Onnx__NodeProto *n = pb_node(&arena, "If", "flag", "y");
    Onnx__GraphProto *body = pb_graph(&arena, "body");
    PB_PUSH(&arena, body, node, pb_node(&arena, "Relu", "x", "y")); // y: also outside
    PB_PUSH(&arena, body, node, pb_node(&arena, "Relu", "y", "flag"));
    PB_PUSH(&arena, body, output, pb_value(&arena, "flag", BNR_FLOAT, -1, NULL));
    Onnx__AttributeProto *a = pb_attr(&arena, "then_branch", BNR_ATTR_GRAPH);
    a->g = body;
    PB_PUSH(&arena, n, attribute, a);
    Onnx__GraphProto *other = pb_graph(&arena, "other"); // returns a value from outside
    PB_PUSH(&arena, other, output, pb_value(&arena, "x", BNR_FLOAT, -1, NULL));
    a = pb_attr(&arena, "else_branch", BNR_ATTR_GRAPH);
    a->g = other;
    PB_PUSH(&arena, n, attribute, a);
    PB_PUSH(&arena, p->graph, input, pb_value(&arena, "flag", BNR_BOOL, 0, NULL));
    p->graph->node[0] = n;
    struct bnr_model *m = load(p);
    struct bnr_graph *g = bnr__attr_graph(m->graph->first, "then_branch");
    assert_ptr_equal(g->first->next->in[0], g->first->out[0]);
    assert_ptr_equal(g->outputs[0], g->last->out[0]);
    assert_ptr_not_equal(g->outputs[0], m->graph->inputs[1]);
    assert_ptr_equal(g->first->in[0], m->graph->inputs[0]);
    g = bnr__attr_graph(m->graph->first, "else_branch");
    assert_int_equal(g->n_outputs, 1);
    assert_ptr_equal(g->outputs[0]->graph, g);
    bnr__model_free(m);
}

static void test_overridable(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    PB_PUSH(&arena, p->graph, initializer, pb_floats(&arena, "x", 2, dims14));
    struct bnr_model *m = load(p);
    assert_true(m->graph->inputs[0]->tensor && m->graph->inputs[0]->is_input);
    assert_false(bnr__value_is_constant(m->graph->inputs[0]));
    bnr__model_free(m);
    p->ir_version = 3;
    m = load(p);
    assert_true(bnr__value_is_constant(m->graph->inputs[0]));
    bnr__model_free(m);
    // The declaration must agree.
    p->graph->input[0]->type->tensor_type->elem_type = BNR_DOUBLE;
    expect_refused(p, BNR_MALFORMED, "'x' is float32");
}

static void test_ir_versions(void **state) {
    (void)state;
    for (int v = 1; v <= 14; v++) {
        Onnx__ModelProto *p = pb_relu_model(&arena);
        p->ir_version = v;
        if (v < 3)
            p->n_opset_import = 0;
        struct bnr_model *m = load(p);
        assert_int_equal(m->graph->first->opset, v < 3 ? 1 : 17);
        bnr__model_free(m);
    }
    Onnx__ModelProto *p = pb_relu_model(&arena);
    p->ir_version = 15;
    expect_refused(p, BNR_UNSUPPORTED, "IR version 15");
    p->ir_version = 0;
    expect_refused(p, BNR_MALFORMED, "IR version");
    p->ir_version = -1;
    expect_refused(p, BNR_MALFORMED, "IR version");
    p->ir_version = 8;
    p->n_opset_import = 0;
    expect_refused(p, BNR_MALFORMED, "imports no");
}

// Attributes of IR version 1 have no type.
static void test_untyped_attributes(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    Onnx__NodeProto *n = p->graph->node[0];
    p->ir_version = 1;
    p->n_opset_import = 0;
    Onnx__AttributeProto *a = pb_attr(&arena, "ints", 0);
    a->has_type = 0;
    PB_PUSH(&arena, a, ints, 5);
    PB_PUSH(&arena, n, attribute, a);
    a = pb_attr(&arena, "f", 0);
    a->has_f = 1;
    a->f = 2.5f;
    PB_PUSH(&arena, n, attribute, a);
    struct bnr_model *m = load(p);
    size_t count;
    assert_true(bnr__attr_ints(m->graph->first, "ints", &count)[0] == 5);
    assert_true(bnr__attr_float(m->graph->first, "f", 0) == 2.5f);
    bnr__model_free(m);
    a->has_f = 0;
    expect_refused(p, BNR_MALFORMED, "attribute 'f'");
}

static void test_types(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    Onnx__TypeProto sequence = ONNX__TYPE_PROTO__INIT, optional = ONNX__TYPE_PROTO__INIT;
    Onnx__TypeProto map = ONNX__TYPE_PROTO__INIT, opaque = ONNX__TYPE_PROTO__INIT;
    Onnx__TypeProto__Sequence s = ONNX__TYPE_PROTO__SEQUENCE__INIT;
    Onnx__TypeProto__Optional o = ONNX__TYPE_PROTO__OPTIONAL__INIT;
    Onnx__TypeProto__Map k = ONNX__TYPE_PROTO__MAP__INIT;
    Onnx__TypeProto__Opaque q = ONNX__TYPE_PROTO__OPAQUE__INIT;
    s.elem_type = pb_value(&arena, "", BNR_FLOAT, 1, (int64_t[]){3})->type;
    sequence.value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
    sequence.sequence_type = &s;
    o.elem_type = &sequence;
    optional.value_case = ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
    optional.optional_type = &o;
    k.has_key_type = 1;
    k.key_type = BNR_STRING;
    k.value_type = &optional;
    map.value_case = ONNX__TYPE_PROTO__VALUE_MAP_TYPE;
    map.map_type = &k;
    p->graph->input[0]->type = &map;
    struct bnr_model *m = load(p);
    const struct bnr_type *t = m->graph->inputs[0]->declared;
    assert_true(t->kind == BNR_KIND_MAP && t->dtype == BNR_STRING);
    assert_true(t->elem->kind == BNR_KIND_OPTIONAL && t->elem->elem->kind == BNR_KIND_SEQUENCE);
    assert_true(t->elem->elem->elem->dtype == BNR_FLOAT && t->elem->elem->elem->shape.dims[0].n == 3);
    bnr__model_free(m);
    opaque.value_case = ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE;
    opaque.opaque_type = &q;
    q.name = pb_text("Blob");
    p->graph->input[0]->type = &opaque;
    expect_refused(p, BNR_UNSUPPORTED, "Blob");
}

// ---- what is refused --------------------------------------------------------------------------------

static void test_refused_graphs(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    p->graph = NULL;
    expect_refused(p, BNR_MALFORMED, "no graph");
    p = pb_relu_model(&arena);
    p->graph->node[0]->input[0] = pb_text("nope");
    expect_refused(p, BNR_MALFORMED, "'nope'");
    p = pb_relu_model(&arena);
    p->graph->output[0]->name = pb_text("nope");
    expect_refused(p, BNR_MALFORMED, "'nope'");
    p = pb_relu_model(&arena);
    p->graph->node[0]->op_type = NULL;
    expect_refused(p, BNR_MALFORMED, "node 0");
    p = pb_relu_model(&arena);
    p->opset_import[0]->domain = pb_text("bnrun"); // whose operators trust their makers
    expect_refused(p, BNR_UNSUPPORTED, "imports domain 'bnrun'");
    p = pb_relu_model(&arena);
    p->graph->node[0]->output[0] = pb_text("x");
    expect_refused(p, BNR_MALFORMED, "'x' is defined twice");
    p = pb_relu_model(&arena);
    PB_PUSH(&arena, p->graph, input, pb_value(&arena, "x", BNR_FLOAT, -1, NULL));
    expect_refused(p, BNR_MALFORMED, "'x'");
    p = pb_relu_model(&arena);
    PB_PUSH(&arena, p->graph, input, pb_value(&arena, NULL, BNR_FLOAT, -1, NULL));
    expect_refused(p, BNR_MALFORMED, "no name");
    p = pb_relu_model(&arena);
    PB_PUSH(&arena, p->graph, initializer, pb_floats(&arena, "w", 2, dims14));
    PB_PUSH(&arena, p->graph, initializer, pb_floats(&arena, "w", 2, dims14));
    expect_refused(p, BNR_MALFORMED, "initializer 'w'");
    p = pb_relu_model(&arena);
    PB_PUSH(&arena, p->graph, initializer, pb_floats(&arena, "", 2, dims14));
    expect_refused(p, BNR_MALFORMED, "no name");
    p = pb_relu_model(&arena);
    p->graph->input[0]->type->tensor_type->elem_type = 0;
    expect_refused(p, BNR_MALFORMED, "'x' has no element type");
    p->graph->input[0]->type->tensor_type->elem_type = 99;
    expect_refused(p, BNR_MALFORMED, "99");
    p = pb_relu_model(&arena);
    p->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = -5;
    expect_refused(p, BNR_MALFORMED, "-5");
    p->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = -1; // unknown, say some exporters
    bnr__model_free(load(p));
}

static void test_refused_attributes(void **state) {
    (void)state;
    const struct {
        int type;
        const char *part;
    } empty[] = {
        {BNR_ATTR_TENSOR, "no tensor"},   {BNR_ATTR_GRAPH, "no graph"}, {BNR_ATTR_SPARSE_TENSOR, "no sparse"},
        {BNR_ATTR_TYPE_PROTO, "no type"}, {15, "not known"},            {0, "not known"},
    };
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        Onnx__ModelProto *p = pb_relu_model(&arena);
        PB_PUSH(&arena, p->graph->node[0], attribute, pb_attr(&arena, "bad", empty[i].type));
        expect_refused(p, BNR_MALFORMED, empty[i].part);
    }
    Onnx__ModelProto *p = pb_relu_model(&arena);
    Onnx__AttributeProto *a = pb_attr(&arena, "ref", BNR_ATTR_INT);
    a->ref_attr_name = pb_text("outer");
    PB_PUSH(&arena, p->graph->node[0], attribute, a);
    expect_refused(p, BNR_MALFORMED, "'ref'");
    p = pb_relu_model(&arena);
    PB_PUSH(&arena, p->graph->node[0], attribute, pb_attr(&arena, "twice", BNR_ATTR_INT));
    PB_PUSH(&arena, p->graph->node[0], attribute, pb_attr(&arena, "twice", BNR_ATTR_INT));
    expect_refused(p, BNR_MALFORMED, "'twice' appears twice");
    // Constants
    p = pb_relu_model(&arena);
    p->graph->node[0] = pb_node(&arena, "Constant", "", "y");
    expect_refused(p, BNR_MALFORMED, "Constant");
    a = pb_attr(&arena, "value", BNR_ATTR_GRAPH);
    a->g = pb_graph(&arena, "g");
    PB_PUSH(&arena, p->graph->node[0], attribute, a);
    expect_refused(p, BNR_MALFORMED, "is a graph");
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    a->t = pb_floats(&arena, "", 2, dims14);
    bnr__model_free(load(p));
    p->graph->node[0]->n_output = 0;
    p->graph->n_output = 0;
    expect_refused(p, BNR_MALFORMED, "Constant");
}

static void test_refused_functions(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_rich_model(&arena);
    PB_PUSH(&arena, p, functions, p->functions[0]);
    expect_refused(p, BNR_MALFORMED, "'local.Twice' is defined twice");
    p = pb_rich_model(&arena);
    p->functions[0]->node[1]->op_type = pb_text("Twice");
    p->functions[0]->node[1]->domain = pb_text("local");
    p->functions[0]->node[1]->n_input = 1;
    PB_PUSH(&arena, p->functions[0], opset_import, p->opset_import[2]);
    struct bnr_model *m;
    struct bnr_error err;
    assert_int_not_equal(pb_load(&arena, p, &m, &err), BNR_OK); // calls itself
    p = pb_rich_model(&arena);
    p->functions[0]->output[0] = pb_text("nope");
    expect_refused(p, BNR_MALFORMED, "'nope'");
    p = pb_rich_model(&arena);
    p->functions[0]->node[0]->input[0] = pb_text("weight"); // bodies do not see the graph
    expect_refused(p, BNR_MALFORMED, "'weight'");
}

static void test_refused_imports(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    p->opset_import[0]->version = 0;
    expect_refused(p, BNR_MALFORMED, "version 0");
    p->opset_import[0]->version = (int64_t)1 << 40;
    expect_refused(p, BNR_MALFORMED, "1099511627776");
    p = pb_relu_model(&arena);
    PB_PUSH(&arena, p, opset_import, p->opset_import[0]);
    expect_refused(p, BNR_MALFORMED, "twice");
}

// ---- files ------------------------------------------------------------------------------------------

static void test_files(void **state) {
    (void)state;
    char folder[256], path[300];
    struct bnr_model *m;
    struct bnr_error err;
    test_folder_make(folder);
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    assert_int_equal(bnr__model_read_file(&m, path, NULL, &err), BNR_IO);
    assert_ptr_equal(strstr(err.message, path), err.message);
    assert_non_null(strstr(err.message, "No such file"));
    write_bytes(path, "", 0);
    assert_int_equal(bnr__model_read_file(&m, path, NULL, &err), BNR_MALFORMED);
    assert_non_null(strstr(err.message, "empty"));
    assert_int_equal(bnr__model_read_file(&m, folder, NULL, &err), BNR_IO);
    assert_non_null(strstr(err.message, "folder"));
    assert_int_equal(bnr__model_read_file(&m, "/dev/null", NULL, &err), BNR_IO);
    write_bytes(path, "PK\3\4 not a model at all", 24);
    assert_int_equal(bnr__model_read_file(&m, path, NULL, &err), BNR_MALFORMED);
    assert_int_equal(bnr__model_read_memory(&m, "", 0, NULL, &err), BNR_MALFORMED);
    test_folder_remove(folder);
}

static void test_pipe(void **state) {
    (void)state;
    char folder[256], path[300];
    struct bnr_model *m;
    struct bnr_error err;
    size_t size;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    PB_PUSH(&arena, p->graph, initializer, pb_floats(&arena, "w", 1, (int64_t[]){100000}));
    uint8_t *bytes = pb_pack(&arena, p, &size);
    test_folder_make(folder);
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0666), 0);
    if (fork() == 0) { // the writer
        write_bytes(path, bytes, size);
        _exit(0);
    }
    if (bnr__model_read_file(&m, path, NULL, &err) != BNR_OK)
        fail_msg("%s", err.message);
    assert_true(bnr__tensor_f64(bnr__value_find(m->graph, "w")->tensor, 99999) == 0.5 * 99999);
    bnr__model_free(m);
    test_folder_remove(folder);
}

// ---- memory -----------------------------------------------------------------------------------------

static void test_allocation_failures(void **state) {
    (void)state;
    char folder[256], path[300];
    size_t size;
    uint8_t *bytes = pb_pack(&arena, pb_rich_model(&arena), &size);
    test_folder_make(folder);
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    write_bytes(path, bytes, size);
    for (int from_file = 0; from_file < 2; from_file++)
        for (long k = 0;; k++) {
            struct fault_alloc f;
            struct bnr_model *m;
            struct bnr_error err;
            fault_alloc_init(&f, k);
            enum bnr_status st = from_file ? bnr__model_read_file(&m, path, &f.allocator, &err)
                                           : bnr__model_read_memory(&m, bytes, size, &f.allocator, &err);
            if (st == BNR_OK)
                bnr__model_free(m);
            else if (st != BNR_NO_MEMORY || m)
                fail_msg("allocation %ld: status %d, %s", k, (int)st, err.message);
            assert_int_equal(f.live_bytes, 0);
            assert_int_equal(f.live_blocks, 0);
            if (st == BNR_OK && f.calls <= k)
                break; // nothing failed any more
        }
    test_folder_remove(folder);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_header),
        TEST(test_values),
        TEST(test_nodes),
        TEST(test_nested_graphs),
        TEST(test_functions),
        TEST(test_function_opset),
        TEST(test_constant_in_function),
        TEST(test_order),
        TEST(test_hiding),
        TEST(test_overridable),
        TEST(test_ir_versions),
        TEST(test_untyped_attributes),
        TEST(test_types),
        TEST(test_refused_graphs),
        TEST(test_refused_attributes),
        TEST(test_refused_functions),
        TEST(test_refused_imports),
        TEST(test_files),
        TEST(test_pipe),
        TEST(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
