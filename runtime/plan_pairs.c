// SPDX-License-Identifier: Apache-2.0
// Which groups run as one step with the group that makes their input 0, so that what is between
// them takes no memory: the kernels say so (bnr_pair).
#include <string.h>

#include "runtime/plan_build.h"
#include "runtime/session.h"

// The group whose output is v, in front of group `before`; NULL: none.
static struct bnr_group *maker_of(const struct bnr_planner *p, const struct bnr_value *v,
                                  size_t before) {
    for (size_t i = before; i-- > 0;) {
        const struct bnr_chain *c = &p->groups[i].chain;
        if (c->nodes[c->n - 1]->out[0] == v)
            return &p->groups[i];
    }
    return NULL;
}

static bool reads_once(const struct bnr_chain *c, const struct bnr_value *v) {
    int reads = 0;
    for (int i = 0; i < bnr__chain_inputs(c); i++)
        reads += bnr__chain_input(c, i) == v;
    return reads == 1;
}

// Whether `front` makes nothing but input 0 of g, for g alone, both in blocks.
static bool may_pair(const struct bnr_planner *p, const struct bnr_group *front,
                     const struct bnr_group *g) {
    const struct bnr_value *v = g->chain.nodes[0]->in[0];
    const struct bnr_node *last = front->chain.nodes[front->chain.n - 1];
    return front->step.run && front->blocked_out == 1 && bnr__is_blocked(front->blocked_in, 0) &&
           bnr__is_blocked(g->blocked_in, 0) && front->chain.n_before == 0 && !front->chain.front &&
           last->n_out == 1 && bnr__plan_only_reader(p, v) == g->chain.nodes[0] &&
           reads_once(&g->chain, v) && front->n_packed + g->n_packed <= BNR_MAX_ASKED &&
           bnr__chain_inputs(&g->chain) + front->chain.nodes[0]->n_in <= 64;
}

static enum bnr_status merge(struct bnr_planner *p, const struct bnr_group *front,
                             struct bnr_group *g, const struct bnr_pair *pair) {
    struct bnr_chain *chain = BNR_NEW(&p->plan->storage, struct bnr_chain);
    if (!chain)
        return bnr__no_memory(p->err);
    *chain = front->chain;
    g->chain.front = chain;
    g->step.run = pair->run;
    g->step.state = pair->state;
    g->step.kernel = pair->kernel;
    g->scratch_bytes = pair->scratch;
    g->overwrites = -1;
    for (int i = 0; i < front->n_packed; i++)
        g->packed[g->n_packed++] = front->packed[i];
    return BNR_OK;
}

static void remove_group(struct bnr_planner *p, const struct bnr_group *g) {
    const size_t i = (size_t)(g - p->groups);
    memmove(&p->groups[i], &p->groups[i + 1], (--p->n_groups - i) * sizeof *p->groups);
}

static enum bnr_status try_pair(struct bnr_planner *p, struct bnr_group *g) {
    struct bnr_group *front = maker_of(p, g->chain.nodes[0]->in[0], (size_t)(g - p->groups));
    if (!front || g->chain.n_before > 0 || !may_pair(p, front, g))
        return BNR_OK;
    struct bnr_pair pair = {.front_run = front->step.run,
                            .front_state = front->step.state,
                            .own_state = g->step.state,
                            .front_at = bnr__chain_inputs(&g->chain),
                            .threads = p->plan->side_by_side ? 1 : p->request->session->threads,
                            .arena = &p->plan->storage,
                            .err = p->err};
    BNR_TRY(g->pair(&pair));
    if (!pair.run)
        return BNR_OK;
    BNR_TRY(merge(p, front, g, &pair));
    remove_group(p, front);
    return BNR_OK;
}

enum bnr_status bnr__plan_pairs(struct bnr_planner *p) {
    for (size_t i = 0; i < p->n_groups; i++) {
        const size_t before = p->n_groups;
        if (p->groups[i].pair)
            BNR_TRY(try_pair(p, &p->groups[i]));
        i -= before - p->n_groups;
    }
    return BNR_OK;
}
