// SPDX-License-Identifier: Apache-2.0
#include "runtime/verdicts.h"

#include <string.h>

#include "graph/affine.h"
#include "runtime/session.h"

static const char inside[] = "runs inside of its step", before[] = "done while its input is read",
                  own[] = "runs as a step of its own";

static bool is_affine(const struct bnr_node *n) {
    return bnr__node_is(n, BNR_INTERNAL_DOMAIN, "Affine") ||
           bnr__node_is(n, "", "BatchNormalization");
}

// host NULL: a step of its own, which outweighs what copies of n are.
static void note(const struct bnr_node *n, const struct bnr_node *host, const char *reason) {
    for (size_t i = 0; i < n->n_origins && is_affine(n); i++) {
        struct bnr_bn *bn = n->origins[i];
        const enum bnr_verdict from = host ? BNR_BN_KEPT : BNR_BN_FUSED;
        if (bn->verdict != from)
            continue;
        bn->verdict = host ? BNR_BN_FUSED : BNR_BN_KEPT;
        bn->into = host ? host->label : NULL;
        bn->reason = reason;
    }
}

// ---- by a plan ----------------------------------------------------------------------------------

// The node whose pass over memory a step is: its head, or the first that is no affine. NULL: the step
// is nothing but affines.
static const struct bnr_node *host_of(const struct bnr_step *st) {
    for (int i = 0; i < st->n_nodes; i++)
        if (!is_affine(st->nodes[i]))
            return st->nodes[i];
    return NULL;
}

// A step that only brings a tensor into another layout: its node is whoever makes or reads that.
static bool only_reorders(const struct bnr_step *st) {
    return st->kernel && strncmp(st->kernel, "reorder_", 8) == 0;
}

static void note_step(const struct bnr_step *st, bool alone) {
    const struct bnr_node *host = host_of(st);
    if ((host == NULL) != alone || only_reorders(st))
        return;
    for (int i = 0; i < st->n_nodes; i++)
        note(st->nodes[i], host, host ? inside : own);
    for (int i = 0; i < st->n_before; i++)
        note(st->before[i], host, before);
}

void bnr__verdicts_of_plan(const struct bnr_plan *plan) {
    for (int alone = 0; alone < 2; alone++)
        for (int i = 0; i < plan->n_steps; i++)
            note_step(&plan->steps[i], alone);
}

// ---- by marks -----------------------------------------------------------------------------------

static const struct bnr_node *marked_host(const struct bnr_node *n) {
    const struct bnr_node *head = n->fused_into ? n->fused_into : n;
    if (!is_affine(head))
        return head;
    for (const struct bnr_node *m = n->graph->first; m; m = m->next)
        if (m->fused_into == head && !is_affine(m))
            return m;
    return NULL;
}

static bool stands_behind(const struct bnr_node *n, const struct bnr_node *other) {
    for (const struct bnr_node *m = n; m; m = m->prev)
        if (m == other)
            return true;
    return false;
}

static enum bnr_status expect_in_graph(struct bnr_graph *g, void *cx) {
    const bool alone = *(bool *)cx;
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        if (n->n_origins == 0 || !is_affine(n))
            continue;
        const bool fast = n->out[0] && n->out[0]->info->type.dtype == BNR_FLOAT;
        const struct bnr_node *host = fast ? marked_host(n) : NULL;
        if ((host == NULL) == alone)
            note(n, host, !host ? own : n->fused_into && !stands_behind(n, host) ? before : inside);
    }
    return BNR_OK;
}

void bnr__verdicts_expected(struct bnr_model *m) {
    for (int i = 0; i < 2; i++) {
        bool alone = i == 1;
        bnr__model_each_graph(m, expect_in_graph, &alone);
    }
}

// ---- by trying ----------------------------------------------------------------------------------

static bool any_kept(const struct bnr_model *m) {
    for (size_t i = 0; i < m->n_bns; i++)
        if (m->bns[i]->verdict == BNR_BN_KEPT)
            return true;
    return false;
}

void bnr__verdicts_try(struct bnr_model *folded, const struct bnr_options *options) {
    struct bnr_options o;
    bnr_session *s;
    bnr_options_init(&o);
    o.allocator = options->allocator;
    o.flags = options->flags & BNR_FREEZE_INITIALIZERS;
    o.keep = options->keep;
    o.threads = 1;
    if (!any_kept(folded) || bnr_session_create(&s, folded, &o, NULL) != BNR_OK)
        return;
    for (size_t i = 0; i < folded->n_bns && i < s->model->n_bns; i++) {
        const struct bnr_bn *found = s->model->bns[i];
        struct bnr_bn *bn = folded->bns[i];
        if (bn->verdict != BNR_BN_KEPT || found->verdict != BNR_BN_FUSED ||
            strcmp(bn->name, found->name) != 0)
            continue;
        const char *into = bnr__arena_strdup(&folded->arena, found->into);
        if (!into)
            break;
        bn->verdict = BNR_BN_FUSED;
        bn->into = into;
        bn->reason = found->reason;
    }
    bnr_session_free(s);
}
