// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/order.h"

#include <string.h>

#define SIGN ((uint64_t)1 << 63)

// The bits of an IEEE number order like a sign and a magnitude.
static uint64_t key_of(double v) {
    uint64_t bits;
    if (v != v)
        return UINT64_MAX;
    v += 0.0; // -0 becomes 0
    memcpy(&bits, &v, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

void bnr__order_keys(uint64_t *keys, enum bnr_dtype d, const void *src, size_t n) {
    enum { CHUNK = 256 };
    const size_t size = bnr__dtype_size(d);
    if (!bnr__dtype_is_float(d)) {
        int64_t v[CHUNK];
        const uint64_t flip = bnr__dtype_class(d) == BNR_CLASS_INT ? SIGN : 0;
        for (size_t at = 0; at < n; at += CHUNK) {
            const size_t part = n - at < CHUNK ? n - at : CHUNK;
            bnr__load_i64(v, d, (const char *)src + at * size, part);
            for (size_t i = 0; i < part; i++)
                keys[at + i] = (uint64_t)v[i] ^ flip;
        }
        return;
    }
    double v[CHUNK];
    for (size_t at = 0; at < n; at += CHUNK) {
        const size_t part = n - at < CHUNK ? n - at : CHUNK;
        bnr__load_f64(v, d, (const char *)src + at * size, part);
        for (size_t i = 0; i < part; i++)
            keys[at + i] = key_of(v[i]);
    }
}

static void merge(size_t *to, const size_t *a, size_t na, const size_t *b, size_t nb,
                  bnr_less_fn *less, const void *cx) {
    while (na > 0 && nb > 0) {
        if (less(*b, *a, cx)) {
            *to++ = *b++;
            nb--;
        } else {
            *to++ = *a++;
            na--;
        }
    }
    memcpy(to, na > 0 ? a : b, (na + nb) * sizeof *to);
}

// Bottom-up: runs of 1, 2, 4, ... are merged from one array into the other.
void bnr__sort_stable(size_t *index, size_t n, size_t *work, bnr_less_fn *less, const void *cx) {
    size_t *from = index, *to = work;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run) {
            const size_t na = n - at < run ? n - at : run, rest = n - at - na;
            merge(to + at, from + at, na, from + at + na, rest < run ? rest : run, less, cx);
        }
        size_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != index)
        memcpy(index, from, n * sizeof *index);
}
