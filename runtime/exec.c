// SPDX-License-Identifier: Apache-2.0
// Walking the steps of a plan.
#include "runtime/exec.h"

#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/profile.h"

// ---- contexts -----------------------------------------------------------------------------------

static void init_header(struct bnr_tensor *t, const struct bnr_slot *slot,
                        const struct bnr_allocator *a) {
    int64_t dims[BNR_MAX_RANK];
    atomic_init(&t->refs, BNR_REFS_EMBEDDED);
    t->allocator = a;
    if (slot)
        bnr__tensor_set(t, slot->type.dtype, bnr__slot_dims(slot, dims), dims, NULL);
}

// Points the arguments of a step at what its slots hold now.
static void gather(struct bnr_exec *x, int step) {
    const struct bnr_step *st = &x->plan->steps[step];
    const struct bnr_tensor **in = x->in[step];
    struct bnr_tensor **out = x->args[step].out;
    for (int i = 0; i < st->n_in; i++)
        in[i] = st->in[i] >= 0 ? x->slots[st->in[i]] : NULL;
    for (int i = 0; i < st->n_out; i++)
        out[i] = st->out[i] >= 0 ? x->slots[st->out[i]] : NULL;
}

static bool init_args(struct bnr_exec *x, const struct bnr_session *s) {
    const struct bnr_plan *plan = x->plan;
    for (int i = 0; i < plan->n_steps; i++) {
        const struct bnr_step *st = &plan->steps[i];
        x->in[i] = BNR_NEW_ARRAY(&x->storage, (size_t)st->n_in, const struct bnr_tensor *);
        struct bnr_tensor **out =
            BNR_NEW_ARRAY(&x->storage, (size_t)st->n_out, struct bnr_tensor *);
        if (!x->in[i] || !out)
            return false;
        x->args[i] = (struct bnr_args){.node = st->node,
                                       .in = x->in[i],
                                       .n_in = st->n_in,
                                       .out = out,
                                       .n_out = st->n_out,
                                       .pool = s->pool,
                                       .temp = &x->temp};
        gather(x, i);
    }
    return true;
}

static bool init_exec(struct bnr_exec *x, const struct bnr_session *s) {
    const struct bnr_plan *plan = x->plan;
    const size_t n_slots = (size_t)plan->n_slots, n_outputs = plan->graph->n_outputs;
    int most_out = 0;
    for (int i = 0; i < plan->n_steps; i++)
        most_out = plan->steps[i].n_out > most_out ? plan->steps[i].n_out : most_out;
    x->headers = BNR_NEW_ARRAY(&x->storage, n_slots, struct bnr_tensor);
    x->slots = BNR_NEW_ARRAY(&x->storage, n_slots, struct bnr_tensor *);
    x->blanks = BNR_NEW_ARRAY(&x->storage, (size_t)most_out, struct bnr_tensor);
    x->args = BNR_NEW_ARRAY(&x->storage, (size_t)plan->n_steps, struct bnr_args);
    x->in = BNR_NEW_ARRAY(&x->storage, (size_t)plan->n_steps, const struct bnr_tensor **);
    x->direct = BNR_NEW_ARRAY(&x->storage, n_outputs, struct bnr_tensor *);
    x->spare = bnr__arena_array(&x->storage, n_outputs, sizeof *x->spare);
    if (!x->headers || !x->slots || !x->blanks || !x->args || !x->in || !x->direct || !x->spare)
        return false;
    for (size_t i = 0; i < n_slots; i++) {
        const struct bnr_slot *slot = &plan->slots[i];
        if (slot->kind == BNR_SLOT_CONST) {
            x->slots[i] = slot->tensor;
        } else if (slot->kind == BNR_SLOT_PLACED) {
            init_header(&x->headers[i], slot, s->allocator);
            x->slots[i] = &x->headers[i];
        }
    }
    for (int i = 0; i < most_out; i++)
        init_header(&x->blanks[i], NULL, s->allocator);
    return init_args(x, s);
}

static enum bnr_status exec_new(struct bnr_exec **out, const struct bnr_session *s,
                                struct bnr_plan *plan, struct bnr_error *err) {
    struct bnr_exec *x = bnr__calloc(s->allocator, 1, sizeof *x);
    if (!x)
        return bnr__no_memory(err);
    x->plan = plan;
    bnr__arena_init(&x->storage, s->allocator);
    bnr__arena_init(&x->temp, s->allocator);
    bnr__arena_init(&x->strings, s->allocator);
    if (!init_exec(x, s)) {
        bnr__exec_free(x);
        return bnr__no_memory(err);
    }
    *out = x;
    return BNR_OK;
}

void bnr__exec_free(struct bnr_exec *x) {
    const struct bnr_allocator *a = x->storage.allocator;
    for (size_t k = 0; x->spare && k < x->plan->graph->n_outputs; k++)
        for (int i = 0; i < 2; i++)
            bnr__tensor_unref(x->spare[k][i]);
    bnr__arena_free(&x->temp);
    bnr__arena_free(&x->strings);
    bnr__arena_free(&x->storage);
    bnr__free(a, x, sizeof *x);
}

enum bnr_status bnr__exec_acquire(struct bnr_exec **out, struct bnr_session *s,
                                  struct bnr_plans *plans, struct bnr_tensor *const *given,
                                  struct bnr_error *err) {
    struct bnr_plan *plan;
    BNR_TRY(bnr__plans_use(&plan, s, plans, given, err));
    pthread_mutex_lock(&s->lock);
    struct bnr_exec *x = plan->idle;
    if (x)
        plan->idle = x->next;
    pthread_mutex_unlock(&s->lock);
    *out = x;
    if (x)
        return BNR_OK;
    enum bnr_status st = exec_new(out, s, plan, err);
    if (st != BNR_OK)
        bnr__plans_leave(s, plan);
    return st;
}

void bnr__exec_release(struct bnr_session *s, struct bnr_exec *x) {
    pthread_mutex_lock(&s->lock);
    x->next = x->plan->idle;
    x->plan->idle = x;
    pthread_mutex_unlock(&s->lock);
    bnr__plans_leave(s, x->plan);
}

enum bnr_status bnr__exec_spare(struct bnr_tensor **out, struct bnr_exec *x, size_t k,
                                struct bnr_error *err) {
    struct bnr_tensor **spare = x->spare[k], **place = &spare[0];
    for (int i = 0; i < 2; i++) {
        if (spare[i] && atomic_load_explicit(&spare[i]->refs, memory_order_acquire) == 1) {
            *out = spare[i];
            return BNR_OK;
        }
        if (!spare[i])
            place = &spare[i];
    }
    const struct bnr_type *type = &x->plan->slots[x->plan->outputs[k].slot].type;
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(&type->shape, dims);
    BNR_TRY(bnr__tensor_new(out, x->storage.allocator, type->dtype, type->shape.rank, dims, err));
    bnr__tensor_unref(*place);
    *place = *out;
    return BNR_OK;
}

// ---- a step -------------------------------------------------------------------------------------

// An output whose tensor is made for this run: with its memory where the shape is known by now.
static enum bnr_status make_output(const struct bnr_exec *x, const struct bnr_step *st,
                                   const struct bnr_type *type, int i, struct bnr_args *a) {
    a->out[i] = &x->blanks[i];
    if (!bnr__type_known(type) || st->n_bodies > 0)
        return BNR_OK;
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(&type->shape, dims);
    enum bnr_status status = bnr__tensor_new(&a->out[i], x->storage.allocator, type->dtype,
                                             type->shape.rank, dims, a->err);
    if (status != BNR_OK)
        a->out[i] = &x->blanks[i];
    return status;
}

static enum bnr_status make_outputs(const struct bnr_exec *x, const struct bnr_step *st,
                                    const struct bnr_type *late, struct bnr_args *a) {
    enum bnr_status status = BNR_OK;
    for (int i = 0; i < st->n_out; i++) {
        if (st->out[i] < 0 || x->plan->slots[st->out[i]].kind != BNR_SLOT_DYNAMIC)
            continue;
        const struct bnr_type *type = late ? &late[i] : &x->plan->slots[st->out[i]].type;
        if (status == BNR_OK)
            status = make_output(x, st, type, i, a);
        else
            a->out[i] = &x->blanks[i];
    }
    return status;
}

// Takes what reference code made for output i into its slot. Into memory that the plan chose, it is
// copied (reference code may share a tensor instead of filling the one it got).
static enum bnr_status settle_output(const struct bnr_exec *x, const struct bnr_step *st, int i,
                                     const struct bnr_args *a) {
    const struct bnr_slot *slot = &x->plan->slots[st->out[i]];
    struct bnr_tensor *t = a->out[i], *header = &x->headers[st->out[i]];
    if (slot->kind == BNR_SLOT_DYNAMIC) {
        if (t == &x->blanks[i] || (t->kind == BNR_KIND_TENSOR && !t->data))
            return bnr__op_fail(st->node, a->err, BNR_INTERNAL, "output %d was not made", i);
        x->slots[st->out[i]] = bnr__tensor_ref(t);
        return bnr__exec_check(slot, t, st->node, a->err);
    }
    if (t == header)
        return BNR_OK;
    BNR_TRY(bnr__exec_check(slot, t, st->node, a->err));
    if (header->nbytes)
        memmove(header->data, t->data, header->nbytes);
    return BNR_OK;
}

// Gives back what a->out holds beyond headers, and makes it ready for the next run.
static void release_outputs(const struct bnr_exec *x, const struct bnr_step *st,
                            struct bnr_args *a) {
    for (int i = 0; i < st->n_out; i++) {
        if (st->out[i] < 0)
            continue;
        struct bnr_tensor *header = &x->headers[st->out[i]];
        if (a->out[i] != header && a->out[i] != &x->blanks[i])
            bnr__tensor_unref(a->out[i]);
        if (x->plan->slots[st->out[i]].kind == BNR_SLOT_PLACED)
            a->out[i] = header;
        // Where reference code replaced an embedded header it dropped a count.
        atomic_store_explicit(&header->refs, BNR_REFS_EMBEDDED, memory_order_relaxed);
        atomic_store_explicit(&x->blanks[i].refs, BNR_REFS_EMBEDDED, memory_order_relaxed);
    }
}

static enum bnr_status run_reference(const struct bnr_exec *x, const struct bnr_step *st,
                                     struct bnr_args *a) {
    struct bnr_type *late = NULL;
    enum bnr_status status = BNR_OK;
    if (st->late) {
        late = BNR_NEW_ARRAY(a->temp, (size_t)st->n_out, struct bnr_type);
        status = late ? bnr__exec_infer(x, st, a, late) : bnr__no_memory(a->err);
    }
    if (status == BNR_OK) {
        status = make_outputs(x, st, late, a);
        if (status == BNR_OK)
            status = st->node->op->ref(a);
        for (int i = 0; i < st->n_out && status == BNR_OK; i++)
            if (st->out[i] >= 0)
                status = settle_output(x, st, i, a);
        release_outputs(x, st, a);
    }
    if (a->temp->used)
        bnr__arena_reset(a->temp);
    return status;
}

static void drop_slots(struct bnr_exec *x, const struct bnr_step *st) {
    for (int i = 0; i < st->n_drop; i++) {
        bnr__tensor_unref(x->slots[st->drop[i]]);
        x->slots[st->drop[i]] = NULL;
    }
}

static enum bnr_status run_step(struct bnr_run *run, int index, struct bnr_error *err) {
    struct bnr_exec *x = run->exec;
    const struct bnr_step *st = &x->plan->steps[index];
    struct bnr_args *a = &x->args[index];
    run->step = st;
    a->scratch = (char *)x->memory->data + st->scratch;
    a->run = run;
    a->strings = run->strings;
    a->err = err;
    if (st->moving)
        gather(x, index);
    enum bnr_status status = BNR_OK;
    if (st->run)
        st->run(a, st->state);
    else
        status = bnr__op_status(st->node, err, run_reference(x, st, a));
    drop_slots(x, st);
    return status;
}

// ---- a run --------------------------------------------------------------------------------------

static void *base_of(const struct bnr_exec *x, const struct bnr_slot *slot,
                     struct bnr_tensor *const *given) {
    switch (slot->base) {
    case BNR_BASE_ARENA:
        return x->memory->data;
    case BNR_BASE_GIVEN:
        return given[slot->index]->data;
    case BNR_BASE_OUTPUT:
        return x->direct[slot->index]->data;
    }
    return NULL;
}

// Points every header at this run's memory.
static void bind(struct bnr_exec *x, struct bnr_tensor *const *given) {
    const struct bnr_plan *plan = x->plan;
    for (int i = 0; i < plan->n_slots; i++) {
        const struct bnr_slot *slot = &plan->slots[i];
        if (slot->kind == BNR_SLOT_GIVEN)
            x->slots[i] = given[slot->index];
        else if (slot->kind == BNR_SLOT_PLACED)
            x->headers[i].data = (char *)base_of(x, slot, given) + slot->offset;
    }
}

enum bnr_status bnr__exec_run(struct bnr_run *run, struct bnr_tensor *const *given,
                              struct bnr_error *err) {
    struct bnr_exec *x = run->exec;
    struct bnr_profile *profile = run->session->profile;
    BNR_TRY(bnr__memory_take(&x->memory, run->session, x->plan->arena_bytes, err));
    bind(x, given);
    for (int i = 0; i < x->plan->n_steps; i++) {
        const uint64_t start = profile ? bnr__profile_now() : 0;
        BNR_TRY(run_step(run, i, err));
        if (profile)
            BNR_TRY(bnr__profile_add(profile, x->plan, run->step, start, err));
    }
    return BNR_OK;
}

void bnr__exec_clear(struct bnr_run *run) {
    struct bnr_exec *x = run->exec;
    for (int i = 0; i < x->plan->n_slots; i++) {
        if (x->plan->slots[i].kind == BNR_SLOT_DYNAMIC) {
            bnr__tensor_unref(x->slots[i]);
            x->slots[i] = NULL;
        }
    }
    bnr__memory_give(run->session, x->memory);
    x->memory = NULL;
}
