// SPDX-License-Identifier: Apache-2.0
// MatMulInteger (ai.onnx 10): (A - a_zero_point) * (B - b_zero_point) as int32 (modulo 2^32).
#include "runtime/ops/lib/matmul.h"
#include "runtime/ops/lib/quantize.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    for (int i = 0; i < 2; i++) {
        BNR_TRY(bnr__infer_types(cx, i, BNR_TYPES_8BIT));
        if (bnr__infer_in(cx, i + 2))
            BNR_TRY(bnr__infer_same_dtype(cx, i, i + 2));
    }
    BNR_TRY(bnr__quant_side_infer(cx, 2, 0, BNR_QUANT_ROWS));
    BNR_TRY(bnr__quant_side_infer(cx, 3, 1, BNR_QUANT_COLUMNS));
    return bnr__matmul_infer(cx, 0, 1, BNR_INT32);
}

static enum bnr_status ref(const struct bnr_args *a) {
    int64_t dims[BNR_MAX_RANK];
    int rank;
    struct bnr_tensor *y;
    const double *x = bnr__quant_shifted(a, 0, 2, BNR_QUANT_ROWS);
    const double *w = bnr__quant_shifted(a, 1, 3, BNR_QUANT_COLUMNS);
    const double *v = x && w ? bnr__quant_matmul(a, 0, 1, x, w, &rank, dims) : NULL;
    if (!v)
        return BNR_NO_MEMORY;
    BNR_TRY(bnr__out(a, 0, BNR_INT32, rank, dims, &y));
    for (size_t i = 0; y && i < y->numel; i++) {
        const int64_t whole = (int64_t)v[i];
        bnr__store_i64(BNR_INT32, y->i32 + i, &whole, 1);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(matmul_integer) = {
    .domain = "",
    .name = "MatMulInteger",
    .since = {10},
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_quant_matmul,
};
