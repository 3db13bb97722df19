// SPDX-License-Identifier: Apache-2.0
// Graphs made by hand, for tests. Everything asserts success.
#ifndef BNR_TESTS_GRAPH_BUILD_H
#define BNR_TESTS_GRAPH_BUILD_H

#include "graph/graph.h"

// IR version 8, ai.onnx at `opset`, an empty main graph "main".
struct bnr_model *build_model(const struct bnr_allocator *a, int opset);
// dims: a number, or negative: the symbol named by the letter ('a' - 1 - dim).
struct bnr_value *build_input(struct bnr_graph *g, const char *name, enum bnr_dtype dtype, int rank,
                              const int64_t *dims);
struct bnr_value *build_constant_f32(struct bnr_graph *g, const char *name, int rank,
                                     const int64_t *dims, const float *data);
struct bnr_value *build_constant_i64(struct bnr_graph *g, const char *name, int rank,
                                     const int64_t *dims, const int64_t *data);
// A node at the end with one output of that name; up to three inputs, NULL: none.
struct bnr_value *build_node(struct bnr_graph *g, const char *op_type, const char *out,
                             struct bnr_value *a, struct bnr_value *b, struct bnr_value *c);
void build_output(struct bnr_graph *g, struct bnr_value *v);
// A graph attribute of n; empty.
struct bnr_graph *build_body(struct bnr_node *n, const char *attr);

// Counts everything anew, node by node: every use is listed exactly once, nothing else is.
void check_uses(const struct bnr_model *m);
// bnr__model_verify must say yes; prints its message otherwise.
void check_valid(const struct bnr_model *m);
// A small generator that gives the same numbers everywhere.
uint32_t next_random(uint64_t *state);

#endif
