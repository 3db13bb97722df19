// SPDX-License-Identifier: Apache-2.0
// A model whose BatchNormalizations normalize by the batch, as in training, and tell the statistics that
// they found: what the training-mode proof and calibration need. Outputs of such layers feed the next
// ones, so that the statistics of all layers belong together.
#ifndef BNR_TRAIN_H
#define BNR_TRAIN_H

#include "graph/graph.h"

struct bnr_train_bn {
    const char *name;    // the node's label
    const char *skipped; // why it keeps the statistics of the file; NULL: it trains
    bool nested;         // in a body
    size_t channels;     // elements of its mean
    // Filled by bnr__trainer_read. In a body that ran several times: averages over them.
    double *mean, *var, *unbiased; // [channels]; population variance, and that times m / (m - 1)
    double count, fewest;          // values that a statistic was taken over: in all, at the least
    size_t runs;
    size_t outputs[3]; // of the trainer's model: mean, variance, number of elements
};

// Why a layer is skipped.
#define BNR_TRAIN_ONE_VALUE "the batch has one value per channel: no variance (give a larger batch)"
#define BNR_TRAIN_NOT_RUN "nothing ran it: a branch that was not taken, or a loop without rounds"

struct bnr_trainer {
    struct bnr_arena arena;
    const struct bnr_model *origin; // must outlive this
    struct bnr_model *model;        // the copy that trains: the origin's outputs, then the statistics
    size_t n_outputs, n_all;        // of the origin, of the copy
    struct bnr_train_bn *bns;       // those of the main graph and of bodies, outer ones first
    size_t n_bns;
    bool freeze; // initializers that are inputs count as constants
    bool once;   // skip layers in bodies that do not run exactly once in a run; set after making
};

// Trains every BatchNormalization that has constant statistics and does not train by itself, those in
// bodies as well. Release with bnr__trainer_free, also after a failure (*out is then NULL).
enum bnr_status bnr__trainer_new(struct bnr_trainer **out, const struct bnr_model *origin, bool freeze,
                                 struct bnr_error *err);
void bnr__trainer_free(struct bnr_trainer *t);
// Takes the statistics out of a run's outputs ([n_all]). Layers that did not run, or saw a single value per
// channel, whose variance is 0 whatever the data, are marked as skipped from now on and the model is made
// anew: *again then says that the run must be repeated.
enum bnr_status bnr__trainer_read(struct bnr_trainer *t, struct bnr_tensor *const *outputs, bool *again,
                                  struct bnr_error *err);
// A copy of the origin with the statistics in bns[].mean and var in place of the file's. dtype: of the new
// constants; BNR_UNDEFINED: that of the old ones. Whoever saves it passes the origin on to the saver.
enum bnr_status bnr__trainer_apply(struct bnr_model **out, const struct bnr_trainer *t,
                                   enum bnr_dtype dtype, struct bnr_error *err);

#endif
