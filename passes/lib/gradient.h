// SPDX-License-Identifier: Apache-2.0
// What gradient rules share beside graph/build.h, by which they make their nodes.
#ifndef BNR_PASSES_LIB_GRADIENT_H
#define BNR_PASSES_LIB_GRADIENT_H

#include "graph/build.h"
#include "graph/op.h"

struct bnr_gradient {
    struct bnr_build b;         // in front of the Gradient node; b.node: whose rule runs
    struct bnr_value **adjoint; // [n]: dy / d value, by value id; NULL: zero so far
    bool *wanted;               // [n]: the value depends on one of xs
    size_t n;
};

// dy[i]: the gradient of output i, or NULL. Calls bnr__grad_give for the inputs that are wanted.
typedef void bnr_gradient_rule(struct bnr_gradient *cx, struct bnr_node *n,
                               struct bnr_value *const *dy);
// NULL when there is none.
bnr_gradient_rule *bnr__grad_rule(const struct bnr_node *n);
struct bnr_gradient_entry {
    const char *op_type; // of ai.onnx
    bnr_gradient_rule *rule;
};
extern const struct bnr_gradient_entry bnr__grad_rules_math[]; // each ends with {NULL, NULL}
extern const struct bnr_gradient_entry bnr__grad_rules_shape[];
extern const struct bnr_gradient_entry bnr__grad_rules_nn[];

bnr_gradient_rule bnr__grad_einsum; // gradient_einsum.c

// Whether input i is there, floating-point as far as known, and depends on xs.
bool bnr__grad_wants(const struct bnr_gradient *cx, const struct bnr_node *n, int i);
// Adds v to the gradient of n's input i, where that is wanted.
void bnr__grad_give(struct bnr_gradient *cx, const struct bnr_node *n, int i, struct bnr_value *v);
// v summed over the dims by which `like` was broadcast.
struct bnr_value *bnr__grad_sum_to(struct bnr_gradient *cx, struct bnr_value *v,
                                   struct bnr_value *like);
// The rank of a value of the graph that is differentiated; -1 (and an error) when it is not known.
int bnr__grad_rank(struct bnr_gradient *cx, const struct bnr_value *v);

#endif
