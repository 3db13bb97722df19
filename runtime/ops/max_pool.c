// SPDX-License-Identifier: Apache-2.0
// MaxPool (ai.onnx 1, 8, 10, 11, 12, 22): the largest element of each window; from 8 on also where
// it was, as an index into the flattened input (storage_order 1: as if each plane were
// column-major). Padding is never chosen. The first of equal elements wins. NaN loses against every
// number.
#include <math.h>

#include "runtime/base/pool.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/pooling.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const int64_t order = bnr__attr_int(cx->node, "storage_order", 0);
    if (order != 0 && order != 1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "storage_order is %lld, expected 0 or 1",
                            (long long)order);
    return bnr__pooling_infer(cx, BNR_TYPES_FLOAT | BNR_TYPE(INT8) | BNR_TYPE(UINT8));
}

struct job {
    const struct bnr_pooling *p;
    int64_t *at; // position within the plane, or -1; NULL: not wanted
};

static void planes(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct bnr_pooling *p = j->p;
    const int64_t taps = bnr__window_taps(&p->window);
    struct bnr_window_run r;
    for (size_t plane = begin; plane < end; plane++) {
        const double *x = p->x + plane * p->in;
        double *y = p->y + plane * p->out;
        int64_t *at = j->at ? j->at + plane * p->out : NULL;
        for (size_t i = 0; i < p->out; i++) {
            y[i] = -HUGE_VAL;
            if (at)
                at[i] = -1;
        }
        for (int64_t t = 0; t < taps; t++)
            for (bool ok = bnr__window_first(&p->window, t, &r); ok;
                 ok = bnr__window_next(&p->window, &r))
                for (size_t i = 0; i < r.count; i++) {
                    const size_t from = r.x + i * r.step, to = r.y + i;
                    const bool larger = x[from] > y[to];
                    if (at && (larger || at[to] < 0))
                        at[to] = (int64_t)from;
                    if (larger)
                        y[to] = x[from];
                }
    }
}

// Position in a row-major plane -> the same element's position in a column-major one.
static int64_t column_major(const struct bnr_window *w, int64_t at) {
    int64_t index[BNR_MAX_RANK], out = 0;
    for (int i = w->rank - 1; i >= 0; i--) {
        index[i] = at % w->axis[i].in;
        at /= w->axis[i].in;
    }
    for (int i = w->rank - 1; i >= 0; i--)
        out = out * w->axis[i].in + index[i];
    return out;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_pooling p;
    struct bnr_tensor *indices;
    BNR_TRY(bnr__pooling_begin(a, &p));
    BNR_TRY(bnr__out(a, 1, BNR_INT64, p.result->rank, p.result->dims, &indices));
    if (!p.y)
        return BNR_OK;
    bnr__window_trim(&p.window);
    struct job j = {.p = &p, .at = indices ? indices->i64 : NULL};
    bnr__parallel_for(a->pool, p.planes, 1, planes, &j);
    bnr__pooling_end(&p);
    const bool columns = bnr__attr_int(a->node, "storage_order", 0) == 1;
    for (size_t i = 0; indices && i < indices->numel; i++) {
        const int64_t plane = (int64_t)(i / p.out), at = indices->i64[i];
        if (at >= 0)
            indices->i64[i] = plane * (int64_t)p.in + (columns ? column_major(&p.window, at) : at);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(max_pool) = {
    .domain = "",
    .name = "MaxPool",
    .since = {1, 8, 10, 11, 12, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .flags = BNR_OP_EPILOGUE | BNR_OP_PROLOGUE,
    .attrs = "auto_pad:s ceil_mode:i dilations:I kernel_shape:I! pads:I storage_order:i strides:I",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_max_pool,
    .prepare = bnr__prepare_max_pool,
};
