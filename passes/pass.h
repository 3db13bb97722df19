// SPDX-License-Identifier: Apache-2.0
// The pass manager. A pass is one rewrite in one file, listed in passes.inc in the order in which
// passes run. The manager verifies the graph after every pass, counts rewrites, repeats the list to
// a fixed point (with a cap), and honours --passes, --stop-after and --print-after.
#ifndef BNR_PASSES_PASS_H
#define BNR_PASSES_PASS_H

#include "graph/graph.h"

struct bnr_pass_cx {
    struct bnr_model *model;
    const struct bnr_options *options; // never NULL
    struct bnr_arena *temp;            // emptied after each pass
    struct bnr_error *err;
    unsigned groups;         // enum bnr_pass_group that may run
    int rewrites;            // done so far
    bool changed;            // by the pass that runs
    bool settled;            // folding is over: what would stand in its way may be done
    struct bnr_error broken; // debug builds: what the verifier said after one of its rewrites
};

// Which passes a caller wants.
enum bnr_pass_group {
    BNR_PASS_CLEAN = 1 << 0, // constant folding, dead code, identities, common subexpressions
    BNR_PASS_FOLD = 1 << 1,  // lowering to affine and folding
    BNR_PASS_FUSE = 1 << 2,  // for our own kernels: leaves hints and internal operators
    BNR_PASS_RAISE = 1 << 3, // internal operators back to standard ONNX, for `bnrun fold`
    BNR_PASS_GATHER = 1 << 4, // several operators that spell one become it; comes with FUSE
};

struct bnr_pass {
    const char *name;
    unsigned group;
    bool keeps_types; // what inference found of the values that stay is true afterwards
    enum bnr_status (*run)(struct bnr_pass_cx *cx, struct bnr_graph *g); // called for every graph
};

// A pass calls this before each rewrite: false when --stop-after is reached. Counts and sets
// changed.
bool bnr__pass_may_rewrite(struct bnr_pass_cx *cx);
// Logs "pass: skip 'node': reason" at debug level.
void bnr__pass_skip(struct bnr_pass_cx *cx, const char *pass, const struct bnr_node *n,
                    const char *fmt, ...) BNR_PRINTF(4, 5);

// Runs the passes of `groups` (or options->passes) on a resolved, inferred model.
enum bnr_status bnr__passes_run(struct bnr_model *m, const struct bnr_options *options,
                                unsigned groups, struct bnr_error *err);
const struct bnr_pass *bnr__pass_at(size_t i); // in order; NULL past the end

// Every Gradient node of a resolved model becomes the nodes that compute it.
enum bnr_status bnr__expand_gradients(struct bnr_model *m, struct bnr_error *err);
bool bnr__has_gradients(struct bnr_model *m);

// For BNR_PROMOTE_DOUBLE: every float tensor, attribute and declared type becomes float64.
enum bnr_status bnr__promote_f64(struct bnr_model *m, struct bnr_error *err);

#endif
