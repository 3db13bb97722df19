// SPDX-License-Identifier: Apache-2.0
// The verifier notices each kind of damage: one field of a valid model is changed, and must be named.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "tests/lib/graph_build.h"

static struct bnr_model *m;
static struct bnr_graph *g, *body;
// x -> Relu a -> Add(a, w) b -> If c { Neg(a) d -> Abs e }; outputs c and b.
static struct bnr_value *x, *w, *a, *b, *c, *d, *e;

static int setup(void **state) {
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    m = build_model(NULL, 13);
    g = m->graph;
    x = build_input(g, "x", BNR_FLOAT, 1, (int64_t[]){3});
    w = build_constant_f32(g, "w", 2, (int64_t[]){2, 3}, data);
    a = build_node(g, "Relu", "a", x, NULL, NULL);
    b = build_node(g, "Add", "b", a, w, NULL);
    c = build_node(g, "If", "c", b, NULL, NULL);
    body = build_body(c->producer, "then_branch");
    d = build_node(body, "Neg", "d", a, NULL, NULL);
    e = build_node(body, "Abs", "e", d, NULL, NULL);
    build_output(body, e);
    build_output(g, c);
    build_output(g, b);
    bnr__node_set_attr_int(a->producer, "axis", 1);
    bnr__node_set_attr_ints(a->producer, "pads", (int64_t[]){1, 2}, 2);
    bnr__node_set_attr_tensor(a->producer, "tensor", bnr__tensor_ref(w->tensor));
    check_valid(m);
    return 0;
}

static int teardown(void **state) {
    bnr__model_free(m);
    return 0;
}

static void expect(enum bnr_status code, const char *words, int line) {
    struct bnr_error err = {0};
    enum bnr_status st = bnr__model_verify(m, &err);
    if (st != code || !strstr(err.message, words))
        fail_msg("line %d: status %d, message '%s', expected %d and '%s'", line, (int)st, err.message,
                 (int)code, words);
}

// Sets a field, expects the complaint, sets it back, expects none.
#define DAMAGE(type, field, value, code, words)                                                    \
    do {                                                                                           \
        type saved_ = (field);                                                                     \
        (field) = (value);                                                                         \
        expect(code, words, __LINE__);                                                             \
        (field) = saved_;                                                                          \
        check_valid(m);                                                                            \
    } while (0)

static void test_values(void **state) {
    DAMAGE(const char *, a->name, NULL, BNR_INTERNAL, "no name");
    DAMAGE(const char *, a->name, "other", BNR_INTERNAL, "'other'");
    DAMAGE(int, a->id, b->id, BNR_INTERNAL, "id");
    DAMAGE(int, a->id, -1, BNR_INTERNAL, "id");
    DAMAGE(int, a->id, m->next_value_id, BNR_INTERNAL, "id");
    DAMAGE(size_t, a->slot, 0, BNR_INTERNAL, "'a'");
    DAMAGE(struct bnr_graph *, a->graph, body, BNR_INTERNAL, "'a'");
    DAMAGE(struct bnr_value *, g->values[a->slot], b, BNR_INTERNAL, "'b'");
    DAMAGE(struct bnr_node *, a->producer, b->producer, BNR_INTERNAL, "'a'");
    DAMAGE(struct bnr_node *, a->producer, NULL, BNR_INTERNAL, "output 0");
    DAMAGE(int, a->producer_index, 1, BNR_INTERNAL, "'a'");
    DAMAGE(struct bnr_tensor *, a->tensor, w->tensor, BNR_INTERNAL, "'a' is constant");
    DAMAGE(struct bnr_tensor *, w->tensor, NULL, BNR_MALFORMED, "'w', which nothing produces");
    DAMAGE(bool, a->is_input, true, BNR_INTERNAL, "'a'");
    DAMAGE(bool, w->is_input, true, BNR_INTERNAL, "'w' is marked");
    DAMAGE(bool, x->is_input, false, BNR_INTERNAL, "input 0");
}

static void test_uses(void **state) {
    DAMAGE(size_t, a->n_uses, 1, BNR_INTERNAL, "'a'");
    DAMAGE(size_t, x->n_uses, 2, BNR_INTERNAL, "'x' counts 2 uses");
    DAMAGE(size_t, b->producer->use_slots[0], 1, BNR_INTERNAL, "'a'");
    DAMAGE(struct bnr_node *, a->uses[0].node, c->producer, BNR_INTERNAL, "'a'");
    DAMAGE(int, a->uses[1].index, 3, BNR_INTERNAL, "'a'");
    DAMAGE(struct bnr_value *, b->producer->in[0], x, BNR_INTERNAL, "'x'");
    DAMAGE(struct bnr_value *, d->producer->in[0], NULL, BNR_INTERNAL, "'a' counts 2 uses");
    DAMAGE(int, b->n_graph_outputs, 0, BNR_INTERNAL, "'b' counts as 0");
    DAMAGE(int, a->n_graph_outputs, 1, BNR_INTERNAL, "'a' counts as 1");
}

static void test_interface(void **state) {
    struct bnr_value *twice[2] = {x, x};
    DAMAGE(struct bnr_value *, g->inputs[0], w, BNR_INTERNAL, "input 0");
    DAMAGE(struct bnr_value *, g->inputs[0], NULL, BNR_INTERNAL, "input 0");
    DAMAGE(struct bnr_value *, body->outputs[0], a, BNR_INTERNAL, "output 0");
    DAMAGE(struct bnr_value *, g->outputs[1], NULL, BNR_INTERNAL, "output 1");
    DAMAGE(size_t, g->n_inputs, 0, BNR_INTERNAL, "'x' is marked");
    DAMAGE(size_t, g->n_outputs, 1, BNR_INTERNAL, "'b' counts as 1");
    struct bnr_value **inputs = g->inputs;
    g->inputs = twice;
    g->n_inputs = 2;
    expect(BNR_MALFORMED, "'x' is listed twice", __LINE__);
    g->inputs = inputs;
    g->n_inputs = 1;
}

static void test_nodes(void **state) {
    DAMAGE(const char *, a->producer->op_type, NULL, BNR_INTERNAL, "no name");
    DAMAGE(struct bnr_graph *, a->producer->graph, body, BNR_INTERNAL, "'a'");
    DAMAGE(int, a->producer->id, b->producer->id, BNR_INTERNAL, "id");
    DAMAGE(int, a->producer->id, m->next_node_id, BNR_INTERNAL, "id");
    DAMAGE(struct bnr_node *, b->producer->prev, NULL, BNR_INTERNAL, "not linked");
    DAMAGE(struct bnr_node *, b->producer->next, NULL, BNR_INTERNAL, "list");
    DAMAGE(struct bnr_node *, c->producer->next, a->producer, BNR_INTERNAL, "not linked");
    DAMAGE(struct bnr_node *, g->last, b->producer, BNR_INTERNAL, "list");
    DAMAGE(struct bnr_node *, g->first, b->producer, BNR_INTERNAL, "not linked");
    DAMAGE(size_t, g->n_nodes, 4, BNR_INTERNAL, "counts 4 nodes");
    DAMAGE(int, a->producer->n_in, -1, BNR_INTERNAL, "no list");
    DAMAGE(struct bnr_value *, a->producer->out[0], b, BNR_INTERNAL, "'a'");
    DAMAGE(struct bnr_value *, a->producer->out[0], NULL, BNR_INTERNAL, "'a'");
    DAMAGE(size_t, a->producer->n_origins, 1, BNR_INTERNAL, "origin");
    b->producer->fused_into = c->producer;
    DAMAGE(struct bnr_node *, a->producer->fused_into, b->producer, BNR_INTERNAL, "fused");
    b->producer->fused_into = NULL;
    DAMAGE(struct bnr_node *, b->producer->fused_into, d->producer, BNR_INTERNAL, "fused");
    a->producer->fused_into = a->producer;
    expect(BNR_INTERNAL, "fused", __LINE__);
}

static struct bnr_bn *no_origin[1];
static void test_origin_lists(void **state) {
    a->producer->origins = no_origin;
    a->producer->n_origins = 1;
    expect(BNR_INTERNAL, "origin 0", __LINE__);
}

static void test_order(void **state) {
    bnr__node_move(a->producer, NULL);
    expect(BNR_MALFORMED, "before node 'Relu#0' produces it", __LINE__);
    bnr__node_move(a->producer, g->first);
    check_valid(m);
    // A body may not read what comes after its owner.
    struct bnr_value *late = build_node(g, "Exp", "late", x, NULL, NULL);
    assert_int_equal(bnr__node_set_input(d->producer, 0, late), BNR_OK);
    expect(BNR_MALFORMED, "before node", __LINE__);
    // Nor what its owner produces.
    assert_int_equal(bnr__node_set_input(d->producer, 0, c), BNR_OK);
    expect(BNR_MALFORMED, "before node", __LINE__);
}

static void test_visibility(void **state) {
    // An outer graph cannot read what is made in a body, nor a body what is made in its neighbour.
    struct bnr_value *f = build_node(g, "Exp", "f", e, NULL, NULL);
    expect(BNR_INTERNAL, "cannot see", __LINE__);
    struct bnr_graph *other = build_body(f->producer, "body");
    assert_int_equal(bnr__node_set_input(f->producer, 0, x), BNR_OK);
    check_valid(m);
    build_node(other, "Exp", "h", e, NULL, NULL);
    expect(BNR_INTERNAL, "cannot see", __LINE__);
}

static void test_shadowed_captures(void **state) {
    // `late` in the body is older than the outer one, so making both is possible; reading is ambiguous.
    struct bnr_value *local = build_node(body, "Exp", "late", d, NULL, NULL);
    struct bnr_value *late = build_node(g, "Exp", "late", x, NULL, NULL);
    bnr__node_move(late->producer, g->first);
    check_valid(m);
    assert_int_equal(bnr__node_set_input(local->producer, 0, late), BNR_OK);
    expect(BNR_INTERNAL, "name of another value", __LINE__);
}

static void test_attributes(void **state) {
    struct bnr_attr *axis = &a->producer->attrs[0], *pads = &a->producer->attrs[1],
                    *tensor = &a->producer->attrs[2], *branch = &c->producer->attrs[0];
    DAMAGE(const char *, axis->name, NULL, BNR_INTERNAL, "no name");
    DAMAGE(const char *, axis->name, "pads", BNR_MALFORMED, "'pads' is given twice");
    DAMAGE(enum bnr_attr_type, axis->type, (enum bnr_attr_type)15, BNR_MALFORMED, "type 15");
    DAMAGE(size_t, axis->n, 0, BNR_INTERNAL, "0 values");
    DAMAGE(size_t, axis->n, 2, BNR_INTERNAL, "2 values");
    DAMAGE(const int64_t *, pads->ints, NULL, BNR_INTERNAL, "no values");
    DAMAGE(const char *, axis->ref, "k", BNR_MALFORMED, "refers to 'k'");
    DAMAGE(struct bnr_tensor *, tensor->tensors[0], NULL, BNR_INTERNAL, "'tensor'");
    DAMAGE(struct bnr_graph *, branch->graphs[0], NULL, BNR_INTERNAL, "belongs elsewhere");
    DAMAGE(struct bnr_graph *, branch->graphs[0], g, BNR_INTERNAL, "belongs elsewhere");
    DAMAGE(struct bnr_node *, body->owner, b->producer, BNR_INTERNAL, "belongs elsewhere");
}

static void test_many_attributes(void **state) {
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "attr%d", i);
        assert_int_equal(bnr__node_set_attr_int(a->producer, name, i), BNR_OK);
    }
    check_valid(m);
    DAMAGE(const char *, a->producer->attrs[90].name, "attr5", BNR_MALFORMED, "'attr5' is given twice");
}

static void test_tensors(void **state) {
    struct bnr_tensor *t = w->tensor;
    DAMAGE(enum bnr_dtype, t->dtype, BNR_UNDEFINED, BNR_MALFORMED, "dtype 0");
    DAMAGE(enum bnr_dtype, t->dtype, BNR_DOUBLE, BNR_INTERNAL, "bytes");
    DAMAGE(int, t->rank, 17, BNR_MALFORMED, "rank 17");
    DAMAGE(int, t->rank, 1, BNR_INTERNAL, "6 elements");
    DAMAGE(int64_t, t->dims[0], -2, BNR_SHAPE, "-2");
    DAMAGE(int64_t, t->dims[1], INT64_MAX, BNR_SHAPE, "overflow");
    DAMAGE(size_t, t->numel, 7, BNR_INTERNAL, "7 elements");
    DAMAGE(size_t, t->nbytes, 25, BNR_INTERNAL, "25 bytes");
}

static void test_functions(void **state) {
    struct bnr_function f = {.name = "F", .domain = "my", .overload = "", .body = bnr__graph_new(m, NULL)};
    struct bnr_value *y = build_input(f.body, "x", BNR_UNDEFINED, -1, NULL);
    struct bnr_value *z = build_node(f.body, "Op", "z", y, NULL, NULL);
    bnr__node_set_attr(z->producer, &(struct bnr_attr){.name = "p", .type = BNR_ATTR_INT, .ref = "q"});
    build_output(f.body, z);
    f.n_inputs = f.n_outputs = 1;
    m->functions = &f;
    m->n_functions = 1;
    check_valid(m);
    DAMAGE(size_t, f.n_inputs, 2, BNR_INTERNAL, "expected 2");
    DAMAGE(struct bnr_node *, z->producer, NULL, BNR_INTERNAL, "output 0");
    DAMAGE(size_t, y->n_uses, 0, BNR_INTERNAL, "'x'");
}

static void test_model(void **state) {
    DAMAGE(struct bnr_graph *, m->graph, NULL, BNR_INTERNAL, "no graph");
    DAMAGE(struct bnr_graph *, m->graph, body, BNR_INTERNAL, "no graph");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_values),      TEST(test_uses),
        TEST(test_interface),   TEST(test_nodes),
        TEST(test_origin_lists), TEST(test_order),
        TEST(test_visibility),  TEST(test_shadowed_captures),
        TEST(test_attributes),  TEST(test_many_attributes),
        TEST(test_tensors),     TEST(test_functions),
        TEST(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
