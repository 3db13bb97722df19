// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml and ai.onnx.preview.training against hand-made results and formulas, and what is
// refused.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/ops/lib/ml.h"
#include "runtime/ops/lib/optimizer.h"
#include "tests/lib/ops_test.h"

// ---- attributes and inputs ----------------------------------------------------------------------

static void begin(struct ops_test *t, const char *op_type, int opset, int n_out) {
    ops_test_begin_in(t, BNR_ML_DOMAIN, op_type, opset, n_out);
}

static void set_floats(struct ops_test *t, const char *name, const float *v, size_t n) {
    const struct bnr_attr a = {.name = name, .type = BNR_ATTR_FLOATS, .n = n, .floats = v};
    assert_int_equal(bnr__node_set_attr(t->node, &a), BNR_OK);
}

static void set_strings(struct ops_test *t, const char *name, const char *const *v, size_t n) {
    struct bnr_str s[16];
    const struct bnr_attr a = {.name = name, .type = BNR_ATTR_STRINGS, .n = n, .strings = s};
    for (size_t i = 0; i < n; i++)
        s[i] = (struct bnr_str){v[i], strlen(v[i])};
    assert_int_equal(bnr__node_set_attr(t->node, &a), BNR_OK);
}

#define FLOATS(t, name, ...)                                                                       \
    set_floats(t, name, (const float[]){__VA_ARGS__},                                              \
               sizeof((float[]){__VA_ARGS__}) / sizeof(float))
#define LIST(t, name, ...) bnr__node_set_attr_ints((t)->node, name, INTS(__VA_ARGS__))
#define STRINGS(t, name, ...)                                                                      \
    set_strings(t, name, (const char *const[]){__VA_ARGS__},                                       \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define TEXT(t, name, v) bnr__node_set_attr_string((t)->node, name, v)
#define VALUES(...)                                                                                \
    (const double[]) {                                                                             \
        __VA_ARGS__                                                                                \
    }

static struct bnr_tensor *strings(const char *const *v, int64_t n) {
    bnr_tensor *t;
    assert_int_equal(bnr_tensor_create_strings(&t, 1, &n, v, NULL, NULL), BNR_OK);
    return t;
}

static struct bnr_tensor *numbers(enum bnr_dtype d, const double *v, int64_t n) {
    struct bnr_tensor *t;
    assert_int_equal(bnr__tensor_new(&t, NULL, d, 1, &n, NULL), BNR_OK);
    bnr__store_f64(d, t->data, v, (size_t)n);
    return t;
}

static struct bnr_tensor *map_of(struct bnr_tensor *keys, struct bnr_tensor *values) {
    struct bnr_tensor *map;
    assert_int_equal(bnr__tensor_new_kind(&map, NULL, BNR_KIND_MAP, keys->dtype, NULL), BNR_OK);
    assert_int_equal(bnr__tensor_push(map, keys, NULL), BNR_OK);
    assert_int_equal(bnr__tensor_push(map, values, NULL), BNR_OK);
    bnr__tensor_unref(keys);
    bnr__tensor_unref(values);
    return map;
}

static void check(const struct ops_test *t, int out, size_t n, const double *want) {
    assert_int_equal(t->out[out]->numel, n);
    for (size_t i = 0; i < n; i++)
        if (!(fabs(ops_test_y(t, out, i) - want[i]) <= 1e-5))
            fail_msg("%s output %d element %zu: %.9g, expected %.9g", t->node->op_type, out, i,
                     ops_test_y(t, out, i), want[i]);
}

static void check_strings(const struct ops_test *t, size_t n, const char *const *want) {
    assert_int_equal(t->out[0]->dtype, BNR_STRING);
    assert_int_equal(t->out[0]->numel, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(t->out[0]->str[i].len, strlen(want[i]));
        assert_memory_equal(t->out[0]->str[i].ptr, want[i], strlen(want[i]));
    }
}

// ---- features -----------------------------------------------------------------------------------

static void features(void **state) {
    struct ops_test t;
    begin(&t, "Scaler", 1, 1);
    ops_test_in_as(&t, BNR_INT64, DIMS(2, 2), VALUES(1, 2, 3, 4));
    FLOATS(&t, "offset", 1, 2);
    FLOATS(&t, "scale", 10);
    ops_test_ok(&t);
    check(&t, 0, 4, VALUES(0, 0, 20, 20));
    ops_test_end(&t);
    begin(&t, "Scaler", 1, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    FLOATS(&t, "scale", 10, 20);
    ops_test_refused(&t, "attribute 'scale' has 2 values for 3 features");

    const struct {
        const char *norm;
        double want[6];
    } norms[] = {{"MAX", {-0.75, 1, 0, 0, 4, 1}}, // by the text, of max(X): -1 in the last row
                 {"L1", {-3.0 / 7, 4.0 / 7, 0, 0, -0.8, -0.2}},
                 {"L2", {-0.6, 0.8, 0, 0, -4 / sqrt(17), -1 / sqrt(17)}}};
    for (size_t i = 0; i < BNR_COUNT(norms); i++) {
        begin(&t, "Normalizer", 1, 1);
        ops_test_in(&t, DIMS(3, 2), VALUES(-3, 4, 0, 0, -4, -1));
        TEXT(&t, "norm", norms[i].norm);
        ops_test_ok(&t);
        check(&t, 0, 6, norms[i].want);
        ops_test_end(&t);
    }

    begin(&t, "Imputer", 1, 1);
    ops_test_in(&t, DIMS(2, 2), VALUES(NAN, 1, 2, NAN));
    FLOATS(&t, "imputed_value_floats", 7, 8);
    bnr__node_set_attr_float(t.node, "replaced_value_float", NAN);
    ops_test_ok(&t);
    check(&t, 0, 4, VALUES(7, 1, 2, 8));
    ops_test_end(&t);
    begin(&t, "Imputer", 1, 1);
    ops_test_in_as(&t, BNR_INT32, DIMS(3), VALUES(-1, 0, -1));
    LIST(&t, "imputed_value_int64s", 5);
    bnr__node_set_attr_int(t.node, "replaced_value_int64", -1);
    ops_test_ok(&t);
    check(&t, 0, 3, VALUES(5, 0, 5));
    ops_test_end(&t);

    begin(&t, "FeatureVectorizer", 1, 1);
    ops_test_in(&t, DIMS(2, 2), VALUES(1, 2, 3, 4));
    ops_test_in_as(&t, BNR_INT64, DIMS(2, 1), VALUES(8, 9));
    LIST(&t, "inputdimensions", 1, 2);
    ops_test_ok(&t);
    check(&t, 0, 6, VALUES(1, 8, 0, 3, 9, 0));
    ops_test_end(&t);

    begin(&t, "ArrayFeatureExtractor", 1, 1);
    ops_test_in(&t, DIMS(2, 3), VALUES(1, 2, 3, 4, 5, 6));
    ops_test_in_as(&t, BNR_INT64, DIMS(2), VALUES(2, 0));
    ops_test_ok(&t);
    check(&t, 0, 4, VALUES(3, 1, 6, 4));
    ops_test_end(&t);
    begin(&t, "ArrayFeatureExtractor", 1, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), VALUES(3));
    ops_test_refused(&t, "index 3 is outside [0, 3)");
}

static void categories(void **state) {
    struct ops_test t;
    const char *const words[] = {"cat", "dog", "", "cow"};
    begin(&t, "OneHotEncoder", 1, 1);
    ops_test_in_tensor(&t, strings(words, 2));
    STRINGS(&t, "cats_strings", "dog", "bird");
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 2));
    check(&t, 0, 4, VALUES(0, 0, 1, 0));
    ops_test_end(&t);
    begin(&t, "OneHotEncoder", 1, 1);
    ops_test_in(&t, DIMS(2), VALUES(3.9, 4));
    LIST(&t, "cats_int64s", 5, 3);
    bnr__node_set_attr_int(t.node, "zeros", 0);
    ops_test_refused(&t, "element 1 is in no category");

    begin(&t, "CategoryMapper", 1, 1);
    ops_test_in_tensor(&t, strings(words, 4));
    STRINGS(&t, "cats_strings", "cow", "cat", "");
    LIST(&t, "cats_int64s", 10, 20, 30);
    ops_test_ok(&t);
    check(&t, 0, 4, VALUES(20, -1, 30, 10));
    ops_test_end(&t);
    begin(&t, "CategoryMapper", 1, 1);
    ops_test_in_as(&t, BNR_INT64, DIMS(2), VALUES(10, 11));
    STRINGS(&t, "cats_strings", "cow");
    LIST(&t, "cats_int64s", 10);
    TEXT(&t, "default_string", "none");
    ops_test_ok(&t);
    check_strings(&t, 2, (const char *const[]){"cow", "none"});
    ops_test_end(&t);
}

static void labels(void **state) {
    struct ops_test t;
    const char *const words[] = {"b", "z", "a"};
    begin(&t, "LabelEncoder", 4, 1);
    ops_test_in_tensor(&t, strings(words, 3));
    STRINGS(&t, "keys_strings", "a", "b", "a"); // the last of equal keys counts
    FLOATS(&t, "values_floats", 1, 2, 3);
    bnr__node_set_attr_float(t.node, "default_float", 9);
    ops_test_ok(&t);
    check(&t, 0, 3, VALUES(2, 9, 3));
    ops_test_end(&t);
    begin(&t, "LabelEncoder", 2, 1);
    ops_test_in(&t, DIMS(3), VALUES(NAN, -0.0, 5));
    FLOATS(&t, "keys_floats", 0, NAN);
    STRINGS(&t, "values_strings", "zero", "none");
    ops_test_ok(&t);
    check_strings(&t, 3, (const char *const[]){"none", "zero", "_Unused"});
    ops_test_end(&t);
    begin(&t, "LabelEncoder", 4, 1);
    ops_test_in_as(&t, BNR_DOUBLE, DIMS(2), VALUES(0.5, 7));
    bnr__node_set_attr_tensor(t.node, "keys_tensor", numbers(BNR_DOUBLE, VALUES(0.5, 1.5), 2));
    bnr__node_set_attr_tensor(t.node, "values_tensor", numbers(BNR_INT16, VALUES(5, 15), 2));
    ops_test_ok(&t);
    check(&t, 0, 2, VALUES(5, -1));
    ops_test_end(&t);
    begin(&t, "LabelEncoder", 1, 1);
    ops_test_in_as(&t, BNR_INT64, DIMS(2), VALUES(1, 2));
    STRINGS(&t, "classes_strings", "p", "q");
    ops_test_ok(&t);
    check_strings(&t, 2, (const char *const[]){"q", "_Unused"});
    ops_test_end(&t);
    begin(&t, "LabelEncoder", 4, 1);
    ops_test_in_as(&t, BNR_INT64, DIMS(2), NULL);
    LIST(&t, "keys_int64s", 1, 2);
    LIST(&t, "values_int64s", 1);
    ops_test_refused(&t, "2 keys for 1 values");
}

static void maps(void **state) {
    struct ops_test t;
    begin(&t, "ZipMap", 1, 1);
    ops_test_in(&t, DIMS(2, 2), VALUES(1, 2, 3, 4));
    STRINGS(&t, "classlabels_strings", "no", "yes");
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->kind, BNR_KIND_SEQUENCE);
    assert_int_equal(t.out[0]->n_items, 2);
    const struct bnr_tensor *map = t.out[0]->items[1];
    assert_int_equal(map->kind, BNR_KIND_MAP);
    assert_memory_equal(map->items[0]->str[1].ptr, "yes", 3);
    assert_true(map->items[1]->f32[0] == 3 && map->items[1]->f32[1] == 4);
    ops_test_end(&t);

    const char *const words[] = {"c", "a"};
    begin(&t, "DictVectorizer", 1, 1);
    ops_test_in_tensor(&t, map_of(strings(words, 2), numbers(BNR_INT64, VALUES(8, 4), 2)));
    STRINGS(&t, "string_vocabulary", "a", "c", "b", "z");
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(1, 4));
    check(&t, 0, 4, VALUES(4, 8, 0, 0));
    ops_test_end(&t);
    begin(&t, "DictVectorizer", 1, 1);
    ops_test_in_tensor(&t, map_of(strings(words, 2), numbers(BNR_FLOAT, VALUES(8, 4), 2)));
    STRINGS(&t, "string_vocabulary", "a");
    ops_test_ok(&t); // what the vocabulary does not have is left out
    check(&t, 0, 1, VALUES(4));
    ops_test_end(&t);

    begin(&t, "CastMap", 1, 1);
    ops_test_in_tensor(&t, map_of(numbers(BNR_INT64, VALUES(9, -2, 3), 3),
                                  numbers(BNR_FLOAT, VALUES(0.5, 1, 2), 3)));
    ops_test_ok(&t);
    check(&t, 0, 3, VALUES(1, 2, 0.5));
    ops_test_end(&t);
    const char *const values[] = {"7", "2.5"};
    begin(&t, "CastMap", 1, 1);
    ops_test_in_tensor(&t, map_of(numbers(BNR_INT64, VALUES(3, 0), 2), strings(values, 2)));
    TEXT(&t, "map_form", "SPARSE");
    TEXT(&t, "cast_to", "TO_INT64");
    bnr__node_set_attr_int(t.node, "max_map", 4);
    ops_test_ok(&t);
    check(&t, 0, 4, VALUES(2, 0, 0, 7));
    ops_test_end(&t);
    begin(&t, "CastMap", 1, 1);
    ops_test_in_tensor(&t,
                       map_of(numbers(BNR_INT64, VALUES(5), 1), numbers(BNR_FLOAT, VALUES(1), 1)));
    TEXT(&t, "map_form", "SPARSE");
    ops_test_refused(&t, "key 5 is outside [0, 1)");
}

// ---- linear models ------------------------------------------------------------------------------

static void linear_models(void **state) {
    struct ops_test t;
    begin(&t, "LinearRegressor", 1, 1);
    ops_test_in_as(&t, BNR_DOUBLE, DIMS(1, 2), VALUES(3, 4));
    FLOATS(&t, "coefficients", 1, 2, -1, 0);
    FLOATS(&t, "intercepts", 0.5f, 1);
    bnr__node_set_attr_int(t.node, "targets", 2);
    ops_test_ok(&t);
    check(&t, 0, 2, VALUES(11.5, -2));
    ops_test_end(&t);
    begin(&t, "LinearClassifier", 1, 2);
    ops_test_in(&t, DIMS(2, 2), VALUES(1, 0, 0, 1));
    FLOATS(&t, "coefficients", 1, 0, 0, 2, 0, 0);
    FLOATS(&t, "intercepts", 0, 0, 0.5f);
    LIST(&t, "classlabels_ints", 7, 8, 9);
    TEXT(&t, "post_transform", "SOFTMAX");
    ops_test_ok(&t);
    check(&t, 0, 2, VALUES(7, 8));
    const double e[] = {exp(1), exp(0), exp(0.5), exp(0), exp(2), exp(0.5)};
    double want[6];
    for (int i = 0; i < 6; i++)
        want[i] = e[i] / (e[i / 3 * 3] + e[i / 3 * 3 + 1] + e[i / 3 * 3 + 2]);
    check(&t, 1, 6, want);
    ops_test_end(&t);
    begin(&t, "LinearClassifier", 1, 2);
    ops_test_in(&t, DIMS(2), VALUES(1, -3));
    FLOATS(&t, "coefficients", 1, 1);
    FLOATS(&t, "intercepts", 0);
    LIST(&t, "classlabels_ints", 0, 1);
    TEXT(&t, "post_transform", "LOGISTIC");
    ops_test_ok(&t);
    check(&t, 0, 1, VALUES(0));
    check(&t, 1, 2, VALUES(1 / (1 + exp(-2)), 1 / (1 + exp(2))));
    ops_test_end(&t);
    begin(&t, "LinearClassifier", 1, 2);
    ops_test_in(&t, DIMS(1, 3), NULL);
    FLOATS(&t, "coefficients", 1, 1);
    LIST(&t, "classlabels_ints", 0, 1);
    ops_test_refused(&t, "2 coefficients and 0 intercepts for 2 classes and 3 features");
}

// ---- support vectors ----------------------------------------------------------------------------

static void support_vectors(void **state) {
    static const struct {
        const char *kernel;
        double want;
    } kernels[] = {{"LINEAR", 0.25 + 2 * 2 - 5}, // x = [2, 1]; vectors [1, 0] and [2, 1]
                   {"POLY", 0.25 + 2 * 4 * 1.0 - 1 * 6.25},
                   {"RBF", 0.25 + 2 * 0.36787944117144233 - 1},
                   {"SIGMOID", 0}};
    struct ops_test t;
    for (size_t k = 0; k < BNR_COUNT(kernels); k++) {
        begin(&t, "SVMRegressor", 1, 1);
        ops_test_in(&t, DIMS(1, 2), VALUES(2, 1));
        FLOATS(&t, "coefficients", 2, -1);
        FLOATS(&t, "support_vectors", 1, 0, 2, 1);
        FLOATS(&t, "rho", 0.25f);
        FLOATS(&t, "kernel_params", 0.5f, k == 1 ? 0 : 1, 2);
        TEXT(&t, "kernel_type", kernels[k].kernel);
        bnr__node_set_attr_int(t.node, "n_supports", 2);
        ops_test_ok(&t);
        const double sigmoid = 0.25 + 2 * tanh(0.5 * 2 + 1) - tanh(0.5 * 5 + 1);
        const double poly = 0.25 + 2 * 1 - 6.25;
        check(&t, 0, 1, k == 3 ? &sigmoid : k == 1 ? &poly : &kernels[k].want);
        ops_test_end(&t);
    }
    begin(&t, "SVMRegressor", 1, 1);
    ops_test_in(&t, DIMS(2, 2), VALUES(2, 1, -3, 0));
    FLOATS(&t, "coefficients", 1, 1);
    FLOATS(&t, "rho", -1);
    bnr__node_set_attr_int(t.node, "one_class", 1);
    ops_test_ok(&t);
    check(&t, 0, 2, VALUES(1, -1));
    ops_test_end(&t);
    begin(&t, "SVMRegressor", 1, 1);
    ops_test_in(&t, DIMS(2, 2), NULL);
    FLOATS(&t, "coefficients", 1, 1);
    ops_test_refused(&t, "attribute 'rho' is empty");
}

// Three classes on a line, one support vector each at -1, 0 and 1 (linear kernel).
static void vector_classifier(void **state) {
    struct ops_test t;
    begin(&t, "SVMClassifier", 1, 2);
    ops_test_in(&t, DIMS(2, 1), VALUES(-2, 3));
    FLOATS(&t, "support_vectors", -1, 0, 1);
    LIST(&t, "vectors_per_class", 1, 1, 1);
    FLOATS(&t, "coefficients", 1, -1, -1, 1, 1, -1); // [2, 3]
    FLOATS(&t, "rho", 0.5f, 0, -0.5f);
    LIST(&t, "classlabels_ints", 10, 20, 30);
    ops_test_ok(&t);
    // Pairs (0,1): rho + c[0][0] k0 + c[0][1] k1; (0,2): c[1][0] k0 + c[0][2] k2; (1,2): c[1][1] k1
    // + c[1][2] k2; with k = [-x, 0, x].
    check(&t, 1, 6, VALUES(2.5, 4, 1.5, -2.5, -6, -3.5));
    check(&t, 0, 2, VALUES(10, 30));
    ops_test_end(&t);
    begin(&t, "SVMClassifier", 1, 2);
    ops_test_in(&t, DIMS(1, 1), VALUES(2));
    FLOATS(&t, "support_vectors", -1, 1);
    LIST(&t, "vectors_per_class", 1, 1);
    FLOATS(&t, "coefficients", 1, -1);
    FLOATS(&t, "rho", 0);
    FLOATS(&t, "prob_a", -1);
    FLOATS(&t, "prob_b", 0.5f);
    STRINGS(&t, "classlabels_strings", "left", "right");
    ops_test_ok(&t);
    check_strings(&t, 1, (const char *const[]){"right"});
    // The pair's score is -4; with two classes coupling gives the pair's own probabilities.
    const double p = 1 / (1 + exp(4.5));
    assert_true(fabs(ops_test_y(&t, 1, 0) - p) < 5e-3 &&
                fabs(ops_test_y(&t, 1, 1) - (1 - p)) < 5e-3);
    ops_test_end(&t);
    begin(&t, "SVMClassifier", 1, 2);
    ops_test_in(&t, DIMS(1, 1), NULL);
    FLOATS(&t, "support_vectors", -1, 1);
    LIST(&t, "vectors_per_class", 1, 1);
    FLOATS(&t, "coefficients", 1);
    FLOATS(&t, "rho", 0);
    LIST(&t, "classlabels_ints", 0, 1);
    ops_test_refused(&t, "2 classes, 2 support vectors in 2 groups, 1 coefficients");
}

// ---- trees --------------------------------------------------------------------------------------

// Two trees: x[0] <= 1 ? (x[1] < 0 ? leaf 3 : leaf 4) : leaf 2, and one of a single leaf.
static void two_trees(struct ops_test *t) {
    LIST(t, "nodes_treeids", 0, 0, 0, 0, 0, 1);
    LIST(t, "nodes_nodeids", 0, 1, 2, 3, 4, 0);
    LIST(t, "nodes_featureids", 0, 1, 0, 0, 0, 0);
    LIST(t, "nodes_truenodeids", 1, 3, 0, 0, 0, 0);
    LIST(t, "nodes_falsenodeids", 2, 4, 0, 0, 0, 0);
    LIST(t, "nodes_missing_value_tracks_true", 1, 0, 0, 0, 0, 0);
    FLOATS(t, "nodes_values", 1, 0, 0, 0, 0, 0);
    STRINGS(t, "nodes_modes", "BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF", "LEAF");
}

static void regression_trees(void **state) {
    static const struct {
        const char *aggregate;
        double want[4];
    } cases[] = {{"SUM", {13, 23, 33, 23}},
                 {"AVERAGE", {8, 13, 18, 13}},
                 {"MIN", {6, 6, 6, 6}},
                 {"MAX", {13, 23, 33, 23}}};
    for (size_t k = 0; k < BNR_COUNT(cases); k++) {
        struct ops_test t;
        begin(&t, "TreeEnsembleRegressor", 3, 1);
        ops_test_in(&t, DIMS(4, 2), VALUES(2, 0, 1, -1, 0, 0, NAN, -5));
        two_trees(&t);
        LIST(&t, "target_treeids", 1, 0, 0, 0);
        LIST(&t, "target_nodeids", 0, 4, 3, 2);
        LIST(&t, "target_ids", 0, 0, 0, 0);
        FLOATS(&t, "target_weights", k < 2 ? 0 : 3, 30, 20, 10);
        FLOATS(&t, "base_values", 3);
        TEXT(&t, "aggregate_function", cases[k].aggregate);
        ops_test_ok(&t);
        check(&t, 0, 4, cases[k].want);
        ops_test_end(&t);
    }
}

static void classification_trees(void **state) {
    struct ops_test t;
    begin(&t, "TreeEnsembleClassifier", 1, 2);
    ops_test_in(&t, DIMS(3, 2), VALUES(2, 0, 1, -1, 0, 0));
    two_trees(&t);
    LIST(&t, "class_treeids", 0, 0, 0, 1, 0);
    LIST(&t, "class_nodeids", 2, 3, 4, 0, 2);
    LIST(&t, "class_ids", 0, 1, 2, 1, 1);
    FLOATS(&t, "class_weights", 5, 2, 3, 0.5f, 1);
    STRINGS(&t, "classlabels_strings", "a", "b", "c");
    ops_test_ok(&t);
    check_strings(&t, 3, (const char *const[]){"a", "b", "c"});
    check(&t, 1, 9, VALUES(5, 1.5, 0, 0, 2.5, 0, 0, 0.5, 3));
    ops_test_end(&t);
    for (int mixed = 0; mixed < 2; mixed++) {
        begin(&t, "TreeEnsembleClassifier", 3, 2);
        ops_test_in(&t, DIMS(2, 2), VALUES(2, 0, 1, -1));
        two_trees(&t);
        LIST(&t, "class_treeids", 0, 0, 0);
        LIST(&t, "class_nodeids", 2, 3, 4);
        LIST(&t, "class_ids", 0, 0, 0);
        FLOATS(&t, "class_weights", 0.75f, mixed ? -2 : 0.25f, 0);
        LIST(&t, "classlabels_int64s", 4, 5);
        if (mixed)
            TEXT(&t, "post_transform", "LOGISTIC");
        ops_test_ok(&t);
        check(&t, 0, 2, VALUES(5, 4));
        if (mixed)
            check(&t, 1, 4,
                  VALUES(1 / (1 + exp(0.75)), 1 / (1 + exp(-0.75)), 1 / (1 + exp(-2)),
                         1 / (1 + exp(2))));
        else
            check(&t, 1, 4, VALUES(0.25, 0.75, 0.75, 0.25));
        ops_test_end(&t);
    }
}

static void bad_trees(void **state) {
    static const char *const why[] = {"runs in a circle", "feature 9 of 2", "tree 0 has no node 9",
                                      "a vote for target 1 of 1", "is no mode of a node"};
    for (int k = 0; k < 5; k++) {
        struct ops_test t;
        begin(&t, "TreeEnsembleRegressor", 1, 1);
        ops_test_in(&t, DIMS(1, 2), VALUES(0, 0));
        LIST(&t, "nodes_treeids", 0, 0);
        LIST(&t, "nodes_nodeids", 0, 1);
        LIST(&t, "nodes_featureids", k == 1 ? 9 : 0, 0);
        LIST(&t, "nodes_truenodeids", k == 0 ? 0 : k == 2 ? 9 : 1, 0);
        LIST(&t, "nodes_falsenodeids", 1, 0);
        FLOATS(&t, "nodes_values", 1, 0);
        STRINGS(&t, "nodes_modes", k == 4 ? "BRANCH" : "BRANCH_LEQ", "LEAF");
        LIST(&t, "target_treeids", 0);
        LIST(&t, "target_nodeids", 1);
        LIST(&t, "target_ids", k == 3);
        FLOATS(&t, "target_weights", 1);
        ops_test_refused(&t, why[k]);
    }
}

// ---- optimizers ---------------------------------------------------------------------------------

static void optimizers(void **state) {
    struct ops_test t;
    const double x = 2, g = 0.5, v = 0.25, h = 0.1;
    for (int count = 0; count < 3; count += 2) {
        ops_test_begin_in(&t, BNR_TRAINING_DOMAIN, "Adam", 1, 3);
        t.dtype = BNR_DOUBLE;
        ops_test_in(&t, 0, NULL, VALUES(0.1));
        ops_test_in_as(&t, BNR_INT64, 0, NULL, VALUES(count));
        for (int i = 0; i < 4; i++)
            ops_test_in(&t, DIMS(1), i == 0 ? &x : i == 1 ? &g : i == 2 ? &v : &h);
        bnr__node_set_attr_float(t.node, "alpha", 0.5f);
        bnr__node_set_attr_float(t.node, "beta", 0.75f);
        bnr__node_set_attr_float(t.node, "epsilon", 0.125f);
        bnr__node_set_attr_float(t.node, "norm_coefficient", 0.25f);
        bnr__node_set_attr_float(t.node, "norm_coefficient_post", 0.5f);
        ops_test_ok(&t);
        const double r = count ? 0.1 * sqrt(1 - 0.75 * 0.75) / (1 - 0.25) : 0.1;
        const double full = 0.25 * x + g, new_v = 0.5 * v + 0.5 * full;
        const double new_h = 0.75 * h + 0.25 * full * full;
        check(&t, 0, 1, VALUES(0.5 * (x - r * new_v / (sqrt(new_h) + 0.125))));
        check(&t, 1, 1, &new_v);
        check(&t, 2, 1, &new_h);
        ops_test_end(&t);
    }
    ops_test_begin_in(&t, BNR_TRAINING_DOMAIN, "Adagrad", 1, 2);
    ops_test_in(&t, DIMS(1), NULL);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), NULL);
    ops_test_in(&t, DIMS(1), NULL);
    ops_test_refused(&t, "3 inputs, expected 2 and 3 for each tensor");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features),
        cmocka_unit_test(categories),
        cmocka_unit_test(labels),
        cmocka_unit_test(maps),
        cmocka_unit_test(linear_models),
        cmocka_unit_test(support_vectors),
        cmocka_unit_test(vector_classifier),
        cmocka_unit_test(regression_trees),
        cmocka_unit_test(classification_trees),
        cmocka_unit_test(bad_trees),
        cmocka_unit_test(optimizers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
