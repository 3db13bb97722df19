// SPDX-License-Identifier: Apache-2.0
// HannWindow, HammingWindow and BlackmanWindow: a vector of `size` (input 0) values of a cosine sum
// of the phase n / size, or with periodic = 0 n / (size - 1).
#ifndef BNR_OPS_LIB_WINDOW_FUNCTION_H
#define BNR_OPS_LIB_WINDOW_FUNCTION_H

#include "graph/op.h"

enum bnr_status bnr__window_function_infer(struct bnr_infer *cx);
// c0 + c1 * cos(phase) + c2 * cos(2 * phase)
enum bnr_status bnr__window_function_ref(const struct bnr_args *a, const double c[3]);

#endif
