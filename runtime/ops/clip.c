// SPDX-License-Identifier: Apache-2.0
// Clip: y = min(max(x, lo), hi); NaN stays NaN, and hi wins where the bounds cross. The bounds are
// attributes before version 11, then optional inputs; by default the limits of the dtype.
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

#define CLAMP(x, lo, hi) ((x) < (lo) ? ((lo) > (hi) ? (hi) : (lo)) : (x) > (hi) ? (hi) : (x))
BNR_FLOAT_LOOP3(clip, CLAMP(a, b, c))
BNR_INT_LOOP3(clip, CLAMP(a, b, c))

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(clip), BNR_INTS(clip)},
};

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_types(cx, 0, each.types));
    for (int i = 1; i < cx->n_in; i++) {
        BNR_TRY(bnr__infer_same_dtype(cx, 0, i));
        if (cx->in[i] == NULL)
            continue;
        const struct bnr_shape *s = &cx->in[i]->type.shape;
        for (int d = 0; d < s->rank; d++)
            if (s->dims[d].n >= 0 && s->dims[d].n != 1)
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                    "bound (input %d) has dim %lld, expected a scalar", i,
                                    (long long)s->dims[d].n);
    }
    return bnr__infer_same(cx);
}

// The bound as a scalar in x's dtype, held in *element where it is not an input.
static enum bnr_status bound(const struct bnr_args *a, int i, struct bnr_tensor *t,
                             int64_t *element) {
    const enum bnr_dtype dtype = a->in[0]->dtype;
    const struct bnr_attr *attr = bnr__attr(a->node, i == 1 ? "min" : "max");
    const struct bnr_tensor *in = i < a->n_in ? a->in[i] : NULL;
    void *data = element;
    if (in != NULL) {
        if (in->numel != 1 || in->dtype != dtype)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "bound (input %d) has %zu elements of %s, expected one of %s", i,
                                in->numel, bnr__dtype_name(in->dtype), bnr__dtype_name(dtype));
        data = in->data;
    } else if (a->node->since < 11 && attr != NULL) {
        bnr__store_f32(dtype, element, attr->floats, 1);
    } else {
        bnr__dtype_limit(dtype, i == 2, element);
    }
    bnr__tensor_set(t, dtype, 0, NULL, data);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const enum bnr_class c = bnr__dtype_class(x->dtype);
    struct bnr_tensor lo = {.kind = BNR_KIND_TENSOR}, hi = lo;
    int64_t lo_element, hi_element;
    if (each.loop[c] == NULL)
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "not defined for %s",
                            bnr__dtype_name(x->dtype));
    BNR_TRY(bound(a, 1, &lo, &lo_element));
    BNR_TRY(bound(a, 2, &hi, &hi_element));
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, x->dims));
    const struct bnr_each_call call = {
        .in = {x, &lo, &hi},
        .cls = {c, c, c},
        .n_in = 3,
        .out = a->out[0],
        .out_cls = c,
        .loop = each.loop[c],
    };
    bnr__each_call(&call, a->pool);
    return BNR_OK;
}

// The bound where it is constant.
static bool step_bound(const struct bnr_steps *s, const struct bnr_node *n, int i, float *bound) {
    const struct bnr_info *info = bnr__steps_info(s, n, i);
    const struct bnr_attr *attr = bnr__attr(n, i == 1 ? "min" : "max");
    bnr__dtype_limit(BNR_FLOAT, i == 2, bound);
    if (info != NULL) {
        if (info->tensor == NULL || info->tensor->numel != 1 || info->tensor->dtype != BNR_FLOAT)
            return false;
        *bound = info->tensor->f32[0];
    } else if (n->since < 11 && attr != NULL) {
        *bound = attr->floats[0];
    }
    return true;
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    float lo, hi;
    return step_bound(s, n, 1, &lo) && step_bound(s, n, 2, &hi) &&
           bnr__steps_unary(s, BNR_ELTWISE_CLAMP, lo, hi);
}

BNR_DEFINE_OP(clip) = {
    .domain = "",
    .name = "Clip",
    .since = {1, 6, 11, 12, 13},
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ELEMENTWISE | BNR_OP_INPLACE | BNR_OP_ACTIVATION,
    .attrs = "min:f max:f",
    .infer = infer,
    .ref = ref,
    .step = step,
    .prepare = bnr__prepare_steps,
};
