// SPDX-License-Identifier: Apache-2.0
// A tensor seen as [outer, n, inner] around one axis: lane l = (o, i) starts at o * n * inner + i
// and has n elements, `inner` apart.
#ifndef BNR_OPS_LIB_LANES_H
#define BNR_OPS_LIB_LANES_H

#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"

struct bnr_lanes {
    size_t outer, n, inner;
};

static inline struct bnr_lanes bnr__lanes_of(const struct bnr_tensor *x, int axis) {
    return (struct bnr_lanes){.outer = bnr__dims_product(x->dims, 0, axis),
                              .n = (size_t)x->dims[axis],
                              .inner = bnr__dims_product(x->dims, axis + 1, x->rank)};
}

static inline size_t bnr__lane_start(const struct bnr_lanes *l, size_t lane) {
    return lane / l->inner * l->n * l->inner + lane % l->inner;
}

// y like input 0 of any float dtype; fn turns each lane x into the lane y (n elements, `stride`
// apart).
typedef void bnr_lane_fn(const double *x, double *y, size_t n, size_t stride, double parameter);
enum bnr_status bnr__lanes_map(const struct bnr_args *a, struct bnr_lanes lanes, bnr_lane_fn *fn,
                               double parameter);

// Softmax, LogSoftmax and Hardmax: before opset 13 the input counts as a matrix whose rows begin at
// `axis` (default 1); from 13 on lanes are along `axis` (default -1).
enum bnr_status bnr__softmax_infer(struct bnr_infer *cx);
struct bnr_lanes bnr__softmax_lanes(const struct bnr_args *a);
enum bnr_status bnr__softmax_map(const struct bnr_args *a, bnr_lane_fn *fn);

#endif
