// SPDX-License-Identifier: Apache-2.0
// LSTM (ai.onnx 1, 7, 14, 22), gates i, o, f, c with peepholes Pi, Po, Pf:
//     i = f(Xt * Wi^T + Ht-1 * Ri^T + Pi . Ct-1 + Wbi + Rbi)
//     f = f(Xt * Wf^T + Ht-1 * Rf^T + Pf . Ct-1 + Wbf + Rbf), or 1 - i with input_forget
//     c = g(Xt * Wc^T + Ht-1 * Rc^T + Wbc + Rbc)
//     Ct = f . Ct-1 + i . c
//     o = f(Xt * Wo^T + Ht-1 * Ro^T + Po . Ct + Wbo + Rbo)
//     Ht = o . h(Ct)
#include "runtime/ops/lib/recurrent.h"

static const char *const functions[] = {"Sigmoid", "Tanh", "Tanh"};

static void cell(const struct bnr_recurrent *rnn, int direction, const double *xw, double *g,
                 double *h, double *c) {
    const int64_t n = rnn->hidden;
    const double *in = g, *out = g + n, *forget = g + 2 * n, *update = g + 3 * n;
    const double *p = rnn->peephole ? rnn->peephole + direction * 3 * n : NULL;
    const bool coupled = bnr__attr_int(rnn->node, "input_forget", 0) != 0;
    bnr__recurrent_bias(rnn, direction, xw, 0, 4, true, g);
    bnr__recurrent_product(rnn, direction, h, 0, 4, g);
    for (int64_t k = 0; k < n; k++) {
        const double pi = p ? p[k] : 0, po = p ? p[n + k] : 0, pf = p ? p[2 * n + k] : 0;
        const double i = bnr__recurrent_call(rnn, direction, 0, in[k] + pi * c[k]);
        const double f =
            coupled ? 1 - i : bnr__recurrent_call(rnn, direction, 0, forget[k] + pf * c[k]);
        c[k] = f * c[k] + i * bnr__recurrent_call(rnn, direction, 1, update[k]);
        const double o = bnr__recurrent_call(rnn, direction, 0, out[k] + po * c[k]);
        h[k] = o * bnr__recurrent_call(rnn, direction, 2, c[k]);
    }
}

static struct bnr_recurrent describe(void) {
    return (struct bnr_recurrent){.gates = 4, .functions = 3, .lstm = true, .cell = cell};
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

BNR_DEFINE_OP(lstm) = {
    .domain = "",
    .name = "LSTM",
    .since = {1, 7, 14, 22},
    .min_in = 3,
    .max_in = 8,
    .min_out = 0,
    .max_out = 3,
    .attrs = "activation_alpha:F activation_beta:F activations:S clip:f direction:s hidden_size:i "
             "input_forget:i layout:i output_sequence:i",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
};
