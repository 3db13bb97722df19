// SPDX-License-Identifier: Apache-2.0
// RNN (ai.onnx 1, 7, 14, 22): Ht = f(Xt * W^T + Ht-1 * R^T + Wb + Rb).
#include "runtime/ops/lib/recurrent.h"

static const char *const functions[] = {"Tanh"};

static void cell(const struct bnr_recurrent *rnn, int direction, const double *xw, double *g,
                 double *h, double *c) {
    bnr__recurrent_bias(rnn, direction, xw, 0, 1, true, g);
    bnr__recurrent_product(rnn, direction, h, 0, 1, g);
    for (int64_t i = 0; i < rnn->hidden; i++)
        h[i] = bnr__recurrent_call(rnn, direction, 0, g[i]);
}

static struct bnr_recurrent describe(void) {
    return (struct bnr_recurrent){.gates = 1, .functions = 1, .cell = cell};
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_recurrent rnn = describe();
    return bnr__recurrent_infer(cx, &rnn, functions);
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_recurrent rnn = describe();
    return bnr__recurrent_ref(a, &rnn, functions);
}

static enum bnr_status prepare(struct bnr_prepare *cx) {
    struct bnr_recurrent rnn = describe();
    return bnr__recurrent_prepare(cx, &rnn, functions);
}

BNR_DEFINE_OP(rnn) = {
    .domain = "",
    .name = "RNN",
    .since = {1, 7, 14, 22},
    .min_in = 3,
    .max_in = 6,
    .min_out = 0,
    .max_out = 2,
    .attrs = "activation_alpha:F activation_beta:F activations:S clip:f direction:s hidden_size:i "
             "layout:i output_sequence:i",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
};
