// SPDX-License-Identifier: Apache-2.0
// fold_affine: an affine (BatchNormalization, arithmetic with constants) goes into the constants of
// linear operators.
//
//     conv(x) -> BN -> ...                  conv'(x) -> ...
//     BN -> conv(x), gemm(x), ...           conv'(x), ...
//     conv(x) -> pool -> concat -> BN       conv'(x) -> pool -> concat
//     BN -> Mul, BN -> BN                   BN'
//
// What passes, absorbs and refuses is the operators' own knowledge (graph/affine.h); the search for
// a way is in lib/affine_search.c. An affine goes backward when it can, since nothing is lost at
// borders there; else forward; else it merges with another affine. It never goes where it would
// cost more than it did: a way ends in constants, or in an affine that is executed anyway. Where an
// operator joins several values, all but one of which end so, a smaller affine stays in front of it
// if another step takes it along. What finds no way stays as it was.
#include "graph/op.h"
#include "passes/lib/affine_search.h"
#include "passes/lib/bn_report.h"

static enum bnr_status keep(struct bnr_pass_cx *cx, struct bnr_node *n, const char *reason) {
    bnr__pass_skip(cx, "fold_affine", n, "%s", reason);
    for (size_t i = 0; i < n->n_origins; i++) {
        struct bnr_bn *bn = n->origins[i];
        if (bn->verdict != BNR_BN_KEPT)
            continue;
        bn->reason = bnr__arena_strdup(&cx->model->arena, reason);
        if (!bn->reason)
            return bnr__no_memory(cx->err);
    }
    return BNR_OK;
}

static enum bnr_status try_node(struct bnr_pass_cx *cx, struct bnr_node *n, struct bnr_way *way) {
    static const struct bnr_way_rules tries[] = {
        {.forward = false},
        {.forward = true},
        {.forward = false, .may_merge = true},
        {.forward = true, .may_merge = true},
        {.forward = false, .may_leave = 1},
    };
    struct bnr_affine_view view;
    const char *why, *reasons[2] = {NULL, NULL};
    bnr__bn_measure(n);
    if ((cx->options->flags & BNR_ONLY_BN) && n->n_origins == 0)
        return BNR_OK;
    if (bnr__pass_keeps(cx, n))
        return keep(cx, n, "the caller wants it to stay");
    if (!bnr__affine_view(n, cx->temp, &view, &why))
        return why ? keep(cx, n, why) : BNR_OK;
    for (size_t i = 0; i < BNR_COUNT(tries); i++) {
        if (tries[i].may_leave > 0 && n->n_origins == 0)
            continue;
        if (bnr__way_find(way, cx, n, &view, &tries[i]))
            return bnr__pass_may_rewrite(cx) ? bnr__way_take(way) : BNR_OK;
        if (i < 2)
            reasons[tries[i].forward] = way->why;
    }
    const char *reason =
        bnr__arena_printf(cx->temp, "not backward: %s; not forward: %s", reasons[0], reasons[1]);
    return reason ? keep(cx, n, reason) : bnr__no_memory(cx->err);
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    return bnr__way_each(cx, g, true, try_node);
}

const struct bnr_pass bnr__pass_fold_affine = {
    .name = "fold_affine", .group = BNR_PASS_FOLD, .run = run};
