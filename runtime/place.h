// SPDX-License-Identifier: Apache-2.0
// Memory placement: blocks with known sizes and life times get offsets in one arena, so that no two
// that live at the same time overlap. Knows nothing of graphs or tensors.
#ifndef BNR_PLACE_H
#define BNR_PLACE_H

#include "runtime/base/alloc.h"
#include "runtime/base/status.h"

struct bnr_block {
    size_t size;     // bytes; rounded up to BNR_TENSOR_ALIGN in the arena
    int first, last; // steps during which it lives, both included; first <= last
    size_t offset;   // result: a multiple of BNR_TENSOR_ALIGN
};

struct bnr_placement {
    size_t bytes;       // of the arena, BNR_TENSOR_PAD at its end included
    size_t lower_bound; // the largest sum of blocks alive at once (and the pad): no placement is
                        // smaller
};

// Deterministic. Tries several orders and keeps the best, until one reaches the lower bound. `temp`
// holds working memory. Returns BNR_NO_MEMORY, also when the sum of sizes overflows.
enum bnr_status bnr__place(struct bnr_block *blocks, size_t n, struct bnr_arena *temp,
                           struct bnr_placement *out, struct bnr_error *err);

#endif
