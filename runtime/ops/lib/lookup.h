// SPDX-License-Identifier: Apache-2.0
// Finding elements among a list of keys of the same dtype, in logarithmic time.
#ifndef BNR_OPS_LIB_LOOKUP_H
#define BNR_OPS_LIB_LOOKUP_H

#include "graph/op.h"

struct bnr_lookup {
    enum bnr_dtype dtype;
    size_t n;
    const struct bnr_str *strings; // the keys, or
    const uint64_t *keys;          // their order keys: NaN equals NaN, -0 equals 0
    const size_t *order;           // ascending
};

// `keys` (n elements of the dtype) must stay. Memory is a->temp's.
enum bnr_status bnr__lookup_new(const struct bnr_args *a, enum bnr_dtype dtype, const void *keys,
                                size_t n, struct bnr_lookup *l);
// The index of the last key that equals element i of `src`; -1 when there is none.
ptrdiff_t bnr__lookup_find(const struct bnr_lookup *l, const void *src, size_t i);

#endif
