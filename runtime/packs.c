// SPDX-License-Identifier: Apache-2.0
#include "runtime/packs.h"

#include <stdatomic.h>
#include <string.h>

#include "graph/turned.h"
#include "runtime/base/checked.h"
#include "runtime/base/map.h"
#include "runtime/base/pool.h"
#include "runtime/kernels/scratch.h"

struct bnr_pack {
    struct bnr_tensor *source; // a reference, so that no other tensor gets its address
    struct bnr_tensor *held;   // in place: a reference on who has the elements; else NULL
    const char *key;
    uint64_t variant, hash;
    const void *data;
    size_t size;
};

// A constant that is packed when the plan is made, with all others.
struct bnr_pack_job {
    struct bnr_pack *pack;
    struct bnr_pack_format format;
    struct bnr_tensor *t; // a reference; has elements
    void *dst;
    size_t first;     // number of its first part among those of all jobs
    atomic_size_t left; // parts to do
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
    LARGEST_SLAB = 32 << 20,
    WORTH_DROPPING = 1 << 20, // the pages of larger constants go part by part
    // Reading a mapped file brings what lies around to memory, too: smaller ones are packed.
    WORTH_IN_PLACE = 1 << 17,
};

void bnr__packs_init(struct bnr_packs *packs, const struct bnr_allocator *a) {
    *packs = (struct bnr_packs){.count = 0};
    bnr__arena_init(&packs->arena, a);
    bnr__arena_init(&packs->queue, a);
}

void bnr__packs_free(struct bnr_packs *packs) {
    for (size_t i = 0; i < packs->n_slots; i++)
        if (packs->slots[i]) {
            bnr__tensor_unref(packs->slots[i]->source);
            bnr__tensor_unref(packs->slots[i]->held);
        }
    for (int k = 0; k < 2; k++)
        for (struct bnr_slab *s = packs->slabs[k]; s; s = s->next)
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

static struct bnr_slab *slab_new(struct bnr_packs *packs, bool later, size_t size) {
    struct bnr_slab *s = BNR_NEW(&packs->arena, struct bnr_slab);
    if (!s)
        return NULL;
    s->size = size;
    s->data = bnr__malloc_tensor(packs->arena.allocator, size);
    if (!s->data)
        return NULL;
    s->next = packs->slabs[later];
    return packs->slabs[later] = s;
}

// For what is packed later, as much as is still to come.
static size_t next_slab(const struct bnr_packs *packs, bool later, size_t need) {
    const struct bnr_slab *s = packs->slabs[later];
    size_t size = s ? s->size * 2 : FIRST_SLAB;
    if (later && packs->expected > packs->bytes && packs->expected - packs->bytes > size)
        size = packs->expected - packs->bytes;
    if (size > LARGEST_SLAB)
        size = LARGEST_SLAB;
    return size < need ? need : size;
}

// Memory for a pack, aligned and padded like a tensor's.
static void *allocate(struct bnr_packs *packs, bool later, size_t size) {
    size_t need;
    struct bnr_slab *s = packs->slabs[later];
    if (!bnr__size_add(size, BNR_TENSOR_PAD + BNR_TENSOR_ALIGN, &need))
        return NULL;
    need = round_up(size + BNR_TENSOR_PAD);
    if (!s || s->size - s->used < need) {
        s = slab_new(packs, later, next_slab(packs, later, need));
        if (!s)
            return NULL;
    }
    unsigned char *p = s->data + s->used;
    s->used += need;
    return p;
}

static void clear_pad(void *pack, size_t size) {
    memset((unsigned char *)pack + size, 0, round_up(size + BNR_TENSOR_PAD) - size);
}

// ---- asking -------------------------------------------------------------------------------------

static const char in_place[] = "in_place"; // the key

static struct bnr_pack **find_in_place(const struct bnr_packs *packs, const struct bnr_tensor *t) {
    return find(packs, t, in_place, 0, t->nbytes, hash_of(t, in_place, 0));
}

// The tensor's elements, aligned or not.
static struct bnr_tensor *full(const struct bnr_packs *packs, struct bnr_tensor *t) {
    if (!bnr__tensor_is_hollow(t))
        return t;
    const struct bnr_pack *p = *find_in_place(packs, t);
    if (p && p->held)
        return p->held;
    return packs->restore ? bnr__tensor_unconst(packs->restore(packs->user, t)) : NULL;
}

static bool enqueue(struct bnr_packs *packs, struct bnr_pack *p, struct bnr_tensor *t, void *dst,
                    const struct bnr_pack_format *f) {
    struct bnr_pack_job *jobs = bnr__arena_grow(&packs->queue, packs->jobs, packs->n_jobs,
                                                &packs->jobs_capacity, sizeof *jobs);
    if (!jobs)
        return false;
    packs->jobs = jobs;
    struct bnr_pack_job *j = &jobs[packs->n_jobs++];
    *j = (struct bnr_pack_job){.pack = p, .format = *f, .dst = dst, .first = packs->n_parts};
    j->t = bnr__tensor_ref(t);
    atomic_init(&j->left, f->parts);
    packs->n_parts += f->parts;
    return true;
}

static bool pack_now(struct bnr_tensor *t, void *dst, const struct bnr_pack_format *f) {
    struct bnr_tensor *aligned;
    if (bnr__tensor_align(&aligned, t, NULL) != BNR_OK)
        return false;
    f->pack(dst, &(struct bnr_pack_source){.elems = aligned->data}, 0, f->arg);
    bnr__tensor_unref(aligned);
    clear_pad(dst, f->size);
    return true;
}

static const uint64_t nothing; // what stands for packs while the planner only asks

static void note_asked(struct bnr_packs *packs, const struct bnr_tensor *t) {
    if (packs->n_asked < BNR_MAX_ASKED)
        packs->asked[packs->n_asked++] = t;
}

// Enters *p, the pack of t, in its place.
static void enter(struct bnr_packs *packs, struct bnr_pack **place, struct bnr_pack *p,
                  struct bnr_tensor *t) {
    p->source = bnr__tensor_ref(t);
    packs->bytes += p->size;
    packs->count++;
    *place = p;
}

static const void *get(struct bnr_packs *packs, struct bnr_tensor *t,
                       const struct bnr_pack_format *f, bool later) {
    if (packs->dry)
        return &nothing;
    note_asked(packs, t);
    if (!make_room(packs))
        return NULL;
    const uint64_t hash = hash_of(t, f->key, f->variant);
    struct bnr_pack **place = find(packs, t, f->key, f->variant, f->size, hash);
    if (*place)
        return (*place)->data;
    struct bnr_tensor *source = full(packs, t);
    struct bnr_pack *p = BNR_NEW(&packs->arena, struct bnr_pack);
    void *data = p && source ? allocate(packs, later, f->size) : NULL;
    if (data && f->turned)
        source = bnr__turned_base(source);
    if (!data || !(later ? enqueue(packs, p, source, data, f) : pack_now(source, data, f)))
        return NULL;
    *p = (struct bnr_pack){
        .key = f->key, .variant = f->variant, .hash = hash, .data = data, .size = f->size};
    enter(packs, place, p, t);
    return data;
}

const void *bnr__pack_in_place(struct bnr_prepare *cx, struct bnr_tensor *t) {
    struct bnr_packs *packs = cx->packs;
    if (packs->dry)
        return &nothing;
    if (!make_room(packs))
        return NULL;
    struct bnr_pack **place = find_in_place(packs, t), *p = *place;
    if (!p && (!t->data || !t->release || t->nbytes < WORTH_IN_PLACE ||
               !(p = BNR_NEW(&packs->arena, struct bnr_pack))))
        return NULL;
    note_asked(packs, t);
    if (*place)
        return p->data;
    *p = (struct bnr_pack){.key = in_place,
                           .hash = hash_of(t, in_place, 0),
                           .held = bnr__tensor_ref(t),
                           .data = t->data,
                           .size = t->nbytes};
    enter(packs, place, p, t);
    return p->data;
}

const void *bnr__pack_get_parts(struct bnr_prepare *cx, struct bnr_tensor *t,
                                const struct bnr_pack_format *f) {
    return get(cx->packs, t, f, true);
}

struct whole {
    const struct bnr_tensor *t;
    void (*pack)(void *dst, const struct bnr_tensor *t, void *arg);
    void *arg;
};

static bool pack_whole(void *dst, const struct bnr_pack_source *src, size_t part, const void *arg) {
    const struct whole *w = arg;
    struct bnr_tensor header = {.kind = BNR_KIND_TENSOR};
    (void)part;
    bnr__tensor_set(&header, w->t->dtype, w->t->rank, w->t->dims, (void *)(uintptr_t)src->elems);
    w->pack(dst, &header, w->arg);
    return true;
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
    return get(cx->packs, t, &f, false);
}

// ---- packing what waits -------------------------------------------------------------------------

// The parts of all jobs, shared out among threads. What cannot be read in place is copied, a part at a
// time, to a buffer in a slot first.
struct work {
    struct bnr_pack_job *jobs;
    size_t n_jobs;
    struct bnr_slots slots;
};

static size_t part_elems(const struct bnr_pack_job *j, size_t part) {
    const size_t left = j->t->numel - part * j->format.part_elems;
    return left < j->format.part_elems ? left : j->format.part_elems;
}

// False: elements from `begin` on have to be copied.
static bool find_source(const struct bnr_pack_job *j, size_t begin,
                        struct bnr_pack_source *source) {
    const struct bnr_tensor *t = j->t;
    const size_t row = j->format.row_elems;
    const bool rows = row > 0 && t->dtype == BNR_FLOAT;
    if (rows && t->lazy && t->lazy->factors && t->lazy->row_elems == row)
        *source = (struct bnr_pack_source){t->lazy->base->u8 + begin * sizeof(float),
                                           t->lazy->factors + begin / row};
    else if (bnr__tensor_is_aligned(t) || (rows && !t->lazy))
        *source = (struct bnr_pack_source){.elems = t->u8 + begin * bnr__dtype_size(t->dtype)};
    else
        return false;
    return true;
}

static void pack_part(struct work *w, const struct bnr_pack_job *j, size_t part) {
    const struct bnr_tensor *t = j->t;
    const size_t size = bnr__dtype_size(t->dtype), begin = part * j->format.part_elems;
    const size_t n = part_elems(j, part);
    struct bnr_pack_source source = {.elems = NULL};
    void *buffer = NULL;
    if (!find_source(j, begin, &source)) {
        source.elems = buffer = bnr__slots_take(&w->slots);
        bnr__tensor_copy(t, buffer, begin, n);
    }
    if (!j->format.pack(j->dst, &source, part, j->format.arg))
        bnr__tensor_found(t, BNR_FOUND_NOT_FINITE);
    if (buffer)
        bnr__slots_give(&w->slots, buffer);
    if (t->drop && t->nbytes > WORTH_DROPPING)
        t->drop(t, begin * size, n * size);
}

// The job that a part belongs to.
static struct bnr_pack_job *job_of(const struct work *w, size_t part) {
    size_t low = 0, high = w->n_jobs;
    while (high - low > 1) {
        const size_t mid = low + (high - low) / 2;
        if (w->jobs[mid].first <= part)
            low = mid;
        else
            high = mid;
    }
    return &w->jobs[low];
}

static void pack_parts(void *cx, size_t begin, size_t end) {
    struct work *w = cx;
    for (size_t i = begin; i < end; i++) {
        struct bnr_pack_job *j = job_of(w, i);
        pack_part(w, j, i - j->first);
        if (atomic_fetch_sub_explicit(&j->left, 1, memory_order_acq_rel) != 1)
            continue;
        clear_pad(j->dst, j->format.size);
        bnr__tensor_found(j->t, BNR_FOUND_ALL);
        if (j->t->nbytes <= WORTH_DROPPING)
            bnr__tensor_drop_pages(j->t);
        bnr__tensor_unref(j->t); // the elements may go before others' are packed
        j->t = NULL;
    }
}

static size_t largest_copy(const struct bnr_packs *packs) {
    size_t most = 0;
    for (size_t i = 0; i < packs->n_jobs; i++) {
        const struct bnr_pack_job *j = &packs->jobs[i];
        const size_t bytes = part_elems(j, 0) * bnr__dtype_size(j->t->dtype);
        struct bnr_pack_source source = {.elems = NULL};
        if (!find_source(j, 0, &source) && bytes > most)
            most = bytes;
    }
    return round_up(most);
}

// Nothing was packed: these entries are never found again.
static void forget(const struct bnr_packs *packs) {
    for (size_t i = 0; i < packs->n_jobs; i++) {
        packs->jobs[i].pack->key = "";
        bnr__tensor_unref(packs->jobs[i].t);
    }
}

static bool pack_jobs(struct bnr_packs *packs) {
    const struct bnr_allocator *a = packs->arena.allocator;
    struct work w = {.jobs = packs->jobs, .n_jobs = packs->n_jobs};
    const int slots = bnr__slots_count(bnr__pool_threads(packs->pool));
    const size_t slot = largest_copy(packs);
    size_t bytes;
    if (!bnr__size_mul(slot, (size_t)slots, &bytes))
        return false;
    void *buffers = bytes ? bnr__malloc_tensor(a, bytes) : NULL;
    if (bytes && !buffers)
        return false;
    bnr__slots_init(&w.slots, buffers, slot, slots);
    for (const struct bnr_slab *s = packs->slabs[1]; s; s = s->next)
        bnr__trim_tensor(a, s->data, s->size, s->used);
    bnr__parallel_for(packs->pool, packs->n_parts, 1, pack_parts, &w);
    bnr__free_tensor(a, buffers, bytes);
    return true;
}

enum bnr_status bnr__packs_fill(struct bnr_packs *packs) {
    const bool done = packs->n_jobs == 0 || pack_jobs(packs);
    if (!done)
        forget(packs);
    bnr__arena_free(&packs->queue);
    packs->jobs = NULL;
    packs->n_jobs = packs->jobs_capacity = packs->n_parts = 0;
    return done ? BNR_OK : BNR_NO_MEMORY;
}
