// SPDX-License-Identifier: Apache-2.0
// BatchNormalization of every opset in both modes, and the other normalizations, against their
// formulas.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/affine.h"
#include "tests/lib/ops_test.h"

// ---- BatchNormalization -------------------------------------------------------------------------

enum { N = 3, C = 4, D = 5, COUNT = N * C * D };

static const double positive[C * D] = {0.5, 1,   2, 4, 0.1, 0.2, 0.3, 0.4, 1.5, 2.5,
                                       3.5, 4.5, 1, 1, 1,   1,   2,   2,   2,   2};

struct bn {
    struct ops_test t;
    bool spatial;
    size_t parameters; // C, or C * D
};

// X [N, C, D] (or [N, C] or [N]) with an offset, so that mean and variance are far apart. dtypes: of X, of
// scale and B, of mean and var.
static struct bn bn_begin_mixed(int opset, int n_out, int rank, bool spatial,
                                const enum bnr_dtype dtypes[3]) {
    const int64_t dims[] = {N, C, D}, per_activation[] = {C, D}, channels[] = {rank == 1 ? 1 : C};
    struct bn b = {.spatial = spatial};
    double x[COUNT];
    for (int i = 0; i < COUNT; i++)
        x[i] = 10 + i * 37 % 101 / 25.0;
    ops_test_begin(&b.t, "BatchNormalization", opset, n_out);
    ops_test_in_as(&b.t, dtypes[0], rank, dims, x);
    for (int i = 1; i < 5; i++)
        ops_test_in_as(&b.t, dtypes[1 + i / 3], spatial ? 1 : rank - 1,
                       spatial ? channels : per_activation, i == 4 ? positive : NULL);
    b.parameters = b.t.in[1]->numel;
    if (!spatial)
        bnr__node_set_attr_int(b.t.node, "spatial", 0);
    return b;
}

static struct bn bn_begin(int opset, int n_out, int rank, bool spatial, enum bnr_dtype dtype) {
    return bn_begin_mixed(opset, n_out, rank, spatial, (enum bnr_dtype[]){dtype, dtype, dtype});
}

// Which parameter belongs to element i of X.
static size_t parameter_of(const struct bn *b, size_t i) {
    const struct bnr_tensor *x = b->t.in[0];
    if (x->rank == 1)
        return 0;
    const size_t inner = x->rank == 3 ? D : 1;
    return b->spatial ? i / inner % C : i % (C * inner);
}

static void batch_statistics(const struct bn *b, double *mean, double *var) {
    const size_t n = b->t.in[0]->numel;
    for (size_t p = 0; p < b->parameters; p++) {
        double sum = 0, squares = 0, count = 0;
        for (size_t i = 0; i < n; i++)
            if (parameter_of(b, i) == p) {
                sum += ops_test_x(&b->t, 0, i);
                count++;
            }
        for (size_t i = 0; i < n; i++)
            if (parameter_of(b, i) == p)
                squares += pow(ops_test_x(&b->t, 0, i) - sum / count, 2);
        mean[p] = sum / count;
        var[p] = squares / count; // the population's
    }
}

// Of an element, relative to 1 + its magnitude.
static double tolerance_of(enum bnr_dtype dtype) {
    return dtype == BNR_DOUBLE     ? 1e-13
           : dtype == BNR_FLOAT16  ? 1e-3
           : dtype == BNR_BFLOAT16 ? 8e-3
                                   : 1e-6;
}

// tolerance 0: by each output's dtype.
static void bn_check(struct bn *b, bool trains, double epsilon, double momentum, double tolerance) {
    double mean[C * D], var[C * D], y[COUNT], running[2][C * D];
    struct ops_test *t = &b->t;
    ops_test_ok(t);
    batch_statistics(b, mean, var);
    for (size_t p = 0; p < b->parameters; p++) {
        running[0][p] = ops_test_x(t, 3, p) * momentum + mean[p] * (1 - momentum);
        running[1][p] = ops_test_x(t, 4, p) * momentum + var[p] * (1 - momentum);
    }
    for (size_t i = 0; i < t->in[0]->numel; i++) {
        const size_t p = parameter_of(b, i);
        const double m = trains ? mean[p] : ops_test_x(t, 3, p),
                     v = trains ? var[p] : ops_test_x(t, 4, p);
        y[i] = (ops_test_x(t, 0, i) - m) / sqrt(v + epsilon) * ops_test_x(t, 1, p) +
               ops_test_x(t, 2, p);
    }
    ops_test_near(t, 0, y, t->in[0]->numel, tolerance > 0 ? tolerance : tolerance_of(t->in[0]->dtype));
    for (int i = 1; i < t->n_out; i++) {
        if (!t->node->out[i])
            continue;
        assert_int_equal(t->out[i]->dtype, t->in[i % 2 ? 3 : 4]->dtype);
        ops_test_near(t, i,
                      i <= 2   ? running[i - 1]
                      : i == 3 ? mean
                               : var,
                      b->parameters, tolerance > 0 ? tolerance : tolerance_of(t->out[i]->dtype));
    }
    ops_test_end(t);
}

static void bn_inference(void **state) {
    static const int opsets[] = {1, 6, 7, 8, 9, 13, 14, 15};
    static const struct {
        enum bnr_dtype dtype;
        double tolerance;
    } types[] = {{BNR_FLOAT, 1e-6}, {BNR_DOUBLE, 1e-13}, {BNR_FLOAT16, 1e-3}, {BNR_BFLOAT16, 8e-3}};
    for (size_t i = 0; i < BNR_COUNT(opsets); i++)
        for (size_t d = 0; d < BNR_COUNT(types); d++)
            for (int spatial = opsets[i] < 9 ? 0 : 1; spatial < 2; spatial++) {
                struct bn b = bn_begin(opsets[i], 1, 3, spatial, types[d].dtype);
                if (opsets[i] < 7)
                    bnr__node_set_attr_int(b.t.node, "is_test", 1);
                bn_check(&b, false, (double)1e-5f, 0, types[d].tolerance);
            }
}

// Every version and dtype; from 14 on statistics in float or double beside narrower data, from 15 on scale and
// B in a dtype of their own.
static void bn_training(void **state) {
    static const int opsets[] = {1, 6, 7, 8, 9, 13, 14, 15};
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16};
    for (size_t i = 0; i < BNR_COUNT(opsets); i++)
        for (int spatial = opsets[i] < 9 ? 0 : 1; spatial < 2; spatial++)
            for (size_t d = 0; d < BNR_COUNT(dtypes); d++)
                for (int k = 0; k < (opsets[i] < 14 ? 1 : opsets[i] < 15 ? 3 : 9); k++) {
                    const enum bnr_dtype wide[] = {dtypes[d], BNR_FLOAT, BNR_DOUBLE};
                    const enum bnr_dtype mixed[3] = {dtypes[d], wide[k / 3], wide[k % 3]};
                    struct bn b = bn_begin_mixed(opsets[i], opsets[i] < 14 ? 5 : 3, 3, spatial, mixed);
                    bnr__node_set_attr_float(b.t.node, "epsilon", 0.01f);
                    bnr__node_set_attr_float(b.t.node, "momentum", 0.75f);
                    if (opsets[i] >= 14)
                        bnr__node_set_attr_int(b.t.node, "training_mode", 1);
                    bn_check(&b, true, (double)0.01f, 0.75, 0);
                }
}

// Any of the optional outputs may be left out; from 7 to 13 one that is wanted is enough to train.
static void bn_some_outputs(void **state) {
    static const int opsets[] = {1, 6, 7, 9, 13, 14, 15};
    for (size_t i = 0; i < BNR_COUNT(opsets); i++) {
        const int n_out = opsets[i] < 14 ? 5 : 3;
        for (int wanted = 1; wanted < 1 << (n_out - 1); wanted++) {
            struct bn b = bn_begin(opsets[i], n_out, 3, true, BNR_FLOAT);
            for (int o = 1; o < n_out; o++)
                if (!(wanted >> (o - 1) & 1))
                    ops_test_unwanted(&b.t, o);
            if (opsets[i] >= 14)
                bnr__node_set_attr_int(b.t.node, "training_mode", 1);
            bn_check(&b, true, (double)1e-5f, (double)0.9f, 0);
        }
    }
}

// y does not depend on momentum, and the training modes need no extra outputs where an attribute
// says so.
static void bn_training_without_outputs(void **state) {
    struct bn b = bn_begin(6, 1, 3, true, BNR_FLOAT); // is_test is 0 when absent
    assert_true(bnr__batch_norm_trains(b.t.node) || b.t.node->since == 0);
    bnr__node_set_attr_float(b.t.node, "momentum", 0);
    bn_check(&b, true, (double)1e-5f, 0, 1e-6);
    b = bn_begin(15, 1, 3, true, BNR_FLOAT);
    bnr__node_set_attr_int(b.t.node, "training_mode", 1);
    bn_check(&b, true, (double)1e-5f, 0.9, 1e-6);
    b = bn_begin(9, 5, 3, true, BNR_FLOAT); // every extra output is listed, none is wanted
    for (int i = 1; i < 5; i++)
        ops_test_unwanted(&b.t, i);
    b.t.n_out = 1;
    bn_check(&b, false, (double)1e-5f, 0.9, 1e-6);
    b = bn_begin(9, 1, 3, true, BNR_FLOAT); // BNR_TRAINING sets the attribute in any version
    bnr__node_set_attr_int(b.t.node, "training_mode", 1);
    bn_check(&b, true, (double)1e-5f, 0.9, 1e-6);
}

static void bn_other_ranks(void **state) {
    for (int rank = 1; rank <= 2; rank++)
        for (int training = 0; training < 2; training++) {
            struct bn b = bn_begin(15, training ? 3 : 1, rank, true, BNR_FLOAT);
            bnr__node_set_attr_int(b.t.node, "training_mode", training);
            bn_check(&b, training, (double)1e-5f, (double)0.9f, 1e-6);
        }
}

// Statistics of large numbers close together: E[x^2] - E[x]^2 would have no correct digit.
static void bn_cancellation(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "BatchNormalization", 15, 1);
    ops_test_in(&t, DIMS(4, 1), (double[]){16777216, 16777218, 16777220, 16777222});
    for (int i = 1; i < 5; i++)
        ops_test_in(&t, DIMS(1), (double[]){i == 1 || i == 4});
    bnr__node_set_attr_int(t.node, "training_mode", 1);
    ops_test_ok(&t);
    const double s = 1 / sqrt(5 + (double)1e-5f);
    ops_test_near(&t, 0, (double[]){-3 * s, -s, s, 3 * s}, 4, 1e-6);
    ops_test_end(&t);
}

static void bn_mixed_dtypes(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "BatchNormalization", 15, 3);
    ops_test_in_as(&t, BNR_FLOAT16, DIMS(2, 1), (double[]){1, 3});
    ops_test_in_as(&t, BNR_BFLOAT16, DIMS(1), (double[]){2});
    ops_test_in_as(&t, BNR_BFLOAT16, DIMS(1), (double[]){1});
    ops_test_in_as(&t, BNR_DOUBLE, DIMS(1), (double[]){0});
    ops_test_in_as(&t, BNR_DOUBLE, DIMS(1), (double[]){1});
    bnr__node_set_attr_int(t.node, "training_mode", 1);
    bnr__node_set_attr_float(t.node, "epsilon", 0);
    bnr__node_set_attr_float(t.node, "momentum", 0.5f);
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->dtype, BNR_FLOAT16);
    assert_int_equal(t.out[1]->dtype, BNR_DOUBLE);
    ops_test_near(&t, 0, (double[]){-1, 3}, 2, 0);
    ops_test_near(&t, 1, (double[]){1}, 1, 0);
    ops_test_near(&t, 2, (double[]){1}, 1, 0);
    ops_test_end(&t);
}

static void bn_refusals(void **state) {
    struct bn b = bn_begin(15, 3, 3, true, BNR_FLOAT);
    ops_test_refused(&b.t, "only there in training mode");
    b = bn_begin(14, 4, 3, true, BNR_FLOAT);
    bnr__node_set_attr_int(b.t.node, "training_mode", 1);
    ops_test_refused(&b.t, "4 outputs, expected at most 3");
    b = bn_begin(8, 1, 1, true, BNR_FLOAT);
    ops_test_refused(&b.t, "rank 1");
    b = bn_begin(15, 1, 3, true, BNR_FLOAT);
    bnr__node_set_attr_float(b.t.node, "epsilon", -1);
    ops_test_refused(&b.t, "epsilon is -1");
    struct ops_test t;
    ops_test_begin(&t, "BatchNormalization", 15, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    for (int i = 1; i < 5; i++)
        ops_test_in(&t, DIMS(i == 3 ? 2 : 3), NULL);
    ops_test_refused(&t, "mean is float32[2], expected float32[3]");
    ops_test_begin(&t, "BatchNormalization", 15, 1);
    t.dtype = BNR_INT32;
    ops_test_in(&t, DIMS(2, 3), NULL);
    for (int i = 1; i < 5; i++)
        ops_test_in(&t, DIMS(3), NULL);
    ops_test_refused(&t, "int32");
}

// ---- the others ---------------------------------------------------------------------------------

// y = (x - mean) / sqrt(var + epsilon) over groups of elements: group(i) of element i.
static void normalized(const struct ops_test *t, size_t (*group)(size_t i), double epsilon,
                       double *y) {
    for (size_t i = 0; i < t->in[0]->numel; i++) {
        double sum = 0, squares = 0, n = 0;
        for (size_t k = 0; k < t->in[0]->numel; k++)
            if (group(k) == group(i)) {
                sum += ops_test_x(t, 0, k);
                n++;
            }
        for (size_t k = 0; k < t->in[0]->numel; k++)
            if (group(k) == group(i))
                squares += pow(ops_test_x(t, 0, k) - sum / n, 2);
        y[i] = (ops_test_x(t, 0, i) - sum / n) / sqrt(squares / n + epsilon);
    }
}

static size_t by_channel(size_t i) {
    return i / D;
}
static size_t by_pair_of_channels(size_t i) {
    return i / (2 * D);
}
static size_t by_row(size_t i) {
    return i / (C * D);
}
static size_t across_batch(size_t i) {
    return i / D % C;
}

static void instance_normalization(void **state) {
    struct ops_test t;
    double y[COUNT];
    ops_test_begin(&t, "InstanceNormalization", 6, 1);
    ops_test_in(&t, DIMS(N, C, D), NULL);
    ops_test_in(&t, DIMS(C), NULL);
    ops_test_in(&t, DIMS(C), NULL);
    ops_test_ok(&t);
    normalized(&t, by_channel, (double)1e-5f, y);
    for (size_t i = 0; i < COUNT; i++)
        y[i] = y[i] * ops_test_x(&t, 1, i / D % C) + ops_test_x(&t, 2, i / D % C);
    ops_test_near(&t, 0, y, COUNT, 1e-6);
    ops_test_end(&t);
}

static void group_normalization(void **state) {
    for (int opset = 18; opset <= 21; opset += 3) {
        struct ops_test t;
        double y[COUNT];
        const int64_t n = opset == 18 ? 2 : C; // per group, per channel
        ops_test_begin(&t, "GroupNormalization", opset, 1);
        ops_test_in(&t, DIMS(N, C, D), NULL);
        ops_test_in(&t, DIMS(n), NULL);
        ops_test_in(&t, DIMS(n), NULL);
        bnr__node_set_attr_int(t.node, "num_groups", 2);
        ops_test_ok(&t);
        normalized(&t, by_pair_of_channels, (double)1e-5f, y);
        for (size_t i = 0; i < COUNT; i++) {
            const size_t p = opset == 18 ? i / (2 * D) % 2 : i / D % C;
            y[i] = y[i] * ops_test_x(&t, 1, p) + ops_test_x(&t, 2, p);
        }
        ops_test_near(&t, 0, y, COUNT, 1e-6);
        ops_test_end(&t);
    }
    struct ops_test t;
    ops_test_begin(&t, "GroupNormalization", 21, 1);
    ops_test_in(&t, DIMS(N, C, D), NULL);
    ops_test_in(&t, DIMS(C), NULL);
    ops_test_in(&t, DIMS(C), NULL);
    bnr__node_set_attr_int(t.node, "num_groups", 3);
    ops_test_refused(&t, "4 channels do not divide into 3 groups");
}

static void layer_normalization(void **state) {
    for (int with_bias = 0; with_bias < 2; with_bias++) {
        struct ops_test t;
        double y[COUNT];
        ops_test_begin(&t, "LayerNormalization", 17, 3);
        ops_test_in(&t, DIMS(N, C, D), NULL);
        ops_test_in(&t, DIMS(C, 1), NULL); // broadcasts within a row
        if (with_bias)
            ops_test_in(&t, DIMS(D), NULL);
        bnr__node_set_attr_int(t.node, "axis", -2);
        ops_test_ok(&t);
        ops_test_dims(&t, 1, DIMS(N, 1, 1));
        normalized(&t, by_row, (double)1e-5f, y);
        for (size_t i = 0; i < COUNT; i++)
            y[i] = y[i] * ops_test_x(&t, 1, i / D % C) + (with_bias ? ops_test_x(&t, 2, i % D) : 0);
        ops_test_near(&t, 0, y, COUNT, 1e-6);
        for (size_t r = 0; r < N; r++) {
            double sum = 0, squares = 0;
            for (size_t i = 0; i < C * D; i++)
                sum += ops_test_x(&t, 0, r * C * D + i) / (C * D);
            for (size_t i = 0; i < C * D; i++)
                squares += pow(ops_test_x(&t, 0, r * C * D + i) - sum, 2) / (C * D);
            assert_true(fabs(ops_test_y(&t, 1, r) - sum) < 1e-6);
            assert_true(fabs(ops_test_y(&t, 2, r) - 1 / sqrt(squares + 1e-5)) < 1e-5);
        }
        ops_test_end(&t);
    }
}

static void rms_normalization(void **state) {
    struct ops_test t;
    double y[COUNT];
    ops_test_begin(&t, "RMSNormalization", 23, 1);
    ops_test_in(&t, DIMS(N, C, D), NULL);
    ops_test_in_as(&t, BNR_DOUBLE, DIMS(D), NULL);
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->dtype, BNR_DOUBLE);
    for (size_t i = 0; i < COUNT; i++) {
        double squares = 0;
        for (size_t k = 0; k < D; k++)
            squares += pow(ops_test_x(&t, 0, i / D * D + k), 2) / D;
        y[i] = ops_test_x(&t, 0, i) / sqrt(squares + (double)1e-5f) * ops_test_x(&t, 1, i % D);
    }
    ops_test_near(&t, 0, y, COUNT, 1e-12);
    ops_test_end(&t);
}

static void mean_variance_normalization(void **state) {
    struct ops_test t;
    double y[COUNT];
    ops_test_begin(&t, "MeanVarianceNormalization", 13, 1);
    ops_test_in(&t, DIMS(N, C, D, 1), NULL);
    ops_test_ok(&t);
    normalized(&t, across_batch, 0,
               y); // the operator adds 1e-9 to the root, far below float's precision
    ops_test_near(&t, 0, y, COUNT, 1e-6);
    ops_test_end(&t);
}

static void lrn(void **state) {
    for (int size = 1; size <= 4; size++) {
        struct ops_test t;
        double y[COUNT];
        ops_test_begin(&t, "LRN", 13, 1);
        ops_test_in(&t, DIMS(N, C, D), NULL);
        bnr__node_set_attr_int(t.node, "size", size);
        bnr__node_set_attr_float(t.node, "alpha", 0.5f);
        ops_test_ok(&t);
        for (int i = 0; i < COUNT; i++) {
            const int c = i / D % C, base = i - c * D;
            double sum = 0;
            for (int k = 0; k < C; k++)
                if (k >= c - (size - 1) / 2 && k <= c + (int)ceil((size - 1) / 2.0))
                    sum += pow(ops_test_x(&t, 0, (size_t)(base + k * D)), 2);
            y[i] = ops_test_x(&t, 0, (size_t)i) / pow(1 + 0.5 / size * sum, 0.75);
        }
        ops_test_near(&t, 0, y, COUNT, 1e-6);
        ops_test_end(&t);
    }
}

static void lp_normalization(void **state) {
    for (int p = 1; p <= 2; p++) {
        struct ops_test t;
        ops_test_begin(&t, "LpNormalization", 22, 1);
        ops_test_in(&t, DIMS(2, 2, 2), (double[]){3, 0, -4, 0, 1, -2, 0, 0});
        bnr__node_set_attr_int(t.node, "axis", 1);
        bnr__node_set_attr_int(t.node, "p", p);
        ops_test_ok(&t);
        const double n = p == 1 ? 7 : 5;
        ops_test_near(&t, 0, (double[]){3 / n, 0, -4 / n, 0, 1, -1, 0, 0}, 8, 1e-7);
        ops_test_end(&t);
    }
}

// ---- softmax, Dropout, PRelu --------------------------------------------------------------------

static void softmax(void **state) {
    static const struct {
        int opset;
        int64_t axis; // 100: absent
        size_t begin, count, stride;
    } lanes[] = {
        {1, 100, 20, 20, 1}, {11, -1, 5, 5, 1}, {1, 0, 0, 60, 1},
        {13, 100, 55, 5, 1}, {13, 1, 22, 4, 5}, {13, 0, 7, 3, 20},
    };
    for (size_t k = 0; k < BNR_COUNT(lanes); k++)
        for (int kind = 0; kind < 3; kind++) {
            static const char *const ops[] = {"Softmax", "LogSoftmax", "Hardmax"};
            struct ops_test t;
            ops_test_begin(&t, ops[kind], lanes[k].opset, 1);
            ops_test_in(&t, DIMS(N, C, D), NULL);
            if (lanes[k].axis != 100)
                bnr__node_set_attr_int(t.node, "axis", lanes[k].axis);
            ops_test_ok(&t);
            double sum = 0, max = -HUGE_VAL;
            for (size_t i = 0; i < lanes[k].count; i++) {
                const double x = ops_test_x(&t, 0, lanes[k].begin + i * lanes[k].stride);
                sum += exp(x);
                max = fmax(max, x);
            }
            for (size_t i = 0; i < lanes[k].count; i++) {
                const size_t at = lanes[k].begin + i * lanes[k].stride;
                const double x = ops_test_x(&t, 0, at);
                const double e = kind == 0 ? exp(x) / sum : kind == 1 ? x - log(sum) : x == max;
                assert_true(fabs(ops_test_y(&t, 0, at) - e) < 1e-6);
            }
            ops_test_end(&t);
        }
    struct ops_test t;
    ops_test_begin(&t, "Softmax", 13, 1);
    ops_test_in(&t, DIMS(2), (double[]){1e30, 1e30});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0.5, 0.5}, 2, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "Softmax", 13, 1);
    ops_test_in(&t, DIMS(2), NULL);
    bnr__node_set_attr_int(t.node, "axis", 1);
    ops_test_refused(&t, "axis 1 is outside");
}

static struct ops_test dropout_begin(int opset, double ratio, int training) {
    struct ops_test t;
    ops_test_begin(&t, "Dropout", opset, 2);
    ops_test_in(&t, DIMS(6), (double[]){1, 2, 3, 4, 5, 6});
    ops_test_in(&t, 0, NULL, &ratio);
    if (training >= 0)
        ops_test_in_as(&t, BNR_BOOL, 0, NULL, (double[]){training});
    return t;
}

static void dropout(void **state) {
    // numpy.random.RandomState(0).uniform(size=6): 0.5488, 0.7152, 0.6028, 0.5449, 0.4237, 0.6459
    struct ops_test t = dropout_begin(12, 0.6, 1);
    bnr__node_set_attr_int(t.node, "seed", 0);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0, 5, 7.5, 0, 0, 15}, 6, 1e-6);
    ops_test_near(&t, 1, (double[]){0, 1, 1, 0, 0, 1}, 6, 0);
    assert_int_equal(t.out[1]->dtype, BNR_BOOL);
    ops_test_end(&t);
    for (int training = -1; training <= 0; training++) {
        t = dropout_begin(13, 0.6, training);
        ops_test_ok(&t);
        ops_test_near(&t, 0, (double[]){1, 2, 3, 4, 5, 6}, 6, 0);
        ops_test_near(&t, 1, (double[]){1, 1, 1, 1, 1, 1}, 6, 0);
        ops_test_end(&t);
    }
    t = dropout_begin(13, 1, 1);
    ops_test_refused(&t, "ratio is 1");
    ops_test_begin(&t, "Dropout", 7, 2);
    ops_test_in(&t, DIMS(2), (double[]){1, 2});
    ops_test_ok(&t);
    assert_int_equal(t.out[1]->dtype, BNR_FLOAT);
    ops_test_near(&t, 0, (double[]){1, 2}, 2, 0);
    ops_test_end(&t);
}

static void prelu(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "PRelu", 6, 1); // a slope for each channel
    ops_test_in(&t, DIMS(1, 2, 2), (double[]){-1, 2, -3, 4});
    ops_test_in(&t, DIMS(2), (double[]){10, 100});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){-10, 2, -300, 4}, 4, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "PRelu", 7, 1); // broadcast from the right
    ops_test_in(&t, DIMS(1, 2, 2), (double[]){-1, -2, -3, -4});
    ops_test_in(&t, DIMS(2), (double[]){10, 100});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){-10, -200, -30, -400}, 4, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "PRelu", 16, 1);
    t.dtype = BNR_INT32;
    ops_test_in(&t, DIMS(2), (double[]){-7, 7});
    ops_test_in(&t, DIMS(1), (double[]){3});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){-21, 7}, 2, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "PRelu", 16, 1);
    ops_test_in(&t, DIMS(2), NULL);
    ops_test_in(&t, DIMS(3, 2), NULL);
    ops_test_refused(&t, "does not broadcast");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bn_inference),
        cmocka_unit_test(bn_training),
        cmocka_unit_test(bn_some_outputs),
        cmocka_unit_test(bn_training_without_outputs),
        cmocka_unit_test(bn_other_ranks),
        cmocka_unit_test(bn_cancellation),
        cmocka_unit_test(bn_mixed_dtypes),
        cmocka_unit_test(bn_refusals),
        cmocka_unit_test(instance_normalization),
        cmocka_unit_test(group_normalization),
        cmocka_unit_test(layer_normalization),
        cmocka_unit_test(rms_normalization),
        cmocka_unit_test(mean_variance_normalization),
        cmocka_unit_test(lrn),
        cmocka_unit_test(lp_normalization),
        cmocka_unit_test(softmax),
        cmocka_unit_test(dropout),
        cmocka_unit_test(prelu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
