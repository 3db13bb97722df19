// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/node_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/cpu.h"
#include "runtime/packs.h"

static const struct {
    const char *name;
    unsigned without;
} levels[] = {{"generic", 0}, {"avx2", 0}, {"avx512", BNR_CPU_VNNI}, {"avx512", 0}, {"neon", 0}};

// Bytes of a tensor that end at a guard page.
struct guarded {
    struct bnr_tensor t;
    float *floats;
    size_t n;
};

static void guarded_new(struct guarded *g, const struct bnr_tensor *like) {
    g->n = (like->nbytes + 3) / 4;
    g->floats = guard_floats(g->n);
    g->t = (struct bnr_tensor){.kind = BNR_KIND_TENSOR};
    bnr__tensor_set(&g->t, like->dtype, like->rank, like->dims,
                    (char *)g->floats + 4 * g->n - like->nbytes);
}

struct run {
    struct ops_test *t;
    unsigned constants, cpu;
    struct bnr_pool *pool;
    struct guarded out[OPS_TEST_MAX];
    enum bnr_status status;
    char kernel[80];
    const char *what;
};

static void fill_prepare(struct run *r, struct bnr_prepare *cx, const struct bnr_info **in,
                         const struct bnr_info **out, struct bnr_info *infos) {
    struct ops_test *t = r->t;
    for (int i = 0; i < t->n_in; i++) {
        infos[i] = t->in[i] ? *t->node->in[i]->info : bnr__info_unknown();
        infos[i].tensor = r->constants >> i & 1 ? t->in[i] : NULL;
        in[i] = t->in[i] ? &infos[i] : NULL;
    }
    for (int i = 0; i < t->n_out; i++) {
        struct bnr_info *info = &infos[OPS_TEST_MAX + i];
        *info = bnr__info_unknown();
        if (t->out[i])
            info->type =
                (struct bnr_type){.dtype = t->out[i]->dtype,
                                  .shape = bnr__shape_of(t->out[i]->rank, t->out[i]->dims)};
        else if (t->node->out[i])
            info->type = t->node->out[i]->info->type;
        out[i] = t->node->out[i] ? info : NULL;
    }
    cx->node = t->node;
    cx->in = in;
    cx->out = out;
    cx->cpu = r->cpu;
    cx->threads = bnr__pool_threads(r->pool);
    cx->overwrites = -1;
    cx->err = &t->err;
}

static void run_kernel(struct run *r) {
    struct ops_test *t = r->t;
    struct bnr_arena arena = {0};
    struct bnr_packs packs;
    const struct bnr_info *in[OPS_TEST_MAX], *out[OPS_TEST_MAX];
    struct bnr_info infos[2 * OPS_TEST_MAX];
    struct guarded given[OPS_TEST_MAX];
    const struct bnr_tensor *ins[OPS_TEST_MAX] = {NULL};
    struct bnr_tensor *outs[OPS_TEST_MAX] = {NULL};
    bnr__packs_init(&packs, NULL);
    struct bnr_prepare cx = {.arena = &arena, .temp = &arena, .packs = &packs};
    fill_prepare(r, &cx, in, out, infos);
    assert_non_null(t->node->op->prepare);
    if (t->node->op->prepare(&cx) != BNR_OK)
        fail_msg("%s", t->err.message);
    if (!cx.run)
        fail_msg("%s: no kernel", r->what);
    assert_int_equal(bnr__packs_fill(&packs), BNR_OK);
    snprintf(r->kernel, sizeof r->kernel, "%s", cx.kernel);
    for (int i = 0; i < t->n_in; i++) {
        if (!t->in[i])
            continue;
        guarded_new(&given[i], t->in[i]);
        if (t->in[i]->nbytes)
            memcpy(given[i].t.data, t->in[i]->data, t->in[i]->nbytes);
        ins[i] = &given[i].t;
    }
    for (int i = 0; i < t->n_out; i++) {
        if (!t->out[i])
            continue;
        guarded_new(&r->out[i], t->out[i]);
        outs[i] = &r->out[i].t;
    }
    const size_t scratch = (cx.scratch + 63) / 64 * 64 / sizeof(float);
    float *memory = guard_floats(scratch);
    r->status = BNR_OK;
    const struct bnr_args a = {.node = t->node,
                               .in = ins,
                               .n_in = t->n_in,
                               .out = outs,
                               .n_out = t->n_out,
                               .pool = r->pool,
                               .scratch = memory,
                               .status = &r->status,
                               .err = &t->err};
    cx.run(&a, cx.state);
    guard_free(memory, scratch);
    for (int i = 0; i < t->n_in; i++)
        if (t->in[i])
            guard_free(given[i].floats, given[i].n);
    bnr__packs_free(&packs);
    bnr__arena_free(&arena);
}

static void free_outputs(struct run *r) {
    for (int i = 0; i < r->t->n_out; i++)
        if (r->t->out[i])
            guard_free(r->out[i].floats, r->out[i].n);
}

static void compare(const struct run *r, double tolerance, const char *what) {
    for (int i = 0; i < r->t->n_out; i++) {
        const struct bnr_tensor *want = r->t->out[i];
        double most = 0;
        if (!want)
            continue;
        const bool real = bnr__dtype_is_float(want->dtype);
        for (size_t k = 0; k < want->numel && real; k++) {
            const double w = fabs(bnr__tensor_f64(want, k));
            most = isfinite(w) && w > most ? w : most;
        }
        const double bound = real ? tolerance * (1 + most) : tolerance >= 1 ? tolerance : 0;
        for (size_t k = 0; k < want->numel; k++) {
            const double w = bnr__tensor_f64(want, k), y = bnr__tensor_f64(&r->out[i].t, k);
            if (isnan(w) ? !isnan(y) : !(w == y || fabs(w - y) <= bound))
                fail_msg("%s: %s: output %d[%zu] of %zu is %.9g, by reference %.9g", what,
                         r->kernel, i, k, want->numel, y, w);
        }
    }
}

void node_test(struct ops_test *t, unsigned constants, double tolerance, const char *what) {
    struct bnr_pool *pool = test_pool(2);
    ops_test_ok(t);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct run r = {.t = t, .constants = constants, .what = what}, twice;
        if (!bnr__cpu_level(levels[level].name, bnr__cpu_detect(), &r.cpu))
            continue;
        r.cpu &= ~levels[level].without;
        twice = r;
        twice.pool = pool;
        run_kernel(&r);
        if (r.status != BNR_OK)
            fail_msg("%s: %s", what, t->err.message);
        compare(&r, tolerance, what);
        run_kernel(&twice);
        for (int i = 0; i < t->n_out; i++)
            if (t->out[i] && t->out[i]->nbytes &&
                memcmp(r.out[i].t.data, twice.out[i].t.data, t->out[i]->nbytes) != 0)
                fail_msg("%s: %s: two threads give other bits", what, r.kernel);
        free_outputs(&r);
        free_outputs(&twice);
    }
    bnr__pool_free(pool);
    ops_test_end(t);
}

void node_test_refused(struct ops_test *t, unsigned constants, const char *part) {
    if (ops_test_run(t) == BNR_OK || !strstr(t->err.message, part))
        fail_msg("the reference says '%s', expected '%s'", t->err.message, part);
    struct run r = {.t = t, .constants = constants, .cpu = bnr__cpu_detect(), .what = part};
    t->err = (struct bnr_error){0};
    run_kernel(&r);
    if (r.status == BNR_OK || !strstr(t->err.message, part))
        fail_msg("the kernel says '%s', expected '%s'", t->err.message, part);
    ops_test_end(t);
}
