// SPDX-License-Identifier: Apache-2.0
// Executing plans. A run takes an execution context of its plan, which holds what the steps read
// and write: tensor headers over the arena, prepared arguments, working memory. Contexts are made
// on demand, one per run at the same time, and kept; so are the arenas, which all plans of a
// session share.
#ifndef BNR_EXEC_H
#define BNR_EXEC_H

#include "runtime/session.h"

struct bnr_exec {
    struct bnr_exec *next; // in bnr_plan.idle, or of the same team
    struct bnr_exec *team; // those of the other threads, when slices run side by side
    struct bnr_plan *plan;
    struct bnr_arena storage;   // holds the arrays below
    struct bnr_arena temp;      // reference code's; emptied after each step
    struct bnr_arena strings;   // of an outermost run; emptied after it
    struct bnr_memory *memory;  // the arena, while a run is under way
    struct bnr_tensor *headers; // [n_slots]: of PLACED slots
    struct bnr_tensor **slots;  // [n_slots]: what each slot holds now; references in DYNAMIC slots
    enum bnr_status status;     // of the step under way, args[i].status
    struct bnr_tensor *blanks;  // stand for outputs that reference code makes itself
    struct bnr_args *args;      // [n_steps]
    const struct bnr_tensor ***in;  // [n_steps]: args[i].in, to be written
    struct bnr_tensor **direct;     // [n_outputs]: tensors that the run writes straight into
    struct bnr_tensor *(*spare)[2]; // [n_outputs]: references on output tensors kept for reuse
};

// One run of a graph; runs of nested graphs point at the one around them.
struct bnr_run {
    struct bnr_session *session;
    struct bnr_exec *exec;
    const struct bnr_step *step; // under way
    const struct bnr_run *outer;
    struct bnr_arena *strings; // of the outermost run
    int depth;
};

// A context of the plan for these tensors' shapes; both are made where they are missing. The plan
// stays until the context is released. *out NULL and BNR_OK: the session is distrusted.
enum bnr_status bnr__exec_acquire(struct bnr_exec **out, struct bnr_session *s,
                                  struct bnr_plans *plans, struct bnr_tensor *const *given,
                                  struct bnr_error *err);
void bnr__exec_release(struct bnr_session *s, struct bnr_exec *x);
void bnr__exec_free(struct bnr_exec *x);

// Runs all steps. exec->direct[k] is set for every direct output. Afterwards exec->slots hold the
// results until bnr__exec_clear, which must follow, also on failure.
enum bnr_status bnr__exec_run(struct bnr_run *run, struct bnr_tensor *const *given,
                              struct bnr_error *err);
void bnr__exec_clear(struct bnr_run *run);

// A tensor for direct output k that nobody else holds, kept by the context for later runs (the
// caller gets no reference).
enum bnr_status bnr__exec_spare(struct bnr_tensor **out, struct bnr_exec *x, size_t k,
                                struct bnr_error *err);

// exec_late.c: completes the types of a step whose shapes depend on data, from the tensors at hand:
// checks them as inference does and sets types[n_out].
enum bnr_status bnr__exec_infer(const struct bnr_exec *x, const struct bnr_step *st,
                                const struct bnr_args *a, struct bnr_type *types);
// BNR_SHAPE, naming the value, when t is not what the plan relies on.
enum bnr_status bnr__exec_check(const struct bnr_slot *slot, const struct bnr_tensor *t,
                                const struct bnr_node *n, struct bnr_error *err);

#endif
