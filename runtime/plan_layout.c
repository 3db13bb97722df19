// SPDX-License-Identifier: Apache-2.0
// Which values of a plan are blocked. Operators say what they can do (bnr__plan_candidates); from
// their answers regions of nodes are chosen that run on blocked tensors, so that what is won inside
// is more than what reordering costs at the edges. Costs and gains are bytes moved.
//
// All candidates start in. A region, candidates connected by blocked values, goes out when it gains
// less than its edges cost (one without convolutions gains nothing). Then single nodes change sides
// as long as that lowers the sum.
#include "runtime/ops/lib/blocked.h"
#include "runtime/plan_build.h"
#include "runtime/session.h"

enum { MAX_ROUNDS = 8 };

// Who wants a value in which form.
struct demand {
    int readers[2];    // [blocked]; graph outputs and nested graphs read plain
    bool made_blocked; // else it is made plain
    double reorder;    // what a reorder costs
};

struct layout {
    struct bnr_planner *p;
    struct demand *demand; // [value id]
    int *region;           // [candidate]: a candidate of the same region, itself for one of them
    int *maker;            // [value id]: the candidate that makes it, -1: none
};

static const struct bnr_value *output(const struct bnr_candidate *c, int i) {
    const struct bnr_node *last = c->chain.nodes[c->chain.n - 1];
    return i < last->n_out ? last->out[i] : NULL;
}

// ---- costs --------------------------------------------------------------------------------------

static void set_reorder_cost(struct layout *l, const struct bnr_value *v) {
    struct bnr_nchwc s;
    size_t bytes;
    const struct bnr_type *type = &bnr__planner_info(l->p, v)->type;
    if (!bnr__blocked_shape(type, l->p->lanes, &s) || !bnr__type_bytes(type, &bytes))
        return;
    if (!bnr__blocked_as_plain(&s) || !v->producer)
        l->demand[v->id].reorder = 2 * (double)bytes; // read and written
}

static double value_cost(const struct layout *l, const struct bnr_value *v) {
    const struct demand *d = &l->demand[v->id];
    return d->readers[!d->made_blocked] > 0 ? d->reorder : 0;
}

// Counts (sign 1) or uncounts (-1) what a candidate wants and makes, as it runs now.
static void count(struct layout *l, const struct bnr_candidate *c, int sign) {
    for (int i = 0; i < bnr__chain_inputs(&c->chain); i++) {
        const struct bnr_value *v = bnr__chain_input(&c->chain, i);
        if (v)
            l->demand[v->id].readers[c->taken && bnr__is_blocked(c->blocked_in, i)] += sign;
    }
    for (int i = 0; i < c->chain.nodes[c->chain.n - 1]->n_out; i++)
        if (output(c, i))
            l->demand[output(c, i)->id].made_blocked =
                c->taken && bnr__is_blocked(c->blocked_out, i);
}

// Reorders of what a candidate makes, and the lanes without channel that it computes, less what it
// gains.
static double cost_behind(const struct layout *l, const struct bnr_candidate *c) {
    double cost = c->taken ? -c->saves : 0;
    for (int i = 0; i < c->chain.nodes[c->chain.n - 1]->n_out; i++) {
        struct bnr_nchwc s;
        const struct bnr_value *v = output(c, i);
        if (!v)
            continue;
        cost += value_cost(l, v);
        if (c->taken && bnr__is_blocked(c->blocked_out, i) &&
            bnr__blocked_shape(&bnr__planner_info(l->p, v)->type, l->p->lanes, &s))
            cost += (double)((s.blocks * s.lanes - s.channels) * s.pixels * s.batch) * 4;
    }
    return cost;
}

// Reorders of what it reads; all, or of what is made plain.
static double cost_in_front(const struct layout *l, const struct bnr_candidate *c, bool all) {
    double cost = 0;
    for (int i = 0; i < bnr__chain_inputs(&c->chain); i++) {
        const struct bnr_value *v = bnr__chain_input(&c->chain, i);
        if (v && (all || !l->demand[v->id].made_blocked))
            cost += value_cost(l, v);
    }
    return cost;
}

static double cost_around(const struct layout *l, const struct bnr_candidate *c) {
    return cost_in_front(l, c, true) + cost_behind(l, c);
}

static void change_side(struct layout *l, struct bnr_candidate *c) {
    count(l, c, -1);
    c->taken = !c->taken;
    count(l, c, 1);
}

// ---- regions ------------------------------------------------------------------------------------

static int root(const struct layout *l, int i) {
    while (l->region[i] != i)
        i = l->region[i];
    return i;
}

static void find_regions(struct layout *l) {
    struct bnr_planner *p = l->p;
    for (size_t i = 0; i < p->n_candidates; i++)
        l->region[i] = (int)i;
    for (size_t i = 0; i < p->n_candidates; i++) {
        const struct bnr_candidate *c = &p->candidates[i];
        for (int k = 0; c->taken && k < bnr__chain_inputs(&c->chain); k++) {
            const struct bnr_value *v = bnr__chain_input(&c->chain, k);
            if (!v || !bnr__is_blocked(c->blocked_in, k) || !l->demand[v->id].made_blocked)
                continue;
            const int a = root(l, (int)i), b = root(l, l->maker[v->id]);
            l->region[a > b ? a : b] = a > b ? b : a;
        }
    }
}

// Takes regions out that do not pay.
static enum bnr_status drop_regions(struct layout *l) {
    struct bnr_planner *p = l->p;
    double *cost = BNR_NEW_ARRAY(&p->temp, p->n_candidates, double);
    if (!cost)
        return bnr__no_memory(p->err);
    find_regions(l);
    for (size_t i = 0; i < p->n_candidates; i++)
        if (p->candidates[i].taken)
            cost[root(l, (int)i)] +=
                cost_in_front(l, &p->candidates[i], false) + cost_behind(l, &p->candidates[i]);
    for (size_t i = 0; i < p->n_candidates; i++)
        if (p->candidates[i].taken && cost[root(l, (int)i)] >= 0)
            change_side(l, &p->candidates[i]);
    return BNR_OK;
}

static void improve(struct layout *l) {
    struct bnr_planner *p = l->p;
    bool changed = true;
    for (int round = 0; changed && round < MAX_ROUNDS; round++) {
        changed = false;
        for (size_t i = 0; i < p->n_candidates; i++) {
            struct bnr_candidate *c = &p->candidates[i];
            const double before = cost_around(l, c);
            change_side(l, c);
            if (cost_around(l, c) < before)
                changed = true;
            else
                change_side(l, c);
        }
    }
}

// ---- all of it ----------------------------------------------------------------------------------

static void count_plain(struct layout *l, const struct bnr_node *n) {
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i])
            l->demand[n->in[i]->id].readers[0]++;
    for (size_t i = 0; i < n->n_attrs; i++) {
        if (n->attrs[i].type != BNR_ATTR_GRAPH && n->attrs[i].type != BNR_ATTR_GRAPHS)
            continue;
        for (size_t k = 0; k < n->attrs[i].n; k++) {
            const struct bnr_plans *body =
                bnr__session_plans(l->p->request->session, n->attrs[i].graphs[k]);
            for (size_t c = 0; c < body->n_captures; c++)
                l->demand[body->captures[c]->id].readers[0]++;
        }
    }
}

static void count_all(struct layout *l) {
    struct bnr_planner *p = l->p;
    const struct bnr_graph *g = p->plan->graph;
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i])
                set_reorder_cost(l, n->out[i]);
        if (p->node_index[n->id] >= 0 && p->candidate_of[n->id] < 0)
            count_plain(l, n);
    }
    for (size_t i = 0; i < p->n_candidates; i++) {
        struct bnr_candidate *c = &p->candidates[i];
        for (int k = 0; k < bnr__chain_inputs(&c->chain); k++) {
            const struct bnr_value *v = bnr__chain_input(&c->chain, k);
            if (v && !v->producer)
                set_reorder_cost(l, v);
        }
        for (int k = 0; k < c->chain.nodes[c->chain.n - 1]->n_out; k++)
            if (output(c, k))
                l->maker[output(c, k)->id] = (int)i;
        c->taken = true;
        count(l, c, 1);
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        l->demand[g->outputs[i]->id].readers[0]++;
}

// Sets candidate_of: all candidates, or those that are taken.
static void set_candidates(struct bnr_planner *p, bool all) {
    const struct bnr_model *m = p->plan->graph->model;
    for (int i = 0; i < m->next_node_id; i++)
        p->candidate_of[i] = -1;
    for (size_t i = 0; i < p->n_candidates; i++) {
        const struct bnr_chain *c = &p->candidates[i].chain;
        if (!all && !p->candidates[i].taken)
            continue;
        for (int k = 0; k < c->n; k++)
            p->candidate_of[c->nodes[k]->id] = (int)i;
        for (int k = 0; k < c->n_before; k++)
            p->candidate_of[c->before[k]->id] = (int)i;
    }
}

enum bnr_status bnr__plan_layout(struct bnr_planner *p) {
    const struct bnr_model *m = p->plan->graph->model;
    const size_t n_values = (size_t)m->next_value_id;
    struct layout l = {.p = p};
    p->candidate_of = BNR_NEW_ARRAY(&p->temp, (size_t)m->next_node_id, int);
    if (!p->candidate_of)
        return bnr__no_memory(p->err);
    set_candidates(p, false);
    p->lanes = bnr__nchwc_f32_select(p->request->session->cpu)->lanes;
    if (!p->plain)
        BNR_TRY(bnr__plan_candidates(p));
    set_candidates(p, true);
    if (p->n_candidates == 0)
        return BNR_OK;
    l.demand = BNR_NEW_ARRAY(&p->temp, n_values, struct demand);
    l.region = BNR_NEW_ARRAY(&p->temp, p->n_candidates, int);
    l.maker = BNR_NEW_ARRAY(&p->temp, n_values, int);
    if (!l.demand || !l.region || !l.maker)
        return bnr__no_memory(p->err);
    count_all(&l);
    BNR_TRY(drop_regions(&l));
    improve(&l);
    BNR_TRY(drop_regions(&l));
    set_candidates(p, false);
    return BNR_OK;
}
