// SPDX-License-Identifier: Apache-2.0
// DynamicQuantizeLinear (ai.onnx 11): uint8 with scale and zero point from the range of x, 0
// included. All steps are rounded to x's type, as in the function body that defines the operator.
// An input of zeros alone has scale 1 / 255.
#include <math.h>

#include "runtime/ops/lib/quantize.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPE(FLOAT) | BNR_TYPE(DOUBLE)));
    bnr__infer_set(cx, 0, BNR_UINT8, &x->shape);
    bnr__infer_set_dims(cx, 1, x->dtype, 0, NULL);
    bnr__infer_set_dims(cx, 2, BNR_UINT8, 0, NULL);
    return BNR_OK;
}

static double rounded(enum bnr_dtype type, double v) {
    bnr__round_to(type, &v, 1);
    return v;
}

struct work {
    struct bnr_tensor *y;
    const struct bnr_tensor *x;
    float scale;
    int zero;
};

static void quantize_run(void *cx, const struct bnr_quant_run *run) {
    const struct work *w = cx;
    bnr__quantize_f32(BNR_UINT8, w->y->u8 + run->at, w->x->f32 + run->at, w->scale, w->zero,
                      run->n);
}

// NaN counts for nothing.
static void find_range(const struct bnr_tensor *x, double *min, double *max) {
    enum { PART = 256 };
    double v[PART], low[8] = {0}, high[8] = {0};
    for (size_t at = 0; at < x->numel; at += PART) {
        const size_t n = x->numel - at < PART ? x->numel - at : PART;
        bnr__load_f64(v, x->dtype, bnr__at(x, at), n);
        for (size_t i = n; i % 8; i++)
            v[i] = 0;
        for (size_t i = 0; i < n; i += 8)
            for (size_t k = 0; k < 8; k++) {
                low[k] = v[i + k] < low[k] ? v[i + k] : low[k];
                high[k] = v[i + k] > high[k] ? v[i + k] : high[k];
            }
    }
    for (size_t k = 0; k < 8; k++) {
        *min = fmin(*min, low[k]);
        *max = fmax(*max, high[k]);
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_tensor *y, *scale_out, *zero_out;
    BNR_TRY(bnr__out(a, 0, BNR_UINT8, x->rank, x->dims, &y));
    BNR_TRY(bnr__out(a, 1, x->dtype, 0, NULL, &scale_out));
    BNR_TRY(bnr__out(a, 2, BNR_UINT8, 0, NULL, &zero_out));
    double min = 0, max = 0;
    find_range(x, &min, &max);
    const double range = max == min ? 1 : rounded(x->dtype, max - min);
    const double scale = rounded(x->dtype, range / 255);
    const double zero = rint(fmin(255, fmax(0, -rounded(x->dtype, min / scale))));
    if (y && x->dtype == BNR_FLOAT) {
        const struct bnr_quant_layout l = {.outer = 1, .n = x->numel, .inner = 1};
        struct work w = {.y = y, .x = x, .scale = (float)scale, .zero = (int)zero};
        bnr__quant_runs(&l, a->pool, quantize_run, &w);
    } else if (y) {
        for (size_t i = 0; i < x->numel; i++) {
            const double v = bnr__tensor_f64(x, i) / scale;
            bnr__quant_store(BNR_UINT8, y->u8 + i, &v, &zero, 1, true);
        }
    }
    if (scale_out)
        bnr__store_f64(scale_out->dtype, scale_out->data, &scale, 1);
    if (zero_out)
        bnr__store_f64(BNR_UINT8, zero_out->data, &zero, 1);
    return BNR_OK;
}

BNR_DEFINE_OP(dynamic_quantize_linear) = {
    .domain = "",
    .name = "DynamicQuantizeLinear",
    .since = {11},
    .min_in = 1,
    .max_in = 1,
    .min_out = 3,
    .max_out = 3,
    .infer = infer,
    .ref = ref,
};
