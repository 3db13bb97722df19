// SPDX-License-Identifier: Apache-2.0
// Packed forms of constants, made once per session and shared between its plans (bnr__pack_get).
#ifndef BNR_PACKS_H
#define BNR_PACKS_H

#include "graph/op.h"

enum { BNR_MAX_ASKED = 8 };

struct bnr_packs {
    struct bnr_arena arena; // of the table
    struct bnr_pool *pool;  // that packs
    // The elements of a tensor that bnr__packs_replace left hollow: a tensor that stays until the
    // plan is made, or NULL. NULL where nothing is ever hollow.
    const struct bnr_tensor *(*restore)(void *user, const struct bnr_tensor *t);
    void *user;
    // What was asked for since the caller set n_asked to 0; beyond the maximum nothing is noted.
    const struct bnr_tensor *asked[BNR_MAX_ASKED];
    int n_asked;
    struct bnr_pack **slots; // hash table, open addressing; [n_slots], a power of two or 0
    size_t n_slots, count;
    size_t bytes; // of all packs
    size_t expected; // about so many bytes will be asked for; 0: no idea
    struct bnr_slab *slabs[2]; // that packs lie in: those packed when they are asked for, and later
    // What bnr__packs_fill will pack; in an arena of its own.
    struct bnr_arena queue;
    struct bnr_pack_job *jobs;
    size_t n_jobs, jobs_capacity, n_parts;
    bool dry; // the planner only asks: nothing is packed or noted
};

void bnr__packs_init(struct bnr_packs *packs, const struct bnr_allocator *a);
void bnr__packs_free(struct bnr_packs *packs);
// Packs what bnr__pack_get_parts left for later, with all threads. To be called when a plan is made or could
// not be made, before what the formats point at is freed and before bnr__packs_free.
enum bnr_status bnr__packs_fill(struct bnr_packs *packs);
// What was packed of `old` is from now on found under `t`, a hollow tensor in its place. Drops the
// references on `old`.
enum bnr_status bnr__packs_replace(struct bnr_packs *packs, const struct bnr_tensor *old,
                                   struct bnr_tensor *t);

// The pack in slot i, for whoever saves them; false when there is none.
struct bnr_pack_entry {
    struct bnr_tensor *source;
    const char *key;
    uint64_t variant;
    const void *data;
    size_t size;
};
bool bnr__packs_entry(const struct bnr_packs *packs, size_t i, struct bnr_pack_entry *entry);
// Enters a pack whose data and key outlive the packs.
enum bnr_status bnr__packs_adopt(struct bnr_packs *packs, const struct bnr_pack_entry *entry);

#endif
