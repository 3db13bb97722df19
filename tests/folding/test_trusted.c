// SPDX-License-Identifier: Apache-2.0
// Large weights in a file are scaled before they are looked at (struct bnr_model, trusts_weights).
// Where the result is not finite, the session does not fold the BatchNormalization after all, whatever
// packs the weights, before or after it is known what shapes there will be.
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/bnrun.h"
#include "runtime/interface.h"
#include "tests/lib/fold_test.h"

enum { OUT = 16, KINDS = 6 };

static void stay(const struct bnr_tensor *t, size_t begin, size_t bytes) {
    (void)t, (void)begin, (void)bytes;
}

static struct bnr_value *bn(struct net *t, struct bnr_value *x, double scale) {
    return net_uniform_bn(t, "bn", x, OUT, scale, 0.5, 0, 1);
}

// 0: Winograd, 1: direct, 2: 1x1, 3: groups, 4: Gemm, 5: the BatchNormalization in front, by
// column. All in 64 KiB or more, as if in a mapped file.
static void build(struct net *t, int kind, double scale) {
    static const struct net_conv convs[] = {
        {.spatial = 2, .in = 128, .out = OUT, .k = 3, .group = 1, .pad = 1, .stride = 1},
        {.spatial = 2, .in = 128, .out = OUT, .k = 3, .group = 1, .pad = 1, .stride = 2},
        {.spatial = 2, .in = 1040, .out = OUT, .k = 1, .group = 1, .pad = 0, .stride = 1},
        {.spatial = 2, .in = 256, .out = OUT, .k = 3, .group = 2, .pad = 1, .stride = 1},
        {.spatial = 2},
        {.spatial = 2, .in = OUT, .out = 1040, .k = 1, .group = 1, .pad = 0, .stride = 1},
    };
    const struct net_conv *c = &convs[kind];
    struct bnr_value *x = kind == 4 ? net_input(t, "x", NET_DIMS(1, 1040))
                                    : net_input(t, "x", NET_DIMS(1, c->in, 9, 9));
    if (kind == 5)
        x = bn(t, x, scale);
    if (kind == 4)
        x = net_op(t, "Gemm", "linear", NET_IN(x, net_weight(t, "w", NET_DIMS(1040, OUT))));
    else
        x = net_conv(t, "linear", x, *c);
    net_output(t, kind == 5 ? x : bn(t, x, scale));
}

// `value` in the middle of the weights; zeros go in, so that outputs are finite unless a factor was
// folded.
static void check(int kind, double scale, float value, bool open, int threads) {
    struct net t;
    struct bnr_bn_report report;
    struct bnr_tensor *want = NULL, *got = NULL;
    net_begin(&t, 13);
    build(&t, kind, scale);
    for (size_t i = 0; i < t.g->n_values; i++) {
        struct bnr_tensor *w = t.g->values[i]->tensor;
        if (!w || w->nbytes < 1 << 16)
            continue;
        w->drop = stay;
        if (value != 0)
            w->f32[w->numel / 2 + 5] = value;
    }
    memset(t.data[0]->data, 0, t.data[0]->nbytes);
    if (open)
        bnr__value_declare(t.g->inputs[0])->shape.dims[0] = bnr__dim_unknown();
    assert_int_equal(bnr__model_complete(t.model, &t.err), BNR_OK);
    const bool fits = value == 0 || (isfinite(value) && isfinite((float)((double)value * scale)));
    net_run(&t, BNR_REFERENCE, 1, &want, NULL);
    net_run(&t, 0, threads, &got, &report);
    if (fits != (report.verdict == BNR_VERDICT_FOLDED))
        fail_msg("kind %d, %g: verdict %d", kind, (double)value, (int)report.verdict);
    double most = 0;
    for (size_t i = 0; i < want->numel; i++)
        most = fmax(most, fabs((double)want->f32[i]));
    for (size_t i = 0; i < want->numel && isfinite(value); i++)
        if (!(fabs((double)want->f32[i] - (double)got->f32[i]) <= 1e-5 * most))
            fail_msg("kind %d: [%zu] is %g, expected %g", kind, i, (double)got->f32[i],
                     (double)want->f32[i]);
    bnr_tensor_release(want);
    bnr_tensor_release(got);
    net_end(&t);
}

static void finite_or_not(void **state) {
    static const float values[] = {0, 1e20f, 1e30f, -INFINITY, NAN};
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < BNR_COUNT(values); i++)
            for (int open = 0; open < 2; open++)
                for (int threads = 1; threads <= 2; threads++)
                    check(kind, 1e15, values[i], open, threads);
}

// ---- shapes that are not known at first ----------------------------------------------------------

enum { THREADS = 4 };

struct user {
    struct bnr_session *s;
    struct net *t;
    struct bnr_tensor *y;
    enum bnr_status status;
};

static void *use(void *arg) {
    struct user *u = arg;
    u->status = bnr_run(u->s, (const bnr_tensor *const *)u->t->data, 1, &u->y, 1, NULL);
    return NULL;
}

static enum bnr_bn_verdict verdict_of(const struct bnr_session *s) {
    struct bnr_bn_report report;
    assert_int_equal(bnr_session_bn(s, 0, &report), BNR_OK);
    return report.verdict;
}

// What the session tells and does is right whether it is asked, planned or run first, and by how
// many threads.
static void whoever_comes_first(void **state) {
    (void)state;
    for (int first = 0; first < 3; first++) {
        struct net t;
        struct bnr_options o;
        struct user users[THREADS];
        pthread_t threads[THREADS];
        struct bnr_session *s;
        net_begin(&t, 13);
        build(&t, 0, 1e15);
        for (size_t i = 0; i < t.g->n_values; i++) {
            struct bnr_tensor *w = t.g->values[i]->tensor;
            if (w && w->nbytes >= 1 << 16) {
                w->drop = stay;
                w->f32[w->numel / 2 + 5] = 1e30F;
            }
        }
        bnr__value_declare(t.g->inputs[0])->shape.dims[0] = bnr__dim_unknown();
        assert_int_equal(bnr__model_complete(t.model, &t.err), BNR_OK);
        bnr_options_init(&o);
        o.flags = BNR_PROFILE;
        assert_int_equal(bnr_session_create(&s, t.model, &o, &t.err), BNR_OK);
        if (first == 0)
            assert_int_not_equal(verdict_of(s), BNR_VERDICT_FOLDED);
        if (first == 1)
            assert_int_equal(bnr_session_plan(s, (const bnr_tensor *const *)t.data, 1, &t.err),
                             BNR_OK);
        for (int i = 0; i < THREADS; i++) {
            users[i] = (struct user){.s = s, .t = &t};
            assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
        }
        struct bnr_tensor *want = NULL;
        net_run(&t, BNR_NO_FOLD, 1, &want, NULL);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(users[i].status, BNR_OK);
            assert_true(bnr__tensor_equal(users[i].y, want));
            bnr_tensor_release(users[i].y);
        }
        bnr_tensor_release(want);
        assert_int_not_equal(verdict_of(s), BNR_VERDICT_FOLDED);
        char *profile = bnr_session_profile(s);
        assert_non_null(strstr(profile, "linear"));
        free(profile);
        struct bnr_session_stats stats;
        bnr_session_stats(s, &stats);
        assert_int_equal(stats.plans, 1);
        assert_true(stats.packed_bytes > 0);
        bnr_session_free(s);
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(finite_or_not),
                                       cmocka_unit_test(whoever_comes_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
