// SPDX-License-Identifier: Apache-2.0
// QLinearMatMul (ai.onnx 10, 21): the product of (a - a_zero_point) and (b - b_zero_point), times
// a_scale * b_scale / y_scale, rounded, plus y_zero_point, saturated. Parameters of a may differ by
// row, those of b by column.
#include "runtime/ops/lib/matmul.h"
#include "runtime/ops/lib/quantize.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    for (int i = 0; i < 2; i++) {
        const int x = 3 * i;
        const enum bnr_quant_side side = i == 0 ? BNR_QUANT_ROWS : BNR_QUANT_COLUMNS;
        BNR_TRY(bnr__infer_types(cx, x, BNR_TYPES_8BIT | BNR_TYPES_FLOAT8));
        BNR_TRY(bnr__infer_types(cx, x + 1, BNR_TYPES_FLOAT));
        BNR_TRY(bnr__infer_same_dtype(cx, x, x + 2));
        BNR_TRY(bnr__quant_side_infer(cx, x + 1, x, side));
        BNR_TRY(bnr__quant_side_infer(cx, x + 2, x, side));
    }
    BNR_TRY(bnr__infer_types(cx, 6, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, 7, BNR_TYPES_8BIT | BNR_TYPES_FLOAT8));
    BNR_TRY(bnr__quant_count_infer(cx, 6, bnr__dim_of(1)));
    BNR_TRY(bnr__quant_count_infer(cx, 7, bnr__dim_of(1)));
    return bnr__matmul_infer(cx, 0, 3, bnr__infer_in_dtype(cx, 7));
}

// The dims of the output with rows and columns in place, also where an operand is a vector.
static int matrix_dims(const struct bnr_args *a, int64_t dims[BNR_MAX_RANK]) {
    struct bnr_matmul_shape s;
    bnr__matmul_shape(a->in[0], a->in[3], &s);
    for (int i = 0; i < s.batch_rank; i++)
        dims[i] = s.batch[i];
    dims[s.batch_rank] = (int64_t)s.m;
    dims[s.batch_rank + 1] = (int64_t)s.n;
    return s.batch_rank + 2;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const enum bnr_dtype precision = a->in[1]->dtype;
    const double zero = bnr__tensor_f64(a->in[7], 0), y_scale = bnr__tensor_f64(a->in[6], 0);
    int64_t dims[BNR_MAX_RANK], wide[BNR_MAX_RANK];
    int rank;
    struct bnr_tensor *y;
    const double *x = bnr__quant_shifted(a, 0, 2, BNR_QUANT_ROWS);
    const double *w = bnr__quant_shifted(a, 3, 5, BNR_QUANT_COLUMNS);
    double *v = x && w ? bnr__quant_matmul(a, 0, 3, x, w, &rank, dims) : NULL;
    if (!v)
        return BNR_NO_MEMORY;
    BNR_TRY(bnr__out(a, 0, a->in[7]->dtype, rank, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const int wide_rank = matrix_dims(a, wide);
    const double *as = bnr__quant_side_expand(a, a->in[1], BNR_QUANT_ROWS, wide_rank, wide, 1);
    const double *bs = bnr__quant_side_expand(a, a->in[4], BNR_QUANT_COLUMNS, wide_rank, wide, 1);
    if (!as || !bs)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < y->numel; i++) {
        double factor = as[i] * bs[i];
        bnr__round_to(precision, &factor, 1);
        factor /= y_scale;
        bnr__round_to(precision, &factor, 1);
        v[i] *= factor;
        bnr__quant_store(y->dtype, y->u8 + i, v + i, &zero, 1, true);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(qlinear_matmul) = {
    .domain = "",
    .name = "QLinearMatMul",
    .since = {10, 21},
    .min_in = 8,
    .max_in = 8,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_quant_matmul,
};
