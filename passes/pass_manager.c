// SPDX-License-Identifier: Apache-2.0
// Runs passes in the order of passes.inc until none of them finds anything more to do: first
// cleaning and folding, then what prepares for our own kernels or for a file, with cleaning again.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/op.h"
#include "passes/lib/bn_report.h"
#include "passes/pass.h"
#include "runtime/base/text.h"

#define BNR_PASS(ident) extern const struct bnr_pass bnr__pass_##ident;
#include "passes/passes.inc"
#undef BNR_PASS

#define BNR_PASS(ident) &bnr__pass_##ident,
static const struct bnr_pass *const table[] = {
#include "passes/passes.inc"
};
#undef BNR_PASS

// Every round of a correct set of passes makes the graph smaller in some way, so a handful is
// enough; the cap is for sets that undo each other.
enum { MAX_ROUNDS = 20 };

const struct bnr_pass *bnr__pass_at(size_t i) {
    return i < BNR_COUNT(table) ? table[i] : NULL;
}

// ---- what passes call ---------------------------------------------------------------------------

static void log_line(const struct bnr_pass_cx *cx, enum bnr_log_level level, const char *fmt, ...)
    BNR_PRINTF(3, 4);
static void log_line(const struct bnr_pass_cx *cx, enum bnr_log_level level, const char *fmt, ...) {
    if (!cx->options->log)
        return;
    char text[1200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    cx->options->log(cx->options->log_user, level, text);
}

bool bnr__pass_may_rewrite(struct bnr_pass_cx *cx) {
#ifndef NDEBUG
    // The rewrite before this one left a valid graph. Its failure is found by whoever runs the
    // pass.
    if (cx->changed && cx->broken.code == BNR_OK)
        bnr__model_verify(cx->model, &cx->broken);
#endif
    if (cx->options->stop_after >= 0 && cx->rewrites >= cx->options->stop_after)
        return false;
    cx->rewrites++;
    cx->changed = true;
    return true;
}

void bnr__pass_skip(struct bnr_pass_cx *cx, const char *pass, const struct bnr_node *n,
                    const char *fmt, ...) {
    char text[800];
    va_list args;
    if (!cx->options->log)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_line(cx, BNR_LOG_DEBUG, "%s: skip '%s': %s", pass, n->label, text);
}

// ---- one pass -----------------------------------------------------------------------------------

struct run_cx {
    struct bnr_pass_cx *cx;
    const struct bnr_pass *pass;
};

static enum bnr_status run_on_graph(struct bnr_graph *g, void *arg) {
    const struct run_cx *r = arg;
    const enum bnr_status st = r->pass->run(r->cx, g);
    bnr__arena_reset(r->cx->temp);
    return st;
}

static enum bnr_status print_graph(const struct bnr_pass_cx *cx, const struct bnr_pass *pass) {
    const char *after = cx->options->print_after;
    if (!after || !cx->options->log ||
        (strcmp(after, "all") != 0 && strcmp(after, pass->name) != 0))
        return BNR_OK;
    struct bnr_text t = {.allocator = cx->model->allocator};
    bnr__text_add(&t, "after %s:\n", pass->name);
    bnr__print_text(&t, cx->model);
    const bool failed = t.failed;
    if (!failed)
        cx->options->log(cx->options->log_user, BNR_LOG_INFO, t.data);
    bnr__text_free(&t);
    return failed ? bnr__no_memory(cx->err) : BNR_OK;
}

static enum bnr_status run_pass(struct bnr_pass_cx *cx, const struct bnr_pass *pass,
                                bool *changed) {
    struct run_cx r = {.cx = cx, .pass = pass};
    const int before = cx->rewrites;
    cx->changed = false;
    cx->broken.code = BNR_OK;
    BNR_TRY(bnr__model_each_graph(cx->model, run_on_graph, &r));
    if (cx->changed) {
        *changed = true;
        log_line(cx, BNR_LOG_DEBUG, "%s: %d rewrites", pass->name, cx->rewrites - before);
        const bool midway = cx->broken.code != BNR_OK;
        struct bnr_error broken = cx->broken;
        const enum bnr_status st = midway ? broken.code : bnr__model_verify(cx->model, &broken);
        if (st == BNR_NO_MEMORY)
            return bnr__no_memory(cx->err);
        if (st != BNR_OK)
            return bnr__fail(cx->err, BNR_INTERNAL, "pass %s left an invalid graph: %s", pass->name,
                             broken.message);
        if (!pass->keeps_types)
            BNR_TRY(bnr__model_infer(cx->model, cx->err));
    }
    return print_graph(cx, pass);
}

// ---- which passes -------------------------------------------------------------------------------

struct pass_list {
    const struct bnr_pass *passes[2 * BNR_COUNT(table) + 64];
    // How many rewrites there were when the pass found nothing to do; it looks again after others only.
    int idle_at[2 * BNR_COUNT(table) + 64];
    size_t n;
};

static void add_pass(struct pass_list *list, const struct bnr_pass *pass) {
    list->idle_at[list->n] = -1;
    list->passes[list->n++] = pass;
}

// As above, but the pass does not look again at what it saw in `before`: folds do not ask whether folding is
// over.
static void add_again(struct pass_list *list, const struct bnr_pass *pass,
                      const struct pass_list *before) {
    add_pass(list, pass);
    for (size_t i = 0; i < before->n; i++)
        if (before->passes[i] == pass && (pass->group & BNR_PASS_FOLD))
            list->idle_at[list->n - 1] = before->idle_at[i];
}

static enum bnr_status unknown_pass(const char *name, size_t len, struct bnr_error *err) {
    char known[600] = "";
    size_t used = 0;
    for (size_t i = 0; i < BNR_COUNT(table) && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 table[i]->name);
    return bnr__fail(err, BNR_INVALID, "there is no pass '%.*s'; known: %s", (int)len, name, known);
}

static enum bnr_status parse_list(const char *names, struct pass_list *list,
                                  struct bnr_error *err) {
    while (names) {
        const char *comma = strchr(names, ',');
        const size_t len = comma ? (size_t)(comma - names) : strlen(names);
        const struct bnr_pass *found = NULL;
        for (size_t i = 0; i < BNR_COUNT(table) && !found; i++)
            if (strlen(table[i]->name) == len && memcmp(table[i]->name, names, len) == 0)
                found = table[i];
        if (!found && len > 0)
            return unknown_pass(names, len > 100 ? 100 : len, err);
        if (found && list->n == BNR_COUNT(list->passes))
            return bnr__fail(err, BNR_INVALID, "more than %zu passes", list->n);
        if (found)
            add_pass(list, found);
        names = comma ? comma + 1 : NULL;
    }
    return BNR_OK;
}

static enum bnr_status run_to_fixed_point(struct bnr_pass_cx *cx, struct pass_list *list) {
    bool changed = true;
    for (int round = 0; changed && round < MAX_ROUNDS; round++) {
        changed = false;
        for (size_t i = 0; i < list->n; i++) {
            bool rewrote = false;
            if (list->idle_at[i] == cx->rewrites)
                continue;
            BNR_TRY(run_pass(cx, list->passes[i], &rewrote));
            list->idle_at[i] = rewrote ? -1 : cx->rewrites;
            changed |= rewrote;
        }
    }
    if (changed)
        log_line(cx, BNR_LOG_WARNING, "passes still rewrite after %d rounds", MAX_ROUNDS);
    return BNR_OK;
}

static enum bnr_status run_groups(struct bnr_pass_cx *cx) {
    static const unsigned stages[] = {BNR_PASS_CLEAN | BNR_PASS_GATHER | BNR_PASS_FOLD,
                                      BNR_PASS_CLEAN | BNR_PASS_FUSE | BNR_PASS_RAISE};
    struct pass_list before = {.n = 0};
    for (size_t s = 0; s < BNR_COUNT(stages); s++) {
        struct pass_list list = {.n = 0};
        const unsigned only = stages[s] & ~(unsigned)BNR_PASS_CLEAN;
        // An affine that was moved for our kernels may meet others there.
        const unsigned again = s > 0 && (cx->groups & BNR_PASS_FUSE) ? BNR_PASS_FOLD : 0;
        for (size_t i = 0; i < BNR_COUNT(table); i++)
            if (table[i]->group & (stages[s] | again) & cx->groups)
                add_again(&list, table[i], &before);
        cx->settled = s > 0 || !(cx->groups & BNR_PASS_FOLD);
        if (s == 0 || (cx->groups & only))
            BNR_TRY(run_to_fixed_point(cx, &list));
        before = list;
    }
    return BNR_OK;
}

enum bnr_status bnr__passes_run(struct bnr_model *m, const struct bnr_options *options,
                                unsigned groups, struct bnr_error *err) {
    const struct bnr_options none = {.struct_size = sizeof none, .stop_after = -1};
    struct bnr_arena temp;
    struct pass_list list = {.n = 0};
    struct bnr_pass_cx cx = {.model = m,
                             .options = options ? options : &none,
                             .temp = &temp,
                             .err = err,
                             .groups = groups};
    if (groups & BNR_PASS_FUSE)
        cx.groups |= BNR_PASS_GATHER;
    const bool named = cx.options->passes != NULL;
    if (named) {
        BNR_TRY(parse_list(cx.options->passes, &list, err));
        cx.groups = ~0u;
    }
    bnr__arena_init(&temp, m->allocator);
    enum bnr_status st = bnr__bn_register(&cx);
    if (st == BNR_OK)
        st = named ? run_to_fixed_point(&cx, &list) : run_groups(&cx);
    if (st == BNR_OK)
        st = bnr__bn_conclude(&cx);
    bnr__arena_free(&temp);
    return st;
}
