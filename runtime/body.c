// SPDX-License-Identifier: Apache-2.0
// Running the graphs nested in a node (If, Loop, Scan, SequenceMap): each has plans of its own, for
// the types of its inputs and of the values that it captures.
#include <string.h>

#include "runtime/exec.h"

enum { MAX_DEPTH = 64, FEW = 32 };

static const struct bnr_step_body *find_body(const struct bnr_step *st,
                                             const struct bnr_graph *body) {
    for (int i = 0; i < st->n_bodies; i++)
        if (st->bodies[i].plans->graph == body)
            return &st->bodies[i];
    return NULL;
}

// The inputs that are not constant, then the captured values as the run around it holds them.
static enum bnr_status collect_given(const struct bnr_args *a, const struct bnr_step_body *b,
                                     struct bnr_tensor *const *ins, size_t n_in,
                                     struct bnr_tensor **given) {
    const struct bnr_graph *g = b->plans->graph;
    size_t n = 0;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct bnr_value *v = g->inputs[i];
        if (bnr__value_is_constant(v))
            continue;
        given[n] = i < n_in ? ins[i] : v->tensor;
        if (!given[n++])
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "its body's input '%s' is not given",
                                v->name);
    }
    for (size_t i = n; i < b->plans->n_given; i++)
        given[i] = a->run->exec->slots[b->captured[i - n]];
    return BNR_OK;
}

static bool same_dims(const struct bnr_tensor *a, const struct bnr_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

// Result k as a reference that outlives the body's run. What only shows a given tensor (loops hand
// their condition through an Identity) is that tensor.
static enum bnr_status take_output(struct bnr_tensor **out, const struct bnr_exec *x, size_t k,
                                   struct bnr_error *err) {
    const struct bnr_plan_output *o = &x->plan->outputs[k];
    const struct bnr_slot *slot = &x->plan->slots[o->slot];
    struct bnr_tensor *t = x->slots[o->slot];
    if (o->direct) {
        *out = bnr__tensor_ref(x->direct[k]);
        return BNR_OK;
    }
    if (slot->kind == BNR_SLOT_PLACED && slot->base == BNR_BASE_GIVEN &&
        same_dims(t, x->slots[slot->index]))
        t = x->slots[slot->index];
    return bnr__tensor_keep(out, t, err);
}

static enum bnr_status run_in(struct bnr_run *run, struct bnr_tensor *const *given,
                              struct bnr_tensor **outs, struct bnr_error *err) {
    struct bnr_exec *x = run->exec;
    const size_t n = x->plan->graph->n_outputs;
    for (size_t k = 0; k < n; k++)
        if (x->plan->outputs[k].direct)
            BNR_TRY(bnr__exec_spare(&x->direct[k], x, k, err));
    BNR_TRY(bnr__exec_run(run, given, err));
    for (size_t k = 0; k < n; k++)
        BNR_TRY(take_output(&outs[k], x, k, err));
    return BNR_OK;
}

static enum bnr_status run_given(const struct bnr_args *a, const struct bnr_step_body *b,
                                 struct bnr_tensor *const *given, struct bnr_tensor **outs) {
    struct bnr_session *s = a->run->session;
    struct bnr_exec *x;
    BNR_TRY(bnr__exec_acquire(&x, s, b->plans, given, a->err));
    struct bnr_run run = {.session = s,
                          .exec = x,
                          .outer = a->run,
                          .strings = a->strings,
                          .depth = a->run->depth + 1};
    enum bnr_status st = run_in(&run, given, outs, a->err);
    bnr__exec_clear(&run);
    bnr__exec_release(s, x);
    return st;
}

enum bnr_status bnr__run_body(const struct bnr_args *a, struct bnr_graph *body,
                              struct bnr_tensor *const *ins, size_t n_in,
                              struct bnr_tensor **outs) {
    for (size_t k = 0; k < body->n_outputs; k++)
        outs[k] = NULL;
    const struct bnr_step_body *b = a->run ? find_body(a->run->step, body) : NULL;
    if (!b)
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED,
                            "its body can only be run by a session");
    if (a->run->depth >= MAX_DEPTH)
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "bodies are nested more than %d deep",
                            MAX_DEPTH);
    if (n_in > body->n_inputs)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "its body has %zu inputs, %zu are given",
                            body->n_inputs, n_in);
    const struct bnr_allocator *alloc = a->run->session->allocator;
    const size_t bytes = b->plans->n_given * sizeof(struct bnr_tensor *);
    struct bnr_tensor *few[FEW],
        **given = b->plans->n_given <= FEW ? few : bnr__malloc(alloc, bytes);
    if (!given)
        return bnr__no_memory(a->err);
    enum bnr_status st = collect_given(a, b, ins, n_in, given);
    if (st == BNR_OK)
        st = run_given(a, b, given, outs);
    if (given != few)
        bnr__free(alloc, given, bytes);
    for (size_t k = 0; st != BNR_OK && k < body->n_outputs; k++) {
        bnr__tensor_unref(outs[k]);
        outs[k] = NULL;
    }
    return st;
}
