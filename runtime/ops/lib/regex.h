// SPDX-License-Identifier: Apache-2.0
// Regular expressions in RE2's syntax, matched by PCRE2's search without backtracking: no pattern takes
// exponential time.
#ifndef BNR_OPS_LIB_REGEX_H
#define BNR_OPS_LIB_REGEX_H

#include <stdbool.h>

#include "graph/dtype.h"
#include "runtime/base/alloc.h"
#include "runtime/base/status.h"

struct bnr_regex;

// *why receives a short description on failure ("missing closing parenthesis"), which is
// BNR_SHAPE for what is no RE2 pattern, or BNR_NO_MEMORY.
enum bnr_status bnr__regex_new(struct bnr_regex **out, struct bnr_str pattern, char *why,
                               size_t why_size);
void bnr__regex_free(struct bnr_regex *r); // NULL is fine

// Whether the whole text matches. Text that is no UTF-8 matches nothing. BNR_UNSUPPORTED when the
// search needs more memory than is granted, BNR_NO_MEMORY.
enum bnr_status bnr__regex_full_match(struct bnr_regex *r, struct bnr_str text, bool *matches);

#endif
