// SPDX-License-Identifier: Apache-2.0
// RMSNormalization (ai.onnx 23): x / sqrt(mean(x^2) + epsilon) * scale over the dims from `axis`
// on. The output has scale's dtype.
#include <math.h>

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    int axis;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_FLOAT));
    if (x->shape.rank >= 0)
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", -1), x->shape.rank, &axis));
    BNR_TRY(bnr__infer_unidirectional(cx, 1, &x->shape));
    bnr__infer_set(cx, 0, bnr__infer_in_dtype(cx, 1), &x->shape);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *s = a->in[1];
    const double epsilon = (double)bnr__attr_float(a->node, "epsilon", 1e-5f);
    const int64_t at = bnr__attr_int(a->node, "axis", -1);
    const int axis = (int)(at < 0 ? at + x->rank : at);
    struct bnr_tensor *y;
    BNR_TRY(bnr__out(a, 0, s->dtype, x->rank, x->dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const size_t rows = bnr__dims_product(x->dims, 0, axis);
    const size_t n = bnr__dims_product(x->dims, axis, x->rank);
    const int first = s->rank <= x->rank - axis ? axis : 0;
    const size_t period = bnr__dims_product(x->dims, first, x->rank);
    const double *scale = bnr__expand_f64(a, s, x->rank - first, x->dims + first);
    double *row = bnr__temp_f64(a, n);
    if (!scale || !row)
        return BNR_NO_MEMORY;
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        bnr__load_f64(row, x->dtype, bnr__at(x, r * n), n);
        for (size_t i = 0; i < n; i++)
            sum += row[i] * row[i];
        const double d = 1 / sqrt(sum / (double)n + epsilon);
        for (size_t i = 0; i < n; i++)
            row[i] *= d * scale[(r * n + i) % period];
        bnr__store_f64(y->dtype, bnr__at_mut(y, r * n), row, n);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(rms_normalization) = {
    .domain = "",
    .name = "RMSNormalization",
    .since = {23},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i epsilon:f stash_type:i",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_rms_norm,
};
