// SPDX-License-Identifier: Apache-2.0
// The thread pool: every index once, fixed chunk borders, callers in turn, and no spinning when
// idle.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/base/pool.h"

enum { MAX_ITEMS = 1000 };

struct tally {
    size_t n, grain;
    atomic_int hits[MAX_ITEMS];
    atomic_int bad_borders;
};

static void count(void *cx, size_t begin, size_t end) {
    struct tally *t = cx;
    size_t want_end = t->n - begin < t->grain ? t->n : begin + t->grain;
    if (begin % t->grain != 0 || end != want_end)
        atomic_fetch_add(&t->bad_borders, 1);
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&t->hits[i], 1);
}

static void run_tally(struct bnr_pool *pool, size_t n, size_t grain) {
    struct tally t = {.n = n, .grain = grain ? grain : 1};
    bnr__parallel_for(pool, n, grain, count, &t);
    assert_int_equal(atomic_load(&t.bad_borders), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(atomic_load(&t.hits[i]), 1);
}

static void every_index_once(void **state) {
    for (int threads = 0; threads <= 3; threads++) {
        struct bnr_pool *pool;
        assert_int_equal(bnr__pool_new(&pool, threads, NULL), BNR_OK);
        assert_int_equal(bnr__pool_threads(pool), threads < 1 ? 1 : threads);
        assert_true((pool != NULL) == (threads > 1));
        static const size_t sizes[] = {0, 1, 2, 7, 999, 1000};
        static const size_t grains[] = {0, 1, 5, 999, SIZE_MAX};
        for (size_t i = 0; i < BNR_COUNT(sizes); i++)
            for (size_t k = 0; k < BNR_COUNT(grains); k++)
                run_tally(pool, sizes[i], grains[k]);
        bnr__pool_free(pool);
    }
}

static void refuses_absurd_counts(void **state) {
    struct bnr_pool *pool;
    struct bnr_error err;
    assert_int_equal(bnr__pool_new(&pool, BNR_MAX_THREADS + 1, &err), BNR_INVALID);
    assert_null(pool);
    assert_non_null(strstr(err.message, "1025 threads"));
    assert_true(bnr__pool_cores() >= 1);
}

static void *caller(void *arg) {
    struct bnr_pool *pool = arg;
    for (int i = 0; i < 20; i++) {
        bnr__pool_begin(pool);
        run_tally(pool, 300, 7);
        run_tally(pool, 20, 1);
        bnr__pool_end(pool);
        run_tally(pool, 100, 3);
    }
    return NULL;
}

static void callers_take_turns(void **state) {
    struct bnr_pool *pool;
    assert_int_equal(bnr__pool_new(&pool, 3, NULL), BNR_OK);
    pthread_t threads[3];
    for (size_t i = 0; i < BNR_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, caller, pool), 0);
    for (size_t i = 0; i < BNR_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    bnr__pool_free(pool);
}

static double cpu_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

// The least CPU time that 30 ms of idleness cost, of several tries: a busy machine wakes workers
// late.
static double idle_cost(struct bnr_pool *pool, bool bracket) {
    double least = 1e9;
    for (int try = 0; try < 5 && least > 1; try++) {
        if (bracket)
            bnr__pool_begin(pool);
        run_tally(pool, 100, 1);
        run_tally(pool, 100, 1);
        if (bracket)
            bnr__pool_end(pool);
        const struct timespec nap = {.tv_nsec = 30 * 1000 * 1000};
        double before = cpu_ms();
        nanosleep(&nap, NULL);
        double cost = cpu_ms() - before;
        least = cost < least ? cost : least;
    }
    return least;
}

static void idle_workers_sleep(void **state) {
    struct bnr_pool *pool;
    assert_int_equal(bnr__pool_new(&pool, 2, NULL), BNR_OK);
    assert_true(idle_cost(pool, false) < 5);
    assert_true(idle_cost(pool, true) < 5);
    bnr__pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_once),
        cmocka_unit_test(refuses_absurd_counts),
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(idle_workers_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
