// SPDX-License-Identifier: Apache-2.0
// Weights are rounded once, whatever goes into them, from which side, and in how many steps: each is the
// double product of the original and all scales, rounded to the dtype.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, IN = 4, OUT = 6, TAPS = 9 };

// Not representable in any dtype's few bits; no shift, so that borders do not matter.
static struct bnr_value *scaled(struct net *t, const char *name, struct bnr_value *x, int64_t channels,
                                double *s) {
    double zero[OUT] = {0}, one[OUT];
    for (int64_t i = 0; i < channels; i++) {
        one[i] = 1;
        s[i] = (double)(float)net_random(t, 0.3, 1.9);
    }
    const enum bnr_dtype dtype = t->dtype;
    t->dtype = BNR_FLOAT; // of the parameters, whatever x is
    struct bnr_value *y = net_op(t, "BatchNormalization", name,
                                 NET_IN(x, net_const(t, "", NET_DIMS(channels), s),
                                        net_const(t, "", NET_DIMS(channels), zero),
                                        net_const(t, "", NET_DIMS(channels), zero),
                                        net_const(t, "", NET_DIMS(channels), one)));
    net_attr_float(t, "epsilon", 0);
    t->dtype = dtype;
    return y;
}

static void expect(struct net *t, bool transposed, int64_t group, const double *before,
                   const double *behind) {
    const struct bnr_node *n = t->folded->graph->first;
    const struct bnr_tensor *w = n->in[1]->tensor, *old = NULL;
    for (const struct bnr_node *m = t->model->graph->first; m; m = m->next)
        if (bnr__node_is(m, "", n->op_type))
            old = m->in[1]->tensor;
    const int64_t rows = w->dims[0], columns = w->dims[1], groups_rows = rows / group;
    for (int64_t i = 0; i < (int64_t)w->numel; i++) {
        const int64_t row = i / TAPS / columns, column = row / groups_rows * columns + i / TAPS % columns;
        const int64_t o = transposed ? column : row, c = transposed ? row : column;
        const double want = net_rounded(w->dtype, bnr__tensor_f64(old, (size_t)i) * (before[c] * behind[o]));
        assert_true(bnr__tensor_f64(w, (size_t)i) == want);
    }
}

static void both_sides(void **state) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_FLOAT16, BNR_BFLOAT16};
    for (size_t d = 0; d < BNR_COUNT(dtypes); d++)
        for (int k = 0; k < 4; k++) {
            struct net t;
            double before[OUT], behind[OUT];
            net_begin(&t, 15);
            t.dtype = dtypes[d];
            t.seed = 11 + (uint64_t)k;
            const struct net_conv c = {.spatial = 2, .in = IN, .out = OUT, .k = 3, .pad = 1,
                                       .group = 1 + k % 2, .transposed = k > 1};
            struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, IN, 5, 5));
            struct bnr_value *y = net_conv(&t, "conv", scaled(&t, "bn1", x, IN, before), c);
            net_output(&t, scaled(&t, "bn2", y, OUT, behind));
            net_fold(&t, FOLD);
            net_expect(&t, c.transposed ? "ConvTranspose" : "Conv");
            expect(&t, c.transposed, c.group, before, behind);
            net_reload(&t, FOLD);
            net_end(&t);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_sides)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
