// SPDX-License-Identifier: Apache-2.0
#include "runtime/proof.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"
#include "passes/pass.h"
#include "runtime/difference.h"
#include "runtime/interface.h"
#include "runtime/kernels/cpu.h"

// Of the algebra alone, relative to the magnitude: double precision, through a deep network.
static const double ALGEBRA_TOLERANCE = 1e-9;

// ---- running ------------------------------------------------------------------------------------------

void bnr__proof_end(struct bnr_proof_way *w) {
    for (size_t i = 0; w->outs && i < w->n_outs; i++)
        bnr__tensor_unref(w->outs[i]);
    free(w->outs);
    w->outs = NULL;
    bnr_session_free(w->session);
    w->session = NULL;
}

static enum bnr_status run(struct bnr_proof *p, struct bnr_proof_way *w, const struct bnr_model *model,
                           const bnr_tensor *const *inputs, size_t n_inputs) {
    BNR_TRY(bnr_session_create(&w->session, model, &w->options, p->err));
    return bnr_run(w->session, inputs, n_inputs, w->outs, w->n_outs, p->err);
}

static enum bnr_status fold_promoted(struct bnr_model *m, const struct bnr_options *o,
                                     struct bnr_error *err) {
    BNR_TRY(bnr__model_resolve(m, NULL, err));
    BNR_TRY(bnr__promote_f64(m, err));
    m->freeze_initializers = o->flags & BNR_FREEZE_INITIALIZERS;
    BNR_TRY(bnr__model_infer(m, err));
    return bnr__passes_run(m, o, BNR_PASS_CLEAN | BNR_PASS_FOLD, err);
}

static enum bnr_status run_promoted(struct bnr_proof *p, struct bnr_proof_way *w,
                                    const struct bnr_model *model) {
    struct bnr_model *copy;
    BNR_TRY(bnr__model_clone(&copy, model, p->err));
    const bnr_tensor **inputs =
        BNR_NEW_ARRAY(&copy->arena, copy->graph->n_inputs + 1, const bnr_tensor *);
    enum bnr_status st = inputs ? fold_promoted(copy, &w->options, p->err) : bnr__no_memory(p->err);
    if (st == BNR_OK)
        st = run(p, w, copy, inputs,
                 bnr__interface_left(copy, p->model, p->inputs, p->n_inputs, inputs));
    bnr__model_free(copy);
    return st;
}

enum bnr_status bnr__proof_run(struct bnr_proof *p, enum bnr_way_of_running k,
                               const struct bnr_model *model) {
    struct bnr_proof_way *w = &p->ways[k];
    if (k == BNR_UNFOLDED)
        p->unfolded = model;
    bnr__proof_end(w);
    w->n_outs = model->graph->n_outputs;
    w->outs = calloc(w->n_outs ? w->n_outs : 1, sizeof(struct bnr_tensor *));
    if (!w->outs)
        return bnr__no_memory(p->err);
    BNR_TRY(k == BNR_ALGEBRA ? run_promoted(p, w, model)
                             : run(p, w, model, p->inputs, p->n_inputs));
    if (k == BNR_FOLDED || k == BNR_LAYERS)
        return BNR_OK;
    bnr_session_free(w->session);
    w->session = NULL;
    return BNR_OK;
}

// ---- comparing ----------------------------------------------------------------------------------------

static double default_tolerance(enum bnr_dtype dtype) {
    return dtype == BNR_FLOAT || dtype == BNR_DOUBLE ? 1e-5 : 4e-3;
}

enum bnr_status bnr__proof_copy(struct bnr_proof *p, const char **to, const char *from) {
    *to = strdup(from); // the report may outlive the model
    return *to ? BNR_OK : bnr__no_memory(p->err);
}

// How far rounding takes a network is seen badly from one evaluation: where the error of all outputs has one
// source, it may be small by chance. So where the folded network is further away, the unfolded one is evaluated
// by the kernels of lower levels and by reference code in its own precision, too: the same sums in another order.
static enum bnr_status run_rounded(struct bnr_proof *p) {
    static const struct {
        unsigned flags;
        const char *cpu;
    } others[BNR_ROUNDED_END - BNR_ROUNDED] = {{BNR_REFERENCE, NULL}, {0, "generic"}, {0, "avx2"}};
    unsigned features;
    for (size_t i = 0; i < BNR_COUNT(others); i++) {
        const enum bnr_way_of_running k = (enum bnr_way_of_running)(BNR_ROUNDED + i);
        if (!bnr__cpu_level(others[i].cpu, bnr__cpu_detect(), &features))
            continue;
        p->ways[k].options = p->ways[BNR_UNFOLDED].options;
        p->ways[k].options.flags |= others[i].flags;
        p->ways[k].options.cpu = others[i].cpu;
        BNR_TRY(bnr__proof_run(p, k, p->unfolded));
    }
    p->rounded = true;
    return BNR_OK;
}

static void judge(const struct bnr_proof *p, struct bnr_verify_output *o, size_t i) {
    const double relative = p->tolerance > 0 ? p->tolerance : default_tolerance(o->dtype);
    o->rounding = o->unfolded_double.max_abs;
    for (int k = BNR_ROUNDED; k < BNR_ROUNDED_END; k++)
        if (p->ways[k].outs)
            o->rounding = fmax(o->rounding, bnr__difference(o->dtype, p->ways[k].outs[i],
                                                            p->ways[BNR_TRUTH].outs[i]).max_abs);
    o->allowed = fmax(2 * o->rounding, relative * o->magnitude);
    // The unfolded path is no excuse when it is itself wrong: a fault that both share.
    o->passed = o->folded_double.max_abs <= o->allowed && o->rounding <= 100 * relative * o->magnitude;
}

enum bnr_status bnr__proof_compare(struct bnr_proof *p, struct bnr_verify_output *o, const char *name,
                                   const struct bnr_tensor *folded, size_t i) {
    const struct bnr_tensor *unfolded = p->ways[BNR_UNFOLDED].outs[i], *truth = p->ways[BNR_TRUTH].outs[i];
    const struct bnr_proof_way *algebra = &p->ways[BNR_ALGEBRA];
    const enum bnr_dtype dtype = folded->dtype;
    *o = (struct bnr_verify_output){
        .dtype = dtype,
        .numel = folded->numel,
        .magnitude = bnr__largest(truth),
        .folded_unfolded = bnr__difference(dtype, folded, unfolded),
        .folded_double = bnr__difference(dtype, folded, truth),
        .unfolded_double = bnr__difference(dtype, unfolded, truth),
    };
    judge(p, o, i);
    if (!o->passed && !p->rounded) {
        BNR_TRY(run_rounded(p));
        judge(p, o, i);
    }
    if (algebra->outs) {
        o->algebra_double = bnr__difference(BNR_DOUBLE, algebra->outs[i], truth);
        o->passed &= o->algebra_double.max_abs <= ALGEBRA_TOLERANCE * o->magnitude;
    }
    return bnr__proof_copy(p, &o->name, name);
}

enum bnr_status bnr__proof_compare_all(struct bnr_proof *p) {
    struct bnr_verify_report *r = p->report;
    r->passed = 1;
    for (size_t i = 0; i < p->n_outputs; i++) {
        struct bnr_value_info info;
        BNR_TRY(bnr_model_output(p->model, i, &info));
        BNR_TRY(bnr__proof_compare(p, &r->outputs[i], info.name, p->ways[BNR_FOLDED].outs[i], i));
        r->n_outputs = i + 1;
        r->passed &= r->outputs[i].passed;
    }
    return BNR_OK;
}

struct bnr_verify_bn *bnr__proof_bns(struct bnr_proof *p, size_t n) {
    p->report->bns = calloc(n ? n : 1, sizeof *p->report->bns);
    if (p->report->bns)
        p->report->n_bns = n;
    for (size_t k = 0; k < p->report->n_bns; k++)
        p->report->bns[k].bound = (double)NAN;
    return p->report->bns;
}
