// SPDX-License-Identifier: Apache-2.0
// Parallel loops over pthreadpool, whose worker threads spin after each loop unless told to sleep.
#include "runtime/base/pool.h"

#include <pthread.h>
#include <pthreadpool.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/alloc.h"

struct bnr_pool {
    _Atomic(pthreadpool_t) workers; // NULL until the first loop that has something for them
    pthread_mutex_t starting;
    bool failed; // to start
    int threads;
    atomic_int users;     // brackets that are open
    atomic_bool spinning; // the latest loop left the workers spinning
};

enum bnr_status bnr__pool_new(struct bnr_pool **out, int threads, struct bnr_error *err) {
    *out = NULL;
    if (threads <= 1)
        return BNR_OK;
    if (threads > BNR_MAX_THREADS)
        return bnr__fail(err, BNR_INVALID, "%d threads, at most %d are supported", threads,
                         BNR_MAX_THREADS);
    struct bnr_pool *pool = bnr__calloc(NULL, 1, sizeof *pool);
    if (!pool)
        return bnr__no_memory(err);
    pool->threads = threads;
    pthread_mutex_init(&pool->starting, NULL);
    *out = pool;
    return BNR_OK;
}

void bnr__pool_free(struct bnr_pool *pool) {
    if (!pool)
        return;
    pthreadpool_destroy(atomic_load(&pool->workers)); // NULL is fine
    pthread_mutex_destroy(&pool->starting);
    bnr__free(NULL, pool, sizeof *pool);
}

// NULL where threads cannot be had.
static pthreadpool_t workers_of(struct bnr_pool *pool) {
    pthreadpool_t workers = atomic_load_explicit(&pool->workers, memory_order_acquire);
    if (workers)
        return workers;
    pthread_mutex_lock(&pool->starting);
    workers = atomic_load_explicit(&pool->workers, memory_order_relaxed);
    if (!workers && !pool->failed) {
        workers = pthreadpool_create((size_t)pool->threads);
        pool->failed = !workers;
        atomic_store_explicit(&pool->workers, workers, memory_order_release);
    }
    pthread_mutex_unlock(&pool->starting);
    return workers;
}

int bnr__pool_threads(const struct bnr_pool *pool) {
    return pool ? pool->threads : 1;
}

int bnr__pool_cores(void) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    int count = CPU_COUNT(&allowed);
    return count < 1 ? 1 : count > BNR_MAX_THREADS ? BNR_MAX_THREADS : count;
}

struct chunks {
    size_t n, grain;
    void (*fn)(void *cx, size_t begin, size_t end);
    void *cx;
};

static void run_chunk(void *context, size_t index) {
    const struct chunks *c = context;
    size_t begin = index * c->grain;
    size_t end = c->n - begin < c->grain ? c->n : begin + c->grain;
    c->fn(c->cx, begin, end);
}

void bnr__parallel_for(struct bnr_pool *pool, size_t n, size_t grain,
                       void (*fn)(void *cx, size_t begin, size_t end), void *cx) {
    if (n == 0)
        return;
    struct chunks c = {.n = n, .grain = grain ? grain : 1, .fn = fn, .cx = cx};
    size_t count = n / c.grain + (n % c.grain != 0);
    const pthreadpool_t workers = pool && count > 1 ? workers_of(pool) : NULL;
    if (!workers) {
        for (size_t i = 0; i < count; i++)
            run_chunk(&c, i);
        return;
    }
    bool spin = atomic_load_explicit(&pool->users, memory_order_relaxed) > 0;
    pthreadpool_parallelize_1d(workers, run_chunk, &c, count,
                               spin ? 0 : PTHREADPOOL_FLAG_YIELD_WORKERS);
    if (spin)
        atomic_store_explicit(&pool->spinning, true, memory_order_release);
}

static void do_nothing(void *cx, size_t i) {
    (void)cx, (void)i;
}

void bnr__pool_begin(struct bnr_pool *pool) {
    if (pool)
        atomic_fetch_add_explicit(&pool->users, 1, memory_order_relaxed);
}

// Workers that spin learn only from another loop that they should sleep; two items are the fewest
// that pthreadpool hands to its workers at all.
void bnr__pool_end(struct bnr_pool *pool) {
    if (!pool || atomic_fetch_sub_explicit(&pool->users, 1, memory_order_acq_rel) != 1)
        return;
    if (atomic_exchange_explicit(&pool->spinning, false, memory_order_acq_rel))
        pthreadpool_parallelize_1d(workers_of(pool), do_nothing, NULL, 2,
                                   PTHREADPOOL_FLAG_YIELD_WORKERS);
}
