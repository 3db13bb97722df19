// SPDX-License-Identifier: Apache-2.0
// lower_affine: what folding left becomes one multiply-add for our own kernels.
//
//     BatchNormalization(x)                     =>    bnrun.Affine(x)
//     Add(Mul(x, a), b), BN(Mul(x, a)), ...     =>    bnrun.Affine(x)
//
// A single Mul, Add, ... by a constant stays as it is. Runs only where folding was asked for:
// without it every BatchNormalization stays one.
#include "graph/op.h"
#include "passes/lib/affine_view.h"

// The affine in front of n that only n reads, or NULL.
static struct bnr_node *affine_in_front(const struct bnr_pass_cx *cx, const struct bnr_node *n,
                                        int data, struct bnr_affine_view *view) {
    const char *why;
    const struct bnr_value *x = n->in[data];
    struct bnr_node *p = x->producer;
    return p && bnr__value_single_use(x) && x->producer_index == 0 && !bnr__pass_keeps(cx, p) &&
                   bnr__affine_view(p, cx->temp, view, &why)
               ? p
               : NULL;
}

enum { MAX_CHAIN = 16 };

static enum bnr_status lower_node(struct bnr_pass_cx *cx, struct bnr_node *n) {
    struct bnr_affine_view view, front;
    struct bnr_node *joined[MAX_CHAIN], *p, *made;
    const char *why;
    int count = 0;
    if (bnr__pass_keeps(cx, n) || !bnr__affine_view(n, cx->temp, &view, &why) ||
        bnr__value_is_constant(n->in[view.data]))
        return BNR_OK;
    struct bnr_value *x = n->in[view.data];
    struct bnr_affine all = view.affine;
    int data = view.data;
    for (p = n; count < MAX_CHAIN && (p = affine_in_front(cx, p, data, &front)); count++) {
        struct bnr_affine both;
        if (!bnr__affine_compose(&both, &front.affine, &all, cx->temp) ||
            !bnr__affine_has_node(n->out[0], &both))
            break;
        all = both;
        data = front.data;
        x = p->in[data];
        joined[count] = p;
    }
    if ((count == 0 && !bnr__is_batch_norm(n)) || !bnr__affine_has_node(n->out[0], &all) ||
        !bnr__pass_may_rewrite(cx))
        return BNR_OK;
    BNR_TRY(bnr__affine_replace_node(cx, n, x, &all, &made));
    for (int i = 0; i < count; i++) {
        if (bnr__node_add_origins(made, joined[i]) != BNR_OK)
            return bnr__no_memory(cx->err);
        bnr__node_remove(joined[i]);
    }
    return BNR_OK;
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    if (!(cx->groups & BNR_PASS_FOLD))
        return BNR_OK;
    // Readers before what they read, so that the last of a chain collects the others.
    for (struct bnr_node *n = g->last, *prev; n; n = prev) {
        struct bnr_node *next = n->next;
        BNR_TRY(lower_node(cx, n));
        prev = next ? next->prev : g->last; // n, or what stands in its place
        prev = prev ? prev->prev : NULL;
        bnr__arena_reset(cx->temp);
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_lower_affine = {
    .name = "lower_affine", .group = BNR_PASS_FUSE, .run = run};
