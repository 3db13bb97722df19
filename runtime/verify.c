// SPDX-License-Identifier: Apache-2.0
// The proof of a fold by running it. A network is run in several ways, and every output is compared: as
// folded, unfolded with the same kernels (so that the difference is the fold's), and unfolded in double
// precision by reference code, which shares no kernel and no rewrite with the others and says which of the
// two is closer to the truth.
//
// In the training check the two unfolded ways normalize by the batch itself, and the folded one has the
// batch's statistics for constants. So mean, variance, gamma, beta and epsilon of every layer are checked
// through an operator that shares no code with the fold.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/compiled.h"
#include "runtime/bound.h"
#include "runtime/difference.h"
#include "runtime/train.h"

enum { FOLDED, UNFOLDED, TRUTH, LAYERS, WAYS }; // LAYERS: folded, with the outputs of layers exposed

struct way {
    const struct bnr_model *model;
    struct bnr_options options;
    bnr_session *session; // kept where reports are read after the run
    bnr_tensor **outs;
    size_t n_outs;
};

struct proof {
    const bnr_model *model;
    const bnr_tensor *const *inputs;
    size_t n_inputs, n_outputs; // of the model as the caller sees it
    double tolerance;
    struct way ways[WAYS];
    struct bnr_verify_report *report;
    struct bnr_error *err;
};

// ---- running ----------------------------------------------------------------------------------------

static void drop_outputs(struct way *w) {
    for (size_t i = 0; w->outs && i < w->n_outs; i++)
        bnr__tensor_unref(w->outs[i]);
    free(w->outs);
    w->outs = NULL;
}

static void end_way(struct way *w) {
    drop_outputs(w);
    bnr_session_free(w->session);
    w->session = NULL;
}

// Leaves the outputs, and the session, in p->ways[k].
static enum bnr_status run_way(struct proof *p, int k, const struct bnr_model *model) {
    struct way *w = &p->ways[k];
    end_way(w);
    w->model = model;
    w->n_outs = model->graph->n_outputs;
    w->outs = calloc(w->n_outs ? w->n_outs : 1, sizeof(struct bnr_tensor *));
    if (!w->outs)
        return bnr__no_memory(p->err);
    BNR_TRY(bnr_session_create(&w->session, model, &w->options, p->err));
    BNR_TRY(bnr_run(w->session, p->inputs, p->n_inputs, w->outs, w->n_outs, p->err));
    if (k == FOLDED || k == LAYERS)
        return BNR_OK;
    bnr_session_free(w->session);
    w->session = NULL;
    return BNR_OK;
}

// ---- comparing --------------------------------------------------------------------------------------

static double default_tolerance(enum bnr_dtype dtype) {
    return dtype == BNR_FLOAT || dtype == BNR_DOUBLE ? 1e-5 : 4e-3;
}

static enum bnr_status copy_text(struct proof *p, const char **to, const char *from) {
    *to = strdup(from); // the report may outlive the model
    return *to ? BNR_OK : bnr__no_memory(p->err);
}

static enum bnr_status compare_output(struct proof *p, struct bnr_verify_output *o, const char *name,
                                      const struct bnr_tensor *folded, size_t i) {
    const struct bnr_tensor *unfolded = p->ways[UNFOLDED].outs[i], *truth = p->ways[TRUTH].outs[i];
    const enum bnr_dtype dtype = folded->dtype;
    *o = (struct bnr_verify_output){
        .dtype = dtype,
        .numel = folded->numel,
        .magnitude = bnr__largest(truth),
        .folded_unfolded = bnr__difference(dtype, folded, unfolded),
        .folded_double = bnr__difference(dtype, folded, truth),
        .unfolded_double = bnr__difference(dtype, unfolded, truth),
    };
    const double relative = p->tolerance > 0 ? p->tolerance : default_tolerance(dtype);
    o->allowed = fmax(2 * o->unfolded_double.max_abs, relative * o->magnitude);
    // The unfolded path is no excuse when it is itself wrong: a fault that both share.
    const double sane = 100 * relative * o->magnitude;
    o->passed = o->folded_double.max_abs <= o->allowed && o->unfolded_double.max_abs <= sane;
    return copy_text(p, &o->name, name);
}

static enum bnr_status compare_outputs(struct proof *p) {
    struct bnr_verify_report *r = p->report;
    r->passed = 1;
    for (size_t i = 0; i < p->n_outputs; i++) {
        struct bnr_value_info info;
        BNR_TRY(bnr_model_output(p->model, i, &info));
        BNR_TRY(compare_output(p, &r->outputs[i], info.name, p->ways[FOLDED].outs[i], i));
        r->n_outputs = i + 1;
        r->passed &= r->outputs[i].passed;
    }
    return BNR_OK;
}

static struct bnr_verify_bn *new_bns(struct proof *p, size_t n) {
    p->report->bns = calloc(n ? n : 1, sizeof *p->report->bns);
    if (p->report->bns)
        p->report->n_bns = n;
    for (size_t k = 0; k < p->report->n_bns; k++)
        p->report->bns[k].bound = NAN;
    return p->report->bns;
}

// ---- the three proofs -------------------------------------------------------------------------------

static enum bnr_status prove_fold(struct proof *p) {
    for (int k = FOLDED; k <= TRUTH; k++)
        BNR_TRY(run_way(p, k, p->model));
    return compare_outputs(p);
}

static enum bnr_status list_trained(struct proof *p, const struct bnr_trainer *t) {
    struct bnr_verify_bn *bns = new_bns(p, t->n_bns);
    if (!bns)
        return bnr__no_memory(p->err);
    for (size_t k = 0; k < t->n_bns; k++) {
        bns[k].checked = !t->bns[k].skipped;
        BNR_TRY(copy_text(p, &bns[k].name, t->bns[k].name));
        if (t->bns[k].skipped)
            BNR_TRY(copy_text(p, &bns[k].reason, t->bns[k].skipped));
    }
    return BNR_OK;
}

static enum bnr_status run_training(struct proof *p, struct bnr_trainer *t) {
    bool again;
    BNR_TRY(run_way(p, TRUTH, t->model));
    BNR_TRY(bnr__trainer_read(t, p->ways[TRUTH].outs, &again, p->err));
    if (again) {
        BNR_TRY(run_way(p, TRUTH, t->model));
        BNR_TRY(bnr__trainer_read(t, p->ways[TRUTH].outs, &again, p->err));
    }
    BNR_TRY(run_way(p, UNFOLDED, t->model));
    struct bnr_model *model;
    BNR_TRY(bnr__trainer_apply(&model, t, BNR_DOUBLE, p->err));
    enum bnr_status st = run_way(p, FOLDED, model);
    bnr_session_free(p->ways[FOLDED].session);
    p->ways[FOLDED].session = NULL;
    bnr__model_free(model);
    if (st == BNR_OK)
        st = compare_outputs(p);
    return st == BNR_OK ? list_trained(p, t) : st;
}

static enum bnr_status prove_training(struct proof *p) {
    struct bnr_trainer *t;
    p->ways[UNFOLDED].options.flags |= BNR_REFERENCE;
    BNR_TRY(bnr__trainer_new(&t, p->model, p->ways[FOLDED].options.flags & BNR_FREEZE_INITIALIZERS, p->err));
    const enum bnr_status st = run_training(p, t);
    bnr__trainer_free(t);
    return st;
}

// ---- layers -----------------------------------------------------------------------------------------

struct layer {
    const char *label, *tensor; // of the BatchNormalization, and its output's name
    size_t output;              // SIZE_MAX: not exposed
};

struct exposing {
    struct layer *layers; // NULL: only counting
    size_t n;
    struct bnr_error *err;
};

static enum bnr_status expose(struct bnr_graph *g, void *cx) {
    struct exposing *e = cx;
    for (struct bnr_node *n = g->first; n; n = n->next) {
        if (!bnr__node_is(n, "", "BatchNormalization"))
            continue;
        const size_t k = e->n++;
        if (!e->layers)
            continue;
        e->layers[k] = (struct layer){n->label, n->out[0] ? n->out[0]->name : "", SIZE_MAX};
        if (g->owner || !n->out[0])
            continue;
        e->layers[k].output = g->n_outputs;
        BNR_TRY(bnr__expose_output(n, 0, e->err));
    }
    return BNR_OK;
}

// Why the fold with exposed outputs is not the fold that is to be proved; NULL where it is.
static const char *why_not_compared(const struct proof *p, const struct layer *layer, size_t k) {
    struct bnr_bn_report real, exposed;
    if (layer->output == SIZE_MAX)
        return "it stands in a subgraph";
    if (bnr_session_bn(p->ways[FOLDED].session, k, &real) != BNR_OK ||
        bnr_session_bn(p->ways[LAYERS].session, k, &exposed) != BNR_OK)
        return NULL; // nothing was folded
    if (real.verdict == exposed.verdict && strcmp(real.into ? real.into : "", exposed.into ? exposed.into : "") == 0)
        return NULL;
    return real.verdict == BNR_VERDICT_FOLDED
               ? "folded where its output is not there any more: it is covered by what follows"
               : "it would be folded in another way if its output had to be there";
}

static enum bnr_status compare_layer(struct proof *p, const struct layer *layer, size_t k) {
    struct bnr_verify_bn *bn = &p->report->bns[k];
    const char *why = why_not_compared(p, layer, k);
    BNR_TRY(copy_text(p, &bn->name, layer->label));
    if (why)
        return copy_text(p, &bn->reason, why);
    bn->checked = 1;
    return compare_output(p, &bn->output, layer->tensor, p->ways[LAYERS].outs[layer->output], layer->output);
}

static enum bnr_status add_bounds(struct proof *p, size_t n) {
    double *bounds = calloc(n ? n : 1, sizeof *bounds);
    if (!bounds)
        return bnr__no_memory(p->err);
    const enum bnr_status st = bnr__bounds_measure(p->model, p->inputs, p->n_inputs,
                                                   &p->ways[FOLDED].options, bounds, n, p->err);
    for (size_t k = 0; k < n; k++)
        p->report->bns[k].bound = bounds[k];
    free(bounds);
    return st;
}

static enum bnr_status run_layers(struct proof *p, struct bnr_model *copy, struct exposing *e) {
    BNR_TRY(bnr__model_each_graph(copy, expose, e));
    BNR_TRY(run_way(p, FOLDED, p->model));
    for (int k = UNFOLDED; k <= LAYERS; k++)
        BNR_TRY(run_way(p, k, copy));
    BNR_TRY(compare_outputs(p));
    if (!new_bns(p, e->n))
        return bnr__no_memory(p->err);
    for (size_t k = 0; k < e->n; k++)
        BNR_TRY(compare_layer(p, &e->layers[k], k));
    return add_bounds(p, e->n);
}

static enum bnr_status prove_layers(struct proof *p) {
    struct bnr_model *copy;
    struct exposing e = {.err = p->err};
    BNR_TRY(bnr__model_clone(&copy, p->model, p->err));
    enum bnr_status st = bnr__model_each_graph(copy, expose, &e);
    e.layers = calloc(e.n ? e.n : 1, sizeof *e.layers);
    e.n = 0;
    if (st == BNR_OK)
        st = e.layers ? run_layers(p, copy, &e) : bnr__no_memory(p->err);
    free(e.layers);
    for (int k = 0; k < WAYS; k++)
        end_way(&p->ways[k]);
    bnr__model_free(copy);
    return st;
}

// ---- the public functions ---------------------------------------------------------------------------

static void set_options(struct proof *p, const struct bnr_options *options) {
    for (int k = 0; k < WAYS; k++) {
        if (options)
            p->ways[k].options = *options;
        else
            bnr_options_init(&p->ways[k].options);
    }
    p->ways[UNFOLDED].options.flags |= BNR_NO_FOLD;
    p->ways[TRUTH].options.flags |= BNR_REFERENCE | BNR_PROMOTE_DOUBLE;
}

static enum bnr_status prove(struct bnr_verify_report **out, struct proof *p,
                             const struct bnr_options *options, enum bnr_status (*by)(struct proof *p)) {
    *out = NULL;
    set_options(p, options);
    p->n_outputs = bnr_model_output_count(p->model);
    struct bnr_verify_report *r = p->report = calloc(1, sizeof *r);
    if (r)
        r->outputs = calloc(p->n_outputs ? p->n_outputs : 1, sizeof *r->outputs);
    enum bnr_status st = r && r->outputs ? by(p) : bnr__no_memory(p->err);
    for (int k = 0; k < WAYS; k++)
        end_way(&p->ways[k]);
    if (st == BNR_OK)
        *out = r;
    else
        bnr_verify_free(r);
    return st;
}

// A compiled model has no BatchNormalizations to look at any more.
static enum bnr_status prove_of_original(struct bnr_verify_report **out, struct proof *p,
                                         const struct bnr_model *model,
                                         const struct bnr_options *options,
                                         enum bnr_status (*by)(struct proof *p)) {
    struct bnr_model *original;
    *out = NULL;
    BNR_TRY(bnr__compiled_original(&original, model, p->err));
    p->model = original;
    const enum bnr_status st = prove(out, p, options, by);
    bnr__model_free(original);
    return st;
}

enum bnr_status bnr_verify(struct bnr_verify_report **out, const bnr_model *model,
                           const bnr_tensor *const *inputs, size_t n_inputs,
                           const struct bnr_options *options, double tolerance, struct bnr_error *err) {
    struct proof p = {.model = model, .inputs = inputs, .n_inputs = n_inputs, .tolerance = tolerance, .err = err};
    return prove(out, &p, options, prove_fold);
}

enum bnr_status bnr_verify_training(struct bnr_verify_report **out, const bnr_model *model,
                                    const bnr_tensor *const *inputs, size_t n_inputs,
                                    const struct bnr_options *options, double tolerance,
                                    struct bnr_error *err) {
    struct proof p = {.inputs = inputs, .n_inputs = n_inputs, .tolerance = tolerance, .err = err};
    return prove_of_original(out, &p, model, options, prove_training);
}

enum bnr_status bnr_verify_layers(struct bnr_verify_report **out, const bnr_model *model,
                                  const bnr_tensor *const *inputs, size_t n_inputs,
                                  const struct bnr_options *options, double tolerance,
                                  struct bnr_error *err) {
    struct proof p = {.inputs = inputs, .n_inputs = n_inputs, .tolerance = tolerance, .err = err};
    return prove_of_original(out, &p, model, options, prove_layers);
}

static void free_text(const char *text) {
    free((char *)(uintptr_t)text); // ours; const for the reader only
}

void bnr_verify_free(struct bnr_verify_report *report) {
    if (!report)
        return;
    for (size_t i = 0; i < report->n_outputs; i++)
        free_text(report->outputs[i].name);
    for (size_t i = 0; i < report->n_bns; i++) {
        free_text(report->bns[i].name);
        free_text(report->bns[i].reason);
        free_text(report->bns[i].output.name);
    }
    free(report->outputs);
    free(report->bns);
    free(report);
}
