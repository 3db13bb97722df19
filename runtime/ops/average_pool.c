// SPDX-License-Identifier: Apache-2.0
// AveragePool (ai.onnx 1, 7, 10, 11, 19, 22): the mean of each window. Padding does not count, or
// with count_include_pad counts as zeros; what ceil_mode adds beyond the padding never counts.
#include "runtime/base/pool.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/pooling.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__pooling_infer(cx, BNR_TYPES_FLOAT);
}

struct job {
    const struct bnr_pooling *p;
    const double *counts;
};

static void planes(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct bnr_pooling *p = j->p;
    const int64_t taps = bnr__window_taps(&p->window);
    struct bnr_window_run r;
    for (size_t plane = begin; plane < end; plane++) {
        const double *x = p->x + plane * p->in;
        double *y = p->y + plane * p->out;
        for (int64_t t = 0; t < taps; t++)
            for (bool ok = bnr__window_first(&p->window, t, &r); ok;
                 ok = bnr__window_next(&p->window, &r))
                for (size_t i = 0; i < r.count; i++)
                    y[r.y + i] += x[r.x + i * r.step];
        for (size_t i = 0; i < p->out; i++)
            y[i] /= j->counts[i];
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_pooling p;
    BNR_TRY(bnr__pooling_begin(a, &p));
    if (!p.y)
        return BNR_OK;
    double *counts = bnr__temp_f64(a, p.out);
    if (!counts)
        return BNR_NO_MEMORY;
    bnr__pooling_counts(a->node, p.window, counts);
    bnr__window_trim(&p.window);
    struct job j = {.p = &p, .counts = counts};
    bnr__parallel_for(a->pool, p.planes, 1, planes, &j);
    bnr__pooling_end(&p);
    return BNR_OK;
}

BNR_DEFINE_OP(average_pool) = {
    .domain = "",
    .name = "AveragePool",
    .since = {1, 7, 10, 11, 19, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_EPILOGUE | BNR_OP_PROLOGUE,
    .attrs =
        "auto_pad:s ceil_mode:i count_include_pad:i dilations:I kernel_shape:I! pads:I strides:I",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_average_pool,
    .prepare = bnr__prepare_average_pool,
};
