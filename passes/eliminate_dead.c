// SPDX-License-Identifier: Apache-2.0
// eliminate_dead: what no output depends on goes: nodes, constants, optional outputs that nobody
// reads (Dropout's mask, MaxPool's indices, statistics).
//
// Kept: the graph's inputs, overridable initializers (they are inputs), and the statistics that
// make a BatchNormalization of opset 7 to 13 one in training mode.
#include <string.h>

#include "graph/op.h"
#include "passes/lib/bn_report.h"

static bool is_read(const struct bnr_value *v) {
    return v && (v->n_uses > 0 || v->n_graph_outputs > 0);
}

static bool is_dead(const struct bnr_node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (is_read(n->out[i]))
            return false;
    return true;
}

// Whether an output that is there but unread says something about the others.
static bool outputs_matter(const struct bnr_node *n) {
    return !n->op || n->op->max_out >= BNR_VARIADIC || bnr__node_has_subgraphs(n) ||
           (strcmp(n->op_type, "BatchNormalization") == 0 && n->since < 14);
}

static void drop_outputs(struct bnr_pass_cx *cx, struct bnr_node *n) {
    if (outputs_matter(n))
        return;
    for (int i = n->op->min_out > 1 ? n->op->min_out : 1; i < n->n_out; i++) {
        struct bnr_value *v = n->out[i];
        if (!v || is_read(v) || !bnr__pass_may_rewrite(cx))
            continue;
        bnr__node_set_output(n, i, NULL);
        bnr__value_remove(v);
    }
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct bnr_node *prev;
    for (struct bnr_node *n = g->last; n; n = prev) {
        prev = n->prev;
        if (!is_dead(n)) {
            drop_outputs(cx, n);
            continue;
        }
        if (!bnr__pass_may_rewrite(cx))
            continue;
        bnr__bn_gone(n, "", "nothing depends on it");
        bnr__node_remove(n);
    }
    for (size_t i = g->n_values; i-- > 0;) {
        struct bnr_value *v = g->values[i];
        if (!is_read(v) && bnr__value_is_constant(v) && bnr__pass_may_rewrite(cx))
            bnr__value_remove(v);
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_eliminate_dead = {
    .name = "eliminate_dead", .group = BNR_PASS_CLEAN, .keeps_types = true, .run = run};
