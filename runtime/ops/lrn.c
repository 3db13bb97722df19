// SPDX-License-Identifier: Apache-2.0
// LRN (ai.onnx 1, 13): x / (bias + alpha / size * s)^beta, s the sum of squares over `size`
// channels around the element's own.
#include <math.h>

#include "runtime/ops/lib/lanes.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const int64_t size = bnr__attr_int(cx->node, "size", 0);
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    if (size < 1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "size is %lld, expected 1 or more",
                            (long long)size);
    return bnr__infer_same(cx);
}

struct lrn {
    double alpha, beta, bias;
    int64_t below, above; // channels before and after the element's own
};

static void lane(const struct lrn *p, const double *x, double *y, int64_t n, size_t stride) {
    for (int64_t c = 0; c < n; c++) {
        const int64_t lo = c > p->below ? c - p->below : 0;
        const int64_t hi = n - 1 - c > p->above ? c + p->above : n - 1;
        double sum = 0;
        for (int64_t i = lo; i <= hi; i++)
            sum += x[(size_t)i * stride] * x[(size_t)i * stride];
        y[(size_t)c * stride] = x[(size_t)c * stride] / pow(p->bias + p->alpha * sum, p->beta);
    }
}

struct job {
    const struct lrn *p;
    struct bnr_lanes lanes;
    const double *x;
    double *y;
};

static void run(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t i = begin; i < end; i++) {
        const size_t at = bnr__lane_start(&j->lanes, i);
        lane(j->p, j->x + at, j->y + at, (int64_t)j->lanes.n, j->lanes.inner);
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_node *n = a->node;
    const struct bnr_lanes l = bnr__lanes_of(a->in[0], 1);
    const int64_t size = bnr__attr_int(n, "size", 1);
    struct bnr_tensor *y;
    BNR_TRY(bnr__out_like(a, 0, a->in[0], &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const double *x = bnr__all_f64(a, a->in[0]);
    double *yd = bnr__temp_f64(a, y->numel);
    if (!x || !yd)
        return BNR_NO_MEMORY;
    const struct lrn p = {.alpha = (double)bnr__attr_float(n, "alpha", 1e-4f) / (double)size,
                          .beta = (double)bnr__attr_float(n, "beta", 0.75f),
                          .bias = (double)bnr__attr_float(n, "bias", 1.0f),
                          .below = (size - 1) / 2,
                          .above = size / 2};
    struct job j = {.p = &p, .lanes = l, .x = x, .y = yd};
    bnr__parallel_for(a->pool, l.outer * l.inner, 64, run, &j);
    bnr__store_f64(y->dtype, y->data, yd, y->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(lrn) = {
    .domain = "",
    .name = "LRN",
    .since = {1, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "alpha:f beta:f bias:f size:i!",
    .infer = infer,
    .ref = ref,
};
