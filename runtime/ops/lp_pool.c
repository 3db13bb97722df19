// SPDX-License-Identifier: Apache-2.0
// LpPool (ai.onnx 1, 2, 11, 18, 22): the p-norm of each window, padding being zero.
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/lp_norm.h"
#include "runtime/ops/lib/pooling.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__lp_check(cx->node, cx->err));
    return bnr__pooling_infer(cx, BNR_TYPES_FLOAT);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const double power = bnr__lp_attr(a->node);
    struct bnr_pooling p;
    struct bnr_window_run r;
    BNR_TRY(bnr__pooling_begin(a, &p));
    if (!p.y)
        return BNR_OK;
    bnr__window_trim(&p.window);
    const int64_t taps = bnr__window_taps(&p.window);
    for (size_t plane = 0; plane < p.planes; plane++) {
        const double *x = p.x + plane * p.in;
        double *y = p.y + plane * p.out;
        for (int64_t t = 0; t < taps; t++)
            for (bool ok = bnr__window_first(&p.window, t, &r); ok;
                 ok = bnr__window_next(&p.window, &r))
                for (size_t i = 0; i < r.count; i++)
                    y[r.y + i] += bnr__lp_power(x[r.x + i * r.step], power);
        for (size_t i = 0; i < p.out; i++)
            y[i] = bnr__lp_root(y[i], power);
    }
    bnr__pooling_end(&p);
    return BNR_OK;
}

BNR_DEFINE_OP(lp_pool) = {
    .domain = "",
    .name = "LpPool",
    .since = {1, 2, 11, 18, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "auto_pad:s ceil_mode:i dilations:I kernel_shape:I p:if pads:I strides:I",
    .infer = infer,
    .ref = ref,
};
