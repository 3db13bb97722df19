// SPDX-License-Identifier: Apache-2.0
// raise_affine: internal operators back to standard ONNX, for files.
//
//     bnrun.Affine that carries a BatchNormalization    =>    BatchNormalization
//     other bnrun.Affine                                =>    Mul and Add, or one of them
#include "graph/op.h"
#include "passes/lib/affine_view.h"

static bool can_be_batch_norm(const struct bnr_pass_cx *cx, const struct bnr_node *n,
                              const struct bnr_affine *a) {
    return n->n_origins > 0 && bnr__affine_has_scale(a) && bnr__affine_has_shift(a) &&
           a->rank >= 2 && bnr__affine_axis(a) <= 1 && bnr__affine_axis(a) != 0 &&
           n->in[1]->tensor->numel == a->n && bnr__attr_int(n, "axis", 1) == 1 &&
           bnr__model_opset(cx->model, "") >= 7;
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct bnr_node *next;
    for (struct bnr_node *n = g->first; n; n = next) {
        struct bnr_affine_view view;
        const char *why;
        next = n->next;
        if (!bnr__node_is(n, BNR_INTERNAL_DOMAIN, "Affine") ||
            !bnr__affine_view(n, cx->temp, &view, &why) || !bnr__pass_may_rewrite(cx))
            continue;
        struct bnr_value *x = n->in[view.data];
        if (can_be_batch_norm(cx, n, &view.affine))
            BNR_TRY(bnr__affine_raise_batch_norm(cx, n, x, &view.affine));
        else
            BNR_TRY(bnr__affine_raise_node(cx, n, x, &view.affine));
        bnr__arena_reset(cx->temp);
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_raise_affine = {
    .name = "raise_affine", .group = BNR_PASS_RAISE, .run = run};
