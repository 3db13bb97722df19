// SPDX-License-Identifier: Apache-2.0
// Quantization: rounding, saturation, granularities and dtypes by hand; quantized products against
// integer loops.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static void quantize_rounding(void **state) {
    static const struct {
        enum bnr_dtype dtype;
        double zero, y[7];
    } cases[] = {
        // x / 2 = 0.5, 1.5, 2.5, -2.5, 1000, -1000, NaN: half to even, saturated, NaN like 0
        {BNR_UINT8, 0, {0, 2, 2, 0, 255, 0, 0}},
        {BNR_UINT8, 3, {3, 5, 5, 1, 255, 0, 3}},
        {BNR_INT8, -1, {-1, 1, 1, -3, 127, -128, -1}},
        {BNR_INT16, 0, {0, 2, 2, -2, 1000, -1000, 0}},
        {BNR_UINT16, 1, {1, 3, 3, 0, 1001, 0, 1}},
        {BNR_INT4, 0, {0, 2, 2, -2, 7, -8, 0}},
        {BNR_UINT4, 0, {0, 2, 2, 0, 15, 0, 0}},
        {BNR_INT2, 0, {0, 1, 1, -2, 1, -2, 0}},
        {BNR_UINT2, 0, {0, 2, 2, 0, 3, 0, 0}},
        {BNR_FLOAT8E4M3FN, 0, {0.5, 1.5, 2.5, -2.5, 448, -448, (double)NAN}},
        {BNR_FLOAT4E2M1, 0, {0.5, 1.5, 2, -2, 6, -6, 0}}, // 2.5 is half way between 2 and 3
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct ops_test t;
        ops_test_begin(&t, "QuantizeLinear", 25, 1);
        ops_test_in(&t, DIMS(7), (double[]){1, 3, 5, -5, 2000, -2000, (double)NAN});
        ops_test_in(&t, 0, NULL, (double[]){2});
        ops_test_in_as(&t, cases[i].dtype, 0, NULL, &cases[i].zero);
        ops_test_ok(&t);
        assert_int_equal(t.out[0]->dtype, cases[i].dtype);
        ops_test_near(&t, 0, cases[i].y, 7, 0);
        ops_test_end(&t);
    }
}

// 0.35f / 0.1f is 3.5 in float, which rounds to 4, but a little less in double.
static void quantize_divides_in_the_scales_type(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "QuantizeLinear", 13, 1);
    ops_test_in(&t, DIMS(1), (double[]){(double)0.35f});
    ops_test_in(&t, 0, NULL, (double[]){(double)0.1f});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){4}, 1, 0);
    ops_test_end(&t);
}

static void quantize_granularities(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "QuantizeLinear", 13, 1); // per axis 1
    ops_test_in(&t, DIMS(2, 2, 2), (double[]){2, 4, 6, 8, 10, 12, 14, 16});
    ops_test_in(&t, DIMS(2), (double[]){1, 2});
    ops_test_in_as(&t, BNR_UINT8, DIMS(2), (double[]){0, 100});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){2, 4, 103, 104, 10, 12, 107, 108}, 8, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "QuantizeLinear", 21,
                   1); // blocks of 2 along the last axis, the last one short
    ops_test_in(&t, DIMS(2, 3), (double[]){8, 8, 8, 8, 8, 8});
    ops_test_in(&t, DIMS(2, 2), (double[]){1, 2, 4, 8});
    bnr__node_set_attr_int(t.node, "axis", -1);
    bnr__node_set_attr_int(t.node, "block_size", 2);
    bnr__node_set_attr_int(t.node, "output_dtype", BNR_INT16);
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->dtype, BNR_INT16);
    ops_test_near(&t, 0, (double[]){8, 8, 4, 2, 2, 1}, 6, 0);
    ops_test_end(&t);
}

static void dequantize(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "DequantizeLinear", 13, 1);
    ops_test_in_as(&t, BNR_INT8, DIMS(2, 2), (double[]){-128, 127, 0, 1});
    ops_test_in(&t, DIMS(2), (double[]){0.5, 2});
    ops_test_in_as(&t, BNR_INT8, DIMS(2), (double[]){0, -1});
    bnr__node_set_attr_int(t.node, "axis", 0);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){-64, 63.5, 2, 4}, 4, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "DequantizeLinear", 23, 1);
    ops_test_in_as(&t, BNR_INT32, DIMS(1), (double[]){16777217}); // no float
    ops_test_in_as(&t, BNR_FLOAT16, 0, NULL, (double[]){0.5});
    bnr__node_set_attr_int(t.node, "output_dtype", BNR_DOUBLE);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){8388608.5}, 1, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "DequantizeLinear", 25, 1);
    ops_test_in_as(&t, BNR_FLOAT4E2M1, DIMS(2), (double[]){6, -0.5});
    ops_test_in_as(&t, BNR_FLOAT8E8M0, 0, NULL, (double[]){4});
    ops_test_refused(&t, "need attribute output_dtype");
}

static void dynamic_quantize(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "DynamicQuantizeLinear", 11, 3);
    ops_test_in(&t, DIMS(3), (double[]){-1, 0, (double)4.1f});
    ops_test_ok(&t);
    const float scale = (4.1f + 1) / 255;
    const double zero = rint((double)(1 / scale));
    ops_test_near(&t, 1, (double[]){(double)scale}, 1, 0);
    ops_test_near(&t, 2, &zero, 1, 0);
    ops_test_near(&t, 0, (double[]){0, zero, 255}, 3, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "DynamicQuantizeLinear", 11, 3);
    ops_test_in(&t, DIMS(2), (double[]){0, 0});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0, 0}, 2, 0);
    ops_test_end(&t);
}

static void matmul_integer(void **state) {
    enum { M = 3, K = 150, W = 2 };
    struct ops_test t;
    double a[M * K], b[K * W];
    for (int i = 0; i < M * K; i++)
        a[i] = i * 91 % 256;
    for (int i = 0; i < K * W; i++)
        b[i] = i * 57 % 256 - 128;
    ops_test_begin(&t, "MatMulInteger", 10, 1);
    ops_test_in_as(&t, BNR_UINT8, DIMS(M, K), a);
    ops_test_in_as(&t, BNR_INT8, DIMS(K, W), b);
    ops_test_in_as(&t, BNR_UINT8, DIMS(M), (double[]){0, 7, 255});
    ops_test_in_as(&t, BNR_INT8, DIMS(W), (double[]){-128, 5});
    ops_test_ok(&t);
    for (int i = 0; i < M * W; i++) {
        int64_t sum = 0;
        for (int k = 0; k < K; k++)
            sum += ((int64_t)a[i / W * K + k] - (int64_t)ops_test_x(&t, 2, (size_t)(i / W))) *
                   ((int64_t)b[k * W + i % W] - (int64_t)ops_test_x(&t, 3, (size_t)(i % W)));
        assert_int_equal(t.out[0]->i32[i], sum);
    }
    ops_test_end(&t);
    ops_test_begin(&t, "MatMulInteger", 10, 1);
    ops_test_in_as(&t, BNR_UINT8, DIMS(2, 2), NULL);
    ops_test_in_as(&t, BNR_UINT8, DIMS(2, 2), NULL);
    ops_test_in_as(&t, BNR_UINT8, DIMS(3), NULL);
    ops_test_refused(&t, "do not fit the matrix");
}

static void conv_integer(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "ConvInteger", 10, 1);
    ops_test_in_as(&t, BNR_UINT8, DIMS(1, 1, 3), (double[]){10, 20, 255});
    ops_test_in_as(&t, BNR_INT8, DIMS(2, 1, 2), (double[]){1, -1, 127, -128});
    ops_test_in_as(&t, BNR_UINT8, 0, NULL, (double[]){10});
    ops_test_in_as(&t, BNR_INT8, DIMS(2), (double[]){0, -1});
    bnr__node_set_attr_ints(t.node, "pads", INTS(1, 0));
    ops_test_ok(&t);
    // x - 10: 0 (padding), 0, 10, 245; w: (1, -1), (128, -127)
    ops_test_near(&t, 0, (double[]){0, -10, -235, 0, -1270, 1280 - 245.0 * 127}, 6, 0);
    ops_test_end(&t);
}

static void qlinear_conv(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "QLinearConv", 10, 1);
    ops_test_in_as(&t, BNR_UINT8, DIMS(1, 1, 2), (double[]){5, 9});
    ops_test_in(&t, 0, NULL, (double[]){0.5});
    ops_test_in_as(&t, BNR_UINT8, 0, NULL, (double[]){1});
    ops_test_in_as(&t, BNR_INT8, DIMS(2, 1, 1), (double[]){3, -2});
    ops_test_in(&t, DIMS(2), (double[]){0.25, 1});
    ops_test_in_as(&t, BNR_INT8, DIMS(2), (double[]){0, 0});
    ops_test_in(&t, 0, NULL, (double[]){0.5});
    ops_test_in_as(&t, BNR_INT8, 0, NULL, (double[]){1});
    ops_test_in_as(&t, BNR_INT32, DIMS(2), (double[]){2, 1000});
    ops_test_ok(&t);
    // (4, 8) * 3 + 2 = 14, 26 times 0.25; (4, 8) * -2 + 1000 times 1; half to even, plus 1
    ops_test_near(&t, 0, (double[]){5, 7, 127, 127}, 4, 0);
    ops_test_end(&t);
}

static void qlinear_matmul(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "QLinearMatMul", 21, 1);
    ops_test_in_as(&t, BNR_INT8, DIMS(2, 2), (double[]){1, 2, 3, 4});
    ops_test_in(&t, DIMS(2), (double[]){1, 0.5}); // one for each row
    ops_test_in_as(&t, BNR_INT8, DIMS(2), (double[]){0, 1});
    ops_test_in_as(&t, BNR_INT8, DIMS(2, 1), (double[]){10, 20});
    ops_test_in(&t, 0, NULL, (double[]){(double)0.1f});
    ops_test_in_as(&t, BNR_INT8, 0, NULL, (double[]){0});
    ops_test_in(&t, 0, NULL, (double[]){1});
    ops_test_in_as(&t, BNR_UINT8, 0, NULL, (double[]){7});
    ops_test_ok(&t);
    // 50 * 0.1 + 7; (2 * 10 + 3 * 20) * 0.05 + 7
    ops_test_near(&t, 0, (double[]){12, 11}, 2, 0);
    ops_test_end(&t);
}

static void refusals(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "QuantizeLinear", 13, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in(&t, DIMS(2), NULL);
    ops_test_refused(&t, "one element for each along the axis");
    ops_test_begin(&t, "QuantizeLinear", 21, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in(&t, DIMS(2, 2), NULL);
    bnr__node_set_attr_int(t.node, "block_size", 3);
    ops_test_refused(&t, "one element for each block");
    ops_test_begin(&t, "QuantizeLinear", 21, 1);
    ops_test_in(&t, DIMS(2), NULL);
    ops_test_in(&t, 0, NULL, NULL);
    ops_test_in_as(&t, BNR_INT8, 0, NULL, NULL);
    bnr__node_set_attr_int(t.node, "output_dtype", BNR_UINT8);
    ops_test_refused(&t, "output_dtype is uint8, but the zero point is int8");
    ops_test_begin(&t, "DequantizeLinear", 10, 1);
    ops_test_in_as(&t, BNR_UINT8, DIMS(2), NULL);
    ops_test_in(&t, 0, NULL, NULL);
    ops_test_in_as(&t, BNR_INT8, 0, NULL, NULL);
    ops_test_refused(&t, "expected the same");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize_rounding),
        cmocka_unit_test(quantize_divides_in_the_scales_type),
        cmocka_unit_test(quantize_granularities),
        cmocka_unit_test(dequantize),
        cmocka_unit_test(dynamic_quantize),
        cmocka_unit_test(matmul_integer),
        cmocka_unit_test(conv_integer),
        cmocka_unit_test(qlinear_conv),
        cmocka_unit_test(qlinear_matmul),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
