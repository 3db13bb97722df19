// SPDX-License-Identifier: Apache-2.0
// Groups that read or write around those that only move elements (Transpose, Slice, Reshape, ...):
// kernels say which of their inputs and outputs may lie apart in another tensor
// (bnr_prepare.place). What nobody reads any more does not run.
#include "runtime/ops/lib/strided.h"
#include "runtime/plan_build.h"

enum { MAX_MOVES = 12 }; // one behind the other

// Values of which each is made from a neighbour by a group that only moves elements.
struct path {
    const struct bnr_value *values[MAX_MOVES + 1];
    struct bnr_group *groups[MAX_MOVES];
    int n; // groups
};

static bool has_elements(const struct bnr_planner *p, const struct bnr_value *v) {
    const struct bnr_type *type = &bnr__planner_info(p, v)->type;
    size_t bytes;
    return bnr__type_placeable(type) && bnr__type_bytes(type, &bytes) && bytes > 0;
}

static int dims_of(const struct bnr_planner *p, const struct bnr_value *v, int64_t *dims) {
    const struct bnr_shape *shape = &bnr__planner_info(p, v)->type.shape;
    bnr__shape_numbers(shape, dims);
    return shape->rank;
}

static bool moves(const struct bnr_node *n) {
    return n->n_in > 0 && n->in[0] && (n->op->strided || (n->op->flags & BNR_OP_VIEW));
}

// From where the elements of input 0 lie to where those of output `out` do.
static bool move(struct bnr_planner *p, const struct bnr_node *n, int out, struct bnr_strided *s) {
    struct bnr_error ignored;
    struct bnr_info **outs = BNR_NEW_ARRAY(&p->temp, (size_t)n->n_out, struct bnr_info *);
    struct bnr_infer cx = {.node = n,
                           .in = bnr__planner_infos(p, n->in, n->n_in),
                           .n_in = n->n_in,
                           .out = outs,
                           .n_out = n->n_out,
                           .arena = &p->temp,
                           .err = &ignored};
    if (!cx.in || !outs)
        return false;
    for (int i = 0; i < n->n_out; i++)
        outs[i] = n->out[i] ? &p->table.infos[n->out[i]->id] : NULL;
    if (n->op->strided)
        return n->op->strided(&cx, out, s);
    int64_t dims[BNR_MAX_RANK];
    const int rank = dims_of(p, n->out[out], dims);
    return bnr__strided_reshape(s, rank, dims);
}

static void start_dense(const struct bnr_planner *p, const struct bnr_value *v,
                        struct bnr_strided *s) {
    int64_t dims[BNR_MAX_RANK];
    const int rank = dims_of(p, v, dims);
    bnr__strided_dense(s, rank, dims);
}

bool bnr__plan_moves_nothing(struct bnr_planner *p, const struct bnr_node *n) {
    struct bnr_strided s;
    if (!moves(n) || !has_elements(p, n->in[0]))
        return false;
    start_dense(p, n->in[0], &s);
    return move(p, n, 0, &s) && bnr__strided_is_dense(&s);
}

// ---- around a group -----------------------------------------------------------------------------

static bool only_moves(const struct bnr_planner *p, const struct bnr_group *g) {
    return g->chain.n == 1 && g->chain.n_before == 0 && !g->chain.front &&
           (g->blocked_in | g->blocked_out) == 0 && moves(g->chain.nodes[0]) &&
           has_elements(p, g->chain.nodes[0]->in[0]) &&
           bnr__planner_info(p, g->chain.nodes[0]->in[0])->type.dtype == BNR_FLOAT;
}

// The group that ends in that node, or NULL.
static struct bnr_group *group_of(const struct bnr_planner *p, const struct bnr_node *n) {
    for (size_t i = 0; n && i < p->n_groups; i++)
        if (!p->groups[i].gone && p->groups[i].chain.nodes[p->groups[i].chain.n - 1] == n)
            return &p->groups[i];
    return NULL;
}

// To what the last value of the path is made from.
static void follow_back(const struct bnr_planner *p, struct path *path) {
    while (path->n < MAX_MOVES) {
        const struct bnr_value *v = path->values[path->n];
        struct bnr_group *g = group_of(p, v->producer);
        if (!g || !only_moves(p, g) || !has_elements(p, v))
            return;
        path->groups[path->n++] = g;
        path->values[path->n] = v->producer->in[0];
    }
}

// To what is made from the last value of the path, and from it alone.
static void follow_on(const struct bnr_planner *p, struct path *path) {
    while (path->n < MAX_MOVES) {
        const struct bnr_value *v = path->values[path->n];
        const struct bnr_node *reader = bnr__plan_only_reader(p, v);
        struct bnr_group *g = group_of(p, reader);
        if (!g || !only_moves(p, g) || reader->in[0] != v || reader->n_out != 1)
            return;
        path->groups[path->n++] = g;
        path->values[path->n] = reader->out[0];
    }
}

// Reads as far back as the kernel can.
static void read_around(struct bnr_planner *p, struct bnr_group *g, int i) {
    struct path path = {.values = {bnr__chain_input(&g->chain, i)}};
    if (path.values[0])
        follow_back(p, &path);
    for (int n = path.n; n > 0; n--) {
        struct bnr_strided s;
        bool known = true;
        start_dense(p, path.values[n], &s);
        for (int k = n - 1; k >= 0 && known; k--)
            known = move(p, path.values[k]->producer, path.values[k]->producer_index, &s);
        if (!known || !g->place(g->step.state, i, &s))
            continue;
        g->chain.from[i] = path.values[n];
        for (int k = 0; k < n; k++)
            path.groups[k]->passed = true;
        return;
    }
}

// Writes as far on as the kernel can.
static void write_around(struct bnr_planner *p, struct bnr_group *g) {
    const struct bnr_node *last = g->chain.nodes[g->chain.n - 1];
    struct path path = {.values = {last->out[0]}};
    int64_t dims[BNR_MAX_RANK];
    const int rank = dims_of(p, last->out[0], dims);
    follow_on(p, &path);
    for (int n = path.n; n > 0; n--) {
        struct bnr_strided s, inverse;
        bool known = true;
        start_dense(p, last->out[0], &s);
        for (int k = 0; k < n && known; k++)
            known = move(p, path.values[k + 1]->producer, 0, &s);
        if (!known || !bnr__strided_inverse(&s, rank, dims, &inverse) ||
            !g->place(g->step.state, -1, &inverse))
            continue;
        g->chain.to = path.values[n];
        for (int k = 0; k < n; k++)
            path.groups[k]->gone = true;
        return;
    }
}

static enum bnr_status go_around(struct bnr_planner *p, struct bnr_group *g) {
    const int n = bnr__chain_inputs(&g->chain);
    g->chain.from = BNR_NEW_ARRAY(&p->plan->storage, (size_t)n, const struct bnr_value *);
    if (!g->chain.from)
        return bnr__no_memory(p->err);
    for (int i = 0; i < n; i++)
        read_around(p, g, i);
    write_around(p, g);
    return BNR_OK;
}

// ---- what is left -------------------------------------------------------------------------------

static bool is_read(const struct bnr_planner *p, const struct bnr_value *v) {
    if (v->n_graph_outputs > 0)
        return true;
    for (size_t i = 0; i < v->n_uses; i++)
        if (v->uses[i].node->graph != v->graph)
            return true;
    for (size_t i = 0; i < p->n_groups; i++) {
        const struct bnr_chain *c = &p->groups[i].chain;
        for (int k = 0; !p->groups[i].gone && k < bnr__chain_inputs(c); k++)
            if (bnr__chain_input(c, k) == v)
                return true;
    }
    return false;
}

static bool any_read(const struct bnr_planner *p, const struct bnr_node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && is_read(p, n->out[i]))
            return true;
    return false;
}

enum bnr_status bnr__plan_moves(struct bnr_planner *p) {
    size_t n = 0;
    for (size_t i = 0; i < p->n_groups; i++)
        if (p->groups[i].place)
            BNR_TRY(go_around(p, &p->groups[i]));
    // What is read by one that is gone may go, too.
    for (size_t i = p->n_groups; i-- > 0;)
        if (p->groups[i].passed && !any_read(p, p->groups[i].chain.nodes[0]))
            p->groups[i].gone = true;
    for (size_t i = 0; i < p->n_groups; i++)
        if (!p->groups[i].gone)
            p->groups[n++] = p->groups[i];
    p->n_groups = n;
    return BNR_OK;
}
