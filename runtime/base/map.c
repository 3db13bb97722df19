// SPDX-License-Identifier: Apache-2.0
// Open addressing over an insertion-ordered entry array. Lookups hash with FNV-1a finished by a mixer.
#include "runtime/base/map.h"

#include <string.h>

static uint64_t add_word(uint64_t h, const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

uint64_t bnr__hash_bytes(const void *data, size_t size, uint64_t seed) {
    const unsigned char *p = data, *end = p + size;
    uint64_t h = 14695981039346656037u ^ seed ^ size;
    for (; end - p >= 8; p += 8)
        h = add_word(h, p);
    if (size >= 8 && p < end) {
        h = add_word(h, end - 8); // again some of the word before
        p = end;
    }
    for (; p < end; p++)
        h = (h ^ *p) * 1099511628211u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

void bnr__map_init(struct bnr_map *map, struct bnr_arena *arena) {
    *map = (struct bnr_map){.arena = arena};
}

// The slot that holds `key`, or the free slot where it would go. The table always has free slots.
static size_t find_slot(const struct bnr_map *map, const char *key, uint64_t hash) {
    size_t mask = map->n_slots - 1, i = (size_t)hash & mask;
    for (; map->slots[i]; i = (i + 1) & mask) {
        const struct bnr_map_entry *e = &map->entries[map->slots[i] - 1];
        if (e->hash == hash && strcmp(e->key, key) == 0)
            break;
    }
    return i;
}

uint64_t bnr__map_hash(const char *key) {
    return bnr__hash_bytes(key, strlen(key), 0);
}

void *bnr__map_find(const struct bnr_map *map, const char *key, uint64_t hash) {
    if (!map->n_slots)
        return NULL;
    size_t slot = find_slot(map, key, hash);
    return map->slots[slot] ? map->entries[map->slots[slot] - 1].value : NULL;
}

static bool rehash(struct bnr_map *map, size_t n_slots) {
    uint32_t *slots = BNR_NEW_ARRAY(map->arena, n_slots, uint32_t);
    if (!slots)
        return false;
    map->slots = slots;
    map->n_slots = n_slots;
    for (size_t i = 0; i < map->count; i++)
        slots[find_slot(map, map->entries[i].key, map->entries[i].hash)] = (uint32_t)(i + 1);
    return true;
}

bool bnr__map_reserve(struct bnr_map *map, size_t count) {
    size_t n_slots = 16;
    if (count <= map->capacity)
        return true;
    if (count / 2 < map->capacity)
        count = map->capacity * 2; // so that many small requests copy little
    if (count >= UINT32_MAX / 4)
        return false;
    struct bnr_map_entry *entries = BNR_NEW_ARRAY(map->arena, count, struct bnr_map_entry);
    if (!entries)
        return false;
    if (map->count)
        memcpy(entries, map->entries, map->count * sizeof *entries);
    map->entries = entries;
    map->capacity = count;
    while (n_slots <= count * 2)
        n_slots *= 2;
    return n_slots <= map->n_slots || rehash(map, n_slots);
}

bool bnr__map_put(struct bnr_map *map, const char *key, uint64_t hash, void *value) {
    size_t slot = 0;
    if (map->n_slots) {
        slot = find_slot(map, key, hash);
        if (map->slots[slot]) {
            struct bnr_map_entry *e = &map->entries[map->slots[slot] - 1];
            e->key = key;
            e->value = value;
            return true;
        }
    }
    if (!value)
        return true;
    if (map->count >= UINT32_MAX / 4)
        return false;
    if (map->count * 2 >= map->n_slots) {
        if (!rehash(map, map->n_slots ? map->n_slots * 2 : 16))
            return false;
        slot = find_slot(map, key, hash);
    }
    struct bnr_map_entry *entries =
        bnr__arena_grow(map->arena, map->entries, map->count, &map->capacity, sizeof *entries);
    if (!entries)
        return false;
    map->entries = entries;
    entries[map->count] = (struct bnr_map_entry){key, value, hash};
    map->slots[slot] = (uint32_t)++map->count;
    return true;
}

bool bnr__map_copy(struct bnr_map *map, const struct bnr_map *from) {
    map->entries = BNR_NEW_ARRAY(map->arena, from->capacity, struct bnr_map_entry);
    map->slots = BNR_NEW_ARRAY(map->arena, from->n_slots, uint32_t);
    if (!map->entries || !map->slots)
        return false;
    if (from->count > 0)
        memcpy(map->entries, from->entries, from->count * sizeof *map->entries);
    if (from->n_slots > 0)
        memcpy(map->slots, from->slots, from->n_slots * sizeof *map->slots);
    map->count = from->count;
    map->capacity = from->capacity;
    map->n_slots = from->n_slots;
    return true;
}
