// SPDX-License-Identifier: Apache-2.0
// What RNN, GRU and LSTM share: shapes, directions, layouts, sequence lengths, activations. The
// operators give the cell: one step of one sequence in one direction.
#ifndef BNR_OPS_LIB_RECURRENT_H
#define BNR_OPS_LIB_RECURRENT_H

#include "runtime/ops/lib/compute.h"

struct bnr_activation {
    double (*fn)(double x, double alpha, double beta);
    double alpha, beta;
};

struct bnr_recurrent {
    const struct bnr_node *node;
    int gates, functions; // per direction
    bool lstm;            // has a cell state, initial_c and peepholes
    int directions;       // 1 or 2
    bool reverse;         // of the first direction
    bool batch_first;     // layout = 1
    int64_t steps, batch, input, hidden;
    double clip; // infinity: none
    struct bnr_activation f[6];
    // Reference evaluation; [directions] parts each
    const double *xw; // [direction, step, batch, gates * hidden]
    const double *r, *bias,
        *peephole;   // [gates * hidden, hidden]; [2 * gates * hidden]; [3 * hidden]; or NULL
    double *scratch; // [direction, batch, per_cell]
    size_t per_cell;
    void (*cell)(const struct bnr_recurrent *rnn, int direction, const double *xw, double *scratch,
                 double *h, double *c);
};

// What an operator says about itself; `inputs` by position: X, W, R, B, sequence_lens, initial_h,
// initial_c, P.
enum bnr_status bnr__recurrent_infer(struct bnr_infer *cx, struct bnr_recurrent *rnn,
                                     const char *const *default_functions);
enum bnr_status bnr__recurrent_ref(const struct bnr_args *a, struct bnr_recurrent *rnn,
                                   const char *const *default_functions);

// Function k of a direction, applied to x after clipping.
static inline double bnr__recurrent_call(const struct bnr_recurrent *rnn, int direction, int k,
                                         double x) {
    const struct bnr_activation *f = &rnn->f[direction * rnn->functions + k];
    x = x > rnn->clip ? rnn->clip : x < -rnn->clip ? -rnn->clip : x;
    return f->fn(x, f->alpha, f->beta);
}
// out[j] = xw[j] + bias of W and (with_r_bias) of R, for gates [first, last) of all hidden units.
void bnr__recurrent_bias(const struct bnr_recurrent *rnn, int direction, const double *xw,
                         int first, int last, bool with_r_bias, double *out);
// out[j] += sum over i of r[j, i] * h[i], for gates [first, last).
void bnr__recurrent_product(const struct bnr_recurrent *rnn, int direction, const double *h,
                            int first, int last, double *out);

#endif
