// SPDX-License-Identifier: Apache-2.0
// How far two results are apart.
#ifndef BNR_DIFFERENCE_H
#define BNR_DIFFERENCE_H

#include "graph/tensor.h"

// a against b, the better one. dtype: of the model's output (a or b may be its promotion to double).
// Sequences and the like: over all items.
struct bnr_difference bnr__difference(enum bnr_dtype dtype, const struct bnr_tensor *a,
                                      const struct bnr_tensor *b);
double bnr__largest(const struct bnr_tensor *t); // largest finite |element|

#endif
