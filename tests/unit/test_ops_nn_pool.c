// SPDX-License-Identifier: Apache-2.0
// Poolings against a loop over every window element, for strides, dilations, padding, ceil_mode,
// auto_pad and ranks 1 to 3, and what they must refuse.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

enum { MAX_AXES = 3 };

struct pool_case {
    int rank;
    int64_t in[MAX_AXES], kernel[MAX_AXES], stride[MAX_AXES], dilation[MAX_AXES];
    int64_t begin[MAX_AXES], end[MAX_AXES];
    bool ceil;
};

static const struct pool_case cases[] = {
    {1, {7}, {3}, {1}, {1}, {0}, {0}, false},
    {1, {7}, {3}, {2}, {2}, {1}, {2}, false},
    {1, {6}, {2}, {3}, {1}, {0}, {0}, true},
    {1, {2}, {1}, {2}, {1}, {0}, {1}, true}, // the last window would start in the padding
    {2, {5, 6}, {3, 2}, {1, 1}, {1, 1}, {1, 0}, {1, 1}, false},
    {2, {7, 5}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, true},
    {2, {4, 4}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, false},
    {2, {8, 9}, {3, 2}, {3, 2}, {2, 3}, {2, 1}, {0, 2}, true},
    {2, {1, 1}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false},
    {3, {3, 4, 5}, {2, 2, 3}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1}, {1, 0, 1}, false},
    {3, {4, 4, 4}, {2, 2, 2}, {2, 3, 1}, {1, 1, 3}, {0, 0, 1}, {0, 1, 1}, true},
};

static int64_t out_size(const struct pool_case *p, int i) {
    const int64_t room =
        p->in[i] + p->begin[i] + p->end[i] - ((p->kernel[i] - 1) * p->dilation[i] + 1);
    int64_t out = (int64_t)(p->ceil ? ceil((double)room / (double)p->stride[i])
                                    : floor((double)room / (double)p->stride[i])) +
                  1;
    if (p->ceil && (out - 1) * p->stride[i] >= p->in[i] + p->begin[i])
        out--;
    return out;
}

struct window_sums {
    double max, sum, squares;
    int64_t argmax, inside, with_padding;
};

// The window of output `o` (row-major) over one plane of x, which starts at element `base`.
static struct window_sums look(const struct pool_case *p, const struct ops_test *t, size_t base,
                               int64_t o) {
    struct window_sums s = {.max = -HUGE_VAL, .argmax = -1};
    int64_t out[MAX_AXES], taps = 1;
    for (int i = p->rank - 1; i >= 0; i--) {
        out[i] = o % out_size(p, i);
        o /= out_size(p, i);
        taps *= p->kernel[i];
    }
    for (int64_t k = 0; k < taps; k++) {
        int64_t rest = k, at[MAX_AXES], index = 0;
        bool inside = true, padded = true;
        for (int i = p->rank - 1; i >= 0; i--) {
            at[i] = out[i] * p->stride[i] + rest % p->kernel[i] * p->dilation[i] - p->begin[i];
            rest /= p->kernel[i];
            inside &= at[i] >= 0 && at[i] < p->in[i];
            padded &= at[i] < p->in[i] + p->end[i];
        }
        s.with_padding += padded;
        if (!inside)
            continue;
        for (int i = 0; i < p->rank; i++)
            index = index * p->in[i] + at[i];
        const double v = ops_test_x(t, 0, base + (size_t)index);
        s.inside++;
        s.sum += v;
        s.squares += v * v;
        if (v > s.max) {
            s.max = v;
            s.argmax = (int64_t)base + index;
        }
    }
    return s;
}

static struct ops_test begin(const struct pool_case *p, const char *op, int opset,
                             enum bnr_dtype dtype, int n_out) {
    int64_t dims[2 + MAX_AXES] = {2, 3}, pads[2 * MAX_AXES];
    struct ops_test t;
    for (int i = 0; i < p->rank; i++) {
        dims[i + 2] = p->in[i];
        pads[i] = p->begin[i];
        pads[i + p->rank] = p->end[i];
    }
    ops_test_begin(&t, op, opset, n_out);
    t.dtype = dtype;
    double values[2 * 3 * 128];
    for (int i = 0; i < 2 * 3 * 128; i++)
        values[i] = i * 37 % 101 - 50; // few equal ones, so that the first maximum is a question
    ops_test_in(&t, p->rank + 2, dims, values);
    bnr__node_set_attr_ints(t.node, "kernel_shape", p->kernel, (size_t)p->rank);
    bnr__node_set_attr_ints(t.node, "strides", p->stride, (size_t)p->rank);
    bnr__node_set_attr_ints(t.node, "dilations", p->dilation, (size_t)p->rank);
    bnr__node_set_attr_ints(t.node, "pads", pads, 2 * (size_t)p->rank);
    bnr__node_set_attr_int(t.node, "ceil_mode", p->ceil);
    return t;
}

static int64_t check_dims(const struct pool_case *p, const struct ops_test *t, int64_t *in_plane) {
    int64_t dims[2 + MAX_AXES] = {2, 3}, plane = 1;
    *in_plane = 1;
    for (int i = 0; i < p->rank; i++) {
        dims[i + 2] = out_size(p, i);
        plane *= dims[i + 2];
        *in_plane *= p->in[i];
    }
    ops_test_dims(t, 0, p->rank + 2, dims);
    return plane;
}

static void near(double seen, double expected, double tolerance) {
    if (fabs(seen - expected) > tolerance * (1 + fabs(expected)))
        fail_msg("%.17g, expected %.17g", seen, expected);
}

static void max_pool(void **state) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16,
                                            BNR_INT8};
    for (size_t i = 0; i < BNR_COUNT(cases); i++)
        for (size_t d = 0; d < BNR_COUNT(dtypes); d++) {
            struct ops_test t = begin(&cases[i], "MaxPool", 22, dtypes[d], 2);
            int64_t in;
            ops_test_ok(&t);
            const int64_t out = check_dims(&cases[i], &t, &in);
            for (int64_t k = 0; k < 6 * out; k++) {
                const struct window_sums s = look(&cases[i], &t, (size_t)(k / out * in), k % out);
                assert_true(ops_test_y(&t, 0, (size_t)k) == s.max);
                assert_int_equal(t.out[1]->i64[k], s.argmax);
            }
            ops_test_end(&t);
        }
}

static void max_pool_column_major(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "MaxPool", 12, 2);
    ops_test_in(&t, DIMS(1, 2, 2, 3), (double[]){1, 2, 9, 4, 5, 6, 9, 8, 7, 6, 5, 4});
    bnr__node_set_attr_ints(t.node, "kernel_shape", INTS(2, 2));
    bnr__node_set_attr_int(t.node, "storage_order", 1);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){5, 9, 9, 8}, 4, 0);
    // Element [r, c] of a 2 x 3 plane counts as c * 2 + r; the second plane starts at 6.
    ops_test_near(&t, 1, (double[]){3, 4, 6, 8}, 4, 0);
    ops_test_end(&t);
}

static void max_pool_special_values(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "MaxPool", 12, 2);
    ops_test_in(&t, DIMS(1, 1, 4), (double[]){(double)NAN, 1, -HUGE_VAL, -HUGE_VAL});
    bnr__node_set_attr_ints(t.node, "kernel_shape", INTS(2));
    bnr__node_set_attr_ints(t.node, "strides", INTS(2));
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){1, -HUGE_VAL}, 2, 0);
    ops_test_near(&t, 1, (double[]){1, 2}, 2, 0);
    ops_test_end(&t);
}

static void average_pool(void **state) {
    for (size_t i = 0; i < BNR_COUNT(cases); i++)
        for (int include = 0; include < 2; include++) {
            struct ops_test t = begin(&cases[i], "AveragePool", 22, BNR_FLOAT, 1);
            int64_t in;
            bnr__node_set_attr_int(t.node, "count_include_pad", include);
            ops_test_ok(&t);
            const int64_t out = check_dims(&cases[i], &t, &in);
            for (int64_t k = 0; k < 6 * out; k++) {
                const struct window_sums s = look(&cases[i], &t, (size_t)(k / out * in), k % out);
                near(ops_test_y(&t, 0, (size_t)k),
                     s.sum / (double)(include ? s.with_padding : s.inside), 1e-6);
            }
            ops_test_end(&t);
        }
}

static void lp_pool(void **state) {
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct ops_test t = begin(&cases[i], "LpPool", 18, BNR_FLOAT, 1);
        int64_t in;
        ops_test_ok(&t);
        const int64_t out = check_dims(&cases[i], &t, &in);
        for (int64_t k = 0; k < 6 * out; k++)
            near(ops_test_y(&t, 0, (size_t)k),
                 sqrt(look(&cases[i], &t, (size_t)(k / out * in), k % out).squares), 1e-6);
        ops_test_end(&t);
    }
}

static void auto_pad(void **state) {
    static const struct {
        const char *mode;
        int64_t n;
        double y[3];
    } same[] = {{"SAME_UPPER", 3, {2, 4, 5}}, {"SAME_LOWER", 3, {1, 3, 5}}, {"VALID", 2, {2, 4}}};
    for (size_t i = 0; i < BNR_COUNT(same); i++) {
        struct ops_test t;
        ops_test_begin(&t, "MaxPool", 1, 1);
        ops_test_in(&t, DIMS(1, 1, 5), (double[]){1, 2, 3, 4, 5});
        bnr__node_set_attr_ints(t.node, "kernel_shape", INTS(2));
        bnr__node_set_attr_ints(t.node, "strides", INTS(2));
        bnr__node_set_attr_string(t.node, "auto_pad", same[i].mode);
        ops_test_ok(&t);
        ops_test_near(&t, 0, same[i].y, (size_t)same[i].n, 0);
        ops_test_end(&t);
    }
}

static void global(void **state) {
    static const double x[] = {3, -4, 0, 12, -1, 1, -1, 1};
    static const struct {
        const char *op;
        int opset;
        double y[2];
    } ops[] = {{"GlobalAveragePool", 1, {2.75, 0}},
               {"GlobalMaxPool", 22, {12, 1}},
               {"GlobalLpPool", 1, {13, 2}}};
    for (size_t i = 0; i < BNR_COUNT(ops); i++) {
        struct ops_test t;
        ops_test_begin(&t, ops[i].op, ops[i].opset, 1);
        ops_test_in(&t, DIMS(1, 2, 2, 2), x);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, DIMS(1, 2, 1, 1));
        ops_test_near(&t, 0, ops[i].y, 2, 1e-7);
        ops_test_end(&t);
    }
    struct ops_test t;
    ops_test_begin(&t, "GlobalLpPool", 2, 1);
    ops_test_in(&t, DIMS(1, 2, 4), x);
    bnr__node_set_attr_int(t.node, "p", 1);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){19, 4}, 2, 0);
    ops_test_end(&t);
}

static void max_unpool(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "MaxUnpool", 11, 1);
    ops_test_in(&t, DIMS(1, 1, 2, 2), (double[]){1, 2, 3, 4});
    ops_test_in_as(&t, BNR_INT64, DIMS(1, 1, 2, 2), (double[]){5, 7, 13, 15});
    bnr__node_set_attr_ints(t.node, "kernel_shape", INTS(2, 2));
    bnr__node_set_attr_ints(t.node, "strides", INTS(2, 2));
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4}, 16, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "MaxUnpool", 9, 1);
    ops_test_in(&t, DIMS(1, 1, 1), (double[]){7});
    ops_test_in_as(&t, BNR_INT64, DIMS(1, 1, 1), (double[]){2});
    bnr__node_set_attr_ints(t.node, "kernel_shape", INTS(2));
    ops_test_refused(&t, "index 2 is outside [0, 2)");
}

static void refusals(void **state) {
    const struct pool_case *p = &cases[4];
    struct ops_test t = begin(p, "MaxPool", 22, BNR_FLOAT, 1);
    bnr__node_remove_attr(t.node, "kernel_shape");
    ops_test_refused(&t, "attribute 'kernel_shape' is required");
    t = begin(p, "AveragePool", 22, BNR_FLOAT, 1);
    bnr__node_set_attr_ints(t.node, "kernel_shape", INTS(0, 1));
    ops_test_refused(&t, "kernel_shape has 0");
    t = begin(p, "AveragePool", 22, BNR_INT8, 1);
    ops_test_refused(&t, "int8");
    t = begin(p, "MaxPool", 22, BNR_FLOAT, 1);
    bnr__node_set_attr_ints(t.node, "strides", INTS(1, 1, 1));
    ops_test_refused(&t, "strides has 3 elements, expected 2");
    t = begin(p, "MaxPool", 22, BNR_FLOAT, 1);
    bnr__node_set_attr_ints(t.node, "kernel_shape", INTS(3, 20));
    ops_test_refused(&t, "does not fit");
    t = begin(p, "LpPool", 22, BNR_FLOAT, 1);
    bnr__node_set_attr_int(t.node, "p", 0);
    ops_test_refused(&t, "p is 0");
    t = begin(p, "LpPool", 22, BNR_FLOAT, 1);
    bnr__node_set_attr_string(t.node, "p", "2");
    ops_test_refused(&t, "attribute 'p' is a string");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_pool),
        cmocka_unit_test(max_pool_column_major),
        cmocka_unit_test(max_pool_special_values),
        cmocka_unit_test(average_pool),
        cmocka_unit_test(lp_pool),
        cmocka_unit_test(auto_pad),
        cmocka_unit_test(global),
        cmocka_unit_test(max_unpool),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
