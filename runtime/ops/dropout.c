// SPDX-License-Identifier: Apache-2.0
// Dropout (ai.onnx 1, 6, 7, 10, 12, 13, 22): the input; in training mode zero where a random number
// is below `ratio`, and the rest divided by 1 - ratio. Training: is_test = 0 in versions 1 and 6,
// never in 7 and 10, input training_mode from 12 on. The second output is the mask of what was
// kept.
//
// The numbers are NumPy's RandomState(seed).uniform() in element order; without a seed, the node's
// id is the seed, so that runs are reproducible and nodes differ.
#include <string.h>

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/mt19937.h"

static enum bnr_dtype mask_dtype(const struct bnr_node *n, enum bnr_dtype data) {
    return n->since < 10 ? data : BNR_BOOL;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    enum bnr_status status;
    double value;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT | BNR_TYPES_FLOAT8));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_FLOAT | BNR_TYPES_FLOAT8));
    BNR_TRY(bnr__infer_types(cx, 2, BNR_TYPE(BOOL)));
    for (int i = 1; i <= 2; i++) {
        bnr__infer_scalar(cx, i, &value, &status);
        BNR_TRY(status);
    }
    bnr__infer_set(cx, 1, mask_dtype(cx->node, x->dtype), &x->shape);
    return bnr__infer_same(cx);
}

// The ratio to drop, 0 in inference mode.
static enum bnr_status read_ratio(const struct bnr_args *a, double *ratio) {
    const struct bnr_tensor *r = bnr__in(a, 1), *training = bnr__in(a, 2);
    const int since = a->node->since;
    *ratio = 0;
    if (since < 12) {
        if (since < 7 && bnr__attr_int(a->node, "is_test", 0) == 0)
            *ratio = (double)bnr__attr_float(a->node, "ratio", 0.5f);
    } else if ((training && training->numel != 1) || (r && r->numel != 1)) {
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "ratio and training_mode must have one element");
    } else if (training && bnr__tensor_i64(training, 0) != 0) {
        *ratio = r ? bnr__tensor_f64(r, 0) : 0.5;
    }
    if (*ratio >= 0 && *ratio < 1)
        return BNR_OK;
    return bnr__op_fail(a->node, a->err, BNR_SHAPE, "ratio is %g, expected 0 <= ratio < 1", *ratio);
}

static enum bnr_status drop(const struct bnr_args *a, double ratio, struct bnr_tensor *y,
                            struct bnr_tensor *mask) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_mt19937 *mt = bnr__temp(a, 1, sizeof *mt);
    double *v = bnr__temp_f64(a, x->numel);
    if (!mt || !v)
        return BNR_NO_MEMORY;
    bnr__mt19937_seed(mt, (uint32_t)bnr__attr_int(a->node, "seed", a->node->id));
    bnr__load_f64(v, x->dtype, x->data, x->numel);
    for (size_t i = 0; i < x->numel; i++) {
        const double keep = bnr__mt19937_double(mt) >= ratio ? 1 : 0;
        v[i] *= keep / (1 - ratio);
        if (mask)
            bnr__store_f64(mask->dtype, bnr__at_mut(mask, i), &keep, 1);
    }
    if (y)
        bnr__store_f64(y->dtype, y->data, v, y->numel);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const double one = 1;
    struct bnr_tensor *y, *mask;
    double ratio;
    BNR_TRY(read_ratio(a, &ratio));
    BNR_TRY(bnr__out_like(a, 0, x, &y));
    BNR_TRY(bnr__out(a, 1, mask_dtype(a->node, x->dtype), x->rank, x->dims, &mask));
    if (ratio > 0)
        return drop(a, ratio, y, mask);
    if (y && y->data != x->data && x->nbytes > 0)
        memmove(y->data, x->data, x->nbytes);
    for (size_t i = 0; mask && i < mask->numel; i++)
        bnr__store_f64(mask->dtype, bnr__at_mut(mask, i), &one, 1);
    return BNR_OK;
}

BNR_DEFINE_OP(dropout) = {
    .domain = "",
    .name = "Dropout",
    .since = {1, 6, 7, 10, 12, 13, 22},
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 2,
    .flags = BNR_OP_INPLACE | BNR_OP_RANDOM,
    .attrs = "consumed_inputs:I is_test:i ratio:f seed:i",
    .infer = infer,
    .ref = ref,
};
