// SPDX-License-Identifier: Apache-2.0
// Which nodes of a plan run together: operators are asked for kernels, which may take the members
// that the optimizer fused into a node. What a kernel leaves gets a step of its own.
#include <stdlib.h>
#include <string.h>

#include "runtime/plan_build.h"
#include "runtime/session.h"

enum {
    MAX_CHAIN = 16,         // nodes offered to one kernel
    WORTH_RELEASING = 4096, // bytes of a constant
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
                 p->node_index[next->id] >= 0 && can_prepare(p, next);
    return joins ? next : NULL;
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

// A tensor that has its dims, but no elements any more.
static enum bnr_status hollow(struct bnr_planner *p, struct bnr_value *v) {
    struct bnr_tensor *t = v->tensor, *empty;
    BNR_TRY(bnr__tensor_wrap(&empty, t->allocator, t->dtype, t->rank, t->dims, NULL, NULL, NULL,
                             p->err));
    bnr__packs_forget(&p->request->session->packs, t);
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

// Weights are not held twice: once kernels have packed a constant for all nodes that read it, the
// original is given back, where no later plan could want to pack it in another way.
static enum bnr_status release_packed(struct bnr_planner *p, const struct bnr_group *g) {
    for (int i = 0; i < g->n; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++) {
            struct bnr_value *v = g->nodes[i]->in[k];
            if (!v || !bnr__value_is_constant(v) || v->graph != p->plan->graph ||
                !was_packed(&p->request->session->packs, v->tensor))
                continue;
            if (++p->packed_uses[v->id] == v->n_uses && v->n_graph_outputs == 0 &&
                v->tensor->nbytes >= WORTH_RELEASING)
                BNR_TRY(hollow(p, v));
        }
    return BNR_OK;
}

// Asks the operator for a kernel. Keeps in g->nodes the nodes that it takes.
static enum bnr_status prepare(struct bnr_planner *p, struct bnr_group *g) {
    const struct bnr_node *n = g->nodes[0];
    struct bnr_session *s = p->request->session;
    struct bnr_prepare cx = {.node = n,
                             .fused = g->nodes + 1,
                             .n_fused = g->n - 1,
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
    if (!cx.run)
        return BNR_OK;
    g->n += cx.fused_taken;
    g->step.run = cx.run;
    g->step.state = cx.state;
    g->step.kernel = cx.kernel;
    g->scratch_bytes = cx.scratch;
    g->overwrites = cx.overwrites;
    return p->request->last ? release_packed(p, g) : BNR_OK;
}

static enum bnr_status group_new(struct bnr_planner *p, const struct bnr_node *first) {
    const struct bnr_node *chain[MAX_CHAIN] = {first};
    struct bnr_group *g = &p->groups[p->n_groups++];
    const bool fast = !p->plain && first->op->prepare && can_prepare(p, first);
    g->n = fast ? collect_chain(p, first, chain) : 1;
    g->overwrites = !p->plain && (first->op->flags & BNR_OP_INPLACE) ? 0 : -1;
    const struct bnr_node **nodes =
        BNR_NEW_ARRAY(&p->plan->storage, (size_t)g->n, const struct bnr_node *);
    if (!nodes)
        return bnr__no_memory(p->err);
    memcpy(nodes, chain, (size_t)g->n * sizeof nodes[0]);
    g->nodes = nodes;
    return fast ? prepare(p, g) : BNR_OK;
}

// A step runs where its last node stood: only there all inputs of its members have been made.
static int by_position(const void *pa, const void *pb) {
    const struct bnr_group *a = pa, *b = pb;
    return a->position < b->position ? -1 : a->position > b->position;
}

enum bnr_status bnr__plan_groups(struct bnr_planner *p) {
    const struct bnr_graph *g = p->plan->graph;
    p->groups = BNR_NEW_ARRAY(&p->temp, g->n_nodes, struct bnr_group);
    bool *taken = BNR_NEW_ARRAY(&p->temp, (size_t)g->model->next_node_id, bool);
    if (!p->groups || !taken)
        return bnr__no_memory(p->err);
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        if (p->node_index[n->id] < 0 || taken[n->id])
            continue;
        BNR_TRY(group_new(p, n));
        struct bnr_group *made = &p->groups[p->n_groups - 1];
        for (int i = 0; i < made->n; i++)
            taken[made->nodes[i]->id] = true;
        made->position = p->node_index[made->nodes[made->n - 1]->id];
    }
    qsort(p->groups, p->n_groups, sizeof *p->groups, by_position);
    return BNR_OK;
}
