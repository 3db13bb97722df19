// SPDX-License-Identifier: Apache-2.0
// Copying graphs, into another model (bnr__model_clone) or into another place of the same one (inlining);
// for nobody else.
#ifndef BNR_GRAPH_COPY_H
#define BNR_GRAPH_COPY_H

#include "graph/graph.h"

// One graph that is being copied. Values of graphs without a scope stand for themselves.
struct bnr_copy_scope {
    const struct bnr_graph *from;
    struct bnr_graph *to;
    struct bnr_value **map; // [from->n_values] by slot: the copy, or NULL for none
    const struct bnr_copy_scope *outer;
};

struct bnr_copy {
    struct bnr_model *to;
    struct bnr_arena *temp;
    struct bnr_error *err;
    // Inlining: references to the function's attributes are bound by the call's attributes and the
    // function's defaults; values and nodes get fresh names that begin with the call's.
    const struct bnr_node *call;
    const struct bnr_function *function;
    // Cloning: `to` is another model, names stay.
    const struct bnr_model *from;
    struct bnr_node **nodes; // [from->next_node_id]: copies so far
};

struct bnr_value *bnr__copy_of(const struct bnr_copy_scope *scope, struct bnr_value *v);
// Copies the values into scope->to, except inputs of a function's body and what the map already holds.
enum bnr_status bnr__copy_values(struct bnr_copy *c, struct bnr_copy_scope *scope);
// Copies n with its subgraphs in front of `before`.
enum bnr_status bnr__copy_node(struct bnr_copy *c, const struct bnr_copy_scope *scope,
                               const struct bnr_node *n, struct bnr_node *before);
// Copies everything in from into to, which is empty.
enum bnr_status bnr__copy_graph(struct bnr_copy *c, const struct bnr_copy_scope *outer,
                                const struct bnr_graph *from, struct bnr_graph *to);
enum bnr_status bnr__copy_type(struct bnr_copy *c, struct bnr_type *to, const struct bnr_type *from);

#endif
