// SPDX-License-Identifier: Apache-2.0
// What the two loss operators share: classes along dim 1, a label for every other position,
// weights, ignore_index and reductions.
#ifndef BNR_OPS_LIB_LOSS_H
#define BNR_OPS_LIB_LOSS_H

#include "runtime/ops/lib/compute.h"

// Inputs: scores [N, C, d...], labels [N, d...], weights [C] (optional). Sets output 0.
enum bnr_status bnr__loss_infer(struct bnr_infer *cx);
// Reduces -log_prob at the labels into output 0. log_prob: [N, C, d...].
enum bnr_status bnr__loss_reduce(const struct bnr_args *a, const double *log_prob);

#endif
