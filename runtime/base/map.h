// SPDX-License-Identifier: Apache-2.0
// A hash map from strings to pointers, in an arena. Iteration order is insertion order.
#ifndef BNR_BASE_MAP_H
#define BNR_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/alloc.h"

struct bnr_map_entry {
    const char *key; // not copied: must outlive the map
    void *value;
    uint64_t hash;
};

struct bnr_map {
    struct bnr_arena *arena;
    struct bnr_map_entry *entries; // in insertion order; value NULL = removed
    size_t count, capacity;
    uint32_t *slots; // entry index + 1, 0 = empty
    size_t n_slots;
};

void bnr__map_init(struct bnr_map *map, struct bnr_arena *arena);
// Of a key that several maps are asked for.
uint64_t bnr__map_hash(const char *key);
void *bnr__map_find(const struct bnr_map *map, const char *key, uint64_t hash); // NULL when absent
// Adds or replaces; value NULL removes. False when out of memory.
bool bnr__map_put(struct bnr_map *map, const char *key, uint64_t hash, void *value);

static inline void *bnr__map_get(const struct bnr_map *map, const char *key) {
    return map->count ? bnr__map_find(map, key, bnr__map_hash(key)) : NULL;
}
static inline bool bnr__map_set(struct bnr_map *map, const char *key, void *value) {
    return bnr__map_put(map, key, bnr__map_hash(key), value);
}

// What `from` holds, into an empty map; keys and values are the same pointers. False when out of
// memory.
bool bnr__map_copy(struct bnr_map *map, const struct bnr_map *from);

// Room for so many entries in all, so that adding them copies nothing.
bool bnr__map_reserve(struct bnr_map *map, size_t count);

uint64_t bnr__hash_bytes(const void *data, size_t size, uint64_t seed);

#endif
