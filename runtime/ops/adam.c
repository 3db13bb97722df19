// SPDX-License-Identifier: Apache-2.0
// Adam: one step of gradient descent along averaged gradients, scaled by averaged squared
// gradients.
#include <math.h>

#include "runtime/ops/lib/optimizer.h"

struct step {
    double rate, alpha, beta, epsilon, norm, shrink;
};

static void step(double *x, double g, double *v, double *h, const void *cx) {
    const struct step *s = cx;
    const double gradient = s->norm * *x + g;
    *v = s->alpha * *v + (1 - s->alpha) * gradient;
    *h = s->beta * *h + (1 - s->beta) * gradient * gradient;
    *x = s->shrink * (*x - s->rate * *v / (sqrt(*h) + s->epsilon));
}

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__optimizer_infer(cx, 2);
}

static enum bnr_status ref(const struct bnr_args *a) {
    int64_t count = 0;
    struct step s = {
        .alpha = (double)bnr__attr_float(a->node, "alpha", 0.9f),
        .beta = (double)bnr__attr_float(a->node, "beta", 0.999f),
        .epsilon = (double)bnr__attr_float(a->node, "epsilon", 0),
        .norm = (double)bnr__attr_float(a->node, "norm_coefficient", 0),
        .shrink = 1 - (double)bnr__attr_float(a->node, "norm_coefficient_post", 0),
    };
    BNR_TRY(bnr__optimizer_rate(a, &s.rate, &count));
    if (count > 0)
        s.rate *= sqrt(1 - pow(s.beta, (double)count)) / (1 - pow(s.alpha, (double)count));
    return bnr__optimizer_run(a, 2, step, &s);
}

BNR_DEFINE_OP(adam) = {
    .domain = BNR_TRAINING_DOMAIN,
    .name = "Adam",
    .since = {1},
    .min_in = 3,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = BNR_VARIADIC,
    .attrs = "alpha:f beta:f epsilon:f norm_coefficient:f norm_coefficient_post:f",
    .infer = infer,
    .ref = ref,
};
