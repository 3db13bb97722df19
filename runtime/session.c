// SPDX-License-Identifier: Apache-2.0
// Creating sessions: options, the optimized copy of the model, and everything that runs share.
#include "runtime/session.h"

#include <math.h>
#include <string.h>

#include "passes/pass.h"
#include "runtime/base/checked.h"
#include "runtime/base/pool.h"
#include "runtime/compiled.h"
#include "runtime/kernels/weights_f32.h"
#include "runtime/ops/lib/affine_scaled.h"
#include "runtime/profile.h"
#include "runtime/verdicts.h"

enum {
    ALL_FLAGS = BNR_NO_FOLD | BNR_REFERENCE | BNR_FREEZE_INITIALIZERS | BNR_PROFILE |
                BNR_PROMOTE_DOUBLE | BNR_TRAINING | BNR_ONLY_BN | BNR_KEEP_STATISTICS | BNR_SPIN
};

// ---- options ------------------------------------------------------------------------------------

void bnr_options_init(struct bnr_options *options) {
    *options = (struct bnr_options){.struct_size = sizeof *options, .stop_after = -1};
}

enum bnr_status bnr__options_check(const struct bnr_options *o, struct bnr_error *err) {
    if (o->struct_size != sizeof *o)
        return bnr__fail(err, BNR_INVALID,
                         "options: struct_size is %zu, expected %zu (call bnr_options_init)",
                         o->struct_size, sizeof *o);
    if (o->threads < 0 || o->threads > BNR_MAX_THREADS)
        return bnr__fail(err, BNR_INVALID, "options: %d threads, expected 0 to %d", o->threads,
                         BNR_MAX_THREADS);
    if (o->flags & ~(unsigned)ALL_FLAGS)
        return bnr__fail(err, BNR_INVALID, "options: unknown flags 0x%x",
                         o->flags & ~(unsigned)ALL_FLAGS);
    if ((o->flags & BNR_PROMOTE_DOUBLE) && !(o->flags & BNR_REFERENCE))
        return bnr__fail(err, BNR_INVALID, "options: BNR_PROMOTE_DOUBLE is for BNR_REFERENCE only");
    return BNR_OK;
}

static enum bnr_status set_options(struct bnr_session *s, const struct bnr_options *o,
                                   struct bnr_error *err) {
    const unsigned detected = bnr__cpu_detect();
    s->flags = o->flags;
    s->threads = o->threads ? o->threads : bnr__pool_cores();
    if (!bnr__cpu_level(o->cpu, detected, &s->cpu))
        return bnr__fail(err, BNR_INVALID,
                         "options: cpu level '%s' is unknown or beyond this machine's '%s'", o->cpu,
                         bnr__cpu_level_name(detected));
    if (o->flags & BNR_PROFILE) {
        s->profile = bnr__profile_new(s->allocator);
        if (!s->profile)
            return bnr__no_memory(err);
    }
    BNR_TRY(bnr__pool_new(&s->pool, s->threads, err));
    if (s->flags & BNR_SPIN) // as if one long run were under way
        bnr__pool_begin(s->pool);
    return BNR_OK;
}

// ---- the copy of the model ----------------------------------------------------------------------

// All missing operators in one line, as many as fit.
static enum bnr_status missing_operators(const struct bnr_model *m, struct bnr_error *err) {
    char list[900] = "";
    size_t used = 0;
    for (size_t i = 0; i < m->n_missing && used + 3 < sizeof list; i++) {
        const size_t room = sizeof list - used, length = strlen(m->missing[i]) + 2;
        if (length >= room)
            break;
        memcpy(list + used, i ? "; " : ": ", 2);
        memcpy(list + used + 2, m->missing[i], length - 1);
        used += length;
    }
    return bnr__fail(err, BNR_UNSUPPORTED, "%zu operators are missing%s", m->n_missing, list);
}

static enum bnr_status train_graph(struct bnr_graph *g, void *cx) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (bnr__node_is(n, "", "BatchNormalization") &&
            bnr__node_set_attr_int(n, "training_mode", 1) != BNR_OK)
            return bnr__no_memory(cx);
    return BNR_OK;
}

static enum bnr_status count_graph(struct bnr_graph *g, void *cx) {
    *(size_t *)cx += g->n_nodes;
    return BNR_OK;
}

static size_t count_nodes(struct bnr_model *m) {
    size_t n = 0;
    bnr__model_each_graph(m, count_graph, &n);
    return n;
}

// Weights that do not stay lazy are made now, once, instead of by every plan.
static enum bnr_status make_elements(struct bnr_graph *g, void *cx) {
    for (size_t i = 0; i < g->n_values; i++) {
        struct bnr_tensor *t = g->values[i]->tensor, *full;
        if (!t || !t->lazy || bnr__tensor_stays_lazy(t))
            continue;
        BNR_TRY(bnr__tensor_align(&full, t, cx));
        g->values[i]->tensor = full;
        bnr__tensor_unref(t);
        if (bnr__value_info_of_constant(g->values[i]) != BNR_OK)
            return bnr__no_memory(cx);
    }
    return BNR_OK;
}

static enum bnr_status optimize(const struct bnr_session *s, struct bnr_model *m,
                                const struct bnr_options *o, struct bnr_error *err) {
    if (s->flags & BNR_REFERENCE)
        return BNR_OK;
    unsigned groups = BNR_PASS_CLEAN | BNR_PASS_FUSE;
    if (!(s->flags & BNR_NO_FOLD))
        groups |= BNR_PASS_FOLD;
    m->weight_kernels = bnr__weights_f32_select(s->cpu);
    m->pool = s->pool;
    m->trusts_weights = s->trusts_weights;
    bnr__pool_begin(s->pool);
    enum bnr_status st = bnr__passes_run(m, o, groups, err);
    bnr__pool_end(s->pool);
    bnr__model_renumber(m);
    return st == BNR_OK ? bnr__model_each_graph(m, make_elements, err) : st;
}

// A copy of the model with what the flags ask for; not yet optimized.
static enum bnr_status copy_model(const struct bnr_session *s, struct bnr_model **out,
                                  const struct bnr_model *model, struct bnr_error *err) {
    size_t missing;
    BNR_TRY(bnr__model_clone(out, model, err));
    BNR_TRY(bnr__model_resolve(*out, &missing, err));
    if (missing > 0) {
        BNR_TRY(bnr__model_infer_first(*out, err)); // finds those that lack a dtype
        return missing_operators(*out, err);
    }
    if (s->flags & BNR_TRAINING)
        BNR_TRY(bnr__model_each_graph(*out, train_graph, err));
    BNR_TRY(bnr__expand_gradients(*out, err));
    if (!(s->flags & BNR_REFERENCE))
        BNR_TRY(bnr__model_expand(*out, err));
    if (s->flags & BNR_PROMOTE_DOUBLE)
        BNR_TRY(bnr__promote_f64(*out, err));
    return BNR_OK;
}

// A compiled model's graph is the optimized one already, and its packs, of the kernels that were chosen, are
// in the file.
static enum bnr_status set_compiled(struct bnr_session *s, const struct bnr_model *model,
                                    struct bnr_error *err) {
    struct bnr_compiled *c = bnr__compiled_of(model);
    BNR_TRY(bnr__model_clone(&s->model, model, err));
    BNR_TRY(bnr__model_infer(s->model, err));
    s->face = bnr__interface_new(s->model);
    if (!s->face)
        return bnr__no_memory(err);
    s->compiled = bnr__compiled_ref(c);
    s->cpu &= ~(unsigned)BNR_CPU_FAR_MEMORY;
    s->cpu |= c->header.far_memory ? BNR_CPU_FAR_MEMORY : 0;
    s->compiled_model = bnr__model_ref(bnr__model_unconst(model));
    for (size_t i = 0; i < c->n_packs; i++)
        if (bnr__packs_adopt(&s->packs, &c->packs[i]) != BNR_OK)
            return bnr__no_memory(err);
    s->stats.nodes_before = c->nodes_before;
    s->stats.nodes_after = count_nodes(s->model);
    return BNR_OK;
}

static enum bnr_status set_model(struct bnr_session *s, const struct bnr_model *model,
                                 const struct bnr_options *o, struct bnr_error *err) {
    if (bnr__compiled_of(model))
        return set_compiled(s, model, err);
    BNR_TRY(copy_model(s, &s->model, model, err));
    // Described before inputs are frozen: the caller counts them as the model does.
    s->face = bnr__interface_new(s->model);
    if (!s->face)
        return bnr__no_memory(err);
    s->model->freeze_initializers = s->flags & BNR_FREEZE_INITIALIZERS;
    BNR_TRY(bnr__model_infer_first(s->model, err));
    if (s->model->n_missing > 0)
        return missing_operators(s->model, err);
    s->stats.nodes_before = count_nodes(s->model);
    BNR_TRY(optimize(s, s->model, o, err));
    s->stats.nodes_after = count_nodes(s->model);
    return BNR_OK;
}

// ---- constants made again -----------------------------------------------------------------------

static char *keep_text(struct bnr_arena *arena, const char *text) {
    return text ? bnr__arena_strdup(arena, text) : NULL;
}

// What it takes to optimize the model once more, silently, or to make the session again.
static enum bnr_status keep_origin(struct bnr_session *s, const struct bnr_model *model,
                                   const struct bnr_options *o, struct bnr_error *err) {
    bnr_options_init(&s->again_options);
    s->again_options.allocator = s->allocator;
    s->again_options.flags = s->flags;
    s->again_options.threads = s->threads;
    s->again_options.cpu = bnr__cpu_level_name(s->cpu);
    s->again_options.stop_after = o->stop_after;
    s->again_options.passes = keep_text(&s->arena, o->passes);
    s->again_options.keep = keep_text(&s->arena, o->keep);
    if ((o->passes && !s->again_options.passes) || (o->keep && !s->again_options.keep))
        return bnr__no_memory(err);
    if (!s->compiled)
        s->origin = bnr__model_ref(bnr__model_unconst(model));
    return BNR_OK;
}

static enum bnr_status optimize_again(struct bnr_session *s) {
    struct bnr_error err;
    if (!s->origin)
        BNR_TRY(bnr__compiled_load_original(&s->origin, s->compiled, &err));
    BNR_TRY(copy_model(s, &s->again, s->origin, &err));
    s->again->freeze_initializers = s->flags & BNR_FREEZE_INITIALIZERS;
    BNR_TRY(bnr__model_infer(s->again, &err));
    return optimize(s, s->again, &s->again_options, &err);
}

struct search {
    int id;
    const struct bnr_value *found;
};

static enum bnr_status find_value(struct bnr_graph *g, void *cx) {
    struct search *search = cx;
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->id == search->id)
            search->found = g->values[i];
    return BNR_OK;
}

// Optimizing is deterministic: the value of the same id is the same constant.
static const struct bnr_tensor *restore(void *user, const struct bnr_tensor *t) {
    struct bnr_session *s = user;
    struct search search = {.id = *(const int *)t->owner};
    if ((!s->origin && !s->compiled) || (!s->again && optimize_again(s) != BNR_OK))
        return NULL;
    bnr__model_each_graph(s->again, find_value, &search);
    const struct bnr_tensor *full = search.found ? search.found->tensor : NULL;
    const bool same = full && full->nbytes == t->nbytes && full->dtype == t->dtype &&
                      !bnr__tensor_is_hollow(full);
    return same ? full : NULL;
}

static void rest(const struct bnr_model *m) {
    if (m && m->rest_source)
        m->rest_source(m->source);
}

void bnr__session_planned(struct bnr_session *s) {
    bnr__model_free(s->again);
    s->again = NULL;
    rest(s->origin);
}

// ---- plans --------------------------------------------------------------------------------------

static enum bnr_status count_graphs(struct bnr_graph *g, void *cx) {
    *(size_t *)cx += 1;
    return BNR_OK;
}

// What the constants of a graph take, once they are packed, to a first approximation.
static void expect_packs(struct bnr_packs *packs, const struct bnr_graph *g) {
    enum { SMALL = 1 << 12 };
    for (size_t i = 0; i < g->n_values; i++) {
        const struct bnr_tensor *t = g->values[i]->tensor;
        if (t && t->nbytes > SMALL && !bnr__size_add(packs->expected, t->nbytes, &packs->expected))
            packs->expected = 0;
    }
}

static enum bnr_status add_plans(struct bnr_graph *g, void *cx) {
    struct bnr_session *s = cx;
    expect_packs(&s->packs, g);
    return bnr__plans_init(&s->plans[s->n_plans++], g, &s->arena, NULL);
}

static enum bnr_status set_plans(struct bnr_session *s, struct bnr_error *err) {
    size_t n = 0;
    bnr__model_each_graph(s->model, count_graphs, &n);
    s->plans = BNR_NEW_ARRAY(&s->arena, n, struct bnr_plans);
    if (!s->plans)
        return bnr__no_memory(err);
    enum bnr_status st = bnr__model_each_graph(s->model, add_plans, s);
    return st == BNR_OK ? BNR_OK : bnr__no_memory(err);
}

struct bnr_plans *bnr__session_plans(const struct bnr_session *s, const struct bnr_graph *graph) {
    for (size_t i = 0; i < s->n_plans; i++)
        if (s->plans[i].graph == graph)
            return &s->plans[i];
    return NULL;
}

// Where the file leaves no dim of an input open there is one plan only: made now, so that the first
// run is as fast as the others and shapes that do not fit are found here.
static enum bnr_status plan_ahead(struct bnr_session *s, struct bnr_error *err) {
    const struct bnr_plans *plans = &s->plans[0];
    struct bnr_tensor *headers = BNR_NEW_ARRAY(&s->arena, plans->n_given, struct bnr_tensor);
    struct bnr_tensor **given = BNR_NEW_ARRAY(&s->arena, plans->n_given, struct bnr_tensor *);
    if (!headers || !given)
        return bnr__no_memory(err);
    for (size_t i = 0; i < plans->n_given; i++) {
        const struct bnr_value *v = plans->given[i];
        given[i] = v->tensor;
        if (v->tensor)
            continue;
        size_t bytes;
        int64_t dims[BNR_MAX_RANK];
        if (!bnr__type_known(v->declared) || !bnr__type_bytes(v->declared, &bytes))
            return BNR_OK;
        bnr__shape_numbers(&v->declared->shape, dims);
        bnr__tensor_set(&headers[i], v->declared->dtype, v->declared->shape.rank, dims, NULL);
        given[i] = &headers[i];
    }
    struct bnr_plan *plan;
    s->fixed = true;
    BNR_TRY(bnr__plans_use(&plan, s, &s->plans[0], given, err));
    if (plan)
        bnr__plans_leave(s, plan);
    return BNR_OK;
}

// ---- creating and freeing -----------------------------------------------------------------------

static enum bnr_status init(struct bnr_session *s, const struct bnr_model *model,
                            const struct bnr_options *o, struct bnr_error *err) {
    BNR_TRY(set_options(s, o, err));
    BNR_TRY(set_model(s, model, o, err));
    if (!(s->flags & BNR_REFERENCE))
        bnr__verdicts_expected(s->model);
    BNR_TRY(set_plans(s, err));
    s->packs.pool = s->pool;
    s->packs.restore = restore;
    s->packs.user = s;
    if (s->compiled)
        BNR_TRY(keep_origin(s, model, o, err));
    BNR_TRY(plan_ahead(s, err));
    if (s->fixed)
        rest(model);
    return s->fixed || s->compiled ? BNR_OK : keep_origin(s, model, o, err);
}

// *out NULL and BNR_OK: it is distrusted already.
static enum bnr_status try_create(bnr_session **out, const struct bnr_model *model,
                                  const struct bnr_options *options, bool trusts_weights,
                                  struct bnr_error *err) {
    struct bnr_session *s = bnr__calloc(options->allocator, 1, sizeof *s);
    if (!s)
        return bnr__no_memory(err);
    s->trusts_weights = trusts_weights;
    s->allocator = options->allocator;
    bnr__arena_init(&s->arena, s->allocator);
    bnr__packs_init(&s->packs, s->allocator);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->planning, NULL);
    enum bnr_status st = init(s, model, options, err);
    if (st == BNR_OK && !s->distrusted)
        *out = s;
    else
        bnr_session_free(s);
    return st;
}

// Where weights prove not to be finite once they are scaled, which no rewrite may do, the model is
// optimized again, looking first: here, or when a session without a plan makes one or tells what it
// has done. So is it at once where the caller watches, who should see every pass once.
static enum bnr_status create(bnr_session **out, const struct bnr_model *model,
                              const struct bnr_options *options, struct bnr_error *err) {
    const bool watched = options->print_after != NULL;
    BNR_TRY(try_create(out, model, options, !watched, err));
    return *out ? BNR_OK : try_create(out, model, options, false, err);
}

bool bnr__session_trusts(struct bnr_session *s) {
    s->distrusted = s->distrusted || !bnr__scaled_settle(s->model);
    return !s->distrusted;
}

enum bnr_status bnr__session_replace(struct bnr_session *s, struct bnr_error *err) {
    struct bnr_session *instead;
    enum bnr_status st = BNR_OK;
    pthread_mutex_lock(&s->planning);
    if (bnr__session_working(s) == s) {
        st = try_create(&instead, s->origin, &s->again_options, false, err);
        if (st == BNR_OK)
            atomic_store_explicit(&s->instead, instead, memory_order_release);
    }
    pthread_mutex_unlock(&s->planning);
    return st;
}

// A session that is not the one which was compiled is made of the original model.
static enum bnr_status create_of_compiled(bnr_session **out, const struct bnr_model *model,
                                          const struct bnr_options *o, struct bnr_error *err) {
    unsigned cpu;
    bool suits = false;
    struct bnr_model *original;
    if (bnr__cpu_level(o->cpu, bnr__cpu_detect(), &cpu))
        BNR_TRY(bnr__compiled_suits(bnr__compiled_of(model), o, cpu, &suits, err));
    if (suits)
        return create(out, model, o, err);
    BNR_TRY(bnr__compiled_original(&original, model, err));
    const enum bnr_status st = create(out, original, o, err);
    bnr__model_free(original);
    return st;
}

enum bnr_status bnr_session_create(bnr_session **out, const bnr_model *model,
                                   const struct bnr_options *options, struct bnr_error *err) {
    if (!out || !model)
        return bnr__fail(err, BNR_INVALID, "no %s given", out ? "model" : "result pointer");
    *out = NULL;
    struct bnr_options defaults;
    bnr_options_init(&defaults);
    if (!options)
        options = &defaults;
    BNR_TRY(bnr__options_check(options, err));
    return bnr__compiled_of(model) ? create_of_compiled(out, model, options, err)
                                   : create(out, model, options, err);
}

void bnr_session_free(bnr_session *s) {
    if (!s)
        return;
    bnr_session_free(atomic_load(&s->instead));
    for (size_t i = 0; i < s->n_plans; i++)
        bnr__plans_free(&s->plans[i]);
    bnr__memory_free(s);
    bnr__packs_free(&s->packs);
    bnr__profile_free(s->profile);
    if (s->flags & BNR_SPIN)
        bnr__pool_end(s->pool);
    bnr__pool_free(s->pool);
    bnr__model_free(s->model);
    bnr__model_free(s->again);
    bnr__model_free(s->origin);
    bnr__model_free(s->compiled_model);
    bnr__compiled_unref(s->compiled);
    pthread_mutex_destroy(&s->planning);
    pthread_mutex_destroy(&s->lock);
    bnr__arena_free(&s->arena);
    bnr__free(s->allocator, s, sizeof *s);
}

// ---- asking -------------------------------------------------------------------------------------

// What works for the session, and stays: what it tells is final, but that planning may still turn
// `kept` into `fused`.
static const struct bnr_session *final(const bnr_session *session) {
    struct bnr_session *s = (struct bnr_session *)(uintptr_t)session;
    pthread_mutex_lock(&s->planning);
    const bool trusts = bnr__session_trusts(s);
    pthread_mutex_unlock(&s->planning);
    if (!trusts)
        bnr__session_replace(s, NULL); // out of memory: the session itself
    return bnr__session_working(s);
}

size_t bnr_session_bn_count(const bnr_session *session) {
    return session->model->n_bns;
}

void bnr__bn_report(struct bnr_bn_report *report, const struct bnr_bn *bn) {
    *report = (struct bnr_bn_report){.name = bn->name,
                                     .verdict = (enum bnr_bn_verdict)bn->verdict,
                                     .into = bn->into,
                                     .reason = bn->reason,
                                     .channels = bn->channels,
                                     .max_scale = bn->max_scale,
                                     .min_var_eps = bn->min_var_eps,
                                     .error_bound = NAN};
}

// The lock is no part of what the session says.
static void lock(const bnr_session *s) {
    pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&s->lock);
}

static void unlock(const bnr_session *s) {
    pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&s->lock);
}

enum bnr_status bnr_session_bn(const bnr_session *session, size_t index,
                               struct bnr_bn_report *report) {
    const struct bnr_session *s = final(session);
    if (index >= s->model->n_bns)
        return BNR_INVALID;
    lock(s);
    bnr__bn_report(report, s->model->bns[index]);
    unlock(s);
    return BNR_OK;
}

void bnr_session_stats(const bnr_session *session, struct bnr_session_stats *stats) {
    const struct bnr_session *s = final(session);
    lock(s);
    *stats = s->stats;
    unlock(s);
}

char *bnr_session_profile(const bnr_session *session) {
    if (!session->profile)
        return NULL;
    struct bnr_text text = {0};
    bnr__profile_print(bnr__session_working(session)->profile, &text);
    return bnr__text_take(&text);
}

char *bnr_session_print(const bnr_session *session, enum bnr_print_format format) {
    return bnr__model_print(final(session)->model, format);
}

const char *bnr_session_cpu(const bnr_session *session) {
    return bnr__cpu_level_name(session->cpu);
}

int bnr_session_threads(const bnr_session *session) {
    return bnr__pool_threads(session->pool);
}
