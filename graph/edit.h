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
// Makes attr's array a copy that belongs to m, which holds its tensors. Not the name, and not the
// graphs.
enum bnr_status bnr__attr_copy(struct bnr_model *m, struct bnr_attr *attr);
// to = Identity(from), in front of `before`.
enum bnr_status bnr__identity_new(struct bnr_graph *g, struct bnr_node *before, struct bnr_value *from,
                                  struct bnr_value *to, struct bnr_error *err);

// An empty model that reads the names of another one, too.
struct bnr_model *bnr__model_beside(const struct bnr_allocator *a, struct bnr_names *names);
// As bnr__model_intern; `hash` is bnr__map_hash(s).
const char *bnr__intern_hashed(struct bnr_model *m, const char *s, uint64_t hash);
// v, which is all zero, becomes a value of g, whose name and place in the table of names are the
// caller's business. There must be room.
void bnr__value_place(struct bnr_value *v, struct bnr_graph *g, const char *name);
// The file says something about its type.
bool bnr__value_declares(const struct bnr_value *v);
// Like bnr__node_new, but what it is (domain, operator and its version) is taken over from `like`,
// a node of the same names. `name` is one of them.
enum bnr_status bnr__node_like(struct bnr_node **out, struct bnr_graph *g, struct bnr_node *before,
                               const struct bnr_node *like, const char *name, int n_in,
                               struct bnr_value *const *in, int n_out);

bool bnr__graph_is_inside(const struct bnr_graph *g, const struct bnr_graph *outer); // or the same
bool bnr__name_is_used(const struct bnr_model *m, const char *name);                 // ever

#endif
