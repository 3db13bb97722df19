// SPDX-License-Identifier: Apache-2.0
// DequantizeLinear (ai.onnx 10, 13, 19, 21, 23, 24, 25): (x - x_zero_point) * x_scale, with scales
// as in QuantizeLinear.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/quantize.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const enum bnr_dtype scale = bnr__infer_in_dtype(cx, 1);
    const enum bnr_dtype dtype = bnr__dtype_attr(cx->node, "output_dtype", scale);
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_QUANTIZED | BNR_TYPE(INT32)));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_FLOAT | BNR_TYPE(FLOAT8E8M0)));
    BNR_TRY(bnr__check_dtype_attr(cx->node, "output_dtype", BNR_TYPES_FLOAT, cx->err));
    if (bnr__infer_in(cx, 2))
        BNR_TRY(bnr__infer_same_dtype(cx, 0, 2));
    if (dtype == BNR_FLOAT8E8M0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "scales of %s need attribute output_dtype", bnr__dtype_name(scale));
    BNR_TRY(bnr__quant_infer(cx));
    bnr__infer_set(cx, 0, dtype, &bnr__infer_in(cx, 0)->shape);
    return BNR_OK;
}

struct work {
    struct bnr_tensor *y;
    const struct bnr_tensor *x, *scale, *zero;
};

static void dequantize_run(void *cx, const struct bnr_quant_run *run) {
    const struct work *w = cx;
    const size_t z = w->zero && w->zero->numel > 1 ? run->parameter : 0;
    bnr__dequantize_f32(w->y->f32 + run->at, w->x->dtype, w->x->u8 + run->at,
                        w->scale->f32[run->parameter],
                        w->zero ? (int)bnr__tensor_i64(w->zero, z) : 0, run->n);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *s = a->in[1], *z = bnr__in(a, 2);
    struct bnr_tensor *y;
    BNR_TRY(
        bnr__out(a, 0, bnr__dtype_attr(a->node, "output_dtype", s->dtype), x->rank, x->dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const struct bnr_quant_layout l = bnr__quant_layout(a->node, x, s);
    if ((x->dtype == BNR_INT8 || x->dtype == BNR_UINT8) && s->dtype == BNR_FLOAT &&
        y->dtype == BNR_FLOAT && !l.block) {
        struct work w = {.y = y, .x = x, .scale = s, .zero = z};
        bnr__quant_runs(&l, a->pool, dequantize_run, &w);
        return BNR_OK;
    }
    const double *scale = bnr__all_f64(a, s), *zero = bnr__all_f64(a, z);
    double *v = bnr__temp_f64(a, x->numel);
    if (!scale || (z && !zero) || !v)
        return BNR_NO_MEMORY;
    bnr__load_f64(v, x->dtype, x->data, x->numel);
    for (size_t o = 0, at = 0; o < l.outer; o++)
        for (size_t i = 0; i < l.n; i++)
            for (size_t k = 0; k < l.inner; k++, at++) {
                const size_t p = bnr__quant_index(&l, o, i, k);
                const double shift = z ? zero[z->numel == 1 ? 0 : p] : 0;
                v[at] = (v[at] - shift) * scale[p];
            }
    bnr__store_f64(y->dtype, y->data, v, y->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(dequantize_linear) = {
    .domain = "",
    .name = "DequantizeLinear",
    .since = {10, 13, 19, 21, 23, 24, 25},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i block_size:i output_dtype:i",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_dequantize,
};
