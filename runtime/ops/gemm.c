// SPDX-License-Identifier: Apache-2.0
// Gemm (ai.onnx 1, 6, 7, 9, 11, 13): y = alpha * A' * B' + beta * C, C broadcast to [M, N]. Below
// opset 7 C broadcasts only with attribute broadcast = 1.
#include <math.h>

#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/matmul.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status check_c(struct bnr_infer *cx, const struct bnr_shape *y) {
    const struct bnr_type *t = bnr__infer_in(cx, 2);
    if (!t || t->shape.rank < 0)
        return BNR_OK;
    const struct bnr_shape *c = &t->shape;
    const bool exact = cx->node->since < 7 && bnr__attr_int(cx->node, "broadcast", 0) == 0;
    bool fits = exact ? c->rank == 2 : c->rank <= 2;
    for (int i = 1; fits && i <= c->rank; i++) {
        const int64_t have = c->dims[c->rank - i].n, want = y->dims[2 - i].n;
        fits = have < 0 || want < 0 || have == want || (have == 1 && !exact);
    }
    if (fits)
        return BNR_OK;
    char seen[200], wanted[200];
    const struct bnr_type yt = {.dtype = t->dtype, .shape = *y};
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "C is %s, which does not %s %s",
                        bnr__type_describe(t, seen, sizeof seen), exact ? "equal" : "broadcast to",
                        bnr__type_describe(&yt, wanted, sizeof wanted));
}

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_tensors(cx, 0, 2, BNR_TYPES_MATH));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, 2));
    BNR_TRY(bnr__infer_rank(cx, 1, 2, 2));
    const struct bnr_type *a = bnr__infer_in(cx, 0), *b = bnr__infer_in(cx, 1);
    const int ta = bnr__attr_int(cx->node, "transA", 0) != 0,
              tb = bnr__attr_int(cx->node, "transB", 0) != 0;
    const struct bnr_dim unknown = {.n = -1};
    const bool ka = a && a->shape.rank == 2, kb = b && b->shape.rank == 2;
    struct bnr_shape y = {.rank = 2};
    y.dims[0] = ka ? a->shape.dims[ta] : unknown;
    y.dims[1] = kb ? b->shape.dims[1 - tb] : unknown;
    BNR_TRY(bnr__infer_dims_agree(cx, "the inner dims of the product",
                                  ka ? a->shape.dims[1 - ta] : unknown,
                                  kb ? b->shape.dims[tb] : unknown, NULL));
    BNR_TRY(check_c(cx, &y));
    bnr__infer_set(cx, 0, bnr__infer_in_dtype(cx, 0), &y);
    return BNR_OK;
}

// Strides of C as seen from [M, N].
static void c_strides(const struct bnr_tensor *c, size_t *row, size_t *col) {
    *row = *col = 0;
    if (c->rank >= 1 && c->dims[c->rank - 1] != 1)
        *col = 1;
    if (c->rank == 2 && c->dims[0] != 1)
        *row = (size_t)c->dims[1];
}

static enum bnr_status ref_float(const struct bnr_args *a, const struct bnr_matmul *p,
                                 const struct bnr_tensor *c, struct bnr_tensor *y) {
    const double alpha = (double)bnr__attr_float(a->node, "alpha", 1.0f);
    const double beta = (double)bnr__attr_float(a->node, "beta", 1.0f);
    const double *x = bnr__all_f64(a, a->in[0]), *cd = bnr__all_f64(a, c);
    double *yd = bnr__temp_f64(a, y->numel);
    size_t row = 0, col = 0;
    if (!x || !yd || (c && !cd))
        return BNR_NO_MEMORY;
    if (c)
        c_strides(c, &row, &col);
    bnr__matmul_f64(p, x, yd, a->pool);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double *v = &yd[i * p->n + j];
            *v *= alpha;
            if (cd && beta != 0)
                *v += beta * cd[i * row + j * col];
        }
    bnr__store_f64(y->dtype, y->data, yd, y->numel);
    return BNR_OK;
}

// v * f, exact where f is an integer, else truncated.
static int64_t scale_int(int64_t v, double f) {
    if (f == floor(f) && fabs(f) < 0x1p53)
        return (int64_t)((uint64_t)v * (uint64_t)(int64_t)f);
    double r = (double)v * f;
    int64_t out;
    bnr__store_f64(BNR_INT64, &out, &r, 1);
    return out;
}

static enum bnr_status ref_int(const struct bnr_args *a, const struct bnr_matmul *p,
                               const struct bnr_tensor *c, struct bnr_tensor *y) {
    const double alpha = (double)bnr__attr_float(a->node, "alpha", 1.0f);
    const double beta = (double)bnr__attr_float(a->node, "beta", 1.0f);
    const int64_t *x = bnr__all_i64(a, a->in[0]), *ci = bnr__all_i64(a, c);
    int64_t *yi = bnr__temp(a, y->numel, sizeof *yi);
    size_t row = 0, col = 0;
    if (!x || !yi || (c && !ci))
        return BNR_NO_MEMORY;
    if (c)
        c_strides(c, &row, &col);
    bnr__matmul_i64(p, x, yi, a->pool);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            int64_t *v = &yi[i * p->n + j];
            const int64_t add = ci ? scale_int(ci[i * row + j * col], beta) : 0;
            *v = (int64_t)((uint64_t)scale_int(*v, alpha) + (uint64_t)add);
        }
    bnr__store_i64(y->dtype, y->data, yi, y->numel);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *w = a->in[1], *c = bnr__in(a, 2);
    const bool ta = bnr__attr_int(a->node, "transA", 0) != 0,
               tb = bnr__attr_int(a->node, "transB", 0) != 0;
    struct bnr_matmul p = {.trans_a = ta, .trans_b = tb, .b_dtype = w->dtype, .b = w->data};
    p.m = (size_t)x->dims[ta];
    p.k = (size_t)x->dims[!ta];
    p.n = (size_t)w->dims[!tb];
    struct bnr_tensor *y;
    const int64_t dims[2] = {(int64_t)p.m, (int64_t)p.n};
    BNR_TRY(bnr__out(a, 0, x->dtype, 2, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    return bnr__dtype_is_float(x->dtype) ? ref_float(a, &p, c, y) : ref_int(a, &p, c, y);
}

BNR_DEFINE_OP(gemm) = {
    .domain = "",
    .name = "Gemm",
    .since = {1, 6, 7, 9, 11, 13},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_EPILOGUE,
    .attrs = "alpha:f beta:f broadcast:i transA:i transB:i",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_gemm,
    .prepare = bnr__prepare_gemm,
};
