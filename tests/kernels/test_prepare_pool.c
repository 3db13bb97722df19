// SPDX-License-Identifier: Apache-2.0
// MaxPool with indices against the operator's reference code: one to three axes, strides,
// dilations, padding, equal elements, NaN.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/node_test.h"

static void set(struct ops_test *t, const char *name, const int64_t *v, int n) {
    assert_int_equal(bnr__node_set_attr_ints(t->node, name, v, (size_t)n), BNR_OK);
}

static void indices(void **state) {
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct rng r = {seed * 1000};
        struct ops_test t;
        const int axes = (int)rng_size(&r, 1, 3);
        int64_t dims[5] = {(int64_t)rng_size(&r, 1, 2), (int64_t)rng_size(&r, 1, 3)};
        int64_t kernel[3], strides[3], dilations[3], pads[6];
        char what[40];
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
        for (int i = 0; i < axes; i++) {
            kernel[i] = (int64_t)rng_size(&r, 1, 4);
            strides[i] = (int64_t)rng_size(&r, 1, 3);
            dilations[i] = (int64_t)rng_size(&r, 1, 2);
            dims[i + 2] = (int64_t)rng_size(&r, (size_t)((kernel[i] - 1) * dilations[i] + 1), 14);
            pads[i] = (int64_t)rng_size(&r, 0, (size_t)kernel[i] - 1);
            pads[i + axes] = (int64_t)rng_size(&r, 0, (size_t)kernel[i] - 1);
        }
        ops_test_begin(&t, "MaxPool", 12, 2);
        ops_test_in(&t, axes + 2, dims, NULL);
        for (size_t i = 0; i < t.in[0]->numel; i++) { // equal ones, and what hurts
            float *x = &t.in[0]->f32[i];
            *x = seed % 2 ? floorf(*x * 3) : *x;
            if (seed % 5 == 0)
                *x = rng_next(&r) % 3 ? NAN : rng_next(&r) % 2 ? -INFINITY : *x;
        }
        set(&t, "kernel_shape", kernel, axes);
        set(&t, "strides", strides, axes);
        set(&t, "dilations", dilations, axes);
        set(&t, "pads", pads, 2 * axes);
        if (rng_next(&r) % 3 == 0)
            assert_int_equal(bnr__node_set_attr_int(t.node, "ceil_mode", 1), BNR_OK);
        node_test(&t, 0, 0, what);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(indices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
