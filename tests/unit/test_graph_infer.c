// SPDX-License-Identifier: Apache-2.0
// Binding to operators, inference over graphs and bodies, evaluation of what is constant.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/graph_build.h"

static struct bnr_model *m;
static struct bnr_graph *g;
static struct fault_alloc memory;
static struct bnr_error err;

static int setup(void **state) {
    fault_alloc_init(&memory, -1);
    m = build_model(&memory.allocator, 13);
    g = m->graph;
    return 0;
}

static int teardown(void **state) {
    bnr__model_free(m);
    return memory.live_blocks == 0 ? 0 : -1;
}

static void infer_all(void) {
    memset(&err, 0, sizeof err);
    if (bnr__model_infer(m, &err) != BNR_OK)
        fail_msg("%s", err.message);
    check_valid(m);
}

static void expect_type(const struct bnr_info *info, const char *expected) {
    char seen[200];
    assert_string_equal(bnr__type_describe(&info->type, seen, sizeof seen), expected);
}

static struct bnr_value *ints(const char *name, int n, const int64_t *data) {
    return build_constant_i64(g, name, 1, (int64_t[]){n}, data);
}

// ---- binding ----------------------------------------------------------------------------------------

static void expect_refused(const char *words) {
    enum bnr_status st = bnr__model_resolve(m, NULL, &err);
    assert_true(st == BNR_MALFORMED || st == BNR_SHAPE);
    if (!strstr(err.message, words))
        fail_msg("'%s' not in '%s'", words, err.message);
}

static void test_resolve_reports_what_is_missing(void **state) {
    size_t missing;
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    struct bnr_value *y = build_node(g, "Relu", "y", x, NULL, NULL);
    struct bnr_value *z = build_node(g, "NoSuchThing", "z", x, NULL, NULL);
    struct bnr_graph *body = build_body(z->producer, "body");
    struct bnr_value *v = build_node(body, "Relu", "v", x, NULL, NULL);
    struct bnr_value *u = build_node(body, "HardSwish", "u", x, NULL, NULL);
    v->producer->opset = 99;
    u->producer->opset = 13;
    v->producer->name = v->producer->label = "bad\nname";
    struct bnr_node *other;
    bnr__model_add_opset(m, "com.acme", 2);
    bnr__node_new(&other, body, NULL, "com.acme", "Foo", "foo", 0, NULL, 0, NULL);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(bnr__model_resolve(m, &missing, &err), BNR_OK);
        assert_int_equal(missing, 4);
        assert_int_equal(m->n_missing, 4);
        assert_string_equal(m->missing[0], "node 'NoSuchThing#1': ai.onnx NoSuchThing, opset 13");
        assert_memory_equal(m->missing[1], "node 'bad?name': ai.onnx Relu, opset 99 is newer than 2", 55);
        assert_string_equal(m->missing[2], "node 'HardSwish#3': ai.onnx HardSwish, opset 13: the operator "
                                           "exists from opset 14 on");
        assert_string_equal(m->missing[3], "node 'foo': com.acme Foo, opset 2");
    }
    assert_non_null(y->producer->op);
    assert_int_equal(y->producer->since, 13);
    assert_null(v->producer->op);
    y->producer->opset = 6;
    v->producer->opset = 14;
    assert_int_equal(bnr__model_resolve(m, &missing, &err), BNR_OK);
    assert_int_equal(y->producer->since, 6);
    assert_int_equal(v->producer->since, 14);
    assert_int_equal(missing, 3);
}

static void test_resolve_needs_imports(void **state) {
    struct bnr_node *n;
    bnr__node_new(&n, g, NULL, "com.acme", "Foo", "foo", 0, NULL, 0, NULL);
    expect_refused("domain 'com.acme' is not among the opset imports");
}

static void test_resolve_counts_inputs(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    struct bnr_value *y = build_node(g, "Relu", "y", x, x, NULL);
    expect_refused("has 2 inputs, expected 1 to 1");
    bnr__node_set_input(y->producer, 1, NULL); // "" at the end does not count
    assert_int_equal(bnr__model_resolve(m, NULL, &err), BNR_OK);
    assert_int_equal(y->producer->n_in, 1);
    bnr__node_set_input(y->producer, 0, NULL);
    expect_refused("has 0 inputs");
    bnr__node_set_input(y->producer, 0, x);
    struct bnr_value *z = build_node(g, "Add", "z", x, x, NULL);
    bnr__node_set_input(z->producer, 0, NULL);
    expect_refused("input 0 is left out");
    check_valid(m);
}

static void test_resolve_counts_outputs(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    struct bnr_value *y = build_node(g, "Relu", "y", x, NULL, NULL), *extra;
    struct bnr_node *n;
    // A required output that the file does not name is made.
    assert_int_equal(bnr__node_new(&n, g, NULL, "", "Relu", "none", 1, &x, 0, NULL), BNR_OK);
    assert_int_equal(bnr__model_resolve(m, NULL, &err), BNR_OK);
    assert_int_equal(n->n_out, 1);
    assert_non_null(n->out[0]);
    assert_ptr_equal(n->out[0]->producer, n);
    check_valid(m);
    assert_int_equal(bnr__node_new(&n, g, NULL, "", "Relu", "two", 1, &x, 2, NULL), BNR_OK);
    assert_int_equal(bnr__model_resolve(m, NULL, &err), BNR_OK); // the second is unwanted
    assert_int_equal(bnr__value_new(&extra, g, NULL, NULL), BNR_OK);
    bnr__node_set_output(n, 1, extra);
    expect_refused("has 2 outputs, expected 1 to 1");
    (void)y;
}

static void test_resolve_checks_attributes(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    struct bnr_value *y = build_node(g, "Flatten", "y", x, NULL, NULL);
    assert_int_equal(bnr__node_set_attr_float(y->producer, "axis", 1), BNR_OK);
    expect_refused("axis");
}

// ---- types ------------------------------------------------------------------------------------------

static void test_symbols_flow(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 3, (int64_t[]){-1, 3, -2});
    struct bnr_value *y = build_node(g, "Relu", "y", x, NULL, NULL);
    struct bnr_value *z = build_node(g, "Add", "z", x, y, NULL);
    build_output(g, z);
    infer_all();
    expect_type(z->info, "float32[a,3,b]");
    assert_ptr_equal(z->info->type.shape.dims[2].sym, x->declared->shape.dims[2].sym);
    assert_null(z->info->tensor);
}

// y = Reshape(x, Concat(Gather(Shape(x), 0), [k])): dims travel as elements.
static struct bnr_value *reshape_by_shape(struct bnr_value *x, int64_t last) {
    struct bnr_value *shape = build_node(g, "Shape", "shape", x, NULL, NULL);
    struct bnr_value *first = build_node(g, "Gather", "first", shape, ints("i", 1, (int64_t[]){0}), NULL);
    struct bnr_value *dims = build_node(g, "Concat", "dims", first, ints("k", 1, &last), NULL);
    bnr__node_set_attr_int(dims->producer, "axis", 0);
    struct bnr_value *y = build_node(g, "Reshape", "y", x, dims, NULL);
    build_output(g, y);
    return y;
}

static void test_shape_arithmetic_with_symbols(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 3, (int64_t[]){-1, 3, 4});
    struct bnr_value *y = reshape_by_shape(x, 12);
    infer_all();
    expect_type(y->info, "float32[a,12]");
    const struct bnr_value *dims = bnr__value_find(g, "dims");
    assert_null(dims->info->tensor);
    assert_int_equal(dims->info->n_elems, 2);
    assert_ptr_equal(dims->info->elems[0].sym, x->declared->shape.dims[0].sym);
    assert_int_equal(dims->info->elems[1].n, 12);
}

static void test_shape_arithmetic_with_numbers(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 3, (int64_t[]){2, 3, 4});
    struct bnr_value *y = reshape_by_shape(x, -1);
    infer_all();
    expect_type(y->info, "float32[2,12]");
    const struct bnr_value *dims = bnr__value_find(g, "dims");
    assert_non_null(dims->info->tensor);
    assert_int_equal(dims->info->tensor->i64[0], 2);
    assert_int_equal(dims->info->tensor->i64[1], -1);
    assert_null(y->info->tensor); // depends on x
}

static void test_small_constants_are_evaluated(void **state) {
    // Float arithmetic on the way, which no operator's inference follows by elements.
    const float half[1] = {0.5f};
    struct bnr_value *k = ints("k", 2, (int64_t[]){6, 8});
    struct bnr_value *f = build_node(g, "Sqrt", "f", build_constant_f32(g, "h", 1, (int64_t[]){1}, half),
                                     NULL, NULL);
    struct bnr_value *e = build_node(g, "Mul", "e", f, f, NULL);
    struct bnr_value *n = build_node(g, "Neg", "n", k, NULL, NULL);
    infer_all();
    assert_non_null(e->info->tensor);
    assert_true(e->info->tensor->f32[0] > 0.4999f && e->info->tensor->f32[0] < 0.5001f);
    assert_int_equal(n->info->tensor->i64[1], -8);
    const long long before = memory.live_bytes;
    for (int i = 0; i < 20; i++) // what the last inference found is released
        infer_all();
    assert_true(memory.live_bytes == before);
}

static void test_large_constants_are_left_to_folding(void **state) {
    struct bnr_tensor *t;
    struct bnr_value *k, *small;
    assert_int_equal(bnr__tensor_new(&t, m->allocator, BNR_FLOAT, 1, (int64_t[]){1025}, NULL), BNR_OK);
    assert_int_equal(bnr__value_constant(&k, g, "k", t, NULL), BNR_OK);
    struct bnr_value *y = build_node(g, "Relu", "y", k, NULL, NULL);
    assert_int_equal(bnr__tensor_new(&t, m->allocator, BNR_FLOAT, 1, (int64_t[]){1024}, NULL), BNR_OK);
    memset(t->data, 0, t->nbytes);
    assert_int_equal(bnr__value_constant(&small, g, "small", t, NULL), BNR_OK);
    struct bnr_value *z = build_node(g, "Relu", "z", small, NULL, NULL);
    infer_all();
    expect_type(y->info, "float32[1025]");
    assert_null(y->info->tensor);
    assert_non_null(z->info->tensor);
}

// ---- what the file says -----------------------------------------------------------------------------

static struct bnr_type declare(enum bnr_dtype dtype, int rank, const int64_t *dims) {
    struct bnr_type t = {.dtype = dtype, .shape = {.rank = -1}};
    if (rank >= 0)
        t.shape = bnr__shape_of(rank, dims);
    return t;
}

static void test_stale_value_info_is_ignored(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 2, (int64_t[]){-1, 4});
    struct bnr_value *y = build_node(g, "Relu", "y", x, NULL, NULL);
    struct bnr_value *z = build_node(g, "Neg", "z", y, NULL, NULL);
    build_output(g, z);
    *bnr__value_declare(y) = declare(BNR_DOUBLE, 3, (int64_t[]){1, 2, 3});
    *bnr__value_declare(z) = declare(BNR_FLOAT, 2, (int64_t[]){7, 5}); // dims of outputs, too
    infer_all();
    expect_type(y->info, "float32[a,4]");
    expect_type(z->info, "float32[a,4]");
    // Another dtype of an output is an error that names it and both types.
    bnr__value_declare(z)->dtype = BNR_INT32;
    assert_int_equal(bnr__model_infer(m, &err), BNR_SHAPE);
    assert_non_null(strstr(err.message, "'z' is float32[a,4], but declared as int32[7,5]"));
}

static void test_declared_types_fill_gaps(void **state) {
    // Nothing is known of x but what later values declare.
    struct bnr_value *x = build_input(g, "x", BNR_UNDEFINED, -1, NULL);
    struct bnr_value *y = build_node(g, "Relu", "y", x, NULL, NULL);
    struct bnr_value *z = build_node(g, "NoSuchThing", "z", y, NULL, NULL);
    *bnr__value_declare(y) = declare(BNR_FLOAT, 2, (int64_t[]){1, 2});
    *bnr__value_declare(z) = declare(BNR_INT32, 2, (int64_t[]){3, 4});
    infer_all();
    expect_type(y->info, "float32[?,?]"); // dtype and rank, but not dims, which may be stale
    expect_type(z->info, "int32[3,4]");   // all there is for an operator that is not known
}

static void test_inputs_with_defaults(void **state) {
    const float data[4] = {1, 2, 3, 4};
    struct bnr_value *k = build_constant_f32(g, "k", 1, (int64_t[]){4}, data);
    assert_int_equal(bnr__graph_add_input(g, k, NULL), BNR_OK);
    struct bnr_value *y = build_node(g, "Neg", "y", k, NULL, NULL);
    infer_all();
    assert_null(k->info->tensor); // may be overridden
    expect_type(k->info, "float32[4]");
    assert_null(y->info->tensor);
    m->freeze_initializers = true;
    infer_all();
    assert_ptr_equal(k->info->tensor, k->tensor);
    assert_true(y->info->tensor->f32[3] == -4);
    m->freeze_initializers = false;
    *bnr__value_declare(k) = declare(BNR_FLOAT, 1, (int64_t[]){5});
    assert_int_equal(bnr__model_infer(m, &err), BNR_SHAPE);
    assert_non_null(strstr(err.message, "'k' is float32[4], but declared as float32[5]"));
    *bnr__value_declare(k) = declare(BNR_INT8, -1, NULL);
    assert_int_equal(bnr__model_infer(m, &err), BNR_SHAPE);
    m->ir_version = 3; // constant: what it is counts, but not as another dtype
    assert_int_equal(bnr__model_infer(m, &err), BNR_SHAPE);
    *bnr__value_declare(k) = declare(BNR_FLOAT, 1, (int64_t[]){5});
    infer_all();
    expect_type(k->info, "float32[4]");
}

static void test_errors_name_the_node(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    struct bnr_value *y = build_input(g, "y", BNR_FLOAT, 1, (int64_t[]){5});
    build_node(g, "Add", "z", x, y, NULL);
    assert_int_equal(bnr__model_infer(m, &err), BNR_SHAPE);
    assert_non_null(strstr(err.message, "Add#0"));
}

static void test_tensors_only(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_UNDEFINED, -1, NULL);
    bnr__value_declare(x)->kind = BNR_KIND_SEQUENCE;
    struct bnr_value *y = build_node(g, "Identity", "y", x, NULL, NULL);
    infer_all();
    expect_type(y->info, "seq(?)");
    build_node(g, "Relu", "z", y, NULL, NULL);
    assert_int_equal(bnr__model_infer(m, &err), BNR_SHAPE);
    assert_non_null(strstr(err.message, "expected a tensor"));
}

// ---- tables -----------------------------------------------------------------------------------------

static void test_table(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 3, (int64_t[]){-1, 3, 4});
    struct bnr_value *y = reshape_by_shape(x, -1);
    infer_all();
    struct bnr_arena arena;
    struct bnr_infer_table table;
    bnr__arena_init(&arena, &memory.allocator);
    for (int64_t n = 1; n < 4; n++) {
        assert_int_equal(bnr__infer_table_init(&table, m, &arena), BNR_OK);
        table.infos[x->id].type = declare(BNR_FLOAT, 3, (int64_t[]){n, 3, 4});
        assert_int_equal(bnr__graph_infer(g, &table, &err), BNR_OK);
        assert_int_equal(table.infos[y->id].type.shape.dims[0].n, n);
        assert_int_equal(table.infos[y->id].type.shape.dims[1].n, 12);
        const struct bnr_value *dims = bnr__value_find(g, "dims");
        assert_int_equal(table.infos[dims->id].tensor->i64[0], n);
        bnr__infer_table_free(&table);
    }
    expect_type(y->info, "float32[a,12]"); // the model's own infos are as they were
    bnr__arena_free(&arena);
}

static void test_table_does_not_believe_declared_ranks(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_UNDEFINED, -1, NULL);
    struct bnr_value *y = build_node(g, "Relu", "y", x, NULL, NULL);
    *bnr__value_declare(y) = declare(BNR_FLOAT, 2, (int64_t[]){1, 2});
    struct bnr_arena arena;
    struct bnr_infer_table table;
    bnr__arena_init(&arena, &memory.allocator);
    assert_int_equal(bnr__infer_table_init(&table, m, &arena), BNR_OK);
    assert_int_equal(bnr__graph_infer(g, &table, &err), BNR_OK);
    expect_type(&table.infos[y->id], "float32[...]");
    bnr__infer_table_free(&table);
    bnr__arena_free(&arena);
}

static void test_one_node(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    infer_all();
    struct bnr_value *y = build_node(g, "Neg", "y", x, NULL, NULL);
    expect_type(y->info, "?[...]");
    assert_int_equal(bnr__node_infer(y->producer, NULL, &err), BNR_OK);
    expect_type(y->info, "float32[4]");
}

// ---- bodies -----------------------------------------------------------------------------------------

static enum bnr_status body_infer(struct bnr_infer *cx) {
    struct bnr_graph *body = bnr__attr_graph(cx->node, "body");
    const struct bnr_info *out[2];
    for (int64_t i = bnr__attr_int(cx->node, "looks", 1); i > 0; i--)
        BNR_TRY(bnr__infer_body(cx, body, cx->in, (size_t)cx->n_in, out));
    for (int i = 0; i < cx->n_out; i++)
        *cx->out[i] = *out[i];
    return BNR_OK;
}
static const struct bnr_op body_op = {
    .name = "Body", .since = {1}, .max_in = BNR_VARIADIC, .max_out = BNR_VARIADIC, .infer = body_infer};

static struct bnr_graph *new_body(struct bnr_graph *in, const char *out, struct bnr_value *input) {
    struct bnr_value *v = build_node(in, "Body", out, input, NULL, NULL);
    v->producer->op = &body_op;
    return build_body(v->producer, "body");
}

static void test_bodies(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    struct bnr_value *outer = build_node(g, "Neg", "outer", x, NULL, NULL);
    struct bnr_graph *body = new_body(g, "y", x);
    struct bnr_value *in = build_input(body, "in", BNR_UNDEFINED, -1, NULL);
    struct bnr_value *inner = build_node(body, "Add", "inner", in, outer, NULL); // one is captured
    struct bnr_value *shape = build_node(body, "Shape", "shape", in, NULL, NULL);
    build_output(body, inner);
    build_output(body, shape);
    infer_all();
    expect_type(bnr__value_find(g, "y")->info, "float32[4]");
    expect_type(in->info, "float32[4]");
    assert_int_equal(shape->info->tensor->i64[0], 4);
    // An input that is left out is unknown, but for what the body declares.
    bnr__node_set_input(body->owner, 0, NULL);
    bnr__value_declare(in)->dtype = BNR_FLOAT;
    infer_all();
    expect_type(in->info, "float32[...]");
    // Wrong numbers of inputs.
    bnr__node_set_input(body->owner, 1, x);
    assert_int_equal(bnr__model_infer(m, &err), BNR_MALFORMED);
    assert_non_null(strstr(err.message, "has 1 inputs, expected 2"));
    // Old files list a body's initializers as inputs, too.
    const float zero[1] = {0};
    struct bnr_value *k = build_constant_f32(body, "k", 0, NULL, zero);
    body->owner->n_in = 1;
    bnr__node_set_input(body->owner, 0, x);
    assert_int_equal(bnr__graph_add_input(body, k, NULL), BNR_OK);
    assert_int_equal(bnr__model_infer(m, &err), BNR_OK);
    assert_int_equal(bnr__node_eval(body->owner, (struct bnr_tensor *[]){NULL}, (struct bnr_tensor *[]){NULL},
                                    NULL, &err),
                     BNR_UNSUPPORTED);
    body->owner->n_in = 2;
    bnr__node_set_input(body->owner, 1, NULL);
}

static void test_nested_bodies_are_not_exponential(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    struct bnr_graph *in = g;
    char name[16];
    for (int i = 0; i < 60; i++) { // each looks three times: 3^60
        snprintf(name, sizeof name, "v%d", i);
        in = new_body(in, name, NULL);
        bnr__node_set_attr_int(in->owner, "looks", 3);
    }
    build_output(in, build_node(in, "Relu", "deep", x, NULL, NULL));
    for (; in->owner; in = in->owner->graph)
        if (in->owner->graph->owner)
            build_output(in->owner->graph, in->owner->out[0]);
    infer_all();
}

// ---- evaluation -------------------------------------------------------------------------------------

static void test_eval(void **state) {
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){-1});
    struct bnr_value *y = build_node(g, "Add", "y", x, x, NULL);
    struct bnr_tensor *t[2], *out[1];
    const int64_t dims[2][1] = {{2}, {3}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bnr__tensor_new(&t[i], &memory.allocator, BNR_FLOAT, 1, dims[i], NULL), BNR_OK);
        for (int64_t k = 0; k < dims[i][0]; k++)
            t[i]->f32[k] = (float)(10 * i + k);
    }
    assert_int_equal(bnr__node_eval(y->producer, (struct bnr_tensor *[]){t[0], t[0]}, out,
                                    &memory.allocator, &err),
                     BNR_OK);
    assert_int_equal(out[0]->numel, 2);
    assert_true(out[0]->f32[1] == 2);
    assert_int_equal(atomic_load(&out[0]->refs), 1);
    bnr__tensor_unref(out[0]);
    assert_int_equal(bnr__node_eval(y->producer, (struct bnr_tensor *[]){t[0], t[1]}, out,
                                    &memory.allocator, &err),
                     BNR_SHAPE);
    assert_null(out[0]);
    assert_int_equal(bnr__node_eval(y->producer, (struct bnr_tensor *[]){t[0], NULL}, out,
                                    &memory.allocator, &err),
                     BNR_MALFORMED);
    bnr__tensor_unref(t[0]);
    bnr__tensor_unref(t[1]);
}

// Repeats its input as decimal text: the shape depends on data, and strings are made.
static enum bnr_status text_infer(struct bnr_infer *cx) {
    struct bnr_shape s = {.rank = 1, .dims = {{.n = -1}}};
    bnr__infer_set(cx, 0, BNR_STRING, &s);
    return BNR_OK;
}
static enum bnr_status text_ref(const struct bnr_args *a) {
    const int64_t n[1] = {a->in[0]->i64[0]};
    if (n[0] < 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "count is negative");
    if (n[0] == 99)
        return BNR_OK; // forgets its output
    BNR_TRY(bnr__out_alloc(a, 0, BNR_STRING, 1, n));
    for (int64_t i = 0; i < n[0]; i++) {
        char *s = bnr__arena_printf(a->strings, "item %d", (int)i);
        if (!s)
            return bnr__no_memory(a->err);
        a->out[0]->str[i] = (struct bnr_str){s, strlen(s)};
    }
    return BNR_OK;
}
static const struct bnr_op text_op = {.name = "Text",
                                      .since = {1},
                                      .min_in = 1,
                                      .max_in = 1,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .flags = BNR_OP_DATA_SHAPE,
                                      .infer = text_infer,
                                      .ref = text_ref};

static void test_shapes_that_depend_on_data(void **state) {
    struct bnr_op random = text_op;
    random.flags |= BNR_OP_RANDOM;
    struct bnr_value *y = build_node(g, "Text", "y", ints("k", 1, (int64_t[]){3}), NULL, NULL);
    struct bnr_value *bad = build_node(g, "Text", "bad", ints("b", 1, (int64_t[]){-3}), NULL, NULL);
    struct bnr_value *rnd = build_node(g, "Text", "rnd", ints("r", 1, (int64_t[]){2}), NULL, NULL);
    y->producer->op = bad->producer->op = &text_op;
    rnd->producer->op = &random;
    infer_all();
    expect_type(y->info, "string[3]");
    assert_memory_equal(y->info->tensor->str[2].ptr, "item 2", 6); // outlives the evaluation
    expect_type(bad->info, "string[?]");                           // an error only when it runs
    expect_type(rnd->info, "string[?]");
    struct bnr_tensor *out[1], *in[1];
    assert_int_equal(bnr__tensor_new(&in[0], &memory.allocator, BNR_INT64, 1, (int64_t[]){1}, NULL), BNR_OK);
    in[0]->i64[0] = 99;
    assert_int_equal(bnr__node_eval(y->producer, in, out, &memory.allocator, &err), BNR_INTERNAL);
    in[0]->i64[0] = -1;
    assert_int_equal(bnr__node_eval(y->producer, in, out, &memory.allocator, &err), BNR_SHAPE);
    assert_null(out[0]);
    bnr__tensor_unref(in[0]);
}

static void test_without_memory(void **state) {
    int failures = 0;
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 3, (int64_t[]){2, 3, 4});
    struct bnr_value *y = reshape_by_shape(x, -1);
    struct bnr_value *t = build_node(g, "Text", "t", ints("n", 1, (int64_t[]){3}), NULL, NULL);
    t->producer->op = &text_op;
    for (;; failures++) {
        memory.fail_at = memory.calls + failures;
        enum bnr_status st = bnr__model_infer(m, &err);
        memory.fail_at = -1;
        check_valid(m);
        if (st == BNR_OK)
            break;
        assert_int_equal(st, BNR_NO_MEMORY);
    }
    assert_true(failures > 10);
    expect_type(y->info, "float32[2,12]");
    expect_type(t->info, "string[3]");
    failures = 0;
    for (size_t missing;; failures++) {
        struct bnr_value *v = build_node(g, "NoSuchThing", NULL, x, NULL, NULL);
        t->producer->op = NULL;
        t->producer->op_type = "Relu";
        memory.fail_at = memory.calls;
        enum bnr_status st = bnr__model_resolve(m, &missing, &err);
        memory.fail_at = -1;
        check_valid(m);
        (void)v;
        if (st == BNR_NO_MEMORY)
            break;
        assert_true(failures < 1000);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_resolve_reports_what_is_missing),
        TEST(test_resolve_needs_imports),
        TEST(test_resolve_counts_inputs),
        TEST(test_resolve_counts_outputs),
        TEST(test_resolve_checks_attributes),
        TEST(test_symbols_flow),
        TEST(test_shape_arithmetic_with_symbols),
        TEST(test_shape_arithmetic_with_numbers),
        TEST(test_small_constants_are_evaluated),
        TEST(test_large_constants_are_left_to_folding),
        TEST(test_stale_value_info_is_ignored),
        TEST(test_declared_types_fill_gaps),
        TEST(test_inputs_with_defaults),
        TEST(test_errors_name_the_node),
        TEST(test_tensors_only),
        TEST(test_table),
        TEST(test_table_does_not_believe_declared_ranks),
        TEST(test_one_node),
        TEST(test_bodies),
        TEST(test_nested_bodies_are_not_exponential),
        TEST(test_eval),
        TEST(test_shapes_that_depend_on_data),
        TEST(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
