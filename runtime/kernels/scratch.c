// SPDX-License-Identifier: Apache-2.0
// Scratch slots: a flag each.
#include "runtime/kernels/scratch.h"

#include <sched.h>

#include "runtime/base/checked.h"

int bnr__slots_count(int threads) {
    return threads < 1 ? 1 : threads > BNR_SLOTS_MAX ? BNR_SLOTS_MAX : threads;
}

bool bnr__slots_bytes(int count, size_t a, size_t b, size_t *slot, size_t *all) {
    size_t n;
    if (!bnr__size_add(a, b, &n) || !bnr__size_mul(n, sizeof(float), &n) ||
        !bnr__size_add(n, 63, &n))
        return false;
    *slot = n / 64 * 64;
    return bnr__size_mul(*slot, (size_t)count, all);
}

void bnr__slots_init(struct bnr_slots *s, void *base, size_t size, int count) {
    s->base = base;
    s->size = size;
    s->count = count;
    for (int i = 0; i < count; i++)
        atomic_flag_clear(&s->taken[i]);
}

void *bnr__slots_take(struct bnr_slots *s) {
    for (;;) {
        for (int i = 0; i < s->count; i++) {
            if (!atomic_flag_test_and_set_explicit(&s->taken[i], memory_order_acquire))
                return s->base + (size_t)i * s->size;
        }
        sched_yield();
    }
}

void bnr__slots_give(struct bnr_slots *s, void *slot) {
    const size_t i = (size_t)((char *)slot - s->base) / s->size;
    atomic_flag_clear_explicit(&s->taken[i], memory_order_release);
}
