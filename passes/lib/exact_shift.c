// SPDX-License-Identifier: Apache-2.0
#include "passes/lib/exact_shift.h"

#include "graph/op.h"

enum { MAX_ACTIVATIONS = 4 };

static bool is_depthwise(const struct bnr_node *n) {
    const struct bnr_shape *w = &n->in[1]->info->type.shape;
    return w->rank > 1 && w->dims[1].n == 1 && bnr__attr_int(n, "group", 1) > 1;
}

static bool is_folded_conv(const struct bnr_node *n) {
    return bnr__node_is(n, "", "Conv") && n->n_origins > 0 && bnr__value_is_constant(n->in[1]);
}

static bool passes_scale(const struct bnr_node *n) {
    return n->op && (n->op->flags & BNR_OP_ELEMENTWISE) && n->op->affine && n->op->affine->forward &&
           n->n_out == 1;
}

// The activations between n and what reads it. Returns what the last one makes.
static struct bnr_value *behind(const struct bnr_node *n, struct bnr_node **activations, int *count) {
    struct bnr_value *v = n->out[0];
    for (*count = 0; *count < MAX_ACTIVATIONS && bnr__value_single_use(v); (*count)++) {
        struct bnr_node *reader = v->uses[0].node;
        if (v->uses[0].index != 0 || !passes_scale(reader))
            break;
        activations[*count] = reader;
        v = reader->out[0];
    }
    return v;
}

// Weights that are scaled already are rounded in any case; others would come out as they were.
static bool takes_scale(const struct bnr_use *use, const struct bnr_node *n) {
    const struct bnr_node *reader = use->node;
    return use->index == 0 && reader->graph == n->graph && is_folded_conv(reader) &&
           reader->in[1]->tensor->lazy && (is_depthwise(n) || is_depthwise(reader));
}

// By a scale: asks all that read n, or has them take it.
static bool scale_readers(struct bnr_pass_cx *cx, const struct bnr_node *n, const struct bnr_affine *a,
                          bool apply, struct bnr_error *err) {
    struct bnr_node *activations[MAX_ACTIVATIONS];
    struct bnr_affine at = *a, next;
    int count;
    const struct bnr_value *v = behind(n, activations, &count);
    if (v->n_graph_outputs > 0)
        return false;
    for (int i = 0; i < count; i++, at = next) {
        struct bnr_affine_site site = {.node = activations[i], .affine = at, .temp = cx->temp};
        next = (struct bnr_affine){0};
        if (!site.node->op->affine->forward(&site, &next, apply, err))
            return false;
    }
    for (size_t i = 0; i < v->n_uses; i++) {
        struct bnr_affine_site site = {
            .node = v->uses[i].node, .affine = at, .may_copy = true, .temp = cx->temp};
        if (!takes_scale(&v->uses[i], n) || !site.node->op->affine->absorb_before(&site, apply, err))
            return false;
    }
    return v->n_uses > 0;
}

bool bnr__readers_may_divide(struct bnr_pass_cx *cx, const struct bnr_node *n) {
    struct bnr_affine one;
    struct bnr_error err;
    if (!is_folded_conv(n))
        return false;
    const struct bnr_tensor *w = n->in[1]->tensor;
    double *t, *s = bnr__affine_alloc_along(&one, w->rank, 1, w->dims[0], &t, cx->temp);
    for (size_t i = 0; s && i < one.n; i++)
        s[i] = 1;
    return s && scale_readers(cx, n, &one, false, &err);
}

enum bnr_status bnr__readers_divide(struct bnr_pass_cx *cx, struct bnr_node *n,
                                    const struct bnr_affine *multiple) {
    struct bnr_affine inverse;
    struct bnr_error err = {.code = BNR_OK};
    double *t, *s = bnr__affine_alloc(&inverse, multiple->rank, multiple->dims, &t, cx->temp);
    if (!s)
        return bnr__no_memory(cx->err);
    for (size_t i = 0; i < inverse.n; i++)
        s[i] = 1 / multiple->s[i];
    n->multiplied++;
    if (scale_readers(cx, n, &inverse, true, &err))
        return BNR_OK;
    return bnr__fail(cx->err, err.code ? err.code : BNR_INTERNAL, "node '%s': %s", n->label,
                     err.code ? err.message : "what reads it refused a scale after a yes");
}
