// SPDX-License-Identifier: Apache-2.0
// What gradient rules build their nodes with. Errors stick: after the first one nothing is built, every
// function returns NULL, and rules need not ask.
#ifndef BNR_PASSES_LIB_GRADIENT_H
#define BNR_PASSES_LIB_GRADIENT_H

#include "graph/op.h"

struct bnr_gradient {
    struct bnr_graph *graph;
    struct bnr_node *gradient;  // new nodes go in front of it
    struct bnr_node *node;      // whose rule runs
    struct bnr_value **adjoint; // [n]: dy / d value, by value id; NULL: zero so far
    bool *wanted;               // [n]: the value depends on one of xs
    size_t n;
    enum bnr_status status;
    struct bnr_error *err;
};

// dy[i]: the gradient of output i, or NULL. Calls bnr__grad_give for the inputs that are wanted.
typedef void bnr_gradient_rule(struct bnr_gradient *cx, struct bnr_node *n,
                               struct bnr_value *const *dy);
// NULL when there is none. `nothing` (for Floor, Shape, ArgMax, ...) gives no input anything.
bnr_gradient_rule *bnr__grad_rule(const struct bnr_node *n);
struct bnr_gradient_entry {
    const char *op_type; // of ai.onnx
    bnr_gradient_rule *rule;
};
extern const struct bnr_gradient_entry bnr__grad_rules_math[];  // each ends with {NULL, NULL}
extern const struct bnr_gradient_entry bnr__grad_rules_shape[];
extern const struct bnr_gradient_entry bnr__grad_rules_nn[];

void bnr__grad_fail(struct bnr_gradient *cx, enum bnr_status code, const char *fmt, ...)
    BNR_PRINTF(3, 4);
// Whether input i is there, floating-point as far as known, and depends on xs.
bool bnr__grad_wants(const struct bnr_gradient *cx, const struct bnr_node *n, int i);
// Adds v to the gradient of n's input i, where that is wanted.
void bnr__grad_give(struct bnr_gradient *cx, const struct bnr_node *n, int i, struct bnr_value *v);

// Nodes of ai.onnx in its newest version that all need, whatever the model imports.
struct bnr_node *bnr__grad_node(struct bnr_gradient *cx, const char *op_type, int n_in,
                                struct bnr_value *const *in, int n_out);
struct bnr_value *bnr__grad_1(struct bnr_gradient *cx, const char *op, struct bnr_value *a);
struct bnr_value *bnr__grad_2(struct bnr_gradient *cx, const char *op, struct bnr_value *a,
                              struct bnr_value *b);
struct bnr_value *bnr__grad_3(struct bnr_gradient *cx, const char *op, struct bnr_value *a,
                              struct bnr_value *b, struct bnr_value *c);
// Another node like n (its version and attributes) with other inputs; all outputs.
struct bnr_node *bnr__grad_again(struct bnr_gradient *cx, const struct bnr_node *n,
                                 struct bnr_value *const *in);
// A node of the internal domain with n's attributes.
struct bnr_node *bnr__grad_internal(struct bnr_gradient *cx, const char *op, int n_in,
                                    struct bnr_value *const *in, int n_out);
void bnr__grad_copy_attrs(struct bnr_gradient *cx, struct bnr_node *to, const struct bnr_node *from);
// Set an attribute of v's producer; return v.
struct bnr_value *bnr__grad_int(struct bnr_gradient *cx, struct bnr_value *v, const char *name,
                                int64_t value);
struct bnr_value *bnr__grad_string(struct bnr_gradient *cx, struct bnr_value *v, const char *name,
                                   const char *value);
struct bnr_value *bnr__grad_attr_ints(struct bnr_gradient *cx, struct bnr_value *v, const char *name,
                                      const int64_t *values, size_t n);

// Constants: int64 [n]; a scalar of v's dtype; a tensor of v's (of the graph that is differentiated)
// dims, all `value`.
struct bnr_value *bnr__grad_ints(struct bnr_gradient *cx, const int64_t *values, int n);
struct bnr_value *bnr__grad_scalar(struct bnr_gradient *cx, const struct bnr_value *v, double value);
struct bnr_value *bnr__grad_filled(struct bnr_gradient *cx, struct bnr_value *v, double value);
struct bnr_value *bnr__grad_scaled(struct bnr_gradient *cx, struct bnr_value *v,
                                   const struct bnr_value *like, double factor);

struct bnr_value *bnr__grad_shape(struct bnr_gradient *cx, struct bnr_value *v);
struct bnr_value *bnr__grad_reshape_like(struct bnr_gradient *cx, struct bnr_value *v,
                                         struct bnr_value *like);
// v summed over the dims by which `like` was broadcast.
struct bnr_value *bnr__grad_sum_to(struct bnr_gradient *cx, struct bnr_value *v,
                                   struct bnr_value *like);
struct bnr_value *bnr__grad_reduce(struct bnr_gradient *cx, const char *op, struct bnr_value *v,
                                   struct bnr_value *axes, bool keepdims);
// The rank of a value of the graph that is differentiated; -1 (and an error) when it is not known.
int bnr__grad_rank(struct bnr_gradient *cx, const struct bnr_value *v);

#endif
