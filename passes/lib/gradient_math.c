// SPDX-License-Identifier: Apache-2.0
// Gradient rules of element-wise operators and of products of matrices.
#include <math.h>
#include <string.h>

#include "passes/lib/gradient.h"

#define OP1(op, x) bnr__build_1(&cx->b, op, x)
#define OP2(op, x, y) bnr__build_2(&cx->b, op, x, y)
#define OP3(op, x, y, z) bnr__build_3(&cx->b, op, x, y, z)
#define NUMBER(v) bnr__build_scalar(&cx->b, n->in[0], v)
#define RULE(name)                                                                                 \
    static void name(struct bnr_gradient *cx, struct bnr_node *n, struct bnr_value *const *dy)

// Gives input i what is left of v after broadcasting.
static void give(struct bnr_gradient *cx, struct bnr_node *n, int i, struct bnr_value *v) {
    if (bnr__grad_wants(cx, n, i))
        bnr__grad_give(cx, n, i, bnr__grad_sum_to(cx, v, n->in[i]));
}

RULE(nothing) {
}

RULE(same) {
    bnr__grad_give(cx, n, 0, dy[0]);
}

RULE(sum) {
    for (int i = 0; i < n->n_in; i++)
        give(cx, n, i, dy[0]);
}

RULE(mean) {
    struct bnr_value *d = bnr__build_scaled(&cx->b, dy[0], n->in[0], 1.0 / n->n_in);
    for (int i = 0; i < n->n_in; i++)
        give(cx, n, i, d);
}

RULE(sub) {
    give(cx, n, 0, dy[0]);
    if (bnr__grad_wants(cx, n, 1))
        give(cx, n, 1, OP1("Neg", dy[0]));
}

RULE(mul) {
    for (int i = 0; i < 2; i++)
        if (bnr__grad_wants(cx, n, i))
            give(cx, n, i, OP2("Mul", dy[0], n->in[1 - i]));
}

RULE(divide) {
    struct bnr_value *d = OP2("Div", dy[0], n->in[1]);
    give(cx, n, 0, d);
    if (bnr__grad_wants(cx, n, 1)) // -dy y / b
        give(cx, n, 1, OP1("Neg", OP2("Mul", d, n->out[0])));
}

// b a^(b - 1), and a^b log(a), which is 0 where a is 0.
RULE(power) {
    struct bnr_value *a = n->in[0], *b = n->in[1];
    if (bnr__grad_wants(cx, n, 0)) {
        struct bnr_value *exponent = OP2("Sub", b, bnr__build_scalar(&cx->b, b, 1));
        struct bnr_value *d = OP2("Pow", a, exponent);
        give(cx, n, 0, OP2("Mul", dy[0], OP2("Mul", d, OP2("CastLike", b, a))));
    }
    if (bnr__grad_wants(cx, n, 1)) {
        struct bnr_value *one = NUMBER(1), *zero = NUMBER(0);
        struct bnr_value *log = OP1("Log", OP3("Where", OP2("Equal", a, zero), one, a));
        give(cx, n, 1, OP2("CastLike", OP2("Mul", dy[0], OP2("Mul", n->out[0], log)), b));
    }
}

// Equal extremes share.
RULE(extreme) {
    struct bnr_value *count = NULL, *hits[64];
    if (n->n_in > (int)BNR_COUNT(hits)) {
        bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "%d inputs, at most %d", n->n_in, (int)BNR_COUNT(hits));
        return;
    }
    for (int i = 0; i < n->n_in; i++) {
        hits[i] = OP2("CastLike", OP2("Equal", n->in[i], n->out[0]), n->out[0]);
        count = count ? OP2("Add", count, hits[i]) : hits[i];
    }
    struct bnr_value *share = OP2("Div", dy[0], count);
    for (int i = 0; i < n->n_in; i++)
        if (bnr__grad_wants(cx, n, i))
            give(cx, n, i, OP2("Mul", share, hits[i]));
}

RULE(where) {
    struct bnr_value *zero = bnr__build_scalar(&cx->b, n->out[0], 0);
    if (bnr__grad_wants(cx, n, 1))
        give(cx, n, 1, OP3("Where", n->in[0], dy[0], zero));
    if (bnr__grad_wants(cx, n, 2))
        give(cx, n, 2, OP3("Where", n->in[0], zero, dy[0]));
}

RULE(cast) {
    if (bnr__grad_wants(cx, n, 0))
        bnr__grad_give(cx, n, 0, OP2("CastLike", dy[0], n->in[0]));
}

RULE(clip) {
    struct bnr_value *kept = OP2("Equal", n->in[0], n->out[0]);
    bnr__grad_give(cx, n, 0, OP3("Where", kept, dy[0], NUMBER(0)));
}

RULE(prelu) {
    struct bnr_value *negative = OP2("Less", n->in[0], NUMBER(0));
    if (bnr__grad_wants(cx, n, 0))
        give(cx, n, 0, OP3("Where", negative, OP2("Mul", dy[0], n->in[1]), dy[0]));
    if (bnr__grad_wants(cx, n, 1))
        give(cx, n, 1, OP3("Where", negative, OP2("Mul", dy[0], n->in[0]), NUMBER(0)));
}

// ---- functions of one variable. Those that are spelled by standard operators can be differentiated again.

static void times(struct bnr_gradient *cx, struct bnr_node *n, struct bnr_value *dy,
                  struct bnr_value *factor) {
    bnr__grad_give(cx, n, 0, OP2("Mul", dy, factor));
}

RULE(neg) {
    bnr__grad_give(cx, n, 0, OP1("Neg", dy[0]));
}
RULE(absolute) {
    times(cx, n, dy[0], OP1("Sign", n->in[0]));
}
RULE(exponential) {
    times(cx, n, dy[0], n->out[0]);
}
RULE(logarithm) {
    bnr__grad_give(cx, n, 0, OP2("Div", dy[0], n->in[0]));
}
RULE(root) {
    bnr__grad_give(cx, n, 0, OP2("Div", OP2("Mul", dy[0], NUMBER(0.5)), n->out[0]));
}
RULE(reciprocal) {
    times(cx, n, dy[0], OP1("Neg", OP2("Mul", n->out[0], n->out[0])));
}
RULE(sigmoid) {
    times(cx, n, dy[0], OP2("Mul", n->out[0], OP2("Sub", NUMBER(1), n->out[0])));
}
RULE(hyperbolic_tangent) {
    times(cx, n, dy[0], OP2("Sub", NUMBER(1), OP2("Mul", n->out[0], n->out[0])));
}
RULE(sine) {
    times(cx, n, dy[0], OP1("Cos", n->in[0]));
}
RULE(cosine) {
    times(cx, n, dy[0], OP1("Neg", OP1("Sin", n->in[0])));
}

// The other functions: the internal operator Derivative knows them, with n's attributes.
RULE(derivative) {
    struct bnr_node *d = bnr__build_internal(&cx->b, "Derivative", 1, &n->in[0], 1);
    bnr__build_copy_attrs(&cx->b, d, n);
    if (!d)
        return;
    struct bnr_value *factor = bnr__build_string(&cx->b, d->out[0], "of", n->op_type);
    times(cx, n, dy[0], bnr__build_int(&cx->b, factor, "since", n->since));
}

// ---- products ---------------------------------------------------------------------------------------

static struct bnr_value *transpose_last(struct bnr_gradient *cx, struct bnr_value *v, int rank) {
    int64_t perm[BNR_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return bnr__build_attr_ints(&cx->b, OP1("Transpose", v), "perm", perm, (size_t)rank);
}

static struct bnr_value *unsqueeze(struct bnr_gradient *cx, struct bnr_value *v, int64_t axis) {
    return OP2("Unsqueeze", v, bnr__build_ints(&cx->b, &axis, 1));
}

// Vectors become matrices of one row (a) or column (b), and so does dy.
RULE(matmul) {
    struct bnr_value *a = n->in[0], *b = n->in[1], *d = dy[0];
    int ra = bnr__grad_rank(cx, a), rb = bnr__grad_rank(cx, b);
    if (cx->b.status != BNR_OK)
        return;
    if (rb == 1) {
        b = unsqueeze(cx, b, 1);
        d = unsqueeze(cx, d, -1);
    }
    if (ra == 1) {
        a = unsqueeze(cx, a, 0);
        d = unsqueeze(cx, d, -2);
    }
    if (bnr__grad_wants(cx, n, 0)) {
        struct bnr_value *da = OP2("MatMul", d, transpose_last(cx, b, rb < 2 ? 2 : rb));
        da = bnr__grad_sum_to(cx, da, a);
        bnr__grad_give(cx, n, 0, ra == 1 ? bnr__build_reshape_like(&cx->b, da, n->in[0]) : da);
    }
    if (bnr__grad_wants(cx, n, 1)) {
        struct bnr_value *db = OP2("MatMul", transpose_last(cx, a, ra < 2 ? 2 : ra), d);
        db = bnr__grad_sum_to(cx, db, b);
        bnr__grad_give(cx, n, 1, rb == 1 ? bnr__build_reshape_like(&cx->b, db, n->in[1]) : db);
    }
}

static struct bnr_value *product(struct bnr_gradient *cx, struct bnr_value *a, bool ta,
                                 struct bnr_value *b, bool tb) {
    struct bnr_value *y = OP2("Gemm", a, b);
    return bnr__build_int(&cx->b, bnr__build_int(&cx->b, y, "transA", ta), "transB", tb);
}

RULE(gemm) {
    const bool ta = bnr__attr_int(n, "transA", 0) != 0, tb = bnr__attr_int(n, "transB", 0) != 0;
    const double alpha = (double)bnr__attr_float(n, "alpha", 1);
    struct bnr_value *a = n->in[0], *b = n->in[1];
    struct bnr_value *d = bnr__build_scaled(&cx->b, dy[0], a, alpha);
    if (bnr__grad_wants(cx, n, 0))
        bnr__grad_give(cx, n, 0, ta ? product(cx, b, tb, d, true) : product(cx, d, false, b, !tb));
    if (bnr__grad_wants(cx, n, 1))
        bnr__grad_give(cx, n, 1, tb ? product(cx, d, true, a, ta) : product(cx, a, !ta, d, false));
    if (bnr__grad_wants(cx, n, 2))
        give(cx, n, 2,
             bnr__build_scaled(&cx->b, dy[0], a, (double)bnr__attr_float(n, "beta", 1)));
}

const struct bnr_gradient_entry bnr__grad_rules_math[] = {
    {"Abs", absolute},      {"Acos", derivative},   {"Acosh", derivative},
    {"Add", sum},           {"And", nothing},       {"ArgMax", nothing},
    {"ArgMin", nothing},    {"Asin", derivative},   {"Asinh", derivative},
    {"Atan", derivative},   {"Atanh", derivative},  {"Cast", cast},
    {"CastLike", cast},     {"Ceil", nothing},      {"Celu", derivative},
    {"Clip", clip},         {"Cos", cosine},        {"Cosh", derivative},
    {"Div", divide},        {"Elu", derivative},    {"Equal", nothing},
    {"Erf", derivative},    {"Exp", exponential},   {"Floor", nothing},
    {"Gelu", derivative},   {"Gemm", gemm},         {"Greater", nothing},
    {"GreaterOrEqual", nothing}, {"HardSigmoid", derivative}, {"HardSwish", derivative},
    {"Identity", same},     {"IsInf", nothing},     {"IsNaN", nothing},
    {"LeakyRelu", derivative}, {"Less", nothing},   {"LessOrEqual", nothing},
    {"Log", logarithm},     {"MatMul", matmul},     {"Max", extreme},
    {"Mean", mean},         {"Min", extreme},       {"Mish", derivative},
    {"Mul", mul},           {"Neg", neg},           {"Not", nothing},
    {"Or", nothing},        {"PRelu", prelu},       {"Pow", power},
    {"Reciprocal", reciprocal}, {"Relu", derivative}, {"Round", nothing},
    {"Selu", derivative},   {"Shrink", derivative}, {"Sigmoid", sigmoid},
    {"Sign", nothing},      {"Sin", sine},          {"Sinh", derivative},
    {"Softplus", derivative}, {"Softsign", derivative}, {"Sqrt", root},
    {"Sub", sub},           {"Sum", sum},           {"Swish", derivative},
    {"Tan", derivative},    {"Tanh", hyperbolic_tangent}, {"ThresholdedRelu", derivative},
    {"Where", where},       {"Xor", nothing},       {NULL, NULL},
};
