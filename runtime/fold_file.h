// SPDX-License-Identifier: Apache-2.0
// What `fold` does beside running passes: a file keeps what no fold needed to change, and may keep the
// parameters of the BatchNormalizations that are gone.
#ifndef BNR_FOLD_FILE_H
#define BNR_FOLD_FILE_H

#include "graph/graph.h"

// What a model was before its passes ran, by value id.
struct bnr_before {
    struct bnr_arena arena;
    const char **names; // [n]
    bool *unread;       // [n]
    int n;
};
enum bnr_status bnr__before_take(struct bnr_before *b, const struct bnr_model *m, struct bnr_error *err);
// After the passes that BN folding alone needs: constants of the main graph that a node made before, and
// that still are what it made, are made by it again; a node that took a BN in makes the BN's output, under
// its name; nodes and constants that were read before and are not any more go. origin: where the nodes are.
enum bnr_status bnr__before_restore(const struct bnr_before *b, struct bnr_model *m,
                                    const struct bnr_model *origin, struct bnr_error *err);
void bnr__before_free(struct bnr_before *b);
// The passes that BN folding alone needs, for options->passes.
const char *bnr__only_bn_passes(const struct bnr_model *m);

// Parameters of all BatchNormalizations, to be kept as metadata.
struct bnr_kept_bn {
    struct bnr_tensor *parameters[4]; // scale, B, mean, var; NULL where not constant
    float epsilon;
};
struct bnr_kept_statistics {
    struct bnr_arena arena;
    struct bnr_kept_bn *bns;
    size_t n;
};
enum bnr_status bnr__statistics_take(struct bnr_kept_statistics *k, struct bnr_model *m,
                                     struct bnr_error *err);
// Adds them to m->meta, once the verdicts are there.
enum bnr_status bnr__statistics_note(const struct bnr_kept_statistics *k, struct bnr_model *m,
                                     struct bnr_error *err);
void bnr__statistics_free(struct bnr_kept_statistics *k);

#endif
