// SPDX-License-Identifier: Apache-2.0
// The pass manager: lists of passes, limits, printing, logging; promotion to double; what is
// prepared for our own kernels; failing allocations.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fault_alloc.h"
#include "tests/lib/fold_test.h"

enum { ALL = BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_FUSE };

// x -> Identity -> Conv -> BN -> Relu, and a dead node.
static void small_net(struct net *t) {
    net_begin(t, 13);
    struct bnr_value *x = net_input(t, "x", NET_DIMS(1, 3, 5, 5));
    x = net_op(t, "Identity", "id", NET_IN(x));
    const struct net_conv c = {.spatial = 2, .in = 3, .out = 4, .k = 3};
    x = net_bn(t, "bn", net_conv(t, "conv", x, c), 4);
    net_op(t, "Exp", "dead", NET_IN(x));
    net_output(t, net_op(t, "Relu", "relu", NET_IN(x)));
}

static void named_passes(void **state) {
    struct net t;
    small_net(&t);
    t.options.passes = "eliminate_dead,eliminate_identity";
    net_fold(&t, ALL);
    net_expect(&t, "Conv BatchNormalization Relu");
    t.options.passes = "fold_affine";
    net_fold(&t, ALL);
    net_expect(&t, "Identity Conv Exp Relu");
    t.options.passes = "";
    net_fold(&t, ALL);
    net_expect(&t, "Identity Conv BatchNormalization Exp Relu");
    net_end(&t);
}

static void unknown_pass(void **state) {
    struct net t;
    small_net(&t);
    t.options.passes = "fold_affine,fold_afine";
    assert_int_equal(bnr__model_resolve(t.model, NULL, &t.err), BNR_OK);
    assert_int_equal(bnr__model_infer(t.model, &t.err), BNR_OK);
    assert_int_equal(bnr__passes_run(t.model, &t.options, ALL, &t.err), BNR_INVALID);
    assert_non_null(strstr(t.err.message, "'fold_afine'"));
    for (size_t i = 0; bnr__pass_at(i); i++)
        assert_non_null(strstr(t.err.message, bnr__pass_at(i)->name));
    net_end(&t);
}

// Every number of rewrites gives a network that computes the same.
static void stop_after(void **state) {
    struct net t;
    small_net(&t);
    size_t nodes = 6;
    for (int limit = 0; limit < 12; limit++) {
        t.options.stop_after = limit;
        struct bnr_model *m;
        bnr__model_free(t.folded);
        assert_int_equal(bnr__model_clone(&m, t.model, &t.err), BNR_OK);
        assert_int_equal(bnr__model_resolve(m, NULL, &t.err), BNR_OK);
        assert_int_equal(bnr__model_infer(m, &t.err), BNR_OK);
        assert_int_equal(bnr__passes_run(m, &t.options, ALL, &t.err), BNR_OK);
        t.folded = m;
        assert_true(m->graph->n_nodes <= nodes);
        assert_true(limit > 0 || m->graph->n_nodes == 5);
        nodes = m->graph->n_nodes;
        assert_true(net_error(&t) < 1e-6);
    }
    assert_int_equal(nodes, 2);
    net_end(&t);
}

struct heard {
    int graphs, skips;
    char first[200];
};

static void listen(void *user, enum bnr_log_level level, const char *message) {
    struct heard *h = user;
    if (strncmp(message, "after ", 6) == 0) {
        assert_int_equal(level, BNR_LOG_INFO);
        if (h->graphs++ == 0)
            snprintf(h->first, sizeof h->first, "%s", message);
    }
    h->skips += strstr(message, "fold_affine: skip 'bn'") != NULL;
}

static void printing(void **state) {
    struct net t;
    struct heard h = {0};
    small_net(&t);
    t.options.log = listen;
    t.options.log_user = &h;
    t.options.print_after = "fold_affine";
    net_fold(&t, ALL);
    assert_true(h.graphs > 0);
    assert_memory_equal(h.first, "after fold_affine:\n", 19);
    assert_int_equal(h.skips, 0);
    h = (struct heard){0};
    t.options.print_after = "all";
    t.options.keep = "bn";
    net_fold(&t, ALL);
    assert_true(h.graphs > 8);
    assert_true(h.skips > 0);
    net_end(&t);
}

// ---- for our own kernels ------------------------------------------------------------------------

static const struct bnr_node *node_named(const struct net *t, const char *name) {
    for (const struct bnr_node *n = t->folded->graph->first; n; n = n->next)
        if (strcmp(n->name, name) == 0)
            return n;
    fail_msg("there is no '%s'", name);
    return NULL;
}

static void expect_fused(const struct net *t, const char *name, const char *head) {
    const struct bnr_node *n = node_named(t, name);
    if (head)
        assert_ptr_equal(n->fused_into, node_named(t, head));
    else
        assert_null(n->fused_into);
}

static void epilogues(void **state) {
    struct net t;
    net_begin(&t, 13);
    const struct net_conv c = {.spatial = 2, .in = 3, .out = 3, .k = 1};
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 5, 5));
    struct bnr_value *a = net_op(&t, "Relu", "relu_a", NET_IN(net_conv(&t, "a", x, c)));
    struct bnr_value *b = net_conv(&t, "b", a, c);
    struct bnr_value *y = net_op(&t, "Add", "add", NET_IN(b, a));
    y = net_op(&t, "Clip", "clip",
               NET_IN(y, net_weight(&t, "low", 0, NULL), net_weight(&t, "high", 0, NULL)));
    struct bnr_value *d = net_conv(&t, "d", y, c);
    struct bnr_value *e = net_op(&t, "Sigmoid", "sigmoid", NET_IN(d));
    net_output(&t, d); // two readers
    net_output(&t, net_op(&t, "Tanh", "tanh", NET_IN(e)));
    net_fold(&t, ALL);
    expect_fused(&t, "relu_a", "a");
    expect_fused(&t, "add", "b");
    expect_fused(&t, "clip", "b");
    expect_fused(&t, "sigmoid", NULL);
    expect_fused(&t, "tanh", "sigmoid");
    net_end(&t);
}

// Of two branches the later one takes the addition.
static void two_branches(void **state) {
    struct net t;
    net_begin(&t, 13);
    const struct net_conv c = {.spatial = 2, .in = 3, .out = 3, .k = 1};
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 5, 5));
    struct bnr_value *a = net_conv(&t, "a", x, c), *b = net_conv(&t, "b", x, c);
    struct bnr_value *y = net_op(&t, "Add", "add", NET_IN(b, a));
    net_output(&t, net_op(&t, "Relu", "relu", NET_IN(y)));
    net_fold(&t, ALL);
    expect_fused(&t, "add", "b");
    expect_fused(&t, "relu", "b");
    net_end(&t);
}

// A BatchNormalization that stays becomes one multiply-add in the step of a convolution.
static void lowered(void **state) {
    struct net t;
    net_begin(&t, 13);
    const struct net_conv c = {.spatial = 2, .in = 3, .out = 4, .k = 1};
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 5, 5));
    struct bnr_value *y = net_op(&t, "Relu", "relu", NET_IN(net_conv(&t, "conv", x, c)));
    y = net_bn(&t, "bn", y, 4);
    y = net_op(&t, "Mul", "mul", NET_IN(y, net_weight(&t, "s", NET_DIMS(4, 1, 1))));
    net_output(&t, net_op(&t, "Sigmoid", "sigmoid", NET_IN(y)));
    net_fold(&t, ALL);
    net_expect(&t, "Conv Relu Affine Sigmoid");
    expect_fused(&t, "sigmoid", "conv");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "a shift does not pass the Relu 'relu'");
    net_end(&t);
}

// Channel shuffle behind a Concat, where a Reshape takes the batch from the Concat;
// a second reader of the elements keeps them apart.
static void shuffles(void **state) {
    for (int read = 0; read < 2; read++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 5, 5));
        x = net_op(&t, "Concat", "concat", NET_IN(x, net_op(&t, "Relu", "relu", NET_IN(x))));
        net_attr_int(&t, "axis", 1);
        struct bnr_value *n = net_op(&t, "Shape", "shape", NET_IN(x));
        n = net_op(&t, "Gather", "gather", NET_IN(n, net_ints(&t, "zero", NET_INTS(0))));
        n = net_op(&t, "Concat", "dims", NET_IN(n, net_ints(&t, "apart", NET_INTS(2, 3, 5, 5))));
        net_attr_int(&t, "axis", 0);
        struct bnr_value *y = net_op(&t, "Reshape", "first", NET_IN(x, n));
        y = net_op(&t, "Transpose", "turn", NET_IN(y));
        net_attr_ints(&t, "perm", NET_INTS(0, 2, 1, 3, 4));
        n = net_ints(&t, "together", NET_INTS(-1, 6, 5, 5));
        net_output(&t, net_op(&t, "Reshape", "last", NET_IN(y, n)));
        if (read)
            net_output(&t, net_op(&t, "Neg", "neg", NET_IN(x)));
        net_fold(&t, BNR_PASS_FUSE);
        expect_fused(&t, "first", read ? NULL : "concat");
        expect_fused(&t, "turn", read ? "first" : "concat");
        expect_fused(&t, "last", read ? "first" : "concat");
        net_end(&t);
    }
}

static struct bnr_value *number(struct net *t, const char *name, double v) {
    return net_const(t, name, 0, NULL, &v);
}

static void gathered(void **state) {
    static const char *const expected[] = {"Swish",     "Swish",     "HardSwish",
                                           "HardSwish", "HardSwish", "HardSigmoid",
                                           "Gelu",      "Gelu",      "Sigmoid Mul"};
    for (int k = 0; k < 9; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(4, 25)), *g, *y = NULL;
        for (size_t i = 0; i < 100; i++)
            t.data[0]->f32[i] *= 8;
        if (k >= 2 && k <= 5) {
            g = net_op(&t, "Add", NULL, NET_IN(x, number(&t, "three", 3)));
            g = net_op(&t, "Clip", NULL, NET_IN(g, number(&t, "zero", 0), number(&t, "six", 6)));
        } else if (k >= 6 && k <= 7) {
            g = net_op(&t, "Div", NULL, NET_IN(x, number(&t, "root", 1.4142135381698608)));
            g = net_op(&t, "Erf", NULL, NET_IN(g));
            g = net_op(&t, "Add", NULL, NET_IN(g, number(&t, "one", 1)));
        } else {
            g = k == 1 ? net_op(&t, "Mul", NULL, NET_IN(number(&t, "a", 1.702), x)) : x;
            g = net_op(&t, "Sigmoid", NULL, NET_IN(g));
        }
        switch (k) {
        case 0:
        case 1:
            y = net_op(&t, "Mul", NULL, NET_IN(g, x));
            break;
        case 2: // (x * clip) / 6
            y = net_op(&t, "Mul", NULL, NET_IN(x, g));
            y = net_op(&t, "Div", NULL, NET_IN(y, number(&t, "6", 6)));
            break;
        case 3: // x * (clip / 6)
            g = net_op(&t, "Div", NULL, NET_IN(g, number(&t, "6", 6)));
            y = net_op(&t, "Mul", NULL, NET_IN(x, g));
            break;
        case 4:
            y = net_op(&t, "Mul", NULL, NET_IN(x, g));
            y = net_op(&t, "Mul", NULL, NET_IN(y, number(&t, "6th", 1.0 / 6)));
            break;
        case 5:
            y = net_op(&t, "Div", NULL, NET_IN(g, number(&t, "6", 6)));
            break;
        case 6: // (x * gate) * 0.5
            y = net_op(&t, "Mul", NULL, NET_IN(x, g));
            y = net_op(&t, "Mul", NULL, NET_IN(y, number(&t, "half", 0.5)));
            break;
        case 7: // (x * 0.5) * gate
            y = net_op(&t, "Mul", NULL, NET_IN(x, number(&t, "half", 0.5)));
            y = net_op(&t, "Mul", NULL, NET_IN(y, g));
            break;
        default: // another value than the gate's
            y = net_op(&t, "Mul", NULL, NET_IN(net_input(&t, "z", NET_DIMS(4, 25)), g));
        }
        net_output(&t, y);
        net_fold(&t, ALL);
        net_expect(&t, expected[k]);
        net_end(&t);
    }
}

// LayerNormalization spelled out, its scale and shift included; then spellings of something else.
static void gathered_layer_norm(void **state) {
    enum { POW, MUL, OTHER_AXIS, NO_KEEPDIMS, CUBE, ANOTHER_READER, CASES };
    for (int k = 0; k < CASES; k++) {
        struct net t;
        net_begin(&t, k == MUL ? 11 : 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(6, 6, 6)), *d, *v;
        const int64_t axis = k == OTHER_AXIS ? 1 : k == MUL ? 2 : -1;
        v = net_op(&t, "ReduceMean", "mean", NET_IN(x));
        net_attr_ints(&t, "axes", NET_INTS(axis));
        d = net_op(&t, "Sub", "sub", NET_IN(x, v));
        if (k == MUL)
            v = net_op(&t, "Mul", "square", NET_IN(d, d));
        else
            v = net_op(&t, "Pow", "square", NET_IN(d, number(&t, "two", k == CUBE ? 3 : 2)));
        if (k == ANOTHER_READER)
            net_output(&t, net_op(&t, "Exp", "exp", NET_IN(d)));
        v = net_op(&t, "ReduceMean", "variance", NET_IN(v));
        net_attr_ints(&t, "axes", NET_INTS(axis));
        if (k == NO_KEEPDIMS) // broadcast along another axis
            net_attr_int(&t, "keepdims", 0);
        v = net_op(&t, "Add", "add", NET_IN(v, number(&t, "epsilon", 30)));
        v = net_op(&t, "Div", "div", NET_IN(d, net_op(&t, "Sqrt", "root", NET_IN(v))));
        v = net_op(&t, "Mul", "scale", NET_IN(v, net_weight(&t, "gamma", NET_DIMS(6))));
        net_output(&t, net_op(&t, "Add", "shift", NET_IN(v, net_weight(&t, "beta", NET_DIMS(6)))));
        net_fold(&t, ALL);
        if (k <= MUL)
            net_expect(&t, "LayerNormalization");
        else
            for (const struct bnr_node *n = t.folded->graph->first; n; n = n->next)
                assert_string_not_equal(n->op_type, "LayerNormalization");
        net_end(&t);
    }
}

// ---- promotion ----------------------------------------------------------------------------------

static void promotion(void **state) {
    struct net t;
    struct bnr_model *m;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 1, 2, 2));
    struct bnr_value *y = net_op(&t, "Cast", NULL, NET_IN(x));
    net_attr_int(&t, "to", BNR_FLOAT16);
    y = net_op(&t, "Cast", NULL, NET_IN(y));
    net_attr_int(&t, "to", BNR_FLOAT);
    const double two[] = {1, 1, 2, 2};
    struct bnr_value *in[3] = {y, NULL, net_const(&t, "scales", NET_DIMS(4), two)};
    y = net_op(&t, "Resize", NULL, 3, in); // its scales are float32 whatever the data are
    struct bnr_value *shape = net_op(&t, "Shape", NULL, NET_IN(y));
    y = net_op(&t, "Add", NULL, NET_IN(y, net_op(&t, "ConstantOfShape", NULL, NET_IN(shape))));
    net_output(&t, y);
    assert_int_equal(bnr__model_clone(&m, t.model, &t.err), BNR_OK);
    assert_int_equal(bnr__model_resolve(m, NULL, &t.err), BNR_OK);
    assert_int_equal(bnr__model_infer(m, &t.err), BNR_OK);
    if (bnr__promote_f64(m, &t.err) != BNR_OK)
        fail_msg("%s", t.err.message);
    assert_int_equal(bnr__model_verify(m, &t.err), BNR_OK);
    assert_int_equal(m->graph->outputs[0]->info->type.dtype, BNR_DOUBLE);
    assert_int_equal(m->graph->inputs[0]->declared->dtype, BNR_DOUBLE);
    // In double, a third survives the detour over float16.
    t.data[0]->f32[0] = 1.0f / 3;
    t.folded = m;
    assert_true(net_error(&t) == 0);
    net_end(&t);
}

// ---- memory -------------------------------------------------------------------------------------

static void failing_allocations(void **state) {
    struct net t;
    small_net(&t);
    bool failed = true;
    for (int k = 0; failed; k++) {
        struct fault_alloc fault;
        struct bnr_model *m = NULL;
        const struct bnr_allocator *own = t.model->allocator;
        fault_alloc_init(&fault, k);
        t.model->allocator = &fault.allocator; // the copy's as well
        enum bnr_status st = bnr__model_clone(&m, t.model, &t.err);
        t.model->allocator = own;
        if (st == BNR_OK)
            st = bnr__model_resolve(m, NULL, &t.err);
        if (st == BNR_OK)
            st = bnr__model_infer(m, &t.err);
        if (st == BNR_OK)
            st = bnr__passes_run(m, &t.options, ALL | BNR_PASS_RAISE, &t.err);
        failed = st != BNR_OK;
        assert_true(st == BNR_OK || st == BNR_NO_MEMORY);
        bnr__model_free(m);
        assert_int_equal(atomic_load(&fault.live_blocks), 0);
    }
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_passes), cmocka_unit_test(unknown_pass),
        cmocka_unit_test(stop_after),   cmocka_unit_test(printing),
        cmocka_unit_test(epilogues),    cmocka_unit_test(two_branches),
        cmocka_unit_test(lowered),      cmocka_unit_test(shuffles),
        cmocka_unit_test(gathered),     cmocka_unit_test(gathered_layer_norm),
        cmocka_unit_test(promotion),    cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
