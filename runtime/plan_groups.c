// SPDX-License-Identifier: Apache-2.0
// Which nodes of a plan run together: operators are asked for kernels, which may take the members
// that the optimizer fused into a node. What a kernel leaves gets a step of its own.
#include <stdlib.h>
#include <string.h>

#include "runtime/ops/lib/blocked.h"
#include "runtime/plan_build.h"
#include "runtime/session.h"

enum {
    MAX_CHAIN = 16,            // nodes offered to one kernel
    WORTH_RELEASING = 4096,    // bytes of a constant
    WORTH_RESTORING = 1 << 16, // the same where it may have to be made again
};

static bool all_known(const struct bnr_planner *p, struct bnr_value *const *values, int n) {
    for (int i = 0; i < n; i++)
        if (values[i] && !bnr__type_placeable(&bnr__planner_info(p, values[i])->type))
            return false;
    return true;
}

// A kernel needs every shape.
static bool can_prepare(const struct bnr_planner *p, const struct bnr_node *n) {
    return all_known(p, n->in, n->n_in) && all_known(p, n->out, n->n_out);
}

// Where the passes did not know a shape, a member may turn out to be wider than what it is chained
// to.
static bool same_size(const struct bnr_planner *p, const struct bnr_value *a,
                      const struct bnr_value *b) {
    size_t x, y;
    return bnr__type_bytes(&bnr__planner_info(p, a)->type, &x) &&
           bnr__type_bytes(&bnr__planner_info(p, b)->type, &y) && x == y;
}

const struct bnr_node *bnr__plan_only_reader(const struct bnr_planner *p,
                                             const struct bnr_value *v) {
    const struct bnr_node *reader = NULL;
    if (v->n_graph_outputs > 0)
        return NULL;
    for (size_t i = 0; i < v->n_uses; i++) {
        const struct bnr_node *n = v->uses[i].node;
        if (n->graph == v->graph && p->node_index[n->id] < 0)
            continue;
        if (reader || n->graph != v->graph)
            return NULL;
        reader = n;
    }
    return reader;
}

// The member behind n in the chain that `head` leads, or NULL.
static const struct bnr_node *next_member(const struct bnr_planner *p, const struct bnr_node *n,
                                          const struct bnr_node *head) {
    const struct bnr_value *v = n->n_out > 0 ? n->out[0] : NULL;
    const struct bnr_node *next = v ? bnr__plan_only_reader(p, v) : NULL;
    if (!next)
        return NULL;
    bool joins = next->fused_into == head && !p->grouped[next->id] &&
                 p->candidate_of[next->id] < 0 && can_prepare(p, next) &&
                 same_size(p, n->out[0], next->out[0]);
    return joins ? next : NULL;
}

// The members in front of `head`, in order.
static int collect_before(const struct bnr_planner *p, const struct bnr_node *head,
                          const struct bnr_node **before) {
    const struct bnr_node *back[MAX_CHAIN];
    int n = 0;
    for (const struct bnr_node *m = head; n < MAX_CHAIN && m->n_in > 0 && m->in[0]; n++) {
        const struct bnr_node *front = m->in[0]->producer;
        if (!front || front->fused_into != head || front->out[0] != m->in[0] ||
            !bnr__value_single_use(m->in[0]) || p->node_index[front->id] < 0 ||
            p->grouped[front->id] || p->candidate_of[front->id] >= 0 || !can_prepare(p, front))
            break;
        back[n] = m = front;
    }
    for (int i = 0; i < n; i++)
        before[i] = back[n - 1 - i];
    return n;
}

static int collect_chain(const struct bnr_planner *p, const struct bnr_node *first,
                         const struct bnr_node **chain) {
    const struct bnr_node *head = first->fused_into ? first->fused_into : first;
    int n = 0;
    for (const struct bnr_node *m = first; m && n < MAX_CHAIN; m = next_member(p, m, head))
        chain[n++] = m;
    return n;
}

static const struct bnr_info *info_in_table(const struct bnr_prepare *cx,
                                            const struct bnr_value *v) {
    return &cx->table[v->id];
}

const struct bnr_info **bnr__planner_infos(struct bnr_planner *p, struct bnr_value *const *values,
                                           int n) {
    const struct bnr_info **infos = BNR_NEW_ARRAY(&p->temp, (size_t)n, const struct bnr_info *);
    for (int i = 0; infos && i < n; i++)
        infos[i] = values[i] ? bnr__planner_info(p, values[i]) : NULL;
    return infos;
}

// Puts a tensor without elements in the place of v's. Its owner is the value's id, by which a
// session finds the elements again.
static enum bnr_status hollow(struct bnr_planner *p, struct bnr_value *v) {
    struct bnr_tensor *t = v->tensor, *empty;
    BNR_TRY(bnr__tensor_wrap(&empty, t->allocator, t->dtype, t->rank, t->dims, NULL, NULL, &v->id,
                             p->err));
    if (bnr__packs_replace(&p->request->session->packs, t, empty) != BNR_OK) {
        bnr__tensor_unref(empty);
        return bnr__no_memory(p->err);
    }
    v->tensor = p->table.infos[v->id].tensor = empty;
    bnr__tensor_unref(t);
    if (bnr__value_info_of_constant(v) != BNR_OK)
        return bnr__no_memory(p->err);
    return BNR_OK;
}

static bool was_packed(const struct bnr_packs *packs, const struct bnr_tensor *t) {
    for (int i = 0; i < packs->n_asked; i++)
        if (packs->asked[i] == t)
            return true;
    return false;
}

static int uses_in(const struct bnr_node *n, const struct bnr_tensor *t) {
    int uses = 0;
    for (int k = 0; k < n->n_in; k++)
        uses += n->in[k] && n->in[k]->tensor == t;
    return uses;
}

// A constant that two inputs of a group share may be packed for one and read by the other.
static bool is_shared(const struct bnr_chain *c, const struct bnr_tensor *t) {
    int uses = 0;
    for (int i = 0; i < c->n; i++)
        uses += uses_in(c->nodes[i], t);
    for (int i = 0; i < c->n_before; i++)
        uses += uses_in(c->before[i], t);
    return uses > 1;
}

static void note_packed(const struct bnr_planner *p, struct bnr_group *g,
                        const struct bnr_node *n) {
    for (int k = 0; k < n->n_in && g->n_packed < BNR_MAX_ASKED; k++) {
        struct bnr_value *v = n->in[k];
        if (v && bnr__value_is_constant(v) && was_packed(&p->request->session->packs, v->tensor) &&
            !is_shared(&g->chain, v->tensor))
            g->packed[g->n_packed++] = v;
    }
}

static bool may_release(const struct bnr_planner *p, const struct bnr_value *v) {
    if (v->graph != p->plan->graph || v->n_graph_outputs > 0 || bnr__tensor_is_hollow(v->tensor))
        return false;
    if (p->request->last)
        return v->tensor->nbytes >= WORTH_RELEASING;
    return p->request->session->origin && v->tensor->nbytes >= WORTH_RESTORING && !v->tensor->lazy;
}

// Weights are not held twice: once kernels have packed a constant for all nodes that read it, the
// original is given back. A later plan that wants it in another way has it made again.
static enum bnr_status release_packed(struct bnr_planner *p, struct bnr_group *g) {
    for (int i = 0; i < g->chain.n; i++)
        note_packed(p, g, g->chain.nodes[i]);
    for (int i = 0; i < g->chain.n_before; i++)
        note_packed(p, g, g->chain.before[i]);
    for (int i = 0; i < g->n_packed; i++)
        if (++p->packed_uses[g->packed[i]->id] == g->packed[i]->n_uses &&
            may_release(p, g->packed[i]))
            BNR_TRY(hollow(p, g->packed[i]));
    return BNR_OK;
}

// ---- chains -------------------------------------------------------------------------------------

const struct bnr_value *bnr__chain_input(const struct bnr_chain *c, int i) {
    if (c->from && c->from[i])
        return c->from[i];
    if (i == 0 && c->n_before > 0)
        return c->before[0]->in[0];
    if (i == 0 && c->front)
        return c->front->nodes[0]->in[0];
    for (int k = 0; k < c->n; k++) {
        const struct bnr_value *chained = k > 0 ? c->nodes[k - 1]->out[0] : NULL;
        for (int j = 0; j < c->nodes[k]->n_in; j++)
            if ((!chained || c->nodes[k]->in[j] != chained) && i-- == 0)
                return c->nodes[k]->in[j];
    }
    return c->front && i + 1 < c->front->nodes[0]->n_in ? c->front->nodes[0]->in[i + 1] : NULL;
}

int bnr__chain_inputs(const struct bnr_chain *c) {
    int count = c->nodes[0]->n_in + (c->front ? c->front->nodes[0]->n_in - 1 : 0);
    for (int k = 1; k < c->n; k++)
        for (int j = 0; j < c->nodes[k]->n_in; j++)
            count += c->nodes[k]->in[j] != c->nodes[k - 1]->out[0];
    return count;
}

static const struct bnr_node *const *keep_nodes(struct bnr_arena *arena,
                                                const struct bnr_node *const *nodes, int n) {
    const struct bnr_node **kept = BNR_NEW_ARRAY(arena, (size_t)n, const struct bnr_node *);
    if (kept)
        memcpy(kept, nodes, (size_t)n * sizeof nodes[0]);
    return kept;
}

// What is offered to the operator of `first`.
static enum bnr_status collect(struct bnr_planner *p, const struct bnr_node *first,
                               struct bnr_chain *c) {
    const struct bnr_node *chain[MAX_CHAIN] = {first}, *before[MAX_CHAIN];
    const bool fast = !p->plain && first->op->prepare && can_prepare(p, first);
    c->n = fast ? collect_chain(p, first, chain) : 1;
    c->n_before = fast && !first->fused_into ? collect_before(p, first, before) : 0;
    c->nodes = keep_nodes(&p->plan->storage, chain, c->n);
    c->before = keep_nodes(&p->plan->storage, before, c->n_before);
    return c->nodes && c->before ? BNR_OK : bnr__no_memory(p->err);
}

static void mark_grouped(struct bnr_planner *p, const struct bnr_chain *c) {
    for (int i = 0; i < c->n; i++)
        p->grouped[c->nodes[i]->id] = true;
    for (int i = 0; i < c->n_before; i++)
        p->grouped[c->before[i]->id] = true;
}

// ---- kernels ------------------------------------------------------------------------------------

// Kernels are for tensors that can be: one that is too large is refused where it is placed. What
// has no elements needs none.
static bool worth_a_kernel(const struct bnr_info *const *infos, int n, bool out) {
    for (int i = 0; i < n; i++) {
        int64_t dims[BNR_MAX_RANK];
        size_t numel;
        if (!infos[i] || infos[i]->type.kind != BNR_KIND_TENSOR ||
            !bnr__shape_known(&infos[i]->type.shape))
            continue;
        bnr__shape_numbers(&infos[i]->type.shape, dims);
        if (bnr__shape_numel(dims, infos[i]->type.shape.rank, "", &numel, NULL) != BNR_OK ||
            (out && numel == 0))
            return false;
    }
    return true;
}

// Asks the operator for a kernel. Keeps in *c the nodes that it takes.
static enum bnr_status ask(struct bnr_planner *p, struct bnr_chain *c, struct bnr_prepare *cx) {
    const struct bnr_node *n = c->nodes[0];
    struct bnr_session *s = p->request->session;
    cx->node = n;
    cx->fused = c->nodes + 1;
    cx->n_fused = c->n - 1;
    cx->before = c->before;
    cx->n_before = c->n_before;
    cx->in = bnr__planner_infos(p, n->in, n->n_in);
    cx->out = bnr__planner_infos(p, n->out, n->n_out);
    cx->info = info_in_table;
    cx->table = p->table.infos;
    cx->cpu = s->cpu;
    cx->threads = p->plan->side_by_side ? 1 : s->threads;
    cx->temp = &p->temp;
    cx->packs = &s->packs;
    cx->err = p->err;
    if (!cx->in || !cx->out)
        return bnr__no_memory(p->err);
    s->packs.n_asked = 0;
    if (worth_a_kernel(cx->in, n->n_in, false) && worth_a_kernel(cx->out, n->n_out, true))
        BNR_TRY(n->op->prepare(cx));
    c->n = cx->run ? 1 + cx->fused_taken : 1;
    c->before += c->n_before - (cx->run ? cx->before_taken : 0);
    c->n_before = cx->run ? cx->before_taken : 0;
    return BNR_OK;
}

static enum bnr_status prepare(struct bnr_planner *p, struct bnr_group *g, size_t lanes) {
    const struct bnr_chain offered = g->chain;
    struct bnr_prepare cx = {
        .arena = &p->plan->storage, .overwrites = g->overwrites, .lanes = lanes};
    BNR_TRY(ask(p, &g->chain, &cx));
    if (lanes && (!cx.run || g->chain.n != offered.n || g->chain.n_before != offered.n_before))
        return bnr__fail(p->err, BNR_INTERNAL, "node '%s': two answers about blocked tensors",
                         g->chain.nodes[0]->label);
    if (!cx.run)
        return BNR_OK;
    g->step.run = cx.run;
    g->step.state = cx.state;
    g->step.kernel = cx.kernel;
    g->scratch_bytes = cx.scratch;
    g->overwrites = cx.overwrites;
    g->joined = cx.joined;
    g->pair = cx.pair;
    g->place = cx.place;
    g->blocked_in = cx.blocked_in;
    g->blocked_out = cx.blocked_out;
    return release_packed(p, g);
}

static enum bnr_status group_new(struct bnr_planner *p, const struct bnr_node *first) {
    struct bnr_group *g = &p->groups[p->n_groups++];
    const int candidate = p->candidate_of[first->id];
    const bool fast = !p->plain && first->op->prepare && can_prepare(p, first);
    g->overwrites = !p->plain && (first->op->flags & BNR_OP_INPLACE) ? 0 : -1;
    if (candidate >= 0)
        g->chain = p->candidates[candidate].chain;
    else
        BNR_TRY(collect(p, first, &g->chain));
    if (fast)
        BNR_TRY(prepare(p, g, candidate >= 0 ? p->lanes : 0));
    mark_grouped(p, &g->chain);
    g->position = p->node_index[g->chain.nodes[g->chain.n - 1]->id];
    return BNR_OK;
}

// ---- candidates ---------------------------------------------------------------------------------

static bool can_block(const struct bnr_planner *p, const struct bnr_value *v) {
    struct bnr_nchwc shape;
    return v && bnr__blocked_shape(&bnr__planner_info(p, v)->type, p->lanes, &shape);
}

// Whether all values that a kernel wants blocked have a blocked form.
static bool all_blockable(const struct bnr_planner *p, const struct bnr_candidate *c) {
    const struct bnr_node *last = c->chain.nodes[c->chain.n - 1];
    for (int i = 0; i < 64; i++) {
        if (bnr__is_blocked(c->blocked_in, i) && !can_block(p, bnr__chain_input(&c->chain, i)))
            return false;
        if (bnr__is_blocked(c->blocked_out, i) && (i >= last->n_out || !can_block(p, last->out[i])))
            return false;
    }
    return true;
}

static enum bnr_status candidate_new(struct bnr_planner *p, const struct bnr_node *first) {
    struct bnr_candidate *c = &p->candidates[p->n_candidates];
    struct bnr_packs *packs = &p->request->session->packs;
    struct bnr_prepare cx = {.arena = &p->temp, .overwrites = -1, .lanes = p->lanes};
    BNR_TRY(collect(p, first, &c->chain));
    const struct bnr_chain offered = c->chain;
    if (first->op->prepare && can_prepare(p, first)) {
        packs->dry = true;
        const enum bnr_status status = ask(p, &c->chain, &cx);
        packs->dry = false;
        BNR_TRY(status);
    }
    c->blocked_in = cx.blocked_in;
    c->blocked_out = cx.blocked_out;
    c->saves = cx.saves;
    const bool found = cx.run && (c->blocked_in | c->blocked_out) && all_blockable(p, c);
    // What a plain kernel may take along stays with it.
    mark_grouped(p, found ? &c->chain : &offered);
    p->n_candidates += found;
    return BNR_OK;
}

// One that may run in front of its head waits for the head to say so.
static bool waits(const struct bnr_planner *p, const struct bnr_node *n) {
    return n->fused_into && p->node_index[n->fused_into->id] > p->node_index[n->id];
}

// A step runs where its last node stood: only there all inputs of its members have been made.
static int by_position(const void *pa, const void *pb) {
    const struct bnr_group *a = pa, *b = pb;
    return a->position < b->position ? -1 : a->position > b->position;
}

// Calls make(p, n) for nodes until every node that runs is in a group.
static enum bnr_status for_ungrouped(struct bnr_planner *p,
                                     enum bnr_status (*make)(struct bnr_planner *p,
                                                             const struct bnr_node *n)) {
    const struct bnr_graph *g = p->plan->graph;
    for (int i = 0; i < g->model->next_node_id; i++)
        p->grouped[i] = false;
    for (int round = 0; round < 2; round++) // the second for members that waited in vain
        for (const struct bnr_node *n = g->first; n; n = n->next)
            if (p->node_index[n->id] >= 0 && !p->grouped[n->id] && (round > 0 || !waits(p, n)))
                BNR_TRY(make(p, n));
    return BNR_OK;
}

enum bnr_status bnr__plan_candidates(struct bnr_planner *p) {
    p->candidates = BNR_NEW_ARRAY(&p->temp, p->plan->graph->n_nodes, struct bnr_candidate);
    return p->candidates ? for_ungrouped(p, candidate_new) : bnr__no_memory(p->err);
}

// The groups of candidates are made with their heads.
static enum bnr_status group_of(struct bnr_planner *p, const struct bnr_node *n) {
    const int candidate = p->candidate_of[n->id];
    return group_new(p, candidate >= 0 ? p->candidates[candidate].chain.nodes[0] : n);
}

enum bnr_status bnr__plan_groups(struct bnr_planner *p) {
    const struct bnr_graph *g = p->plan->graph;
    p->groups = BNR_NEW_ARRAY(&p->temp, g->n_nodes, struct bnr_group);
    p->grouped = BNR_NEW_ARRAY(&p->temp, (size_t)g->model->next_node_id, bool);
    if (!p->groups || !p->grouped)
        return bnr__no_memory(p->err);
    BNR_TRY(bnr__plan_layout(p));
    BNR_TRY(for_ungrouped(p, group_of));
    qsort(p->groups, p->n_groups, sizeof *p->groups, by_position);
    BNR_TRY(bnr__plan_pairs(p));
    return bnr__plan_moves(p);
}
