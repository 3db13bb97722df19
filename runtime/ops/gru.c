// SPDX-License-Identifier: Apache-2.0
// GRU (ai.onnx 1, 3, 7, 14, 22), gates z (update), r (reset), h (hidden):
//     z = f(Xt * Wz^T + Ht-1 * Rz^T + Wbz + Rbz), r likewise
//     h = g(Xt * Wh^T + (r . Ht-1) * Rh^T + Rbh + Wbh), or with linear_before_reset
//         g(Xt * Wh^T + r . (Ht-1 * Rh^T + Rbh) + Wbh)
//     Ht = (1 - z) . h + z . Ht-1
#include "runtime/ops/lib/recurrent.h"

static const char *const functions[] = {"Sigmoid", "Tanh"};

static void cell(const struct bnr_recurrent *rnn, int direction, const double *xw, double *g,
                 double *h, double *c) {
    const int64_t n = rnn->hidden;
    double *z = g, *r = g + n, *new = g + 2 * n, *reset = g + 3 * n;
    const bool linear = bnr__attr_int(rnn->node, "linear_before_reset", 0) != 0;
    bnr__recurrent_bias(rnn, direction, xw, 0, 2, true, g);
    bnr__recurrent_product(rnn, direction, h, 0, 2, g);
    for (int64_t i = 0; i < 2 * n; i++)
        g[i] = bnr__recurrent_call(rnn, direction, 0, g[i]);
    if (linear) {
        const double *bias = rnn->bias ? rnn->bias + (direction * 6 + 5) * n : NULL;
        for (int64_t i = 0; i < n; i++)
            new[i] = bias ? bias[i] : 0;
        bnr__recurrent_product(rnn, direction, h, 2, 3, g);
        for (int64_t i = 0; i < n; i++)
            reset[i] = r[i] * new[i];
        bnr__recurrent_bias(rnn, direction, xw, 2, 3, false, g);
        for (int64_t i = 0; i < n; i++)
            new[i] += reset[i];
    } else {
        for (int64_t i = 0; i < n; i++)
            reset[i] = r[i] * h[i];
        bnr__recurrent_bias(rnn, direction, xw, 2, 3, true, g);
        bnr__recurrent_product(rnn, direction, reset, 2, 3, g);
    }
    for (int64_t i = 0; i < n; i++)
        h[i] = (1 - z[i]) * bnr__recurrent_call(rnn, direction, 1, new[i]) + z[i] * h[i];
}

static struct bnr_recurrent describe(void) {
    return (struct bnr_recurrent){.gates = 3, .functions = 2, .cell = cell};
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

BNR_DEFINE_OP(gru) = {
    .domain = "",
    .name = "GRU",
    .since = {1, 3, 7, 14, 22},
    .min_in = 3,
    .max_in = 6,
    .min_out = 0,
    .max_out = 2,
    .attrs = "activation_alpha:F activation_beta:F activations:S clip:f direction:s hidden_size:i "
             "layout:i linear_before_reset:i output_sequence:i",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
};
