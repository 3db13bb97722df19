// SPDX-License-Identifier: Apache-2.0
#include "runtime/packs.h"

#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/map.h"
#include "runtime/base/pool.h"

struct bnr_pack {
    struct bnr_tensor *source; // a reference, so that no other tensor gets its address
    const char *key;
    uint64_t variant, hash;
    const void *data;
    size_t size;
};

// Packs lie behind each other in few large blocks, which have large pages.
struct bnr_slab {
    struct bnr_slab *next;
    size_t size, used;
    unsigned char *data;
};

enum {
    FIRST_SLOTS = 64,
    FIRST_SLAB = 1 << 16,
    LARGE_PAGE = 2 << 20,
    LARGEST_SLAB = 32 << 20,
    WORTH_SHARING = 1 << 17, // bytes of a constant that several threads pack
};

void bnr__packs_init(struct bnr_packs *packs, const struct bnr_allocator *a) {
    *packs = (struct bnr_packs){.count = 0};
    bnr__arena_init(&packs->arena, a);
}

void bnr__packs_free(struct bnr_packs *packs) {
    bnr__packs_rest(packs);
    for (size_t i = 0; i < packs->n_slots; i++)
        if (packs->slots[i])
            bnr__tensor_unref(packs->slots[i]->source);
    for (struct bnr_slab *s = packs->slabs; s; s = s->next)
        bnr__free_tensor(packs->arena.allocator, s->data, s->size);
    bnr__arena_free(&packs->arena);
}

// ---- the table ----------------------------------------------------------------------------------

static uint64_t hash_of(const struct bnr_tensor *t, const char *key, uint64_t variant) {
    const uint64_t parts[2] = {(uint64_t)(uintptr_t)t, variant};
    return bnr__hash_bytes(key, strlen(key), bnr__hash_bytes(parts, sizeof parts, 0));
}

// The place of this pack, or the empty place where it belongs; t NULL: an empty place in any case.
static struct bnr_pack **find(const struct bnr_packs *packs, const struct bnr_tensor *t,
                              const char *key, uint64_t variant, size_t size, uint64_t hash) {
    size_t i = (size_t)hash & (packs->n_slots - 1);
    for (;; i = (i + 1) & (packs->n_slots - 1)) {
        const struct bnr_pack *p = packs->slots[i];
        if (!p || (t && p->source == t && p->variant == variant && p->size == size &&
                   strcmp(p->key, key) == 0))
            return &packs->slots[i];
    }
}

// The entries again, in a table of n_slots.
static bool rehash(struct bnr_packs *packs, size_t n_slots) {
    struct bnr_pack **old = packs->slots;
    const size_t n_old = packs->n_slots;
    struct bnr_pack **slots = BNR_NEW_ARRAY(&packs->arena, n_slots, struct bnr_pack *);
    if (!slots)
        return false;
    packs->slots = slots;
    packs->n_slots = n_slots;
    for (size_t i = 0; i < n_old; i++)
        if (old[i])
            *find(packs, NULL, "", 0, 0, old[i]->hash) = old[i];
    return true;
}

// Room for one more entry, at most half of the slots in use.
static bool make_room(struct bnr_packs *packs) {
    if (packs->count * 2 < packs->n_slots)
        return true;
    return rehash(packs, packs->n_slots ? packs->n_slots * 2 : FIRST_SLOTS);
}

enum bnr_status bnr__packs_replace(struct bnr_packs *packs, const struct bnr_tensor *old,
                                   struct bnr_tensor *t) {
    bool any = false;
    for (size_t i = 0; i < packs->n_slots; i++) {
        struct bnr_pack *p = packs->slots[i];
        if (!p || p->source != old)
            continue;
        bnr__tensor_unref(p->source);
        p->source = bnr__tensor_ref(t);
        p->hash = hash_of(t, p->key, p->variant);
        any = true;
    }
    return !any || rehash(packs, packs->n_slots) ? BNR_OK : BNR_NO_MEMORY;
}

bool bnr__packs_entry(const struct bnr_packs *packs, size_t i, struct bnr_pack_entry *entry) {
    const struct bnr_pack *p = packs->slots[i];
    if (!p)
        return false;
    *entry = (struct bnr_pack_entry){.source = p->source,
                                     .key = p->key,
                                     .variant = p->variant,
                                     .data = p->data,
                                     .size = p->size};
    return true;
}

enum bnr_status bnr__packs_adopt(struct bnr_packs *packs, const struct bnr_pack_entry *e) {
    struct bnr_pack *p = BNR_NEW(&packs->arena, struct bnr_pack);
    if (!p || !make_room(packs))
        return BNR_NO_MEMORY;
    *p = (struct bnr_pack){.key = e->key,
                           .variant = e->variant,
                           .hash = hash_of(e->source, e->key, e->variant),
                           .data = e->data,
                           .size = e->size};
    struct bnr_pack **place = find(packs, e->source, e->key, e->variant, e->size, p->hash);
    if (*place)
        return BNR_OK;
    p->source = bnr__tensor_ref(e->source);
    packs->bytes += e->size;
    packs->count++;
    *place = p;
    return BNR_OK;
}

// ---- memory -------------------------------------------------------------------------------------

static size_t round_up(size_t size) {
    return (size + BNR_TENSOR_ALIGN - 1) / BNR_TENSOR_ALIGN * BNR_TENSOR_ALIGN;
}

static struct bnr_slab *slab_new(struct bnr_packs *packs, size_t size) {
    struct bnr_slab *s = BNR_NEW(&packs->arena, struct bnr_slab);
    if (!s)
        return NULL;
    s->size = size;
    s->data = bnr__malloc_tensor(packs->arena.allocator, size);
    if (!s->data)
        return NULL;
    s->next = packs->slabs;
    return packs->slabs = s;
}

// As much as is still to come; whole large pages where that is much.
static size_t next_slab(const struct bnr_packs *packs, size_t need) {
    const struct bnr_slab *s = packs->slabs;
    size_t size = s ? s->size * 2 : FIRST_SLAB;
    if (packs->expected > packs->bytes && packs->expected - packs->bytes > size)
        size = packs->expected - packs->bytes;
    if (size > LARGEST_SLAB)
        size = LARGEST_SLAB;
    if (size < need)
        size = need;
    return size < LARGE_PAGE || size > SIZE_MAX / 2
               ? size
               : (size + BNR_TENSOR_PAD + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE - BNR_TENSOR_PAD;
}

// Memory for a pack, aligned and padded like a tensor's.
static void *allocate(struct bnr_packs *packs, size_t size) {
    size_t need;
    struct bnr_slab *s = packs->slabs;
    if (!bnr__size_add(size, BNR_TENSOR_PAD + BNR_TENSOR_ALIGN, &need))
        return NULL;
    need = round_up(size + BNR_TENSOR_PAD);
    if (!s || s->size - s->used < need) {
        s = slab_new(packs, next_slab(packs, need));
        if (!s)
            return NULL;
    }
    unsigned char *p = s->data + s->used;
    s->used += need;
    memset(p + size, 0, need - size);
    return p;
}

static bool grow_buffer(struct bnr_packs *packs, struct bnr_pack_buffer *b, size_t size) {
    if (b->size >= size)
        return true;
    bnr__free_tensor(packs->arena.allocator, b->data, b->size);
    b->data = bnr__malloc_tensor(packs->arena.allocator, size);
    b->size = b->data ? size : 0;
    return b->data != NULL;
}

static bool make_buffers(struct bnr_packs *packs, size_t lanes, size_t size) {
    if (packs->n_buffers == 0) {
        const size_t n = (size_t)bnr__pool_threads(packs->pool);
        packs->buffers = bnr__calloc(packs->arena.allocator, n, sizeof *packs->buffers);
        if (!packs->buffers)
            return false;
        packs->n_buffers = n;
    }
    for (size_t i = 0; i < lanes; i++)
        if (!grow_buffer(packs, &packs->buffers[i], size))
            return false;
    return true;
}

void bnr__packs_rest(struct bnr_packs *packs) {
    const struct bnr_allocator *a = packs->arena.allocator;
    for (size_t i = 0; i < packs->n_buffers; i++)
        bnr__free_tensor(a, packs->buffers[i].data, packs->buffers[i].size);
    bnr__free(a, packs->buffers, packs->n_buffers * sizeof *packs->buffers);
    packs->buffers = NULL;
    packs->n_buffers = 0;
}

// ---- packing ------------------------------------------------------------------------------------

// The parts of one constant, shared out in as many lanes as threads; a lane copies what cannot be
// read in place to a buffer of its own first.
struct job {
    const struct bnr_pack_format *f;
    const struct bnr_tensor *t;
    const struct bnr_pack_buffer *buffers; // NULL: read in place
    void *dst;
    size_t lanes;
};

static void pack_part(const struct job *j, size_t part, void *buffer) {
    const size_t size = bnr__dtype_size(j->t->dtype), begin = part * j->f->part_elems;
    const size_t left = j->t->numel - begin,
                 n = left < j->f->part_elems ? left : j->f->part_elems;
    if (buffer)
        bnr__tensor_copy(j->t, buffer, begin, n);
    j->f->pack(j->dst, buffer ? buffer : j->t->u8 + begin * size, part, j->f->arg);
    if (j->t->drop)
        j->t->drop(j->t, begin * size, n * size);
}

static void pack_lanes(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t lane = begin; lane < end; lane++) {
        void *buffer = j->buffers ? j->buffers[lane].data : NULL;
        const size_t first = j->f->parts * lane / j->lanes,
                     last = j->f->parts * (lane + 1) / j->lanes;
        for (size_t part = first; part < last; part++)
            pack_part(j, part, buffer);
    }
}

static bool pack_all(struct bnr_packs *packs, void *dst, const struct bnr_tensor *t,
                     const struct bnr_pack_format *f) {
    struct job j = {.f = f, .t = t, .dst = dst};
    const size_t threads = (size_t)bnr__pool_threads(packs->pool);
    j.lanes = f->parts < threads ? f->parts : threads;
    if (t->nbytes < WORTH_SHARING && j.lanes > 1)
        j.lanes = 1;
    if (!bnr__tensor_is_aligned(t)) {
        const size_t most = f->part_elems < t->numel ? f->part_elems : t->numel;
        if (!make_buffers(packs, j.lanes, most * bnr__dtype_size(t->dtype)))
            return false;
        j.buffers = packs->buffers;
    }
    bnr__parallel_for(packs->pool, j.lanes, 1, pack_lanes, &j);
    return true;
}

const void *bnr__pack_get_parts(struct bnr_prepare *cx, struct bnr_tensor *t,
                                const struct bnr_pack_format *f) {
    static const uint64_t nothing;
    struct bnr_packs *packs = cx->packs;
    if (packs->dry)
        return &nothing;
    if (packs->n_asked < BNR_MAX_ASKED)
        packs->asked[packs->n_asked++] = t;
    if (!make_room(packs))
        return NULL;
    const uint64_t hash = hash_of(t, f->key, f->variant);
    struct bnr_pack **place = find(packs, t, f->key, f->variant, f->size, hash);
    if (*place)
        return (*place)->data;
    const struct bnr_tensor *full = t;
    if (bnr__tensor_is_hollow(t))
        full = packs->restore ? packs->restore(packs->user, t) : NULL;
    struct bnr_pack *p = BNR_NEW(&packs->arena, struct bnr_pack);
    if (!p || !full)
        return NULL;
    void *data = allocate(packs, f->size);
    if (!data || !pack_all(packs, data, full, f))
        return NULL;
    *p = (struct bnr_pack){
        .key = f->key, .variant = f->variant, .hash = hash, .data = data, .size = f->size};
    p->source = bnr__tensor_ref(t);
    packs->bytes += f->size;
    packs->count++;
    return (*place = p)->data;
}

// ---- in one piece -------------------------------------------------------------------------------

struct whole {
    const struct bnr_tensor *t;
    void (*pack)(void *dst, const struct bnr_tensor *t, void *arg);
    void *arg;
};

static void pack_whole(void *dst, const void *src, size_t part, const void *arg) {
    const struct whole *w = arg;
    struct bnr_tensor header = {.kind = BNR_KIND_TENSOR};
    (void)part;
    bnr__tensor_set(&header, w->t->dtype, w->t->rank, w->t->dims, (void *)(uintptr_t)src);
    w->pack(dst, &header, w->arg);
}

const void *bnr__pack_get(struct bnr_prepare *cx, struct bnr_tensor *t, const char *key,
                          uint64_t variant, size_t size,
                          void (*pack)(void *dst, const struct bnr_tensor *t, void *arg),
                          void *arg) {
    const struct whole w = {.t = t, .pack = pack, .arg = arg};
    const struct bnr_pack_format f = {.key = key,
                                      .variant = variant,
                                      .size = size,
                                      .parts = 1,
                                      .part_elems = t->numel,
                                      .pack = pack_whole,
                                      .arg = &w};
    return bnr__pack_get_parts(cx, t, &f);
}
