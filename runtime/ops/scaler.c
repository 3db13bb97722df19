// SPDX-License-Identifier: Apache-2.0
// Scaler: Y = (X - offset) * scale, each a list of one number or of one per feature (the last
// axis).
#include "runtime/ops/lib/ml.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML));
    bnr__infer_set(cx, 0, BNR_FLOAT, &cx->in[0]->type.shape);
    return BNR_OK;
}

static enum bnr_status check(const struct bnr_args *a, const char *name, struct bnr_ml_floats list,
                             size_t features) {
    if (list.n <= 1 || list.n == features)
        return BNR_OK;
    return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                        "attribute '%s' has %zu values for %zu features", name, list.n, features);
}

static double pick(struct bnr_ml_floats list, size_t i, double fallback) {
    return list.n == 0 ? fallback : (double)list.v[list.n == 1 ? 0 : i % list.n];
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *t = a->in[0];
    const size_t features = t->rank > 0 ? (size_t)t->dims[t->rank - 1] : 1;
    const struct bnr_ml_floats offset = bnr__ml_floats(a->node, "offset");
    const struct bnr_ml_floats scale = bnr__ml_floats(a->node, "scale");
    BNR_TRY(check(a, "offset", offset, features));
    BNR_TRY(check(a, "scale", scale, features));
    BNR_TRY(bnr__out_alloc(a, 0, BNR_FLOAT, t->rank, t->dims));
    const double *x = bnr__all_f64(a, t);
    if (x == NULL)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < t->numel; i++)
        a->out[0]->f32[i] = (float)((x[i] - pick(offset, i, 0)) * pick(scale, i, 1));
    return BNR_OK;
}

BNR_DEFINE_OP(scaler) = {
    .domain = BNR_ML_DOMAIN,
    .name = "Scaler",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "offset:F scale:F",
    .infer = infer,
    .ref = ref,
};
