// SPDX-License-Identifier: Apache-2.0
// As much of cmocka as the kernel tests use, for machines without it: cross-compiled, they run in an
// emulator. The first failure ends the program.
#ifndef BNR_TESTS_ARM_CMOCKA_H
#define BNR_TESTS_ARM_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(f) {#f, f}

#define fail_msg(...)                                                                              \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n");                                                                     \
        exit(1);                                                                                   \
    } while (0)
#define print_message(...) printf(__VA_ARGS__)
#define assert_true(c)                                                                             \
    do {                                                                                           \
        if (!(c))                                                                                  \
            fail_msg("not true: %s", #c);                                                          \
    } while (0)
#define assert_false(c) assert_true(!(c))
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_null(p) assert_true((p) == NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define assert_string_equal(a, b) assert_true(strcmp((a), (b)) == 0)
#define assert_memory_equal(a, b, n) assert_true(memcmp((a), (b), (n)) == 0)

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    run_all(tests, sizeof(tests) / sizeof(tests[0]))

static int run_all(const struct CMUnitTest *tests, size_t n) {
    for (size_t i = 0; i < n; i++) {
        tests[i].run(NULL);
        printf("[       OK ] %s\n", tests[i].name);
        fflush(stdout);
    }
    return 0;
}

#endif
