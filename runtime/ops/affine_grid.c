// SPDX-License-Identifier: Apache-2.0
// AffineGrid (ai.onnx 20): theta times the homogeneous coordinates of every element of an image of
// `size` [N, C, (D,) H, W], in coordinates from -1 to 1, innermost axis first.
#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *theta = bnr__infer_in(cx, 0);
    const struct bnr_dim *elems;
    int n;
    struct bnr_shape y = bnr__shape_unknown();
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_INDEX));
    BNR_TRY(bnr__infer_rank(cx, 0, 3, 3));
    BNR_TRY(bnr__infer_rank(cx, 1, 1, 1));
    BNR_TRY(bnr__infer_ints(cx, 1, &elems, &n));
    if (elems) {
        if (n != 4 && n != 5)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "size has %d elements, expected 4 or 5", n);
        for (int i = 0; i < n; i++)
            if (bnr__elem_is_number(elems[i]) && elems[i].n < 0)
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "size[%d] is %lld", i,
                                    (long long)elems[i].n);
        y.rank = n;
        y.dims[0] = bnr__dim_of_elem(elems[0]);
        for (int i = 2; i < n; i++)
            y.dims[i - 1] = bnr__dim_of_elem(elems[i]);
        y.dims[n - 1] = bnr__dim_of(n - 2);
        if (theta->shape.rank == 3) {
            BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", theta->shape.dims[0], y.dims[0],
                                          &y.dims[0]));
            BNR_TRY(bnr__infer_dims_agree(cx, "theta's rows", theta->shape.dims[1],
                                          bnr__dim_of(n - 2), NULL));
            BNR_TRY(bnr__infer_dims_agree(cx, "theta's columns", theta->shape.dims[2],
                                          bnr__dim_of(n - 1), NULL));
        }
    }
    bnr__infer_set(cx, 0, theta->dtype, &y);
    return BNR_OK;
}

static double coordinate(int64_t i, int64_t n, bool align_corners) {
    if (align_corners)
        return n > 1 ? -1 + 2 * (double)i / (double)(n - 1) : -1;
    return (2 * (double)i + 1) / (double)n - 1;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *theta = a->in[0], *size = a->in[1];
    const bool align = bnr__attr_int(a->node, "align_corners", 0) != 0;
    const int axes = (int)size->numel - 2;
    int64_t dims[BNR_MAX_RANK];
    struct bnr_tensor *y;
    dims[0] = bnr__tensor_i64(size, 0);
    for (int i = 0; i < axes; i++)
        dims[i + 1] = bnr__tensor_i64(size, (size_t)i + 2);
    dims[axes + 1] = axes;
    BNR_TRY(bnr__out(a, 0, theta->dtype, axes + 2, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const double *t = bnr__all_f64(a, theta);
    if (!t)
        return BNR_NO_MEMORY;
    const size_t per_image = bnr__dims_product(dims, 1, axes + 1);
    for (size_t k = 0; k < y->numel / (size_t)axes; k++) {
        const double *m = t + k / per_image * (size_t)(axes * (axes + 1));
        double p[3], v[3];
        size_t rest = k % per_image;
        for (int i = axes - 1; i >= 0; i--) { // p[0] belongs to the innermost axis
            p[axes - 1 - i] = coordinate((int64_t)(rest % (size_t)dims[i + 1]), dims[i + 1], align);
            rest /= (size_t)dims[i + 1];
        }
        for (int r = 0; r < axes; r++) {
            v[r] = m[r * (axes + 1) + axes];
            for (int i = 0; i < axes; i++)
                v[r] += m[r * (axes + 1) + i] * p[i];
        }
        bnr__store_f64(y->dtype, bnr__at_mut(y, k * (size_t)axes), v, (size_t)axes);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(affine_grid) = {
    .domain = "",
    .name = "AffineGrid",
    .since = {20},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "align_corners:i",
    .infer = infer,
    .ref = ref,
};
