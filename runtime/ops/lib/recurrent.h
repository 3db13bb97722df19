// SPDX-License-Identifier: Apache-2.0
// What RNN, GRU and LSTM share: shapes, directions, layouts, sequence lengths, activations. The
// operators give the cell: one step of one sequence in one direction.
#ifndef BNR_OPS_LIB_RECURRENT_H
#define BNR_OPS_LIB_RECURRENT_H

#include "runtime/ops/lib/compute.h"

// The inputs by position.
enum bnr_recurrent_input {
    BNR_RNN_X,
    BNR_RNN_W,
    BNR_RNN_R,
    BNR_RNN_B,
    BNR_RNN_LENGTHS,
    BNR_RNN_H,
    BNR_RNN_C,
    BNR_RNN_P
};

struct bnr_activation {
    double (*fn)(double x, double alpha, double beta);
    int kind; // bnr_eltwise_kind of the kernels, -1: none. Their p is alpha, q is beta
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

// Sets what attributes say, for the node that rnn names.
enum bnr_status bnr__recurrent_attributes(struct bnr_recurrent *rnn, const char *const *defaults,
                                          struct bnr_error *err);
// Checks the data of sequence_lens, where there is that input.
enum bnr_status bnr__recurrent_lengths(const struct bnr_args *a, int64_t steps, int64_t batch);

// What an operator says about itself.
enum bnr_status bnr__recurrent_infer(struct bnr_infer *cx, struct bnr_recurrent *rnn,
                                     const char *const *default_functions);
enum bnr_status bnr__recurrent_ref(const struct bnr_args *a, struct bnr_recurrent *rnn,
                                   const char *const *default_functions);
// By matmul_f32 and eltwise_f32.
enum bnr_status bnr__recurrent_prepare(struct bnr_prepare *cx, struct bnr_recurrent *rnn,
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
