// SPDX-License-Identifier: Apache-2.0
// An allocator that counts live bytes and can fail the k-th allocation, for "every allocation may fail"
// tests: run with fail_at = 0, 1, 2, ... until the code under test succeeds; live must return to 0.
#ifndef BNR_TESTS_FAULT_ALLOC_H
#define BNR_TESTS_FAULT_ALLOC_H

#include <stdatomic.h>
#include <stddef.h>

#include "runtime/bnrun.h"

struct fault_alloc {
    struct bnr_allocator allocator; // hand out &f.allocator
    atomic_long calls;              // allocations and growths so far
    atomic_long fail_at;            // the call to fail, counting from 0; < 0: never
    atomic_long live_blocks;
    atomic_llong live_bytes, peak_bytes;
};

// The struct must not move while its allocator is in use.
void fault_alloc_init(struct fault_alloc *f, long fail_at);

#endif
