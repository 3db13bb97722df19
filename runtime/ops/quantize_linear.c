// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear (ai.onnx 10, 13, 19, 21, 23, 24, 25): saturate(round(x / y_scale) + y_zero_point),
// one scale for all of x, for each index of an axis, or for each block of it. The quotient is
// rounded to the scale's type (or that of attribute `precision`) first.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/quantize.h"

#define X_TYPES (BNR_TYPES_FLOAT | BNR_TYPE(INT32))

static enum bnr_dtype output_dtype(const struct bnr_node *n, bool has_zero, enum bnr_dtype zero) {
    return has_zero ? zero : bnr__dtype_attr(n, "output_dtype", BNR_UINT8);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const enum bnr_dtype attr = bnr__dtype_attr(cx->node, "output_dtype", BNR_UNDEFINED);
    const enum bnr_dtype zero = bnr__infer_in_dtype(cx, 2);
    BNR_TRY(bnr__infer_types(cx, 0, X_TYPES));
    BNR_TRY(bnr__infer_types(cx, 1, X_TYPES | BNR_TYPE(FLOAT8E8M0)));
    BNR_TRY(bnr__infer_types(cx, 2, BNR_TYPES_QUANTIZED));
    BNR_TRY(bnr__check_dtype_attr(cx->node, "output_dtype", BNR_TYPES_QUANTIZED, cx->err));
    BNR_TRY(bnr__check_dtype_attr(cx->node, "precision", BNR_TYPES_FLOAT, cx->err));
    if (attr && zero && zero != attr)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "output_dtype is %s, but the zero point is %s", bnr__dtype_name(attr),
                            bnr__dtype_name(zero));
    BNR_TRY(bnr__quant_infer(cx));
    bnr__infer_set(cx, 0, output_dtype(cx->node, bnr__infer_in(cx, 2) != NULL, zero),
                   &bnr__infer_in(cx, 0)->shape);
    return BNR_OK;
}

// The type in which x / scale is rounded.
static enum bnr_dtype division_type(const struct bnr_node *n, enum bnr_dtype x,
                                    enum bnr_dtype scale) {
    const enum bnr_dtype precision = bnr__dtype_attr(n, "precision", BNR_UNDEFINED);
    if (precision)
        return precision;
    if (BNR_TYPES_FLOAT >> scale & 1)
        return scale;
    return BNR_TYPES_FLOAT >> x & 1 ? x : BNR_FLOAT;
}

struct work {
    struct bnr_tensor *y;
    const struct bnr_tensor *x, *scale, *zero;
};

static void quantize_run(void *cx, const struct bnr_quant_run *run) {
    const struct work *w = cx;
    const size_t z = w->zero && w->zero->numel > 1 ? run->parameter : 0;
    bnr__quantize_f32(w->y->dtype, w->y->u8 + run->at, w->x->f32 + run->at,
                      w->scale->f32[run->parameter], w->zero ? (int)bnr__tensor_i64(w->zero, z) : 0,
                      run->n);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *s = a->in[1], *z = bnr__in(a, 2);
    struct bnr_tensor *y;
    BNR_TRY(bnr__out(a, 0, output_dtype(a->node, z, z ? z->dtype : BNR_UNDEFINED), x->rank, x->dims,
                     &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const struct bnr_quant_layout l = bnr__quant_layout(a->node, x, s);
    const enum bnr_dtype type = division_type(a->node, x->dtype, s->dtype);
    const bool saturate = bnr__attr_int(a->node, "saturate", 1) != 0;
    if (x->dtype == BNR_FLOAT && s->dtype == BNR_FLOAT && type == BNR_FLOAT && !l.block &&
        (y->dtype == BNR_INT8 || y->dtype == BNR_UINT8)) {
        struct work w = {.y = y, .x = x, .scale = s, .zero = z};
        bnr__quant_runs(&l, a->pool, quantize_run, &w);
        return BNR_OK;
    }
    const double *scale = bnr__all_f64(a, s), *zero = bnr__all_f64(a, z);
    double *v = bnr__temp_f64(a, x->numel), *shift = bnr__temp_f64(a, x->numel);
    if (!scale || (z && !zero) || !v || !shift)
        return BNR_NO_MEMORY;
    bnr__load_f64(v, x->dtype, x->data, x->numel);
    for (size_t o = 0, at = 0; o < l.outer; o++)
        for (size_t i = 0; i < l.n; i++)
            for (size_t k = 0; k < l.inner; k++, at++) {
                const size_t p = bnr__quant_index(&l, o, i, k);
                v[at] /= scale[p];
                shift[at] = z ? zero[z->numel == 1 ? 0 : p] : 0;
            }
    bnr__round_to(type, v, x->numel);
    bnr__quant_store(y->dtype, y->data, v, shift, x->numel, saturate);
    return BNR_OK;
}

BNR_DEFINE_OP(quantize_linear) = {
    .domain = "",
    .name = "QuantizeLinear",
    .since = {10, 13, 19, 21, 23, 24, 25},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i block_size:i output_dtype:i precision:i saturate:i",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_quantize,
};
