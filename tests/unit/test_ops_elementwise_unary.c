// SPDX-License-Identifier: Apache-2.0
// Unary operators against their formulas in double over ranges and special values; Clip, Where;
// Cast between numbers, and numbers as text.
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/ops/lib/number_text.h"
#include "tests/lib/ops_test.h"

// ---- formulas -----------------------------------------------------------------------------------

static double f_relu(double x) {
    return x < 0 ? 0 : x;
}
static double f_leaky(double x) {
    return x < 0 ? (double)0.01f * x : x;
}
static double f_elu(double x) {
    return x < 0 ? exp(x) - 1 : x;
}
static double f_selu(double x) {
    return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (exp(x) - 1));
}
static double f_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double f_hard_sigmoid(double x) {
    return fmax(0, fmin(1, (double)0.2f * x + 0.5));
}
static double f_hard_swish(double x) {
    return x * fmax(0, fmin(1, x / 6 + 0.5));
}
static double f_softplus(double x) {
    return x > 700 ? x : log(exp(x) + 1);
}
static double f_softsign(double x) {
    return x / (1 + fabs(x));
}
static double f_mish(double x) {
    return x * tanh(f_softplus(x));
}
static double f_gelu(double x) {
    return x * 0.5 * erfc(-x / sqrt(2));
}
static double f_swish(double x) {
    return x * f_sigmoid(x);
}
static double f_threshold(double x) {
    return x > 1 ? x : 0;
}
static double f_shrink(double x) {
    return fabs(x) > 0.5 ? x : 0;
}
static double f_sign(double x) {
    return (x > 0) - (x < 0);
}
static double f_reciprocal(double x) {
    return 1 / x;
}
static double f_negative(double x) {
    return -x;
}

static const struct {
    const char *op;
    double (*f)(double);
    double low, high;
} unary[] = {
    {"Relu", f_relu, -4, 4},
    {"LeakyRelu", f_leaky, -4, 4},
    {"Elu", f_elu, -6, 4},
    {"Celu", f_elu, -6, 4},
    {"Selu", f_selu, -6, 4},
    {"Sigmoid", f_sigmoid, -20, 20},
    {"HardSigmoid", f_hard_sigmoid, -4, 4},
    {"HardSwish", f_hard_swish, -5, 5},
    {"Softplus", f_softplus, -30, 30},
    {"Softsign", f_softsign, -9, 9},
    {"Mish", f_mish, -9, 9},
    {"Gelu", f_gelu, -5, 5},
    {"Swish", f_swish, -20, 20},
    {"ThresholdedRelu", f_threshold, -3, 3},
    {"Shrink", f_shrink, -2, 2},
    {"Sign", f_sign, -2, 2},
    {"Reciprocal", f_reciprocal, 0.1, 9},
    {"Neg", f_negative, -9, 9},
    {"Abs", fabs, -9, 9},
    {"Sqrt", sqrt, 0, 100},
    {"Exp", exp, -9, 9},
    {"Log", log, 0.01, 100},
    {"Erf", erf, -3, 3},
    {"Tanh", tanh, -5, 5},
    {"Floor", floor, -9, 9},
    {"Ceil", ceil, -9, 9},
    {"Round", nearbyint, -9, 9},
    {"Sin", sin, -9, 9},
    {"Cos", cos, -9, 9},
    {"Tan", tan, -1.4, 1.4},
    {"Asin", asin, -1, 1},
    {"Acos", acos, -1, 1},
    {"Atan", atan, -9, 9},
    {"Sinh", sinh, -5, 5},
    {"Cosh", cosh, -5, 5},
    {"Asinh", asinh, -9, 9},
    {"Acosh", acosh, 1, 9},
    {"Atanh", atanh, -0.9, 0.9},
};

enum { SAMPLES = 700 }; // more than two chunks

static void check_unary(size_t k, enum bnr_dtype d, double eps) {
    static double x[SAMPLES];
    struct ops_test t;
    for (int i = 0; i < SAMPLES; i++)
        x[i] = unary[k].low + (unary[k].high - unary[k].low) * i / (SAMPLES - 1);
    x[3] = NAN;
    ops_test_begin(&t, unary[k].op, 24, 1);
    ops_test_in_as(&t, d, DIMS(SAMPLES), x);
    ops_test_ok(&t);
    for (size_t i = 0; i < SAMPLES; i++) {
        const double in = ops_test_x(&t, 0, i), want = unary[k].f(in), got = ops_test_y(&t, 0, i);
        if (isnan(in) && strcmp(unary[k].op, "ThresholdedRelu") != 0 &&
            strcmp(unary[k].op, "Shrink") != 0)
            assert_true(isnan(got));
        else if (!isnan(in) && !(fabs(got - want) <= eps * (fabs(want) + 0.25)))
            fail_msg("%s %s of %.9g: %.9g, expected %.9g", unary[k].op, bnr__dtype_name(d), in, got,
                     want);
    }
    ops_test_end(&t);
}

static void unary_follow_their_formulas(void **state) {
    for (size_t k = 0; k < BNR_COUNT(unary); k++) {
        check_unary(k, BNR_DOUBLE, 2e-7); // some coefficients are float
        check_unary(k, BNR_FLOAT, 1e-6);
        check_unary(k, BNR_FLOAT16, 1e-3);
        check_unary(k, BNR_BFLOAT16, 8e-3);
    }
}

static void check_one(const char *op, double x, double want) {
    struct ops_test t;
    ops_test_begin(&t, op, 24, 1);
    ops_test_in(&t, DIMS(1), &x);
    ops_test_ok(&t);
    const double got = ops_test_y(&t, 0, 0);
    if (!(got == want && !signbit(got) == !signbit(want)) && !(isnan(got) && isnan(want)))
        fail_msg("%s of %g: %g, expected %g", op, x, got, want);
    ops_test_end(&t);
}

static void extremes(void **state) {
    check_one("Sigmoid", -HUGE_VAL, 0);
    check_one("Sigmoid", -1000, 0);
    check_one("Sigmoid", 1000, 1);
    check_one("Softplus", 1000, 1000);
    check_one("Softplus", -HUGE_VAL, 0);
    check_one("Mish", 1000, 1000);
    check_one("Gelu", 1000, 1000);
    check_one("Gelu", -1000, -0.0);
    check_one("Elu", -HUGE_VAL, -1);
    check_one("Round", 2.5, 2);
    check_one("Round", -0.5, -0.0);
    check_one("Sqrt", -1, NAN);
    check_one("Log", 0, -HUGE_VAL);
    check_one("Exp", 1000, HUGE_VAL);
    check_one("Reciprocal", -0.0, -HUGE_VAL);
    check_one("HardSwish", -HUGE_VAL, -HUGE_VAL * 0);
    check_one("IsInf", -HUGE_VAL, 1);
    check_one("IsInf", NAN, 0);
    check_one("IsNaN", NAN, 1);
    check_one("IsNaN", HUGE_VAL, 0);
}

static void integers(void **state) {
    struct ops_test t;
    const double x[] = {-128, -5, 0, 127};
    static const struct {
        const char *op;
        double want[4];
    } cases[] = {{"Abs", {-128, 5, 0, 127}},
                 {"Neg", {-128, 5, 0, -127}},
                 {"Sign", {-1, -1, 0, 1}},
                 {"Relu", {0, 0, 0, 127}},
                 {"BitwiseNot", {127, 4, -1, -128}}};
    for (size_t c = 0; c < BNR_COUNT(cases); c++) {
        ops_test_begin(&t, cases[c].op, 20, 1);
        ops_test_in_as(&t, BNR_INT8, DIMS(4), x);
        ops_test_ok(&t);
        ops_test_near(&t, 0, cases[c].want, 4, 0);
        ops_test_end(&t);
    }
}

// ---- Clip and Where -----------------------------------------------------------------------------

static void check_clip(int opset, enum bnr_dtype d, const double *lo, const double *hi,
                       const double want[5]) {
    struct ops_test t;
    const double x[] = {-7, -1, 0, 3, 100};
    ops_test_begin(&t, "Clip", opset, 1);
    ops_test_in_as(&t, d, DIMS(5), x);
    if (opset >= 11) {
        if (lo)
            ops_test_in_as(&t, d, 0, NULL, lo);
        else
            ops_test_omit(&t);
        if (hi)
            ops_test_in_as(&t, d, 0, NULL, hi);
    } else {
        if (lo)
            bnr__node_set_attr_float(t.node, "min", (float)*lo);
        if (hi)
            bnr__node_set_attr_float(t.node, "max", (float)*hi);
    }
    ops_test_ok(&t);
    ops_test_near(&t, 0, want, 5, 0);
    ops_test_end(&t);
}

static void clip_of_every_version(void **state) {
    const double lo = -2, hi = 6, below = -9;
    check_clip(6, BNR_FLOAT, &lo, &hi, (const double[]){-2, -1, 0, 3, 6});
    check_clip(1, BNR_DOUBLE, NULL, &hi, (const double[]){-7, -1, 0, 3, 6});
    check_clip(11, BNR_FLOAT, &lo, NULL, (const double[]){-2, -1, 0, 3, 100});
    check_clip(13, BNR_INT8, NULL, &hi, (const double[]){-7, -1, 0, 3, 6});
    check_clip(13, BNR_FLOAT16, &lo, &hi, (const double[]){-2, -1, 0, 3, 6});
    check_clip(13, BNR_INT64, &lo, &below, (const double[]){-9, -9, -9, -9, -9});
    struct ops_test t;
    ops_test_begin(&t, "Clip", 13, 1);
    ops_test_in(&t, DIMS(5), NULL);
    ops_test_in(&t, DIMS(2), NULL);
    ops_test_refused(&t, "bound (input 1) has dim 2, expected a scalar");
}

static void where_broadcasts_every_size(void **state) {
    static const enum bnr_dtype dtypes[] = {BNR_INT8, BNR_FLOAT16, BNR_FLOAT, BNR_DOUBLE, BNR_BOOL};
    const double c[] = {1, 0}, x[] = {1, 0, 1}, y = 1;
    for (size_t k = 0; k < BNR_COUNT(dtypes); k++) {
        struct ops_test t;
        ops_test_begin(&t, "Where", 16, 1);
        ops_test_in_as(&t, BNR_BOOL, DIMS(2, 1), c);
        ops_test_in_as(&t, dtypes[k], DIMS(3), x);
        ops_test_in_as(&t, dtypes[k], 0, NULL, &y);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, DIMS(2, 3));
        ops_test_near(&t, 0, (const double[]){1, 0, 1, 1, 1, 1}, 6, 0);
        ops_test_end(&t);
    }
}

// ---- Cast ---------------------------------------------------------------------------------------

static void check_cast(enum bnr_dtype from, enum bnr_dtype to, double x, double want) {
    struct ops_test t;
    ops_test_begin(&t, "Cast", 25, 1);
    ops_test_in_as(&t, from, DIMS(1), &x);
    bnr__node_set_attr_int(t.node, "to", to);
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->dtype, to);
    const double got = ops_test_y(&t, 0, 0);
    if (got != want && !(isnan(got) && isnan(want)))
        fail_msg("%g from %s to %s: %g, expected %g", x, bnr__dtype_name(from), bnr__dtype_name(to),
                 got, want);
    ops_test_end(&t);
}

static void cast_rounds_once_and_wraps_integers(void **state) {
    check_cast(BNR_INT16, BNR_INT8, 200, -56);
    check_cast(BNR_INT64, BNR_UINT8, -1, 255);
    check_cast(BNR_INT32, BNR_BOOL, 36, 1);
    check_cast(BNR_FLOAT, BNR_INT32, -1.9, -1);
    check_cast(BNR_FLOAT, BNR_INT8, 300, 127);
    check_cast(BNR_FLOAT, BNR_INT4, 9, -7); // discards higher bits
    check_cast(BNR_DOUBLE, BNR_FLOAT16, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10);
    check_cast(BNR_DOUBLE, BNR_FLOAT, 1e300, HUGE_VAL);
    check_cast(BNR_FLOAT, BNR_BFLOAT16, 1 + 0x1p-8, 1);
    check_cast(BNR_UINT64, BNR_DOUBLE, -1, 18446744073709551616.0); // stored as 2^64 - 1
    check_cast(BNR_UINT64, BNR_FLOAT, -1, 18446744073709551616.0);
    check_cast(BNR_BOOL, BNR_FLOAT8E4M3FN, 1, 1);
    check_cast(BNR_FLOAT, BNR_FLOAT8E4M3FN, 1e6, 448);
    check_cast(BNR_FLOAT, BNR_FLOAT8E8M0, 3, 4); // "up" by default
    check_cast(BNR_FLOAT, BNR_FLOAT8E8M0, 0, 0x1p-127);
    check_cast(BNR_FLOAT16, BNR_UINT2, 3, 3);
    check_cast(BNR_FLOAT, BNR_FLOAT4E2M1, 2.6, 3);
}

static void cast_attributes(void **state) {
    static const struct {
        const char *mode;
        double x, want;
    } modes[] = {{"up", 2.1, 4}, {"down", 3.9, 2}, {"nearest", 2.9, 2}, {"nearest", 3, 4}};
    struct ops_test t;
    for (size_t i = 0; i < BNR_COUNT(modes); i++) {
        ops_test_begin(&t, "Cast", 25, 1);
        ops_test_in(&t, DIMS(1), &modes[i].x);
        bnr__node_set_attr_int(t.node, "to", BNR_FLOAT8E8M0);
        bnr__node_set_attr_string(t.node, "round_mode", modes[i].mode);
        ops_test_ok(&t);
        assert_true(ops_test_y(&t, 0, 0) == modes[i].want);
        ops_test_end(&t);
    }
    const double large = 1e6;
    ops_test_begin(&t, "Cast", 19, 1);
    ops_test_in(&t, DIMS(1), &large);
    bnr__node_set_attr_int(t.node, "to", BNR_FLOAT8E5M2);
    bnr__node_set_attr_int(t.node, "saturate", 0);
    ops_test_ok(&t);
    assert_true(isinf(ops_test_y(&t, 0, 0)));
    ops_test_end(&t);
    ops_test_begin(&t, "Cast", 1, 1);
    ops_test_in(&t, DIMS(1), &large);
    bnr__node_set_attr_string(t.node, "to", "DOUBLE");
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->dtype, BNR_DOUBLE);
    ops_test_end(&t);
    static const struct {
        int64_t to;
        const char *why;
    } bad[] = {{0, "'to' is 0"}, {99, "'to' is 99"}, {BNR_COMPLEX64, "no cast to complex64"}};
    for (size_t i = 0; i < BNR_COUNT(bad); i++) {
        ops_test_begin(&t, "Cast", 25, 1);
        ops_test_in(&t, DIMS(1), NULL);
        bnr__node_set_attr_int(t.node, "to", bad[i].to);
        ops_test_refused(&t, bad[i].why);
    }
}

static void check_text(enum bnr_dtype d, double v, const char *want) {
    char element[8], text[BNR_NUMBER_TEXT];
    bnr__store_f64(d, element, &v, 1);
    const size_t n = bnr__number_to_text(d, element, 0, text);
    if (n != strlen(want) || memcmp(text, want, n) != 0)
        fail_msg("%s %.17g gives \"%.*s\", expected \"%s\"", bnr__dtype_name(d), v, (int)n, text,
                 want);
}

static void numbers_as_text(void **state) {
    check_text(BNR_FLOAT, (double)0.1f, "0.1");
    check_text(BNR_FLOAT, (double)0.97676110f, "0.9767611");
    check_text(BNR_DOUBLE, 0.1, "0.1");
    check_text(BNR_DOUBLE, 1.0 / 3, "0.3333333333333333");
    check_text(BNR_DOUBLE, DBL_MAX, "1.7976931348623157e+308");
    check_text(BNR_DOUBLE, 5e-324, "5e-324");
    check_text(BNR_DOUBLE, -1, "-1.0");
    check_text(BNR_DOUBLE, 314.15926, "314.15926");
    check_text(BNR_DOUBLE, 1e15, "1000000000000000.0");
    check_text(BNR_DOUBLE, 1e16, "1e+16");
    check_text(BNR_DOUBLE, 0.0001, "0.0001");
    check_text(BNR_DOUBLE, 0.00001, "1e-05");
    check_text(BNR_DOUBLE, -0.0, "-0.0");
    check_text(BNR_FLOAT16, 0.0999755859375, "0.1");
    check_text(BNR_FLOAT, HUGE_VAL, "INF");
    check_text(BNR_FLOAT, -HUGE_VAL, "-INF");
    check_text(BNR_FLOAT, NAN, "NaN");
    check_text(BNR_INT8, -7, "-7");
    check_text(BNR_BOOL, 1, "True");
}

static void check_number(const char *text, double want, int64_t want_integer) {
    double v;
    int64_t i;
    if (!bnr__text_to_number(text, strlen(text), &v, &i))
        fail_msg("\"%s\" is no number", text);
    if ((v != want && !(isnan(v) && isnan(want))) || i != want_integer)
        fail_msg("\"%s\" gives %.17g and %lld", text, v, (long long)i);
}

static void text_as_numbers(void **state) {
    check_number("3.14", 3.14, 3);
    check_number(" 1e-5 ", 1e-5, 0);
    check_number("1E8", 1e8, 100000000);
    check_number("-.5", -0.5, 0);
    check_number("+INF", HUGE_VAL, INT64_MAX);
    check_number("-inf", -HUGE_VAL, INT64_MIN);
    check_number("nAn", NAN, 0);
    check_number("9223372036854775807", 9223372036854775808.0, INT64_MAX);
    check_number("-9223372036854775808", -9223372036854775808.0, INT64_MIN);
    check_number("9007199254740993", 9007199254740992.0, 9007199254740993);
    check_number("0.1000000000000000055511151231257827021181583404541015625", 0.1, 0);
    check_number("00012", 12, 12);
    check_number("1e999999999999", HUGE_VAL, INT64_MAX);
    check_number("0e99", 0, 0);
    static const char *const bad[] = {"",     " ",   "Hello", "1.2.3", "1e",
                                      "0x10", "--1", "1,5",   ".",     "e5"};
    for (size_t k = 0; k < BNR_COUNT(bad); k++) {
        double v;
        int64_t i;
        assert_false(bnr__text_to_number(bad[k], strlen(bad[k]), &v, &i));
    }
}

// 2^53 + 1 - a little, - nothing, + a little beyond 780 digits: only the last one rounds up.
static void digits_beyond_the_limit_still_count(void **state) {
    static char text[1000];
    double v;
    int64_t i;
    memset(text, '0', sizeof text);
    memcpy(text, "9007199254740993.", 17);
    assert_true(bnr__text_to_number(text, sizeof text, &v, &i));
    assert_true(v == 9007199254740992.0);
    text[950] = '1';
    assert_true(bnr__text_to_number(text, sizeof text, &v, &i));
    assert_true(v == 9007199254740994.0);
}

static void random_doubles_survive_text(void **state) {
    uint64_t s = 88172645463325252u;
    for (int k = 0; k < 5000; k++) {
        char text[BNR_NUMBER_TEXT];
        double v, back;
        int64_t i;
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        memcpy(&v, &s, sizeof v);
        if (isnan(v))
            continue;
        const size_t n = bnr__number_to_text(BNR_DOUBLE, &v, 0, text);
        assert_true(n < BNR_NUMBER_TEXT);
        assert_true(bnr__text_to_number(text, n, &back, &i));
        assert_true(back == v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_follow_their_formulas),
        cmocka_unit_test(extremes),
        cmocka_unit_test(integers),
        cmocka_unit_test(clip_of_every_version),
        cmocka_unit_test(where_broadcasts_every_size),
        cmocka_unit_test(cast_rounds_once_and_wraps_integers),
        cmocka_unit_test(cast_attributes),
        cmocka_unit_test(numbers_as_text),
        cmocka_unit_test(text_as_numbers),
        cmocka_unit_test(digits_beyond_the_limit_still_count),
        cmocka_unit_test(random_doubles_survive_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
