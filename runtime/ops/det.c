// SPDX-License-Identifier: Apache-2.0
// Det: the determinants of the matrices in the last two axes, by elimination with row pivoting in
// double.
#include <math.h>

#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct bnr_shape y = x->shape;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    if (y.rank >= 0) {
        struct bnr_dim side;
        BNR_TRY(bnr__infer_dims_agree(cx, "the last two dims", y.dims[y.rank - 2],
                                      y.dims[y.rank - 1], &side));
        y.rank -= 2;
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

// m [n, n] is destroyed.
static double determinant(double *m, size_t n) {
    double det = 1;
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;
        for (size_t r = c + 1; r < n; r++)
            if (fabs(m[r * n + c]) > fabs(m[pivot * n + c]))
                pivot = r;
        det *= m[pivot * n + c];
        if (m[pivot * n + c] == 0)
            return 0;
        if (pivot != c)
            det = -det;
        for (size_t j = c; j < n && pivot != c; j++) {
            const double swap = m[c * n + j];
            m[c * n + j] = m[pivot * n + j];
            m[pivot * n + j] = swap;
        }
        for (size_t r = c + 1; r < n; r++) {
            const double factor = m[r * n + c] / m[c * n + c];
            for (size_t j = c + 1; j < n; j++)
                m[r * n + j] -= factor * m[c * n + j];
        }
    }
    return det;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "the last two dims are not those of a square");
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank - 2, x->dims));
    if (a->out[0]->numel == 0)
        return BNR_OK;
    const size_t n = (size_t)x->dims[x->rank - 1];
    double *m = bnr__temp_f64(a, n > 0 ? n * n : 1);
    if (m == NULL)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < a->out[0]->numel; i++) {
        bnr__load_f64(m, x->dtype, bnr__at(x, i * n * n), n * n);
        const double det = determinant(m, n);
        bnr__store_f64(x->dtype, bnr__at_mut(a->out[0], i), &det, 1);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(det) = {
    .domain = "",
    .name = "Det",
    .since = {11, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
};
