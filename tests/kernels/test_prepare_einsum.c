// SPDX-License-Identifier: Apache-2.0
// Einsum as products of matrices against the operator's reference code, in double: orders of axes,
// several products, broadcast dims, diagonals, axes of one operand alone, more than two operands.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/node_test.h"

// Dims of the letters from a on.
static void add_term(struct ops_test *t, const char *term, size_t n, const int64_t *size,
                     const double *values) {
    int64_t dims[8];
    for (size_t i = 0; i < n; i++)
        dims[i] = size[term[i] - 'a'];
    ops_test_in(t, (int)n, dims, values);
}

static void run(const char *equation, const int64_t *size, const double *values) {
    struct ops_test t;
    ops_test_begin(&t, "Einsum", 12, 1);
    assert_int_equal(bnr__node_set_attr_string(t.node, "equation", equation), BNR_OK);
    for (const char *term = equation; *term != '-';) {
        const size_t n = strcspn(term, ",-");
        add_term(&t, term, n, size, values);
        term += n + (term[n] == ',');
    }
    node_test(&t, 0, 1e-5, equation);
}

static void equations(void **state) {
    static const char *const all[] = {
        "abc->ac",         "abc->cb",         "abc->",           "abc->abc",       "abc->bca",
        "aab->ba",         "aabb->ab",        "abab->a",         "aaa->a",         "a->",
        "ab,bc->ac",       "ab,bc->ca",       "ba,bc->ac",       "ba,cb->ac",      "abc,adc->abd",
        "abcd,aecd->acbe", "abcd,aebd->ecab", "ab,b->a",         "b,ab->a",        "a,b->ab",
        "a,b->ba",         "abc,cd->abd",     "abc,cd->adb",     "abc,abc->a",     "abc,bc->a",
        "ab,cd->acbd",     "ab,cd->c",        "ab,ab->",         "aab,bc->ac",     "aab,bbc->cab",
        "ab,bc,cd->ad",    "ab,cb,cd->da",    "ab,bc,cd,de->ae", "abc,ad,be->cde", "abc,b,cd->da",
    };
    static const int64_t sizes[][5] = {{17, 33, 9, 14, 15},
                                       {1, 20, 40, 1, 3},
                                       {5, 1, 64, 17, 1},
                                       {32, 16, 1, 2, 8},
                                       {3, 4, 5, 6, 7}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
            run(all[i], sizes[k], NULL);
}

static void ellipsis(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "Einsum", 12, 1);
    assert_int_equal(bnr__node_set_attr_string(t.node, "equation", "...ij,...jk->...ki"), BNR_OK);
    ops_test_in(&t, DIMS(3, 1, 7, 9), NULL);
    ops_test_in(&t, DIMS(5, 9, 11), NULL);
    node_test(&t, 0, 2e-6, "broadcast");
}

static void special_values(void **state) {
    static const int64_t size[] = {3, 3, 3, 3, 3};
    static const double values[27] = {1,    NAN,  -2,    INFINITY, 0,         3,
                                      1e30, -0.0, 1e-40, 4,        -INFINITY, 5};
    run("ab,bc->ca", size, values);
    run("abc,bd->dac", size, values);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equations), cmocka_unit_test(ellipsis),
                                       cmocka_unit_test(special_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
