// SPDX-License-Identifier: Apache-2.0
// MelWeightMatrix (ai.onnx 17): triangles of height 1, evenly spaced on the mel scale, over the
// bins of a one-sided spectrum.
#include <math.h>

#include "runtime/ops/lib/compute.h"

enum { MEL_BINS, DFT_LENGTH, SAMPLE_RATE, LOWER, UPPER };

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = {.rank = 2, .dims = {bnr__dim_unknown(), bnr__dim_unknown()}};
    enum bnr_status status;
    double v;
    BNR_TRY(bnr__check_dtype_attr(cx->node, "output_datatype", BNR_TYPES_NUMERIC, cx->err));
    for (int i = 0; i < 5; i++) {
        BNR_TRY(bnr__infer_types(cx, i, i < LOWER ? BNR_TYPES_INDEX : BNR_TYPES_FLOAT));
        const bool known = bnr__infer_scalar(cx, i, &v, &status);
        BNR_TRY(status);
        if (known && i < LOWER && v < 1)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input %d is %g, expected 1 or more",
                                i, v);
        if (known && i == MEL_BINS)
            y.dims[1] = bnr__dim_of((int64_t)v);
        if (known && i == DFT_LENGTH)
            y.dims[0] = bnr__dim_of((int64_t)v / 2 + 1);
    }
    bnr__infer_set(cx, 0, bnr__dtype_attr(cx->node, "output_datatype", BNR_FLOAT), &y);
    return BNR_OK;
}

static double to_mel(double hertz) {
    return 2595 * log10(1 + hertz / 700);
}

// The spectrum bin of edge i of the triangles.
static double edge(const double in[5], double i) {
    const double low = to_mel(in[LOWER]), step = (to_mel(in[UPPER]) - low) / (in[MEL_BINS] + 2);
    const double hertz = 700 * (pow(10, (low + i * step) / 2595) - 1);
    return floor((in[DFT_LENGTH] + 1) * hertz / in[SAMPLE_RATE]);
}

static void triangle(double *y, int64_t columns, int64_t left, int64_t middle, int64_t right) {
    if (left == middle)
        y[middle * columns] = 1;
    for (int64_t j = left; left < middle && j <= middle; j++)
        y[j * columns] = (double)(j - left) / (double)(middle - left);
    for (int64_t j = middle; j < right; j++)
        y[j * columns] = (double)(right - j) / (double)(right - middle);
}

static enum bnr_status ref(const struct bnr_args *a) {
    double in[5];
    const enum bnr_dtype dtype = bnr__dtype_attr(a->node, "output_datatype", BNR_FLOAT);
    struct bnr_tensor *y;
    for (int i = 0; i < 5; i++) {
        if (a->in[i]->numel != 1)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d has %zu elements, expected 1",
                                i, a->in[i]->numel);
        in[i] = bnr__tensor_f64(a->in[i], 0);
        if (i < LOWER && in[i] < 1)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d is %g, expected 1 or more", i,
                                in[i]);
    }
    const int64_t columns = bnr__tensor_i64(a->in[MEL_BINS], 0);
    const int64_t bins = bnr__tensor_i64(a->in[DFT_LENGTH], 0) / 2 + 1, dims[] = {bins, columns};
    BNR_TRY(bnr__out(a, 0, dtype, 2, dims, &y));
    double *v = y ? bnr__temp_f64(a, y->numel) : NULL;
    if (!v)
        return y ? BNR_NO_MEMORY : BNR_OK;
    for (int64_t i = 0; i < columns; i++) {
        const double left = edge(in, (double)i), middle = edge(in, (double)i + 1);
        const double right = edge(in, (double)i + 2);
        if (!(left >= 0 && left <= middle && middle <= right && right <= (double)bins &&
              middle < (double)bins))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "the band from %g to %g hertz does not fit into %lld bins",
                                in[LOWER], in[UPPER], (long long)bins);
        triangle(v + i, columns, (int64_t)left, (int64_t)middle, (int64_t)right);
    }
    bnr__store_f64(dtype, y->data, v, y->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(mel_weight_matrix) = {
    .domain = "",
    .name = "MelWeightMatrix",
    .since = {17},
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = "output_datatype:i",
    .infer = infer,
    .ref = ref,
};
