// SPDX-License-Identifier: Apache-2.0
// bnr_run: from the caller's tensors to a run of the main graph and back.
#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/exec.h"

enum { FEW = 64 };

// One call of bnr_run.
struct call {
    struct bnr_session *session;
    bool planned; // false: the session is distrusted
    struct bnr_tensor **given; // in the order of bnr_plans.given
    struct bnr_tensor **outputs;
    size_t n_outputs;
    struct bnr_error *err;
};

// ---- inputs -------------------------------------------------------------------------------------

// What input i is when double precision is asked for: a conversion that the caller releases, else
// t.
static enum bnr_status promote(struct bnr_tensor **t, const struct bnr_session *s, size_t i,
                               struct bnr_error *err) {
    struct bnr_tensor *given = *t;
    if (!(s->flags & BNR_PROMOTE_DOUBLE) || given->kind != BNR_KIND_TENSOR ||
        s->face->inputs[i].type.dtype != BNR_DOUBLE || given->dtype == BNR_DOUBLE) {
        bnr__tensor_ref(given);
        return BNR_OK;
    }
    return bnr__tensor_cast(t, s->allocator, given, BNR_DOUBLE, err);
}

// Takes a reference on every given tensor, so that the caller may release his during the run.
static enum bnr_status set_given(struct call *c, const bnr_tensor *const *inputs, size_t n_inputs) {
    const struct bnr_interface *face = c->session->face;
    const struct bnr_plans *plans = &c->session->plans[0];
    size_t n = 0;
    for (size_t i = 0; i < face->n_inputs && n < plans->n_given; i++) {
        if (face->inputs[i].value != plans->given[n])
            continue; // frozen, or no longer read by anything
        struct bnr_tensor *t = bnr__interface_given(face, inputs, n_inputs, i);
        BNR_TRY(promote(&t, c->session, i, c->err));
        c->given[n++] = t;
    }
    return n == plans->n_given ? BNR_OK
                               : bnr__fail(c->err, BNR_INTERNAL, "inputs are out of order");
}

// ---- outputs ------------------------------------------------------------------------------------

static const struct bnr_slot *output_slot(const struct bnr_exec *x, size_t k) {
    return &x->plan->slots[x->plan->outputs[k].slot];
}

// The run itself puts output k where it belongs.
static bool is_direct(const struct bnr_exec *x, size_t k) {
    return x->plan->outputs[k].direct || x->plan->slices > 1;
}

static bool overlap(const struct bnr_tensor *a, const struct bnr_tensor *b) {
    if (a->kind != BNR_KIND_TENSOR || b->kind != BNR_KIND_TENSOR || !a->nbytes || !b->nbytes)
        return false;
    const uintptr_t pa = (uintptr_t)a->data, pb = (uintptr_t)b->data;
    return pa < pb + b->nbytes && pb < pa + a->nbytes;
}

static enum bnr_status check_match(const struct call *c, size_t k, const struct bnr_type *type) {
    const struct bnr_tensor *t = c->outputs[k];
    const char *name = c->session->face->outputs[k].info.name;
    char seen[160], want[160];
    bool same =
        t->kind == BNR_KIND_TENSOR && t->dtype == type->dtype && t->rank == type->shape.rank;
    for (int d = 0; same && d < t->rank; d++)
        same = t->dims[d] == type->shape.dims[d].n;
    if (!same)
        return bnr__fail(c->err, BNR_SHAPE, "output '%s' is to go to %s, but is %s", name,
                         bnr__tensor_describe(t, seen, sizeof seen),
                         bnr__type_describe(type, want, sizeof want));
    if (t->dtype == BNR_STRING)
        return bnr__fail(c->err, BNR_INVALID, "output '%s': strings need a new tensor (pass NULL)",
                         name);
    return BNR_OK;
}

static enum bnr_status check_outputs(const struct call *c, const struct bnr_exec *x) {
    for (size_t k = 0; k < c->n_outputs; k++) {
        if (!c->outputs[k])
            continue;
        const struct bnr_type type = bnr__plan_output_type(x->plan, k);
        if (bnr__type_known(&type))
            BNR_TRY(check_match(c, k, &type));
        for (size_t i = 0; i < k; i++)
            if (c->outputs[i] && overlap(c->outputs[i], c->outputs[k]))
                return bnr__fail(c->err, BNR_INVALID, "outputs '%s' and '%s' share memory",
                                 c->session->face->outputs[i].info.name,
                                 c->session->face->outputs[k].info.name);
    }
    return BNR_OK;
}

// The caller's tensor where the run may write while it still reads its inputs.
static bool may_write(const struct call *c, size_t k) {
    for (size_t i = 0; i < c->session->plans[0].n_given; i++)
        if (overlap(c->outputs[k], c->given[i]))
            return false;
    return true;
}

// A tensor for each output that the run writes straight into: the caller's, a new one for him, or,
// where he wants none or his memory is also an input, one of ours. made[k]: a new one.
static enum bnr_status set_direct(const struct call *c, struct bnr_exec *x,
                                  struct bnr_tensor **made) {
    for (size_t k = 0; k < x->plan->graph->n_outputs; k++) {
        if (!is_direct(x, k))
            continue;
        if (k < c->n_outputs && c->outputs[k] && may_write(c, k)) {
            x->direct[k] = c->outputs[k];
        } else if (k < c->n_outputs && !c->outputs[k]) {
            const struct bnr_type type = bnr__plan_output_type(x->plan, k);
            int64_t dims[BNR_MAX_RANK];
            bnr__shape_numbers(&type.shape, dims);
            BNR_TRY(bnr__tensor_new(&made[k], c->session->allocator, type.dtype, type.shape.rank,
                                    dims, c->err));
            x->direct[k] = made[k];
        } else {
            BNR_TRY(bnr__exec_spare(&x->direct[k], x, k, c->err));
        }
    }
    return BNR_OK;
}

// Only this run knows the tensor and it owns its elements: the caller can have it as it is.
static bool is_ours_alone(const struct bnr_slot *slot, const struct bnr_tensor *t) {
    return slot->kind == BNR_SLOT_DYNAMIC && t->kind == BNR_KIND_TENSOR && t->dtype != BNR_STRING &&
           t->release && !t->owner && atomic_load_explicit(&t->refs, memory_order_acquire) == 1;
}

// Gives the caller output k. made[k] becomes the tensor for an entry that was NULL.
static enum bnr_status take_output(const struct call *c, const struct bnr_exec *x, size_t k,
                                   struct bnr_tensor **made) {
    const struct bnr_plan_output *o = &x->plan->outputs[k];
    struct bnr_tensor *t = is_direct(x, k) ? x->direct[k] : x->slots[o->slot];
    if (c->outputs[k]) {
        if (t == c->outputs[k])
            return BNR_OK;
        const struct bnr_type type = {
            .kind = t->kind, .dtype = t->dtype, .shape = bnr__shape_of(t->rank, t->dims)};
        BNR_TRY(check_match(c, k, &type));
        if (t->nbytes)
            memcpy(c->outputs[k]->data, t->data, t->nbytes);
        return BNR_OK;
    }
    if (made[k])
        return BNR_OK;
    if (!is_ours_alone(output_slot(x, k), t))
        return bnr__tensor_clone(&made[k], c->session->allocator, t, c->err);
    made[k] = bnr__tensor_ref(t);
    return BNR_OK;
}

// ---- the run ------------------------------------------------------------------------------------

static enum bnr_status run_in(const struct call *c, struct bnr_run *run, struct bnr_tensor **made) {
    BNR_TRY(check_outputs(c, run->exec));
    BNR_TRY(set_direct(c, run->exec, made));
    bnr__pool_begin(c->session->pool);
    enum bnr_status st = bnr__exec_run(run, c->given, c->err);
    bnr__pool_end(c->session->pool);
    for (size_t k = 0; k < c->n_outputs && st == BNR_OK; k++)
        st = take_output(c, run->exec, k, made);
    return st;
}

// made: [n_outputs], all NULL.
static enum bnr_status run_given(struct call *c, struct bnr_tensor **made) {
    struct bnr_session *s = c->session;
    struct bnr_exec *x;
    BNR_TRY(bnr__exec_acquire(&x, s, &s->plans[0], c->given, c->err));
    c->planned = x != NULL;
    if (!x)
        return BNR_OK;
    struct bnr_run run = {.session = s, .exec = x, .strings = &x->strings};
    enum bnr_status st = run_in(c, &run, made);
    bnr__exec_clear(&run);
    if (x->strings.used)
        bnr__arena_reset(&x->strings);
    bnr__exec_release(s, x);
    for (size_t k = 0; k < c->n_outputs; k++) {
        if (st == BNR_OK && made[k])
            c->outputs[k] = made[k];
        else
            bnr__tensor_unref(made[k]);
    }
    return st;
}

// Checks the inputs, collects them, and runs, or only plans (outputs NULL).
static enum bnr_status call(struct call *c, const bnr_tensor *const *inputs, size_t n_inputs,
                            struct bnr_tensor **made) {
    struct bnr_session *s = c->session;
    const bool any_float = s->flags & BNR_PROMOTE_DOUBLE;
    BNR_TRY(bnr__interface_check(s->face, inputs, n_inputs, any_float, c->err));
    enum bnr_status st = set_given(c, inputs, n_inputs);
    if (st == BNR_OK && c->outputs) {
        st = run_given(c, made);
    } else if (st == BNR_OK) {
        struct bnr_exec *x;
        st = bnr__exec_acquire(&x, s, &s->plans[0], c->given, c->err);
        c->planned = st == BNR_OK && x;
        if (c->planned)
            bnr__exec_release(s, x);
    }
    for (size_t i = 0; i < s->plans[0].n_given; i++)
        bnr__tensor_unref(c->given[i]);
    return st;
}

// With room for pointers on the stack, or from the allocator where there are many.
static enum bnr_status call_with_room(struct call *c, const bnr_tensor *const *inputs,
                                      size_t n_inputs) {
    const struct bnr_allocator *a = c->session->allocator;
    const size_t n_given = c->session->plans[0].n_given, n = n_given + c->n_outputs;
    struct bnr_tensor *few[FEW] = {NULL}, **room = few;
    if (n > FEW)
        room = bnr__calloc(a, n, sizeof *room);
    if (!room)
        return bnr__no_memory(c->err);
    c->given = room;
    enum bnr_status st = call(c, inputs, n_inputs, room + n_given);
    if (room != few)
        bnr__free(a, room, n * sizeof *room);
    return st;
}

static enum bnr_status call_working(struct call *c, const bnr_tensor *const *inputs,
                                    size_t n_inputs) {
    struct bnr_session *s = c->session;
    c->session = bnr__session_working(s);
    BNR_TRY(call_with_room(c, inputs, n_inputs));
    if (c->planned)
        return BNR_OK;
    BNR_TRY(bnr__session_replace(s, c->err));
    c->session = bnr__session_working(s);
    return call_with_room(c, inputs, n_inputs);
}

enum bnr_status bnr_run(bnr_session *session, const bnr_tensor *const *inputs, size_t n_inputs,
                        bnr_tensor **outputs, size_t n_outputs, struct bnr_error *err) {
    if (!session)
        return bnr__fail(err, BNR_INVALID, "no session given");
    if (n_outputs > session->face->n_outputs)
        return bnr__fail(err, BNR_INVALID, "%zu outputs asked for, the model has %zu", n_outputs,
                         session->face->n_outputs);
    if (n_outputs > 0 && !outputs)
        return bnr__fail(err, BNR_INVALID, "%zu outputs asked for, at NULL", n_outputs);
    bnr_tensor *none = NULL;
    struct call c = {.session = session,
                     .outputs = outputs ? outputs : &none,
                     .n_outputs = n_outputs,
                     .err = err};
    return call_working(&c, inputs, n_inputs);
}

enum bnr_status bnr_session_plan(bnr_session *session, const bnr_tensor *const *inputs,
                                 size_t n_inputs, struct bnr_error *err) {
    if (!session)
        return bnr__fail(err, BNR_INVALID, "no session given");
    struct call c = {.session = session, .err = err};
    return call_working(&c, inputs, n_inputs);
}
