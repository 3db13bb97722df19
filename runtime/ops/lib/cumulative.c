// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/cumulative.h"

#include "runtime/ops/lib/lanes.h"

enum bnr_status bnr__cumulative_infer(struct bnr_infer *cx) {
    double value;
    enum bnr_status status;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_MATH));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_INDEX));
    const bool known = bnr__infer_scalar(cx, 1, &value, &status);
    BNR_TRY(status);
    int axis;
    if (known && cx->in[0]->type.shape.rank >= 0)
        BNR_TRY(bnr__infer_axis(cx, (int64_t)value, cx->in[0]->type.shape.rank, &axis));
    return bnr__infer_same(cx);
}

// One slice across the axis after the other, so that memory is walked in order.
#define ACCUMULATE(type, fn)                                                                       \
    for (size_t outer = 0; outer < l.outer; outer++)                                               \
        for (size_t k = 0; k < l.n; k++) {                                                         \
            const size_t row = outer * l.n + (reverse ? l.n - 1 - k : k);                          \
            const size_t before = reverse ? row + 1 : row - 1;                                     \
            for (size_t i = 0; i < l.inner; i++) {                                                 \
                const type so_far = k > 0 ? y[before * l.inner + i] : (type)op->start;             \
                const size_t source = exclusive && k > 0 ? before : row;                           \
                const bool first = exclusive && k == 0;                                            \
                y[row * l.inner + i] =                                                             \
                    first ? so_far : (type)fn((type)so_far, x[source * l.inner + i]);              \
            }                                                                                      \
        }

enum bnr_status bnr__cumulative_run(const struct bnr_args *a, const struct bnr_cumulative *op) {
    const struct bnr_tensor *t = a->in[0];
    const bool exclusive = bnr__attr_int(a->node, "exclusive", 0) != 0;
    const bool reverse = bnr__attr_int(a->node, "reverse", 0) != 0;
    if (a->in[1]->numel != 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axis has %zu elements, expected 1",
                            a->in[1]->numel);
    int64_t axis = bnr__tensor_i64(a->in[1], 0);
    if (axis < -t->rank || axis >= t->rank)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axis %lld is outside [%d, %d)",
                            (long long)axis, -t->rank, t->rank);
    axis += axis < 0 ? t->rank : 0;
    const struct bnr_lanes l = bnr__lanes_of(t, (int)axis);
    BNR_TRY(bnr__out_alloc(a, 0, t->dtype, t->rank, t->dims));
    if (t->numel == 0)
        return BNR_OK;
    if (bnr__dtype_is_float(t->dtype)) {
        const double *x = bnr__all_f64(a, t);
        double *y = bnr__temp_f64(a, t->numel);
        if (x == NULL || y == NULL)
            return BNR_NO_MEMORY;
        ACCUMULATE(double, op->f64)
        bnr__store_f64(t->dtype, a->out[0]->data, y, t->numel);
        return BNR_OK;
    }
    const int64_t *x = bnr__all_i64(a, t);
    int64_t *y = bnr__temp(a, t->numel, sizeof *y);
    if (x == NULL || y == NULL)
        return BNR_NO_MEMORY;
    ACCUMULATE(int64_t, op->i64)
    bnr__store_i64(t->dtype, a->out[0]->data, y, t->numel);
    return BNR_OK;
}
