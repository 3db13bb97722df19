// SPDX-License-Identifier: Apache-2.0
// Backward: every value on the way has one reader, so that changing it is nobody else's concern; at
// an operator with several inputs all of them must find an end. Forward: every reader of a value
// must.
//
// Other affines on the way are composed into the one that moves, in double, and what absorbs them
// rounds once. Affines are tried last to first, so that of a chain the last one collects the
// others.
#include "passes/lib/affine_search.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "graph/op.h"
#include "passes/lib/hosts.h"

enum { MAX_VISITS = 2000, MAX_DEPTH = 100 };

static bool no_way(struct bnr_way *way, const char *fmt, ...) BNR_PRINTF(2, 3);
static bool no_way(struct bnr_way *way, const char *fmt, ...) {
    char text[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    way->why = bnr__arena_strdup(way->cx->temp, text);
    if (!way->why)
        way->why = "out of memory";
    return false;
}

static struct bnr_affine_site site_of(const struct bnr_way *way, struct bnr_node *n, int index,
                                      const struct bnr_affine *a) {
    return (struct bnr_affine_site){
        .node = n, .index = index, .affine = *a, .may_copy = way->may_copy, .temp = way->cx->temp};
}

static bool add_step(struct bnr_way *way, enum bnr_way_kind kind, struct bnr_node *n, int index,
                     const struct bnr_affine *a) {
    if (way->n_steps == BNR_WAY_STEPS)
        return no_way(way, "the way is too long");
    way->steps[way->n_steps++] =
        (struct bnr_way_step){.kind = kind, .node = n, .index = index, .affine = *a};
    return true;
}

static struct bnr_way_step *find_step(struct bnr_way *way, enum bnr_way_kind kind,
                                      const struct bnr_node *n, int index) {
    for (int i = 0; i < way->n_steps; i++)
        if (way->steps[i].kind == kind && way->steps[i].node == n &&
            (index < 0 || way->steps[i].index == index))
            return &way->steps[i];
    return NULL;
}

static bool exhausted(struct bnr_way *way, int depth) {
    return (++way->visits > MAX_VISITS || depth > MAX_DEPTH) && !no_way(way, "the way is too long");
}

// ---- ends ---------------------------------------------------------------------------------------

typedef bool absorb_fn(struct bnr_affine_site *site, bool apply, struct bnr_error *err);

static bool go_back(struct bnr_way *way, struct bnr_node *user, int index,
                    const struct bnr_affine *a, int depth);

// Whether node's constants take `a` in. A node met twice (through the parts of a Split or Concat)
// is asked for both at once: they touch different channels, so their order does not matter.
static bool absorbs(struct bnr_way *way, absorb_fn *ask, enum bnr_way_kind kind, struct bnr_node *n,
                    int index, const struct bnr_affine *a, int depth) {
    struct bnr_way_step *same = find_step(way, kind, n, index);
    struct bnr_affine both = *a;
    if (same && !bnr__affine_compose(&both, &same->affine, a, way->cx->temp))
        return no_way(way, "'%s' cannot take in two affines", n->label);
    // Two inputs of one node, each asked without the other, might not fit together.
    if (!same && find_step(way, kind, n, -1))
        return no_way(way, "'%s' cannot take in two affines", n->label);
    struct bnr_affine_site site = site_of(way, n, index, &both);
    struct bnr_error err;
    if (!ask(&site, false, &err)) {
        way->why = site.why;
        return false;
    }
    if (same && site.aside.n > 0)
        return no_way(way, "'%s' cannot take in two affines", n->label);
    if (same) {
        same->affine = both;
        way->changed = true;
        return true;
    }
    return add_step(way, kind, n, index, a) &&
           (site.aside.n == 0 || go_back(way, n, site.aside_index, &site.aside, depth + 1));
}

int bnr__way_constant_dims(const struct bnr_tensor *t, const struct bnr_affine *a, int64_t *dims) {
    const int rank = a->n > 1 && a->rank > t->rank ? a->rank : t->rank;
    for (int i = 0; i < rank; i++) {
        const int ti = i - (rank - t->rank), ai = i - (rank - a->rank);
        dims[i] = ti >= 0 ? t->dims[ti] : 1;
        if (a->n > 1 && ai >= 0 && a->dims[ai] != 1)
            dims[i] = a->dims[ai];
    }
    return rank;
}

// Whether everything that is finite surely stays so, rounded to t's dtype: by the largest of each.
static bool stays_finite(const struct bnr_tensor *t, const struct bnr_affine *a) {
    double x = 0, scale = 0, shift = 0;
    for (size_t i = 0; i < t->numel; i++) {
        const double v = fabs(bnr__tensor_f64(t, i));
        x = isfinite(v) && v > x ? v : x;
    }
    for (size_t i = 0; i < a->n; i++) {
        scale = fmax(scale, fabs(a->s[i]));
        shift = fmax(shift, fabs(a->t[i]));
    }
    return bnr__affine_number_fits(scale * x + shift, t->dtype);
}

// A constant that is applied to: exact in any number of places, since each gets its own.
static bool takes_constant(struct bnr_way *way, struct bnr_node *user, int index,
                           const struct bnr_affine *a) {
    const struct bnr_value *v = user->in[index];
    const struct bnr_tensor *t = v->tensor;
    int64_t dims[BNR_MAX_RANK];
    double numel = 1;
    if (t->kind != BNR_KIND_TENSOR || !bnr__dtype_is_float(t->dtype) || t->numel == 0)
        return no_way(way, "the constant '%s' is no tensor of floating-point numbers", v->name);
    for (int i = bnr__way_constant_dims(t, a, dims) - 1; i >= 0; i--)
        numel *= (double)dims[i];
    if (numel > (double)t->numel && numel > BNR_AFFINE_MAX)
        return no_way(way, "the constant '%s' would become too large", v->name);
    if (!stays_finite(t, a))
        return no_way(way, "the constant '%s' would not be finite in %s", v->name,
                      bnr__dtype_name(t->dtype));
    return add_step(way, BNR_WAY_CONSTANT, user, index, a);
}

static bool carries_bn(const struct bnr_node *n) {
    return n->n_origins > 0;
}

// Whether a composition that makes y can be one node, here and in a file, so that ending in another affine saves
// one.
static bool is_one_node(const struct bnr_way *way, const struct bnr_value *y,
                        const struct bnr_affine *a) {
    if (!bnr__affine_has_node(y, a))
        return false;
    if (!bnr__affine_has_scale(a) || !bnr__affine_has_shift(a))
        return true; // Add or Mul
    const int axis = bnr__affine_axis(a), rank = y->info->type.shape.rank;
    return (carries_bn(y->producer) || carries_bn(way->node)) && rank >= 2 &&
           (axis == 1 || axis == BNR_AFFINE_UNIFORM) && bnr__model_opset(way->cx->model, "") >= 7;
}

// Ends with an affine of its own behind v, which only one node reads, if some step takes it along there.
static bool leave(struct bnr_way *way, struct bnr_value *v, const struct bnr_affine *a, int mark) {
    struct bnr_node *p = v->producer;
    if (way->leaves >= way->may_leave || way->changed || p == way->node ||
        v->uses[0].node == way->node || !bnr__affine_has_node(v, a) ||
        (way->may_leave == 1 && !is_one_node(way, v, a)) ||
        (!bnr__hosted_behind(v) && !bnr__hosted_in_front(v)) ||
        find_step(way, BNR_WAY_LEAVE, p, v->producer_index))
        return false;
    way->n_steps = mark;
    way->leaves++;
    return add_step(way, BNR_WAY_LEAVE, p, v->producer_index, a);
}

// ---- backward -----------------------------------------------------------------------------------

static bool only_reader(struct bnr_way *way, const struct bnr_value *v) {
    const struct bnr_node *p = v->producer;
    if (!p)
        return no_way(way, "'%s' is an input", v->name);
    if (v->n_graph_outputs > 0)
        return no_way(way, "the output of '%s' is an output of the graph", p->label);
    if (v->n_uses > 1)
        return no_way(way, "the output of '%s' has %zu other use%s", p->label, v->n_uses - 1,
                      v->n_uses == 2 ? "" : "s");
    if (!bnr__value_single_use(v))
        return no_way(way, "the output of '%s' is used in a nested graph", p->label);
    return true;
}

// A second affine on the same value (from another output of a Split behind p): p is composed in
// already.
static bool join_again(struct bnr_way *way, struct bnr_node *p, int data,
                       const struct bnr_affine *a, int depth) {
    struct bnr_way_step *merge = find_step(way, BNR_WAY_MERGE, p, -1);
    struct bnr_affine all;
    if (!merge)
        return go_back(way, p, data, a, depth + 1);
    if (!bnr__affine_compose(&all, &merge->affine, a, way->cx->temp) || !is_one_node(way, p->out[0], &all))
        return no_way(way, "it cannot be combined with '%s'", p->label);
    merge->affine = all;
    way->changed = true;
    return true;
}

static bool join_back(struct bnr_way *way, struct bnr_node *p, const struct bnr_affine_view *view,
                      const struct bnr_affine *a, int depth) {
    struct bnr_affine both;
    const int mark = way->n_steps;
    if (bnr__pass_keeps(way->cx, p))
        return no_way(way, "'%s' is to be kept", p->label);
    if (find_step(way, BNR_WAY_JOIN, p, -1) || find_step(way, BNR_WAY_MERGE, p, -1))
        return join_again(way, p, view->data, a, depth);
    if (bnr__value_is_constant(p->in[view->data])) // constant folding's business
        return no_way(way, "'%s' has a constant input", p->label);
    if (!bnr__affine_compose(&both, &view->affine, a, way->cx->temp))
        return no_way(way, "it cannot be combined with '%s'", p->label);
    const bool copy = way->may_copy;
    way->may_copy |= carries_bn(p);
    if (add_step(way, BNR_WAY_JOIN, p, view->data, &both) &&
        go_back(way, p, view->data, &both, depth + 1)) {
        way->steps[mark].until = way->n_steps;
        return true;
    }
    way->may_copy = copy;
    way->n_steps = mark;
    if (way->may_merge && is_one_node(way, p->out[0], &both))
        return add_step(way, BNR_WAY_MERGE, p, view->data, &both);
    return false;
}

static bool pass_back(struct bnr_way *way, struct bnr_node *p, int index,
                      const struct bnr_affine *a, int depth) {
    struct bnr_affine_site site = site_of(way, p, index, a);
    struct bnr_affine *in = BNR_NEW_ARRAY(way->cx->temp, (size_t)p->n_in, struct bnr_affine);
    struct bnr_error err;
    if (!in)
        return no_way(way, "out of memory");
    if (!p->op->affine->backward(&site, in, false, &err)) {
        way->why = site.why;
        return false;
    }
    if (!add_step(way, BNR_WAY_BACK, p, index, a))
        return false;
    for (int i = 0; i < p->n_in; i++)
        if (in[i].n > 0 && !go_back(way, p, i, &in[i], depth + 1))
            return false;
    return true;
}

// An operator that cannot take it in for itself, but its inputs perhaps: weights that are computed.
static bool into_inputs(struct bnr_way *way, struct bnr_node *p, int index, const struct bnr_affine *a,
                        int depth) {
    const char *why = way->why;
    const int mark = way->n_steps;
    if (pass_back(way, p, index, a, depth))
        return true;
    way->n_steps = mark;
    way->why = way->why ? way->why : why;
    return false;
}

// Into or past whoever makes v.
static bool into_producer(struct bnr_way *way, struct bnr_value *v, const struct bnr_affine *a,
                          int depth) {
    struct bnr_affine_view view;
    const char *why;
    struct bnr_node *p = v->producer;
    if (v->producer_index == 0 && bnr__affine_view(p, way->cx->temp, &view, &why))
        return join_back(way, p, &view, a, depth);
    const struct bnr_affine_rules *rules = p->op ? p->op->affine : NULL;
    if (rules && rules->absorb_after) {
        if (absorbs(way, rules->absorb_after, BNR_WAY_AFTER, p, v->producer_index, a, depth))
            return true;
        return rules->backward && into_inputs(way, p, v->producer_index, a, depth);
    }
    if (rules && rules->backward)
        return pass_back(way, p, v->producer_index, a, depth);
    return no_way(way, "the %s '%s' neither takes it in nor lets it pass", p->op_type, p->label);
}

// From input `index` of `user` to whoever makes its value.
static bool go_back(struct bnr_way *way, struct bnr_node *user, int index,
                    const struct bnr_affine *a, int depth) {
    struct bnr_value *v = user->in[index];
    const int mark = way->n_steps, leaves = way->leaves;
    if (exhausted(way, depth))
        return false;
    if (bnr__value_is_constant(v))
        return takes_constant(way, user, index, a);
    if (!only_reader(way, v))
        return false;
    if (into_producer(way, v, a, depth))
        return true;
    way->leaves = leaves;
    return leave(way, v, a, mark);
}

// ---- forward ------------------------------------------------------------------------------------

static bool go_forth(struct bnr_way *way, struct bnr_value *v, const struct bnr_affine *a,
                     int depth);

static bool join_forth(struct bnr_way *way, struct bnr_node *n, const struct bnr_affine_view *view,
                       const struct bnr_affine *a, int depth) {
    struct bnr_affine both;
    const int mark = way->n_steps;
    if (bnr__pass_keeps(way->cx, n))
        return no_way(way, "'%s' is to be kept", n->label);
    if (find_step(way, BNR_WAY_JOIN, n, -1) || find_step(way, BNR_WAY_MERGE, n, -1) ||
        !bnr__affine_compose(&both, a, &view->affine, way->cx->temp))
        return no_way(way, "it cannot be combined with '%s'", n->label);
    const bool copy = way->may_copy;
    way->may_copy |= carries_bn(n);
    if (add_step(way, BNR_WAY_JOIN, n, view->data, &both) &&
        go_forth(way, n->out[0], &both, depth + 1)) {
        way->steps[mark].until = way->n_steps;
        return true;
    }
    way->may_copy = copy;
    way->n_steps = mark;
    if (way->may_merge && is_one_node(way, n->out[0], &both))
        return add_step(way, BNR_WAY_MERGE, n, view->data, &both);
    return false;
}

static bool pass_forth(struct bnr_way *way, struct bnr_node *n, int index,
                       const struct bnr_affine *a, int depth) {
    struct bnr_affine_site site = site_of(way, n, index, a);
    struct bnr_affine *out = BNR_NEW_ARRAY(way->cx->temp, (size_t)n->n_out, struct bnr_affine);
    struct bnr_error err;
    if (!out)
        return no_way(way, "out of memory");
    if (!n->op->affine->forward(&site, out, false, &err)) {
        way->why = site.why;
        return false;
    }
    if (!add_step(way, BNR_WAY_FORTH, n, index, a))
        return false;
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && out[i].n > 0 && !go_forth(way, n->out[i], &out[i], depth + 1))
            return false;
    return true;
}

static bool into_reader(struct bnr_way *way, struct bnr_node *n, int index,
                        const struct bnr_affine *a, int depth) {
    struct bnr_affine_view view;
    const char *why;
    if (bnr__affine_view(n, way->cx->temp, &view, &why) && view.data == index)
        return join_forth(way, n, &view, a, depth);
    const struct bnr_affine_rules *rules = n->op ? n->op->affine : NULL;
    if (rules && rules->absorb_before)
        return absorbs(way, rules->absorb_before, BNR_WAY_BEFORE, n, index, a, depth);
    if (rules && rules->forward)
        return pass_forth(way, n, index, a, depth);
    return no_way(way, "the %s '%s' neither takes it in nor lets it pass", n->op_type, n->label);
}

static bool into_readers(struct bnr_way *way, struct bnr_value *v, const struct bnr_affine *a,
                         int depth) {
    for (size_t i = 0; i < v->n_uses; i++) {
        struct bnr_node *n = v->uses[i].node;
        if (n->graph != v->graph)
            return no_way(way, "'%s' is used in a nested graph", v->name);
        if (!into_reader(way, n, v->uses[i].index, a, depth))
            return false;
    }
    return true;
}

static bool go_forth(struct bnr_way *way, struct bnr_value *v, const struct bnr_affine *a,
                     int depth) {
    const int mark = way->n_steps, leaves = way->leaves;
    if (exhausted(way, depth))
        return false;
    if (v->n_graph_outputs > 0)
        return no_way(way, "'%s' is an output of the graph", v->name);
    if (into_readers(way, v, a, depth))
        return true;
    way->leaves = leaves;
    return bnr__value_single_use(v) && leave(way, v, a, mark);
}

// Something of it is gone for good, not only split up.
static bool is_worth_it(struct bnr_way *way) {
    if (way->leaves == 0 || way->may_leave > 1)
        return true;
    for (int i = 0; i < way->n_steps; i++)
        if (way->steps[i].kind == BNR_WAY_AFTER || way->steps[i].kind == BNR_WAY_BEFORE)
            return true;
    return no_way(way, "no operator takes a part of it in");
}

bool bnr__way_find(struct bnr_way *way, struct bnr_pass_cx *cx, struct bnr_node *node,
                   const struct bnr_affine_view *view, const struct bnr_way_rules *rules) {
    // One by one: the steps, of 50 KiB, are valid up to n_steps only.
    way->cx = cx;
    way->node = node;
    way->data = view->data;
    way->may_copy = carries_bn(node);
    way->may_merge = rules->may_merge;
    way->forward = rules->forward;
    way->may_leave = rules->may_leave;
    way->leaves = way->n_steps = way->visits = 0;
    way->changed = false;
    way->why = NULL;
    struct bnr_value *x = node->in[view->data], *y = node->out[0];
    if (bnr__value_is_constant(x))
        return no_way(way, "its input '%s' is constant", x->name);
    if (rules->forward)
        return go_forth(way, y, &view->affine, 0) && is_worth_it(way);
    if (!go_back(way, node, view->data, &view->affine, 0) || !is_worth_it(way))
        return false;
    return bnr__value_replaceable(y, x) ||
           no_way(way, "the graph's output '%s' cannot be '%s'", y->name, x->name);
}

enum bnr_status bnr__way_each(struct bnr_pass_cx *cx, struct bnr_graph *g, bool backward,
                              enum bnr_status (*visit)(struct bnr_pass_cx *cx, struct bnr_node *n,
                                                       struct bnr_way *way)) {
    struct bnr_arena kept = {.allocator = cx->model->allocator}; // temp is emptied in between
    struct bnr_node **nodes = BNR_NEW_ARRAY(&kept, g->n_nodes + 1, struct bnr_node *);
    struct bnr_way *way = BNR_NEW(&kept, struct bnr_way);
    enum bnr_status st = nodes && way ? BNR_OK : bnr__no_memory(cx->err);
    size_t count = 0;
    for (struct bnr_node *n = backward ? g->last : g->first; st == BNR_OK && n;
         n = backward ? n->prev : n->next)
        nodes[count++] = n;
    for (size_t i = 0; st == BNR_OK && i < count; i++)
        if (nodes[i]->graph) { // still there
            st = visit(cx, nodes[i], way);
            bnr__arena_reset(cx->temp);
        }
    bnr__arena_free(&kept);
    return st;
}
