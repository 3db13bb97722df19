// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/window_function.h"

#include <math.h>

#include "runtime/ops/lib/compute.h"

enum bnr_status bnr__window_function_infer(struct bnr_infer *cx) {
    struct bnr_shape y = {.rank = 1, .dims = {bnr__dim_unknown()}};
    enum bnr_status status;
    double size;
    BNR_TRY(bnr__check_dtype_attr(cx->node, "output_datatype", BNR_TYPES_NUMERIC, cx->err));
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_INDEX));
    if (bnr__infer_scalar(cx, 0, &size, &status)) {
        if (size < 0)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "size is %g, expected 0 or more",
                                size);
        y.dims[0] = bnr__dim_of((int64_t)size);
    }
    BNR_TRY(status);
    bnr__infer_set(cx, 0, bnr__dtype_attr(cx->node, "output_datatype", BNR_FLOAT), &y);
    return BNR_OK;
}

enum bnr_status bnr__window_function_ref(const struct bnr_args *a, const double c[3]) {
    const bool periodic = bnr__attr_int(a->node, "periodic", 1) != 0;
    const enum bnr_dtype dtype = bnr__dtype_attr(a->node, "output_datatype", BNR_FLOAT);
    struct bnr_tensor *y;
    if (a->in[0]->numel != 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "size has %zu elements, expected 1",
                            a->in[0]->numel);
    const int64_t size = bnr__tensor_i64(a->in[0], 0);
    if (size < 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "size is %lld, expected 0 or more",
                            (long long)size);
    BNR_TRY(bnr__out(a, 0, dtype, 1, &size, &y));
    const double n = (double)(periodic ? size : size - 1);
    for (size_t i = 0; y && i < y->numel; i++) {
        const double phase = n > 0 ? 2 * 3.14159265358979323846 * (double)i / n : 0;
        const double v = c[0] + c[1] * cos(phase) + c[2] * cos(2 * phase);
        bnr__store_f64(dtype, bnr__at_mut(y, i), &v, 1);
    }
    return BNR_OK;
}
