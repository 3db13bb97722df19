// SPDX-License-Identifier: Apache-2.0
// Linear and cubic Resize against the operator's reference code: every coordinate transformation,
// up and down, with and without antialias, of one axis and of several, channels in front and
// behind.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/node_test.h"

static void begin(struct ops_test *t, struct rng *r, int rank, const int64_t *dims) {
    static const char *const coordinates[] = {"half_pixel", "half_pixel_symmetric",
                                              "pytorch_half_pixel", "align_corners", "asymmetric"};
    ops_test_begin(t, "Resize", 19, 1);
    ops_test_in(t, rank, dims, NULL);
    ops_test_omit(t);
    assert_int_equal(bnr__node_set_attr_string(t->node, "coordinate_transformation_mode",
                                               coordinates[rng_next(r) % 5]),
                     BNR_OK);
    assert_int_equal(
        bnr__node_set_attr_string(t->node, "mode", rng_next(r) % 2 ? "linear" : "cubic"), BNR_OK);
    if (rng_next(r) % 3 == 0)
        assert_int_equal(bnr__node_set_attr_int(t->node, "antialias", 1), BNR_OK);
    if (rng_next(r) % 3 == 0)
        assert_int_equal(bnr__node_set_attr_int(t->node, "exclude_outside", 1), BNR_OK);
}

static void interpolation(void **state) {
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rng r = {seed * 1000};
        struct ops_test t;
        const int rank = (int)rng_size(&r, 1, 5);
        int64_t dims[5], sizes[5];
        double values[5];
        char what[40];
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
        for (int i = 0; i < rank; i++) {
            dims[i] = (int64_t)rng_size(&r, 1, 9);
            sizes[i] = rng_next(&r) % 3 ? dims[i] : (int64_t)rng_size(&r, 1, 20);
        }
        sizes[rng_next(&r) % (uint64_t)rank] = 13;
        for (int i = 0; i < rank; i++)
            values[i] = (double)sizes[i];
        begin(&t, &r, rank, dims);
        ops_test_omit(&t);
        ops_test_in_as(&t, BNR_INT64, DIMS(rank), values);
        node_test(&t, 8, 2e-6, what);
    }
}

// Rows of more than a strip.
static void wide_rows(void **state) {
    struct rng r = {1};
    for (int i = 0; i < 4; i++) {
        struct ops_test t;
        const int64_t dims[] = {2, 5, 1100};
        begin(&t, &r, 3, dims);
        ops_test_in(&t, DIMS(3), (const double[]){1, i % 2 ? 2.3 : 0.6, 1});
        node_test(&t, 4, 2e-6, "wide");
    }
}

static void special_values(void **state) {
    struct rng r = {2};
    struct ops_test t;
    const int64_t dims[] = {1, 2, 4};
    begin(&t, &r, 3, dims);
    t.in[0]->f32[1] = NAN;
    t.in[0]->f32[6] = INFINITY;
    ops_test_in(&t, DIMS(3), (const double[]){1, 1, 3});
    node_test(&t, 4, 2e-6, "special");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(interpolation), cmocka_unit_test(wide_rows),
                                       cmocka_unit_test(special_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
