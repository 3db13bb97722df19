// SPDX-License-Identifier: Apache-2.0
// Operators that only move pixels of blocked tensors, by nchwc_pixels_f32.
#ifndef BNR_OPS_LIB_PREPARE_PIXELS_H
#define BNR_OPS_LIB_PREPARE_PIXELS_H

#include "graph/op.h"

// A kernel that makes output 0 from input 0, where output index i of axis d is input index
// from[d][i], or -1 for `fill`; from[d] NULL: the axis stays as it is, as the first two must.
// Leaves it at none where a type has no blocked form.
enum bnr_status bnr__prepare_pixels(struct bnr_prepare *cx, const int64_t *const from[BNR_MAX_RANK],
                                    float fill);

#endif
