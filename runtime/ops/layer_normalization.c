// SPDX-License-Identifier: Apache-2.0
// LayerNormalization (ai.onnx 17): (x - mean) / sqrt(var + epsilon) * Scale + B over the dims from
// `axis` on; also mean and 1 / sqrt(var + epsilon), in the type that stash_type says.
#include <math.h>

#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/moments.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    const enum bnr_dtype stash = bnr__dtype_attr(cx->node, "stash_type", BNR_FLOAT);
    BNR_TRY(bnr__infer_tensors(cx, 0, 2, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__check_dtype_attr(cx->node, "stash_type", BNR_TYPES_FLOAT, cx->err));
    struct bnr_shape stats = x->shape;
    if (x->shape.rank >= 0) {
        int axis;
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", -1), x->shape.rank, &axis));
        for (int i = axis; i < stats.rank; i++)
            stats.dims[i] = bnr__dim_of(1);
    }
    BNR_TRY(bnr__infer_unidirectional(cx, 1, &x->shape));
    BNR_TRY(bnr__infer_unidirectional(cx, 2, &x->shape));
    bnr__infer_set(cx, 1, stash, &stats);
    bnr__infer_set(cx, 2, stash, &stats);
    return bnr__infer_same(cx);
}

// Scale or B written out for all of X, or for one row where it is the same in each: *period
// elements.
static const double *parameter(const struct bnr_args *a, const struct bnr_tensor *t, int axis,
                               size_t *period) {
    const struct bnr_tensor *x = a->in[0];
    const int first = t->rank <= x->rank - axis ? axis : 0;
    *period = bnr__dims_product(x->dims, first, x->rank);
    return bnr__expand_f64(a, t, x->rank - first, x->dims + first);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *b = bnr__in(a, 2);
    const double epsilon = (double)bnr__attr_float(a->node, "epsilon", 1e-5f);
    const enum bnr_dtype stash = bnr__dtype_attr(a->node, "stash_type", BNR_FLOAT);
    const int64_t at = bnr__attr_int(a->node, "axis", -1);
    const int axis = (int)(at < 0 ? at + x->rank : at);
    int64_t dims[BNR_MAX_RANK];
    struct bnr_tensor *y, *mean, *inv;
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < axis ? x->dims[i] : 1;
    BNR_TRY(bnr__out_like(a, 0, x, &y));
    BNR_TRY(bnr__out(a, 1, stash, x->rank, dims, &mean));
    BNR_TRY(bnr__out(a, 2, stash, x->rank, dims, &inv));
    const size_t rows = bnr__dims_product(x->dims, 0, axis);
    const size_t n = bnr__dims_product(x->dims, axis, x->rank);
    if (rows == 0 || (n == 0 && !mean && !inv))
        return BNR_OK;
    size_t scale_period = 1, bias_period = 1;
    const double zero = 0, *scale = parameter(a, a->in[1], axis, &scale_period);
    const double *bias = b ? parameter(a, b, axis, &bias_period) : &zero;
    double *row = bnr__temp_f64(a, n);
    if (!scale || !bias || !row)
        return BNR_NO_MEMORY;
    for (size_t r = 0; r < rows; r++) {
        bnr__load_f64(row, x->dtype, bnr__at(x, r * n), n);
        const struct bnr_moments m = bnr__moments(row, 1, 0, n);
        const double d = 1 / sqrt(m.var + epsilon);
        for (size_t i = 0; i < n; i++) {
            const size_t k = r * n + i;
            row[i] = (row[i] - m.mean) * d * scale[k % scale_period] + bias[k % bias_period];
        }
        if (y)
            bnr__store_f64(y->dtype, bnr__at_mut(y, r * n), row, n);
        if (mean)
            bnr__store_f64(stash, bnr__at_mut(mean, r), &m.mean, 1);
        if (inv)
            bnr__store_f64(stash, bnr__at_mut(inv, r), &d, 1);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(layer_normalization) = {
    .domain = "",
    .name = "LayerNormalization",
    .since = {17},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 3,
    .attrs = "axis:i epsilon:f stash_type:i",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_layer_norm,
    .affine = &bnr__affine_layer_norm,
};
