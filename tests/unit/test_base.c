// SPDX-License-Identifier: Apache-2.0
// runtime/base: errors, arenas, the string map, text and checked arithmetic.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/checked.h"
#include "runtime/base/map.h"
#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "tests/lib/fault_alloc.h"

static void errors_are_one_line(void **state) {
    struct bnr_error err;
    assert_int_equal(bnr__fail(&err, BNR_SHAPE, "a\nb\x1b[31m%s", "c"), BNR_SHAPE);
    assert_string_equal(err.message, "a?b?[31mc");
    assert_int_equal(bnr__fail_prefix(&err, BNR_IO, "file '%s'", "x"), BNR_IO);
    assert_string_equal(err.message, "file 'x': a?b?[31mc");
    assert_int_equal(err.code, BNR_IO);
    char longer[3000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    bnr__fail(&err, BNR_IO, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    bnr__fail_prefix(&err, BNR_IO, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(bnr__fail(NULL, BNR_IO, "x"), BNR_IO);
}

static void sizes_do_not_wrap(void **state) {
    size_t s = 7;
    int64_t i = 7;
    assert_false(bnr__size_mul(SIZE_MAX, 2, &s));
    assert_false(bnr__size_mul(SIZE_MAX / 2 + 1, 2, &s));
    assert_false(bnr__size_add(SIZE_MAX, 1, &s));
    assert_false(bnr__i64_mul(INT64_MAX, 2, &i));
    assert_false(bnr__i64_add(INT64_MIN, -1, &i));
    assert_false(bnr__i64_add(INT64_MAX, 1, &i));
    assert_int_equal(s, 7);
    assert_int_equal(i, 7);
    assert_true(bnr__size_mul(SIZE_MAX / 2, 2, &s) && s == SIZE_MAX - 1);
    assert_true(bnr__i64_add(INT64_MAX, INT64_MIN, &i) && i == -1);
}

// NULL: the C library's, where larger blocks are mapped.
static void check_arena(const struct bnr_allocator *allocator) {
    struct bnr_arena arena;
    bnr__arena_init(&arena, allocator);
    enum { N = 1000 };
    unsigned char *p[N];
    size_t size[N];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            size[i] = (size_t)(i * 7919 % 613);
            size_t align = (size_t)1 << (i % 7);
            p[i] = bnr__arena_aligned(&arena, size[i], align);
            assert_non_null(p[i]);
            assert_int_equal((uintptr_t)p[i] % align, 0);
            for (size_t k = 0; k < size[i]; k++)
                if (p[i][k] != 0)
                    fail_msg("byte %zu of block %d is not zero", k, i);
            memset(p[i], i & 255, size[i]);
        }
        for (int i = 0; i < N; i++)
            for (size_t k = 0; k < size[i]; k++)
                if (p[i][k] != (i & 255))
                    fail_msg("block %d was overwritten at %zu", i, k);
        bnr__arena_reset(&arena);
    }
    assert_null(bnr__arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(bnr__arena_alloc(&arena, SIZE_MAX));
    bnr__arena_free(&arena);
}

static void arena_blocks_are_aligned_zeroed_and_disjoint(void **state) {
    struct fault_alloc f;
    fault_alloc_init(&f, -1);
    check_arena(&f.allocator);
    check_arena(NULL);
    assert_int_equal(atomic_load(&f.live_bytes), 0);
}

static void arena_reset_reaches_a_steady_state(void **state) {
    struct fault_alloc f;
    fault_alloc_init(&f, -1);
    struct bnr_arena arena;
    bnr__arena_init(&arena, &f.allocator);
    for (int i = 0; i < 20; i++) {
        long before = atomic_load(&f.calls);
        for (int k = 0; k < 100; k++)
            assert_non_null(bnr__arena_alloc(&arena, 300));
        if (i > 10)
            assert_int_equal(atomic_load(&f.calls), before);
        bnr__arena_reset(&arena);
    }
    bnr__arena_free(&arena);
    assert_int_equal(atomic_load(&f.live_blocks), 0);
}

static void tensor_blocks_are_aligned_and_padded(void **state) {
    struct fault_alloc f;
    fault_alloc_init(&f, -1);
    for (size_t size = 0; size < 300; size++) {
        unsigned char *p = bnr__malloc_tensor(&f.allocator, size);
        assert_int_equal((uintptr_t)p % BNR_TENSOR_ALIGN, 0);
        memset(p, 0xff, size);
        for (int i = 0; i < BNR_TENSOR_PAD; i++)
            assert_int_equal(p[size + (size_t)i], 0);
        bnr__free_tensor(&f.allocator, p, size);
    }
    assert_null(bnr__malloc_tensor(&f.allocator, SIZE_MAX - 3));
    assert_int_equal(atomic_load(&f.live_blocks), 0);
}

static void map_finds_what_was_set(void **state) {
    struct bnr_arena arena;
    bnr__arena_init(&arena, NULL);
    struct bnr_map map;
    bnr__map_init(&map, &arena);
    static int values[5000];
    static char *keys[5000];
    assert_null(bnr__map_get(&map, "k0"));
    for (int i = 0; i < 5000; i++) {
        if (i % 1000 == 10)
            assert_true(bnr__map_reserve(&map, (size_t)i * 2));
        keys[i] = bnr__arena_printf(&arena, "k%d", i * 37);
        assert_true(bnr__map_set(&map, keys[i], &values[i]));
    }
    for (int i = 0; i < 5000; i++)
        if (i % 3 < 2)
            assert_true(bnr__map_set(&map, keys[i], i % 3 == 0 ? NULL : &values[0]));
    for (int i = 0; i < 5000; i++)
        assert_ptr_equal(bnr__map_get(&map, keys[i]),
                         i % 3 == 0 ? NULL : i % 3 == 1 ? &values[0] : &values[i]);
    assert_null(bnr__map_get(&map, ""));
    assert_false(bnr__map_reserve(&map, SIZE_MAX));
    bnr__arena_free(&arena);
}

static void json_text_is_valid(void **state) {
    struct bnr_text t = {0};
    bnr__text_json_string(&t, "a\"b\\\n\x01\xff\xc3\xa4\xed\xa0\x80");
    assert_string_equal(t.data, "\"a\\\"b\\\\\\u000a\\u0001\\ufffd\xc3\xa4\\ufffd\\ufffd\\ufffd\"");
    bnr__text_free(&t);
    static const double numbers[] = {0, -0.5, 1.0 / 3, 1e300, 5e-324, 123456789012345680.0, 0.1};
    for (size_t i = 0; i < BNR_COUNT(numbers); i++) {
        bnr__text_json_number(&t, numbers[i]);
        assert_true(strtod(t.data, NULL) == numbers[i]);
        bnr__text_free(&t);
    }
    bnr__text_json_number(&t, (double)NAN);
    bnr__text_json_number(&t, (double)INFINITY);
    bnr__text_json_string(&t, NULL);
    assert_string_equal(t.data, "nullnullnull");
    bnr__text_free(&t);
}

static void text_survives_failed_allocations(void **state) {
    for (long k = 0;; k++) {
        struct fault_alloc f;
        fault_alloc_init(&f, k);
        struct bnr_text t = {.allocator = &f.allocator};
        for (int i = 0; i < 500; i++)
            bnr__text_add(&t, "line %d\n", i);
        bool failed = t.failed;
        bnr__text_free(&t);
        assert_int_equal(atomic_load(&f.live_blocks), 0);
        if (!failed)
            break;
        assert_true(k < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_one_line),
        cmocka_unit_test(sizes_do_not_wrap),
        cmocka_unit_test(arena_blocks_are_aligned_zeroed_and_disjoint),
        cmocka_unit_test(arena_reset_reaches_a_steady_state),
        cmocka_unit_test(tensor_blocks_are_aligned_and_padded),
        cmocka_unit_test(map_finds_what_was_set),
        cmocka_unit_test(json_text_is_valid),
        cmocka_unit_test(text_survives_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
