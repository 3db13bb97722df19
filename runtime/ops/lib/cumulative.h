// SPDX-License-Identifier: Apache-2.0
// CumSum and CumProd along the axis that input 1 holds; attributes `exclusive` and `reverse`.
// Floats accumulate in double and are rounded at each result, integers in 64 bits and wrap.
#ifndef BNR_OPS_LIB_CUMULATIVE_H
#define BNR_OPS_LIB_CUMULATIVE_H

#include "graph/op.h"

enum bnr_status bnr__cumulative_infer(struct bnr_infer *cx);
enum bnr_status bnr__cumulative_run(const struct bnr_args *a, bool product);

#define BNR_CUMULATIVE_OP                                                                          \
    .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,                            \
    .attrs = "exclusive:i reverse:i", .infer = bnr__cumulative_infer

#endif
