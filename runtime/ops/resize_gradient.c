// SPDX-License-Identifier: Apache-2.0
// bnrun.ResizeGradient(x, roi, scales, sizes, dy): dx of a Resize with the same attributes and inputs,
// of the version `since` (before 11: x, scales, -, -, dy). Every element of dy goes back, by axes, to
// those that its own element was made of.
#include "graph/affine.h"
#include "runtime/ops/lib/resize.h"

enum { DY = 4 };

static enum bnr_status infer(struct bnr_infer *cx) {
    if (!bnr__infer_in(cx, DY))
        return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "dy is left out");
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, DY, BNR_TYPES_FLOAT));
    return bnr__infer_same(cx);
}

// dst[outer, in, inner] from src[outer, out, inner].
static void spread(const struct bnr_resize *r, int axis, const struct bnr_resize_axis *w,
                   const double *src, double *dst) {
    const size_t in = (size_t)r->in[axis], out = (size_t)r->out[axis], taps = (size_t)w->taps;
    size_t outer = 1, inner = 1; // axes in front are done, those behind not yet
    for (int i = 0; i < axis; i++)
        outer *= (size_t)r->in[i];
    for (int i = axis + 1; i < r->rank; i++)
        inner *= (size_t)r->out[i];
    for (size_t o = 0; o < outer; o++, src += out * inner, dst += in * inner)
        for (size_t k = 0; k < out * taps; k++) {
            if (w->outside[k / taps])
                continue;
            const double weight = w->weight[k], *from = src + k / taps * inner;
            double *to = dst + (size_t)w->index[k] * inner;
            for (size_t i = 0; i < inner; i++)
                to[i] += weight * from[i];
        }
}

static enum bnr_status go_back(const struct bnr_args *a, const struct bnr_resize *r, const double *d) {
    for (int axis = 0; axis < r->rank; axis++) {
        struct bnr_resize_axis w;
        size_t n;
        int64_t dims[BNR_MAX_RANK];
        for (int i = 0; i < r->rank; i++)
            dims[i] = i <= axis ? r->in[i] : r->out[i];
        BNR_TRY(bnr__shape_numel(dims, r->rank, "the gradient", &n, a->err));
        double *next = bnr__temp_f64(a, n);
        if (!next)
            return BNR_NO_MEMORY;
        BNR_TRY(bnr__resize_axis(a, r, axis, &w));
        if (n > 0)
            spread(r, axis, &w, d, next);
        d = next;
    }
    bnr__store_f64(a->out[0]->dtype, a->out[0]->data, d, a->out[0]->numel);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *dy = a->in[DY];
    const struct bnr_node resize = bnr__node_since(a->node);
    struct bnr_resize r;
    BNR_TRY(bnr__resize_read(a, &resize, &r));
    bool same = dy->rank == r.rank;
    for (int i = 0; same && i < r.rank; i++)
        same = dy->dims[i] == r.out[i];
    if (!same)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "dy has not the dims of what is resized");
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, x->dims));
    const double *d = bnr__all_f64(a, dy);
    return d ? go_back(a, &r, d) : BNR_NO_MEMORY;
}

BNR_DEFINE_OP(resize_gradient) = {
    .domain = BNR_INTERNAL_DOMAIN,
    .name = "ResizeGradient",
    .since = {1},
    .min_in = 1, // roi, scales and sizes may be left out
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
};
