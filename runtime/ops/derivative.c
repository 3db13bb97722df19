// SPDX-License-Identifier: Apache-2.0
// bnrun.Derivative(x): f'(x) of the function of one variable that the attribute `of` names, with the
// other attributes that the function has. Where f has a kink the value is one side's, where it does not
// depend on x 0.
#include <math.h>
#include <string.h>

#include "graph/affine.h"
#include "runtime/ops/lib/compute.h"

struct params {
    double a, b; // alpha, beta; Selu: gamma; Shrink: lambd
};

#define FUNCTION(name, expr)                                                                       \
    static double name(double x, const struct params *p) {                                         \
        return expr;                                                                               \
    }

static double sigmoid(double x) {
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}
static double density(double x) { // of the standard normal distribution
    return 0.39894228040143267794 * exp(-x * x / 2);
}

FUNCTION(d_acos, -1 / sqrt(1 - x * x))
FUNCTION(d_acosh, 1 / sqrt(x * x - 1))
FUNCTION(d_asin, 1 / sqrt(1 - x * x))
FUNCTION(d_asinh, 1 / sqrt(x * x + 1))
FUNCTION(d_atan, 1 / (1 + x * x))
FUNCTION(d_atanh, 1 / (1 - x * x))
FUNCTION(d_celu, x > 0 ? 1 : exp(x / p->a))
FUNCTION(d_cosh, sinh(x))
FUNCTION(d_elu, x > 0 ? 1 : p->a * exp(x))
FUNCTION(d_erf, 1.12837916709551257390 * exp(-x * x))
FUNCTION(d_gelu, 0.5 * erfc(-x * 0.70710678118654752440) + x * density(x))
FUNCTION(d_hard_sigmoid, p->a * x + p->b > 0 && p->a * x + p->b < 1 ? p->a : 0)
FUNCTION(d_hard_swish, x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5)
FUNCTION(d_leaky_relu, x < 0 ? p->a : 1)
FUNCTION(d_relu, x > 0 ? 1 : 0)
FUNCTION(d_selu, x > 0 ? p->b : p->b * p->a * exp(x))
FUNCTION(d_shrink, x < -p->a || x > p->a ? 1 : 0)
FUNCTION(d_sinh, cosh(x))
FUNCTION(d_softplus, sigmoid(x))
FUNCTION(d_softsign, 1 / ((1 + fabs(x)) * (1 + fabs(x))))
FUNCTION(d_swish, sigmoid(p->a *x) * (1 + p->a * x * sigmoid(-p->a * x)))
FUNCTION(d_tan, 1 / (cos(x) * cos(x)))
FUNCTION(d_thresholded_relu, x > p->a ? 1 : 0)

static double d_gelu_tanh(double x, const struct params *p) {
    const double c = 0.79788456080286535588; // sqrt(2 / pi)
    const double t = tanh(c * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
}

static double d_mish(double x, const struct params *p) {
    const double t = tanh(x > 20 ? x : log1p(exp(x)));
    return t + x * (1 - t * t) * sigmoid(x);
}

// Attributes and their defaults by the function's specification.
static const struct function {
    const char *name;
    double (*f)(double x, const struct params *p);
    const char *a, *b;
    double default_a, default_b;
} functions[] = {
    {"Acos", d_acos, "", "", 0, 0},
    {"Acosh", d_acosh, "", "", 0, 0},
    {"Asin", d_asin, "", "", 0, 0},
    {"Asinh", d_asinh, "", "", 0, 0},
    {"Atan", d_atan, "", "", 0, 0},
    {"Atanh", d_atanh, "", "", 0, 0},
    {"Celu", d_celu, "alpha", "", 1, 0},
    {"Cosh", d_cosh, "", "", 0, 0},
    {"Elu", d_elu, "alpha", "", 1, 0},
    {"Erf", d_erf, "", "", 0, 0},
    {"Gelu", d_gelu, "", "", 0, 0},
    {"HardSigmoid", d_hard_sigmoid, "alpha", "beta", 0.2, 0.5},
    {"HardSwish", d_hard_swish, "", "", 0, 0},
    {"LeakyRelu", d_leaky_relu, "alpha", "", 0.01, 0},
    {"Mish", d_mish, "", "", 0, 0},
    {"Relu", d_relu, "", "", 0, 0},
    {"Selu", d_selu, "alpha", "gamma", 1.67326319217681884765625, 1.05070102214813232421875},
    {"Shrink", d_shrink, "lambd", "", 0.5, 0},
    {"Sinh", d_sinh, "", "", 0, 0},
    {"Softplus", d_softplus, "", "", 0, 0},
    {"Softsign", d_softsign, "", "", 0, 0},
    {"Swish", d_swish, "alpha", "", 1, 0},
    {"Tan", d_tan, "", "", 0, 0},
    {"ThresholdedRelu", d_thresholded_relu, "alpha", "", 1, 0},
};

static const struct function *find(const struct bnr_node *n) {
    const char *name = bnr__attr_string(n, "of", "");
    for (size_t i = 0; i < BNR_COUNT(functions); i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    if (!find(cx->node))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "unknown function '%s'",
                            bnr__attr_string(cx->node, "of", ""));
    return bnr__infer_same(cx);
}

static double parameter(const struct bnr_node *n, const char *name, double fallback) {
    return bnr__attr(n, name) ? (double)bnr__attr_float(n, name, 0) : fallback;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const struct function *of = find(a->node);
    const struct params p = {parameter(a->node, of->a, of->default_a),
                             parameter(a->node, of->b, of->default_b)};
    const bool by_tanh = strcmp(bnr__attr_string(a->node, "approximate", ""), "tanh") == 0;
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, x->dims));
    const double *from = bnr__all_f64(a, x);
    double *to = bnr__temp_f64(a, x->numel);
    if (!from || !to)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < x->numel; i++)
        to[i] = by_tanh ? d_gelu_tanh(from[i], &p) : of->f(from[i], &p);
    bnr__store_f64(x->dtype, a->out[0]->data, to, x->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(derivative) = {
    .domain = BNR_INTERNAL_DOMAIN,
    .name = "Derivative",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "alpha:f approximate:s beta:f gamma:f lambd:f of:s! since:i",
    .infer = infer,
    .ref = ref,
};
