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

// By one digit after the other, the lowest first; digits that all keys share are passed over.
struct bnr_keyed *bnr__sort_keyed(struct bnr_keyed *items, struct bnr_keyed *work, size_t n) {
    enum { BITS = 8, DIGITS = 64 / BITS, VALUES = 1 << BITS };
    size_t count[DIGITS][VALUES] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < DIGITS; d++)
            count[d][items[i].key >> (d * BITS) & (VALUES - 1)]++;
    for (int d = 0; d < DIGITS && n > 0; d++) {
        const int shift = d * BITS;
        if (count[d][items[0].key >> shift & (VALUES - 1)] == n)
            continue;
        size_t *place = count[d], sum = 0;
        for (int v = 0; v < VALUES; v++) {
            const size_t here = place[v];
            place[v] = sum;
            sum += here;
        }
        for (size_t i = 0; i < n; i++)
            work[place[items[i].key >> shift & (VALUES - 1)]++] = items[i];
        struct bnr_keyed *swap = items;
        items = work;
        work = swap;
    }
    return items;
}
