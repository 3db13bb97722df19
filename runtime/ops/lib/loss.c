// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/loss.h"

#include <string.h>

enum reduction { NONE, SUM, MEAN };

static enum bnr_status read_reduction(const struct bnr_node *n, enum reduction *out,
                                      struct bnr_error *err) {
    static const char *const names[] = {"none", "sum", "mean"};
    const char *s = bnr__attr_string(n, "reduction", "mean");
    for (int i = 0; i < 3; i++) {
        if (strcmp(s, names[i]) == 0) {
            *out = (enum reduction)i;
            return BNR_OK;
        }
    }
    return bnr__op_fail(n, err, BNR_SHAPE, "reduction is '%s', expected none, sum or mean", s);
}

enum bnr_status bnr__loss_infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0), *t = bnr__infer_in(cx, 1);
    struct bnr_shape y = {.rank = 0};
    enum reduction reduction;
    BNR_TRY(read_reduction(cx->node, &reduction, cx->err));
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_INDEX));
    BNR_TRY(bnr__infer_types(cx, 2, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    const int rank = x->shape.rank;
    if (rank >= 0) {
        BNR_TRY(bnr__infer_rank(cx, 1, rank - 1, rank - 1));
        BNR_TRY(bnr__infer_length(cx, 2, x->shape.dims[1]));
    }
    for (int i = 0; i < rank - 1 && t->shape.rank >= 0; i++)
        BNR_TRY(bnr__infer_dims_agree(cx, "scores and labels", x->shape.dims[i > 0 ? i + 1 : 0],
                                      t->shape.dims[i], NULL));
    if (reduction == NONE)
        y = t->shape;
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

enum bnr_status bnr__loss_reduce(const struct bnr_args *a, const double *log_prob) {
    const struct bnr_tensor *x = a->in[0], *t = a->in[1], *w = bnr__in(a, 2);
    const bool ignores = bnr__attr(a->node, "ignore_index") != NULL;
    const int64_t ignored = bnr__attr_int(a->node, "ignore_index", 0), classes = x->dims[1];
    const size_t inner = bnr__dims_product(x->dims, 2, x->rank);
    enum reduction reduction;
    struct bnr_tensor *y;
    BNR_TRY(read_reduction(a->node, &reduction, a->err));
    BNR_TRY(bnr__out(a, 0, x->dtype, reduction == NONE ? t->rank : 0, t->dims, &y));
    const double *weight = bnr__all_f64(a, w);
    double sum = 0, weights = 0;
    if (w && !weight)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < t->numel; i++) {
        const int64_t label = bnr__tensor_i64(t, i);
        double loss = 0;
        if (!ignores || label != ignored) {
            if (label < 0 || label >= classes)
                return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                    "label %zu is %lld, expected 0 to %lld", i, (long long)label,
                                    (long long)classes - 1);
            const double f = weight ? weight[label] : 1;
            loss = -f * log_prob[(i / inner * (size_t)classes + (size_t)label) * inner + i % inner];
            weights += f;
        }
        sum += loss;
        if (y && reduction == NONE)
            bnr__store_f64(y->dtype, bnr__at_mut(y, i), &loss, 1);
    }
    if (reduction == MEAN)
        sum /= weights;
    if (y && reduction != NONE)
        bnr__store_f64(y->dtype, y->data, &sum, 1);
    return BNR_OK;
}
