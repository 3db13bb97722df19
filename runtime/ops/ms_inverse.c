// SPDX-License-Identifier: Apache-2.0
// Inverse (com.microsoft): of each matrix of the last two dims, by elimination with row pivots. The inverse of
// a singular matrix is not finite.
#include <math.h>

#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    if (x->rank >= 2)
        BNR_TRY(bnr__infer_dims_agree(cx, "dims of a square matrix", x->dims[x->rank - 2],
                                      x->dims[x->rank - 1], NULL));
    return bnr__infer_same(cx);
}

// m [n, n] becomes the identity while y becomes its inverse.
static void invert(double *m, double *y, size_t n) {
    for (size_t i = 0; i < n * n; i++)
        y[i] = i % (n + 1) == 0;
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;
        for (size_t r = c + 1; r < n; r++)
            if (fabs(m[r * n + c]) > fabs(m[pivot * n + c]))
                pivot = r;
        const double scale = 1 / m[pivot * n + c];
        for (size_t i = 0; i < n; i++) {
            const double a = m[pivot * n + i] * scale, b = y[pivot * n + i] * scale;
            m[pivot * n + i] = m[c * n + i];
            y[pivot * n + i] = y[c * n + i];
            m[c * n + i] = a;
            y[c * n + i] = b;
        }
        for (size_t r = 0; r < n; r++) {
            const double f = m[r * n + c];
            for (size_t i = 0; i < n && r != c; i++) {
                m[r * n + i] -= f * m[c * n + i];
                y[r * n + i] -= f * y[c * n + i];
            }
        }
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const size_t n = (size_t)x->dims[x->rank - 1];
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, x->dims));
    double *m = bnr__temp_f64(a, x->numel), *y = bnr__temp_f64(a, x->numel);
    if (!m || !y)
        return BNR_NO_MEMORY;
    if (x->numel > 0)
        bnr__load_f64(m, x->dtype, x->data, x->numel);
    for (size_t i = 0; i < x->numel; i += n * n)
        invert(m + i, y + i, n);
    bnr__store_f64(x->dtype, a->out[0]->data, y, x->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(ms_inverse) = {
    .domain = "com.microsoft",
    .name = "Inverse",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
};
