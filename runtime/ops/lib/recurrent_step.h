// SPDX-License-Identifier: Apache-2.0
// The kernel of RNN, GRU and LSTM: what a plan holds, and a step of some sequences.
#ifndef BNR_OPS_LIB_RECURRENT_STEP_H
#define BNR_OPS_LIB_RECURRENT_STEP_H

#include "runtime/kernels/matmul_f32.h"
#include "runtime/ops/lib/recurrent.h"

// A weight [directions, rows, k], in products with parts of its rows: those of the first gates (all
// of them but for GRU) and the rest. Packed when the plan is made, or at each run where it is no
// constant.
struct bnr_rnn_weight {
    int in;
    size_t rows[2], k, bytes[2];    // rows of the parts; packed bytes of a part in one direction
    struct bnr_matmul_f32 whole[2]; // products of all rows of A, or of a block of sequences
    struct bnr_matmul_f32 rest[2];  // of the last block
    const char *packed;
    size_t scratch; // offset where it is packed at run time
};

struct bnr_rnn_state {
    struct bnr_recurrent rnn;
    bool linear, coupled; // linear_before_reset, input_forget
    const struct bnr_eltwise_f32 *eltwise;
    struct bnr_rnn_weight w, r;
    size_t blocks, block; // of sequences
    bool shared;
    // Offsets in scratch, and sizes of what each task has
    size_t bias, xw, states, tasks, product, task_bytes;
};

// The sequences [first, first + n) of one direction, and the task's working memory.
struct bnr_rnn_task {
    const struct bnr_args *a;
    const struct bnr_rnn_state *st;
    struct bnr_pool *pool; // for products
    int direction;
    size_t first, n;
    const float *xw;       // [steps * batch, gates * hidden] of the direction
    const float *r_bias;   // [gates * hidden] of R alone, or NULL
    const float *peephole; // [3 * hidden] or NULL
    float *h, *c;          // [n, hidden]
    float *g, *last;       // [n, gates * hidden], [n, hidden]
    void *scratch;         // of the products
};

// Whether sequence i of the task has a step s, and at which time.
bool bnr__rnn_time(const struct bnr_rnn_task *t, size_t i, size_t s, size_t *time);
// Step s of all sequences of the task: their states become the next ones.
void bnr__rnn_step(const struct bnr_rnn_task *t, size_t s);

#endif
