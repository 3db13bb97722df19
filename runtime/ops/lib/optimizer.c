// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/optimizer.h"

#include <string.h>

#define OPTIMIZER_TYPES (BNR_TYPE(FLOAT) | BNR_TYPE(DOUBLE))

static enum bnr_status count_tensors(const struct bnr_node *n, int n_in, int states, int *count,
                                     struct bnr_error *err) {
    const int groups = 2 + states;
    *count = (n_in - 2) / groups;
    if (*count < 1 || (n_in - 2) % groups != 0)
        return bnr__op_fail(n, err, BNR_MALFORMED, "%d inputs, expected 2 and %d for each tensor",
                            n_in, groups);
    return BNR_OK;
}

enum bnr_status bnr__optimizer_infer(struct bnr_infer *cx, int states) {
    int n = 0;
    BNR_TRY(bnr__infer_types(cx, 0, OPTIMIZER_TYPES));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPE(INT64)));
    for (int i = 2; i < cx->n_in; i++)
        BNR_TRY(bnr__infer_types(cx, i, OPTIMIZER_TYPES));
    BNR_TRY(count_tensors(cx->node, cx->n_in, states, &n, cx->err));
    if (cx->n_out > n * (1 + states))
        return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "%d outputs, expected %d", cx->n_out,
                            n * (1 + states));
    for (int i = 2; i < cx->n_in; i++) {
        if (cx->in[i] == NULL)
            return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "input %d is missing", i);
        BNR_TRY(bnr__infer_same_dtype(cx, 2 + (i - 2) % n, i));
    }
    for (int i = 0; i < n * (1 + states); i++) {
        const struct bnr_type *like = &cx->in[2 + i % n]->type;
        bnr__infer_set(cx, i, like->dtype, &like->shape);
    }
    return BNR_OK;
}

enum bnr_status bnr__optimizer_rate(const struct bnr_args *a, double *rate, int64_t *count) {
    if (a->in[0]->numel != 1 || a->in[1]->numel != 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "the learning rate has %zu elements, the update count %zu, expected 1",
                            a->in[0]->numel, a->in[1]->numel);
    *rate = bnr__tensor_f64(a->in[0], 0);
    *count = bnr__tensor_i64(a->in[1], 0);
    return BNR_OK;
}

static enum bnr_status step_tensor(const struct bnr_args *a, int i, int n, int states,
                                   bnr_optimizer_step *step, const void *cx) {
    const struct bnr_tensor *in[4] = {NULL};
    struct bnr_tensor *out[3] = {NULL};
    for (int g = 0; g < 2 + states; g++) {
        in[g] = a->in[2 + g * n + i];
        if (in[g]->dtype != in[0]->dtype || in[g]->rank != in[0]->rank ||
            memcmp(in[g]->dims, in[0]->dims, (size_t)in[0]->rank * sizeof in[0]->dims[0]) != 0)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d is not like input %d",
                                2 + g * n + i, 2 + i);
    }
    for (int g = 0; g < 1 + states; g++)
        BNR_TRY(bnr__out_like(a, g * n + i, in[0], &out[g]));
    const enum bnr_dtype d = in[0]->dtype;
    for (size_t k = 0; k < in[0]->numel; k++) {
        double v[3] = {bnr__tensor_f64(in[0], k), bnr__tensor_f64(in[2], k),
                       states > 1 ? bnr__tensor_f64(in[3], k) : 0};
        step(&v[0], bnr__tensor_f64(in[1], k), &v[1], &v[2], cx);
        for (int g = 0; g < 1 + states; g++)
            if (out[g] != NULL)
                bnr__store_f64(d, bnr__at_mut(out[g], k), &v[g], 1);
    }
    return BNR_OK;
}

enum bnr_status bnr__optimizer_run(const struct bnr_args *a, int states, bnr_optimizer_step *step,
                                   const void *cx) {
    int n = 0;
    BNR_TRY(count_tensors(a->node, a->n_in, states, &n, a->err));
    for (int i = 0; i < n; i++)
        BNR_TRY(step_tensor(a, i, n, states, step, cx));
    return BNR_OK;
}
