// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/lanes.h"

struct job {
    struct bnr_lanes lanes;
    bnr_lane_fn *fn;
    double parameter;
    const double *x;
    double *y;
};

static void run(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t l = begin; l < end; l++) {
        const size_t at = bnr__lane_start(&j->lanes, l);
        j->fn(j->x + at, j->y + at, j->lanes.n, j->lanes.inner, j->parameter);
    }
}

enum bnr_status bnr__lanes_map(const struct bnr_args *a, struct bnr_lanes lanes, bnr_lane_fn *fn,
                               double parameter) {
    struct bnr_tensor *y;
    BNR_TRY(bnr__out_like(a, 0, a->in[0], &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    struct job j = {.lanes = lanes, .fn = fn, .parameter = parameter};
    j.x = bnr__all_f64(a, a->in[0]);
    j.y = bnr__temp_f64(a, y->numel);
    if (!j.x || !j.y)
        return BNR_NO_MEMORY;
    bnr__parallel_for(a->pool, lanes.outer * lanes.inner, 16, run, &j);
    bnr__store_f64(y->dtype, y->data, j.y, y->numel);
    return BNR_OK;
}

static int64_t softmax_axis(const struct bnr_node *n) {
    return bnr__attr_int(n, "axis", n->since >= 13 ? -1 : 1);
}

enum bnr_status bnr__softmax_infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    int axis;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    if (x->shape.rank >= 0)
        BNR_TRY(bnr__infer_axis(cx, softmax_axis(cx->node), x->shape.rank, &axis));
    return bnr__infer_same(cx);
}

struct bnr_lanes bnr__softmax_lanes(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    int64_t axis = softmax_axis(a->node);
    axis = axis < 0 ? axis + x->rank : axis;
    struct bnr_lanes lanes = bnr__lanes_of(x, (int)axis);
    if (a->node->since < 13) {
        lanes.n *= lanes.inner;
        lanes.inner = 1;
    }
    return lanes;
}

enum bnr_status bnr__softmax_map(const struct bnr_args *a, bnr_lane_fn *fn) {
    return bnr__lanes_map(a, bnr__softmax_lanes(a), fn, 0);
}
