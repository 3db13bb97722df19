// SPDX-License-Identifier: Apache-2.0
// When a BatchNormalization must stay as it is: one test for each condition, which fails when the
// check goes away. The graph is the same afterwards, and the verdict says why.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, C = 4 };

static const struct net_conv conv = {.spatial = 2, .in = 3, .out = C, .k = 3};

static struct bnr_value *start(struct net *t, int opset) {
    net_begin(t, opset);
    return net_conv(t, "conv", net_input(t, "x", NET_DIMS(2, 3, 5, 5)), conv);
}

// x -> Conv -> BatchNormalization stays, for a reason that contains `part`.
static void stays(struct net *t, const char *part) {
    net_fold(t, FOLD);
    net_expect(t, "Conv BatchNormalization");
    net_expect_bn(t, "bn", BNR_BN_KEPT, part);
    net_end(t);
}

// ---- training mode ------------------------------------------------------------------------------

static void training_mode(void **state) {
    struct net t;
    struct bnr_value *y = start(&t, 14);
    y = net_bn(&t, "bn", y, C);
    net_attr_int(&t, "training_mode", 1);
    net_out(&t, 1);
    net_out(&t, 2);
    net_output(&t, t.node->out[0]);
    stays(&t, "training mode");
}

// Until opset 6 training is the default.
static void is_test(void **state) {
    for (int test = 0; test < 2; test++)
        for (int opset = 1; opset <= 6; opset += 5) {
            struct net t;
            net_output(&t, net_bn(&t, "bn", start(&t, opset), C));
            if (test) {
                net_attr_int(&t, "is_test", 1);
                net_fold(&t, FOLD);
                net_expect(&t, "Conv");
                net_end(&t);
                continue;
            }
            stays(&t, "training mode");
        }
}

// From 7 to 13 more than one output says it. They are not dropped because nobody reads them.
static void several_outputs(void **state) {
    static const int opsets[] = {7, 9, 13};
    for (size_t i = 0; i < BNR_COUNT(opsets); i++) {
        struct net t;
        struct bnr_value *y = start(&t, opsets[i]);
        net_bn(&t, "bn", y, C);
        net_out(&t, 1);
        net_out(&t, 2);
        net_output(&t, t.node->out[0]);
        stays(&t, "training mode");
    }
}

// Statistics that somebody reads, of a node that is not in training mode: no model may have that.
static void statistics_in_use(void **state) {
    for (int opset = 6; opset <= 14; opset += 8) {
        struct net t;
        struct bnr_model *m;
        struct bnr_value *y = net_bn(&t, "bn", start(&t, opset), C);
        if (opset == 6)
            net_attr_int(&t, "is_test", 1);
        net_output(&t, y);
        net_output(&t, net_out(&t, 1));
        assert_int_equal(bnr__model_clone(&m, t.model, &t.err), BNR_OK);
        assert_int_equal(bnr__model_resolve(m, NULL, &t.err), BNR_OK);
        assert_int_equal(bnr__model_infer(m, &t.err), BNR_SHAPE);
        assert_non_null(strstr(t.err.message, "output 1 is only there in training mode"));
        bnr__model_free(m);
        net_end(&t);
    }
}

// ---- who reads the producer ---------------------------------------------------------------------

static void other_use(void **state) {
    struct net t;
    struct bnr_value *y = start(&t, 13);
    net_output(&t, net_bn(&t, "bn", y, C));
    net_output(&t, net_op(&t, "Relu", NULL, NET_IN(y)));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv BatchNormalization Relu");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "the output of 'conv' has 1 other use");
    net_end(&t);
}

static void graph_output(void **state) {
    struct net t;
    struct bnr_value *y = start(&t, 13);
    net_output(&t, y);
    net_output(&t, net_bn(&t, "bn", y, C));
    stays(&t, "the output of 'conv' is an output of the graph");
}

// A body that reads the value: If is not evaluated here, so only the graph is looked at.
static void captured(void **state) {
    struct net t;
    struct bnr_value *y = start(&t, 13), *z, *r;
    net_output(&t, net_bn(&t, "bn", y, C));
    t.dtype = BNR_BOOL;
    struct bnr_value *condition = net_input(&t, "condition", 0, NULL);
    t.dtype = BNR_FLOAT;
    r = net_op(&t, "If", "if", NET_IN(condition));
    static const char *const branches[] = {"then_branch", "else_branch"};
    for (int i = 0; i < 2; i++) {
        struct bnr_graph *body = bnr__graph_new(t.model, t.node), *const graphs[1] = {body};
        struct bnr_node *n;
        assert_non_null(body);
        assert_int_equal(bnr__node_new(&n, body, NULL, "", "Relu", NULL, 1, &y, 1, &t.err), BNR_OK);
        assert_int_equal(bnr__value_new(&z, body, NULL, &t.err), BNR_OK);
        bnr__node_set_output(n, 0, z);
        assert_int_equal(bnr__graph_add_output(body, z, &t.err), BNR_OK);
        const struct bnr_attr attr = {.name = branches[i],
                                      .type = BNR_ATTR_GRAPH,
                                      .n = 1,
                                      .graphs = (struct bnr_graph **)(uintptr_t)graphs};
        assert_int_equal(bnr__node_set_attr(t.node, &attr), BNR_OK);
    }
    net_output(&t, r);
    net_rewrite(&t, FOLD);
    net_expect(&t, "Conv BatchNormalization If");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "the output of 'conv' has 2 other uses");
    net_end(&t);
}

// Only a body reads it: one reader, but in another graph.
static void inside_of_a_body(void **state) {
    struct net t;
    struct bnr_value *y = start(&t, 13), *z;
    t.dtype = BNR_BOOL;
    struct bnr_value *condition = net_input(&t, "condition", 0, NULL);
    t.dtype = BNR_FLOAT;
    struct bnr_value *bn = net_bn(&t, "bn", y, C);
    struct bnr_node *outer = t.node;
    struct bnr_value *r = net_op(&t, "If", "if", NET_IN(condition));
    static const char *const branches[] = {"then_branch", "else_branch"};
    for (int i = 0; i < 2;
         i++) { // one branch holds the BatchNormalization, the other a Conv and one
        struct bnr_graph *body = bnr__graph_new(t.model, t.node), *const graphs[1] = {body};
        struct bnr_node *n;
        struct bnr_value *in[5];
        memcpy(in, outer->in, sizeof in);
        if (i == 1) {
            struct bnr_node *c;
            assert_int_equal(
                bnr__node_new(&c, body, NULL, "", "Conv", "inner", 2, y->producer->in, 1, &t.err),
                BNR_OK);
            assert_int_equal(bnr__value_new(&in[0], body, NULL, &t.err), BNR_OK);
            bnr__node_set_output(c, 0, in[0]);
        }
        assert_int_equal(bnr__node_new(&n, body, NULL, "", "BatchNormalization",
                                       i ? "bn_else" : "bn_then", 5, in, 1, &t.err),
                         BNR_OK);
        assert_int_equal(bnr__value_new(&z, body, NULL, &t.err), BNR_OK);
        bnr__node_set_output(n, 0, z);
        assert_int_equal(bnr__graph_add_output(body, z, &t.err), BNR_OK);
        const struct bnr_attr attr = {.name = branches[i],
                                      .type = BNR_ATTR_GRAPH,
                                      .n = 1,
                                      .graphs = (struct bnr_graph **)(uintptr_t)graphs};
        assert_int_equal(bnr__node_set_attr(t.node, &attr), BNR_OK);
    }
    assert_int_equal(bn->n_uses, 0);
    bnr__node_remove(outer);
    net_output(&t, r);
    net_rewrite(&t, FOLD);
    net_expect(&t, "Conv If");
    net_expect_bn(&t, "bn_then", BNR_BN_KEPT, "used in a nested graph");
    net_expect_bn(&t, "bn_else", BNR_BN_FOLDED, "inner"); // pattern 24
    net_end(&t);
}

// ---- parameters ---------------------------------------------------------------------------------

// x -> Conv -> BN whose five inputs the caller may exchange.
struct parts {
    struct bnr_value *in[5];
};

static void parameters(struct net *t, struct parts *p, int opset) {
    static const char *const names[] = {"", "scale", "B", "mean", "var"};
    const double positive[C] = {1, 2, 0.5, 1};
    p->in[0] = start(t, opset);
    for (int i = 1; i < 5; i++)
        p->in[i] = net_const(t, names[i], NET_DIMS(C), i == 4 ? positive : NULL);
}

static void finish(struct net *t, const struct parts *p) {
    net_output(t, net_op(t, "BatchNormalization", "bn", 5, p->in));
}

static void not_constant(void **state) {
    static const char *const expected[] = {"", "its scale 'in'", "its B 'in'", "its mean 'in'",
                                           "its var 'in'"};
    for (int i = 1; i < 5; i++) {
        struct net t;
        struct parts p;
        parameters(&t, &p, 13);
        p.in[i] = net_input(&t, "in", NET_DIMS(C));
        for (int c = 0; c < C && i == 4; c++)
            t.data[1]->f32[c] = 1;
        finish(&t, &p);
        stays(&t, expected[i]);
    }
}

// From IR version 4 on an initializer that is listed as input is a default that the caller may
// override.
static void overridable(void **state) {
    for (int k = 0; k < 3; k++) {
        struct net t;
        struct parts p;
        parameters(&t, &p, 13);
        finish(&t, &p);
        p.in[1]->is_initializer = true;
        *bnr__value_declare(p.in[1]) = p.in[1]->info->type;
        assert_int_equal(bnr__graph_add_input(t.g, p.in[1], &t.err), BNR_OK);
        t.data[1] = bnr__tensor_ref(p.in[1]->tensor);
        t.model->ir_version = k == 1 ? 3 : 8;
        t.model->freeze_initializers = k == 2;
        if (k == 0) {
            stays(&t, "may override");
            continue;
        }
        net_rewrite(&t, FOLD);
        net_expect(&t, "Conv");
        net_end(&t);
    }
}

static void weights_not_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3, 5, 5));
    struct bnr_value *w = net_input(&t, "w", NET_DIMS(C, 3, 3, 3));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Conv", "conv", NET_IN(x, w)), C));
    stays(&t, "the weights of 'conv' are not constant");
}

static void bias_not_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3, 5, 5)),
                     *b = net_input(&t, "b", NET_DIMS(C));
    struct bnr_value *w = net_weight(&t, "w", NET_DIMS(C, 3, 3, 3));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Conv", "conv", NET_IN(x, w, b)), C));
    stays(&t, "the bias of 'conv' is not constant");
}

// A real network has a variance of -9.99e-06 with an epsilon of 1e-5.
static void variance(void **state) {
    static const double bad[] = {-1e-5, -1, -INFINITY, NAN};
    for (size_t i = 0; i < BNR_COUNT(bad); i++) {
        struct net t;
        struct parts p;
        const double var[C] = {1, bad[i], 1, 1};
        parameters(&t, &p, 13);
        p.in[4] = net_const(&t, "bad", NET_DIMS(C), var);
        finish(&t, &p);
        net_attr_float(&t, "epsilon", 1e-5);
        net_rewrite(&t, FOLD);
        net_expect(&t, "Conv BatchNormalization");
        net_expect_bn(&t, "bn", BNR_BN_KEPT, "of channel 1 is not positive");
        net_end(&t);
    }
}

static void infinite_parameters(void **state) {
    static const double bad[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < BNR_COUNT(bad); i++)
        for (int k = 1; k < 4; k++) {
            struct net t;
            struct parts p;
            const double v[C] = {1, 1, bad[i], 1};
            parameters(&t, &p, 13);
            p.in[k] = net_const(&t, "bad", NET_DIMS(C), v);
            finish(&t, &p);
            net_rewrite(&t, FOLD);
            net_expect(&t, "Conv BatchNormalization");
            net_expect_bn(&t, "bn", BNR_BN_KEPT, "channel 2 are not finite");
            net_end(&t);
        }
}

// The product is too large for the weights' dtype, or the new bias is.
static void too_large(void **state) {
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 15);
        t.dtype = k & 1 ? BNR_FLOAT16 : BNR_FLOAT;
        const double large = k & 1 ? 60000 : 1e38, zero = 0, tiny = 1e-3, one = 1;
        const double *scale = k & 2 ? &one : &large, *b = k & 2 ? &large : &zero;
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 1, 3, 3));
        const double ten = 10;
        struct bnr_value *w = net_const(&t, "w", NET_DIMS(1, 1, 1, 1), k & 2 ? &tiny : &ten);
        struct bnr_value *bias = net_const(&t, "bias", NET_DIMS(1), k & 2 ? &large : &zero);
        struct bnr_value *in[5] = {
            net_op(&t, "Conv", "conv", NET_IN(x, w, bias)), net_const(&t, "s", NET_DIMS(1), scale),
            net_const(&t, "B", NET_DIMS(1), b), net_const(&t, "m", NET_DIMS(1), &zero),
            net_const(&t, "v", NET_DIMS(1), k & 2 ? &one : &one)};
        if (k & 2) { // s*b + t doubles the largest numbers there are
            const double most = k & 1 ? 65504 : 3e38;
            in[2] = net_const(&t, "B2", NET_DIMS(1), &most);
        }
        net_output(&t, net_op(&t, "BatchNormalization", "bn", 5, in));
        net_rewrite(&t, FOLD);
        net_expect(&t, "Conv BatchNormalization");
        net_expect_bn(&t, "bn", BNR_BN_KEPT, "would not be finite");
        net_end(&t);
    }
}

// Where the channels of x are open, inference cannot tell that parameters do not fit.
static void counts_disagree(void **state) {
    static const char *const names[] = {"its B", "its mean", "its var", "channels, 'conv' has 4"};
    for (int k = 0; k < 4; k++) {
        struct net t;
        struct parts p = {{NULL}};
        net_begin(&t, 13);
        p.in[0] = net_input(&t, "x", NET_DIMS(2, 4, 5, 5));
        bnr__value_declare(p.in[0])->shape.dims[1] = bnr__dim_unknown();
        for (int i = 1; i < 5; i++) {
            const int64_t n = k == 3 ? 5 : i == k + 2 ? 3 : 4;
            const double ones[5] = {1, 1, 1, 1, 1};
            p.in[i] = net_const(&t, "p", 1, &n, ones);
        }
        struct bnr_value *y = net_op(&t, "BatchNormalization", "bn", 5, p.in);
        const struct net_conv c = {.spatial = 2, .in = 4, .out = 2, .k = 3};
        net_output(&t, net_conv(&t, "conv", y, c));
        net_rewrite(&t, FOLD);
        net_expect(&t, "BatchNormalization Conv");
        net_expect_bn(&t, "bn", BNR_BN_KEPT, names[k]);
        net_end(&t);
    }
}

static void rank_not_known(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 4, 5, 5));
    bnr__value_declare(x)->shape = bnr__shape_unknown();
    const struct net_conv c = {.spatial = 2, .in = 4, .out = 2, .k = 3};
    net_output(&t, net_conv(&t, "conv", net_bn(&t, "bn", x, 4), c));
    net_rewrite(&t, FOLD);
    net_expect(&t, "BatchNormalization Conv");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "rank");
    net_end(&t);
}

// Without the sizes nothing says which activation has which statistics.
static void activations_not_known(void **state) {
    struct net t;
    struct bnr_value *in[5];
    net_begin(&t, 8);
    in[0] = net_input(&t, "x", NET_DIMS(2, 2, 3));
    bnr__value_declare(in[0])->shape.dims[2] = bnr__dim_unknown();
    for (int i = 1; i < 5; i++)
        in[i] = net_const(&t, "p", NET_DIMS(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    struct bnr_value *y = net_op(&t, "BatchNormalization", "bn", 5, in);
    net_attr_int(&t, "spatial", 0);
    net_output(&t, net_op(&t, "Flatten", NULL, NET_IN(y)));
    net_rewrite(&t, FOLD);
    net_expect(&t, "BatchNormalization Flatten");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "not spatial, and the dims of its input are not known");
    net_end(&t);
}

// The search gives up after a hundred operators.
static void too_far(void **state) {
    for (int n = 90; n <= 120; n += 30) {
        struct net t;
        struct bnr_value *y = start(&t, 13);
        for (int i = 0; i < n; i++) {
            y = net_op(&t, "AveragePool", NULL, NET_IN(y));
            net_attr_ints(&t, "kernel_shape", NET_INTS(1, 1));
        }
        net_output(&t, net_bn(&t, "bn", y, C));
        net_rewrite(&t, FOLD);
        if (n < 100)
            net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
        else
            net_expect_bn(&t, "bn", BNR_BN_KEPT, "the way is too long");
        net_end(&t);
    }
}

// And after 256 places: each of the convolutions here would be one.
static void too_wide(void **state) {
    enum { MANY = 300 };
    struct net t;
    struct bnr_value *parts[MANY], *x;
    net_begin(&t, 13);
    x = net_input(&t, "x", NET_DIMS(1, 1, 2, 2));
    for (int i = 0; i < MANY; i++)
        parts[i] = net_op(&t, "Conv", NULL, NET_IN(x, net_weight(&t, "w", NET_DIMS(1, 1, 1, 1))));
    struct bnr_value *y = net_op(&t, "Concat", NULL, MANY, parts);
    net_attr_int(&t, "axis", 1);
    net_output(&t, net_bn(&t, "bn", y, MANY));
    net_rewrite(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "the way is too long");
    net_end(&t);
}

// It makes the weights of a convolution, not its data.
static void feeds_weights(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *w = net_bn(&t, "bn", net_input(&t, "w", NET_DIMS(C, 3, 3, 3)), 3);
    net_output(&t, net_op(&t, "Conv", "conv", NET_IN(net_input(&t, "x", NET_DIMS(2, 3, 5, 5)), w)));
    net_fold(&t, FOLD);
    net_expect(&t, "BatchNormalization Conv");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "it feeds the weights of 'conv'");
    net_end(&t);
}

// What no model may have is an error of one line that names node and parameter, not a fold.
static void not_valid(void **state) {
    static const struct {
        int parameter, rank;
        int64_t dims[2];
        enum bnr_dtype dtype;
        const char *part;
    } bad[] = {
        {1, 1, {C + 1}, BNR_FLOAT, "scale is float32[5], expected float32[4]"},
        {2, 1, {C - 1}, BNR_FLOAT, "B is float32[3], expected float32[4]"},
        {3, 2, {1, C}, BNR_FLOAT, "mean is float32[1,4], expected float32[4]"},
        {4, 0, {0}, BNR_FLOAT, "var is float32[], expected float32[4]"},
        {1, 1, {C}, BNR_INT32, "int32"},
    };
    for (size_t i = 0; i < BNR_COUNT(bad); i++) {
        struct net t;
        struct parts p;
        struct bnr_model *m;
        parameters(&t, &p, 13);
        t.dtype = bad[i].dtype;
        p.in[bad[i].parameter] = net_weight(&t, "bad", bad[i].rank, bad[i].dims);
        finish(&t, &p);
        assert_int_equal(bnr__model_clone(&m, t.model, &t.err), BNR_OK);
        assert_int_equal(bnr__model_resolve(m, NULL, &t.err), BNR_OK);
        assert_int_equal(bnr__model_infer(m, &t.err),
                         bad[i].dtype == BNR_FLOAT ? BNR_SHAPE : BNR_UNSUPPORTED);
        assert_non_null(strstr(t.err.message, bad[i].part));
        assert_non_null(strstr(t.err.message, "node 'bn' (BatchNormalization)"));
        assert_null(strchr(t.err.message, '\n'));
        bnr__model_free(m);
        net_end(&t);
    }
}

// Statistics, scale and data of three dtypes (opset 15) are no obstacle.
static void mixed_dtypes(void **state) {
    struct net t;
    struct parts p;
    net_begin(&t, 15);
    t.dtype = BNR_FLOAT16;
    const double positive[C] = {1, 2, 0.5, 1};
    p.in[0] = net_conv(&t, "conv", net_input(&t, "x", NET_DIMS(2, 3, 5, 5)), conv);
    t.dtype = BNR_FLOAT;
    p.in[1] = net_weight(&t, "scale", NET_DIMS(C));
    p.in[2] = net_weight(&t, "B", NET_DIMS(C));
    t.dtype = BNR_DOUBLE;
    p.in[3] = net_weight(&t, "mean", NET_DIMS(C));
    p.in[4] = net_const(&t, "var", NET_DIMS(C), positive);
    t.dtype = BNR_FLOAT16;
    finish(&t, &p);
    net_fold(&t, FOLD);
    net_expect(&t, "Conv");
    assert_int_equal(t.folded->graph->first->in[1]->tensor->dtype, BNR_FLOAT16);
    net_end(&t);
}

// ---- what only looks like it --------------------------------------------------------------------

// Normalizations by the data's own statistics (pattern 27) are no batch norms: not in the report, not
// changed, and what is behind a convolution stays there.
static void statistics_of_the_data(void **state) {
    static const char *const ops[] = {"InstanceNormalization", "GroupNormalization", "LayerNormalization",
                                      "MeanVarianceNormalization", "LRN", "LpNormalization"};
    for (size_t i = 0; i < BNR_COUNT(ops); i++)
        for (int front = 0; front < 2; front++) {
            struct net t;
            char expected[64];
            net_begin(&t, 21);
            const int64_t n = i == 2 ? 5 : C;
            struct bnr_value *in[3] = {net_input(&t, "x", NET_DIMS(2, C, 5, 5))};
            const struct net_conv c = {.spatial = 2, .in = C, .out = C, .k = 3, .pad = 1};
            if (!front)
                in[0] = net_conv(&t, "conv", in[0], c);
            in[1] = net_weight(&t, "g", 1, &n);
            in[2] = net_weight(&t, "b", 1, &n);
            struct bnr_value *y = net_op(&t, ops[i], "norm", i < 3 ? 3 : 1, in);
            if (i == 1)
                net_attr_int(&t, "num_groups", 2);
            if (i == 4)
                net_attr_int(&t, "size", 3);
            net_output(&t, front ? net_conv(&t, "conv", y, c) : y);
            net_fold(&t, FOLD);
            snprintf(expected, sizeof expected, front ? "%s Conv" : "Conv %s", ops[i]);
            net_expect(&t, expected);
            assert_int_equal(t.folded->n_bns, 0);
            for (struct bnr_node *f = t.folded->graph->first; f; f = f->next)
                for (int k = 1; k < f->n_in; k++) // the same numbers
                    assert_non_null(bnr__value_find(t.g, f->in[k]->name));
            net_end(&t);
        }
}

// ---- what the caller wants ----------------------------------------------------------------------

static void kept_by_name(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_input(&t, "x", NET_DIMS(2, 3, 5, 5));
    static const char *const names[] = {"a", "bn", "bn2"};
    for (int i = 0; i < 3; i++) {
        char label[20];
        snprintf(label, sizeof label, "conv%d", i);
        const struct net_conv c = {.spatial = 2, .in = 3, .out = 3, .k = 1};
        y = net_bn(&t, names[i], net_conv(&t, label, y, c), 3);
    }
    net_output(&t, y);
    t.options.keep = "unknown,bn,bn22";
    for (int fuse = 0; fuse < 2; fuse++) {
        net_fold(&t, FOLD | (fuse ? BNR_PASS_FUSE : 0));
        net_expect(&t, "Conv Conv BatchNormalization Conv");
        net_expect_bn(&t, "a", BNR_BN_FOLDED, "conv0");
        net_expect_bn(&t, "bn", BNR_BN_KEPT, "caller");
        net_expect_bn(&t, "bn2", BNR_BN_FOLDED, "conv2");
    }
    net_end(&t);
}

// No other one merges with what is to be kept, nor goes past it.
static void beside_one_to_be_kept(void **state) {
    for (int forward = 0; forward < 2; forward++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *y = net_input(&t, "x", NET_DIMS(2, 3, 5, 5));
        const struct net_conv c = {.spatial = 2, .in = 3, .out = 3, .k = 1};
        if (!forward)
            y = net_conv(&t, "conv", y, c);
        y = net_bn(&t, forward ? "other" : "bn", y, 3);
        y = net_bn(&t, forward ? "bn" : "other", y, 3);
        net_output(&t, forward ? net_conv(&t, "conv", y, c) : y);
        t.options.keep = "bn";
        net_fold(&t, FOLD);
        net_expect_bn(&t, "bn", BNR_BN_KEPT, "caller");
        net_expect_bn(&t, "other", BNR_BN_KEPT, "'bn' is to be kept");
        net_end(&t);
    }
}

// A convolution in a body is no reader that takes in what is outside.
static void read_in_a_body(void **state) {
    static const char *const branches[] = {"then_branch", "else_branch"};
    struct net t, outer;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, 3, 5, 5)), 3);
    struct bnr_value *y = net_op(&t, "If", "if", NET_IN(net_condition(&t, "condition", true)));
    for (int i = 0; i < 2; i++) {
        net_enter(&t, &outer);
        struct bnr_value *r = net_conv(&t, i ? "a" : "b", x, conv);
        net_leave(&t, &outer, branches[i], r);
        outer.seed = t.seed;
    }
    net_output(&t, y);
    net_fold(&t, FOLD);
    net_expect(&t, "BatchNormalization If");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "used in a nested graph");
    net_end(&t);
}

static void without_folding(void **state) {
    struct net t;
    net_output(&t, net_bn(&t, "bn", start(&t, 13), C));
    net_fold(&t, BNR_PASS_CLEAN | BNR_PASS_FUSE);
    net_expect(&t, "Conv BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "not asked for");
    net_end(&t);
}

// New names never collide with those of the file.
static void names(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "conv.w_folded", NET_DIMS(2, 3, 5, 5));
    struct bnr_value *y = net_conv(&t, "conv", x, conv);
    y = net_op(&t, "Add", "conv_bias", NET_IN(y, net_weight(&t, "conv_bias", NET_DIMS(1))));
    net_output(&t, net_bn(&t, "bn", y, C));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv");
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_mode),
        cmocka_unit_test(is_test),
        cmocka_unit_test(several_outputs),
        cmocka_unit_test(statistics_in_use),
        cmocka_unit_test(other_use),
        cmocka_unit_test(graph_output),
        cmocka_unit_test(captured),
        cmocka_unit_test(inside_of_a_body),
        cmocka_unit_test(not_constant),
        cmocka_unit_test(overridable),
        cmocka_unit_test(weights_not_constant),
        cmocka_unit_test(bias_not_constant),
        cmocka_unit_test(variance),
        cmocka_unit_test(infinite_parameters),
        cmocka_unit_test(too_large),
        cmocka_unit_test(counts_disagree),
        cmocka_unit_test(rank_not_known),
        cmocka_unit_test(activations_not_known),
        cmocka_unit_test(too_far),
        cmocka_unit_test(too_wide),
        cmocka_unit_test(feeds_weights),
        cmocka_unit_test(not_valid),
        cmocka_unit_test(mixed_dtypes),
        cmocka_unit_test(statistics_of_the_data),
        cmocka_unit_test(kept_by_name),
        cmocka_unit_test(beside_one_to_be_kept),
        cmocka_unit_test(read_in_a_body),
        cmocka_unit_test(without_folding),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
