// SPDX-License-Identifier: Apache-2.0
// CausalConvWithState (ai.onnx 27): a depthwise 1-D convolution over past_state (or zeros) followed
// by the input, with optional SiLU; the last k - 1 elements of that sequence are the second output.
#include <math.h>
#include <string.h>

#include "runtime/ops/lib/compute.h"

enum { INPUT, WEIGHT, BIAS, PAST };

static enum bnr_status read_activation(const struct bnr_node *n, bool *silu,
                                       struct bnr_error *err) {
    const char *s = bnr__attr_string(n, "activation", "none");
    *silu = strcmp(s, "silu") == 0 || strcmp(s, "swish") == 0;
    if (*silu || strcmp(s, "none") == 0)
        return BNR_OK;
    return bnr__op_fail(n, err, BNR_SHAPE, "activation is '%s', expected none, silu or swish", s);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, INPUT), *w = bnr__infer_in(cx, WEIGHT);
    const struct bnr_type *past = bnr__infer_in(cx, PAST);
    const struct bnr_dim unknown = bnr__dim_unknown();
    struct bnr_shape state = {.rank = 3, .dims = {unknown, unknown, unknown}};
    bool silu;
    BNR_TRY(read_activation(cx->node, &silu, cx->err));
    BNR_TRY(bnr__infer_tensors(cx, INPUT, PAST, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, INPUT, 3, 3));
    BNR_TRY(bnr__infer_rank(cx, WEIGHT, 3, 3));
    BNR_TRY(bnr__infer_rank(cx, PAST, 3, 3));
    if (x->shape.rank == 3) {
        state.dims[0] = x->shape.dims[0];
        state.dims[1] = x->shape.dims[1];
        BNR_TRY(bnr__infer_length(cx, BIAS, x->shape.dims[1]));
    }
    if (w->shape.rank == 3) {
        BNR_TRY(bnr__infer_dims_agree(cx, "channels of input and weight", state.dims[1],
                                      w->shape.dims[0], NULL));
        BNR_TRY(bnr__infer_dims_agree(cx, "the weight's second dim", bnr__dim_of(1),
                                      w->shape.dims[1], NULL));
        if (w->shape.dims[2].n == 0)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the kernel has no elements");
        if (w->shape.dims[2].n > 0)
            state.dims[2] = bnr__dim_of(w->shape.dims[2].n - 1);
    }
    for (int i = 0; past && past->shape.rank == 3 && i < 3; i++)
        BNR_TRY(bnr__infer_dims_agree(cx, "past_state", state.dims[i], past->shape.dims[i], NULL));
    bnr__infer_set(cx, 1, x->dtype, &state);
    return bnr__infer_same(cx);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[INPUT], *past = bnr__in(a, PAST), *b = bnr__in(a, BIAS);
    const size_t channels = (size_t)x->dims[1], n = (size_t)x->dims[2];
    const size_t k = (size_t)a->in[WEIGHT]->dims[2], keep = k - 1;
    const int64_t state_dims[] = {x->dims[0], x->dims[1], (int64_t)keep};
    struct bnr_tensor *y, *state;
    bool silu;
    BNR_TRY(read_activation(a->node, &silu, a->err));
    BNR_TRY(bnr__out_like(a, 0, x, &y));
    BNR_TRY(bnr__out(a, 1, x->dtype, 3, state_dims, &state));
    const double *w = bnr__all_f64(a, a->in[WEIGHT]), *bias = bnr__all_f64(a, b);
    double *row = bnr__temp_f64(a, keep + n), *out = bnr__temp_f64(a, n);
    if (!w || (b && !bias) || !row || !out)
        return BNR_NO_MEMORY;
    if (keep + n == 0)
        return BNR_OK;
    for (size_t r = 0; r < (size_t)x->dims[0] * channels; r++) {
        const size_t c = r % channels;
        memset(row, 0, keep * sizeof *row);
        if (past)
            bnr__load_f64(row, past->dtype, bnr__at(past, r * keep), keep);
        bnr__load_f64(row + keep, x->dtype, bnr__at(x, r * n), n);
        for (size_t i = 0; i < n; i++) {
            double sum = bias ? bias[c] : 0;
            for (size_t t = 0; t < k; t++)
                sum += w[c * k + t] * row[i + t];
            out[i] = silu ? sum / (1 + exp(-sum)) : sum;
        }
        if (y)
            bnr__store_f64(y->dtype, bnr__at_mut(y, r * n), out, n);
        if (state)
            bnr__store_f64(state->dtype, bnr__at_mut(state, r * keep), row + n, keep);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(causal_conv_with_state) = {
    .domain = "",
    .name = "CausalConvWithState",
    .since = {27},
    .min_in = 2,
    .max_in = 4,
    .min_out = 2,
    .max_out = 2,
    .attrs = "activation:s",
    .infer = infer,
    .ref = ref,
};
