// SPDX-License-Identifier: Apache-2.0
// A growing text buffer for printers and messages, with JSON escaping.
#ifndef BNR_BASE_TEXT_H
#define BNR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/alloc.h"

// Zero-initialize before use (allocator NULL = C library). After a failed allocation `failed` is set,
// further writes do nothing, and the caller checks once at the end.
struct bnr_text {
    const struct bnr_allocator *allocator;
    char *data; // NUL-terminated once anything was written
    size_t size, capacity;
    bool failed;
};

void bnr__text_add(struct bnr_text *t, const char *fmt, ...) BNR_PRINTF(2, 3);
void bnr__text_bytes(struct bnr_text *t, const char *s, size_t n);
void bnr__text_json_string(struct bnr_text *t, const char *s); // with the quotes; NULL gives null
// A number that JSON can hold: non-finite values become null; shortest form that reads back the same.
void bnr__text_json_number(struct bnr_text *t, double v);
void bnr__text_free(struct bnr_text *t);
// The text itself, which the caller frees as `allocator` does; NULL when writing failed. Empties t.
char *bnr__text_take(struct bnr_text *t);

#endif
