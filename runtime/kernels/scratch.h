// SPDX-License-Identifier: Apache-2.0
// Working memory of parallel tasks: as many equal slots as threads may be at work, each claimed by
// a task while it runs. Which slot a task gets does not matter to its result.
#ifndef BNR_KERNELS_SCRATCH_H
#define BNR_KERNELS_SCRATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { BNR_SLOTS_MAX = 64 };

struct bnr_slots {
    char *base;  // 64-byte aligned
    size_t size; // of a slot, a multiple of 64
    int count;   // 1 .. BNR_SLOTS_MAX
    atomic_flag taken[BNR_SLOTS_MAX];
};

// Slots for `threads` threads.
int bnr__slots_count(int threads);
// The sizes of a slot of a + b floats and of `count` of them; false when one overflows.
bool bnr__slots_bytes(int count, size_t a, size_t b, size_t *slot, size_t *all);

void bnr__slots_init(struct bnr_slots *s, void *base, size_t size, int count);

// Takes a free slot; waits where more tasks than slots run.
void *bnr__slots_take(struct bnr_slots *s);
void bnr__slots_give(struct bnr_slots *s, void *slot);

#endif
