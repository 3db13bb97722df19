// SPDX-License-Identifier: Apache-2.0
// Nodes seen as affines: BatchNormalization in inference mode, arithmetic with constants,
// bnrun.Affine. A view instead of a lowering: what cannot be folded stays in the graph exactly as
// the file has it.
#ifndef BNR_PASSES_LIB_AFFINE_VIEW_H
#define BNR_PASSES_LIB_AFFINE_VIEW_H

#include "graph/affine.h"
#include "passes/pass.h"

struct bnr_affine_view {
    struct bnr_affine affine;
    int data; // which input of the node is x
};

// True where the node's output 0 is an affine of one of its inputs. Else *why says for a
// BatchNormalization what prevents it, and is NULL for other nodes. s and t are in `arena` or
// belong to the node's own constants.
bool bnr__affine_view(const struct bnr_node *n, struct bnr_arena *arena,
                      struct bnr_affine_view *view, const char **why);

bool bnr__is_batch_norm(const struct bnr_node *n);
// Whether the caller wants this BatchNormalization to stay: options->keep.
bool bnr__pass_keeps(const struct bnr_pass_cx *cx, const struct bnr_node *n);

// ---- making nodes -------------------------------------------------------------------------------

// Puts `bnrun.Affine` in the place of node n, which is removed: its output 0 becomes that of the
// new node, which reads x. Origins of n and label stay. `affine` varies over one axis at most.
enum bnr_status bnr__affine_replace_node(struct bnr_pass_cx *cx, struct bnr_node *n,
                                         struct bnr_value *x, const struct bnr_affine *affine,
                                         struct bnr_node **out);
// Whether that is possible for a node that makes y: the axis and the number of channels are known, and y's
// dtype holds s and t, as a file has to.
bool bnr__affine_has_node(const struct bnr_value *y, const struct bnr_affine *affine);
// x -> Mul by s -> Add of t in the place of `n` as standard ONNX; what changes nothing is left out,
// but one is always made. n is removed.
enum bnr_status bnr__affine_raise_node(struct bnr_pass_cx *cx, struct bnr_node *n,
                                       struct bnr_value *x, const struct bnr_affine *affine);
// The same as BatchNormalization with mean 0, variance 1 and epsilon 0. `affine` varies over
// axis 1.
enum bnr_status bnr__affine_raise_batch_norm(struct bnr_pass_cx *cx, struct bnr_node *n,
                                             struct bnr_value *x, const struct bnr_affine *affine);
// v, which a node produces, gets `bnrun.Affine` behind it: every use of v reads that instead.
enum bnr_status bnr__affine_put_behind(struct bnr_pass_cx *cx, struct bnr_value *v,
                                       const struct bnr_affine *affine, struct bnr_node **out);
// v, which a node produces, becomes the sum of that and affine->t: its readers stay as they are.
enum bnr_status bnr__affine_add_behind(struct bnr_pass_cx *cx, struct bnr_value *v,
                                       const struct bnr_affine *affine);

#endif
