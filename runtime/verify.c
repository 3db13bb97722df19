// SPDX-License-Identifier: Apache-2.0
// The proof of a fold by running it. A network is run in several ways, and every output is compared: as
// folded, unfolded with the same kernels (so that the difference is the fold's), and unfolded in double
// precision by reference code, which shares no kernel and no rewrite with the others and says which of the
// two is closer to the truth.
#include <stdlib.h>

#include "runtime/compiled.h"
#include "runtime/proof.h"

static enum bnr_status prove_fold(struct bnr_proof *p) {
    for (int k = BNR_FOLDED; k <= BNR_TRUTH; k++)
        BNR_TRY(bnr__proof_run(p, (enum bnr_way_of_running)k, p->model));
    return bnr__proof_compare_all(p);
}

static void set_options(struct bnr_proof *p, const struct bnr_options *options) {
    for (int k = 0; k < BNR_WAYS; k++) {
        if (options)
            p->ways[k].options = *options;
        else
            bnr_options_init(&p->ways[k].options);
    }
    p->ways[BNR_UNFOLDED].options.flags |= BNR_NO_FOLD;
    p->ways[BNR_TRUTH].options.flags |= BNR_REFERENCE | BNR_PROMOTE_DOUBLE;
    p->ways[BNR_ALGEBRA].options.flags |= BNR_REFERENCE | BNR_PROMOTE_DOUBLE;
}

static enum bnr_status prove(struct bnr_verify_report **out, struct bnr_proof *p,
                             const struct bnr_options *options, enum bnr_status (*by)(struct bnr_proof *p)) {
    *out = NULL;
    set_options(p, options);
    p->n_outputs = bnr_model_output_count(p->model);
    struct bnr_verify_report *r = p->report = calloc(1, sizeof *r);
    if (r)
        r->outputs = calloc(p->n_outputs ? p->n_outputs : 1, sizeof *r->outputs);
    enum bnr_status st = r && r->outputs ? by(p) : bnr__no_memory(p->err);
    for (int k = 0; k < BNR_WAYS; k++)
        bnr__proof_end(&p->ways[k]);
    if (st == BNR_OK)
        *out = r;
    else
        bnr_verify_free(r);
    return st;
}

// A compiled model has no BatchNormalizations to look at any more.
static enum bnr_status prove_of_original(struct bnr_verify_report **out, struct bnr_proof *p,
                                         const struct bnr_model *model,
                                         const struct bnr_options *options,
                                         enum bnr_status (*by)(struct bnr_proof *p)) {
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
    struct bnr_proof p = {.model = model, .inputs = inputs, .n_inputs = n_inputs, .tolerance = tolerance, .err = err};
    return prove(out, &p, options, prove_fold);
}

enum bnr_status bnr_verify_training(struct bnr_verify_report **out, const bnr_model *model,
                                    const bnr_tensor *const *inputs, size_t n_inputs,
                                    const struct bnr_options *options, double tolerance,
                                    struct bnr_error *err) {
    struct bnr_proof p = {.inputs = inputs, .n_inputs = n_inputs, .tolerance = tolerance, .err = err};
    return prove_of_original(out, &p, model, options, bnr__prove_training);
}

enum bnr_status bnr_verify_layers(struct bnr_verify_report **out, const bnr_model *model,
                                  const bnr_tensor *const *inputs, size_t n_inputs,
                                  const struct bnr_options *options, double tolerance,
                                  struct bnr_error *err) {
    struct bnr_proof p = {.inputs = inputs, .n_inputs = n_inputs, .tolerance = tolerance, .err = err};
    return prove_of_original(out, &p, model, options, bnr__prove_layers);
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
