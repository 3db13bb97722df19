// SPDX-License-Identifier: Apache-2.0
// Which nodes of a plan run together: operators are asked for kernels, which may take the members
// that the optimizer fused into a node. What a kernel leaves gets a step of its own.
#include <stdlib.h>
#include <string.h>

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

// The member behind n in the chain that `head` leads, or NULL.
static const struct bnr_node *next_member(const struct bnr_planner *p, const struct bnr_node *n,
                                          const struct bnr_node *head) {
    if (n->n_out < 1 || !n->out[0] || !bnr__value_single_use(n->out[0]))
        return NULL;
    const struct bnr_node *next = n->out[0]->uses[0].node;
    bool joins = next->fused_into == head && next->graph == n->graph &&
                 p->node_index[next->id] >= 0 && !p->grouped[next->id] && can_prepare(p, next);
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
            !can_prepare(p, front))
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

static const struct bnr_info **infos_of(struct bnr_planner *p, struct bnr_value *const *values,
                                        int n) {
    const struct bnr_info **infos = BNR_NEW_ARRAY(&p->temp, (size_t)n, const struct bnr_info *);
    for (int i = 0; infos && i < n; i++)
        infos[i] = values[i] ? bnr__planner_info(p, values[i]) : NULL;
    return infos;
}

// Puts a tensor without elements in the place of v's. Its owner is the value's id, by which a session
// finds the elements again.
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
static bool is_shared(const struct bnr_group *g, const struct bnr_tensor *t) {
    int uses = 0;
    for (int i = 0; i < g->n; i++)
        uses += uses_in(g->nodes[i], t);
    for (int i = 0; i < g->n_before; i++)
        uses += uses_in(g->before[i], t);
    return uses > 1;
}

static void note_packed(const struct bnr_planner *p, struct bnr_group *g,
                        const struct bnr_node *n) {
    for (int k = 0; k < n->n_in && g->n_packed < BNR_MAX_ASKED; k++) {
        struct bnr_value *v = n->in[k];
        if (v && bnr__value_is_constant(v) &&
            was_packed(&p->request->session->packs, v->tensor) && !is_shared(g, v->tensor))
            g->packed[g->n_packed++] = v;
    }
}

static bool may_release(const struct bnr_planner *p, const struct bnr_value *v) {
    if (v->graph != p->plan->graph || v->n_graph_outputs > 0 || bnr__tensor_is_hollow(v->tensor))
        return false;
    if (p->request->last)
        return v->tensor->nbytes >= WORTH_RELEASING;
    return p->request->session->origin && v->tensor->nbytes >= WORTH_RESTORING;
}

// Weights are not held twice: once kernels have packed a constant for all nodes that read it, the
// original is given back. A later plan that wants it in another way has it made again.
static enum bnr_status release_packed(struct bnr_planner *p, struct bnr_group *g) {
    for (int i = 0; i < g->n; i++)
        note_packed(p, g, g->nodes[i]);
    for (int i = 0; i < g->n_before; i++)
        note_packed(p, g, g->before[i]);
    for (int i = 0; i < g->n_packed; i++)
        if (++p->packed_uses[g->packed[i]->id] == g->packed[i]->n_uses &&
            may_release(p, g->packed[i]))
            BNR_TRY(hollow(p, g->packed[i]));
    return BNR_OK;
}

// Asks the operator for a kernel. Keeps in g->nodes and g->before the nodes that it takes.
static enum bnr_status prepare(struct bnr_planner *p, struct bnr_group *g) {
    const struct bnr_node *n = g->nodes[0];
    struct bnr_session *s = p->request->session;
    struct bnr_prepare cx = {.node = n,
                             .fused = g->nodes + 1,
                             .n_fused = g->n - 1,
                             .before = g->before,
                             .n_before = g->n_before,
                             .in = infos_of(p, n->in, n->n_in),
                             .out = infos_of(p, n->out, n->n_out),
                             .info = info_in_table,
                             .table = p->table.infos,
                             .cpu = s->cpu,
                             .threads = s->threads,
                             .arena = &p->plan->storage,
                             .packs = &s->packs,
                             .overwrites = g->overwrites,
                             .err = p->err};
    if (!cx.in || !cx.out)
        return bnr__no_memory(p->err);
    s->packs.n_asked = 0;
    BNR_TRY(n->op->prepare(&cx));
    g->n = 1;
    g->before += g->n_before - cx.before_taken;
    g->n_before = cx.run ? cx.before_taken : 0;
    if (!cx.run)
        return BNR_OK;
    g->n += cx.fused_taken;
    g->step.run = cx.run;
    g->step.state = cx.state;
    g->step.kernel = cx.kernel;
    g->scratch_bytes = cx.scratch;
    g->overwrites = cx.overwrites;
    return release_packed(p, g);
}

static const struct bnr_node **keep_nodes(struct bnr_planner *p, const struct bnr_node **nodes,
                                          int n) {
    const struct bnr_node **kept =
        BNR_NEW_ARRAY(&p->plan->storage, (size_t)n, const struct bnr_node *);
    if (kept)
        memcpy(kept, nodes, (size_t)n * sizeof nodes[0]);
    return kept;
}

static enum bnr_status group_new(struct bnr_planner *p, const struct bnr_node *first) {
    const struct bnr_node *chain[MAX_CHAIN] = {first}, *before[MAX_CHAIN];
    struct bnr_group *g = &p->groups[p->n_groups++];
    const bool fast = !p->plain && first->op->prepare && can_prepare(p, first);
    g->n = fast ? collect_chain(p, first, chain) : 1;
    g->n_before = fast && !first->fused_into ? collect_before(p, first, before) : 0;
    g->overwrites = !p->plain && (first->op->flags & BNR_OP_INPLACE) ? 0 : -1;
    g->nodes = keep_nodes(p, chain, g->n);
    g->before = keep_nodes(p, before, g->n_before);
    if (!g->nodes || !g->before)
        return bnr__no_memory(p->err);
    BNR_TRY(fast ? prepare(p, g) : BNR_OK);
    for (int i = 0; i < g->n; i++)
        p->grouped[g->nodes[i]->id] = true;
    for (int i = 0; i < g->n_before; i++)
        p->grouped[g->before[i]->id] = true;
    g->position = p->node_index[g->nodes[g->n - 1]->id];
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

enum bnr_status bnr__plan_groups(struct bnr_planner *p) {
    const struct bnr_graph *g = p->plan->graph;
    p->groups = BNR_NEW_ARRAY(&p->temp, g->n_nodes, struct bnr_group);
    p->grouped = BNR_NEW_ARRAY(&p->temp, (size_t)g->model->next_node_id, bool);
    if (!p->groups || !p->grouped)
        return bnr__no_memory(p->err);
    for (int round = 0; round < 2; round++) // the second for members that waited in vain
        for (const struct bnr_node *n = g->first; n; n = n->next)
            if (p->node_index[n->id] >= 0 && !p->grouped[n->id] && (round > 0 || !waits(p, n)))
                BNR_TRY(group_new(p, n));
    qsort(p->groups, p->n_groups, sizeof *p->groups, by_position);
    return BNR_OK;
}
