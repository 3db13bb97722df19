// SPDX-License-Identifier: Apache-2.0
// ArgMax and ArgMin: int64 indices of the largest or smallest elements along one axis, the first or
// the last of equal ones; a NaN counts as both.
#ifndef BNR_OPS_LIB_ARG_REDUCE_H
#define BNR_OPS_LIB_ARG_REDUCE_H

#include "graph/op.h"

enum bnr_status bnr__arg_infer(struct bnr_infer *cx);
// y[lane]: where in each lane the largest (smallest) element is, the first or last of equal ones.
// Lanes have elements.
struct bnr_lanes;
void bnr__arg_search(const struct bnr_tensor *x, const struct bnr_lanes *lanes, bool largest,
                     bool last, int64_t *y, struct bnr_pool *pool);
enum bnr_status bnr__arg_run(const struct bnr_args *a, bool largest);

#define BNR_ARG_OP                                                                                 \
    .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,                            \
    .attrs = "axis:i keepdims:i select_last_index:i"

#endif
