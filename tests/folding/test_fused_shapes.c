// SPDX-License-Identifier: Apache-2.0
// Patterns 21 and 22: what cannot fold runs inside of a convolution's step, and no BatchNormalization is left
// to run by itself. By whole sessions: the verdicts, and the proof against double precision.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "runtime/interface.h"
#include "tests/lib/fold_test.h"

struct shape {
    int64_t channels, size, group;
    bool bias;
};

static const struct shape shapes[] = {
    {4, 6, 1, false}, {8, 7, 1, true}, {16, 9, 2, true}, {12, 6, 12, false}, {5, 5, 1, true}, {32, 8, 1, true},
};

static struct bnr_value *conv(struct net *t, const char *name, struct bnr_value *x, const struct shape *s,
                              int64_t k) {
    return net_conv(t, name, x,
                    (struct net_conv){.spatial = 2, .in = s->channels, .out = s->channels, .k = k,
                                      .pad = k / 2, .group = s->group, .bias = s->bias});
}

static struct bnr_value *input(struct net *t, const struct shape *s) {
    return net_input(t, "x", NET_DIMS(2, s->channels, s->size, s->size));
}

static void expect_verdicts(struct net *t, const char *cpu, size_t fused) {
    struct bnr_options o;
    bnr_session *session;
    size_t seen = 0;
    bnr_options_init(&o);
    o.cpu = cpu;
    o.threads = 2;
    assert_int_equal(bnr_session_create(&session, t->model, &o, &t->err), BNR_OK);
    assert_int_equal(bnr_session_plan(session, (const bnr_tensor *const *)t->data, t->g->n_inputs, &t->err),
                     BNR_OK);
    for (size_t i = 0; i < bnr_session_bn_count(session); i++) {
        struct bnr_bn_report r;
        assert_int_equal(bnr_session_bn(session, i, &r), BNR_OK);
        if (r.verdict == BNR_VERDICT_KEPT)
            fail_msg("%s, %lld channels: '%s' is kept: %s", cpu ? cpu : "best", (long long)r.channels, r.name,
                     r.reason);
        assert_non_null(r.into);
        seen += r.verdict == BNR_VERDICT_FUSED;
    }
    bnr_session_free(session);
    if (seen != fused)
        fail_msg("%zu are fused, expected %zu", seen, fused);
}

// All levels; `fused` of them do not fold.
static void check(struct net *t, size_t fused) {
    static const char *const cpus[] = {"generic", "avx2", NULL};
    struct bnr_verify_report *r;
    if (bnr__model_complete(t->model, &t->err) != BNR_OK)
        fail_msg("%s", t->err.message);
    for (size_t i = 0; i < BNR_COUNT(cpus); i++) {
        struct bnr_options o;
        bnr_options_init(&o);
        o.cpu = cpus[i];
        if (bnr_verify(&r, t->model, (const bnr_tensor *const *)t->data, t->g->n_inputs, &o, 0, &t->err) != BNR_OK)
            fail_msg("%s", t->err.message);
        if (!r->passed)
            fail_msg("%s: %g off, allowed %g", cpus[i] ? cpus[i] : "best", r->outputs[0].folded_double.max_abs,
                     r->outputs[0].allowed);
        bnr_verify_free(r);
        expect_verdicts(t, cpus[i], fused);
    }
    net_end(t);
}

// ---- 21: several batch norms behind one convolution --------------------------------------------------

static void several_readers(void **state) {
    for (size_t i = 0; i < BNR_COUNT(shapes); i++)
        for (int64_t k = 1; k <= 3; k += 2) {
            struct net t;
            net_begin(&t, 15);
            struct bnr_value *x = conv(&t, "conv", input(&t, &shapes[i]), &shapes[i], k);
            for (int b = 0; b < 3; b++) {
                char name[20];
                snprintf(name, sizeof name, "bn%d", b);
                struct bnr_value *y = net_bn(&t, name, x, shapes[i].channels);
                net_output(&t, net_op(&t, b == 1 ? "Sigmoid" : "Relu", NULL, NET_IN(y)));
            }
            check(&t, 3);
        }
}

// ---- 22: in front of a convolution -------------------------------------------------------------------

static void pre_activation(void **state) {
    static const char *const acts[] = {"Relu", "LeakyRelu", "Sigmoid"};
    for (size_t i = 0; i < BNR_COUNT(shapes); i++)
        for (int64_t k = 1; k <= 3; k += 2) {
            struct net t;
            net_begin(&t, 15);
            struct bnr_value *x = net_bn(&t, "bn", input(&t, &shapes[i]), shapes[i].channels);
            x = net_op(&t, acts[i % 3], NULL, NET_IN(x));
            net_output(&t, conv(&t, "conv", x, &shapes[i], k));
            check(&t, 1);
        }
}

// DenseNet: every layer reads all that came before through a batch norm of its own.
static void dense_block(void **state) {
    struct net t;
    net_begin(&t, 9);
    struct shape s = {8, 8, 1, false};
    struct bnr_value *all = input(&t, &s);
    for (int layer = 0; layer < 3; layer++) {
        char names[4][20];
        for (int i = 0; i < 4; i++)
            snprintf(names[i], sizeof names[i], "%s%d", i % 2 ? "conv" : "bn", layer * 2 + i / 2);
        struct bnr_value *x = net_op(&t, "Relu", NULL, NET_IN(net_bn(&t, names[0], all, s.channels)));
        x = net_conv(&t, names[1], x,
                     (struct net_conv){.spatial = 2, .in = s.channels, .out = 16, .k = 1});
        x = net_op(&t, "Relu", NULL, NET_IN(net_bn(&t, names[2], x, 16)));
        x = net_conv(&t, names[3], x, (struct net_conv){.spatial = 2, .in = 16, .out = 4, .k = 3, .pad = 1});
        all = net_op(&t, "Concat", NULL, NET_IN(all, x));
        net_attr_int(&t, "axis", 1);
        s.channels += 4;
    }
    net_output(&t, all);
    check(&t, 3);
}

// Two convolutions read the same batch norm and activation: ResNet-v2 where it narrows.
static void two_convolutions(void **state) {
    for (size_t i = 0; i < BNR_COUNT(shapes); i++) {
        struct net t;
        net_begin(&t, 15);
        struct bnr_value *x = net_bn(&t, "bn", input(&t, &shapes[i]), shapes[i].channels);
        x = net_op(&t, "Relu", NULL, NET_IN(x));
        net_output(&t, conv(&t, "a", x, &shapes[i], 3));
        net_output(&t, conv(&t, "b", x, &shapes[i], 1));
        check(&t, 1);
    }
}

// A shift in front of padding whose map would be too large.
static void padding(void **state) {
    struct net t;
    net_begin(&t, 15);
    const struct shape s = {4, 12, 1, true};
    net_output(&t, conv(&t, "conv", net_bn(&t, "bn", input(&t, &s), 4), &s, 3));
    check(&t, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_readers),  cmocka_unit_test(pre_activation), cmocka_unit_test(dense_block),
        cmocka_unit_test(two_convolutions), cmocka_unit_test(padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
