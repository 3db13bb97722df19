// SPDX-License-Identifier: Apache-2.0
// Small models built by hand, for tests of sessions and plans. A step that fails marks the builder
// as failed and later ones do nothing, so that tests with failing allocators need no checks in
// between.
#ifndef BNR_TESTS_MODEL_BUILDER_H
#define BNR_TESTS_MODEL_BUILDER_H

#include <stdbool.h>

#include "graph/graph.h"

struct model_builder {
    struct bnr_model *model;
    struct bnr_graph *graph; // where nodes go; a body while one is built
    bool failed;
    struct bnr_error err;
};

void mb_begin(struct model_builder *t, int opset, const struct bnr_allocator *a);
// Dims below 0 are open: -1 is the symbol "A", -2 "B", ...
struct bnr_value *mb_input(struct model_builder *t, const char *name, enum bnr_dtype dtype,
                           int rank, const int64_t *dims);
// Reproducible values in [-1, 1).
struct bnr_value *mb_weights(struct model_builder *t, int rank, const int64_t *dims);
struct bnr_value *mb_ints(struct model_builder *t, size_t n, const int64_t *values); // int64 [n]
// A node with one output. in1, in2: NULL where there are fewer inputs.
struct bnr_value *mb_op(struct model_builder *t, const char *op_type, struct bnr_value *in0,
                        struct bnr_value *in1, struct bnr_value *in2);
void mb_output(struct model_builder *t, struct bnr_value *v);
// A body for attribute `name` of node n: later calls build into it until mb_leave. NULL when out of
// memory.
struct bnr_graph *mb_enter(struct model_builder *t, struct bnr_node *n);
void mb_leave(struct model_builder *t, const char *name);
// Binds, infers and verifies. The caller frees the model; NULL (and the model freed) after a
// failure.
struct bnr_model *mb_end(struct model_builder *t);

// A session of m; fails the test with the message where there is none. cpu: a level, or NULL.
struct bnr_session *mb_session(const struct bnr_model *m, unsigned flags, const char *cpu,
                               int threads);

// Reproducible values in [-1, 1), or small integers.
struct bnr_tensor *mb_tensor(enum bnr_dtype dtype, int rank, const int64_t *dims, uint64_t seed);

#endif
