// SPDX-License-Identifier: Apache-2.0
#include "graph/names.h"

#include <stdatomic.h>

struct bnr_names {
    atomic_int refs;
    const struct bnr_allocator *allocator;
    struct bnr_names *base;
    struct bnr_arena arena;
    struct bnr_map map; // string -> itself
};

struct bnr_names *bnr__names_new(const struct bnr_allocator *a, struct bnr_names *base) {
    struct bnr_names *names = bnr__calloc(a, 1, sizeof *names);
    if (!names)
        return NULL;
    atomic_init(&names->refs, 1);
    names->allocator = a;
    bnr__arena_init(&names->arena, a);
    bnr__map_init(&names->map, &names->arena);
    if (base)
        atomic_fetch_add_explicit(&base->refs, 1, memory_order_relaxed);
    names->base = base;
    return names;
}

void bnr__names_unref(struct bnr_names *names) {
    while (names && atomic_fetch_sub_explicit(&names->refs, 1, memory_order_acq_rel) == 1) {
        struct bnr_names *base = names->base;
        bnr__arena_free(&names->arena);
        bnr__free(names->allocator, names, sizeof *names);
        names = base;
    }
}

const char *bnr__names_find(const struct bnr_names *names, const char *s, uint64_t hash) {
    const char *found = NULL;
    for (; names && !found; names = names->base)
        found = bnr__map_find(&names->map, s, hash);
    return found;
}

const char *bnr__names_add(struct bnr_names *names, const char *s, uint64_t hash) {
    char *copy = bnr__arena_strdup(&names->arena, s);
    return copy && bnr__map_put(&names->map, copy, hash, copy) ? copy : NULL;
}

bool bnr__names_reserve(struct bnr_names *names, size_t more) {
    return bnr__map_reserve(&names->map, names->map.count + more);
}
