// SPDX-License-Identifier: Apache-2.0
// What the files of graph/ share about links between nodes, values and graphs; for nobody else.
#ifndef BNR_GRAPH_EDIT_H
#define BNR_GRAPH_EDIT_H

#include "graph/graph.h"

// Makes room for `extra` more uses, so that as many bnr__use_add cannot fail.
enum bnr_status bnr__uses_reserve(struct bnr_value *v, size_t extra);
// node->in[index] reads v from now on; it read nothing before.
void bnr__use_add(struct bnr_value *v, struct bnr_node *node, int index);
// node->in[index] reads nothing from now on.
void bnr__use_drop(struct bnr_node *node, int index);

// Room for n inputs, the new ones NULL.
enum bnr_status bnr__node_grow_inputs(struct bnr_node *n, int n_in);
void bnr__node_link(struct bnr_node *n, struct bnr_node *before);
void bnr__node_unlink(struct bnr_node *n);

// Takes v out of its graph and lets go of its tensor.
void bnr__value_unlink(struct bnr_value *v);
void bnr__value_reset_info(struct bnr_value *v); // nothing is known
void bnr__value_drop_info(struct bnr_value *v);  // likewise, and its memory may go
// Empties a graph whose owner goes: its nodes read nothing any more, its values are gone.
void bnr__graph_discard(struct bnr_graph *g);
void bnr__attr_discard_graphs(struct bnr_attr *attr);
// Makes attr's name and array copies that belong to m, which holds its tensors. Not the graphs.
enum bnr_status bnr__attr_copy(struct bnr_model *m, struct bnr_attr *attr);
// to = Identity(from), in front of `before`.
enum bnr_status bnr__identity_new(struct bnr_graph *g, struct bnr_node *before, struct bnr_value *from,
                                  struct bnr_value *to, struct bnr_error *err);

bool bnr__graph_is_inside(const struct bnr_graph *g, const struct bnr_graph *outer); // or the same
bool bnr__name_is_used(const struct bnr_model *m, const char *name);                 // ever

#endif
