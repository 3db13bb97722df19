// SPDX-License-Identifier: Apache-2.0
// Packed forms of constants, made once per session and shared between its plans (bnr__pack_get).
#ifndef BNR_PACKS_H
#define BNR_PACKS_H

#include "graph/op.h"

enum { BNR_MAX_ASKED = 8 };

struct bnr_packs {
    struct bnr_arena arena; // of the table
    // What was asked for since the caller set n_asked to 0; beyond the maximum nothing is noted.
    const struct bnr_tensor *asked[BNR_MAX_ASKED];
    int n_asked;
    struct bnr_pack **slots; // hash table, open addressing; [n_slots], a power of two or 0
    size_t n_slots, count;
    size_t bytes; // of all packs
};

void bnr__packs_init(struct bnr_packs *packs, const struct bnr_allocator *a);
void bnr__packs_free(struct bnr_packs *packs);
// Drops the reference that packs hold on t; they are not found any more.
void bnr__packs_forget(struct bnr_packs *packs, const struct bnr_tensor *t);

#endif
