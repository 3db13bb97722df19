// SPDX-License-Identifier: Apache-2.0
// Memory: one caller-supplied allocator, and arenas on it whose contents are freed in one call.
#ifndef BNR_BASE_ALLOC_H
#define BNR_BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

#include "runtime/base/compiler.h"
#include "runtime/bnrun.h"

// The C library's allocator, used where the caller gives none.
extern const struct bnr_allocator bnr__libc_allocator;

// `a` may be NULL for the C library's. Size 0 gives a valid unique pointer. NULL when out of memory.
void *bnr__malloc(const struct bnr_allocator *a, size_t size);
void *bnr__calloc(const struct bnr_allocator *a, size_t count, size_t size); // checks the product
void *bnr__realloc(const struct bnr_allocator *a, void *ptr, size_t old_size, size_t new_size);
void bnr__free(const struct bnr_allocator *a, void *ptr, size_t size);

// Memory for tensor data: BNR_TENSOR_ALIGN-aligned, with BNR_TENSOR_PAD readable bytes behind `size`.
// Not initialized.
void *bnr__malloc_tensor(const struct bnr_allocator *a, size_t size);
void bnr__free_tensor(const struct bnr_allocator *a, void *ptr, size_t size);
// Of such memory, nothing of which was written so far, only the first `used` bytes soon will be.
void bnr__trim_tensor(const struct bnr_allocator *a, void *ptr, size_t size, size_t used);

// A bump allocator. Zero-initialize, or bnr__arena_init(). Single-threaded.
struct bnr_arena {
    const struct bnr_allocator *allocator;
    struct bnr_arena_block *head;
    size_t used; // bytes handed out, for reports
};

void bnr__arena_init(struct bnr_arena *arena, const struct bnr_allocator *a);
void bnr__arena_free(struct bnr_arena *arena); // everything in it; the arena can be used again
// Keeps the largest block for reuse, so that a loop of fill-and-reset allocates nothing.
void bnr__arena_reset(struct bnr_arena *arena);

// Zeroed, aligned for any type. NULL when out of memory or when count * size overflows.
void *bnr__arena_alloc(struct bnr_arena *arena, size_t size);
void *bnr__arena_array(struct bnr_arena *arena, size_t count, size_t size);
void *bnr__arena_aligned(struct bnr_arena *arena, size_t size, size_t align); // power of two
char *bnr__arena_strndup(struct bnr_arena *arena, const char *s, size_t n);
char *bnr__arena_strdup(struct bnr_arena *arena, const char *s);
char *bnr__arena_printf(struct bnr_arena *arena, const char *fmt, ...) BNR_PRINTF(2, 3);
// Grows an array that is `count` long when it is full: capacity doubles. Returns the (moved) array or
// NULL. `capacity` is updated. Old copies stay in the arena until it is freed.
void *bnr__arena_grow(struct bnr_arena *arena, void *array, size_t count, size_t *capacity,
                      size_t elem_size);

#define BNR_NEW(arena, type) ((type *)bnr__arena_alloc(arena, sizeof(type)))
#define BNR_NEW_ARRAY(arena, count, type) ((type *)bnr__arena_array(arena, count, sizeof(type)))

#endif
