// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

// Room for n more bytes and the NUL.
static bool reserve(struct bnr_text *t, size_t n) {
    size_t needed;
    if (t->failed || !bnr__size_add(t->size, n, &needed) || !bnr__size_add(needed, 1, &needed)) {
        t->failed = true;
        return false;
    }
    if (needed <= t->capacity)
        return true;
    size_t grown = t->capacity ? t->capacity : 256;
    while (grown < needed)
        if (!bnr__size_mul(grown, 2, &grown))
            grown = needed;
    char *data = bnr__realloc(t->allocator, t->data, t->capacity, grown);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = grown;
    return true;
}

void bnr__text_bytes(struct bnr_text *t, const char *s, size_t n) {
    if (!reserve(t, n))
        return;
    if (n)
        memcpy(t->data + t->size, s, n);
    t->size += n;
    t->data[t->size] = '\0';
}

void bnr__text_add(struct bnr_text *t, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !reserve(t, (size_t)n))
        return;
    va_start(args, fmt);
    vsnprintf(t->data + t->size, (size_t)n + 1, fmt, args);
    va_end(args);
    t->size += (size_t)n;
}

// Length of the valid UTF-8 sequence at s (1 to 4 bytes), or 0.
static size_t utf8_length(const unsigned char *s) {
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool too_large = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : n;
}

void bnr__text_json_string(struct bnr_text *t, const char *s) {
    if (!s) {
        bnr__text_add(t, "null");
        return;
    }
    bnr__text_bytes(t, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        size_t n = utf8_length(p);
        if (*p == '"' || *p == '\\')
            bnr__text_add(t, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            bnr__text_add(t, "\\u%04x", *p);
        else if (n == 0) // not UTF-8: the replacement character
            bnr__text_add(t, "\\ufffd");
        else
            bnr__text_bytes(t, (const char *)p, n);
        p += n ? n : 1;
    }
    bnr__text_bytes(t, "\"", 1);
}

void bnr__text_json_number(struct bnr_text *t, double v) {
    if (!isfinite(v)) {
        bnr__text_add(t, "null");
        return;
    }
    char buf[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    for (char *p = buf; *p; p++) // the application's locale may have another decimal point
        if (!strchr("0123456789+-e", *p))
            *p = '.';
    bnr__text_bytes(t, buf, strlen(buf));
}

void bnr__text_free(struct bnr_text *t) {
    bnr__free(t->allocator, t->data, t->capacity);
    *t = (struct bnr_text){.allocator = t->allocator};
}

char *bnr__text_take(struct bnr_text *t) {
    if (!t->failed && !t->data)
        bnr__text_bytes(t, "", 0);
    if (t->failed)
        bnr__text_free(t);
    char *data = t->data;
    *t = (struct bnr_text){.allocator = t->allocator};
    return data;
}
