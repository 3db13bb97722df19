// SPDX-License-Identifier: Apache-2.0
// Text for string operators: UTF-8, letter case and white space by Unicode, whatever the machine's
// locale.
#ifndef BNR_OPS_LIB_UTF8_H
#define BNR_OPS_LIB_UTF8_H

#include "graph/op.h"

// The character at s[0 .. n), n >= 1, and how many bytes it takes. Bytes that are no UTF-8 count as
// one character each, of which *valid (may be NULL) tells.
uint32_t bnr__utf8_next(const char *s, size_t n, size_t *size, bool *valid);
bool bnr__utf8_is_space(uint32_t c);

enum bnr_case { BNR_CASE_SAME, BNR_CASE_LOWER, BNR_CASE_UPPER };
// `s` with each character mapped by Unicode's simple mappings (one character to one), in `arena`.
// Bytes that are no UTF-8 stay as they are.
enum bnr_status bnr__utf8_map_case(struct bnr_arena *arena, enum bnr_case to, struct bnr_str s,
                                   struct bnr_str *out, struct bnr_error *err);

int bnr__str_compare(struct bnr_str a, struct bnr_str b); // by bytes

#endif
