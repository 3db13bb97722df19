// SPDX-License-Identifier: Apache-2.0
// MatMul (ai.onnx 1, 9, 13): NumPy's matmul. Floats in double, integers modulo 2^64.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/matmul.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_tensors(cx, 0, 1, BNR_TYPES_MATH));
    return bnr__matmul_infer(cx, 0, 1, bnr__infer_in_dtype(cx, 0));
}

struct buffers { // one of each pair is used
    double *af, *yf;
    int64_t *ai, *yi;
};

static void product(const struct bnr_args *a, const struct bnr_matmul *p, size_t a_at, size_t y_at,
                    const struct buffers *buf) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_tensor *y = a->out[0];
    if (buf->af) {
        bnr__load_f64(buf->af, x->dtype, bnr__at(x, a_at), p->m * p->k);
        bnr__matmul_f64(p, buf->af, buf->yf, a->pool);
        bnr__store_f64(y->dtype, bnr__at_mut(y, y_at), buf->yf, p->m * p->n);
    } else {
        bnr__load_i64(buf->ai, x->dtype, bnr__at(x, a_at), p->m * p->k);
        bnr__matmul_i64(p, buf->ai, buf->yi, a->pool);
        bnr__store_i64(y->dtype, bnr__at_mut(y, y_at), buf->yi, p->m * p->n);
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *w = a->in[1];
    struct bnr_tensor *y;
    struct bnr_matmul_shape s;
    struct buffers buf = {0};
    bnr__matmul_shape(x, w, &s);
    BNR_TRY(bnr__out(a, 0, x->dtype, s.rank, s.dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    if (bnr__dtype_is_float(x->dtype)) {
        buf.af = bnr__temp_f64(a, s.m * s.k);
        buf.yf = bnr__temp_f64(a, s.m * s.n);
    } else {
        buf.ai = bnr__temp(a, s.m * s.k, sizeof *buf.ai);
        buf.yi = bnr__temp(a, s.m * s.n, sizeof *buf.yi);
    }
    if (!(buf.af && buf.yf) && !(buf.ai && buf.yi))
        return BNR_NO_MEMORY;
    struct bnr_matmul p = {.m = s.m, .n = s.n, .k = s.k, .b_dtype = w->dtype};
    for (size_t i = 0; i < s.count; i++) {
        size_t ia, ib;
        bnr__matmul_operands(&s, i, &ia, &ib);
        p.b = bnr__at(w, ib * s.k * s.n);
        product(a, &p, ia * s.m * s.k, i * s.m * s.n, &buf);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(matmul) = {
    .domain = "",
    .name = "MatMul",
    .since = {1, 9, 13},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_EPILOGUE,
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_matmul,
    .prepare = bnr__prepare_matmul,
};
