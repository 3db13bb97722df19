// SPDX-License-Identifier: Apache-2.0
// Parameters of a BatchNormalization that are wrong: where the model is still valid it is kept, with a
// reason, and computes what it says; where it is not, loading says so in one line.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/interface.h"
#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, C = 4 };

enum parameter { SCALE, BIAS, MEAN, VAR, PARAMETERS };

static const char *const names[] = {"scale", "bias", "mean", "var"};

// One parameter other than the rest.
struct odd {
    enum parameter which;
    enum bnr_dtype dtype;
    int rank;
    int64_t dims[2];
    double value; // of its element 1
};

// conv -> BN. open: the conv is a Reshape to a shape that is an input, so that no rank is known.
static void network(struct net *t, const struct odd *odd, bool open) {
    struct bnr_value *in[5];
    net_begin(t, 15);
    if (open) {
        struct bnr_value *x = net_input(t, "x", NET_DIMS(1, C, 2, 2));
        t->dtype = BNR_INT64;
        struct bnr_value *shape = net_input(t, "shape", NET_DIMS(4));
        const int64_t dims[4] = {1, C, 2, 2};
        memcpy(t->data[1]->i64, dims, sizeof dims);
        bnr__value_declare(shape)->shape = bnr__shape_unknown();
        t->dtype = BNR_FLOAT;
        in[0] = net_op(t, "Reshape", "reshape", NET_IN(x, shape));
    } else {
        in[0] = net_conv(t, "conv", net_input(t, "x", NET_DIMS(1, 3, 2, 2)),
                         (struct net_conv){.spatial = 2, .in = 3, .out = C, .k = 1});
    }
    for (int k = 0; k < PARAMETERS; k++) {
        double v[8] = {1, 1, 1, 1, 1, 1, 1, 1};
        const struct odd usual = {.dtype = BNR_FLOAT, .rank = 1, .dims = {C}, .value = 1};
        const struct odd *p = odd->which == (enum parameter)k ? odd : &usual;
        v[1] = p->value;
        t->dtype = p->dtype;
        in[k + 1] = net_const(t, names[k], p->rank, p->dims, v);
    }
    t->dtype = BNR_FLOAT;
    net_output(t, net_op(t, "BatchNormalization", "bn", 5, in));
}

static void kept_where_valid(void **state) {
    static const struct {
        struct odd odd;
        const char *why;
    } cases[] = {
        {{SCALE, BNR_FLOAT, 1, {C}, NAN}, "not finite"},
        {{SCALE, BNR_FLOAT, 1, {C}, INFINITY}, "not finite"},
        {{BIAS, BNR_FLOAT, 1, {C}, NAN}, "not finite"},
        {{MEAN, BNR_FLOAT, 1, {C}, -INFINITY}, "not finite"},
        {{VAR, BNR_FLOAT, 1, {C}, NAN}, "not positive"},
        {{VAR, BNR_FLOAT, 1, {C}, -1}, "variance -1 + epsilon 1e-05 of channel 1 is not positive"},
        {{VAR, BNR_FLOAT, 1, {C}, -1e-5f}, "not positive"}, // the sum is 0
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct net t;
        network(&t, &cases[i].odd, false);
        net_rewrite(&t, FOLD);
        net_expect(&t, "Conv BatchNormalization");
        net_expect_bn(&t, "bn", BNR_BN_KEPT, cases[i].why);
        net_end(&t);
    }
}

// A variance below 0 that epsilon lifts is none of these: a public MobileNet has -9.99e-06.
static void small_negative_variance_folds(void **state) {
    struct net t;
    network(&t, &(struct odd){VAR, BNR_FLOAT, 1, {C}, -9e-6}, false);
    net_fold(&t, FOLD);
    net_expect(&t, "Conv");
    net_end(&t);
}

static void refused_where_invalid(void **state) {
    static const struct odd cases[] = {
        {SCALE, BNR_FLOAT, 1, {C - 1}, 1}, {BIAS, BNR_FLOAT, 1, {C + 1}, 1}, {MEAN, BNR_FLOAT, 1, {C - 1}, 1},
        {VAR, BNR_FLOAT, 1, {C - 1}, 1},   {SCALE, BNR_FLOAT, 2, {1, C}, 1}, {MEAN, BNR_FLOAT, 2, {C, 1}, 1},
        {VAR, BNR_FLOAT, 0, {0}, 1},       {SCALE, BNR_INT64, 1, {C}, 1},    {VAR, BNR_INT32, 1, {C}, 1},
        {BIAS, BNR_FLOAT, 1, {0}, 1},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct net t;
        network(&t, &cases[i], false);
        const enum bnr_status st = bnr__model_complete(t.model, &t.err);
        // A type that the operator does not take makes the node one that cannot run.
        const bool unsupported = cases[i].dtype != BNR_FLOAT;
        const char *message = t.err.message;
        if (st != (unsupported ? BNR_OK : BNR_SHAPE) || t.model->n_missing != unsupported)
            fail_msg("case %zu: status %d, %zu missing", i, st, t.model->n_missing);
        if (unsupported)
            message = t.model->missing[0];
        assert_non_null(strstr(message, "'bn' (BatchNormalization)"));
        assert_non_null(strstr(message, "expected"));
        assert_null(strchr(message, '\n'));
        net_end(&t);
    }
}

// Nothing is known of x before the run: kept with a reason, and the run itself refuses.
static void refused_when_run(void **state) {
    static const struct {
        struct odd odd;
        const char *why;
    } cases[] = {
        {{VAR, BNR_FLOAT, 1, {C - 1}, 1}, NULL}, // disagrees with the others: seen at once
        {{SCALE, BNR_FLOAT, 1, {C}, 1}, "rank of its input is not known"},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct net t;
        struct bnr_session *s;
        struct bnr_tensor *out = NULL;
        network(&t, &cases[i].odd, true);
        enum bnr_status st = bnr__model_complete(t.model, &t.err);
        if (st == BNR_OK) {
            assert_int_equal(bnr_session_create(&s, t.model, NULL, &t.err), BNR_OK);
            struct bnr_bn_report bn;
            assert_int_equal(bnr_session_bn(s, 0, &bn), BNR_OK);
            assert_int_equal(bn.verdict, BNR_VERDICT_KEPT);
            if (cases[i].why)
                assert_non_null(strstr(bn.reason, cases[i].why));
            st = bnr_run(s, (const bnr_tensor *const *)t.data, 2, &out, 1, &t.err);
            bnr_session_free(s);
        }
        assert_int_equal(st == BNR_OK, cases[i].why != NULL);
        if (st != BNR_OK)
            assert_non_null(strstr(t.err.message, "'bn'"));
        bnr_tensor_release(out);
        net_end(&t);
    }
}

// Figures of the report are NaN where a parameter is.
static void figures_of_nan(void **state) {
    struct net t;
    network(&t, &(struct odd){VAR, BNR_FLOAT, 1, {C}, NAN}, false);
    net_rewrite(&t, FOLD);
    assert_true(isnan(t.folded->bns[0]->max_scale) && isnan(t.folded->bns[0]->min_var_eps));
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_where_valid),
        cmocka_unit_test(small_negative_variance_folds),
        cmocka_unit_test(refused_where_invalid),
        cmocka_unit_test(refused_when_run),
        cmocka_unit_test(figures_of_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
