// SPDX-License-Identifier: Apache-2.0
// place_affine: an affine that would be a pass over memory of its own goes where the step of another node
// takes it along.
//
//     x -> Affine -> Relu -> Conv, Conv     =>    x -> Affine -> Relu -> Conv, twice
//     Conv -> Resize -> Affine -> Slice     =>    Conv -> Affine -> Resize -> Slice
//
// Copies, one for each reader, are made where all readers are convolutions, which do affine and activation
// while they read, and nothing in front takes it as its epilogue. A copy that its one reader can take in
// folds after all. Moving needs operators that let it
// pass (graph/affine.h).
#include "graph/op.h"
#include "passes/lib/affine_search.h"
#include "passes/lib/hosts.h"

enum { MAX_ACTIVATIONS = 4, MAX_READERS = 16, MAX_PLACES = 4 };

static bool is_affine(const struct bnr_node *n) {
    return bnr__node_is(n, BNR_INTERNAL_DOMAIN, "Affine");
}

// ---- copies -------------------------------------------------------------------------------------

// An affine and the activations behind it, each the only reader of the one in front.
struct chain {
    struct bnr_node *node[MAX_ACTIVATIONS + 1];
    int n;
};

static bool is_activation(const struct bnr_node *n, int index) {
    if (index != 0 || !n->op || !n->op->step || n->n_out != 1)
        return false;
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i] && !bnr__value_is_constant(n->in[i]))
            return false;
    return true;
}

static struct bnr_value *end_of(const struct chain *c) {
    return c->node[c->n - 1]->out[0];
}

static void find_chain(struct bnr_node *affine, struct chain *c) {
    *c = (struct chain){{affine}, 1};
    while (c->n <= MAX_ACTIVATIONS) {
        const struct bnr_value *v = end_of(c);
        if (!bnr__value_single_use(v) || !is_activation(v->uses[0].node, v->uses[0].index))
            return;
        c->node[c->n++] = v->uses[0].node;
    }
}

static enum bnr_status copy_node(struct bnr_pass_cx *cx, const struct bnr_node *n,
                                 struct bnr_node *before, struct bnr_value **x) {
    struct bnr_value *in[8] = {*x};
    struct bnr_node *made;
    for (int i = 1; i < n->n_in; i++)
        in[i] = n->in[i];
    BNR_TRY(bnr__node_new(&made, n->graph, before, n->domain, n->op_type, NULL, n->n_in, in, 1, cx->err));
    made->opset = n->opset;
    made->op = n->op;
    made->since = n->since;
    made->label = n->label;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (bnr__node_set_attr(made, &n->attrs[i]) != BNR_OK)
            return bnr__no_memory(cx->err);
    if (bnr__node_add_origins(made, n) != BNR_OK)
        return bnr__no_memory(cx->err);
    BNR_TRY(bnr__value_new(x, n->graph, NULL, cx->err));
    bnr__node_set_output(made, 0, *x);
    return bnr__node_infer(made, NULL, cx->err);
}

static bool may_copy(const struct chain *c) {
    const struct bnr_value *y = end_of(c);
    for (int i = 0; i < c->n; i++)
        if (c->node[i]->n_in > 8)
            return false;
    return y->n_uses > 1 && y->n_uses <= MAX_READERS && bnr__readers_have_prologues(y) &&
           !bnr__hosted_behind(c->node[0]->in[0]);
}

// The last reader keeps the chain itself.
static enum bnr_status copy_chain(struct bnr_pass_cx *cx, const struct chain *c) {
    struct bnr_value *y = end_of(c);
    while (y->n_uses > 1) {
        const struct bnr_use use = y->uses[0];
        struct bnr_value *x = c->node[0]->in[0];
        for (int i = 0; i < c->n; i++)
            BNR_TRY(copy_node(cx, c->node[i], use.node, &x));
        if (bnr__node_set_input(use.node, use.index, x) != BNR_OK)
            return bnr__no_memory(cx->err);
    }
    return BNR_OK;
}

// ---- moves --------------------------------------------------------------------------------------

// A copy has one reader, which may be able to take it in where the others were not.
static enum bnr_status fold(struct bnr_pass_cx *cx, struct bnr_node *n, struct bnr_way *way, bool *folded) {
    const struct bnr_way_rules rules = {.forward = true};
    struct bnr_affine_view view;
    const char *why;
    *folded = bnr__affine_view(n, cx->temp, &view, &why) && bnr__way_find(way, cx, n, &view, &rules);
    return *folded && bnr__pass_may_rewrite(cx) ? bnr__way_take(way) : BNR_OK;
}

static enum bnr_status move(struct bnr_pass_cx *cx, struct bnr_node *n, struct bnr_way *way) {
    struct bnr_affine_view view;
    const char *why;
    if (!bnr__affine_view(n, cx->temp, &view, &why))
        return BNR_OK;
    for (int forward = 0; forward < 2; forward++) {
        const struct bnr_way_rules rules = {
            .forward = forward, .may_merge = true, .may_leave = MAX_PLACES};
        if (bnr__way_find(way, cx, n, &view, &rules))
            return bnr__pass_may_rewrite(cx) ? bnr__way_take(way) : BNR_OK;
    }
    return BNR_OK;
}

static enum bnr_status place(struct bnr_pass_cx *cx, struct bnr_node *n, struct bnr_way *way) {
    struct chain c;
    bool folded;
    if (!is_affine(n))
        return BNR_OK;
    BNR_TRY(fold(cx, n, way, &folded));
    if (folded)
        return BNR_OK;
    find_chain(n, &c);
    if (may_copy(&c))
        return bnr__pass_may_rewrite(cx) ? copy_chain(cx, &c) : BNR_OK;
    if (n->n_origins == 0 || bnr__hosted_behind(n->in[0]) || bnr__hosted_in_front(n->out[0]))
        return BNR_OK;
    return move(cx, n, way);
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    return bnr__way_each(cx, g, false, place);
}

const struct bnr_pass bnr__pass_place_affine = {
    .name = "place_affine", .group = BNR_PASS_FUSE, .run = run};
