// SPDX-License-Identifier: Apache-2.0
// What the optimizers of ai.onnx.preview.training share: inputs R (learning rate), T (update
// count), then n tensors X, their n gradients, and n of each state; outputs the new X and the new
// states. In double, rounded once.
#ifndef BNR_OPS_LIB_OPTIMIZER_H
#define BNR_OPS_LIB_OPTIMIZER_H

#include "runtime/ops/lib/compute.h"

#define BNR_TRAINING_DOMAIN "ai.onnx.preview.training"

// One element: x and its states v (and h) are updated from its gradient g.
typedef void bnr_optimizer_step(double *x, double g, double *v, double *h, const void *cx);

enum bnr_status bnr__optimizer_infer(struct bnr_infer *cx, int states);
// The learning rate and the update count.
enum bnr_status bnr__optimizer_rate(const struct bnr_args *a, double *rate, int64_t *count);
enum bnr_status bnr__optimizer_run(const struct bnr_args *a, int states, bnr_optimizer_step *step,
                                   const void *cx);

#endif
