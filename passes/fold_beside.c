// SPDX-License-Identifier: Apache-2.0
// fold_beside: a BatchNormalization of what a convolution beside it reads goes into that.
//
//     Add(conv(x), BN(x))                  =>    conv'(x)
//     Add(Add(conv1(x), conv2(x)), BN(x))  =>    Add(conv1'(x), conv2(x))
//
// The third branch of RepVGG and MobileOne: one convolution has as many channels out as in and a
// tap on the pixel itself, whose weight the scale is added to (absorb_beside in graph/affine.h).
// For what fold_affine has found no way for; the convolution's result and the sums have no other
// reader.
#include "graph/op.h"
#include "passes/lib/affine_view.h"
#include "passes/lib/bn_report.h"

enum { MAX_DEPTH = 8 };

// From version 7 and 8 on shapes broadcast, and adding inside of a sum is the same as adding to it.
static bool is_sum(const struct bnr_node *n) {
    return n->n_in == 2 && n->in[0] && n->in[1] && n->in[0] != n->in[1] &&
           ((bnr__node_is(n, "", "Add") && n->since >= 7) ||
            (bnr__node_is(n, "", "Sum") && n->since >= 8));
}

static bool takes(struct bnr_affine_site *site, struct bnr_node *n, const struct bnr_value *x) {
    struct bnr_error err;
    if (n->n_in < 1 || n->in[0] != x || !n->op || !n->op->affine || !n->op->affine->absorb_beside)
        return false;
    site->node = n;
    return n->op->affine->absorb_beside(site, false, &err);
}

// The node behind v, or behind the terms of v, that takes the affine of x in.
static bool find(struct bnr_affine_site *site, const struct bnr_value *v, const struct bnr_value *x,
                 int depth) {
    struct bnr_node *p = v->producer;
    if (!p || depth > MAX_DEPTH || p->graph != x->graph || !bnr__value_single_use(v))
        return false;
    if (is_sum(p))
        return find(site, p->in[0], x, depth + 1) || find(site, p->in[1], x, depth + 1);
    return takes(site, p, x);
}

static enum bnr_status take(struct bnr_pass_cx *cx, struct bnr_node *n,
                            struct bnr_affine_site *site) {
    struct bnr_node *sum = n->out[0]->uses[0].node;
    struct bnr_value *rest = sum->in[1 - n->out[0]->uses[0].index];
    struct bnr_error err = {.code = BNR_OK};
    if (!site->node->op->affine->absorb_beside(site, true, &err))
        return bnr__fail(cx->err, err.code ? err.code : BNR_INTERNAL, "node '%s': %s",
                         site->node->label, err.code ? err.message : "refused after a yes");
    if (bnr__node_add_origins(site->node, n) != BNR_OK)
        return bnr__no_memory(cx->err);
    bnr__bn_gone(n, site->node->label, "Conv beside it");
    if (bnr__value_replace(sum->out[0], rest) != BNR_OK)
        return bnr__fail(cx->err, BNR_INTERNAL, "node '%s' cannot be unlinked", sum->label);
    bnr__node_remove(sum);
    bnr__node_remove(n);
    return BNR_OK;
}

static enum bnr_status try_node(struct bnr_pass_cx *cx, struct bnr_node *n) {
    struct bnr_affine_view view;
    const char *why;
    if (n->n_origins == 0 || n->n_out < 1 || !n->out[0] || !bnr__value_single_use(n->out[0]) ||
        bnr__pass_keeps(cx, n) || !bnr__affine_view(n, cx->temp, &view, &why))
        return BNR_OK;
    const struct bnr_node *sum = n->out[0]->uses[0].node;
    struct bnr_value *x = n->in[view.data];
    struct bnr_affine_site site = {.affine = view.affine, .may_copy = true, .temp = cx->temp};
    if (!is_sum(sum) || bnr__value_is_constant(x))
        return BNR_OK;
    struct bnr_value *rest = sum->in[1 - n->out[0]->uses[0].index];
    if (!bnr__value_replaceable(sum->out[0], rest) || !find(&site, rest, x, 0) ||
        !bnr__pass_may_rewrite(cx))
        return BNR_OK;
    return take(cx, n, &site);
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    for (struct bnr_node *n = g->last, *prev; n;
         n = prev) { // the sum, which goes as well, is behind n
        prev = n->prev;
        BNR_TRY(try_node(cx, n));
        bnr__arena_reset(cx->temp);
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_fold_beside = {
    .name = "fold_beside", .group = BNR_PASS_FOLD, .run = run};
