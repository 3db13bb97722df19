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
                                       .pool = plan->side_by_side ? NULL : s->pool,
                                       .temp = &x->temp,
                                       .status = &x->status};
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
        } else if (slot->kind == BNR_SLOT_PLACED ||
                   (slot->kind == BNR_SLOT_GIVEN && plan->slices > 1)) {
            init_header(&x->headers[i], slot, s->allocator);
            x->slots[i] = &x->headers[i];
        }
    }
    for (int i = 0; i < most_out; i++)
        init_header(&x->blanks[i], NULL, s->allocator);
    return init_args(x, s);
}

static enum bnr_status exec_new_one(struct bnr_exec **out, const struct bnr_session *s,
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

static enum bnr_status exec_new(struct bnr_exec **out, const struct bnr_session *s,
                                struct bnr_plan *plan, struct bnr_error *err) {
    BNR_TRY(exec_new_one(out, s, plan, err));
    for (int i = 1; plan->side_by_side && i < s->threads; i++) {
        struct bnr_exec *member;
        const enum bnr_status st = exec_new_one(&member, s, plan, err);
        if (st != BNR_OK) {
            bnr__exec_free(*out);
            return st;
        }
        member->next = (*out)->team;
        (*out)->team = member;
    }
    return BNR_OK;
}

void bnr__exec_free(struct bnr_exec *x) {
    const struct bnr_allocator *a = x->storage.allocator;
    for (struct bnr_exec *member = x->team, *next; member; member = next) {
        next = member->next;
        bnr__exec_free(member);
    }
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
    *out = NULL;
    BNR_TRY(bnr__plans_use(&plan, s, plans, given, err));
    if (!plan)
        return BNR_OK;
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
    const struct bnr_type type = bnr__plan_output_type(x->plan, k);
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(&type.shape, dims);
    BNR_TRY(bnr__tensor_new(out, x->storage.allocator, type.dtype, type.shape.rank, dims, err));
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
    x->status = BNR_OK;
    if (st->run)
        st->run(a, st->state);
    else
        x->status = run_reference(x, st, a);
    drop_slots(x, st);
    return bnr__op_status(st->node, err, x->status);
}

// ---- a run --------------------------------------------------------------------------------------

// Where slice `slice` of t starts.
static char *part_of(const struct bnr_exec *x, const struct bnr_tensor *t, size_t slice) {
    return slice ? (char *)t->data + t->nbytes / x->plan->slices * slice : t->data;
}

static char *base_of(const struct bnr_exec *x, const struct bnr_slot *slot,
                     struct bnr_tensor *const *given, size_t slice) {
    switch (slot->base) {
    case BNR_BASE_ARENA:
        return x->memory->data;
    case BNR_BASE_GIVEN:
        return part_of(x, given[slot->index], slice);
    case BNR_BASE_OUTPUT:
        return part_of(x, x->direct[slot->index], slice);
    }
    return NULL;
}

// Points every header at the memory of this run's slice.
static void bind(struct bnr_exec *x, struct bnr_tensor *const *given, size_t slice) {
    const struct bnr_plan *plan = x->plan;
    for (int i = 0; i < plan->n_slots; i++) {
        const struct bnr_slot *slot = &plan->slots[i];
        if (slot->kind == BNR_SLOT_GIVEN && plan->slices == 1)
            x->slots[i] = given[slot->index];
        else if (slot->kind == BNR_SLOT_GIVEN)
            x->headers[i].data = part_of(x, given[slot->index], slice);
        else if (slot->kind == BNR_SLOT_PLACED)
            x->headers[i].data = base_of(x, slot, given, slice) + slot->offset;
    }
}

// Of a run of slices, outputs that the last step did not write in place: every slice's to its part.
static void gather_outputs(const struct bnr_exec *x, size_t slice) {
    for (size_t k = 0; k < x->plan->graph->n_outputs; k++) {
        const struct bnr_plan_output *o = &x->plan->outputs[k];
        const struct bnr_tensor *t = x->slots[o->slot];
        if (!o->direct && t->nbytes)
            memcpy(part_of(x, x->direct[k], slice), t->data, t->nbytes);
    }
}

static enum bnr_status run_slice(struct bnr_run *run, struct bnr_tensor *const *given, size_t slice,
                                 struct bnr_error *err) {
    struct bnr_exec *x = run->exec;
    struct bnr_profile *profile = run->session->profile;
    bind(x, given, slice);
    for (int i = 0; i < x->plan->n_steps; i++) {
        const uint64_t start = profile ? bnr__profile_now() : 0;
        BNR_TRY(run_step(run, i, err));
        if (profile)
            BNR_TRY(bnr__profile_add(profile, x->plan, run->step, start, err));
    }
    if (x->plan->slices > 1)
        gather_outputs(x, slice);
    return BNR_OK;
}

static enum bnr_status run_slices(struct bnr_run *run, struct bnr_tensor *const *given,
                                  size_t first, size_t last, struct bnr_error *err) {
    struct bnr_exec *x = run->exec;
    BNR_TRY(bnr__memory_take(&x->memory, run->session, x->plan->arena_bytes, err));
    for (size_t i = first; i < last; i++)
        BNR_TRY(run_slice(run, given, i, err));
    return BNR_OK;
}

// Slices side by side.
struct team_run {
    struct bnr_run *run;
    struct bnr_tensor *const *given;
    size_t threads, failed; // the first member that did: `threads` when none has
    enum bnr_status status;
    struct bnr_error *err;
};

static void run_member(struct team_run *t, size_t index) {
    struct bnr_exec *first = t->run->exec, *x = first;
    for (size_t i = 0; i < index; i++)
        x = i == 0 ? first->team : x->next;
    struct bnr_run run = *t->run;
    run.exec = x;
    for (size_t k = 0; x != first && k < x->plan->graph->n_outputs; k++)
        x->direct[k] = first->direct[k];
    struct bnr_error err = {.code = BNR_OK};
    const size_t slices = x->plan->slices;
    const enum bnr_status st = run_slices(&run, t->given, slices * index / t->threads,
                                          slices * (index + 1) / t->threads, &err);
    if (x != first)
        bnr__exec_clear(&run);
    pthread_mutex_lock(&run.session->lock);
    if (st != BNR_OK && index < t->failed) {
        t->failed = index;
        t->status = st;
        if (t->err)
            *t->err = err;
    }
    pthread_mutex_unlock(&run.session->lock);
}

static void run_members(void *cx, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        run_member(cx, i);
}

enum bnr_status bnr__exec_run(struct bnr_run *run, struct bnr_tensor *const *given,
                              struct bnr_error *err) {
    const struct bnr_session *s = run->session;
    const size_t slices = run->exec->plan->slices, threads = (size_t)s->threads;
    if (!run->exec->plan->side_by_side)
        return run_slices(run, given, 0, slices, err);
    struct team_run t = {
        .run = run, .given = given, .threads = threads, .failed = threads, .err = err};
    bnr__parallel_for(s->pool, threads, 1, run_members, &t);
    return t.status;
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
