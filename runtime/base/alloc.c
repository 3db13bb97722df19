// SPDX-License-Identifier: Apache-2.0
// The C library's allocator as a struct bnr_allocator, tensor buffers, and arenas.
#include "runtime/base/alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "runtime/base/checked.h"

static void *libc_reallocate(void *user, void *ptr, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

const struct bnr_allocator bnr__libc_allocator = {libc_reallocate, NULL};

static const struct bnr_allocator *or_libc(const struct bnr_allocator *a) {
    return a ? a : &bnr__libc_allocator;
}

// Size 0 would mean "free" to the allocator.
static size_t at_least_one(size_t size) {
    return size ? size : 1;
}

void *bnr__malloc(const struct bnr_allocator *a, size_t size) {
    a = or_libc(a);
    return a->reallocate(a->user, NULL, 0, at_least_one(size));
}

void *bnr__calloc(const struct bnr_allocator *a, size_t count, size_t size) {
    size_t total;
    if (!bnr__size_mul(count, size, &total))
        return NULL;
    void *p = bnr__malloc(a, total);
    if (p)
        memset(p, 0, at_least_one(total));
    return p;
}

void *bnr__realloc(const struct bnr_allocator *a, void *ptr, size_t old_size, size_t new_size) {
    a = or_libc(a);
    return a->reallocate(a->user, ptr, ptr ? at_least_one(old_size) : 0, at_least_one(new_size));
}

void bnr__free(const struct bnr_allocator *a, void *ptr, size_t size) {
    a = or_libc(a);
    if (ptr)
        a->reallocate(a->user, ptr, at_least_one(size), 0);
}

// ---- tensors --------------------------------------------------------------------------------------

#if defined(__linux__) && defined(MADV_HUGEPAGE) && !defined(BNR_SANITIZED)
enum { PAGE = 4096, LARGE_PAGE = 2 << 20, WORTH_MAPPING = 1 << 20, BLOCK_WORTH_MAPPING = 1 << 16 };

// Large blocks of the C library's allocator are mapped: with large pages, that begin where the block does,
// touching them from end to end costs a fraction of the faults. A last page that is used for the most part is
// a large one, too.
static bool is_mapped(const struct bnr_allocator *a, size_t size) {
    return or_libc(a) == &bnr__libc_allocator && size >= WORTH_MAPPING && size < SIZE_MAX / 2;
}

static size_t mapped_size(size_t size) {
    const size_t total = size + BNR_TENSOR_PAD, rest = total % LARGE_PAGE;
    const size_t page = rest >= LARGE_PAGE * 3 / 4 ? LARGE_PAGE : PAGE;
    return (total + page - 1) / page * page;
}

// Larger blocks of arenas are mapped too: what is freed is the system's again, wherever it lies
// between what stays, and what is fresh is zero already.
static bool is_mapped_block(const struct bnr_allocator *a, size_t size) {
    return or_libc(a) == &bnr__libc_allocator && size >= BLOCK_WORTH_MAPPING;
}

static void *map_tensor(size_t size) {
    const size_t total = mapped_size(size), room = total + LARGE_PAGE;
    unsigned char *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    const size_t skip = (size_t)(-(uintptr_t)p & (LARGE_PAGE - 1));
    if (skip > 0)
        munmap(p, skip);
    munmap(p + skip + total, room - skip - total);
    if (total >= LARGE_PAGE)
        madvise(p + skip, total / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
    return p + skip;
}

static void unmap_tensor(void *ptr, size_t size) {
    munmap(ptr, mapped_size(size));
}

static void *map_block(size_t size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void unmap_block(void *ptr, size_t size) {
    munmap(ptr, size);
}

// The next pages of a mapped block, in one call where the system can: a fault for each takes twice
// as long.
static size_t touch_block(void *block, size_t touched, size_t needed, size_t size) {
    enum { STEP = 16 * PAGE };
    needed = (needed + STEP - 1) / STEP * STEP;
    if (needed > size)
        needed = size;
#if defined(MADV_POPULATE_WRITE)
    madvise((unsigned char *)block + touched, needed - touched, MADV_POPULATE_WRITE);
#else
    (void)block, (void)touched;
#endif
    return needed;
}

static void trim_tensor(void *ptr, size_t size, size_t used) {
    const size_t total = mapped_size(size) / LARGE_PAGE * LARGE_PAGE;
    const size_t large = mapped_size(used) / LARGE_PAGE * LARGE_PAGE;
    if (large < total)
        madvise((unsigned char *)ptr + large, total - large, MADV_NOHUGEPAGE);
}
#else
static bool is_mapped(const struct bnr_allocator *a, size_t size) {
    return (void)a, (void)size, false;
}
static bool is_mapped_block(const struct bnr_allocator *a, size_t size) {
    return (void)a, (void)size, false;
}
static void *map_tensor(size_t size) {
    return (void)size, NULL;
}
static void unmap_tensor(void *ptr, size_t size) {
    (void)ptr, (void)size;
}
static void trim_tensor(void *ptr, size_t size, size_t used) {
    (void)ptr, (void)size, (void)used;
}
static void *map_block(size_t size) {
    return (void)size, NULL;
}
static void unmap_block(void *ptr, size_t size) {
    (void)ptr, (void)size;
}
static size_t touch_block(void *block, size_t touched, size_t needed, size_t size) {
    return (void)block, (void)touched, (void)needed, size;
}
#endif

// A tensor block is [shift bytes][data][pad]; the byte in front of the data holds the shift, 1..ALIGN.
static bool tensor_block_size(size_t size, size_t *total) {
    return bnr__size_add(size, BNR_TENSOR_ALIGN + BNR_TENSOR_PAD, total);
}

void *bnr__malloc_tensor(const struct bnr_allocator *a, size_t size) {
    size_t total;
    if (!tensor_block_size(size, &total))
        return NULL;
    if (is_mapped(a, size))
        return map_tensor(size);
    unsigned char *block = bnr__malloc(a, total);
    if (!block)
        return NULL;
    size_t shift = BNR_TENSOR_ALIGN - (uintptr_t)block % BNR_TENSOR_ALIGN;
    block[shift - 1] = (unsigned char)shift;
    memset(block + shift + size, 0, BNR_TENSOR_PAD);
    return block + shift;
}

void bnr__free_tensor(const struct bnr_allocator *a, void *ptr, size_t size) {
    if (!ptr)
        return;
    if (is_mapped(a, size)) {
        unmap_tensor(ptr, size);
        return;
    }
    unsigned char *data = ptr;
    bnr__free(a, data - data[-1], size + BNR_TENSOR_ALIGN + BNR_TENSOR_PAD);
}

void bnr__trim_tensor(const struct bnr_allocator *a, void *ptr, size_t size, size_t used) {
    if (is_mapped(a, size))
        trim_tensor(ptr, size, used);
}

// ---- arena ------------------------------------------------------------------------------------------

struct bnr_arena_block {
    struct bnr_arena_block *next;
    size_t size, used; // of the bytes behind this header
    size_t ready;      // those from `used` to here are zero and have their memory
    size_t dirty;      // so many of them may be other than zero
    size_t touched;    // so many of the block have their memory
    max_align_t data[];
};

enum { FIRST_BLOCK = 4096, LARGEST_STEP = 1 << 20, AHEAD = 1024 };

void bnr__arena_init(struct bnr_arena *arena, const struct bnr_allocator *a) {
    *arena = (struct bnr_arena){.allocator = a};
}

static struct bnr_arena_block *new_block(const struct bnr_allocator *a, size_t size) {
    size_t total;
    if (!bnr__size_add(size, sizeof(struct bnr_arena_block), &total))
        return NULL;
    const bool mapped = is_mapped_block(a, total);
    struct bnr_arena_block *b = mapped ? map_block(total) : bnr__malloc(a, total);
    if (b)
        *b = (struct bnr_arena_block){
            .size = size, .dirty = mapped ? 0 : size, .touched = mapped ? 0 : total};
    return b;
}

static void free_blocks(struct bnr_arena *arena, struct bnr_arena_block *b) {
    while (b) {
        struct bnr_arena_block *next = b->next;
        const size_t total = sizeof *b + b->size;
        if (is_mapped_block(arena->allocator, total))
            unmap_block(b, total);
        else
            bnr__free(arena->allocator, b, total);
        b = next;
    }
}

void bnr__arena_free(struct bnr_arena *arena) {
    free_blocks(arena, arena->head);
    arena->head = NULL;
    arena->used = 0;
}

void bnr__arena_reset(struct bnr_arena *arena) {
    struct bnr_arena_block *largest = arena->head;
    for (struct bnr_arena_block *b = arena->head; b; b = b->next)
        if (b->size > largest->size)
            largest = b;
    arena->used = 0;
    if (!largest)
        return;
    for (struct bnr_arena_block **link = &arena->head; *link; link = &(*link)->next)
        if (*link == largest) {
            *link = largest->next;
            break;
        }
    free_blocks(arena, arena->head);
    largest->next = NULL;
    if (largest->dirty < largest->used)
        largest->dirty = largest->used;
    largest->used = largest->ready = 0;
    arena->head = largest;
}

static struct bnr_arena_block *add_block(struct bnr_arena *arena, size_t needed) {
    size_t size = arena->head ? arena->head->size * 2 : FIRST_BLOCK;
    if (size > LARGEST_STEP)
        size = LARGEST_STEP;
    if (size < needed)
        size = needed;
    struct bnr_arena_block *b = new_block(arena->allocator, size);
    if (!b)
        return NULL;
    b->next = arena->head;
    arena->head = b;
    return b;
}

// Makes the bytes up to `end` ready, and some more, so that it is not asked for each.
static void prepare(struct bnr_arena_block *b, size_t end) {
    const size_t begin = b->ready;
    end = b->size - end > AHEAD ? end + AHEAD : b->size;
    if (sizeof *b + end > b->touched)
        b->touched = touch_block(b, b->touched, sizeof *b + end, sizeof *b + b->size);
    if (begin < b->dirty)
        memset((unsigned char *)b->data + begin, 0, (end < b->dirty ? end : b->dirty) - begin);
    b->ready = end;
}

void *bnr__arena_aligned(struct bnr_arena *arena, size_t size, size_t align) {
    size = at_least_one(size);
    for (int fresh = 0;; fresh = 1) {
        struct bnr_arena_block *b = arena->head;
        if (b) {
            unsigned char *p = (unsigned char *)b->data + b->used;
            const size_t pad = (size_t)(-(uintptr_t)p & (align - 1)), room = b->size - b->used;
            if (room >= pad && room - pad >= size) {
                const size_t end = b->used + pad + size;
                if (end > b->ready)
                    prepare(b, end);
                b->used = end;
                arena->used += size;
                return p + pad;
            }
        }
        size_t needed;
        if (fresh || !bnr__size_add(size, align, &needed) || !add_block(arena, needed))
            return NULL;
    }
}

void *bnr__arena_alloc(struct bnr_arena *arena, size_t size) {
    return bnr__arena_aligned(arena, size, _Alignof(max_align_t));
}

void *bnr__arena_array(struct bnr_arena *arena, size_t count, size_t size) {
    size_t total;
    return bnr__size_mul(count, size, &total) ? bnr__arena_alloc(arena, total) : NULL;
}

char *bnr__arena_strndup(struct bnr_arena *arena, const char *s, size_t n) {
    size_t total;
    if (!bnr__size_add(n, 1, &total))
        return NULL;
    char *copy = bnr__arena_aligned(arena, total, 1);
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

char *bnr__arena_strdup(struct bnr_arena *arena, const char *s) {
    return bnr__arena_strndup(arena, s, strlen(s));
}

char *bnr__arena_printf(struct bnr_arena *arena, const char *fmt, ...) {
    char few[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(few, sizeof few, fmt, args);
    va_end(args);
    if (n < 0)
        return NULL;
    if ((size_t)n < sizeof few)
        return bnr__arena_strndup(arena, few, (size_t)n);
    char *s = bnr__arena_aligned(arena, (size_t)n + 1, 1);
    if (s) {
        va_start(args, fmt);
        vsnprintf(s, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    return s;
}

void *bnr__arena_grow(struct bnr_arena *arena, void *array, size_t count, size_t *capacity,
                      size_t elem_size) {
    if (count < *capacity)
        return array;
    size_t grown = *capacity ? *capacity : 4;
    if (*capacity && !bnr__size_mul(*capacity, 2, &grown))
        return NULL;
    void *p = bnr__arena_array(arena, grown, elem_size);
    if (!p)
        return NULL;
    if (count)
        memcpy(p, array, count * elem_size);
    *capacity = grown;
    return p;
}
