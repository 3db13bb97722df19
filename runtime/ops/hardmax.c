// SPDX-License-Identifier: Apache-2.0
// Hardmax (ai.onnx 1, 11, 13): 1 for the first largest element of a lane (or its first
// NaN), 0 for the others.
#include "runtime/ops/lib/arg_reduce.h"
#include "runtime/ops/lib/copy.h"
#include "runtime/ops/lib/lanes.h"

struct work {
    struct bnr_tensor *y;
    const int64_t *best;
    struct bnr_lanes lanes;
};

static void mark(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    const double one = 1;
    for (size_t lane = begin; lane < end; lane++)
        bnr__store_f64(w->y->dtype,
                       bnr__at_mut(w->y, bnr__lane_start(&w->lanes, lane) +
                                             (size_t)w->best[lane] * w->lanes.inner),
                       &one, 1);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const uint64_t zero = 0;
    struct work w = {.lanes = bnr__softmax_lanes(a)};
    BNR_TRY(bnr__out_like(a, 0, x, &w.y));
    if (!w.y || x->numel == 0)
        return BNR_OK;
    const size_t lanes = w.lanes.outer * w.lanes.inner;
    int64_t *best = bnr__temp(a, lanes, sizeof *best);
    if (!best)
        return BNR_NO_MEMORY;
    bnr__arg_search(x, &w.lanes, true, false, best, a->pool);
    w.best = best;
    bnr__copy_fill(w.y->data, &zero, bnr__dtype_size(x->dtype), x->numel, a->pool);
    bnr__parallel_for(a->pool, lanes, 4096, mark, &w);
    return BNR_OK;
}

BNR_DEFINE_OP(hardmax) = {
    .domain = "",
    .name = "Hardmax",
    .since = {1, 11, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = bnr__softmax_infer,
    .ref = ref,
};
