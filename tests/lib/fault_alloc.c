// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/fault_alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The size is kept in front of each block, so that wrong old_size arguments are caught.
struct header {
    size_t size;
    uint64_t magic;
};
static const uint64_t magic = 0x600dA110C8ed6e55u;

static void *fault_reallocate(void *user, void *ptr, size_t old_size, size_t new_size) {
    struct fault_alloc *f = user;
    struct header *h = ptr ? (struct header *)ptr - 1 : NULL;
    if (h && (h->magic != magic || h->size != old_size))
        abort(); // the code under test passed a wrong pointer or size
    if (new_size) {
        long call = atomic_fetch_add(&f->calls, 1);
        if (call == atomic_load(&f->fail_at))
            return NULL;
    } else if (h) {
        h->magic = 0;
        free(h);
        atomic_fetch_sub(&f->live_blocks, 1);
        atomic_fetch_sub(&f->live_bytes, (long long)old_size);
        return NULL;
    } else {
        return NULL;
    }
    struct header *grown = malloc(sizeof *grown + new_size);
    if (!grown)
        return NULL;
    *grown = (struct header){new_size, magic};
    if (h) {
        memcpy(grown + 1, ptr, old_size < new_size ? old_size : new_size);
        h->magic = 0;
        free(h);
    } else {
        atomic_fetch_add(&f->live_blocks, 1);
    }
    long long live = atomic_fetch_add(&f->live_bytes, (long long)new_size - (long long)old_size) +
                     (long long)new_size - (long long)old_size;
    if (live > atomic_load(&f->peak_bytes))
        atomic_store(&f->peak_bytes, live);
    return grown + 1;
}

void fault_alloc_init(struct fault_alloc *f, long fail_at) {
    memset(f, 0, sizeof *f);
    f->allocator.reallocate = fault_reallocate;
    f->allocator.user = f;
    atomic_init(&f->fail_at, fail_at);
}
