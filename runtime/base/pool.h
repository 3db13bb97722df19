// SPDX-License-Identifier: Apache-2.0
// Threads. The result of parallel work must not depend on how many threads there are.
#ifndef BNR_BASE_POOL_H
#define BNR_BASE_POOL_H

#include <stddef.h>

#include "runtime/base/status.h"

enum { BNR_MAX_THREADS = 1024 };

struct bnr_pool;

// threads: including the caller, at most BNR_MAX_THREADS (BNR_INVALID). threads <= 1 gives NULL
// with BNR_OK, which means serial everywhere. Workers start with the first loop that needs them; where
// they cannot, loops are serial.
enum bnr_status bnr__pool_new(struct bnr_pool **out, int threads, struct bnr_error *err);
void bnr__pool_free(struct bnr_pool *pool);
int bnr__pool_threads(const struct bnr_pool *pool); // 1 for NULL
int bnr__pool_cores(void);                          // that this process may use; at least 1

// Equal to: for (begin = 0; begin < n; begin += grain) fn(cx, begin, min(begin + grain, n));
// in any order, some calls at once. grain 0 counts as 1. Chunk borders depend on n and grain only.
// Callers on several threads take turns; fn must not call this for the same pool.
void bnr__parallel_for(struct bnr_pool *pool, size_t n, size_t grain,
                       void (*fn)(void *cx, size_t begin, size_t end), void *cx);

// Brackets around work that has many parallel parts close together. Between them workers wait for
// the next part by spinning for a while, which saves waking them; after the last bnr__pool_end of
// all callers they sleep, so that an idle pool costs nothing. Outside of brackets workers always
// sleep.
void bnr__pool_begin(struct bnr_pool *pool);
void bnr__pool_end(struct bnr_pool *pool);

#endif
