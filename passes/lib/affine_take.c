// SPDX-License-Identifier: Apache-2.0
// Taking a way that the search has found, and saying what became of the BatchNormalizations on it.
#include "graph/op.h"
#include "passes/lib/affine_search.h"
#include "passes/lib/exact_shift.h"

// ---- verdicts -----------------------------------------------------------------------------------

static bool is_end(const struct bnr_way_step *s) {
    return s->kind != BNR_WAY_BACK && s->kind != BNR_WAY_FORTH && s->kind != BNR_WAY_JOIN &&
           s->kind != BNR_WAY_LEAVE;
}

// The node that an end is part of: dequantized weights belong to the linear operator that reads them.
static struct bnr_node *home(const struct bnr_way_step *s) {
    struct bnr_node *n = s->node;
    if (s->kind != BNR_WAY_AFTER || !bnr__node_is(n, "", "DequantizeLinear") ||
        !bnr__value_is_constant(n->in[0]) || n->out[0]->n_uses != 1)
        return n;
    struct bnr_node *reader = n->out[0]->uses[0].node;
    return reader->op && reader->op->affine && reader->op->affine->absorb_after ? reader : n;
}

// A part of the way: where one of the affines on it went.
struct part {
    const struct bnr_way *way;
    int from, until;
};

// "Conv in front of it, past 2 operators" beside "conv1", in the model's arena.
static const char *describe(const struct part *part, const char **into) {
    struct bnr_arena *arena = &part->way->cx->model->arena;
    const struct bnr_way_step *first = NULL;
    int ends = 0, passed = 0;
    for (int i = part->from; i < part->until; i++) {
        const struct bnr_way_step *s = &part->way->steps[i];
        passed += s->kind == BNR_WAY_BACK || s->kind == BNR_WAY_FORTH;
        ends += is_end(s) && !(first && home(first) == home(s));
        if (is_end(s) && (!first || (first->kind == BNR_WAY_CONSTANT && s->kind != first->kind)))
            first = s;
    }
    if (!first) { // no reader at all
        *into = "";
        return "nothing depends on it";
    }
    const struct bnr_node *node = home(first);
    *into = node->label;
    passed -= node != first->node;
    const char *more = ends > 1 ? bnr__arena_printf(arena, ", and %d more", ends - 1) : "";
    const char *past = passed > 0 ? bnr__arena_printf(arena, ", past %d operator%s", passed,
                                                      passed == 1 ? "" : "s")
                                  : "";
    if (!more || !past)
        return NULL;
    return bnr__arena_printf(arena, "%s %s%s%s", node->op_type,
                             part->way->forward ? "behind it" : "in front of it", past, more);
}

static bool leaves_some(const struct part *part) {
    for (int i = part->from; i < part->until; i++)
        if (part->way->steps[i].kind == BNR_WAY_LEAVE)
            return true;
    return false;
}

// Another copy of it has not come this way.
static bool has_copy(const struct bnr_node *n, const struct bnr_bn *bn) {
    if (!bnr__node_is(n, BNR_INTERNAL_DOMAIN, "Affine"))
        return false;
    for (const struct bnr_node *m = n->graph->first; m; m = m->next)
        for (size_t i = 0; m != n && i < m->n_origins; i++)
            if (m->origins[i] == bn && bnr__node_is(m, BNR_INTERNAL_DOMAIN, "Affine"))
                return true;
    return false;
}

static enum bnr_status settle(const struct part *part, const struct bnr_node *n) {
    const struct bnr_way *way = part->way;
    const char *into, *reason = describe(part, &into);
    if (!reason)
        return bnr__no_memory(way->cx->err);
    for (size_t i = 0; i < n->n_origins && !leaves_some(part); i++) {
        if (has_copy(n, n->origins[i]))
            continue;
        n->origins[i]->verdict = BNR_BN_FOLDED;
        n->origins[i]->into = into;
        n->origins[i]->reason = reason;
    }
    for (int i = part->from; i < part->until; i++)
        if ((is_end(&way->steps[i]) && bnr__node_add_origins(home(&way->steps[i]), n) != BNR_OK) ||
            (way->steps[i].made && bnr__node_add_origins(way->steps[i].made, n) != BNR_OK))
            return bnr__no_memory(way->cx->err);
    return BNR_OK;
}

static enum bnr_status settle_all(const struct bnr_way *way) {
    const struct part whole = {.way = way, .until = way->n_steps};
    BNR_TRY(settle(&whole, way->node));
    for (int i = 0; i < way->n_steps; i++) {
        const struct part behind = {.way = way, .from = i + 1, .until = way->steps[i].until};
        if (way->steps[i].kind == BNR_WAY_JOIN)
            BNR_TRY(settle(&behind, way->steps[i].node));
    }
    return BNR_OK;
}

// ---- steps --------------------------------------------------------------------------------------

// The node goes: who read its output reads its input. What was known of the output's dims holds for the
// input as well: the rules said yes by it.
static enum bnr_status unlink_affine(struct bnr_way *way, struct bnr_node *n, int data) {
    struct bnr_info *info = bnr__value_info(n->in[data]);
    if (!info)
        return bnr__no_memory(way->cx->err);
    struct bnr_shape *x = &info->type.shape;
    const struct bnr_shape *y = &n->out[0]->info->type.shape;
    for (int i = 0; x->rank == y->rank && i < x->rank; i++)
        if (x->dims[i].n < 0 && y->dims[i].n >= 0)
            x->dims[i] = y->dims[i];
    if (bnr__value_replace(n->out[0], n->in[data]) != BNR_OK)
        return bnr__fail(way->cx->err, BNR_INTERNAL, "node '%s' cannot be unlinked", n->label);
    bnr__node_remove(n);
    return BNR_OK;
}

// Element i of an array of dims `full` in one that is broadcast to it.
static size_t broadcast_at(size_t i, int rank, const int64_t *full, int own_rank,
                           const int64_t *own) {
    size_t at = 0, step = 1;
    for (int k = rank - 1; k >= rank - own_rank; k--) {
        const int64_t d = own[k - (rank - own_rank)];
        if (d != 1)
            at += i % (size_t)full[k] * step;
        step *= (size_t)d;
        i /= (size_t)full[k];
    }
    return at;
}

static enum bnr_status apply_to_constant(struct bnr_way *way, const struct bnr_way_step *s) {
    struct bnr_pass_cx *cx = way->cx;
    const struct bnr_value *v = s->node->in[s->index];
    const struct bnr_tensor *t = v->tensor;
    const struct bnr_affine *a = &s->affine;
    int64_t dims[BNR_MAX_RANK];
    const int rank = bnr__way_constant_dims(t, a, dims);
    struct bnr_tensor *wide, *made;
    BNR_TRY(bnr__tensor_new(&wide, cx->model->allocator, BNR_DOUBLE, rank, dims, cx->err));
    for (size_t i = 0; i < wide->numel; i++) {
        const size_t at = a->n > 1 ? broadcast_at(i, rank, dims, a->rank, a->dims) : 0;
        const double x = bnr__tensor_f64(t, broadcast_at(i, rank, dims, t->rank, t->dims));
        wide->f64[i] = a->s[at] * x + a->t[at];
    }
    const enum bnr_status st =
        bnr__tensor_cast(&made, cx->model->allocator, wide, t->dtype, cx->err);
    bnr__tensor_unref(wide);
    BNR_TRY(st);
    struct bnr_value *value;
    BNR_TRY(bnr__value_constant(&value, s->node->graph, v->name, made, cx->err));
    return bnr__node_set_input(s->node, s->index, value) == BNR_OK ? BNR_OK
                                                                   : bnr__no_memory(cx->err);
}

// Calls one of the operator's rules in earnest.
static enum bnr_status apply_rule(struct bnr_way *way, const struct bnr_way_step *s) {
    struct bnr_pass_cx *cx = way->cx;
    struct bnr_node *n = s->node;
    struct bnr_affine_site site = {
        .node = n, .index = s->index, .affine = s->affine, .may_copy = true, .temp = cx->temp};
    const struct bnr_affine_rules *rules = n->op->affine;
    struct bnr_error err = {.code = BNR_OK};
    const size_t n_sides = (size_t)(n->n_in > n->n_out ? n->n_in : n->n_out);
    struct bnr_affine *sides = BNR_NEW_ARRAY(cx->temp, n_sides, struct bnr_affine);
    if (!sides)
        return bnr__no_memory(cx->err);
    site.may_multiply = s->kind == BNR_WAY_AFTER && bnr__readers_may_divide(cx, n);
    const bool ok = s->kind == BNR_WAY_AFTER    ? rules->absorb_after(&site, true, &err)
                    : s->kind == BNR_WAY_BEFORE ? rules->absorb_before(&site, true, &err)
                    : s->kind == BNR_WAY_BACK   ? rules->backward(&site, sides, true, &err)
                                                : rules->forward(&site, sides, true, &err);
    if (!ok)
        return bnr__fail(cx->err, err.code ? err.code : BNR_INTERNAL, "node '%s': %s", n->label,
                         err.code   ? err.message
                         : site.why ? site.why
                                    : "refused after a yes");
    if (site.multiple.n > 0)
        BNR_TRY(bnr__readers_divide(cx, n, &site.multiple));
    return site.rest.n > 0 ? bnr__affine_add_behind(cx, n->out[0], &site.rest) : BNR_OK;
}

static enum bnr_status put_affines(struct bnr_way *way) {
    for (int i = 0; i < way->n_steps; i++) {
        struct bnr_way_step *s = &way->steps[i];
        if (s->kind == BNR_WAY_LEAVE)
            BNR_TRY(bnr__affine_put_behind(way->cx, s->node->out[s->index], &s->affine, &s->made));
    }
    return BNR_OK;
}

static enum bnr_status take_step(struct bnr_way *way, const struct bnr_way_step *s) {
    struct bnr_node *made;
    switch (s->kind) {
    case BNR_WAY_LEAVE:
        return BNR_OK;
    case BNR_WAY_JOIN:
        return unlink_affine(way, s->node, s->index);
    case BNR_WAY_CONSTANT:
        return apply_to_constant(way, s);
    case BNR_WAY_MERGE:
        return bnr__affine_replace_node(way->cx, s->node, s->node->in[s->index], &s->affine, &made);
    default:
        return apply_rule(way, s);
    }
}

enum bnr_status bnr__way_take(struct bnr_way *way) {
    BNR_TRY(put_affines(way));
    BNR_TRY(settle_all(way));
    BNR_TRY(unlink_affine(way, way->node, way->data));
    for (int i = 0; i < way->n_steps; i++)
        BNR_TRY(take_step(way, &way->steps[i]));
    return BNR_OK;
}
