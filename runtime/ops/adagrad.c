// SPDX-License-Identifier: Apache-2.0
// Adagrad: one step of gradient descent with rates that shrink with the gradients seen so far.
#include <math.h>

#include "runtime/ops/lib/optimizer.h"

struct step {
    double rate, epsilon, norm;
};

static void step(double *x, double g, double *squares, double *unused, const void *cx) {
    const struct step *s = cx;
    const double gradient = s->norm * *x + g;
    *squares += gradient * gradient;
    *x -= s->rate * gradient / (sqrt(*squares) + s->epsilon);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__optimizer_infer(cx, 1);
}

static enum bnr_status ref(const struct bnr_args *a) {
    int64_t count = 0;
    struct step s = {
        .epsilon = (double)bnr__attr_float(a->node, "epsilon", 0),
        .norm = (double)bnr__attr_float(a->node, "norm_coefficient", 0),
    };
    BNR_TRY(bnr__optimizer_rate(a, &s.rate, &count));
    s.rate /= 1 + (double)count * (double)bnr__attr_float(a->node, "decay_factor", 0);
    return bnr__optimizer_run(a, 1, step, &s);
}

BNR_DEFINE_OP(adagrad) = {
    .domain = BNR_TRAINING_DOMAIN,
    .name = "Adagrad",
    .since = {1},
    .min_in = 3,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = BNR_VARIADIC,
    .attrs = "decay_factor:f epsilon:f norm_coefficient:f",
    .infer = infer,
    .ref = ref,
};
