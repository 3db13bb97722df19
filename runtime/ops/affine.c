// SPDX-License-Identifier: Apache-2.0
// bnrun.Affine, what BatchNormalization is lowered to: y = s[c] * x + t[c] along `axis`, with s and
// t float64 [C]. Computed in double and rounded once, to the dtype of x.
#include "graph/affine.h"
#include "graph/op.h"
#include "runtime/base/pool.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"

static const enum bnr_dtype x_types[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16,
                                         BNR_UNDEFINED};
static const enum bnr_dtype constant_types[] = {BNR_DOUBLE, BNR_UNDEFINED};

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    int axis = 0;
    BNR_TRY(bnr__infer_dtype(cx, 0, x_types));
    for (int i = 1; i < 3; i++) {
        BNR_TRY(bnr__infer_dtype(cx, i, constant_types));
        BNR_TRY(bnr__infer_rank(cx, i, 1, 1));
    }
    if (x->rank >= 0) {
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 1), x->rank, &axis));
        for (int i = 1; i < 3; i++) {
            const struct bnr_shape *c = &cx->in[i]->type.shape;
            if (c->rank == 1 && c->dims[0].n >= 0 && x->dims[axis].n >= 0 &&
                c->dims[0].n != x->dims[axis].n)
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                    "input %d has %lld elements, dim %d of x is %lld", i,
                                    (long long)c->dims[0].n, axis, (long long)x->dims[axis].n);
        }
    }
    BNR_TRY(bnr__infer_same(cx));
    // As Mul by these numbers in a file says.
    if (x->rank >= 0 && x->dims[axis].n < 0 && cx->in[1]->type.shape.rank == 1)
        cx->out[0]->type.shape.dims[axis] = cx->in[1]->type.shape.dims[0];
    return BNR_OK;
}

struct work {
    const struct bnr_tensor *x, *y;
    const double *s, *t;
    size_t channels, run; // run: elements behind the axis
};

static void row_f32(float *y, const float *x, size_t n, double s, double t) {
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(s * (double)x[i] + t);
}

static void row_any(const struct work *w, size_t first, size_t n, double s, double t) {
    const size_t size = bnr__dtype_size(w->x->dtype);
    double v[64];
    for (size_t i = 0; i < n; i += BNR_COUNT(v)) {
        const size_t m = n - i < BNR_COUNT(v) ? n - i : BNR_COUNT(v);
        bnr__load_f64(v, w->x->dtype, w->x->u8 + (first + i) * size, m);
        for (size_t k = 0; k < m; k++)
            v[k] = s * v[k] + t;
        bnr__store_f64(w->y->dtype, w->y->u8 + (first + i) * size, v, m);
    }
}

// Rows are the runs of one channel.
static void rows(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    for (size_t i = begin; i < end; i++) {
        const size_t c = i % w->channels;
        if (w->x->dtype == BNR_FLOAT)
            row_f32(w->y->f32 + i * w->run, w->x->f32 + i * w->run, w->run, w->s[c], w->t[c]);
        else
            row_any(w, i * w->run, w->run, w->s[c], w->t[c]);
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, x->dims));
    int64_t axis = bnr__attr_int(a->node, "axis", 1);
    axis = axis < 0 ? axis + x->rank : axis;
    if (axis < 0 || axis >= x->rank || (int64_t)a->in[1]->numel != x->dims[axis] ||
        (int64_t)a->in[2]->numel != x->dims[axis])
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu factors along axis %lld",
                            a->in[1]->numel, (long long)axis);
    if (x->numel == 0)
        return BNR_OK;
    struct work w = {.x = x, .y = a->out[0], .s = a->in[1]->f64, .t = a->in[2]->f64, .run = 1};
    w.channels = (size_t)x->dims[axis];
    for (int i = (int)axis + 1; i < x->rank; i++)
        w.run *= (size_t)x->dims[i];
    bnr__parallel_for(a->pool, x->numel / w.run, (1 << 14) / w.run + 1, rows, &w);
    return BNR_OK;
}

// s and t are [C]: [C, 1, ...] to broadcasting.
static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    const int64_t axis = bnr__attr_int(n, "axis", 1);
    struct bnr_shape shape = {.rank = s->rank - (int)(axis < 0 ? axis + s->rank : axis)};
    if (s->chained != 0 || shape.rank < 1 || shape.rank > s->rank)
        return false;
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i].n = i == 0 ? s->dims[s->rank - shape.rank] : 1;
    return bnr__steps_arrays(s, BNR_ELTWISE_AFFINE, bnr__steps_info(s, n, 1)->tensor,
                             bnr__steps_info(s, n, 2)->tensor, &shape);
}

BNR_DEFINE_OP(affine) = {
    .domain = BNR_INTERNAL_DOMAIN,
    .name = "Affine",
    .since = {1},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ELEMENTWISE | BNR_OP_INPLACE | BNR_OP_ACTIVATION,
    .attrs = "axis:i!",
    .infer = infer,
    .ref = ref,
    .step = step,
    .prepare = bnr__prepare_steps,
};
