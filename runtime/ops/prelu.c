// SPDX-License-Identifier: Apache-2.0
// PRelu (ai.onnx 1, 6, 7, 9, 16): x < 0 ? slope * x : x. From 7 on slope broadcasts to x; before,
// it has one element or one per channel.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"

// Slope of versions 1 and 6 as NumPy broadcasting sees it: [C] is [C, 1, ...].
static int slope_dims(const struct bnr_node *n, int x_rank, struct bnr_shape *s) {
    if (n->since < 7 && s->rank == 1 && s->dims[0].n != 1 && x_rank > 2) {
        s->rank = x_rank - 1;
        for (int i = 1; i < s->rank; i++)
            s->dims[i] = bnr__dim_of(1);
    }
    return s->rank;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    BNR_TRY(bnr__infer_tensors(cx, 0, 1, BNR_TYPES_MATH));
    if (x->shape.rank >= 0 && bnr__infer_in(cx, 1)->shape.rank >= 0) {
        struct bnr_info slope = *cx->in[1];
        slope_dims(cx->node, x->shape.rank, &slope.type.shape);
        const struct bnr_info *in[] = {cx->in[0], &slope};
        struct bnr_infer as_seen = *cx;
        as_seen.in = in;
        BNR_TRY(bnr__infer_unidirectional(&as_seen, 1, &x->shape));
    }
    return bnr__infer_same(cx);
}

static enum bnr_status ref_float(const struct bnr_args *a, const struct bnr_tensor *slope,
                                 struct bnr_tensor *y) {
    const struct bnr_tensor *x = a->in[0];
    const double *s = bnr__expand_f64(a, slope, x->rank, x->dims);
    double *v = bnr__temp_f64(a, x->numel);
    if (!s || !v)
        return BNR_NO_MEMORY;
    bnr__load_f64(v, x->dtype, x->data, x->numel);
    for (size_t i = 0; i < x->numel; i++)
        if (v[i] < 0)
            v[i] *= s[i];
    bnr__store_f64(y->dtype, y->data, v, y->numel);
    return BNR_OK;
}

static enum bnr_status ref_int(const struct bnr_args *a, const struct bnr_tensor *slope,
                               struct bnr_tensor *y) {
    const struct bnr_tensor *x = a->in[0];
    const bool is_signed = bnr__dtype_class(x->dtype) == BNR_CLASS_INT;
    const int64_t *s = bnr__expand_i64(a, slope, x->rank, x->dims);
    int64_t *v = bnr__temp(a, x->numel, sizeof *v);
    if (!s || !v)
        return BNR_NO_MEMORY;
    bnr__load_i64(v, x->dtype, x->data, x->numel);
    for (size_t i = 0; i < x->numel; i++)
        if (is_signed && v[i] < 0)
            v[i] = (int64_t)((uint64_t)v[i] * (uint64_t)s[i]);
    bnr__store_i64(y->dtype, y->data, v, y->numel);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_shape shape = bnr__shape_of(a->in[1]->rank, a->in[1]->dims);
    struct bnr_tensor slope = {.dtype = a->in[1]->dtype}, *y;
    int64_t dims[BNR_MAX_RANK];
    BNR_TRY(bnr__out_like(a, 0, x, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    slope_dims(a->node, x->rank, &shape);
    bnr__shape_numbers(&shape, dims);
    bnr__tensor_set(&slope, slope.dtype, shape.rank, dims, a->in[1]->data);
    return bnr__dtype_is_float(x->dtype) ? ref_float(a, &slope, y) : ref_int(a, &slope, y);
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    const struct bnr_info *slope = bnr__steps_info(s, n, 1);
    if (s->chained != 0 || !slope || slope->type.dtype != BNR_FLOAT)
        return false;
    struct bnr_shape shape = slope->type.shape;
    slope_dims(n, s->rank, &shape);
    return bnr__steps_arrays(s, BNR_ELTWISE_PRELU, slope->tensor, NULL, &shape);
}

BNR_DEFINE_OP(prelu) = {
    .domain = "",
    .name = "PRelu",
    .since = {1, 6, 7, 9, 16},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ELEMENTWISE | BNR_OP_INPLACE | BNR_OP_ACTIVATION,
    .attrs = "consumed_inputs:I",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_homogeneous,
    .step = step,
    .prepare = bnr__prepare_steps,
};
