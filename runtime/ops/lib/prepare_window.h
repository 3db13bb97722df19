// SPDX-License-Identifier: Apache-2.0
// Windows and convolutions as the kernels want them.
#ifndef BNR_OPS_LIB_PREPARE_WINDOW_H
#define BNR_OPS_LIB_PREPARE_WINDOW_H

#include "runtime/kernels/conv_f32.h"
#include "runtime/kernels/nchwc_window_f32.h"
#include "runtime/kernels/plane_f32.h"
#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/window.h"

// Beyond this a kernel's working memory is no longer small beside the tensors.
#define BNR_MAX_SCRATCH ((size_t)1 << 28)

void bnr__plane_shape(const struct bnr_window *w, struct bnr_plane_shape *s);   // at most 2 axes
void bnr__window_shape(const struct bnr_window *w, struct bnr_window_shape *s); // at most 3
void bnr__conv_shape(const struct bnr_conv *c, struct bnr_conv_shape *s);       // at most 3

#endif
