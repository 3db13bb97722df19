// SPDX-License-Identifier: Apache-2.0
// Pattern 24: BatchNormalizations in the bodies of If, Loop, Scan and SequenceMap are folded, and proved to
// be: through training mode, layer by layer, and calibrated.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/interface.h"
#include "runtime/train.h"
#include "tests/lib/fold_test.h"

static const struct net_conv conv4 = {.spatial = 2, .in = 4, .out = 4, .k = 3, .group = 1, .pad = 1, .stride = 1};

static void must(const struct net *t, enum bnr_status st) {
    if (st != BNR_OK)
        fail_msg("status %d: %s", st, t->err.message);
}

// ---- building -----------------------------------------------------------------------------------------

struct body {
    struct bnr_node *owner;
    struct bnr_graph *outer;
};

// What is made next is in a body of the node made last.
static struct body enter(struct net *t) {
    const struct body b = {t->node, t->g};
    t->g = bnr__graph_new(t->model, t->node);
    assert_non_null(t->g);
    return b;
}

static void leave(struct net *t, struct body b, const char *name) {
    struct bnr_graph *g = t->g;
    const struct bnr_attr attr = {.name = name, .type = BNR_ATTR_GRAPH, .n = 1, .graphs = &g};
    must(t, bnr__node_set_attr(b.owner, &attr));
    t->node = b.owner;
    t->g = b.outer;
}

static struct bnr_value *body_input(struct net *t, enum bnr_dtype dtype, const char *name) {
    struct bnr_value *v;
    must(t, bnr__value_new(&v, t->g, name, &t->err));
    *bnr__value_declare(v) = (struct bnr_type){.dtype = dtype, .shape = bnr__shape_unknown()};
    must(t, bnr__graph_add_input(t->g, v, &t->err));
    return v;
}

static struct bnr_value *typed_input(struct net *t, const char *name, enum bnr_dtype dtype, double value) {
    const enum bnr_dtype before = t->dtype;
    t->dtype = dtype;
    struct bnr_value *v = net_input(t, name, 0, NULL);
    t->dtype = before;
    bnr__store_f64(dtype, t->data[t->g->n_inputs - 1]->data, &value, 1);
    return v;
}

static void complete(struct net *t) {
    must(t, bnr__model_complete(t->model, &t->err));
    must(t, bnr__model_verify(t->model, &t->err));
}

static struct bnr_verify_report *report(
    struct net *t, enum bnr_status (*check)(struct bnr_verify_report **, const bnr_model *,
                                            const bnr_tensor *const *, size_t, const struct bnr_options *,
                                            double, struct bnr_error *)) {
    struct bnr_verify_report *r;
    must(t, check(&r, t->model, (const bnr_tensor *const *)t->data, t->g->n_inputs, NULL, 0, &t->err));
    return r;
}

// Verdicts of a session: all folded.
static void expect_folded(struct net *t) {
    struct bnr_session *s;
    struct bnr_bn_report bn;
    must(t, bnr_session_create(&s, t->model, NULL, &t->err));
    assert_true(bnr_session_bn_count(s) > 0);
    for (size_t k = 0; k < bnr_session_bn_count(s); k++) {
        assert_int_equal(bnr_session_bn(s, k, &bn), BNR_OK);
        if (bn.verdict != BNR_VERDICT_FOLDED)
            fail_msg("%s: %s", bn.name, bn.reason);
    }
    bnr_session_free(s);
}

enum kind { IF, LOOP, SCAN, SEQUENCE_MAP, KINDS };

// x -> conv and BN in a body that runs `rounds` times (If: that many times or not at all) -> output. With
// `captured` the parameters are outside of the body.
static void network(struct net *t, enum kind kind, int rounds, bool captured) {
    net_begin(t, 17);
    const bool slices = kind == SCAN;
    struct bnr_value *x = slices ? net_input(t, "x", NET_DIMS(rounds, 2, 4, 5, 5)) : net_input(t, "x", NET_DIMS(2, 4, 5, 5));
    struct bnr_value *w = captured ? net_weight(t, "w", NET_DIMS(4, 4, 3, 3)) : NULL, *in[3] = {NULL}, *inner = x;
    if (kind == IF)
        net_op(t, "If", "owner", NET_IN(typed_input(t, "condition", BNR_BOOL, rounds)));
    if (kind == LOOP)
        net_op(t, "Loop", "owner", 3, (struct bnr_value *[]){typed_input(t, "trips", BNR_INT64, rounds), NULL, x});
    if (kind == SCAN) {
        net_op(t, "Scan", "owner", NET_IN(x));
        net_attr_int(t, "num_scan_inputs", 1);
    }
    if (kind == SEQUENCE_MAP) {
        in[0] = in[1] = in[2] = x;
        net_op(t, "SequenceMap", "owner", NET_IN(net_op(t, "SequenceConstruct", "items", rounds, in)));
    }
    struct bnr_value *out = t->node->out[0];
    const struct body b = enter(t);
    struct bnr_value *condition = NULL;
    if (kind == LOOP) {
        body_input(t, BNR_INT64, "round");
        condition = body_input(t, BNR_BOOL, "go");
    }
    if (kind != IF)
        inner = body_input(t, BNR_FLOAT, "inner");
    if (condition)
        net_output(t, net_op(t, "Identity", NULL, NET_IN(condition)));
    struct bnr_value *y = captured ? net_op(t, "Conv", "conv", NET_IN(inner, w)) : net_conv(t, "conv", inner, conv4);
    if (captured)
        net_attr_ints(t, "pads", NET_INTS(1, 1, 1, 1));
    net_output(t, net_bn(t, "bn", y, 4));
    leave(t, b, kind == IF ? "then_branch" : "body");
    if (kind == IF) {
        const struct body other = enter(t);
        net_output(t, net_op(t, "Neg", NULL, NET_IN(x)));
        leave(t, other, "else_branch");
    }
    if (kind == SEQUENCE_MAP) {
        out = net_op(t, "ConcatFromSequence", NULL, NET_IN(out));
        net_attr_int(t, "axis", 0);
    }
    net_output(t, out);
    complete(t);
}

// ---- the proofs ---------------------------------------------------------------------------------------

static void trained_where_it_runs_once(void **state) {
    for (int k = 0; k < 2 * KINDS; k++) {
        struct net t;
        network(&t, (enum kind)(k / 2), 1, k & 1);
        expect_folded(&t);
        struct bnr_verify_report *r = report(&t, bnr_verify_training), *plain = report(&t, bnr_verify);
        if (!r->passed || r->n_checked != 1)
            fail_msg("kind %d: passed %d, %s", k / 2, r->passed, r->bns[0].reason ? r->bns[0].reason : "");
        assert_true(r->outputs[0].algebra_double.max_abs <= 1e-12 * r->outputs[0].magnitude);
        assert_true(plain->passed);
        assert_true(fabs(r->outputs[0].magnitude - plain->outputs[0].magnitude) > 1e-3);
        bnr_verify_free(r);
        bnr_verify_free(plain);
        net_end(&t);
    }
}

// Statistics that differ from round to round are no constants.
static void not_trained_where_it_runs_more_often(void **state) {
    for (int kind = LOOP; kind < KINDS; kind++) {
        struct net t;
        network(&t, (enum kind)kind, 3, false);
        struct bnr_verify_report *r = report(&t, bnr_verify_training);
        assert_int_equal(r->n_checked, 0);
        assert_non_null(strstr(r->bns[0].reason, "several times"));
        assert_false(r->passed);
        bnr_verify_free(r);
        net_end(&t);
    }
}

static void not_trained_where_nothing_runs(void **state) {
    for (int kind = IF; kind <= LOOP; kind++) {
        struct net t;
        network(&t, (enum kind)kind, 0, false);
        struct bnr_verify_report *r = report(&t, bnr_verify_training);
        assert_int_equal(r->n_checked, 0);
        assert_non_null(strstr(r->bns[0].reason, "nothing ran it"));
        assert_false(r->passed);
        bnr_verify_free(r);
        r = report(&t, bnr_verify_layers);
        assert_true(r->passed);
        assert_false(r->bns[0].checked);
        assert_non_null(strstr(r->bns[0].reason, "nothing ran it"));
        bnr_verify_free(r);
        net_end(&t);
    }
}

// The output in every round.
static void compared_in_every_round(void **state) {
    for (int k = 0; k < 2 * KINDS; k++) {
        const enum kind kind = (enum kind)(k / 2);
        const int rounds = kind == IF ? 1 : 3;
        struct net t;
        network(&t, kind, rounds, k & 1);
        struct bnr_verify_report *r = report(&t, bnr_verify_layers);
        if (!r->passed || !r->bns[0].checked)
            fail_msg("kind %d: passed %d, %s", kind, r->passed, r->bns[0].reason ? r->bns[0].reason : "");
        const struct bnr_verify_output *o = &r->bns[0].output;
        assert_true(o->passed && o->magnitude > 0 && o->folded_double.max_abs > 0);
        if (kind != SEQUENCE_MAP)
            assert_int_equal(o->numel, rounds * 2 * 4 * 5 * 5);
        bnr_verify_free(r);
        net_end(&t);
    }
}

// If in a Loop: one branch in the first round, the other in the second.
static void nested(void **state) {
    for (int rounds = 1; rounds <= 2; rounds++) {
        struct net t;
        net_begin(&t, 17);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 4, 5, 5));
        net_op(&t, "Loop", "loop", 3,
               (struct bnr_value *[]){typed_input(&t, "trips", BNR_INT64, rounds), NULL, x});
        struct bnr_value *out = t.node->out[0];
        const struct body loop = enter(&t);
        struct bnr_value *round = body_input(&t, BNR_INT64, "round"), *go = body_input(&t, BNR_BOOL, "go");
        struct bnr_value *inner = body_input(&t, BNR_FLOAT, "inner");
        net_output(&t, net_op(&t, "Identity", NULL, NET_IN(go)));
        struct bnr_value *later = net_op(&t, "Cast", NULL, NET_IN(round));
        net_attr_int(&t, "to", BNR_BOOL);
        struct bnr_value *y = net_op(&t, "If", "if", NET_IN(later));
        static const char *const branches[] = {"then_branch", "else_branch"}, *const names[] = {"later", "first"};
        for (int k = 0; k < 2; k++) {
            const struct body b = enter(&t);
            net_output(&t, net_bn(&t, names[k], net_conv(&t, k ? "c1" : "c2", inner, conv4), 4));
            leave(&t, b, branches[k]);
        }
        net_output(&t, y);
        leave(&t, loop, "body");
        net_output(&t, out);
        complete(&t);
        expect_folded(&t);
        struct bnr_verify_report *r = report(&t, bnr_verify_training);
        assert_true(r->passed);
        for (size_t k = 0; k < r->n_bns; k++)
            assert_int_equal(r->bns[k].checked, rounds == 2 || strcmp(r->bns[k].name, "first") == 0);
        bnr_verify_free(r);
        net_end(&t);
    }
}

// ---- calibration --------------------------------------------------------------------------------------

// BN alone, its output being the next round's input: from the second round on the statistics follow from
// gamma and beta.
static void rounds_are_averaged(void **state) {
    struct net t;
    struct bnr_tensor *out[8] = {NULL};
    struct bnr_session *s;
    struct bnr_trainer *trainer;
    bool again;
    net_begin(&t, 17);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(5, 4, 7));
    net_op(&t, "Loop", "loop", 3, (struct bnr_value *[]){typed_input(&t, "trips", BNR_INT64, 3), NULL, x});
    struct bnr_value *loop = t.node->out[0];
    const struct body b = enter(&t);
    body_input(&t, BNR_INT64, "round");
    struct bnr_value *go = body_input(&t, BNR_BOOL, "go"), *inner = body_input(&t, BNR_FLOAT, "inner");
    net_output(&t, net_op(&t, "Identity", NULL, NET_IN(go)));
    net_output(&t, net_bn(&t, "bn", inner, 4));
    const struct bnr_tensor *gamma = t.node->in[1]->tensor, *beta = t.node->in[2]->tensor;
    leave(&t, b, "body");
    net_output(&t, loop);
    complete(&t);
    must(&t, bnr__trainer_new(&trainer, t.model, false, &t.err));
    assert_int_equal(trainer->n_all, 4);
    must(&t, bnr_session_create(&s, trainer->model, NULL, &t.err));
    must(&t, bnr_run(s, (const bnr_tensor *const *)t.data, 2, out, 4, &t.err));
    must(&t, bnr__trainer_read(trainer, out, &again, &t.err));
    const struct bnr_train_bn *bn = &trainer->bns[0];
    assert_false(again);
    assert_int_equal(bn->runs, 3);
    assert_true(bn->count == 105 && bn->fewest == 35);
    for (size_t c = 0; c < 4; c++) {
        double mean = 0, square = 0;
        for (size_t n = 0; n < 5; n++)
            for (size_t i = 0; i < 7; i++) {
                const double v = bnr__tensor_f64(t.data[0], (n * 4 + c) * 7 + i);
                mean += v / 35;
                square += v * v / 35;
            }
        const double g = bnr__tensor_f64(gamma, c), shift = bnr__tensor_f64(beta, c);
        double var[3] = {square - mean * mean};
        for (int k = 1; k < 3; k++)
            var[k] = g * g * var[k - 1] / (var[k - 1] + 1e-5);
        assert_true(fabs(bn->mean[c] - (mean + 2 * shift) / 3) < 1e-5);
        assert_true(fabs(bn->unbiased[c] - (var[0] + var[1] + var[2]) / 3 * 35 / 34) < 1e-5);
    }
    for (int i = 0; i < 4; i++)
        bnr_tensor_release(out[i]);
    bnr_session_free(s);
    bnr__trainer_free(trainer);
    net_end(&t);
}

// A branch that only the second batch takes is calibrated by that batch alone.
static void branches_are_calibrated_when_taken(void **state) {
    for (int taken = 0; taken < 2; taken++) {
        struct net t;
        const char *name, *reason;
        network(&t, IF, 0, false);
        struct bnr_calibration *c;
        must(&t, bnr_calibration_create(&c, t.model, NULL, -1, &t.err));
        for (int batch = 0; batch < 2; batch++) {
            t.data[1]->u8[0] = batch == 1 && taken;
            must(&t, bnr_calibration_add(c, (const bnr_tensor *const *)t.data, 2, &t.err));
        }
        assert_int_equal(bnr_calibration_bn(c, 0, &name, &reason), BNR_OK);
        assert_string_equal(name, "bn");
        if (taken)
            assert_null(reason);
        else
            assert_non_null(strstr(reason, "nothing ran it"));
        bnr_calibration_free(c);
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trained_where_it_runs_once),
        cmocka_unit_test(not_trained_where_it_runs_more_often),
        cmocka_unit_test(not_trained_where_nothing_runs),
        cmocka_unit_test(compared_in_every_round),
        cmocka_unit_test(nested),
        cmocka_unit_test(rounds_are_averaged),
        cmocka_unit_test(branches_are_calibrated_when_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
