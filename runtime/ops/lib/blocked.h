// SPDX-License-Identifier: Apache-2.0
// Which tensors can be blocked, and how large they are then.
#ifndef BNR_OPS_LIB_BLOCKED_H
#define BNR_OPS_LIB_BLOCKED_H

#include "graph/op.h"
#include "runtime/kernels/nchwc_f32.h"

// The blocked form of float32 tensors of known shape with one to three spatial axes, and at least
// one element. False for others, and when a size overflows.
bool bnr__blocked_shape(const struct bnr_type *type, size_t lanes, struct bnr_nchwc *s);
// Its dims as an array of floats: [batch, blocks, spatial..., lanes]; the rank.
int bnr__blocked_dims(const struct bnr_type *type, size_t lanes, int64_t dims[BNR_MAX_RANK]);
// The same bytes in the same places either way, but perhaps for lanes without channel at the end.
bool bnr__blocked_as_plain(const struct bnr_nchwc *s);

#endif
