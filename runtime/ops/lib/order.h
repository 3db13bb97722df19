// SPDX-License-Identifier: Apache-2.0
// The order of elements, once for every dtype: keys that compare like the elements do, and a stable
// sort.
#ifndef BNR_OPS_LIB_ORDER_H
#define BNR_OPS_LIB_ORDER_H

#include "graph/dtype.h"

// keys[i] of the n dense elements of a numeric dtype or bool: x < y is key(x) < key(y), x == y is
// equal keys (-0 and 0 too), NaN is UINT64_MAX.
void bnr__order_keys(uint64_t *keys, enum bnr_dtype d, const void *src, size_t n);

// One of n things to sort by a key.
struct bnr_keyed {
    uint64_t key;
    size_t index;
};
// Sorts by ascending keys; equal ones keep their order. `work` has room for n; returns where the
// result is: in items or in work.
struct bnr_keyed *bnr__sort_keyed(struct bnr_keyed *items, struct bnr_keyed *work, size_t n);

// Sorts index[0 .. n) so that less(index[i + 1], index[i]) is never true; equal ones keep their
// order. `work` has room for n.
typedef bool bnr_less_fn(size_t a, size_t b, const void *cx);
void bnr__sort_stable(size_t *index, size_t n, size_t *work, bnr_less_fn *less, const void *cx);

#endif
