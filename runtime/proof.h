// SPDX-License-Identifier: Apache-2.0
// What the checks of a fold share: running one network in several ways on the same inputs and comparing the
// results.
#ifndef BNR_PROOF_H
#define BNR_PROOF_H

#include "graph/graph.h"

enum bnr_way_of_running {
    BNR_FOLDED,
    BNR_UNFOLDED, // the same kernels and rewrites, but every BatchNormalization stays
    BNR_TRUTH,    // the graph as it is, in double precision by reference code
    BNR_LAYERS,   // folded, with the outputs of layers exposed
    BNR_ALGEBRA,  // promoted to double first, then folded, by reference code: rounds nothing that matters
    BNR_ROUNDED,  // BNR_UNFOLDED again by other kernels, which round elsewhere
    BNR_ROUNDED_END = BNR_ROUNDED + 3,
    BNR_WAYS = BNR_ROUNDED_END
};

struct bnr_proof_way {
    struct bnr_options options;
    bnr_session *session; // of the last run; the folded ones are kept for their reports
    bnr_tensor **outs;
    size_t n_outs;
};

struct bnr_proof {
    const bnr_model *model;
    const bnr_tensor *const *inputs;
    size_t n_inputs, n_outputs; // of the model as the caller sees it
    double tolerance;
    struct bnr_proof_way ways[BNR_WAYS];
    const bnr_model *unfolded; // what BNR_UNFOLDED ran
    bool rounded;              // it ran by other kernels as well
    struct bnr_verify_report *report;
    struct bnr_error *err;
};

// Runs `model` in way k and leaves the outputs in p->ways[k]; what was there goes.
enum bnr_status bnr__proof_run(struct bnr_proof *p, enum bnr_way_of_running k, const struct bnr_model *model);
void bnr__proof_end(struct bnr_proof_way *w);
// Output i of the ways that ran; `folded` against the others. `name` is copied. While p->unfolded is there.
enum bnr_status bnr__proof_compare(struct bnr_proof *p, struct bnr_verify_output *o, const char *name,
                                   const struct bnr_tensor *folded, size_t i);
// All outputs of the model, and the verdict about them.
enum bnr_status bnr__proof_compare_all(struct bnr_proof *p);
enum bnr_status bnr__proof_copy(struct bnr_proof *p, const char **to, const char *from);
// Room in the report for n BatchNormalizations; NULL when out of memory.
struct bnr_verify_bn *bnr__proof_bns(struct bnr_proof *p, size_t n);

// The checks.
enum bnr_status bnr__prove_training(struct bnr_proof *p); // verify_training.c
enum bnr_status bnr__prove_layers(struct bnr_proof *p);   // verify_layers.c

#endif
