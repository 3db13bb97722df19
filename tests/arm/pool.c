// SPDX-License-Identifier: Apache-2.0
// The thread pool's interface without threads: what runs in the emulator needs no pthreadpool.
#include "runtime/base/pool.h"

enum bnr_status bnr__pool_new(struct bnr_pool **out, int threads, struct bnr_error *err) {
    (void)threads, (void)err;
    *out = NULL;
    return BNR_OK;
}

void bnr__pool_free(struct bnr_pool *pool) {
    (void)pool;
}

int bnr__pool_threads(const struct bnr_pool *pool) {
    (void)pool;
    return 1;
}

int bnr__pool_cores(void) {
    return 1;
}

void bnr__parallel_for(struct bnr_pool *pool, size_t n, size_t grain,
                       void (*fn)(void *cx, size_t begin, size_t end), void *cx) {
    (void)pool;
    grain = grain ? grain : 1;
    for (size_t begin = 0; begin < n; begin += grain)
        fn(cx, begin, n - begin < grain ? n : begin + grain);
}
