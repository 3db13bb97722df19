// SPDX-License-Identifier: Apache-2.0
// What Scatter, ScatterElements and ScatterND share: the `reduction` attribute, and writing updates
// into a copy of the data in the order of the updates, so that a later one wins.
#ifndef BNR_OPS_LIB_SCATTER_H
#define BNR_OPS_LIB_SCATTER_H

#include "graph/op.h"

enum bnr_reduction {
    BNR_REDUCE_NONE,
    BNR_REDUCE_ADD,
    BNR_REDUCE_MUL,
    BNR_REDUCE_MAX,
    BNR_REDUCE_MIN
};

// From opset 16 on (max and min: 18); fails for unknown names and for dtypes that cannot be
// reduced.
enum bnr_status bnr__scatter_reduction(const struct bnr_node *n, struct bnr_error *err,
                                       enum bnr_dtype dtype, enum bnr_reduction *out);

// to[i] = to[i] (reduction) from[i] for n elements.
void bnr__scatter_apply(enum bnr_reduction r, enum bnr_dtype dtype, void *to, const void *from,
                        size_t n);

// ScatterElements, and Scatter, which is its older name.
enum bnr_status bnr__scatter_elements_infer(struct bnr_infer *cx);
enum bnr_status bnr__scatter_elements_ref(const struct bnr_args *a);

#endif
