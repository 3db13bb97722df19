// SPDX-License-Identifier: Apache-2.0
// Making many nodes at a place. Errors stick: after the first one nothing is made, every function returns
// NULL, NULL as a required input makes nothing either, and callers ask once at the end.
#ifndef BNR_GRAPH_BUILD_H
#define BNR_GRAPH_BUILD_H

#include "graph/op.h"

struct bnr_build {
    struct bnr_graph *graph;
    struct bnr_node *before;     // new nodes go in front of it; NULL: at the end
    const struct bnr_node *node; // for messages
    enum bnr_status status;
    bool later; // what inference does not know yet (a rank) is needed
    struct bnr_error *err;
};

void bnr__build_fail(struct bnr_build *b, enum bnr_status code, const char *fmt, ...) BNR_PRINTF(3, 4);
// The rank of v; -1, and `later` set, when it is not known.
int bnr__build_rank(struct bnr_build *b, const struct bnr_value *v);

// Nodes of ai.onnx, opset 24, whatever the model imports; all outputs are there.
struct bnr_node *bnr__build_node(struct bnr_build *b, const char *op_type, int n_in,
                                struct bnr_value *const *in, int n_out);
struct bnr_value *bnr__build_1(struct bnr_build *b, const char *op, struct bnr_value *x);
struct bnr_value *bnr__build_2(struct bnr_build *b, const char *op, struct bnr_value *x,
                               struct bnr_value *y);
struct bnr_value *bnr__build_3(struct bnr_build *b, const char *op, struct bnr_value *x,
                               struct bnr_value *y, struct bnr_value *z);
// Another node like n (its version and attributes) with other inputs; all outputs.
struct bnr_node *bnr__build_again(struct bnr_build *b, const struct bnr_node *n,
                                 struct bnr_value *const *in);
// A node of the internal domain with n's attributes.
struct bnr_node *bnr__build_internal(struct bnr_build *b, const char *op, int n_in,
                                    struct bnr_value *const *in, int n_out);
void bnr__build_copy_attrs(struct bnr_build *b, struct bnr_node *to, const struct bnr_node *from);
// Set an attribute of v's producer; return v.
struct bnr_value *bnr__build_int(struct bnr_build *b, struct bnr_value *v, const char *name,
                                int64_t value);
struct bnr_value *bnr__build_float(struct bnr_build *b, struct bnr_value *v, const char *name,
                                   float value);
struct bnr_value *bnr__build_string(struct bnr_build *b, struct bnr_value *v, const char *name,
                                   const char *value);
struct bnr_value *bnr__build_attr_ints(struct bnr_build *b, struct bnr_value *v, const char *name,
                                      const int64_t *values, size_t n);

// A constant; takes over the reference, also on failure.
struct bnr_value *bnr__build_constant(struct bnr_build *b, struct bnr_tensor *t);
// Constants: int64 [n]; a scalar of v's dtype; a tensor of v's dims, all
// `value`. v is a value whose dtype inference knows.
struct bnr_value *bnr__build_ints(struct bnr_build *b, const int64_t *values, int n);
struct bnr_value *bnr__build_scalar(struct bnr_build *b, const struct bnr_value *v, double value);
struct bnr_value *bnr__build_filled(struct bnr_build *b, struct bnr_value *v, double value);
struct bnr_value *bnr__build_scaled(struct bnr_build *b, struct bnr_value *v,
                                   const struct bnr_value *like, double factor);

struct bnr_value *bnr__build_shape(struct bnr_build *b, struct bnr_value *v);
struct bnr_value *bnr__build_reshape_like(struct bnr_build *b, struct bnr_value *v,
                                         struct bnr_value *like);
struct bnr_value *bnr__build_reduce(struct bnr_build *b, const char *op, struct bnr_value *v,
                                   struct bnr_value *axes, bool keepdims);

// bnr__model_expand for those nodes only for which wanted(n, user) is true; NULL: all. What is made is of the
// opset above.
enum bnr_status bnr__model_expand_if(struct bnr_model *m,
                                     bool (*wanted)(const struct bnr_node *n, void *user),
                                     void *user, struct bnr_error *err);

#endif
