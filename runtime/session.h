// SPDX-License-Identifier: Apache-2.0
// A session: an optimized copy of a model, its plans, and what runs share.
//
// Locks: `planning` is held while a plan is made, one at a time; `lock` protects what runs change
// and is held for moments only. Taken in this order.
#ifndef BNR_SESSION_H
#define BNR_SESSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/interface.h"
#include "runtime/packs.h"
#include "runtime/plan.h"

enum { BNR_MAX_PLANS = 8 }; // kept per graph; the least recently used one goes first

// The plans of one graph of the session's model.
struct bnr_plans {
    struct bnr_graph *graph;
    struct bnr_value **captures; // values of outer graphs that it reads
    size_t n_captures;
    // What a run is given: the graph's inputs, then captures, without those that are constant.
    const struct bnr_value **given;
    size_t n_given, n_inputs; // n_inputs: how many of `given` are the graph's own inputs
    struct bnr_plan *first;   // the most recently used one
    size_t count;
};

// Memory for the arena of one run, kept for the next one.
struct bnr_memory {
    struct bnr_memory *next;
    size_t size;
    void *data;
};

struct bnr_session {
    const struct bnr_allocator *allocator;
    unsigned flags, cpu; // enum bnr_flags, enum bnr_cpu_features
    int threads;
    bool trusts_weights; // as its models do, until the first plan is made; then they are known to be finite
    bool distrusted;     // under `planning`: they are not, and no plan is made
    _Atomic(struct bnr_session *) instead; // then, what works in its place; freed with it
    struct bnr_model *model;
    // Where plans for other shapes may come: what `model` was made of, to make constants again whose
    // elements were given back. `again`: the same once more, while a plan is made.
    struct bnr_model *origin, *again;
    struct bnr_options again_options;
    struct bnr_compiled *compiled; // NULL unless the model was
    struct bnr_model *compiled_model; // likewise: keys of packs, ids of hollow constants are in it
    const struct bnr_interface *face; // of the model before optimization
    bool fixed; // the main graph has one plan for ever: all dims of its inputs are numbers
    struct bnr_pool *pool;
    struct bnr_packs packs;  // under `planning`
    struct bnr_arena arena;  // for the tables below
    struct bnr_plans *plans; // one per graph, the main graph first
    size_t n_plans;
    pthread_mutex_t lock, planning;
    struct bnr_memory *memory; // not in use
    struct bnr_session_stats stats;
    struct bnr_profile *profile; // NULL without BNR_PROFILE
};

// After a plan was made: frees what only planning needs. Under `planning`.
void bnr__session_planned(struct bnr_session *s);
// Whether its weights are finite as it trusted, for which those not packed are read. Under `planning`.
bool bnr__session_trusts(struct bnr_session *s);
// Makes what works instead of s, which is distrusted, where it is not there yet.
enum bnr_status bnr__session_replace(struct bnr_session *s, struct bnr_error *err);
// What works for s: itself, until it was replaced.
static inline struct bnr_session *bnr__session_working(const struct bnr_session *s) {
    struct bnr_session *instead = atomic_load_explicit(&s->instead, memory_order_acquire);
    return instead ? instead : (struct bnr_session *)(uintptr_t)s;
}
struct bnr_plans *bnr__session_plans(const struct bnr_session *s, const struct bnr_graph *graph);

enum bnr_status bnr__options_check(const struct bnr_options *options, struct bnr_error *err);
// api_model.c: folds `copy`, a clone of `origin` or of a model made of it, and writes it.
enum bnr_status bnr__model_fold_write(struct bnr_model *copy, const struct bnr_model *origin,
                                      const char *path, const struct bnr_options *options,
                                      void (*report)(void *user, const struct bnr_bn_report *bn),
                                      void *user, struct bnr_error *err);
char *bnr__model_print(const struct bnr_model *m, enum bnr_print_format format); // as it is
void bnr__bn_report(struct bnr_bn_report *report, const struct bnr_bn *bn);

// plans.c: the plan for these tensors' types, made when there is none; stays until
// bnr__plans_leave. *out NULL and BNR_OK: the session is distrusted.
enum bnr_status bnr__plans_use(struct bnr_plan **out, struct bnr_session *s,
                               struct bnr_plans *plans, struct bnr_tensor *const *given,
                               struct bnr_error *err);
void bnr__plans_leave(struct bnr_session *s, struct bnr_plan *plan);
enum bnr_status bnr__plans_init(struct bnr_plans *plans, struct bnr_graph *g,
                                struct bnr_arena *arena, struct bnr_error *err);
void bnr__plans_free(struct bnr_plans *plans); // no run may be under way

// memory.c: memory of at least `bytes` for one run, reused where possible.
enum bnr_status bnr__memory_take(struct bnr_memory **out, struct bnr_session *s, size_t bytes,
                                 struct bnr_error *err);
void bnr__memory_give(struct bnr_session *s, struct bnr_memory *memory); // NULL is fine
void bnr__memory_free(struct bnr_session *s);

#endif
