// SPDX-License-Identifier: Apache-2.0
// The comparison at the output of every former BatchNormalization, those in bodies included: of all rounds
// of a loop, and of the branch that was taken.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"
#include "runtime/bound.h"
#include "runtime/expose.h"
#include "runtime/proof.h"

struct layer {
    const char *label, *tensor; // of the BatchNormalization, and its output's name
    bool nested;
    size_t output, count; // SIZE_MAX: not exposed; count: of a nested one, its number of elements
};

struct exposing {
    struct layer *layers; // NULL: only counting
    size_t n;
    bool bodies; // expose those in bodies, too
    struct bnr_error *err;
};

// The output of n, and for nested ones the number of its elements: of what was not run there are none.
static enum bnr_status expose_layer(struct exposing *e, struct layer *layer, struct bnr_node *n) {
    static const struct bnr_type number = {.dtype = BNR_INT64, .shape = {.rank = 0}};
    struct bnr_node *size;
    struct bnr_value *count;
    const struct bnr_type type = n->out[0]->info->type;
    if (layer->nested) {
        BNR_TRY(bnr__node_new(&size, n->graph, n->next, "", "Size", NULL, 1, &n->out[0], 1, e->err));
        BNR_TRY(bnr__node_output(&count, size, 0, e->err));
        BNR_TRY(bnr__expose(&layer->count, count, &number, e->err));
    }
    return bnr__expose(&layer->output, n->out[0], &type, e->err);
}

static enum bnr_status expose(struct bnr_graph *g, void *cx) {
    struct exposing *e = cx;
    for (struct bnr_node *n = g->first; n; n = n->next) {
        if (!bnr__node_is(n, "", "BatchNormalization"))
            continue;
        const size_t k = e->n++;
        if (!e->layers)
            continue;
        struct layer *layer = &e->layers[k];
        *layer = (struct layer){n->label, n->out[0] ? n->out[0]->name : "", g->owner, SIZE_MAX, SIZE_MAX};
        if (n->out[0] && (!g->owner || e->bodies))
            BNR_TRY(expose_layer(e, layer, n));
    }
    return BNR_OK;
}

static bool was_run(const struct bnr_proof *p, const struct layer *layer) {
    double counts[16];
    const struct bnr_tensor *t = p->ways[BNR_TRUTH].outs[layer->count];
    const size_t n = bnr__exposed_numbers(t, counts, BNR_COUNT(counts));
    bool any = n > BNR_COUNT(counts);
    for (size_t i = 0; i < n && i < BNR_COUNT(counts); i++)
        any = any || counts[i] > 0;
    return any;
}

// Why the fold with exposed outputs is not the fold that is to be proved; NULL where it is.
static const char *why_not_compared(const struct bnr_proof *p, const struct layer *layer, size_t k) {
    struct bnr_bn_report real, exposed;
    if (layer->output == SIZE_MAX)
        return "it stands in a body that cannot show its values";
    if (layer->nested && !was_run(p, layer))
        return "nothing ran it: a branch that was not taken, or a loop without rounds";
    if (bnr_session_bn(p->ways[BNR_FOLDED].session, k, &real) != BNR_OK ||
        bnr_session_bn(p->ways[BNR_LAYERS].session, k, &exposed) != BNR_OK)
        return NULL; // nothing was folded
    if (real.verdict == exposed.verdict && strcmp(real.into ? real.into : "", exposed.into ? exposed.into : "") == 0)
        return NULL;
    return real.verdict == BNR_VERDICT_FOLDED
               ? "folded where its output is not there any more: it is covered by what follows"
               : "it would be folded in another way if its output had to be there";
}

static enum bnr_status compare_layer(struct bnr_proof *p, const struct layer *layer, size_t k) {
    struct bnr_verify_bn *bn = &p->report->bns[k];
    const char *why = why_not_compared(p, layer, k);
    BNR_TRY(bnr__proof_copy(p, &bn->name, layer->label));
    if (why)
        return bnr__proof_copy(p, &bn->reason, why);
    bn->checked = 1;
    p->report->n_checked++;
    return bnr__proof_compare(p, &bn->output, layer->tensor, p->ways[BNR_LAYERS].outs[layer->output],
                              layer->output);
}

static enum bnr_status add_bounds(struct bnr_proof *p, size_t n) {
    double *bounds = calloc(n ? n : 1, sizeof *bounds);
    if (!bounds)
        return bnr__no_memory(p->err);
    const enum bnr_status st = bnr__bounds_measure(p->model, p->inputs, p->n_inputs,
                                                   &p->ways[BNR_FOLDED].options, bounds, n, p->err);
    for (size_t k = 0; k < n; k++)
        p->report->bns[k].bound = bounds[k];
    free(bounds);
    return st;
}

static enum bnr_status run_exposed(struct bnr_proof *p, struct exposing *e) {
    static const enum bnr_way_of_running exposed[] = {BNR_UNFOLDED, BNR_TRUTH, BNR_LAYERS};
    struct bnr_model *copy;
    BNR_TRY(bnr__model_clone(&copy, p->model, p->err));
    enum bnr_status st = bnr__model_infer(copy, p->err); // the types of what is exposed
    e->n = 0;
    if (st == BNR_OK)
        st = bnr__model_each_graph(copy, expose, e);
    for (size_t i = 0; st == BNR_OK && i < BNR_COUNT(exposed); i++)
        st = bnr__proof_run(p, exposed[i], copy);
    if (st == BNR_OK)
        st = bnr__proof_bns(p, e->n) ? BNR_OK : bnr__no_memory(p->err);
    for (size_t k = 0; st == BNR_OK && k < e->n; k++)
        st = compare_layer(p, &e->layers[k], k);
    if (st == BNR_OK)
        st = bnr__proof_compare_all(p);
    bnr__model_free(copy);
    return st;
}

static enum bnr_status prove(struct bnr_proof *p, struct exposing *e) {
    BNR_TRY(bnr__proof_run(p, BNR_FOLDED, p->model));
    enum bnr_status st = run_exposed(p, e);
    if (st != BNR_OK && st != BNR_NO_MEMORY && p->report->n_bns == 0) {
        e->bodies = false; // what a body makes may not stack: other shapes in other rounds
        st = run_exposed(p, e);
    }
    return st == BNR_OK ? add_bounds(p, e->n) : st;
}

enum bnr_status bnr__prove_layers(struct bnr_proof *p) {
    struct exposing e = {.bodies = true, .err = p->err};
    enum bnr_status st = bnr__model_each_graph((struct bnr_model *)(uintptr_t)p->model, expose, &e);
    if (st != BNR_OK)
        return st;
    e.layers = calloc(e.n ? e.n : 1, sizeof *e.layers);
    st = e.layers ? prove(p, &e) : bnr__no_memory(p->err);
    free(e.layers);
    return st;
}
