// SPDX-License-Identifier: Apache-2.0
// The experimental operators of ai.onnx's first opsets, which old exports still contain, by hand.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static const double ramp[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};

// One input and up to three float attributes.
static void unary(const char *op, const char *a, float va, const char *b, float vb, const double *expected) {
    struct ops_test t;
    ops_test_begin(&t, op, 1, 1);
    ops_test_in(&t, DIMS(3), (double[]){-1, 0, 2});
    bnr__node_set_attr_float(t.node, a, va);
    if (b)
        bnr__node_set_attr_float(t.node, b, vb);
    ops_test_ok(&t);
    ops_test_near(&t, 0, expected, 3, 1e-6);
    ops_test_end(&t);
}

static void elementwise(void **state) {
    unary("Affine", "alpha", 2, "beta", 3, (double[]){1, 3, 7});
    unary("Scale", "scale", 2, NULL, 0, (double[]){-2, 0, 4});
    unary("ScaledTanh", "alpha", 2, "beta", 0.5f, (double[]){2 * tanh(-0.5), 0, 2 * tanh(1)});
    unary("ParametricSoftplus", "alpha", 2, "beta", 0.5f,
          (double[]){2 * log(exp(-0.5) + 1), 2 * log(2), 2 * log(exp(1) + 1)});
    unary("ThresholdedRelu", "alpha", 1, NULL, 0, (double[]){0, 0, 2});
}

static void image_scaler(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "ImageScaler", 1, 1);
    ops_test_in(&t, DIMS(1, 2, 1, 2), ramp);
    const struct bnr_attr bias = {
        .name = "bias", .type = BNR_ATTR_FLOATS, .n = 2, .floats = (const float[]){10, 20}};
    bnr__node_set_attr(t.node, &bias);
    bnr__node_set_attr_float(t.node, "scale", 3);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){10, 13, 26, 29}, 4, 0);
    ops_test_end(&t);
}

static void crop(void **state) {
    struct ops_test t;
    for (int scale = 0; scale < 2; scale++) {
        ops_test_begin(&t, "Crop", 1, 1);
        ops_test_in(&t, DIMS(1, 1, 4, 6), ramp);
        bnr__node_set_attr_ints(t.node, "border", INTS(1, 2, 3, 0)); // left, top, right, bottom
        if (scale)
            bnr__node_set_attr_ints(t.node, "scale", INTS(1, 3));
        ops_test_ok(&t);
        ops_test_dims(&t, 0, 4, scale ? (const int64_t[]){1, 1, 1, 3} : (const int64_t[]){1, 1, 2, 2});
        ops_test_near(&t, 0, scale ? (double[]){13, 14, 15} : (double[]){13, 14, 19, 20}, scale ? 3 : 4, 0);
        ops_test_end(&t);
    }
    ops_test_begin(&t, "Crop", 1, 1); // an empty scale is none
    ops_test_in(&t, DIMS(1, 1, 3, 4), NULL);
    bnr__node_set_attr_ints(t.node, "border", INTS(1, 1, 1, 1));
    bnr__node_set_attr_ints(t.node, "scale", (const int64_t[]){9, 9}, 0);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(1, 1, 1, 2));
    ops_test_end(&t);
    ops_test_begin(&t, "Crop", 1, 1);
    ops_test_in(&t, DIMS(1, 1, 4, 6), ramp);
    bnr__node_set_attr_ints(t.node, "border", INTS(1, 2));
    ops_test_refused(&t, "border has 2");
}

static void dynamic_slice(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "DynamicSlice", 1, 1);
    ops_test_in(&t, DIMS(4, 6), ramp);
    ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){1, -2});
    ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){3, 6});
    ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){0, 1});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){10, 11, 16, 17}, 4, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "LoopIndexTensor", 1, 1);
    ops_test_in(&t, DIMS(2, 3), ramp);
    ops_test_in_as(&t, BNR_INT32, DIMS(1), (double[]){2});
    bnr__node_set_attr_int(t.node, "axis", 1);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2));
    ops_test_near(&t, 0, (double[]){2, 5}, 2, 0);
    ops_test_end(&t);
}

static void fills(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "ConstantFill", 1, 1);
    ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){2, 1});
    bnr__node_set_attr_int(t.node, "input_as_shape", 1);
    bnr__node_set_attr_ints(t.node, "extra_shape", INTS(3));
    bnr__node_set_attr_int(t.node, "dtype", BNR_INT32);
    bnr__node_set_attr_float(t.node, "value", 4);
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->dtype, BNR_INT32);
    ops_test_dims(&t, 0, DIMS(2, 1, 3));
    ops_test_near(&t, 0, (double[]){4, 4, 4, 4, 4, 4}, 6, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "GivenTensorFill", 1, 1);
    const struct bnr_attr values = {
        .name = "values", .type = BNR_ATTR_FLOATS, .n = 4, .floats = (const float[]){1, 2, 3, 4}};
    bnr__node_set_attr(t.node, &values);
    bnr__node_set_attr_ints(t.node, "shape", INTS(2, 2));
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 2));
    ops_test_near(&t, 0, (double[]){1, 2, 3, 4}, 4, 0);
    ops_test_end(&t);
}

// Two sequences, the second of which has ended at t = 1.
static void gru_unit(void **state) {
    for (int drop = 0; drop < 2; drop++) {
        struct ops_test t;
        ops_test_begin(&t, "GRUUnit", 1, 1);
        ops_test_in(&t, DIMS(1, 2, 1), (double[]){0.5, 0.25});
        ops_test_in(&t, DIMS(1, 2, 3), (double[]){9, 1, -2, 9, 1, 1});
        ops_test_in_as(&t, BNR_INT32, DIMS(2), (double[]){2, 1});
        ops_test_in_as(&t, BNR_INT32, DIMS(1), (double[]){1});
        bnr__node_set_attr_int(t.node, "drop_states", drop);
        ops_test_ok(&t);
        const double u = 1 / (1 + exp(-1));
        ops_test_near(&t, 0, (double[]){0.5 * u + tanh(-2) * (1 - u), drop ? 0 : 0.25}, 2, 1e-6);
        ops_test_end(&t);
    }
}

static void mean_variance(void **state) {
    struct ops_test t;
    for (int across = 0; across < 2; across++) {
        ops_test_begin(&t, "MeanVarianceNormalization", 1, 1);
        ops_test_in(&t, DIMS(1, 2, 1, 2), (double[]){1, 3, 10, 30});
        bnr__node_set_attr_int(t.node, "across_channels", across);
        bnr__node_set_attr_int(t.node, "normalize_variance", across ? 0 : 1);
        ops_test_ok(&t);
        ops_test_near(&t, 0, across ? (double[]){-10, -8, -1, 19} : (double[]){-1, 1, -1, 1}, 4, 1e-6);
        ops_test_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise),   cmocka_unit_test(image_scaler), cmocka_unit_test(crop),
        cmocka_unit_test(dynamic_slice), cmocka_unit_test(fills),        cmocka_unit_test(gru_unit),
        cmocka_unit_test(mean_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
