// SPDX-License-Identifier: Apache-2.0
// Edits of a graph: uses stay exact whatever is done in whatever order, with and without memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/affine.h"
#include "graph/op.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/graph_build.h"

static struct bnr_model *m;
static struct bnr_graph *g;
static struct fault_alloc memory;

static int setup(void **state) {
    fault_alloc_init(&memory, -1);
    m = build_model(&memory.allocator, 13);
    g = m->graph;
    return 0;
}

static int teardown(void **state) {
    bnr__model_free(m);
    return memory.live_blocks == 0 ? 0 : -1; // nothing leaks
}

static struct bnr_value *input(const char *name) {
    return build_input(g, name, BNR_FLOAT, 1, (int64_t[]){4});
}

// x -> Relu a -> Neg b (output), and a -> Abs c (output)
static struct bnr_value *x, *a, *b, *c;
static void small_graph(void) {
    x = input("x");
    a = build_node(g, "Relu", "a", x, NULL, NULL);
    b = build_node(g, "Neg", "b", a, NULL, NULL);
    c = build_node(g, "Abs", "c", a, NULL, NULL);
    build_output(g, b);
    build_output(g, c);
}

static void test_every_operator_is_found(void **state) {
    for (size_t i = 0; i < bnr__op_count(); i++)
        assert_ptr_equal(bnr__op_find(bnr__op_at(i)->domain, bnr__op_at(i)->name), bnr__op_at(i));
    assert_null(bnr__op_find("", "Nothing"));
    assert_null(bnr__op_find("ai.onnx.ml", "Relu"));
    assert_null(bnr__op_find("", ""));
}

static void test_new_nodes_know_their_operator(void **state) {
    small_graph();
    assert_ptr_equal(a->producer->op, bnr__op_find("", "Relu"));
    assert_int_equal(a->producer->since, 13);
    assert_string_equal(a->producer->label, "Relu#0");
    struct bnr_node *n;
    assert_int_equal(bnr__node_new(&n, g, NULL, "ai.onnx", "Nothing", "n", 0, NULL, 0, NULL), BNR_OK);
    assert_null(n->op);
    assert_string_equal(n->domain, "");
    assert_int_equal(n->opset, 13);
    assert_true(bnr__node_is(n, "ai.onnx", "Nothing") && bnr__node_is(n, "", "Nothing"));
    assert_int_equal(bnr__node_new(&n, g, NULL, BNR_INTERNAL_DOMAIN, "Affine", NULL, 0, NULL, 0, NULL),
                     BNR_OK);
    assert_int_equal(n->opset, 1);
    check_valid(m);
}

static void test_uses(void **state) {
    small_graph();
    assert_int_equal(a->n_uses, 2);
    assert_false(bnr__value_single_use(a));
    assert_true(bnr__value_single_use(x));
    assert_false(bnr__value_single_use(b)); // an output
    assert_int_equal(bnr__node_set_input(c->producer, 0, x), BNR_OK);
    assert_true(bnr__value_single_use(a));
    assert_false(bnr__value_single_use(x));
    check_uses(m);
    // The same value twice, and an input beyond the end.
    struct bnr_value *sum = build_node(g, "Sum", "sum", x, x, a);
    assert_int_equal(bnr__node_set_input(sum->producer, 5, x), BNR_OK);
    assert_int_equal(sum->producer->n_in, 6);
    assert_null(sum->producer->in[4]);
    assert_int_equal(bnr__node_set_input(sum->producer, 9, NULL), BNR_OK);
    assert_int_equal(sum->producer->n_in, 6);
    assert_int_equal(bnr__node_set_input(sum->producer, -1, x), BNR_INVALID);
    assert_int_equal(bnr__node_set_input(sum->producer, 0, NULL), BNR_OK);
    check_uses(m);
    check_valid(m);
}

static void test_outputs_can_move(void **state) {
    small_graph();
    struct bnr_node *relu = a->producer, *n;
    assert_int_equal(bnr__node_new(&n, g, relu, "", "Relu", "other", 1, &x, 1, NULL), BNR_OK);
    bnr__node_set_output(n, 0, a);
    assert_ptr_equal(a->producer, n);
    assert_null(relu->out[0]);
    bnr__node_remove(relu);
    check_valid(m);
    bnr__node_set_output(n, 0, NULL);
    assert_null(a->producer);
    assert_int_equal(bnr__model_verify(m, NULL), BNR_MALFORMED); // a is read, nothing produces it
}

static void test_remove(void **state) {
    small_graph();
    struct bnr_value *d = build_node(g, "Exp", "d", a, NULL, NULL);
    assert_int_equal(a->n_uses, 3);
    bnr__node_remove(d->producer);
    assert_int_equal(a->n_uses, 2);
    assert_null(bnr__value_find(g, "d"));
    assert_int_equal(g->n_nodes, 3);
    check_uses(m);
    // One that is still read is not lost without trace: the verifier names it.
    struct bnr_error err;
    bnr__node_remove(a->producer);
    assert_int_equal(bnr__model_verify(m, &err), BNR_MALFORMED);
    assert_non_null(strstr(err.message, "'a'"));
}

static void test_renumber(void **state) {
    bool seen[64] = {false};
    small_graph();
    for (int i = 0; i < 5; i++) {
        struct bnr_value *d = build_node(g, "Exp", "d", a, NULL, NULL);
        bnr__node_remove(d->producer);
    }
    assert_int_equal(m->next_value_id, g->n_values + 5);
    bnr__model_renumber(m);
    assert_int_equal(m->next_value_id, g->n_values);
    for (size_t i = 0; i < g->n_values; i++) {
        assert_in_range(g->values[i]->id, 0, g->n_values - 1);
        assert_false(seen[g->values[i]->id]);
        seen[g->values[i]->id] = true;
    }
    const struct bnr_value *d = build_node(g, "Exp", "d", a, NULL, NULL);
    assert_int_equal(d->id, g->n_values - 1);
    check_valid(m);
}

static void test_remove_constants(void **state) {
    const float one[1] = {1};
    small_graph();
    struct bnr_value *w = build_constant_f32(g, "w", 1, (int64_t[]){1}, one);
    bnr__value_remove(x); // a graph input: stays
    bnr__value_remove(a); // produced: stays
    assert_ptr_equal(bnr__value_find(g, "x"), x);
    assert_ptr_equal(bnr__value_find(g, "a"), a);
    bnr__value_remove(w);
    assert_null(bnr__value_find(g, "w"));
    // An initializer that is listed as input is an interface from IR version 4 on.
    w = build_constant_f32(g, "w", 1, (int64_t[]){1}, one);
    assert_int_equal(bnr__graph_add_input(g, w, NULL), BNR_OK);
    bnr__value_remove(w);
    assert_int_equal(g->n_inputs, 2);
    m->ir_version = 3;
    bnr__value_remove(w);
    assert_int_equal(g->n_inputs, 1);
    assert_ptr_equal(g->inputs[0], x);
    check_valid(m);
}

static void test_constant_predicate(void **state) {
    const float one[1] = {1};
    struct bnr_value *w = build_constant_f32(g, "w", 1, (int64_t[]){1}, one);
    struct bnr_value *v = build_constant_f32(g, "v", 1, (int64_t[]){1}, one);
    x = input("x");
    assert_int_equal(bnr__graph_add_input(g, v, NULL), BNR_OK);
    assert_true(bnr__value_is_constant(w));
    assert_false(bnr__value_is_constant(v));
    assert_false(bnr__value_is_constant(x));
    m->ir_version = 3; // every initializer had to be listed
    assert_true(bnr__value_is_constant(v));
    assert_false(bnr__value_is_constant(x));
    m->ir_version = 4;
    assert_false(bnr__value_is_constant(v));
    m->freeze_initializers = true;
    assert_true(bnr__value_is_constant(v));
    assert_false(bnr__value_is_constant(x));
}

static void test_replace(void **state) {
    small_graph();
    assert_true(bnr__value_replaceable(a, x));
    assert_false(bnr__value_replaceable(a, a));
    assert_int_equal(bnr__value_replace(a, x), BNR_OK);
    assert_int_equal(a->n_uses, 0);
    assert_int_equal(x->n_uses, 3);
    assert_ptr_equal(b->producer->in[0], x);
    bnr__node_remove(a->producer);
    assert_int_equal(x->n_uses, 2);
    check_uses(m);
    check_valid(m);
}

static void test_replace_output_keeps_interface(void **state) {
    const int marks[2] = {0, 0};
    small_graph();
    struct bnr_value *d = build_node(g, "Exp", "d", x, NULL, NULL);
    struct bnr_value *e = build_node(g, "Log", "e", b, NULL, NULL); // b is read, too
    bnr__node_move(d->producer, b->producer);
    build_output(g, b); // twice
    bnr__value_declare(b)->dtype = BNR_FLOAT16;
    b->source = &marks[0];
    d->source = &marks[1];
    assert_int_equal(bnr__value_replace(b, d), BNR_OK);
    assert_string_equal(d->name, "b");
    assert_string_equal(b->name, "d");
    assert_ptr_equal(bnr__value_find(g, "b"), d);
    assert_ptr_equal(bnr__value_find(g, "d"), b);
    assert_ptr_equal(g->outputs[0], d);
    assert_ptr_equal(g->outputs[2], d);
    assert_int_equal(d->n_graph_outputs, 2);
    assert_int_equal(b->n_graph_outputs, 0);
    assert_int_equal(d->declared->dtype, BNR_FLOAT16);
    assert_ptr_equal(d->source, &marks[0]);
    assert_ptr_equal(e->producer->in[0], d);
    bnr__node_remove(b->producer);
    check_uses(m);
    check_valid(m);
}

static void test_replace_output_refusals(void **state) {
    const float one[1] = {1};
    small_graph();
    struct bnr_value *w = build_constant_f32(g, "w", 1, (int64_t[]){1}, one);
    assert_int_equal(bnr__value_replace(b, x), BNR_UNSUPPORTED); // a graph input
    assert_int_equal(bnr__value_replace(b, w), BNR_UNSUPPORTED); // a constant
    assert_int_equal(bnr__value_replace(b, c), BNR_UNSUPPORTED); // another output
    assert_string_equal(b->name, "b");
    assert_int_equal(b->n_graph_outputs, 1);
    check_uses(m);
}

static void test_captures(void **state) {
    small_graph();
    struct bnr_value *y = build_node(g, "If", "y", x, NULL, NULL);
    struct bnr_graph *outer = build_body(y->producer, "then_branch");
    struct bnr_value *p = build_node(outer, "If", "p", c, NULL, NULL);
    struct bnr_graph *inner = build_body(p->producer, "then_branch");
    struct bnr_value *q = build_node(inner, "Add", "q", a, b, NULL);
    struct bnr_value *r = build_node(inner, "Add", "r", q, b, NULL);
    build_output(inner, r);
    build_output(outer, p);
    build_output(g, y);
    check_uses(m);
    check_valid(m);
    assert_int_equal(a->n_uses, 3);
    assert_false(bnr__value_single_use(b));

    struct bnr_arena arena;
    struct bnr_value **captured;
    size_t n;
    bnr__arena_init(&arena, NULL);
    assert_int_equal(bnr__graph_captures(outer, &arena, &captured, &n), BNR_OK);
    assert_int_equal(n, 3);
    assert_ptr_equal(captured[0], c);
    assert_ptr_equal(captured[1], a);
    assert_ptr_equal(captured[2], b);
    assert_int_equal(bnr__graph_captures(g, &arena, &captured, &n), BNR_OK);
    assert_int_equal(n, 0);
    bnr__arena_free(&arena);
}

static void test_captured_single_use(void **state) {
    small_graph();
    struct bnr_value *d = build_node(g, "Exp", "d", x, NULL, NULL);
    struct bnr_value *y = build_node(g, "If", "y", x, NULL, NULL);
    struct bnr_graph *body = build_body(y->producer, "then_branch");
    struct bnr_value *p = build_node(body, "Neg", "p", d, NULL, NULL);
    build_output(body, p);
    assert_int_equal(d->n_uses, 1);
    assert_false(bnr__value_single_use(d));
    // Replacing reaches into the body.
    assert_int_equal(bnr__value_replace(d, a), BNR_OK);
    assert_ptr_equal(p->producer->in[0], a);
    check_uses(m);
    // A value of the body cannot stand in for one of the outer graph.
    assert_int_equal(bnr__value_replace(d, p), BNR_UNSUPPORTED);
    // Removing the owner takes the body and its uses away.
    assert_int_equal(a->n_uses, 3);
    bnr__node_remove(y->producer);
    assert_int_equal(a->n_uses, 2);
    check_uses(m);
    check_valid(m);
}

static void test_body_returns_outer_value(void **state) {
    small_graph();
    struct bnr_value *y = build_node(g, "If", "y", x, NULL, NULL);
    struct bnr_graph *body = build_body(y->producer, "then_branch");
    build_output(body, a);
    assert_int_equal(body->n_outputs, 1);
    assert_ptr_equal(body->outputs[0]->graph, body);
    assert_true(bnr__node_is(body->first, "", "Identity"));
    assert_ptr_equal(body->first->in[0], a);
    assert_int_equal(a->n_uses, 3);
    assert_int_equal(a->n_graph_outputs, 0);
    // Undoing the Identity would make the body return an outer value again.
    assert_int_equal(bnr__value_replace(body->outputs[0], a), BNR_UNSUPPORTED);
    check_uses(m);
    check_valid(m);
}

static void test_names(void **state) {
    struct bnr_error err;
    struct bnr_value *v;
    small_graph();
    assert_int_equal(bnr__value_new(&v, g, "a", &err), BNR_MALFORMED);
    assert_non_null(strstr(err.message, "'a'"));
    assert_null(v);
    struct bnr_value *y = build_node(g, "If", "y", x, NULL, NULL);
    struct bnr_graph *body = build_body(y->producer, "then_branch");
    assert_int_equal(bnr__value_new(&v, body, "a", &err), BNR_MALFORMED); // visible there
    assert_int_equal(bnr__value_new(&v, body, "local", &err), BNR_OK);
    assert_null(bnr__value_find(g, "local"));
    assert_ptr_equal(bnr__value_find(body, "local"), v);
    assert_ptr_equal(bnr__value_find(body, "a"), a);
    // Fresh names avoid every name of the model, nested ones and those just given, too.
    const char *fresh = bnr__name_fresh(g, "local");
    assert_string_not_equal(fresh, "local");
    assert_string_not_equal(bnr__name_fresh(g, "local"), fresh);
    assert_string_equal(bnr__name_fresh(g, "unheard"), "unheard");
    assert_true(strlen(bnr__name_fresh(g, "")) > 0);
}

static void test_long_names_are_cut_between_characters(void **state) {
    char hint[1001];
    for (size_t i = 0; i < 1000; i += 2)
        memcpy(hint + i, "\xc3\xa9", 2); // e with acute
    for (size_t shift = 0; shift < 2; shift++) {
        hint[1000] = '\0';
        if (shift)
            hint[0] = hint[1] = 'e';
        const char *name = bnr__name_fresh(g, hint + shift);
        const size_t len = strlen(name);
        assert_true(len > 100 && len < 250);
        assert_false((len - shift) % 2);
    }
}

static void test_constants_are_named_after_their_hint(void **state) {
    struct bnr_value *v;
    struct bnr_tensor *t;
    static const char *const names[] = {"w", "w_folded"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(bnr__tensor_new(&t, m->allocator, BNR_FLOAT, 1, (int64_t[]){3}, NULL), BNR_OK);
        assert_int_equal(bnr__value_constant(&v, g, "w", t, NULL), BNR_OK);
        if (i < 2)
            assert_string_equal(v->name, names[i]);
        else
            assert_memory_equal(v->name, "w_folded_", 9);
        assert_true(bnr__value_is_constant(v));
        assert_ptr_equal(v->info->tensor, t);
        assert_int_equal(v->info->type.dtype, BNR_FLOAT);
        assert_int_equal(v->info->type.shape.dims[0].n, 3);
    }
    check_valid(m);
}

static void test_attributes(void **state) {
    small_graph();
    struct bnr_node *n = a->producer;
    const int64_t ints[3] = {1, 2, 3};
    size_t count;
    assert_int_equal(bnr__attr_int(n, "axis", 7), 7);
    assert_int_equal(bnr__node_set_attr_int(n, "axis", 1), BNR_OK);
    assert_int_equal(bnr__node_set_attr_ints(n, "pads", ints, 3), BNR_OK);
    assert_int_equal(bnr__node_set_attr_float(n, "alpha", 0.5f), BNR_OK);
    assert_int_equal(bnr__node_set_attr_string(n, "mode", "linear"), BNR_OK);
    assert_int_equal(n->n_attrs, 4);
    assert_int_equal(bnr__attr_int(n, "axis", 7), 1);
    assert_int_equal(bnr__attr_int(n, "alpha", 7), 7); // another type: as if absent
    assert_true(bnr__attr_float(n, "alpha", 0) == 0.5f);
    assert_string_equal(bnr__attr_string(n, "mode", "none"), "linear");
    assert_string_equal(bnr__attr_string(n, "modes", "none"), "none");
    const int64_t *got = bnr__attr_ints(n, "pads", &count);
    assert_ptr_not_equal(got, ints);
    assert_int_equal(count, 3);
    assert_memory_equal(got, ints, sizeof ints);
    assert_null(bnr__attr_floats(n, "pads", &count));
    assert_int_equal(count, 0);
    assert_int_equal(bnr__node_set_attr_string(n, "axis", "x"), BNR_OK); // replaces
    assert_int_equal(n->n_attrs, 4);
    assert_string_equal(bnr__attr_string(n, "axis", ""), "x");
    bnr__node_remove_attr(n, "axis");
    bnr__node_remove_attr(n, "nothing");
    assert_int_equal(n->n_attrs, 3);
    assert_null(bnr__attr(n, "axis"));
    assert_string_equal(n->attrs[0].name, "pads");
    assert_null(bnr__attr_graph(n, "body"));
    assert_null(bnr__attr_tensor(n, "value"));
    check_valid(m);
}

static void test_tensor_attributes_are_held(void **state) {
    struct bnr_tensor *t;
    small_graph();
    assert_int_equal(bnr__tensor_new(&t, m->allocator, BNR_FLOAT, 0, NULL, NULL), BNR_OK);
    assert_int_equal(bnr__node_set_attr_tensor(a->producer, "value", t), BNR_OK);
    assert_ptr_equal(bnr__attr_tensor(a->producer, "value"), t);
    assert_int_equal(atomic_load(&t->refs), 1);
}

static void test_lift_constants(void **state) {
    const float floats[2] = {1.5f, -2};
    const struct bnr_str strings[2] = {{"ab", 2}, {"", 0}};
    const struct bnr_attr forms[] = {
        {.name = "value_floats", .type = BNR_ATTR_FLOATS, .n = 2, .floats = floats},
        {.name = "value_strings", .type = BNR_ATTR_STRINGS, .n = 2, .strings = strings},
        {.name = "value_int", .type = BNR_ATTR_INT, .n = 1, .ints = (int64_t[]){-9}},
        {.name = "value_ints", .type = BNR_ATTR_INTS, .n = 0},
    };
    struct bnr_value *v[4];
    for (int i = 0; i < 4; i++) {
        v[i] = build_node(g, "Constant", NULL, NULL, NULL, NULL);
        assert_int_equal(bnr__node_set_attr(v[i]->producer, &forms[i]), BNR_OK);
        build_output(g, v[i]);
        assert_int_equal(bnr__node_lift_constant(v[i]->producer, NULL), BNR_OK);
        assert_null(v[i]->producer);
        assert_true(v[i]->from_constant_node);
        assert_true(bnr__value_is_constant(v[i]));
    }
    assert_int_equal(g->n_nodes, 0);
    assert_int_equal(v[0]->tensor->rank, 1);
    assert_memory_equal(v[0]->tensor->f32, floats, sizeof floats);
    assert_int_equal(v[1]->tensor->dtype, BNR_STRING);
    assert_int_equal(v[1]->tensor->str[0].len, 2);
    assert_memory_equal(v[1]->tensor->str[0].ptr, "ab", 2);
    assert_ptr_not_equal(v[1]->tensor->str[0].ptr, strings[0].ptr);
    assert_int_equal(v[2]->tensor->rank, 0);
    assert_int_equal(v[2]->tensor->i64[0], -9);
    assert_int_equal(v[3]->tensor->numel, 0);
    // Nothing else is touched: another operator, a reference that is not bound yet.
    struct bnr_value *relu = build_node(g, "Relu", NULL, v[0], NULL, NULL);
    struct bnr_value *unbound = build_node(g, "Constant", NULL, NULL, NULL, NULL);
    const struct bnr_attr ref = {.name = "value_int", .type = BNR_ATTR_INT, .ref = "k"};
    assert_int_equal(bnr__node_set_attr(unbound->producer, &ref), BNR_OK);
    assert_int_equal(bnr__node_lift_constant(relu->producer, NULL), BNR_OK);
    assert_int_equal(bnr__node_lift_constant(unbound->producer, NULL), BNR_OK);
    assert_int_equal(g->n_nodes, 2);
}

static void test_origins(void **state) {
    struct bnr_bn bns[3];
    memset(bns, 0, sizeof bns);
    small_graph();
    struct bnr_bn *first[2] = {&bns[0], &bns[1]}, *second[2] = {&bns[1], &bns[2]};
    a->producer->origins = first;
    a->producer->n_origins = 2;
    b->producer->origins = second;
    b->producer->n_origins = 2;
    assert_int_equal(bnr__node_add_origins(c->producer, a->producer), BNR_OK);
    assert_int_equal(bnr__node_add_origins(c->producer, b->producer), BNR_OK);
    assert_int_equal(bnr__node_add_origins(c->producer, c->producer), BNR_OK);
    assert_int_equal(c->producer->n_origins, 3);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(c->producer->origins[i], &bns[i]);
}

static void test_opsets(void **state) {
    assert_int_equal(bnr__model_opset(m, ""), 13);
    assert_int_equal(bnr__model_opset(m, "ai.onnx"), 13);
    assert_int_equal(bnr__model_opset(m, "ai.onnx.ml"), 0);
    assert_int_equal(bnr__model_add_opset(m, "ai.onnx.ml", 3), BNR_OK);
    assert_int_equal(bnr__model_add_opset(m, "ai.onnx", 14), BNR_OK);
    assert_int_equal(bnr__model_opset(m, "ai.onnx.ml"), 3);
    assert_int_equal(bnr__model_opset(m, ""), 14);
    assert_int_equal(m->n_opsets, 2);
    m->n_opsets = 0;
    assert_int_equal(bnr__model_opset(m, ""), 0);
    m->ir_version = 2; // before imports existed
    assert_int_equal(bnr__model_opset(m, ""), 1);
    assert_int_equal(bnr__model_opset(m, "other"), 0);
    m->n_opsets = 2;
}

// ---- order ------------------------------------------------------------------------------------------

static void expect_order(const char *names) {
    for (const struct bnr_node *n = g->first; n; n = n->next, names++)
        assert_int_equal(n->out[0]->name[0], *names);
    assert_int_equal(*names, 0);
}

static void test_sort_is_stable(void **state) {
    small_graph();
    struct bnr_value *d = build_node(g, "Exp", "d", x, NULL, NULL);
    struct bnr_value *e = build_node(g, "Exp", "e", x, NULL, NULL);
    expect_order("abcde");
    assert_int_equal(bnr__graph_sort(g, NULL), BNR_OK);
    expect_order("abcde");
    assert_int_equal(bnr__node_set_input(b->producer, 0, e), BNR_OK);
    assert_int_equal(bnr__model_verify(m, NULL), BNR_MALFORMED);
    assert_int_equal(bnr__graph_sort(g, NULL), BNR_OK);
    expect_order("aebcd"); // e directly in front of its reader, the rest as it was
    check_valid(m);
    bnr__node_move(d->producer, a->producer);
    expect_order("daebc");
    bnr__node_move(d->producer, NULL);
    expect_order("aebcd");
    bnr__node_move(d->producer, NULL);
    bnr__node_move(d->producer, d->producer);
    expect_order("aebcd");
    check_valid(m);
}

static void test_sort_counts_captures(void **state) {
    x = input("x");
    struct bnr_value *y = build_node(g, "If", "y", x, NULL, NULL);
    a = build_node(g, "Relu", "a", x, NULL, NULL);
    b = build_node(g, "Relu", "b", a, NULL, NULL);
    struct bnr_graph *body = build_body(y->producer, "then_branch");
    struct bnr_value *p = build_node(body, "If", "p", x, NULL, NULL);
    struct bnr_graph *inner = build_body(p->producer, "else_branch");
    struct bnr_value *r = build_node(inner, "Neg", "r", b, NULL, NULL);
    struct bnr_value *s = build_node(inner, "Neg", "s", x, NULL, NULL);
    assert_int_equal(bnr__node_set_input(r->producer, 1, s), BNR_OK); // out of order within, too
    build_output(inner, r);
    build_output(body, p);
    build_output(g, y);
    assert_int_equal(bnr__model_verify(m, NULL), BNR_MALFORMED);
    assert_int_equal(bnr__graph_sort(g, NULL), BNR_OK);
    expect_order("aby");
    assert_ptr_equal(inner->first, s->producer);
    check_valid(m);
}

static void test_sort_finds_cycles(void **state) {
    struct bnr_error err;
    small_graph();
    struct bnr_value *d = build_node(g, "Add", "d", x, c, NULL);
    assert_int_equal(bnr__node_set_input(a->producer, 0, d), BNR_OK); // a -> c -> d -> a
    assert_int_equal(bnr__graph_sort(g, &err), BNR_MALFORMED);
    assert_non_null(strstr(err.message, "cycle"));
    check_uses(m);
    assert_int_equal(bnr__node_set_input(a->producer, 0, a), BNR_OK); // a -> a
    assert_int_equal(bnr__graph_sort(g, &err), BNR_MALFORMED);
    // Through a body that reads what its owner produces.
    assert_int_equal(bnr__node_set_input(a->producer, 0, x), BNR_OK);
    assert_int_equal(bnr__graph_sort(g, &err), BNR_OK);
    struct bnr_graph *body = build_body(a->producer, "body");
    build_node(body, "Neg", "p", b, NULL, NULL);
    assert_int_equal(bnr__graph_sort(g, &err), BNR_MALFORMED);
}

static void test_sort_long_chain(void **state) {
    enum { N = 20000 };
    struct bnr_value *v = x = input("x");
    struct bnr_node *first = NULL;
    for (int i = 0; i < N; i++) { // each in front of the one it depends on
        struct bnr_node *n;
        assert_int_equal(bnr__node_new(&n, g, first, "", "Relu", NULL, 1, &v, 1, NULL), BNR_OK);
        assert_int_equal(bnr__value_new(&v, g, NULL, NULL), BNR_OK);
        bnr__node_set_output(n, 0, v);
        first = n;
    }
    build_output(g, v);
    assert_int_equal(bnr__graph_sort(g, NULL), BNR_OK);
    assert_ptr_equal(g->last, v->producer);
    assert_int_equal(g->n_nodes, N);
    check_valid(m);
}

// ---- random edits -----------------------------------------------------------------------------------

enum { MAX_NODES = 40 };
static uint64_t seed;

static uint32_t draw(size_t n) {
    return next_random(&seed) % (uint32_t)n;
}

// Graphs with room for nodes: the main one and the bodies that are alive.
static struct bnr_graph *random_graph(void) {
    struct bnr_graph *alive[64];
    size_t n = 0;
    for (struct bnr_graph *k = m->made_graphs; k && n < 64; k = k->next_made)
        if (k == g || (k->owner && k->owner->graph))
            alive[n++] = k;
    return alive[draw(n)];
}

static struct bnr_node *random_node(struct bnr_graph *in) {
    struct bnr_node *n = in->first;
    for (uint32_t i = in->n_nodes ? draw(in->n_nodes) : 0; n && i > 0; i--)
        n = n->next;
    return n;
}

static bool stands_before(const struct bnr_node *n, const struct bnr_node *limit) {
    for (; n; n = n->next)
        if (n->next == limit)
            return true;
    return false;
}

// A value of `in` or a graph around it that may be read in front of `before` (NULL: at the end).
static struct bnr_value *random_visible(struct bnr_graph *in, struct bnr_node *before) {
    for (int tries = 0; tries < 30; tries++) {
        struct bnr_graph *from = in;
        struct bnr_node *limit = before;
        while (from->owner && draw(3) == 0) {
            limit = from->owner;
            from = from->owner->graph;
        }
        if (from->n_values == 0)
            continue;
        struct bnr_value *v = from->values[draw(from->n_values)];
        if (v->producer ? stands_before(v->producer, limit) : v->is_input || v->tensor)
            return v;
    }
    return g->inputs[0];
}

static enum bnr_status add_random_node(void) {
    struct bnr_graph *in = random_graph();
    struct bnr_node *before = draw(2) ? random_node(in) : NULL, *n;
    struct bnr_value *values[3], *out;
    const int n_in = (int)draw(4);
    for (int i = 0; i < n_in; i++)
        values[i] = draw(8) ? random_visible(in, before) : NULL;
    if (in->n_nodes >= MAX_NODES)
        return BNR_OK;
    BNR_TRY(bnr__node_new(&n, in, before, "", draw(2) ? "Sum" : "Concat", NULL, n_in, values, 2, NULL));
    for (int i = 0; i < 2; i++) {
        BNR_TRY(bnr__value_new(&out, in, NULL, NULL));
        bnr__node_set_output(n, i, out);
    }
    if (draw(6) == 0 && in == g) {
        struct bnr_graph *body = bnr__graph_new(m, n);
        const struct bnr_attr attr = {.name = "body", .type = BNR_ATTR_GRAPH, .n = 1, .graphs = &body};
        BNR_TRY(body ? bnr__node_set_attr(n, &attr) : BNR_NO_MEMORY);
        BNR_TRY(bnr__value_new(&out, body, NULL, NULL));
        BNR_TRY(bnr__graph_add_input(body, out, NULL));
        return bnr__graph_add_output(body, random_visible(body, NULL), NULL);
    }
    return BNR_OK;
}

static enum bnr_status replace_random(void) {
    struct bnr_graph *in = random_graph();
    if (in->n_values == 0)
        return BNR_OK;
    struct bnr_value *from = in->values[draw(in->n_values)];
    // Whatever stands in front of from's producer stands in front of its readers.
    struct bnr_value *to = random_visible(in, from->producer ? from->producer : in->first);
    const bool possible = bnr__value_replaceable(from, to);
    enum bnr_status st = bnr__value_replace(from, to);
    assert_true(possible ? st == BNR_OK || st == BNR_NO_MEMORY : st == BNR_UNSUPPORTED);
    if (st == BNR_OK) {
        assert_int_equal(from->n_uses, 0);
        assert_int_equal(from->n_graph_outputs, 0);
    }
    return BNR_OK;
}

static enum bnr_status remove_random(void) {
    struct bnr_node *n = random_node(random_graph());
    for (int i = 0; n && i < n->n_out; i++)
        if (n->out[i] && (n->out[i]->n_uses > 0 || n->out[i]->n_graph_outputs > 0))
            return BNR_OK;
    if (n)
        bnr__node_remove(n);
    return BNR_OK;
}

static enum bnr_status constant_random(void) {
    struct bnr_graph *in = random_graph();
    struct bnr_tensor *t;
    struct bnr_value *v;
    BNR_TRY(bnr__tensor_new(&t, m->allocator, BNR_FLOAT, 1, (int64_t[]){2}, NULL));
    BNR_TRY(bnr__value_constant(&v, in, "k", t, NULL));
    if (draw(2))
        bnr__value_remove(in->values[draw(in->n_values)]);
    return BNR_OK;
}

static enum bnr_status edit_random(void) {
    struct bnr_graph *in = random_graph();
    struct bnr_node *n = random_node(in);
    const int64_t ints[2] = {1, 2};
    switch (draw(8)) {
    case 0:
    case 1:
        return add_random_node();
    case 2:
        return remove_random();
    case 3:
        return replace_random();
    case 4:
        return constant_random();
    case 5:
        return n ? bnr__node_set_input(n, (int)draw(5), draw(4) ? random_visible(in, n) : NULL) : BNR_OK;
    case 6:
        return n && draw(2) ? bnr__node_set_attr_ints(n, draw(2) ? "p" : "q", ints, 2)
                            : bnr__graph_sort(g, NULL);
    default:
        return g->n_outputs < 12 ? bnr__graph_add_output(g, random_visible(g, NULL), NULL) : BNR_OK;
    }
}

static void check_everything(int step) {
    struct bnr_error err = {0};
    if (bnr__model_verify(m, &err) != BNR_OK)
        fail_msg("after edit %d: %s", step, err.message);
    check_uses(m);
}

static void test_random_edits(void **state) {
    input("x");
    for (seed = 1; seed <= 5; seed++) {
        uint64_t start = seed;
        for (int i = 0; i < 2000; i++) {
            assert_int_equal(edit_random(), BNR_OK);
            check_everything(i);
        }
        seed = start;
    }
    assert_true(m->next_node_id > 1000);
}

// Uses up what the model's arena has left, so that the next edit runs out at a random point of its own.
static void drain(void) {
    memory.fail_at = memory.calls;
    const size_t step = 16 + draw(600);
    while (bnr__arena_alloc(&m->arena, step))
        memory.fail_at = memory.calls;
    memory.fail_at = memory.calls;
}

static void test_random_edits_without_memory(void **state) {
    int failed = 0;
    input("x");
    seed = 77;
    for (int i = 0; i < 4000; i++) {
        if (draw(2))
            drain();
        enum bnr_status st = edit_random();
        memory.fail_at = -1;
        assert_true(st == BNR_OK || st == BNR_NO_MEMORY);
        failed += st == BNR_NO_MEMORY;
        check_everything(i);
    }
    assert_true(failed > 100);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_every_operator_is_found),
        TEST(test_new_nodes_know_their_operator),
        TEST(test_uses),
        TEST(test_outputs_can_move),
        TEST(test_remove),
        TEST(test_renumber),
        TEST(test_remove_constants),
        TEST(test_constant_predicate),
        TEST(test_replace),
        TEST(test_replace_output_keeps_interface),
        TEST(test_replace_output_refusals),
        TEST(test_captures),
        TEST(test_captured_single_use),
        TEST(test_body_returns_outer_value),
        TEST(test_names),
        TEST(test_long_names_are_cut_between_characters),
        TEST(test_constants_are_named_after_their_hint),
        TEST(test_attributes),
        TEST(test_tensor_attributes_are_held),
        TEST(test_lift_constants),
        TEST(test_origins),
        TEST(test_opsets),
        TEST(test_sort_is_stable),
        TEST(test_sort_counts_captures),
        TEST(test_sort_finds_cycles),
        TEST(test_sort_long_chain),
        TEST(test_random_edits),
        TEST(test_random_edits_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
