// SPDX-License-Identifier: Apache-2.0
// Threads. The result of parallel work must not depend on how many threads there are.
#ifndef BNR_BASE_POOL_H
#define BNR_BASE_POOL_H

#include <stddef.h>

#include "runtime/base/status.h"

struct bnr_pool;

// threads: including the caller. threads <= 1 gives NULL with BNR_OK, which means serial everywhere.
enum bnr_status bnr__pool_new(struct bnr_pool **out, int threads, struct bnr_error *err);
void bnr__pool_free(struct bnr_pool *pool);
int bnr__pool_threads(const struct bnr_pool *pool); // 1 for NULL

// Equal to: for (begin = 0; begin < n; begin += grain) fn(cx, begin, min(begin + grain, n));
// in any order, some calls at once. grain 0 counts as 1. Chunk borders depend on n and grain only.
// Callers on several threads take turns.
void bnr__parallel_for(struct bnr_pool *pool, size_t n, size_t grain,
                       void (*fn)(void *cx, size_t begin, size_t end), void *cx);

#endif
