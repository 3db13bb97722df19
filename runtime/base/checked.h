// SPDX-License-Identifier: Apache-2.0
// Overflow-checked size arithmetic. Every size that depends on a model or an input goes through here.
#ifndef BNR_BASE_CHECKED_H
#define BNR_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Each returns false on overflow and leaves *out alone.
static inline bool bnr__size_mul(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

static inline bool bnr__size_add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

// For dims: both must be >= 0.
static inline bool bnr__i64_mul(int64_t a, int64_t b, int64_t *out) {
    if (b != 0 && a > INT64_MAX / b)
        return false;
    *out = a * b;
    return true;
}

// a + b for any signs.
static inline bool bnr__i64_add(int64_t a, int64_t b, int64_t *out) {
    if ((b > 0 && a > INT64_MAX - b) || (b < 0 && a < INT64_MIN - b))
        return false;
    *out = a + b;
    return true;
}

#endif
