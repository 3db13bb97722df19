// SPDX-License-Identifier: Apache-2.0
// If, Loop, Scan, SequenceMap and the sequence operators, run by sessions: every way to end a loop,
// no rounds at all, values that grow, nesting, branches that do not fit, and what must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"

static struct bnr_model *m;
static struct bnr_error err;

static void ok(enum bnr_status st) {
    if (st != BNR_OK)
        fail_msg("%s", err.message);
}

static void begin(int opset) {
    m = bnr__model_new(NULL);
    assert_non_null(m);
    m->ir_version = 8;
    assert_int_equal(bnr__model_add_opset(m, "", opset), BNR_OK);
    m->graph = bnr__graph_new(m, NULL);
    assert_non_null(m->graph);
}

static struct bnr_value *input_of(struct bnr_graph *g, enum bnr_dtype dtype, int rank,
                                  const int64_t *dims) {
    struct bnr_value *v;
    ok(bnr__value_new(&v, g, NULL, &err));
    bnr__value_declare(v)->dtype = dtype;
    bnr__value_declare(v)->shape = rank < 0 ? bnr__shape_unknown() : bnr__shape_of(rank, dims);
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0)
            bnr__value_declare(v)->shape.dims[i] = bnr__dim_unknown();
    ok(bnr__graph_add_input(g, v, &err));
    return v;
}

static struct bnr_tensor *tensor(enum bnr_dtype dtype, int rank, const int64_t *dims,
                                 const double *values) {
    struct bnr_tensor *t;
    ok(bnr__tensor_new(&t, NULL, dtype, rank, dims, &err));
    if (t->numel > 0)
        bnr__store_f64(dtype, t->data, values, t->numel);
    return t;
}

static struct bnr_value *constant(struct bnr_graph *g, enum bnr_dtype dtype, int rank,
                                  const int64_t *dims, const double *values) {
    struct bnr_value *v;
    ok(bnr__value_constant(&v, g, "c", tensor(dtype, rank, dims, values), &err));
    return v;
}

static struct bnr_value *number(struct bnr_graph *g, enum bnr_dtype dtype, double v) {
    return constant(g, dtype, 0, NULL, &v);
}

static struct bnr_node *node(struct bnr_graph *g, const char *op, int n_out, int n_in,
                             struct bnr_value *const *in) {
    struct bnr_node *n;
    ok(bnr__node_new(&n, g, NULL, "", op, NULL, n_in, in, n_out, &err));
    for (int i = 0; i < n_out; i++) {
        struct bnr_value *v;
        ok(bnr__value_new(&v, g, NULL, &err));
        bnr__node_set_output(n, i, v);
    }
    return n;
}
#define NODE(g, op, n_out, ...)                                                                    \
    node(g, op, n_out, (int)(sizeof((struct bnr_value *[]){__VA_ARGS__}) / sizeof(void *)),        \
         (struct bnr_value *[]){__VA_ARGS__})
#define OUT(g, op, ...) NODE(g, op, 1, __VA_ARGS__)->out[0]

static struct bnr_graph *body_of(struct bnr_node *n, const char *name) {
    struct bnr_graph *g = bnr__graph_new(m, n);
    assert_non_null(g);
    const struct bnr_attr attr = {.name = name, .type = BNR_ATTR_GRAPH, .n = 1, .graphs = &g};
    ok(bnr__node_set_attr(n, &attr));
    return g;
}

static void give(struct bnr_graph *g, struct bnr_value *v) {
    ok(bnr__graph_add_output(g, v, &err));
}

// Resolves, infers, and runs with these inputs; releases the inputs.
static enum bnr_status run_with(struct bnr_tensor **in, size_t n_in, struct bnr_tensor **out,
                                size_t n_out) {
    bnr_session *s = NULL;
    size_t missing;
    enum bnr_status st = bnr__model_resolve(m, &missing, &err);
    assert_int_equal(missing, 0);
    if (st == BNR_OK)
        st = bnr__model_infer(m, &err);
    if (st == BNR_OK)
        st = bnr_session_create(&s, m, NULL, &err);
    for (int round = 0; round < 2 && st == BNR_OK;
         round++) { // the second time from a plan that is there
        for (size_t i = 0; i < n_out; i++) {
            bnr__tensor_unref(out[i]);
            out[i] = NULL;
        }
        st = bnr_run(s, (const bnr_tensor *const *)in, n_in, out, n_out, &err);
    }
    bnr_session_free(s);
    for (size_t i = 0; i < n_in; i++)
        bnr__tensor_unref(in[i]);
    return st;
}
#define IN(...)                                                                                    \
    (struct bnr_tensor *[]){__VA_ARGS__},                                                          \
        sizeof((struct bnr_tensor *[]){__VA_ARGS__}) / sizeof(void *)

static void expect(struct bnr_tensor *t, int rank, const int64_t *dims, const double *values) {
    assert_int_equal(t->kind, BNR_KIND_TENSOR);
    assert_int_equal(t->rank, rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(t->dims[i], dims[i]);
    for (size_t i = 0; i < t->numel; i++)
        assert_true(bnr__tensor_f64(t, i) == values[i]);
}

static void finish(struct bnr_tensor **out, size_t n) {
    for (size_t i = 0; i < n; i++)
        bnr__tensor_unref(out[i]);
    bnr__model_free(m);
}

#define D(...)                                                                                     \
    (const int64_t[]) {                                                                            \
        __VA_ARGS__                                                                                \
    }
#define V(...)                                                                                     \
    (const double[]) {                                                                             \
        __VA_ARGS__                                                                                \
    }

// ---- If -----------------------------------------------------------------------------------------

static void if_case(double condition, int want_rank, const int64_t *want_dims) {
    struct bnr_tensor *out[1] = {NULL};
    begin(13);
    struct bnr_value *c = input_of(m->graph, BNR_BOOL, 0, NULL),
                     *x = input_of(m->graph, BNR_FLOAT, 2, D(1, 3));
    struct bnr_node *n = NODE(m->graph, "If", 1, c);
    struct bnr_graph *yes = body_of(n, "then_branch"), *no = body_of(n, "else_branch");
    struct bnr_node *squeeze = NODE(yes, "Squeeze", 1, x, constant(yes, BNR_INT64, 1, D(1), V(0)));
    give(yes, squeeze->out[0]);
    give(no, x); // of the graph around
    give(m->graph, n->out[0]);
    ok(run_with(
        IN(tensor(BNR_BOOL, 0, NULL, &condition), tensor(BNR_FLOAT, 2, D(1, 3), V(1, 2, 3))), out,
        1));
    expect(out[0], want_rank, want_dims, V(1, 2, 3));
    finish(out, 1);
}

static void test_if(void **unused) {
    if_case(1, 1, D(3));
    if_case(0, 2, D(1, 3));
}

// Exporters guard an operator by an If on the shape that it needs.
static void test_if_bad_branch(void **unused) {
    for (int condition = 0; condition < 2; condition++) {
        struct bnr_tensor *out[1] = {NULL};
        begin(13);
        struct bnr_value *c = input_of(m->graph, BNR_BOOL, 0, NULL),
                         *x = input_of(m->graph, BNR_FLOAT, 2, D(2, 3));
        struct bnr_node *n = NODE(m->graph, "If", 1, c);
        struct bnr_graph *yes = body_of(n, "then_branch"), *no = body_of(n, "else_branch");
        give(yes, OUT(yes, "Squeeze", x, constant(yes, BNR_INT64, 1, D(1), V(0))));
        give(no, OUT(no, "Relu", x));
        give(m->graph, n->out[0]);
        const enum bnr_status st = run_with(IN(tensor(BNR_BOOL, 0, NULL, V(condition)),
                                               tensor(BNR_FLOAT, 2, D(2, 3), V(1, 2, 3, 4, 5, 6))),
                                            out, 1);
        assert_int_equal(st, condition ? BNR_SHAPE : BNR_OK);
        if (condition)
            assert_non_null(strstr(err.message, "dim 0 is 2, expected 1"));
        finish(out, 1);
    }
}

// ---- Loop ---------------------------------------------------------------------------------------

// sum += round * 10 + 1; stacks the round's number; goes on while the sum is below `limit`.
static struct bnr_node *counting_loop(struct bnr_value *trip, struct bnr_value *condition,
                                      struct bnr_value *start, double limit) {
    struct bnr_node *n = NODE(m->graph, "Loop", 2, trip, condition, start);
    struct bnr_graph *g = body_of(n, "body");
    struct bnr_value *i = input_of(g, BNR_INT64, 0, NULL);
    input_of(g, BNR_BOOL, 0, NULL);
    struct bnr_value *sum = input_of(g, BNR_INT64, 0, NULL);
    struct bnr_value *more =
        OUT(g, "Add", OUT(g, "Mul", i, number(g, BNR_INT64, 10)), number(g, BNR_INT64, 1));
    struct bnr_value *next = OUT(g, "Add", sum, more);
    give(g, OUT(g, "Less", next, number(g, BNR_INT64, limit)));
    give(g, next);
    give(g, OUT(g, "Identity", i));
    give(m->graph, n->out[0]);
    give(m->graph, n->out[1]);
    return n;
}

static void loop_case(double trip, double condition, double limit, double want, int64_t rounds) {
    struct bnr_tensor *out[2] = {NULL, NULL};
    begin(13);
    struct bnr_value *t = trip >= 0 ? input_of(m->graph, BNR_INT64, 0, NULL) : NULL;
    struct bnr_value *c = condition >= 0 ? input_of(m->graph, BNR_BOOL, 0, NULL) : NULL;
    counting_loop(t, c, number(m->graph, BNR_INT64, 5), limit);
    struct bnr_tensor *in[2];
    size_t n = 0;
    if (t)
        in[n++] = tensor(BNR_INT64, 0, NULL, &trip);
    if (c)
        in[n++] = tensor(BNR_BOOL, 0, NULL, &condition);
    ok(run_with(in, n, out, 2));
    expect(out[0], 0, NULL, &want);
    expect(out[1], 1, &rounds, V(0, 1, 2, 3, 4, 5, 6, 7));
    finish(out, 2);
}

static void test_loop_endings(void **unused) {
    loop_case(3, -1, 0, 5 + 1 + 11 + 21, 3);  // for: the condition is not looked at
    loop_case(-1, 1, 30, 5 + 1 + 11 + 21, 3); // while: 38 ends it
    loop_case(-1, 0, 30, 5, 0);               // never begins
    loop_case(2, 1, 30, 5 + 1 + 11, 2);       // the trip count ends it
    loop_case(9, 1, 10, 5 + 1 + 11, 2);       // the condition ends it
    loop_case(0, -1, 30, 5, 0);
    loop_case(0, 1, 30, 5, 0);
    loop_case(9, 0, 30, 5, 0);
}

// A carried value grows each round, so that its dims hold for no two rounds.
static void test_loop_growing(void **unused) {
    struct bnr_tensor *out[1] = {NULL};
    begin(13);
    struct bnr_value *t = input_of(m->graph, BNR_INT64, 0, NULL);
    struct bnr_node *n =
        NODE(m->graph, "Loop", 1, t, NULL, constant(m->graph, BNR_INT64, 1, D(0), NULL));
    struct bnr_graph *g = body_of(n, "body");
    struct bnr_value *i = input_of(g, BNR_INT64, 0, NULL), *go = input_of(g, BNR_BOOL, 0, NULL);
    struct bnr_value *all = input_of(g, BNR_INT64, -1, NULL);
    struct bnr_node *cat =
        NODE(g, "Concat", 1, all, OUT(g, "Unsqueeze", i, constant(g, BNR_INT64, 1, D(1), V(0))));
    ok(bnr__node_set_attr_int(cat, "axis", 0));
    give(g, OUT(g, "Identity", go));
    give(g, cat->out[0]);
    give(m->graph, n->out[0]);
    ok(run_with(IN(tensor(BNR_INT64, 0, NULL, V(5))), out, 1));
    expect(out[0], 1, D(5), V(0, 1, 2, 3, 4));
    finish(out, 1);
}

static void test_loop_nested(void **unused) {
    struct bnr_tensor *out[1] = {NULL};
    begin(13);
    struct bnr_value *x = input_of(m->graph, BNR_FLOAT, 1, D(2));
    struct bnr_node *outer = NODE(m->graph, "Loop", 1, number(m->graph, BNR_INT64, 3), NULL);
    struct bnr_graph *og = body_of(outer, "body");
    struct bnr_value *i = input_of(og, BNR_INT64, 0, NULL), *go = input_of(og, BNR_BOOL, 0, NULL);
    struct bnr_node *cast = NODE(og, "Cast", 1, i);
    ok(bnr__node_set_attr_int(cast, "to", BNR_FLOAT));
    struct bnr_node *inner = NODE(og, "Loop", 1, OUT(og, "Add", i, number(og, BNR_INT64, 1)), NULL,
                                  OUT(og, "Mul", x, number(og, BNR_FLOAT, 0)));
    struct bnr_graph *ig = body_of(inner, "body");
    input_of(ig, BNR_INT64, 0, NULL);
    struct bnr_value *go_in = input_of(ig, BNR_BOOL, 0, NULL),
                     *sum = input_of(ig, BNR_FLOAT, 1, D(2));
    give(ig, OUT(ig, "Identity", go_in));
    give(ig, OUT(ig, "Add", sum, OUT(ig, "Add", x, cast->out[0]))); // from both graphs around
    give(og, OUT(og, "Identity", go));
    give(og, inner->out[0]);
    give(m->graph, outer->out[0]);
    ok(run_with(IN(tensor(BNR_FLOAT, 1, D(2), V(10, 20))), out, 1));
    expect(out[0], 2, D(3, 2), V(10, 20, 22, 42, 36, 66)); // (i + 1) * (x + i)
    finish(out, 1);
}

static void test_loop_sequence(void **unused) {
    struct bnr_tensor *out[2] = {NULL, NULL};
    begin(13);
    struct bnr_node *empty = node(m->graph, "SequenceEmpty", 1, 0, NULL);
    ok(bnr__node_set_attr_int(empty, "dtype", BNR_INT64));
    struct bnr_node *n =
        NODE(m->graph, "Loop", 1, input_of(m->graph, BNR_INT64, 0, NULL), NULL, empty->out[0]);
    struct bnr_graph *g = body_of(n, "body");
    struct bnr_value *i = input_of(g, BNR_INT64, 0, NULL), *go = input_of(g, BNR_BOOL, 0, NULL),
                     *seq;
    ok(bnr__value_new(&seq, g, NULL, &err));
    bnr__value_declare(seq)->kind = BNR_KIND_SEQUENCE;
    ok(bnr__graph_add_input(g, seq, &err));
    struct bnr_value *range = OUT(g, "Range", number(g, BNR_INT64, 0), i, number(g, BNR_INT64, 1));
    give(g, OUT(g, "Identity", go));
    give(g, OUT(g, "SequenceInsert", seq, range, number(g, BNR_INT64, 0)));
    struct bnr_node *cat = NODE(m->graph, "ConcatFromSequence", 1, n->out[0]);
    ok(bnr__node_set_attr_int(cat, "axis", 0));
    give(m->graph, cat->out[0]);
    give(m->graph, n->out[0]);
    bnr__value_declare(m->graph->outputs[1])->kind = BNR_KIND_SEQUENCE;
    ok(run_with(IN(tensor(BNR_INT64, 0, NULL, V(4))), out, 2));
    expect(out[0], 1, D(6), V(0, 1, 2, 0, 1, 0));
    assert_int_equal(out[1]->n_items, 4);
    expect(out[1]->items[1], 1, D(2), V(0, 1));
    finish(out, 2);
}

static void test_loop_refused(void **unused) {
    struct bnr_tensor *out[1] = {NULL};
    begin(13);
    struct bnr_node *n = NODE(m->graph, "Loop", 1, input_of(m->graph, BNR_INT64, 0, NULL), NULL);
    struct bnr_graph *g = body_of(n, "body");
    struct bnr_value *i = input_of(g, BNR_INT64, 0, NULL), *go = input_of(g, BNR_BOOL, 0, NULL);
    give(g, OUT(g, "Identity", go));
    give(g, OUT(g, "Range", number(g, BNR_INT64, 0), i,
                number(g, BNR_INT64, 1))); // another length each time
    give(m->graph, n->out[0]);
    assert_int_equal(run_with(IN(tensor(BNR_INT64, 0, NULL, V(3))), out, 1), BNR_SHAPE);
    assert_non_null(strstr(err.message, "changes from"));
    finish(out, 1);
}

// A body of another size than its node is refused when the model is read.
static void test_bad_body(void **unused) {
    struct bnr_tensor *out[1] = {NULL};
    begin(13);
    struct bnr_node *n = NODE(m->graph, "Loop", 1, number(m->graph, BNR_INT64, 3), NULL);
    struct bnr_graph *g = body_of(n, "body");
    input_of(g, BNR_INT64, 0, NULL);
    give(g, number(g, BNR_BOOL, 1));
    give(m->graph, n->out[0]);
    assert_int_equal(run_with(NULL, 0, out, 1), BNR_MALFORMED);
    assert_non_null(strstr(err.message, "does not fit"));
    finish(out, 1);
}

// ---- Scan ---------------------------------------------------------------------------------------

// Running sums: state s; s' = s + x_t; stacks s'.
static struct bnr_graph *sum_body(struct bnr_node *n, int rank, const int64_t *dims) {
    struct bnr_graph *g = body_of(n, "body");
    struct bnr_value *s = input_of(g, BNR_FLOAT, rank, dims),
                     *x = input_of(g, BNR_FLOAT, rank, dims);
    struct bnr_value *next = OUT(g, "Add", s, x);
    give(g, next);
    give(g, OUT(g, "Identity", next));
    return g;
}

static void test_scan(void **unused) {
    for (int mode = 0; mode < 3;
         mode++) { // along axis 0, backwards, along axis 1 and stacked along it
        struct bnr_tensor *out[2] = {NULL, NULL};
        const int64_t mode_is[] = {mode == 1}, axis[] = {mode == 2 ? -1 : 0};
        begin(11);
        struct bnr_value *s = input_of(m->graph, BNR_FLOAT, 1, D(2)),
                         *x = input_of(m->graph, BNR_FLOAT, 2, D(2, 2));
        struct bnr_node *n = NODE(m->graph, "Scan", 2, s, x);
        ok(bnr__node_set_attr_int(n, "num_scan_inputs", 1));
        ok(bnr__node_set_attr_ints(n, "scan_input_directions", mode_is, 1));
        ok(bnr__node_set_attr_ints(n, "scan_output_directions", mode_is, 1));
        ok(bnr__node_set_attr_ints(n, "scan_input_axes", axis, 1));
        ok(bnr__node_set_attr_ints(n, "scan_output_axes", axis, 1));
        sum_body(n, 1, D(2));
        give(m->graph, n->out[0]);
        give(m->graph, n->out[1]);
        ok(run_with(IN(tensor(BNR_FLOAT, 1, D(2), V(100, 200)),
                       tensor(BNR_FLOAT, 2, D(2, 2), V(1, 2, 30, 40))),
                    out, 2));
        expect(out[0], 1, D(2), mode == 2 ? V(103, 270) : V(131, 242));
        expect(out[1], 2, D(2, 2),
               mode == 0   ? V(101, 202, 131, 242)
               : mode == 1 ? V(131, 242, 130, 240)
                           : V(101, 103, 230, 270));
        finish(out, 2);
    }
}

static void test_scan_empty(void **unused) {
    struct bnr_tensor *out[2] = {NULL, NULL};
    begin(11);
    struct bnr_value *s = input_of(m->graph, BNR_FLOAT, 1, D(2)),
                     *x = input_of(m->graph, BNR_FLOAT, 2, D(-1, 2));
    struct bnr_node *n = NODE(m->graph, "Scan", 2, s, x);
    ok(bnr__node_set_attr_int(n, "num_scan_inputs", 1));
    sum_body(n, 1, D(2));
    give(m->graph, n->out[0]);
    give(m->graph, n->out[1]);
    ok(run_with(IN(tensor(BNR_FLOAT, 1, D(2), V(1, 2)), tensor(BNR_FLOAT, 2, D(0, 2), NULL)), out,
                2));
    expect(out[0], 1, D(2), V(1, 2));
    expect(out[1], 2, D(0, 2), NULL);
    finish(out, 2);
}

static void test_scan_8(void **unused) {
    struct bnr_tensor *out[2] = {NULL, NULL};
    begin(8);
    struct bnr_value *lens = input_of(m->graph, BNR_INT64, 1, D(2));
    struct bnr_value *s = input_of(m->graph, BNR_FLOAT, 2, D(2, 1)),
                     *x = input_of(m->graph, BNR_FLOAT, 3, D(2, 3, 1));
    struct bnr_node *n = NODE(m->graph, "Scan", 2, lens, s, x);
    ok(bnr__node_set_attr_int(n, "num_scan_inputs", 1));
    sum_body(n, 1, D(1));
    give(m->graph, n->out[0]);
    give(m->graph, n->out[1]);
    ok(run_with(IN(tensor(BNR_INT64, 1, D(2), V(3, 1)), tensor(BNR_FLOAT, 2, D(2, 1), V(0, 100)),
                   tensor(BNR_FLOAT, 3, D(2, 3, 1), V(1, 2, 3, 4, 5, 6))),
                out, 2));
    expect(out[0], 2, D(2, 1), V(6, 104));
    expect(out[1], 3, D(2, 3, 1), V(1, 3, 6, 104, 0, 0));
    finish(out, 2);
}

// ---- sequences ----------------------------------------------------------------------------------

static void test_sequence_map(void **unused) {
    struct bnr_tensor *out[1] = {NULL};
    begin(17);
    struct bnr_value *x = input_of(m->graph, BNR_FLOAT, 1, D(5)),
                     *k = input_of(m->graph, BNR_FLOAT, 0, NULL);
    struct bnr_value *parts = OUT(m->graph, "SplitToSequence", x, number(m->graph, BNR_INT64, 2));
    struct bnr_node *n = NODE(m->graph, "SequenceMap", 1, parts, k);
    struct bnr_graph *g = body_of(n, "body");
    struct bnr_value *part = input_of(g, BNR_FLOAT, 1, D(-1)),
                     *factor = input_of(g, BNR_FLOAT, 0, NULL);
    give(g, OUT(g, "Mul", part, factor));
    give(m->graph, n->out[0]);
    bnr__value_declare(m->graph->outputs[0])->kind = BNR_KIND_SEQUENCE;
    ok(run_with(IN(tensor(BNR_FLOAT, 1, D(5), V(1, 2, 3, 4, 5)), tensor(BNR_FLOAT, 0, NULL, V(10))),
                out, 1));
    assert_int_equal(out[0]->n_items, 3);
    expect(out[0]->items[0], 1, D(2), V(10, 20));
    expect(out[0]->items[2], 1, D(1), V(50));
    finish(out, 1);
}

static void test_sequences(void **unused) {
    struct bnr_tensor *out[4] = {NULL};
    begin(15);
    struct bnr_value *x = input_of(m->graph, BNR_FLOAT, 2, D(2, 3)),
                     *y = input_of(m->graph, BNR_FLOAT, 2, D(1, 3));
    struct bnr_value *seq = OUT(m->graph, "SequenceConstruct", x, y, x);
    struct bnr_value *less = OUT(m->graph, "SequenceErase", seq, number(m->graph, BNR_INT64, -1));
    give(m->graph, OUT(m->graph, "SequenceLength", less));
    give(m->graph, OUT(m->graph, "SequenceAt", less, number(m->graph, BNR_INT64, -1)));
    struct bnr_value *cut = OUT(m->graph, "SplitToSequence", x);
    ok(bnr__node_set_attr_int(cut->producer, "axis", 1));
    ok(bnr__node_set_attr_int(cut->producer, "keepdims", 0));
    struct bnr_value *stacked = OUT(m->graph, "ConcatFromSequence", cut);
    ok(bnr__node_set_attr_int(stacked->producer, "axis", -1));
    ok(bnr__node_set_attr_int(stacked->producer, "new_axis", 1));
    give(m->graph, stacked);
    struct bnr_value *some = OUT(m->graph, "Optional", seq);
    give(m->graph, OUT(m->graph, "OptionalHasElement", some));
    ok(run_with(IN(tensor(BNR_FLOAT, 2, D(2, 3), V(1, 2, 3, 4, 5, 6)),
                   tensor(BNR_FLOAT, 2, D(1, 3), V(7, 8, 9))),
                out, 4));
    expect(out[0], 0, NULL, V(2));
    expect(out[1], 2, D(1, 3), V(7, 8, 9));
    expect(out[2], 2, D(2, 3), V(1, 2, 3, 4, 5, 6));
    expect(out[3], 0, NULL, V(1));
    finish(out, 4);
}

static void test_sequence_refused(void **unused) {
    struct bnr_tensor *out[1] = {NULL};
    begin(13);
    struct bnr_value *x = input_of(m->graph, BNR_FLOAT, 1, D(2)),
                     *k = input_of(m->graph, BNR_INT64, 0, NULL);
    struct bnr_value *seq = OUT(m->graph, "SequenceConstruct", x);
    give(m->graph, OUT(m->graph, "SequenceAt", seq, k));
    assert_int_equal(
        run_with(IN(tensor(BNR_FLOAT, 1, D(2), V(1, 2)), tensor(BNR_INT64, 0, NULL, V(1))), out, 1),
        BNR_SHAPE);
    assert_non_null(strstr(err.message, "index 1 is outside [-1, 1)"));
    finish(out, 1);
    begin(13);
    x = input_of(m->graph, BNR_FLOAT, 1, D(2));
    give(m->graph, OUT(m->graph, "SequenceLength", x));
    assert_int_equal(run_with(IN(tensor(BNR_FLOAT, 1, D(2), V(1, 2))), out, 1), BNR_SHAPE);
    assert_non_null(strstr(err.message, "expected a sequence"));
    finish(out, 1);
    begin(13);
    x = input_of(m->graph, BNR_FLOAT, 1, D(2));
    give(m->graph, OUT(m->graph, "Relu", OUT(m->graph, "SequenceConstruct", x)));
    assert_int_equal(run_with(IN(tensor(BNR_FLOAT, 1, D(2), V(1, 2))), out, 1), BNR_SHAPE);
    assert_non_null(strstr(err.message, "expected a tensor"));
    finish(out, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_if),           cmocka_unit_test(test_if_bad_branch),
        cmocka_unit_test(test_loop_endings), cmocka_unit_test(test_loop_growing),
        cmocka_unit_test(test_loop_nested),  cmocka_unit_test(test_loop_sequence),
        cmocka_unit_test(test_loop_refused), cmocka_unit_test(test_bad_body),
        cmocka_unit_test(test_scan),         cmocka_unit_test(test_scan_empty),
        cmocka_unit_test(test_scan_8),       cmocka_unit_test(test_sequence_map),
        cmocka_unit_test(test_sequences),    cmocka_unit_test(test_sequence_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
