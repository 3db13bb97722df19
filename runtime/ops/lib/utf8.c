// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/utf8.h"

#include <string.h>

#include "runtime/base/checked.h"

struct case_range {
    uint32_t first, last;
    uint32_t step;
    int32_t delta;
};

#include "runtime/ops/lib/case_map.inc"

uint32_t bnr__utf8_next(const char *text, size_t n, size_t *size, bool *valid) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; // for a length; below is overlong
    const uint8_t *s = (const uint8_t *)text;
    const size_t length = s[0] < 0x80       ? 1
                          : s[0] >> 5 == 6  ? 2
                          : s[0] >> 4 == 14 ? 3
                          : s[0] >> 3 == 30 ? 4
                                            : 0;
    uint32_t c = length == 1 ? s[0] : s[0] & (0x7fu >> length);
    bool good = length > 0 && length <= n;
    for (size_t i = 1; good && i < length; i++) {
        good = s[i] >> 6 == 2;
        c = c << 6 | (s[i] & 0x3f);
    }
    good = good && c >= least[length] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    if (valid)
        *valid = good;
    *size = good ? length : 1;
    return good ? c : s[0];
}

static size_t encode(uint32_t c, char out[4]) {
    const size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (char)(lead[length] | c);
    return length;
}

bool bnr__utf8_is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static uint32_t map_char(enum bnr_case to, uint32_t c) {
    const struct case_range *r = to == BNR_CASE_LOWER ? to_lower : to_upper;
    size_t low = 0, high = to == BNR_CASE_LOWER ? BNR_COUNT(to_lower) : BNR_COUNT(to_upper);
    if (c < 0x80) {
        const bool letter = to == BNR_CASE_LOWER ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z';
        return letter ? c ^ 0x20 : c;
    }
    while (low < high) { // the first range that ends at c or behind it
        const size_t middle = (low + high) / 2;
        if (r[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    const size_t n = to == BNR_CASE_LOWER ? BNR_COUNT(to_lower) : BNR_COUNT(to_upper);
    if (low == n || c < r[low].first || (c - r[low].first) % r[low].step != 0)
        return c;
    return c + (uint32_t)r[low].delta;
}

enum bnr_status bnr__utf8_map_case(struct bnr_arena *arena, enum bnr_case to, struct bnr_str s,
                                   struct bnr_str *out, struct bnr_error *err) {
    size_t room, length = 0, size;
    *out = s;
    if (to == BNR_CASE_SAME || s.len == 0)
        return BNR_OK;
    // No character grows to more than twice its bytes (two-byte ones become at most three).
    char *text = bnr__size_mul(s.len, 2, &room) ? bnr__arena_alloc(arena, room) : NULL;
    if (!text)
        return bnr__no_memory(err);
    for (size_t i = 0; i < s.len; i += size) {
        bool valid;
        const uint32_t c = bnr__utf8_next(s.ptr + i, s.len - i, &size, &valid);
        if (valid)
            length += encode(map_char(to, c), text + length);
        else
            text[length++] = s.ptr[i];
    }
    *out = (struct bnr_str){text, length};
    return BNR_OK;
}

int bnr__str_compare(struct bnr_str a, struct bnr_str b) {
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}
