// SPDX-License-Identifier: Apache-2.0
// The plans of a graph: found by the types of what is given, made where missing, a few kept.
#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/exec.h"
#include "runtime/verdicts.h"

enum bnr_status bnr__plans_init(struct bnr_plans *plans, struct bnr_graph *g,
                                struct bnr_arena *arena, struct bnr_error *err) {
    plans->graph = g;
    BNR_TRY(bnr__graph_captures(g, arena, &plans->captures, &plans->n_captures));
    plans->given = BNR_NEW_ARRAY(arena, g->n_inputs + plans->n_captures, const struct bnr_value *);
    if (!plans->given)
        return bnr__no_memory(err);
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!bnr__value_is_constant(g->inputs[i]))
            plans->given[plans->n_given++] = g->inputs[i];
    plans->n_inputs = plans->n_given;
    for (size_t i = 0; i < plans->n_captures; i++)
        if (!bnr__value_is_constant(plans->captures[i]))
            plans->given[plans->n_given++] = plans->captures[i];
    return BNR_OK;
}

static void free_with_contexts(struct bnr_plan *plan) {
    while (plan->idle) {
        struct bnr_exec *next = plan->idle->next;
        bnr__exec_free(plan->idle);
        plan->idle = next;
    }
    bnr__plan_free(plan);
}

void bnr__plans_free(struct bnr_plans *plans) {
    while (plans->first) {
        struct bnr_plan *next = plans->first->next;
        free_with_contexts(plans->first);
        plans->first = next;
    }
}

// Under the lock: the plan that fits, moved to the front and marked as used.
static struct bnr_plan *find(struct bnr_plans *plans, struct bnr_tensor *const *given) {
    for (struct bnr_plan **link = &plans->first; *link; link = &(*link)->next) {
        struct bnr_plan *plan = *link;
        if (!bnr__plan_fits(plan, given))
            continue;
        *link = plan->next;
        plan->next = plans->first;
        plans->first = plan;
        plan->users++;
        return plan;
    }
    return NULL;
}

// Under the lock: takes the least recently used plan that no run uses off the list, when there are
// more than should be kept.
static struct bnr_plan *take_oldest(struct bnr_plans *plans) {
    struct bnr_plan **oldest = NULL;
    if (plans->count <= BNR_MAX_PLANS)
        return NULL;
    for (struct bnr_plan **link = &plans->first; *link; link = &(*link)->next)
        if ((*link)->users == 0)
            oldest = link;
    if (!oldest)
        return NULL;
    struct bnr_plan *plan = *oldest;
    *oldest = plan->next;
    plans->count--;
    return plan;
}

static void count(struct bnr_session *s, const struct bnr_plan *plan) {
    s->stats.plans++;
    s->stats.packed_bytes = s->packs.bytes;
    bnr__verdicts_of_plan(plan);
    if (plan->graph != s->model->graph)
        return;
    s->stats.steps = (size_t)plan->n_steps;
    s->stats.arena_bytes = plan->arena_bytes;
    s->stats.arena_lower_bound = plan->arena_lower_bound;
}

static enum bnr_status make(struct bnr_plan **out, struct bnr_session *s, struct bnr_plans *plans,
                            struct bnr_tensor *const *given, struct bnr_error *err) {
    const struct bnr_plan_request request = {
        .session = s, .plans = plans, .given = given, .last = s->fixed && plans == &s->plans[0]};
    bnr__pool_begin(s->pool);
    const enum bnr_status st = bnr__plan_new(out, &request, err);
    bnr__pool_end(s->pool);
    bnr__session_planned(s);
    BNR_TRY(st);
    if (!bnr__session_trusts(s)) {
        bnr__plan_free(*out);
        *out = NULL;
        return BNR_OK;
    }
    pthread_mutex_lock(&s->lock);
    (*out)->users = 1;
    (*out)->next = plans->first;
    plans->first = *out;
    plans->count++;
    count(s, *out);
    struct bnr_plan *oldest =
        s->profile ? NULL : take_oldest(plans); // the profile names plans' steps
    pthread_mutex_unlock(&s->lock);
    if (oldest)
        free_with_contexts(oldest);
    return BNR_OK;
}

static struct bnr_plan *find_locked(struct bnr_session *s, struct bnr_plans *plans,
                                    struct bnr_tensor *const *given) {
    pthread_mutex_lock(&s->lock);
    struct bnr_plan *plan = find(plans, given);
    pthread_mutex_unlock(&s->lock);
    return plan;
}

enum bnr_status bnr__plans_use(struct bnr_plan **out, struct bnr_session *s,
                               struct bnr_plans *plans, struct bnr_tensor *const *given,
                               struct bnr_error *err) {
    *out = find_locked(s, plans, given);
    if (*out)
        return BNR_OK;
    pthread_mutex_lock(&s->planning);
    enum bnr_status st = BNR_OK;
    *out = find_locked(s, plans, given); // made by another thread meanwhile
    if (!*out && !s->distrusted)
        st = make(out, s, plans, given, err);
    pthread_mutex_unlock(&s->planning);
    return st;
}

void bnr__plans_leave(struct bnr_session *s, struct bnr_plan *plan) {
    pthread_mutex_lock(&s->lock);
    plan->users--;
    pthread_mutex_unlock(&s->lock);
}
