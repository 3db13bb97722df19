// SPDX-License-Identifier: Apache-2.0
// The kernels of quantized products and convolutions against the operators' reference code: exact,
// whatever the types, zero points, scales, shapes, groups, padding.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/node_test.h"

static int64_t pick(struct rng *r, size_t low, size_t high) {
    return (int64_t)rng_size(r, low, high);
}

static bool chance(struct rng *r, unsigned one_in) {
    return rng_next(r) % one_in == 0;
}

static enum bnr_dtype byte_type(struct rng *r) {
    return chance(r, 2) ? BNR_INT8 : BNR_UINT8;
}

static double byte_of(struct rng *r, enum bnr_dtype t) {
    const double low = t == BNR_INT8 ? -128 : 0;
    return chance(r, 8) ? low + 255 : chance(r, 8) ? low : low + (double)(rng_next(r) % 256);
}

static void add_bytes(struct ops_test *t, struct rng *r, enum bnr_dtype dtype, int rank,
                      const int64_t *dims) {
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    double *values = calloc(n, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = byte_of(r, dtype);
    ops_test_in_as(t, dtype, rank, dims, values);
    free(values);
}

// n parameters (0: a scalar): zero points, or scales.
static void add_zeros(struct ops_test *t, struct rng *r, enum bnr_dtype dtype, int64_t n,
                      bool equal) {
    double values[128];
    for (int64_t i = 0; i < (n ? n : 1); i++)
        values[i] = i && equal ? values[0] : byte_of(r, dtype);
    ops_test_in_as(t, dtype, n ? 1 : 0, &n, values);
}

static void add_scales(struct ops_test *t, struct rng *r, int64_t n, double about) {
    double values[128];
    for (int64_t i = 0; i < (n ? n : 1); i++)
        values[i] = about * (1.5 + (double)rng_float(r));
    ops_test_in(t, n ? 1 : 0, &n, values);
}

static size_t edge(struct rng *r) {
    static const size_t edges[] = {1, 2, 3, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65};
    return edges[rng_next(r) % (sizeof edges / sizeof edges[0])];
}

static void set_int(struct ops_test *t, const char *name, int64_t v) {
    assert_int_equal(bnr__node_set_attr_int(t->node, name, v), BNR_OK);
}

static void matrices(struct ops_test *t, struct rng *r, enum bnr_dtype *types, int64_t *n) {
    const int64_t m = (int64_t)edge(r), k = chance(r, 8) ? pick(r, 700, 900) : (int64_t)edge(r);
    const int64_t batch = pick(r, 1, 3);
    *n = (int64_t)edge(r);
    const bool scaled = t->n_out == 1 && types[2] != BNR_UNDEFINED;
    if (chance(r, 2))
        add_bytes(t, r, types[0], DIMS(m, k));
    else
        add_bytes(t, r, types[0], DIMS(batch, m, k));
    if (scaled) {
        add_scales(t, r, 0, 0.01);
        add_zeros(t, r, types[0], 0, true);
    }
    if (chance(r, 2))
        add_bytes(t, r, types[1], DIMS(k, *n));
    else
        add_bytes(t, r, types[1], DIMS(t->in[0]->rank == 3 ? batch : 1, k, *n));
}

static void products(void **state) {
    for (uint64_t seed = 0; seed < 120; seed++) {
        struct rng r = {seed * 1000};
        struct ops_test t;
        enum bnr_dtype types[3] = {byte_type(&r), byte_type(&r), BNR_UNDEFINED};
        int64_t n;
        char what[40];
        snprintf(what, sizeof what, "MatMulInteger %llu", (unsigned long long)seed);
        ops_test_begin(&t, "MatMulInteger", 10, 1);
        matrices(&t, &r, types, &n);
        if (chance(&r, 2))
            add_zeros(&t, &r, types[0], 0, true);
        else
            ops_test_omit(&t);
        const bool vector = chance(&r, 3);
        if (!chance(&r, 3))
            add_zeros(&t, &r, types[1], vector ? n : 0, true);
        node_test(&t, vector || chance(&r, 2) ? 10 : 0, 0, what);
    }
}

static void scaled_products(void **state) {
    for (uint64_t seed = 0; seed < 120; seed++) {
        struct rng r = {seed * 1000 + 1};
        struct ops_test t;
        enum bnr_dtype types[3] = {byte_type(&r), byte_type(&r), byte_type(&r)};
        int64_t n;
        char what[40];
        snprintf(what, sizeof what, "QLinearMatMul %llu", (unsigned long long)seed);
        ops_test_begin(&t, "QLinearMatMul", 21, 1);
        matrices(&t, &r, types, &n);
        add_scales(&t, &r, chance(&r, 2) ? n : 0, 0.01);
        add_zeros(&t, &r, types[1], 0, true);
        add_scales(&t, &r, 0, chance(&r, 2) ? 0.01 : 1);
        add_zeros(&t, &r, types[2], 0, true);
        node_test(&t, chance(&r, 2) ? 1 << 3 | 1 << 5 : 0, 0, what);
    }
}

struct conv {
    int axes;
    int64_t batch, groups, cin, cout, in[3], kernel[3];
};

static void random_conv(struct rng *r, struct conv *c) {
    *c = (struct conv){.axes = (int)pick(r, 1, 3), .batch = pick(r, 1, 2)};
    c->groups = chance(r, 3) ? pick(r, 2, 5) : 1;
    c->cin = chance(r, 3) ? 1 : chance(r, 4) ? pick(r, 100, 300) : pick(r, 1, 9);
    c->cout = pick(r, 1, 20);
    for (int i = 0; i < 3; i++) {
        c->kernel[i] = chance(r, 3) ? 1 : pick(r, 1, 3);
        c->in[i] = pick(r, 3, c->axes == 3 ? 6 : 20);
    }
}

static void set_window(struct ops_test *t, struct rng *r, const struct conv *c) {
    int64_t pads[6], strides[3];
    for (int i = 0; i < c->axes; i++) {
        pads[i] = pick(r, 0, (size_t)c->kernel[i] - 1);
        pads[i + c->axes] = pick(r, 0, (size_t)c->kernel[i] - 1);
        strides[i] = pick(r, 1, 3);
    }
    assert_int_equal(bnr__node_set_attr_ints(t->node, "pads", pads, 2 * (size_t)c->axes), BNR_OK);
    assert_int_equal(bnr__node_set_attr_ints(t->node, "strides", strides, (size_t)c->axes), BNR_OK);
    set_int(t, "group", c->groups);
}

static void add_image(struct ops_test *t, struct rng *r, const struct conv *c,
                      enum bnr_dtype dtype) {
    const int64_t dims[] = {c->batch, c->groups * c->cin, c->in[0], c->in[1], c->in[2]};
    add_bytes(t, r, dtype, 2 + c->axes, dims);
}

static void add_weights(struct ops_test *t, struct rng *r, const struct conv *c,
                        enum bnr_dtype dtype) {
    const int64_t dims[] = {c->groups * c->cout, c->cin, c->kernel[0], c->kernel[1], c->kernel[2]};
    add_bytes(t, r, dtype, 2 + c->axes, dims);
}

static void convolutions(void **state) {
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct rng r = {seed * 1000};
        struct ops_test t;
        struct conv c;
        const enum bnr_dtype x = byte_type(&r), w = byte_type(&r);
        char what[40];
        snprintf(what, sizeof what, "ConvInteger %llu", (unsigned long long)seed);
        random_conv(&r, &c);
        ops_test_begin(&t, "ConvInteger", 10, 1);
        add_image(&t, &r, &c, x);
        add_weights(&t, &r, &c, w);
        add_zeros(&t, &r, x, 0, true);
        if (!chance(&r, 3))
            add_zeros(&t, &r, w, chance(&r, 2) ? c.groups * c.cout : 0, false);
        set_window(&t, &r, &c);
        node_test(&t, chance(&r, 2) ? 10 : 0, 0, what);
    }
}

static void scaled_convolutions(void **state) {
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct rng r = {seed * 1000 + 1};
        struct ops_test t;
        struct conv c;
        const enum bnr_dtype x = byte_type(&r), w = byte_type(&r), y = byte_type(&r);
        char what[40];
        snprintf(what, sizeof what, "QLinearConv %llu", (unsigned long long)seed);
        random_conv(&r, &c);
        const int64_t m = c.groups * c.cout;
        ops_test_begin(&t, "QLinearConv", 10, 1);
        add_image(&t, &r, &c, x);
        add_scales(&t, &r, 0, 0.01);
        add_zeros(&t, &r, x, 0, true);
        add_weights(&t, &r, &c, w);
        add_scales(&t, &r, chance(&r, 2) ? m : 0, 0.01);
        add_zeros(&t, &r, w, chance(&r, 2) ? m : 0, false);
        add_scales(&t, &r, 0, chance(&r, 2) ? 0.01 : 1);
        add_zeros(&t, &r, y, 0, true);
        if (chance(&r, 2)) {
            double bias[128];
            for (int64_t i = 0; i < m; i++)
                bias[i] = (double)pick(&r, 0, 20000) - 10000;
            ops_test_in_as(&t, BNR_INT32, DIMS(m), bias);
        }
        set_window(&t, &r, &c);
        node_test(&t, chance(&r, 2) ? 1 << 3 | 1 << 5 : 0, 0, what);
    }
}

// The largest sums of all: 255 * 255 in 900 products, and a scale that is NaN or infinite.
static void special_values(void **state) {
    static const double scale[] = {1, NAN, INFINITY, 0};
    static double full[900];
    for (int i = 0; i < 900; i++)
        full[i] = 255;
    for (int i = 0; i < 4; i++) {
        struct ops_test t;
        ops_test_begin(&t, "QLinearMatMul", 21, 1);
        ops_test_in_as(&t, BNR_UINT8, DIMS(1, 900), full);
        ops_test_in(&t, DIMS(1), &scale[i]);
        ops_test_in_as(&t, BNR_UINT8, DIMS(1), (const double[]){0});
        ops_test_in_as(&t, BNR_UINT8, DIMS(900, 1), full);
        ops_test_in(&t, DIMS(1), (const double[]){1});
        ops_test_in_as(&t, BNR_UINT8, DIMS(1), (const double[]){0});
        ops_test_in(&t, DIMS(1), (const double[]){3e5});
        ops_test_in_as(&t, BNR_UINT8, DIMS(1), (const double[]){7});
        node_test(&t, 0, 0, "special");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products), cmocka_unit_test(scaled_products),
        cmocka_unit_test(convolutions), cmocka_unit_test(scaled_convolutions),
        cmocka_unit_test(special_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
