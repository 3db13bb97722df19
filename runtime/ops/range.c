// SPDX-License-Identifier: Apache-2.0
// Range: start, start + delta, start + 2 delta, ... below limit (above it, when delta is negative).
// float16 and bfloat16 are computed in float whatever stash_type says: that is never less exact.
#include <math.h>

#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype types[] = {BNR_INT16,  BNR_INT32,   BNR_INT64,    BNR_FLOAT,
                                       BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16, BNR_UNDEFINED};

static enum bnr_status too_long(const struct bnr_node *n, struct bnr_error *err) {
    return bnr__op_fail(n, err, BNR_SHAPE, "the range has too many elements");
}

static enum bnr_status count_ints(const struct bnr_node *n, struct bnr_error *err,
                                  const int64_t v[3], int64_t *count) {
    if (v[2] == 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "delta is 0");
    *count = 0;
    if (v[2] > 0 ? v[0] >= v[1] : v[0] <= v[1])
        return BNR_OK;
    const uint64_t distance =
        v[2] > 0 ? (uint64_t)v[1] - (uint64_t)v[0] : (uint64_t)v[0] - (uint64_t)v[1];
    const uint64_t stride = v[2] > 0 ? (uint64_t)v[2] : (uint64_t)0 - (uint64_t)v[2];
    const uint64_t total = (distance - 1) / stride + 1;
    if (total > INT64_MAX)
        return too_long(n, err);
    *count = (int64_t)total;
    return BNR_OK;
}

static enum bnr_status count_floats(const struct bnr_node *n, struct bnr_error *err,
                                    const double v[3], int64_t *count) {
    const double total = ceil((v[1] - v[0]) / v[2]);
    if (v[2] == 0 || !isfinite(total))
        return bnr__op_fail(n, err, BNR_SHAPE, "start %g, limit %g and delta %g give no range",
                            v[0], v[1], v[2]);
    if (total > 0x1p62)
        return too_long(n, err);
    *count = total > 0 ? (int64_t)total : 0;
    return BNR_OK;
}

static enum bnr_status count_tensors(const struct bnr_node *n, struct bnr_error *err,
                                     const struct bnr_tensor *const t[3], int64_t *count) {
    double f[3];
    int64_t k[3];
    for (int i = 0; i < 3; i++) {
        if (t[i]->numel != 1)
            return bnr__op_fail(n, err, BNR_SHAPE, "input %d has %zu elements, expected a scalar",
                                i, t[i]->numel);
        if (bnr__dtype_is_float(t[i]->dtype))
            f[i] = bnr__tensor_f64(t[i], 0);
        else
            k[i] = bnr__tensor_i64(t[i], 0);
    }
    return bnr__dtype_is_float(t[0]->dtype) ? count_floats(n, err, f, count)
                                            : count_ints(n, err, k, count);
}

// From elements of shape arithmetic: numbers, or the range 0 .. N.
static enum bnr_status infer_elems(struct bnr_infer *cx) {
    const struct bnr_dim *e[3];
    struct bnr_shape y = {.rank = 1, .dims = {bnr__dim_unknown()}};
    int64_t v[3];
    bool known = true;
    for (int i = 0; i < 3; i++) {
        int n;
        BNR_TRY(bnr__infer_ints(cx, i, &e[i], &n));
        e[i] = n == 1 ? e[i] : NULL;
        known = known && e[i] && bnr__elem_is_number(e[i][0]);
        v[i] = known ? e[i][0].n : 0;
    }
    if (known) {
        BNR_TRY(count_ints(cx->node, cx->err, v, &y.dims[0].n));
    } else if (e[0] && e[1] && e[2] && bnr__elem_is_number(e[0][0]) && e[0][0].n == 0 &&
               e[1][0].sym && bnr__elem_is_number(e[2][0]) && e[2][0].n == 1) {
        y.dims[0] = e[1][0];
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    if (!known || y.dims[0].n > 64)
        return BNR_OK;
    struct bnr_dim elems[64];
    for (int64_t i = 0; i < y.dims[0].n; i++)
        elems[i] = (struct bnr_dim){.n = v[0] + i * v[2]};
    return bnr__infer_set_elems(cx, 0, elems, (int)y.dims[0].n);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_tensor *t[3];
    bool known = true;
    BNR_TRY(bnr__infer_dtype(cx, 0, types));
    for (int i = 0; i < 3; i++) {
        BNR_TRY(bnr__infer_same_dtype(cx, 0, i));
        BNR_TRY(bnr__infer_rank(cx, i, 0, 1));
        t[i] = cx->in[i]->tensor;
        known = known && t[i];
    }
    if (!known)
        return infer_elems(cx);
    int64_t count;
    BNR_TRY(count_tensors(cx->node, cx->err, t, &count));
    bnr__infer_set_dims(cx, 0, t[0]->dtype, 1, &count);
    return BNR_OK;
}

struct work {
    struct bnr_tensor *y;
    double start, delta;
    uint64_t first, step;
};

static void fill(void *cx, size_t begin, size_t end) {
    const struct work *w = cx;
    const enum bnr_dtype dtype = w->y->dtype;
    const float start = (float)w->start, delta = (float)w->delta;
    for (size_t i = begin; i < end && dtype == BNR_FLOAT; i++)
        w->y->f32[i] = start + (float)i * delta;
    for (size_t i = begin; i < end && dtype != BNR_FLOAT; i++) {
        void *at = w->y->u8 + i * bnr__dtype_size(dtype);
        const double d = w->start + (double)i * w->delta;
        const float f = start + (float)i * delta;
        const int64_t k = (int64_t)(w->first + i * w->step);
        if (dtype == BNR_DOUBLE)
            bnr__store_f64(dtype, at, &d, 1);
        else if (bnr__dtype_is_float(dtype))
            bnr__store_f32(dtype, at, &f, 1);
        else
            bnr__store_i64(dtype, at, &k, 1);
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    int64_t count;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(count_tensors(a->node, a->err, a->in, &count));
    BNR_TRY(bnr__out_expect(a, 0, 1, &count));
    struct work w = {.y = a->out[0],
                     .start = bnr__tensor_f64(a->in[0], 0),
                     .delta = bnr__tensor_f64(a->in[2], 0),
                     .first = (uint64_t)bnr__tensor_i64(a->in[0], 0),
                     .step = (uint64_t)bnr__tensor_i64(a->in[2], 0)};
    bnr__parallel_for(a->pool, (size_t)count, 16 * 1024, fill, &w);
    return BNR_OK;
}

BNR_DEFINE_OP(range) = {
    .domain = "",
    .name = "Range",
    .since = {11, 27},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "stash_type:i",
    .infer = infer,
    .ref = ref,
};
