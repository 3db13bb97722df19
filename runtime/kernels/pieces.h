// SPDX-License-Identifier: Apache-2.0
// Sizes of the pieces that work is cut into.
#ifndef BNR_KERNELS_PIECES_H
#define BNR_KERNELS_PIECES_H

#include <stddef.h>

static inline size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static inline size_t ceil_div(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

// Length of nearly equal pieces of at most `most`, each but perhaps the last a multiple of `unit`.
static inline size_t even_piece(size_t total, size_t most, size_t unit) {
    const size_t pieces = max_size(ceil_div(total, max_size(most, 1)), 1);
    return max_size(ceil_div(ceil_div(total, pieces), unit), 1) * unit;
}

// Where piece i of `parts` nearly equal ones starts, at a multiple of `unit`; i = parts: the end.
static inline size_t part_start(size_t total, size_t parts, size_t unit, size_t i) {
    return min_size(ceil_div(total, unit) * i / parts * unit, total);
}

// For bnr__parallel_for over n items, at least `least` of which go together: as many as give every
// thread the same number of chunks.
static inline size_t even_grain(size_t n, size_t least, size_t threads) {
    const size_t chunks = ceil_div(n, max_size(least, 1));
    return chunks > 1 ? ceil_div(n, ceil_div(chunks, threads) * threads) : max_size(n, 1);
}

#endif
