// SPDX-License-Identifier: Apache-2.0
// Clones equal their originals; inlined functions mean what their calls meant.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/edit.h"
#include "runtime/base/text.h"
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
    return memory.live_blocks == 0 ? 0 : -1;
}

static void expect_same_print(const struct bnr_model *p, const struct bnr_model *q,
                              void (*print)(struct bnr_text *, const struct bnr_model *)) {
    struct bnr_text s = {0}, t = {0};
    print(&s, p);
    print(&t, q);
    assert_false(s.failed || t.failed);
    assert_true(s.size > 100);
    assert_string_equal(s.data, t.data);
    bnr__text_free(&s);
    bnr__text_free(&t);
}

// ---- clones -----------------------------------------------------------------------------------------

// Something of everything: symbols, constants, every attribute type, a body in a body that captures,
// a fused pair, origins, an input with a default.
static struct bnr_bn bn = {.name = "bn0", .reason = "because", .channels = 3};
static void rich_model(void) {
    static const float weights[6] = {1, 2, 3, 4, 5, 6};
    const struct bnr_str strings[2] = {{"one", 3}, {"two", 3}};
    const struct bnr_type types[1] = {
        {.kind = BNR_KIND_TENSOR, .dtype = BNR_INT8, .shape = {.rank = 1, .dims = {{.n = -1}}}}};
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 3, (int64_t[]){-1, 3, -2});
    struct bnr_value *w = build_constant_f32(g, "w", 2, (int64_t[]){2, 3}, weights);
    struct bnr_value *k = build_constant_f32(g, "k", 1, (int64_t[]){6}, weights);
    assert_int_equal(bnr__graph_add_input(g, k, NULL), BNR_OK);
    struct bnr_value *y = build_node(g, "Conv", "y", x, w, k);
    struct bnr_value *r = build_node(g, "Relu", "r", y, NULL, NULL);
    r->producer->fused_into = y->producer;
    m->bns = bnr__arena_array(&m->arena, 1, sizeof *m->bns);
    m->bns[m->n_bns++] = &bn;
    y->producer->origins = m->bns;
    y->producer->n_origins = 1;
    struct bnr_node *n = y->producer;
    bnr__node_set_attr_ints(n, "pads", (int64_t[]){1, 2}, 2);
    bnr__node_set_attr_int(n, "group", 1);
    bnr__node_set_attr_float(n, "alpha", 0.25f);
    bnr__node_set_attr_string(n, "mode", "same");
    bnr__node_set_attr_tensor(n, "tensor", bnr__tensor_ref(w->tensor));
    bnr__node_set_attr(n, &(struct bnr_attr){
                              .name = "names", .type = BNR_ATTR_STRINGS, .n = 2, .strings = strings});
    bnr__node_set_attr(
        n, &(struct bnr_attr){.name = "types", .type = BNR_ATTR_TYPE_PROTOS, .n = 1, .types = types});
    bnr__node_set_attr(
        n, &(struct bnr_attr){.name = "scales", .type = BNR_ATTR_FLOATS, .n = 6, .floats = weights});
    struct bnr_value *z = build_node(g, "If", "z", r, NULL, NULL);
    struct bnr_graph *body = build_body(z->producer, "then_branch");
    struct bnr_value *p = build_input(body, "p", BNR_FLOAT, 1, (int64_t[]){-1});
    struct bnr_value *q = build_node(body, "Loop", "q", p, r, NULL);
    struct bnr_graph *inner = build_body(q->producer, "body");
    struct bnr_value *s = build_node(inner, "Sum", "s", r, p, x);
    struct bnr_value *i = build_constant_i64(inner, "i", 0, NULL, (int64_t[]){7});
    build_output(inner, s);
    build_output(inner, i);
    build_output(body, q);
    build_output(g, z);
    build_output(g, r);
}

static void test_clone_is_equal(void **state) {
    struct bnr_model *copy;
    const int marks[2] = {0, 0};
    rich_model();
    m->graph->first->source = &marks[0];
    g->outputs[0]->source = &marks[1];
    m->graph->first->opset = 9; // as in an inlined function
    assert_int_equal(bnr__model_clone(&copy, m, NULL), BNR_OK);
    check_valid(copy);
    check_uses(copy);
    expect_same_print(m, copy, bnr__print_text);
    expect_same_print(m, copy, bnr__print_json);
    expect_same_print(m, copy, bnr__print_dot);
    assert_ptr_equal(copy->graph->first->source, &marks[0]);
    assert_ptr_equal(copy->graph->outputs[0]->source, &marks[1]);
    assert_int_equal(copy->graph->first->opset, 9);
    assert_ptr_equal(copy->graph->first->next->fused_into, copy->graph->first);
    assert_int_equal(copy->graph->first->n_origins, 1);
    assert_ptr_equal(copy->graph->first->origins[0], copy->bns[0]);
    assert_ptr_not_equal(copy->bns[0], &bn);
    assert_string_equal(copy->bns[0]->reason, "because");
    // Tensors and names are shared, nothing else is.
    const struct bnr_value *w = bnr__value_find(g, "w"), *w2 = bnr__value_find(copy->graph, "w");
    assert_ptr_equal(w->tensor, w2->tensor);
    const struct bnr_value *x2 = bnr__value_find(copy->graph, "x");
    assert_ptr_equal(x2->declared->shape.dims[0].sym, bnr__model_intern(copy, "a"));
    assert_ptr_equal(x2->declared->shape.dims[0].sym, bnr__model_intern(m, "a"));
    assert_ptr_not_equal(x2->declared, bnr__value_find(g, "x")->declared);
    // What the copy adds is its own.
    const char *added = bnr__model_intern(copy, "only in the copy");
    assert_ptr_equal(bnr__model_intern(copy, "only in the copy"), added);
    assert_false(bnr__name_is_used(m, "only in the copy"));
    bnr__model_free(m);
    check_valid(copy);
    assert_ptr_equal(bnr__model_intern(copy, "only in the copy"), added);
    assert_string_equal(x2->declared->shape.dims[0].sym, "a");
    m = copy;
}

static void test_clone_and_original_are_independent(void **state) {
    struct bnr_model *copy, *again;
    rich_model();
    assert_int_equal(bnr__model_clone(&copy, m, NULL), BNR_OK);
    assert_int_equal(bnr__model_clone(&again, m, NULL), BNR_OK);
    bnr__node_set_attr_int(copy->graph->first, "group", 5);
    struct bnr_value *r = bnr__value_find(copy->graph, "r"), *x = bnr__value_find(copy->graph, "x");
    assert_int_equal(bnr__node_set_input(r->producer, 0, x), BNR_OK);
    check_valid(copy);
    check_valid(m);
    expect_same_print(m, again, bnr__print_json);
    bnr__model_free(again);
    bnr__model_free(copy);
}

static void test_clone_without_memory(void **state) {
    struct bnr_model *copy;
    struct bnr_error err;
    int failures = 0;
    rich_model();
    // Many names, so that the copy needs many blocks of memory.
    for (int i = 0; i < 300; i++)
        build_output(g, build_node(g, "Relu", NULL, g->inputs[0], NULL, NULL));
    const long blocks = memory.live_blocks;
    for (;; failures++) {
        memory.fail_at = memory.calls + failures;
        if (bnr__model_clone(&copy, m, &err) == BNR_OK)
            break;
        assert_int_equal(err.code, BNR_NO_MEMORY);
        assert_null(copy);
        assert_int_equal(memory.live_blocks, blocks);
    }
    memory.fail_at = -1;
    assert_true(failures > 5);
    check_valid(copy);
    bnr__model_free(copy);
}

// ---- functions --------------------------------------------------------------------------------------

enum { MAX_FUNCTIONS = 80 };

static struct bnr_function *new_function(const char *name, int n_inputs) {
    if (!m->functions)
        m->functions = bnr__arena_array(&m->arena, MAX_FUNCTIONS, sizeof *m->functions);
    struct bnr_function *f = &m->functions[m->n_functions++];
    f->name = bnr__model_intern(m, name);
    f->domain = "my";
    f->overload = "";
    f->body = bnr__graph_new(m, NULL);
    f->body->name = name;
    for (int i = 0; i < n_inputs; i++)
        build_input(f->body, (const char *[]){"x", "y", "z"}[i], BNR_UNDEFINED, -1, NULL);
    f->n_inputs = (size_t)n_inputs;
    return f;
}

static void returns(struct bnr_function *f, struct bnr_value *v) {
    build_output(f->body, v);
    f->n_outputs = f->body->n_outputs;
}

static struct bnr_node *new_call(struct bnr_graph *in, const char *function, const char *name, int n_in,
                                 struct bnr_value *const *values, int n_out) {
    struct bnr_node *n;
    assert_int_equal(bnr__node_new(&n, in, NULL, "my", function, name, n_in, values, n_out, NULL), BNR_OK);
    for (int i = 0; i < n_out; i++) {
        struct bnr_value *v;
        assert_int_equal(bnr__value_new(&v, in, NULL, NULL), BNR_OK);
        bnr__node_set_output(n, i, v);
    }
    return n;
}

static void inline_all(void) {
    struct bnr_error err = {0};
    if (bnr__model_inline_functions(m, &err) != BNR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(m->n_functions, 0);
    check_valid(m);
    check_uses(m);
}

static void expect_failure(enum bnr_status code, const char *words) {
    struct bnr_error err = {0};
    assert_int_equal(bnr__model_inline_functions(m, &err), code);
    if (!strstr(err.message, words))
        fail_msg("'%s' not in '%s'", words, err.message);
}

// "Op Op Op": the operators of a graph in order.
static void expect_ops(const struct bnr_graph *in, const char *expected) {
    char seen[500] = "";
    for (const struct bnr_node *n = in->first; n; n = n->next) {
        strcat(seen, n->op_type);
        strcat(seen, n->next ? " " : "");
    }
    assert_string_equal(seen, expected);
}

static void test_inline_call(void **state) {
    struct bnr_function *f = new_function("F", 2);
    struct bnr_value *s = build_node(f->body, "Sub", "s", f->body->inputs[0], f->body->inputs[1], NULL);
    struct bnr_value *e = build_node(f->body, "Exp", "e", s, NULL, NULL);
    returns(f, e);
    returns(f, s);
    s->producer->opset = 7; // the function's own import
    *bnr__value_declare(s) = (struct bnr_type){
        .dtype = BNR_FLOAT,
        .shape = {.rank = 1, .dims = {{.n = -1, .sym = bnr__model_intern(m, "n")}}}};
    check_valid(m);

    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){4});
    struct bnr_value *y = build_input(g, "s", BNR_FLOAT, 1, (int64_t[]){4}); // named as in the function
    struct bnr_node *first = new_call(g, "F", "call", 2, (struct bnr_value *[]){y, x}, 2);
    struct bnr_node *second =
        new_call(g, "F", NULL, 2, (struct bnr_value *[]){first->out[0], first->out[1]}, 1);
    struct bnr_value *a = first->out[0], *b = first->out[1], *c = second->out[0];
    build_output(g, c);
    inline_all();
    expect_ops(g, "Sub Exp Sub Exp");
    const struct bnr_node *n = g->first;
    assert_ptr_equal(n->in[0], y);
    assert_ptr_equal(n->in[1], x);
    assert_ptr_equal(b->producer, n); // the call's outputs are what the nodes produce
    assert_int_equal(n->opset, 7);
    assert_ptr_equal(a->producer, n->next);
    assert_int_equal(n->next->opset, 13);
    assert_ptr_equal(n->next->next->in[0], a);
    assert_ptr_equal(n->next->next->in[1], b);
    assert_ptr_equal(g->last->out[0], c);
    // What the second call does not want has a name of its own, and no symbol of another call.
    const struct bnr_value *unwanted = n->next->next->out[0];
    assert_non_null(unwanted);
    assert_string_not_equal(unwanted->name, "s");
    assert_int_equal(unwanted->declared->dtype, BNR_FLOAT);
    assert_null(unwanted->declared->shape.dims[0].sym);
}

static void test_inline_attributes(void **state) {
    struct bnr_function *f = new_function("F", 1);
    const struct bnr_attr defaults[] = {
        {.name = "b", .type = BNR_ATTR_INT, .n = 1, .ints = (int64_t[]){5}},
        {.name = "c", .type = BNR_ATTR_INT, .n = 1, .ints = (int64_t[]){6}}};
    f->attr_defaults = bnr__arena_array(&m->arena, 2, sizeof *f->attr_defaults);
    memcpy(f->attr_defaults, defaults, sizeof defaults);
    f->n_attr_defaults = 2;
    struct bnr_value *v = build_node(f->body, "Op", "v", f->body->inputs[0], NULL, NULL);
    static const char *const names[][2] = {{"p", "a"}, {"q", "b"}, {"r", "c"}, {"s", "d"}};
    for (size_t i = 0; i < 4; i++)
        bnr__node_set_attr(v->producer, &(struct bnr_attr){.name = names[i][0],
                                                           .type = BNR_ATTR_INT,
                                                           .ref = names[i][1]});
    bnr__node_set_attr_int(v->producer, "t", 8);
    returns(f, v);
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 0, NULL);
    struct bnr_node *call = new_call(g, "F", "call", 1, &x, 1);
    bnr__node_set_attr_int(call, "a", 1);
    bnr__node_set_attr_int(call, "b", 2);
    build_output(g, call->out[0]);
    inline_all();
    expect_ops(g, "Op");
    const struct bnr_node *n = g->first;
    assert_int_equal(bnr__attr_int(n, "p", -1), 1); // from the call
    assert_int_equal(bnr__attr_int(n, "q", -1), 2); // from the call, not the default
    assert_int_equal(bnr__attr_int(n, "r", -1), 6); // the default
    assert_null(bnr__attr(n, "s"));                 // neither: absent
    assert_int_equal(bnr__attr_int(n, "t", -1), 8);
    assert_int_equal(n->n_attrs, 4);
}

static void test_inline_lifts_bound_constants(void **state) {
    struct bnr_function *f = new_function("F", 1);
    struct bnr_value *k = build_node(f->body, "Constant", "k", NULL, NULL, NULL);
    bnr__node_set_attr(k->producer, &(struct bnr_attr){.name = "value_int", .type = BNR_ATTR_INT, .ref = "a"});
    returns(f, build_node(f->body, "Add", "v", f->body->inputs[0], k, NULL));
    returns(f, k);
    struct bnr_value *x = build_input(g, "x", BNR_INT64, 0, NULL);
    struct bnr_node *call = new_call(g, "F", "call", 1, &x, 2);
    bnr__node_set_attr_int(call, "a", 42);
    build_output(g, call->out[0]);
    build_output(g, call->out[1]);
    inline_all();
    expect_ops(g, "Add");
    const struct bnr_value *v = g->first->in[1];
    assert_true(bnr__value_is_constant(v));
    assert_int_equal(v->tensor->i64[0], 42);
    assert_ptr_equal(g->outputs[1], v);
}

static void test_inline_passes_through(void **state) {
    // Returns its input, a constant, and one value twice: each needs a node of its own.
    struct bnr_function *f = new_function("F", 2);
    returns(f, f->body->inputs[0]);
    returns(f, build_constant_i64(f->body, "k", 0, NULL, (int64_t[]){3}));
    struct bnr_value *v = build_node(f->body, "Neg", "v", f->body->inputs[0], NULL, NULL);
    returns(f, v);
    returns(f, v);
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 0, NULL);
    struct bnr_node *call = new_call(g, "F", "call", 1, &x, 4);
    struct bnr_value *out[4];
    for (int i = 0; i < 4; i++)
        build_output(g, out[i] = call->out[i]);
    inline_all();
    expect_ops(g, "Neg Identity Identity Identity");
    assert_ptr_equal(out[0]->producer->in[0], x);
    assert_int_equal(out[1]->producer->in[0]->tensor->i64[0], 3);
    assert_ptr_equal(out[3]->producer->in[0], out[2]);
}

static void test_inline_optional_inputs(void **state) {
    struct bnr_function *f = new_function("F", 3);
    struct bnr_value *const *in = f->body->inputs;
    returns(f, build_node(f->body, "Clip", "v", in[0], in[1], in[2]));
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 0, NULL);
    struct bnr_node *call = new_call(g, "F", NULL, 3, (struct bnr_value *[]){x, NULL, x}, 1);
    build_output(g, call->out[0]);
    call = new_call(g, "F", NULL, 1, &x, 1);
    build_output(g, call->out[0]);
    inline_all();
    assert_null(g->first->in[1]);
    assert_ptr_equal(g->first->in[2], x);
    assert_null(g->last->in[1]);
    assert_null(g->last->in[2]);
}

static void test_inline_nested_calls_and_bodies(void **state) {
    // Outer(x) = If(x) { Inner(x) + x }, Inner(y) = Neg(Neg(y)); the call itself is in a body.
    struct bnr_function *inner = new_function("Inner", 1);
    struct bnr_value *v = build_node(inner->body, "Neg", "v", inner->body->inputs[0], NULL, NULL);
    returns(inner, build_node(inner->body, "Neg", "w", v, NULL, NULL));
    struct bnr_function *outer = new_function("Outer", 1);
    struct bnr_value *x = outer->body->inputs[0];
    struct bnr_value *u = build_node(outer->body, "If", "v", x, NULL, NULL);
    struct bnr_graph *branch = build_body(u->producer, "then_branch");
    struct bnr_node *call = new_call(branch, "Inner", "inner", 1, &x, 1);
    build_output(branch, build_node(branch, "Add", "w", call->out[0], x, NULL));
    returns(outer, u);

    struct bnr_value *y = build_input(g, "v", BNR_FLOAT, 0, NULL);
    struct bnr_value *top = build_node(g, "If", "top", y, NULL, NULL);
    struct bnr_graph *body = build_body(top->producer, "then_branch");
    for (int i = 0; i < 2; i++)
        build_output(body, new_call(body, "Outer", "outer", 1, &y, 1)->out[0]);
    build_output(g, top);
    inline_all();
    expect_ops(body, "If If");
    for (struct bnr_node *n = body->first; n; n = n->next) {
        const struct bnr_graph *k = bnr__attr_graph(n, "then_branch");
        assert_ptr_equal(k->owner, n);
        expect_ops(k, "Neg Neg Add");
        assert_ptr_equal(k->first->in[0], y);
        assert_ptr_equal(k->last->in[1], y);
    }
}

static void test_inline_graph_attributes(void **state) {
    // F(x) = If(x) { the graph that the caller gives }; that graph calls F, too, and captures.
    struct bnr_function *f = new_function("F", 1);
    struct bnr_value *v = build_node(f->body, "If", "v", f->body->inputs[0], NULL, NULL);
    bnr__node_set_attr(v->producer,
                       &(struct bnr_attr){.name = "then_branch", .type = BNR_ATTR_GRAPH, .ref = "then"});
    returns(f, v);
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 0, NULL);
    struct bnr_node *call = new_call(g, "F", "call", 1, &x, 1);
    struct bnr_graph *given = build_body(call, "then");
    struct bnr_node *deep = new_call(given, "F", "deep", 1, &x, 1);
    struct bnr_graph *deeper = build_body(deep, "then");
    build_output(deeper, build_node(deeper, "Neg", "n", x, NULL, NULL));
    build_output(given, deep->out[0]);
    build_output(g, call->out[0]);
    inline_all();
    expect_ops(g, "If");
    const struct bnr_graph *k = bnr__attr_graph(g->first, "then_branch");
    expect_ops(k, "If");
    k = bnr__attr_graph(k->first, "then_branch");
    expect_ops(k, "Neg");
    assert_ptr_equal(k->first->in[0], x);
}

static void test_inline_overloads(void **state) {
    static const char *const ops[2] = {"Neg", "Abs"};
    static const char *const overloads[2] = {"one", "two"};
    for (int i = 0; i < 2; i++) {
        struct bnr_function *f = new_function("F", 1);
        f->overload = overloads[i];
        returns(f, build_node(f->body, ops[i], "v", f->body->inputs[0], NULL, NULL));
    }
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 0, NULL);
    for (int i = 2; i-- > 0;) {
        struct bnr_node *call = new_call(g, "F", NULL, 1, &x, 1);
        call->overload = overloads[i];
        build_output(g, call->out[0]);
    }
    struct bnr_node *none = new_call(g, "F", NULL, 1, &x, 1); // no such overload: stays
    none->overload = "three";
    struct bnr_node *other = new_call(g, "F", NULL, 1, &x, 1); // of another domain: stays
    other->domain = "your";
    other->overload = "one";
    inline_all();
    expect_ops(g, "Abs Neg F F");
}

static void test_inline_refuses_recursion(void **state) {
    struct bnr_function *f = new_function("F", 1), *h = new_function("H", 1);
    returns(f, new_call(f->body, "H", NULL, 1, f->body->inputs, 1)->out[0]);
    struct bnr_value *v = build_node(h->body, "If", "v", h->body->inputs[0], NULL, NULL);
    struct bnr_graph *body = build_body(v->producer, "then_branch");
    build_output(body, new_call(body, "F", NULL, 1, h->body->inputs, 1)->out[0]);
    returns(h, v);
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 0, NULL);
    new_call(g, "F", "call", 1, &x, 1);
    expect_failure(BNR_MALFORMED, "calls itself");
}

static void chain_of_functions(int n, int calls) {
    char name[8], next[8];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "F%d", i);
        snprintf(next, sizeof next, "F%d", i + 1);
        struct bnr_function *f = new_function(name, 1);
        struct bnr_value *v = f->body->inputs[0];
        for (int k = 0; k < calls; k++)
            v = i + 1 < n ? new_call(f->body, next, NULL, 1, &v, 1)->out[0]
                          : build_node(f->body, "Neg", NULL, v, NULL, NULL);
        returns(f, v);
    }
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 0, NULL);
    build_output(g, new_call(g, "F0", NULL, 1, &x, 1)->out[0]);
}

static void test_inline_depth(void **state) {
    chain_of_functions(64, 1);
    inline_all();
    expect_ops(g, "Neg");
}

static void test_inline_refuses_depth(void **state) {
    chain_of_functions(65, 1);
    expect_failure(BNR_MALFORMED, "64 calls deep");
}

static void test_inline_refuses_explosions(void **state) {
    chain_of_functions(60, 2); // 2^60 nodes
    expect_failure(BNR_MALFORMED, "more than 1000000 nodes");
}

static void test_inline_refuses_wrong_counts(void **state) {
    struct bnr_function *f = new_function("F", 1);
    returns(f, build_node(f->body, "Neg", "v", f->body->inputs[0], NULL, NULL));
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 0, NULL);
    struct bnr_node *call = new_call(g, "F", NULL, 2, (struct bnr_value *[]){x, x}, 1);
    expect_failure(BNR_MALFORMED, "more inputs");
    bnr__node_remove(call);
    call = new_call(g, "F", NULL, 1, &x, 2);
    expect_failure(BNR_MALFORMED, "more outputs");
    bnr__node_remove(call);
    returns(f, f->body->inputs[0]);
    call = new_call(g, "F", NULL, 0, NULL, 2);
    expect_failure(BNR_MALFORMED, "leaves out");
}

static void test_inline_without_memory(void **state) {
    int failures = 0;
    for (;; failures++) {
        struct bnr_error err;
        bnr__model_free(m);
        setup(NULL);
        chain_of_functions(7, 3); // 2187 nodes
        memory.fail_at = memory.calls + failures;
        enum bnr_status st = bnr__model_inline_functions(m, &err);
        memory.fail_at = -1;
        if (st == BNR_OK)
            break;
        assert_int_equal(st, BNR_NO_MEMORY);
        assert_int_equal(err.code, BNR_NO_MEMORY);
    }
    assert_true(failures > 5);
    check_valid(m);
    assert_int_equal(g->n_nodes, 2187);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_clone_is_equal),
        TEST(test_clone_and_original_are_independent),
        TEST(test_clone_without_memory),
        TEST(test_inline_call),
        TEST(test_inline_attributes),
        TEST(test_inline_lifts_bound_constants),
        TEST(test_inline_passes_through),
        TEST(test_inline_optional_inputs),
        TEST(test_inline_nested_calls_and_bodies),
        TEST(test_inline_graph_attributes),
        TEST(test_inline_overloads),
        TEST(test_inline_refuses_recursion),
        TEST(test_inline_depth),
        TEST(test_inline_refuses_depth),
        TEST(test_inline_refuses_explosions),
        TEST(test_inline_refuses_wrong_counts),
        TEST(test_inline_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
