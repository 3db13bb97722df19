// SPDX-License-Identifier: Apache-2.0
// Collects equally shaped tensors, one a round, into one output with a new axis: the scan outputs
// of Loop and Scan, and ConcatFromSequence.
#ifndef BNR_OPS_LIB_STACK_H
#define BNR_OPS_LIB_STACK_H

#include "graph/op.h"

// Zero-initialize, set the first four.
struct bnr_stack {
    int out;       // which output; an unwanted one is not collected
    int64_t count; // how many there will be; -1: not known, then they are held until the end
    int64_t axis;  // of the result, in [-rank, rank)
    bool backwards;
    int64_t n;               // so far
    struct bnr_tensor *held; // SEQUENCE
};

enum bnr_status bnr__stack_add(const struct bnr_args *a, struct bnr_stack *s,
                               const struct bnr_tensor *t);
// Without any item the output gets `item`'s dtype and dims (unknown ones 0) and a new dim 0.
enum bnr_status bnr__stack_finish(const struct bnr_args *a, struct bnr_stack *s,
                                  const struct bnr_type *item);
void bnr__stack_free(struct bnr_stack *s);

// The type of the result: `item` with a new axis of size n.
enum bnr_status bnr__stack_type(struct bnr_infer *cx, int out, const struct bnr_type *item,
                                int64_t axis, struct bnr_dim n);

#endif
