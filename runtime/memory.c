// SPDX-License-Identifier: Apache-2.0
// The arenas of runs. Plans of all shapes and graphs share them, so that a session that meets many
// shapes holds no more than the largest plans that ran at the same time need.
#include <unistd.h>

#include "runtime/base/checked.h"
#include "runtime/session.h"

// Takes the smallest block that is large enough off the list, else the largest one.
static struct bnr_memory *best_of(struct bnr_session *s, size_t bytes) {
    struct bnr_memory **best = NULL;
    for (struct bnr_memory **link = &s->memory; *link; link = &(*link)->next) {
        const bool fits = (*link)->size >= bytes, best_fits = best && (*best)->size >= bytes;
        if (!best || (fits && !best_fits) ||
            (fits == best_fits &&
             (fits ? (*link)->size < (*best)->size : (*link)->size > (*best)->size)))
            best = link;
    }
    if (!best)
        return NULL;
    struct bnr_memory *m = *best;
    *best = m->next;
    return m;
}

// Systems that promise more memory than they have would stop the process later.
static enum bnr_status check_size(size_t bytes, struct bnr_error *err) {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t physical;
    if (pages > 0 && page > 0 && bnr__size_mul((size_t)pages, (size_t)page, &physical) &&
        bytes > physical)
        return bnr__fail(err, BNR_NO_MEMORY,
                         "out of memory: intermediate tensors need %zu bytes, the machine has %zu",
                         bytes, physical);
    return BNR_OK;
}

static void free_data(struct bnr_session *s, struct bnr_memory *m) {
    bnr__free_tensor(s->allocator, m->data, m->size);
    m->data = NULL;
    m->size = 0;
}

static enum bnr_status grow(struct bnr_session *s, struct bnr_memory *m, size_t bytes,
                            struct bnr_error *err) {
    BNR_TRY(check_size(bytes, err));
    free_data(s, m);
    m->data = bnr__malloc_tensor(s->allocator, bytes);
    if (!m->data)
        return bnr__fail(err, BNR_NO_MEMORY, "out of memory for %zu bytes of intermediate tensors",
                         bytes);
    m->size = bytes;
    return BNR_OK;
}

enum bnr_status bnr__memory_take(struct bnr_memory **out, struct bnr_session *s, size_t bytes,
                                 struct bnr_error *err) {
    pthread_mutex_lock(&s->lock);
    struct bnr_memory *m = best_of(s, bytes);
    pthread_mutex_unlock(&s->lock);
    if (!m)
        m = bnr__calloc(s->allocator, 1, sizeof *m);
    *out = m;
    if (!m)
        return bnr__no_memory(err);
    return m->size >= bytes ? BNR_OK : grow(s, m, bytes, err);
}

void bnr__memory_give(struct bnr_session *s, struct bnr_memory *memory) {
    if (!memory)
        return;
    pthread_mutex_lock(&s->lock);
    memory->next = s->memory;
    s->memory = memory;
    pthread_mutex_unlock(&s->lock);
}

void bnr__memory_free(struct bnr_session *s) {
    while (s->memory) {
        struct bnr_memory *next = s->memory->next;
        free_data(s, s->memory);
        bnr__free(s->allocator, s->memory, sizeof *s->memory);
        s->memory = next;
    }
}
