// SPDX-License-Identifier: Apache-2.0
// Template: the eltwise_f32 steps on the vectors of the file that includes it. Needs ISA(name),
// ISA_NAME.
#include "runtime/kernels/eltwise_f32.h"
#include "runtime/kernels/tmpl/math_f32.h"

// A step's array for one row: element i of the row at v_at(array, i).
struct array {
    const float *p; // NULL: the same vector everywhere, `all`
    vf all;
};

static struct array array_row(const float *p, enum bnr_eltwise_form form, size_t channels,
                              const struct bnr_eltwise_tile *t, size_t r) {
    struct array a = {.p = NULL};
    switch (form) {
    case BNR_FORM_SAME:
        a.p = p + t->place + r * t->ld;
        return a;
    case BNR_FORM_COLUMN:
        a.p = p + t->col;
        return a;
    case BNR_FORM_ROW:
        a.all = v_set1(p[t->row + r]);
        return a;
    case BNR_FORM_CHANNEL:
        a.all = v_set1(p[(t->row + r) % channels]);
        return a;
    case BNR_FORM_LANES:
        a.all = v_load(p + (t->row + r) * VW);
        return a;
    case BNR_FORM_LANES_CHANNEL:
        a.all = v_load(p + (t->row + r) % channels * VW);
        return a;
    default:
        a.all = v_set1(p[0]);
        return a;
    }
}

BNR_INLINE vf array_load(const struct array *a, size_t i, const int n) {
    if (!a->p)
        return a->all;
    return n == VW ? v_load(a->p + i) : v_load_n(a->p + i, n);
}

// What every step's function is given.
struct work {
    const struct bnr_eltwise_step *step;
    const struct bnr_eltwise_tile *tile;
    const float *const *operands;
    size_t channels;
    const float *src; // the tile's own for the first step, then what the step in front wrote
};

// Defines a step's function from an expression in x; p and q are the step's numbers.
#define UNARY(name, expression)                                                                    \
    static void name(const struct work *w) {                                                       \
        const struct bnr_eltwise_tile *t = w->tile;                                                \
        const vf p = v_set1(w->step->p), q = v_set1(w->step->q);                                   \
        (void)p, (void)q;                                                                          \
        for (size_t r = 0; r < t->rows; r++) {                                                     \
            const float *src = w->src + r * t->ld;                                                 \
            float *dst = t->dst + r * t->ld;                                                       \
            size_t i = 0;                                                                          \
            for (; i + VW <= t->cols; i += VW) {                                                   \
                const vf x = v_load(src + i);                                                      \
                v_store(dst + i, expression);                                                      \
            }                                                                                      \
            if (i < t->cols) {                                                                     \
                const int n = (int)(t->cols - i);                                                  \
                const vf x = v_load_n(src + i, n);                                                 \
                v_store_n(dst + i, expression, n);                                                 \
            }                                                                                      \
        }                                                                                          \
    }

// The same in x, u and v: elements of the arrays u and v, chosen by pointers that may be one and
// the same.
#define WITH_ARRAYS(name, u_array, v_array, expression)                                            \
    static void name(const struct work *w) {                                                       \
        const struct bnr_eltwise_tile *t = w->tile;                                                \
        const struct bnr_eltwise_step *s = w->step;                                                \
        for (size_t r = 0; r < t->rows; r++) {                                                     \
            const struct array ua = array_row(u_array, s->form, w->channels, t, r);                \
            const struct array va = array_row(v_array, s->form, w->channels, t, r);                \
            const float *src = w->src + r * t->ld;                                                 \
            float *dst = t->dst + r * t->ld;                                                       \
            size_t i = 0;                                                                          \
            for (; i + VW <= t->cols; i += VW) {                                                   \
                const vf x = v_load(src + i);                                                      \
                const vf u = array_load(&ua, i, VW), v = array_load(&va, i, VW);                   \
                (void)v;                                                                           \
                v_store(dst + i, expression);                                                      \
            }                                                                                      \
            if (i < t->cols) {                                                                     \
                const int n = (int)(t->cols - i);                                                  \
                const vf x = v_load_n(src + i, n);                                                 \
                const vf u = array_load(&ua, i, n), v = array_load(&va, i, n);                     \
                (void)v;                                                                           \
                v_store_n(dst + i, expression, n);                                                 \
            }                                                                                      \
        }                                                                                          \
    }

#define BINARY(name, expression)                                                                   \
    WITH_ARRAYS(name, w->operands[s->operand], w->operands[s->operand], expression)

#define ZERO v_set1(0)
#define RAMP v_max(ZERO, v_min(v_set1(1), v_fma(p, x, q)))

WITH_ARRAYS(affine, s->s, s->t, v_fma(u, x, v))
WITH_ARRAYS(prelu, s->s, s->s, v_select(v_lt(x, ZERO), v_mul(u, x), x))
BINARY(add, v_add(x, u))
BINARY(sub, v_sub(x, u))
BINARY(rsub, v_sub(u, x))
BINARY(mul, v_mul(x, u))
BINARY(div_by, v_div(x, u))
BINARY(rdiv, v_div(u, x))
UNARY(clamp, v_min(q, v_max(p, x)))
UNARY(leaky_relu, v_select(v_lt(x, ZERO), v_mul(p, x), x))
UNARY(hard_sigmoid, RAMP)
UNARY(hard_swish, v_mul(x, RAMP))
UNARY(sigmoid, v_sigmoid(x))
UNARY(silu, v_mul(x, v_sigmoid(v_mul(p, x))))
UNARY(tanh_of, v_tanh(x))
UNARY(exp_of, v_exp(x))
UNARY(erf_of, v_erf(x))
UNARY(gelu, v_gelu(x))
UNARY(gelu_tanh, v_gelu_tanh(x))
UNARY(floor_of, v_floor(x))
UNARY(ceil_of, v_ceil(x))
UNARY(round_of, v_nearest(x))
UNARY(elu, v_select(v_lt(x, ZERO), v_mul(p, v_expm1(x)), v_mul(q, x)))
UNARY(celu, v_select(v_lt(x, ZERO), v_mul(p, v_expm1(v_div(x, p))), x))
UNARY(softplus, v_softplus(x))
UNARY(mish, v_mish(x))
UNARY(sin_of, v_sin_or_cos(x, false))
UNARY(cos_of, v_sin_or_cos(x, true))
UNARY(asin_of, v_asin(x))
UNARY(acos_of, v_acos(x))
UNARY(atan_of, v_atan(x))

static void all_steps(const struct bnr_eltwise *e, const float *const *operands,
                      const struct bnr_eltwise_tile *t) {
    static void (*const steps[BNR_ELTWISE_KINDS])(const struct work *) = {
        [BNR_ELTWISE_AFFINE] = affine,
        [BNR_ELTWISE_PRELU] = prelu,
        [BNR_ELTWISE_ADD] = add,
        [BNR_ELTWISE_SUB] = sub,
        [BNR_ELTWISE_RSUB] = rsub,
        [BNR_ELTWISE_MUL] = mul,
        [BNR_ELTWISE_DIV] = div_by,
        [BNR_ELTWISE_RDIV] = rdiv,
        [BNR_ELTWISE_CLAMP] = clamp,
        [BNR_ELTWISE_LEAKY_RELU] = leaky_relu,
        [BNR_ELTWISE_HARD_SIGMOID] = hard_sigmoid,
        [BNR_ELTWISE_HARD_SWISH] = hard_swish,
        [BNR_ELTWISE_SIGMOID] = sigmoid,
        [BNR_ELTWISE_SILU] = silu,
        [BNR_ELTWISE_TANH] = tanh_of,
        [BNR_ELTWISE_EXP] = exp_of,
        [BNR_ELTWISE_ERF] = erf_of,
        [BNR_ELTWISE_GELU] = gelu,
        [BNR_ELTWISE_GELU_TANH] = gelu_tanh,
        [BNR_ELTWISE_FLOOR] = floor_of,
        [BNR_ELTWISE_CEIL] = ceil_of,
        [BNR_ELTWISE_ROUND] = round_of,
        [BNR_ELTWISE_ELU] = elu,
        [BNR_ELTWISE_CELU] = celu,
        [BNR_ELTWISE_SOFTPLUS] = softplus,
        [BNR_ELTWISE_MISH] = mish,
        [BNR_ELTWISE_SIN] = sin_of,
        [BNR_ELTWISE_COS] = cos_of,
        [BNR_ELTWISE_ASIN] = asin_of,
        [BNR_ELTWISE_ACOS] = acos_of,
        [BNR_ELTWISE_ATAN] = atan_of,
    };
    struct work w = {.tile = t, .operands = operands, .channels = e->channels, .src = t->src};
    for (int i = 0; i < e->n; i++) {
        w.step = &e->step[i];
        steps[w.step->kind](&w);
        w.src = t->dst;
    }
}

const struct bnr_eltwise_f32 ISA(bnr__eltwise_f32) = {.isa = ISA_NAME, .tile = all_steps};
