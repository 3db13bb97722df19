// SPDX-License-Identifier: Apache-2.0
// Statistics of BatchNormalizations estimated anew: sums over batches of what a training copy tells.
#include <math.h>

#include "graph/op.h"
#include "proto/onnx_file.h"
#include "runtime/compiled.h"
#include "runtime/session.h"
#include "runtime/train.h"

struct bnr_calibration {
    struct bnr_trainer *trainer;
    bnr_session *session;
    struct bnr_options options;
    double momentum;
    double *weights; // of each layer: values per channel of all batches so far
    double *sums;    // mean and variance of all layers, one behind the other
    size_t batches;
    struct bnr_tensor **outputs; // [n_all], NULL between batches
    size_t n_outputs;
};

// ---- one batch --------------------------------------------------------------------------------------

static void drop_outputs(struct bnr_calibration *c) {
    for (size_t i = 0; i < c->n_outputs; i++) {
        bnr__tensor_unref(c->outputs[i]);
        c->outputs[i] = NULL;
    }
}

static enum bnr_status make_session(struct bnr_calibration *c, struct bnr_error *err) {
    bnr_session_free(c->session);
    c->session = NULL;
    return bnr_session_create(&c->session, c->trainer->model, &c->options, err);
}

static enum bnr_status run(struct bnr_calibration *c, const bnr_tensor *const *inputs, size_t n_inputs,
                           bool *again, struct bnr_error *err) {
    BNR_TRY(bnr_run(c->session, inputs, n_inputs, c->outputs, c->trainer->n_all, err));
    return bnr__trainer_read(c->trainer, c->outputs, again, err);
}

static enum bnr_status check(const struct bnr_trainer *t, struct bnr_error *err) {
    for (size_t k = 0; k < t->n_bns; k++) {
        const struct bnr_train_bn *bn = &t->bns[k];
        for (size_t i = 0; !bn->skipped && i < bn->channels; i++)
            if (!isfinite(bn->mean[i]) || !isfinite(bn->var[i]))
                return bnr__fail(err, BNR_SHAPE,
                                 "node '%s': channel %zu of this batch has mean %g and variance %g, expected "
                                 "finite numbers",
                                 bn->name, i, bn->mean[i], bn->var[i]);
    }
    return BNR_OK;
}

// Batches count by the values per channel that a layer saw in them: a body may not run in each.
static void accumulate(struct bnr_calibration *c) {
    double *at = c->sums;
    for (size_t k = 0; k < c->trainer->n_bns; k++) {
        const struct bnr_train_bn *bn = &c->trainer->bns[k];
        const bool first = c->weights[k] == 0;
        if (bn->skipped || bn->runs == 0) {
            at += 2 * bn->channels;
            continue;
        }
        c->weights[k] += bn->count;
        const double share = first ? 1 : c->momentum >= 0 ? 1 - c->momentum : bn->count / c->weights[k];
        for (size_t i = 0; i < bn->channels; i++, at += 2) {
            at[0] += share * (bn->mean[i] - at[0]);
            at[1] += share * (bn->unbiased[i] - at[1]);
        }
    }
}

static enum bnr_status add(struct bnr_calibration *c, const bnr_tensor *const *inputs, size_t n_inputs,
                           struct bnr_error *err) {
    bool again;
    BNR_TRY(run(c, inputs, n_inputs, &again, err));
    if (again && c->batches > 0)
        return bnr__fail(err, BNR_INVALID,
                         "this batch has one value per channel in a layer where others had more");
    if (again) {
        drop_outputs(c);
        BNR_TRY(make_session(c, err));
        BNR_TRY(run(c, inputs, n_inputs, &again, err));
    }
    BNR_TRY(check(c->trainer, err));
    accumulate(c);
    c->batches++;
    return BNR_OK;
}

// ---- the public functions ---------------------------------------------------------------------------

static enum bnr_status init(struct bnr_calibration *c, const bnr_model *model, struct bnr_error *err) {
    const bool freeze = c->options.flags & BNR_FREEZE_INITIALIZERS;
    c->options.flags = BNR_NO_FOLD | (freeze ? BNR_FREEZE_INITIALIZERS : 0);
    BNR_TRY(bnr__trainer_new(&c->trainer, model, freeze, err));
    struct bnr_trainer *t = c->trainer;
    size_t n_sums = 0;
    for (size_t k = 0; k < t->n_bns; k++)
        n_sums += 2 * t->bns[k].channels;
    c->sums = BNR_NEW_ARRAY(&t->arena, n_sums, double);
    c->weights = BNR_NEW_ARRAY(&t->arena, t->n_bns, double);
    c->outputs = BNR_NEW_ARRAY(&t->arena, t->n_all, struct bnr_tensor *);
    if (!c->sums || !c->weights || !c->outputs)
        return bnr__no_memory(err);
    c->n_outputs = t->n_all;
    return make_session(c, err);
}

enum bnr_status bnr_calibration_create(bnr_calibration **out, const bnr_model *model,
                                       const struct bnr_options *options, double momentum,
                                       struct bnr_error *err) {
    if (!out || !model)
        return bnr__fail(err, BNR_INVALID, "no %s given", out ? "model" : "result pointer");
    *out = NULL;
    if (bnr__compiled_of(model))
        return bnr__fail(err, BNR_UNSUPPORTED, "%s: is compiled; calibrate the model that it was made of",
                         model->path);
    if (!(momentum < 1))
        return bnr__fail(err, BNR_INVALID, "momentum is %g, expected a number below 1", momentum);
    if (options)
        BNR_TRY(bnr__options_check(options, err));
    struct bnr_calibration *c = bnr__calloc(model->allocator, 1, sizeof *c);
    if (!c)
        return bnr__no_memory(err);
    c->momentum = momentum;
    if (options)
        c->options = *options;
    else
        bnr_options_init(&c->options);
    const enum bnr_status st = init(c, model, err);
    if (st == BNR_OK) {
        *out = c;
        return BNR_OK;
    }
    if (c->trainer)
        bnr_calibration_free(c);
    else
        bnr__free(model->allocator, c, sizeof *c);
    return st;
}

enum bnr_status bnr_calibration_add(bnr_calibration *c, const bnr_tensor *const *inputs, size_t n_inputs,
                                    struct bnr_error *err) {
    const enum bnr_status st = add(c, inputs, n_inputs, err);
    drop_outputs(c);
    return st;
}

enum bnr_status bnr_calibration_bn(const bnr_calibration *c, size_t k, const char **name,
                                   const char **reason) {
    if (k >= c->trainer->n_bns)
        return BNR_INVALID;
    const struct bnr_train_bn *bn = &c->trainer->bns[k];
    *name = bn->name;
    *reason = bn->skipped || c->weights[k] > 0 || c->batches == 0 ? bn->skipped : BNR_TRAIN_NOT_RUN;
    return BNR_OK;
}

enum bnr_status bnr_calibration_write(const bnr_calibration *c, const char *path, int fold,
                                      const struct bnr_options *options,
                                      void (*report)(void *user, const struct bnr_bn_report *bn),
                                      void *user, struct bnr_error *err) {
    if (c->batches == 0)
        return bnr__fail(err, BNR_INVALID, "no batch was given to calibrate with");
    const struct bnr_trainer *t = c->trainer;
    const double *at = c->sums;
    for (size_t k = 0; k < t->n_bns; k++) {
        if (c->weights[k] == 0 && !t->bns[k].skipped)
            t->bns[k].skipped = BNR_TRAIN_NOT_RUN; // keeps what the file has
        for (size_t i = 0; i < t->bns[k].channels; i++, at += 2) {
            t->bns[k].mean[i] = at[0];
            t->bns[k].var[i] = at[1];
        }
    }
    struct bnr_model *made;
    BNR_TRY(bnr__trainer_apply(&made, t, BNR_UNDEFINED, err));
    const enum bnr_status st = fold ? bnr__model_fold_write(made, t->origin, path, options, report, user, err)
                                    : bnr__model_write_file(made, t->origin, path, err);
    bnr__model_free(made);
    return st;
}

void bnr_calibration_free(bnr_calibration *c) {
    if (!c)
        return;
    const struct bnr_allocator *a = c->trainer->origin->allocator;
    if (c->outputs)
        drop_outputs(c);
    bnr_session_free(c->session);
    bnr__trainer_free(c->trainer);
    bnr__free(a, c, sizeof *c);
}
