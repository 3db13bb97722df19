// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/lookup.h"

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/order.h"
#include "runtime/ops/lib/utf8.h"

static bool key_less(size_t a, size_t b, const void *cx) {
    const struct bnr_lookup *l = cx;
    return l->strings != NULL ? bnr__str_compare(l->strings[a], l->strings[b]) < 0
                              : l->keys[a] < l->keys[b];
}

enum bnr_status bnr__lookup_new(const struct bnr_args *a, enum bnr_dtype dtype, const void *keys,
                                size_t n, struct bnr_lookup *l) {
    *l = (struct bnr_lookup){.dtype = dtype, .n = n};
    size_t *order = bnr__temp(a, n, sizeof *order), *work = bnr__temp(a, n, sizeof *work);
    uint64_t *ordered = bnr__temp(a, n, sizeof *ordered);
    if (order == NULL || work == NULL || ordered == NULL)
        return BNR_NO_MEMORY;
    if (dtype == BNR_STRING)
        l->strings = keys;
    else
        bnr__order_keys(ordered, dtype, keys, n);
    l->keys = ordered;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    bnr__sort_stable(order, n, work, key_less, l);
    l->order = order;
    return BNR_OK;
}

ptrdiff_t bnr__lookup_find(const struct bnr_lookup *l, const void *src, size_t i) {
    uint64_t key = 0;
    struct bnr_str text = {NULL, 0};
    if (l->strings != NULL)
        text = ((const struct bnr_str *)src)[i];
    else
        bnr__order_keys(&key, l->dtype, (const char *)src + i * bnr__dtype_size(l->dtype), 1);
    size_t low = 0, high = l->n; // the first key that is greater
    while (low < high) {
        const size_t middle = (low + high) / 2, k = l->order[middle];
        const bool greater =
            l->strings != NULL ? bnr__str_compare(l->strings[k], text) > 0 : l->keys[k] > key;
        if (greater)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return -1;
    const size_t k = l->order[low - 1];
    const bool same =
        l->strings != NULL ? bnr__str_compare(l->strings[k], text) == 0 : l->keys[k] == key;
    return same ? (ptrdiff_t)k : -1;
}
