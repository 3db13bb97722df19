// SPDX-License-Identifier: Apache-2.0
// Memory placement against brute force: nothing alive together overlaps, and the bounds are honest.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/place.h"

static uint64_t seed;

static unsigned draw(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static size_t rounded(size_t size) {
    return (size + BNR_TENSOR_ALIGN - 1) / BNR_TENSOR_ALIGN * BNR_TENSOR_ALIGN;
}

// The sum of what is alive, step by step.
static size_t brute_bound(const struct bnr_block *b, size_t n, int steps) {
    size_t most = 0;
    for (int s = 0; s < steps; s++) {
        size_t sum = 0;
        for (size_t i = 0; i < n; i++)
            if (b[i].first <= s && s <= b[i].last)
                sum += rounded(b[i].size);
        most = sum > most ? sum : most;
    }
    return most + BNR_TENSOR_PAD;
}

static void check_disjoint(const struct bnr_block *b, size_t n, size_t bytes) {
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(b[i].offset % BNR_TENSOR_ALIGN, 0);
        assert_true(b[i].offset + b[i].size + BNR_TENSOR_PAD <= bytes);
        for (size_t k = 0; k < i; k++) {
            bool together = b[i].first <= b[k].last && b[k].first <= b[i].last;
            bool apart =
                b[i].offset + b[i].size <= b[k].offset || b[k].offset + b[k].size <= b[i].offset;
            if (together && !apart && b[i].size && b[k].size)
                fail_msg("seed %llu: blocks %zu and %zu overlap", (unsigned long long)seed, i, k);
        }
    }
}

static void random_blocks(void **state) {
    enum { MAX_BLOCKS = 80, STEPS = 60 };
    struct bnr_arena temp = {0};
    double worst = 1;
    for (unsigned round = 0; round < 400; round++) {
        seed = round;
        struct bnr_block b[MAX_BLOCKS];
        size_t n = draw(MAX_BLOCKS + 1);
        for (size_t i = 0; i < n; i++) {
            int first = (int)draw(STEPS), length = (int)draw(round % 3 ? 6 : STEPS);
            b[i] = (struct bnr_block){.size = draw(4) ? draw(100000) : draw(200),
                                      .first = first,
                                      .last = first + length < STEPS ? first + length : STEPS - 1};
        }
        struct bnr_placement p;
        assert_int_equal(bnr__place(b, n, &temp, &p, NULL), BNR_OK);
        check_disjoint(b, n, p.bytes);
        assert_int_equal(p.lower_bound, brute_bound(b, n, STEPS));
        assert_true(p.bytes >= p.lower_bound);
        double ratio = (double)p.bytes / (double)p.lower_bound;
        worst = ratio > worst ? ratio : worst;
        bnr__arena_reset(&temp);
    }
    print_message("worst arena / lower bound: %.3f\n", worst);
    assert_true(worst < 1.2);
    bnr__arena_free(&temp);
}

// A chain: two neighbours alive at a time need exactly the largest pair.
static void chain_reaches_the_bound(void **state) {
    struct bnr_arena temp = {0};
    struct bnr_block b[50];
    for (int i = 0; i < 50; i++)
        b[i] =
            (struct bnr_block){.size = (size_t)(i * 37 % 11 + 1) * 1000, .first = i, .last = i + 1};
    struct bnr_placement p;
    assert_int_equal(bnr__place(b, 50, &temp, &p, NULL), BNR_OK);
    check_disjoint(b, 50, p.bytes);
    assert_int_equal(p.bytes, p.lower_bound);
    bnr__arena_free(&temp);
}

// More blocks than the quadratic orders take; still correct, and quick.
static void many_blocks(void **state) {
    enum { MANY = 20000 };
    struct bnr_arena temp = {0};
    struct bnr_block *b = test_calloc(MANY, sizeof *b);
    seed = 7;
    for (int i = 0; i < MANY; i++)
        b[i] = (struct bnr_block){.size = draw(5000), .first = i, .last = i + (int)draw(8)};
    struct bnr_placement p;
    assert_int_equal(bnr__place(b, MANY, &temp, &p, NULL), BNR_OK);
    for (int i = 0; i + 10 < MANY; i += 10) // those further apart cannot meet
        check_disjoint(b + i, 20 < MANY - i ? 20 : (size_t)(MANY - i), p.bytes);
    assert_true((double)p.bytes < 1.5 * (double)p.lower_bound);
    test_free(b);
    bnr__arena_free(&temp);
}

static void absurd_sizes(void **state) {
    struct bnr_arena temp = {0};
    struct bnr_error err;
    struct bnr_placement p;
    struct bnr_block b[2] = {{.size = SIZE_MAX / 2}, {.size = SIZE_MAX / 2 + 2}};
    assert_int_equal(bnr__place(b, 2, &temp, &p, &err), BNR_NO_MEMORY);
    b[0].size = SIZE_MAX;
    assert_int_equal(bnr__place(b, 1, &temp, &p, &err), BNR_NO_MEMORY);
    assert_int_equal(bnr__place(b, 0, &temp, &p, &err), BNR_OK);
    assert_int_equal(p.bytes, BNR_TENSOR_PAD);
    bnr__arena_free(&temp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks),
        cmocka_unit_test(chain_reaches_the_bound),
        cmocka_unit_test(many_blocks),
        cmocka_unit_test(absurd_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
