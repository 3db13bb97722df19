// SPDX-License-Identifier: Apache-2.0
// Momentum: one step of gradient descent with standard or Nesterov's momentum.
#include <string.h>

#include "runtime/ops/lib/optimizer.h"

struct step {
    double rate, alpha, beta, norm;
    bool nesterov;
};

static void step(double *x, double g, double *v, double *h, const void *cx) {
    const struct step *s = cx;
    const double gradient = s->norm * *x + g;
    *v = s->alpha * *v + s->beta * gradient;
    *x -= s->rate * (s->nesterov ? gradient + s->alpha * *v : *v);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const char *mode = bnr__attr_string(cx->node, "mode", "");
    BNR_TRY(bnr__optimizer_infer(cx, 1));
    if (strcmp(mode, "nesterov") != 0 && strcmp(mode, "standard") != 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "attribute 'mode' is \"%s\", expected \"standard\" or \"nesterov\"",
                            mode);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    int64_t count = 0;
    struct step s = {
        .alpha = (double)bnr__attr_float(a->node, "alpha", 0),
        .beta = (double)bnr__attr_float(a->node, "beta", 0),
        .norm = (double)bnr__attr_float(a->node, "norm_coefficient", 0),
        .nesterov = strcmp(bnr__attr_string(a->node, "mode", ""), "nesterov") == 0,
    };
    BNR_TRY(bnr__optimizer_rate(a, &s.rate, &count));
    if (count <= 0)
        s.beta = 1;
    return bnr__optimizer_run(a, 1, step, &s);
}

BNR_DEFINE_OP(momentum) = {
    .domain = BNR_TRAINING_DOMAIN,
    .name = "Momentum",
    .since = {1},
    .min_in = 3,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = BNR_VARIADIC,
    .attrs = "alpha:f! beta:f! mode:s! norm_coefficient:f!",
    .infer = infer,
    .ref = ref,
};
