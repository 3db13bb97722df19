// SPDX-License-Identifier: Apache-2.0
// Element-wise operators as steps of a kernel (kernels/eltwise_f32.h): alone, in a chain, or behind
// a convolution, product or pooling that does them on what it has just computed. An operator joins
// by its function `step`, which calls one of the functions below.
#ifndef BNR_OPS_LIB_STEPS_H
#define BNR_OPS_LIB_STEPS_H

#include "runtime/kernels/eltwise_f32.h"
#include "runtime/ops/lib/blocked.h"

// Where a step's operand is at run time.
struct bnr_step_operand {
    int in; // index into a->in, -1: in `packed`
    const float *packed;
};

struct bnr_step_operands {
    int n;
    struct bnr_step_operand at[BNR_ELTWISE_MAX];
};

struct bnr_steps {
    struct bnr_prepare *cx;
    int64_t dims[BNR_MAX_RANK]; // of the tensor that the steps work on
    int rank;
    size_t numel;
    size_t cols;  // its columns, fixed by the kernel or by the first step that needs one; 0: open
    int chained;  // which input of the node being added the tensor is
    int first_in; // where in a->in a member's inputs but the chained one begin
    struct bnr_eltwise e;
    struct bnr_step_operands operands;
    int taken; // members added
    // Of a blocked tensor, else lanes is 0:
    struct bnr_nchwc blocked;
    uint64_t blocked_in; // which of a->in are blocked operands
};

// For steps behind the head of cx, which computes dims, seen as rows of `cols`.
void bnr__steps_init(struct bnr_steps *s, struct bnr_prepare *cx, int rank, const int64_t *dims,
                     size_t cols);
// Where blocks are asked for: the steps work on the blocked form of the tensor, rows are blocks of
// channels. False where the tensor has none. Before any step is added.
bool bnr__steps_block(struct bnr_steps *s);
// Adds the members of cx in order as far as they go. Sets cx->fused_taken and adds to
// cx->blocked_in.
void bnr__steps_take_members(struct bnr_steps *s);
// Steps that the head does on its input 0 as it reads it: as many of cx->before, from the last one
// forwards, as have no operand and treat every image alike. Sets cx->before_taken. Their arrays
// have one form, BNR_FORM_ROW: element c belongs to channel c of an image [C, ...], whatever the
// batch.
struct bnr_eltwise bnr__steps_before(struct bnr_prepare *cx);
// The operands for a run.
void bnr__steps_operands(const struct bnr_step_operands *o, const struct bnr_args *a,
                         const float *out[BNR_ELTWISE_MAX]);

// ---- for the operators' `step` ------------------------------------------------------------------

// A step without operand.
bool bnr__steps_unary(struct bnr_steps *s, enum bnr_eltwise_kind kind, float p, float q);
// A step with input i as operand, whatever the node: the input must broadcast to the tensor.
bool bnr__steps_operand(struct bnr_steps *s, const struct bnr_node *n, enum bnr_eltwise_kind kind,
                        int i);
// The same for a node with two inputs: `swapped` where the tensor is the second one.
bool bnr__steps_binary(struct bnr_steps *s, const struct bnr_node *n, enum bnr_eltwise_kind kind,
                       enum bnr_eltwise_kind swapped);
// Constants s and t (may be NULL; of any float dtype) with the dims of `shape`, which broadcasts to
// the tensor, as the arrays of an Affine or PRelu step.
bool bnr__steps_arrays(struct bnr_steps *s, enum bnr_eltwise_kind kind, struct bnr_tensor *first,
                       struct bnr_tensor *second, const struct bnr_shape *shape);
// A step with the head's input i as operand, one element per column.
bool bnr__steps_column(struct bnr_steps *s, enum bnr_eltwise_kind kind, int i);
// What is known about input i of the node; NULL where it is omitted.
const struct bnr_info *bnr__steps_info(const struct bnr_steps *s, const struct bnr_node *n, int i);

#endif
