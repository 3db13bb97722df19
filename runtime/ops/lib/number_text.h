// SPDX-License-Identifier: Apache-2.0
// Numbers as text and back, for Cast: the same in every locale.
#ifndef BNR_OPS_LIB_NUMBER_TEXT_H
#define BNR_OPS_LIB_NUMBER_TEXT_H

#include "graph/dtype.h"

enum { BNR_NUMBER_TEXT = 40 }; // bytes that hold any result of bnr__number_to_text

// Element i of `src` (any dtype but strings and complex) with as few digits as give the same value
// when read back: "0.1", "1.0", "1e-05", "-3", "True", "NaN", "-INF". Returns the length.
size_t bnr__number_to_text(enum bnr_dtype d, const void *src, size_t i, char text[BNR_NUMBER_TEXT]);

// Plain or scientific decimal notation, "INF", "NaN", "True", "False" (in any case, with a sign),
// blanks around it ignored. Integers that fit are also given exactly in *integer (else truncated,
// saturated). False when it is no number.
bool bnr__text_to_number(const char *text, size_t length, double *value, int64_t *integer);

#endif
