// SPDX-License-Identifier: Apache-2.0
// A window of one or two axes as the plane kernels want it.
#ifndef BNR_OPS_LIB_PREPARE_PLANE_H
#define BNR_OPS_LIB_PREPARE_PLANE_H

#include "runtime/kernels/plane_f32.h"
#include "runtime/ops/lib/window.h"

void bnr__plane_shape(const struct bnr_window *w, struct bnr_plane_shape *s);

#endif
