// SPDX-License-Identifier: Apache-2.0
// Shifts that a fold does not round. A rounded bias is wrong by the same amount at every position, which
// nothing averages out, unlike the rounding of many weights. So where b becomes b' = fl(b), the whole
// channel is multiplied by d = b' / b, and what reads it is divided by that again:
//
//     act(W x + b), V        =>    act(d W x + b'), V / d      for act(d y) = d act(y), d > 0
//
// d differs from 1 by less than a unit in the last place, and all weights concerned are scaled already: it
// goes into their factors, in double, before they are rounded (runtime/ops/lib/affine_scaled.h).
#ifndef BNR_PASSES_LIB_EXACT_SHIFT_H
#define BNR_PASSES_LIB_EXACT_SHIFT_H

#include "passes/lib/affine_view.h"

// Whether what reads n takes numbers near 1. Only where either n or all that read it are depthwise convolutions:
// elsewhere the sums round more, and factors for the columns of large weights take time.
bool bnr__readers_may_divide(struct bnr_pass_cx *cx, const struct bnr_node *n);
// Divides it by what the channels of n were multiplied by.
enum bnr_status bnr__readers_divide(struct bnr_pass_cx *cx, struct bnr_node *n,
                                    const struct bnr_affine *multiple);

#endif
