// SPDX-License-Identifier: Apache-2.0
// What the poolings share: geometry and inference. Data is [planes, spatial...], planes = N * C.
#ifndef BNR_OPS_LIB_POOLING_H
#define BNR_OPS_LIB_POOLING_H

#include "runtime/ops/lib/window.h"

// From the attributes and X's shape, of rank 3 or more; w->rank -1 where that is not known.
enum bnr_status bnr__pooling_geometry(const struct bnr_node *n, const struct bnr_shape *x,
                                      struct bnr_window *w, struct bnr_error *err);
// Output 0 of X's dtype (one of `types`), and output 1 (where wanted) of dtype int64.
enum bnr_status bnr__pooling_infer(struct bnr_infer *cx, uint32_t types);

struct bnr_pooling {
    struct bnr_window window;
    size_t planes, in, out; // elements of a plane
    const double *x;        // [planes, in]
    double *y;              // [planes, out]
    struct bnr_tensor *result;
};
// At run time: geometry, X in double, room for Y. y is NULL when there is nothing to compute.
enum bnr_status bnr__pooling_begin(const struct bnr_args *a, struct bnr_pooling *p);
// How many elements an average pooling's windows have, by count_include_pad: [outputs of a plane].
void bnr__pooling_counts(const struct bnr_node *n, struct bnr_window w, double *counts);
void bnr__pooling_end(const struct bnr_pooling *p); // stores y

// GlobalXxxPool: every spatial dim becomes 1.
enum bnr_status bnr__pooling_global_infer(struct bnr_infer *cx);
enum bnr_status bnr__pooling_global_begin(const struct bnr_args *a, struct bnr_pooling *p);

#endif
