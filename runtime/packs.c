// SPDX-License-Identifier: Apache-2.0
#include "runtime/packs.h"

#include <string.h>

#include "proto/onnx_file.h"

struct bnr_pack {
    struct bnr_tensor
        *source; // a reference, so that no other tensor gets its address; NULL: forgotten
    const char *key;
    uint64_t variant, hash;
    void *data;
    size_t size;
};

enum { FIRST_SLOTS = 64 };

void bnr__packs_init(struct bnr_packs *packs, const struct bnr_allocator *a) {
    *packs = (struct bnr_packs){.count = 0};
    bnr__arena_init(&packs->arena, a);
}

void bnr__packs_free(struct bnr_packs *packs) {
    for (size_t i = 0; i < packs->n_slots; i++) {
        if (!packs->slots[i])
            continue;
        bnr__free_tensor(packs->arena.allocator, packs->slots[i]->data, packs->slots[i]->size);
        bnr__tensor_unref(packs->slots[i]->source);
    }
    bnr__arena_free(&packs->arena);
}

void bnr__packs_forget(struct bnr_packs *packs, const struct bnr_tensor *t) {
    for (size_t i = 0; i < packs->n_slots; i++) {
        struct bnr_pack *p = packs->slots[i];
        if (!p || p->source != t)
            continue;
        bnr__tensor_unref(p->source);
        p->source = NULL;
    }
}

static uint64_t hash_of(const struct bnr_tensor *t, const char *key, uint64_t variant) {
    const uint64_t parts[2] = {(uint64_t)(uintptr_t)t, variant};
    return bnr__hash_bytes(key, strlen(key), bnr__hash_bytes(parts, sizeof parts, 0));
}

// The place of this pack, or the empty place where it belongs; t NULL: an empty place in any case.
static struct bnr_pack **find(const struct bnr_packs *packs, const struct bnr_tensor *t,
                              const char *key, uint64_t variant, uint64_t hash) {
    size_t i = (size_t)hash & (packs->n_slots - 1);
    for (;; i = (i + 1) & (packs->n_slots - 1)) {
        const struct bnr_pack *p = packs->slots[i];
        if (!p || (t && p->source == t && p->variant == variant && strcmp(p->key, key) == 0))
            return &packs->slots[i];
    }
}

// Room for one more entry, at most half of the slots in use.
static bool make_room(struct bnr_packs *packs) {
    if (packs->count * 2 < packs->n_slots)
        return true;
    struct bnr_pack **old = packs->slots;
    const size_t n_old = packs->n_slots, grown = n_old ? n_old * 2 : FIRST_SLOTS;
    struct bnr_pack **slots = BNR_NEW_ARRAY(&packs->arena, grown, struct bnr_pack *);
    if (!slots)
        return false;
    packs->slots = slots;
    packs->n_slots = grown;
    for (size_t i = 0; i < n_old; i++)
        if (old[i])
            *find(packs, old[i]->source, old[i]->key, old[i]->variant, old[i]->hash) = old[i];
    return true;
}

const void *bnr__pack_get(struct bnr_prepare *cx, struct bnr_tensor *t, const char *key,
                          uint64_t variant, size_t size,
                          void (*pack)(void *dst, const struct bnr_tensor *t, void *arg),
                          void *arg) {
    struct bnr_packs *packs = cx->packs;
    if (packs->n_asked < BNR_MAX_ASKED)
        packs->asked[packs->n_asked++] = t;
    if (!make_room(packs))
        return NULL;
    const uint64_t hash = hash_of(t, key, variant);
    struct bnr_pack **place = find(packs, t, key, variant, hash);
    if (*place)
        return (*place)->data;
    struct bnr_pack *p = BNR_NEW(&packs->arena, struct bnr_pack);
    if (!p)
        return NULL;
    *p = (struct bnr_pack){.key = key, .variant = variant, .hash = hash, .size = size};
    p->data = bnr__malloc_tensor(packs->arena.allocator, size);
    if (!p->data)
        return NULL;
    pack(p->data, t, arg);
    bnr__tensor_drop_pages(t);
    p->source = bnr__tensor_ref(t);
    packs->bytes += size;
    packs->count++;
    return (*place = p)->data;
}
