// SPDX-License-Identifier: Apache-2.0
// bnrun.AveragePoolGradient(x, dy): dx of an AveragePool with the same attributes.
#include <string.h>

#include "graph/affine.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/pooling.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_window w;
    BNR_TRY(bnr__infer_tensors(cx, 0, 1, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__pooling_geometry(cx->node, &cx->in[0]->type.shape, &w, cx->err));
    return bnr__infer_same(cx);
}

// Divides each element of dy's planes by how many elements its window has.
static enum bnr_status divide(const struct bnr_args *a, const struct bnr_window *w, double *dy,
                              size_t planes, size_t out) {
    double *counts = bnr__temp_f64(a, out);
    if (!counts)
        return BNR_NO_MEMORY;
    bnr__pooling_counts(a->node, *w, counts);
    for (size_t i = 0; i < planes * out; i++)
        dy[i] /= counts[i % out];
    return BNR_OK;
}

static void spread(const struct bnr_window *w, const double *dy, double *dx) {
    struct bnr_window_run r;
    for (int64_t t = 0; t < bnr__window_taps(w); t++)
        for (bool ok = bnr__window_first(w, t, &r); ok; ok = bnr__window_next(w, &r))
            for (size_t i = 0; i < r.count; i++)
                dx[r.x + i * r.step] += dy[r.y + i];
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *dy = a->in[1];
    const struct bnr_shape shape = bnr__shape_of(x->rank, x->dims);
    struct bnr_window w;
    BNR_TRY(bnr__pooling_geometry(a->node, &shape, &w, a->err));
    bool same = dy->rank == x->rank && memcmp(dy->dims, x->dims, 2 * sizeof(*x->dims)) == 0;
    for (int i = 0; same && i < w.rank; i++)
        same = dy->dims[i + 2] == w.axis[i].out;
    if (!same)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "dy has not the dims of the pooling");
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, x->dims));
    double *dx = bnr__temp_f64(a, x->numel), *d = bnr__temp_f64(a, dy->numel);
    if (!dx || !d)
        return BNR_NO_MEMORY;
    if (dy->numel > 0 && x->numel > 0) {
        const size_t planes = bnr__dims_product(x->dims, 0, 2);
        const size_t in = x->numel / planes, out = dy->numel / planes;
        bnr__load_f64(d, dy->dtype, dy->data, dy->numel);
        BNR_TRY(divide(a, &w, d, planes, out));
        bnr__window_trim(&w);
        for (size_t p = 0; p < planes; p++)
            spread(&w, d + p * out, dx + p * in);
    }
    bnr__store_f64(x->dtype, a->out[0]->data, dx, x->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(average_pool_gradient) = {
    .domain = BNR_INTERNAL_DOMAIN,
    .name = "AveragePoolGradient",
    .since = {1},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs =
        "auto_pad:s ceil_mode:i count_include_pad:i dilations:I kernel_shape:I! pads:I strides:I",
    .infer = infer,
    .ref = ref,
};
