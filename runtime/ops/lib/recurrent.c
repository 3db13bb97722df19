// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/recurrent.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/pool.h"
#include "runtime/kernels/eltwise_f32.h"
#include "runtime/ops/lib/matmul.h"

enum {
    X = BNR_RNN_X,
    W = BNR_RNN_W,
    R = BNR_RNN_R,
    B = BNR_RNN_B,
    SEQUENCE_LENS = BNR_RNN_LENGTHS,
    INITIAL_H = BNR_RNN_H,
    INITIAL_C = BNR_RNN_C,
    P = BNR_RNN_P
};

// ---- activations --------------------------------------------------------------------------------

static double relu(double x, double a, double b) {
    return x > 0 ? x : 0;
}
static double tanh_(double x, double a, double b) {
    return tanh(x);
}
static double sigmoid(double x, double a, double b) {
    return 1 / (1 + exp(-x));
}
static double affine(double x, double a, double b) {
    return a * x + b;
}
static double leaky_relu(double x, double a, double b) {
    return x >= 0 ? x : a * x;
}
static double thresholded_relu(double x, double a, double b) {
    return x >= a ? x : 0;
}
static double scaled_tanh(double x, double a, double b) {
    return a * tanh(b * x);
}
static double hard_sigmoid(double x, double a, double b) {
    return fmin(fmax(a * x + b, 0), 1);
}
static double elu(double x, double a, double b) {
    return x >= 0 ? x : a * expm1(x);
}
static double softsign(double x, double a, double b) {
    return x / (1 + fabs(x));
}
static double softplus(double x, double a, double b) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static const struct {
    const char *name;
    double (*fn)(double, double, double);
    int kind;
    int parameters; // how many of alpha, beta it has
    double alpha, beta;
} known[] = {
    {"Relu", relu, BNR_ELTWISE_CLAMP, 0, 0, 0},
    {"Tanh", tanh_, BNR_ELTWISE_TANH, 0, 0, 0},
    {"Sigmoid", sigmoid, BNR_ELTWISE_SIGMOID, 0, 0, 0},
    {"Affine", affine, -1, 2, 1, 0},
    {"LeakyRelu", leaky_relu, BNR_ELTWISE_LEAKY_RELU, 1, (double)0.01f, 0},
    {"ThresholdedRelu", thresholded_relu, -1, 1, 1, 0},
    {"ScaledTanh", scaled_tanh, -1, 2, 1, 1},
    {"HardSigmoid", hard_sigmoid, BNR_ELTWISE_HARD_SIGMOID, 2, (double)0.2f, 0.5},
    {"Elu", elu, BNR_ELTWISE_ELU, 1, 1, 0},
    {"Softsign", softsign, -1, 0, 0, 0},
    {"Softplus", softplus, BNR_ELTWISE_SOFTPLUS, 0, 0, 0},
};

// The next value of activation_alpha or _beta for function i of n. A list with an entry for every
// function is by position; a shorter one has entries only for the functions that want one.
static double parameter(const float *list, size_t count, size_t i, size_t n, size_t *used,
                        double fallback) {
    const size_t at = count == n ? i : (*used)++;
    return at < count ? (double)list[at] : fallback;
}

static enum bnr_status read_activations(struct bnr_recurrent *rnn, const char *const *defaults,
                                        struct bnr_error *err) {
    const struct bnr_attr *names = bnr__attr(rnn->node, "activations");
    size_t n_alpha, n_beta, alphas = 0, betas = 0;
    const float *alpha = bnr__attr_floats(rnn->node, "activation_alpha", &n_alpha);
    const float *beta = bnr__attr_floats(rnn->node, "activation_beta", &n_beta);
    const size_t n = (size_t)(rnn->functions * rnn->directions);
    if (names && names->n != n)
        return bnr__op_fail(rnn->node, err, BNR_SHAPE, "%zu activations, expected %zu", names->n,
                            n);
    for (size_t i = 0; i < n; i++) {
        const char *wanted = defaults[i % (size_t)rnn->functions];
        const size_t len = names ? names->strings[i].len : strlen(wanted);
        wanted = names ? names->strings[i].ptr : wanted;
        size_t k = 0;
        while (k < BNR_COUNT(known) &&
               (strlen(known[k].name) != len || strncasecmp(known[k].name, wanted, len) != 0))
            k++;
        if (k == BNR_COUNT(known))
            return bnr__op_fail(rnn->node, err, BNR_SHAPE, "activation '%.*s' is not known",
                                (int)len, wanted);
        rnn->f[i] = (struct bnr_activation){known[k].fn, known[k].kind, known[k].alpha,
                                            known[k].beta};
        if (known[k].parameters > 0)
            rnn->f[i].alpha = parameter(alpha, n_alpha, i, n, &alphas, known[k].alpha);
        if (known[k].parameters > 1)
            rnn->f[i].beta = parameter(beta, n_beta, i, n, &betas, known[k].beta);
    }
    return BNR_OK;
}

enum bnr_status bnr__recurrent_attributes(struct bnr_recurrent *rnn, const char *const *defaults,
                                          struct bnr_error *err) {
    const char *direction = bnr__attr_string(rnn->node, "direction", "forward");
    const int64_t layout = bnr__attr_int(rnn->node, "layout", 0);
    rnn->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    rnn->reverse = strcmp(direction, "reverse") == 0;
    if (rnn->directions == 1 && !rnn->reverse && strcmp(direction, "forward") != 0)
        return bnr__op_fail(rnn->node, err, BNR_SHAPE,
                            "direction is '%s', expected forward, reverse or bidirectional",
                            direction);
    if (layout != 0 && layout != 1)
        return bnr__op_fail(rnn->node, err, BNR_SHAPE, "layout is %lld, expected 0 or 1",
                            (long long)layout);
    rnn->batch_first = layout == 1;
    rnn->clip =
        bnr__attr(rnn->node, "clip") ? (double)bnr__attr_float(rnn->node, "clip", 0) : HUGE_VAL;
    if (!(rnn->clip >= 0))
        return bnr__op_fail(rnn->node, err, BNR_SHAPE, "clip is %g, expected 0 or more", rnn->clip);
    return read_activations(rnn, defaults, err);
}

// ---- inference ----------------------------------------------------------------------------------

// Input i has these dims, as far as both are known.
static enum bnr_status check_dims(struct bnr_infer *cx, int i, const char *name, int rank,
                                  const struct bnr_dim *dims) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    if (!t || t->shape.rank < 0)
        return BNR_OK;
    bool fits = t->shape.rank == rank;
    for (int d = 0; fits && d < rank; d++)
        fits = t->shape.dims[d].n < 0 || dims[d].n < 0 || t->shape.dims[d].n == dims[d].n;
    if (fits)
        return BNR_OK;
    char seen[200], wanted[200];
    struct bnr_type want = {.dtype = t->dtype, .shape = {.rank = rank}};
    memcpy(want.shape.dims, dims, (size_t)rank * sizeof *dims);
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%s is %s, expected %s", name,
                        bnr__type_describe(t, seen, sizeof seen),
                        bnr__type_describe(&want, wanted, sizeof wanted));
}

static struct bnr_dim times(struct bnr_dim d, int64_t n) {
    return d.n >= 0 && d.n <= INT64_MAX / n ? bnr__dim_of(d.n * n) : bnr__dim_unknown();
}

static struct bnr_dim dim_of_input(const struct bnr_infer *cx, int i, int d) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    return t && t->shape.rank > d ? t->shape.dims[d] : bnr__dim_unknown();
}

enum bnr_status bnr__recurrent_infer(struct bnr_infer *cx, struct bnr_recurrent *rnn,
                                     const char *const *default_functions) {
    rnn->node = cx->node;
    BNR_TRY(bnr__recurrent_attributes(rnn, default_functions, cx->err));
    for (int i = 0; i < cx->n_in; i++)
        BNR_TRY(bnr__infer_types(cx, i, i == SEQUENCE_LENS ? BNR_TYPE(INT32) : BNR_TYPES_FLOAT));
    const int step_axis = rnn->batch_first ? 1 : 0;
    const struct bnr_dim d = bnr__dim_of(rnn->directions), unknown = bnr__dim_unknown();
    BNR_TRY(check_dims(cx, X, "X", 3, (struct bnr_dim[]){unknown, unknown, unknown}));
    const struct bnr_dim steps = dim_of_input(cx, X, step_axis),
                         batch = dim_of_input(cx, X, 1 - step_axis);
    struct bnr_dim hidden = dim_of_input(cx, R, 2);
    const struct bnr_attr *size = bnr__attr(cx->node, "hidden_size");
    if (size)
        BNR_TRY(bnr__infer_dims_agree(cx, "hidden_size and R", bnr__dim_of(size->ints[0]), hidden,
                                      &hidden));
    const struct bnr_dim rows = times(hidden, rnn->gates);
    const struct bnr_dim w[] = {d, rows, dim_of_input(cx, X, 2)}, r[] = {d, rows, hidden};
    const struct bnr_dim bias[] = {d, times(rows, 2)}, peephole[] = {d, times(hidden, 3)};
    const struct bnr_dim state[2][3] = {{d, batch, hidden}, {batch, d, hidden}};
    BNR_TRY(check_dims(cx, W, "W", 3, w));
    BNR_TRY(check_dims(cx, R, "R", 3, r));
    BNR_TRY(check_dims(cx, B, "B", 2, bias));
    BNR_TRY(check_dims(cx, SEQUENCE_LENS, "sequence_lens", 1, &batch));
    BNR_TRY(check_dims(cx, INITIAL_H, "initial_h", 3, state[step_axis]));
    BNR_TRY(check_dims(cx, INITIAL_C, "initial_c", 3, state[step_axis]));
    BNR_TRY(check_dims(cx, P, "P", 2, peephole));
    struct bnr_shape y = {.rank = 4}, last = {.rank = 3};
    const struct bnr_dim by_step[] = {steps, d, batch, hidden},
                         by_batch[] = {batch, steps, d, hidden};
    memcpy(y.dims, rnn->batch_first ? by_batch : by_step, sizeof by_step);
    memcpy(last.dims, state[step_axis], sizeof state[0]);
    bnr__infer_set(cx, 0, bnr__infer_in_dtype(cx, X), &y);
    bnr__infer_set(cx, 1, bnr__infer_in_dtype(cx, X), &last);
    bnr__infer_set(cx, 2, bnr__infer_in_dtype(cx, X), &last);
    return BNR_OK;
}

// ---- reference ----------------------------------------------------------------------------------

void bnr__recurrent_bias(const struct bnr_recurrent *rnn, int direction, const double *xw,
                         int first, int last, bool with_r_bias, double *out) {
    const size_t h = (size_t)rnn->hidden, rows = (size_t)rnn->gates * h;
    const double *bias = rnn->bias ? rnn->bias + (size_t)direction * 2 * rows : NULL;
    for (size_t j = (size_t)first * h; j < (size_t)last * h; j++)
        out[j] = xw[j] + (bias ? bias[j] + (with_r_bias ? bias[rows + j] : 0) : 0);
}

void bnr__recurrent_product(const struct bnr_recurrent *rnn, int direction, const double *h,
                            int first, int last, double *out) {
    const size_t n = (size_t)rnn->hidden;
    const double *r = rnn->r + (size_t)direction * (size_t)rnn->gates * n * n;
    for (size_t j = (size_t)first * n; j < (size_t)last * n; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += r[j * n + i] * h[i];
        out[j] += sum;
    }
}

struct job {
    const struct bnr_recurrent *rnn;
    const int32_t *lengths; // [batch] or NULL
    double *y, *h, *c;      // [direction, step, batch, hidden]; [direction, batch, hidden]
};

// One sequence in one direction: number `i` = direction * batch + b.
static void run_sequence(const struct job *j, size_t i) {
    const struct bnr_recurrent *rnn = j->rnn;
    const size_t batch = (size_t)rnn->batch, hidden = (size_t)rnn->hidden, b = i % batch;
    const int direction = (int)(i / batch);
    const size_t steps = j->lengths ? (size_t)j->lengths[b] : (size_t)rnn->steps;
    const bool backwards = rnn->reverse || direction == 1;
    double *h = j->h + i * hidden, *c = j->c + i * hidden;
    for (size_t s = 0; s < steps; s++) {
        const size_t t = backwards ? steps - 1 - s : s;
        const size_t row = ((size_t)direction * (size_t)rnn->steps + t) * batch + b;
        rnn->cell(rnn, direction, rnn->xw + row * (size_t)rnn->gates * hidden,
                  rnn->scratch + i * rnn->per_cell, h, c);
        memcpy(j->y + row * hidden, h, hidden * sizeof *h);
    }
}

static void run_sequences(void *cx, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        run_sequence(cx, i);
}

// A [directions, batch, hidden] state from input i, which may be omitted or batch-first.
static double *initial_state(const struct bnr_args *a, const struct bnr_recurrent *rnn, int i) {
    const struct bnr_tensor *t = bnr__in(a, i);
    const size_t d = (size_t)rnn->directions, b = (size_t)rnn->batch, h = (size_t)rnn->hidden;
    double *state = bnr__temp_f64(a, d * b * h);
    if (!state || !t)
        return state;
    for (size_t k = 0; k < d * b; k++) {
        const size_t from = rnn->batch_first ? k % b * d + k / b : k;
        bnr__load_f64(state + k * h, t->dtype, bnr__at(t, from * h), h);
    }
    return state;
}

// X * W^T for every direction, step and sequence.
static double *input_products(const struct bnr_args *a, const struct bnr_recurrent *rnn) {
    const struct bnr_tensor *x = a->in[X], *w = a->in[W];
    const size_t steps = (size_t)rnn->steps, batch = (size_t)rnn->batch, n = (size_t)rnn->input;
    const size_t rows = (size_t)rnn->gates * (size_t)rnn->hidden, d = (size_t)rnn->directions;
    double *xd = bnr__temp_f64(a, steps * batch * n),
           *xw = bnr__temp_f64(a, d * steps * batch * rows);
    if (!xd || !xw)
        return NULL;
    for (size_t k = 0; k < steps * batch; k++) {
        const size_t from = rnn->batch_first ? k % batch * steps + k / batch : k;
        bnr__load_f64(xd + k * n, x->dtype, bnr__at(x, from * n), n);
    }
    struct bnr_matmul p = {
        .m = steps * batch, .n = rows, .k = n, .trans_b = true, .b_dtype = w->dtype};
    for (size_t k = 0; k < d; k++) {
        p.b = bnr__at(w, k * rows * n);
        bnr__matmul_f64(&p, xd, xw + k * steps * batch * rows, a->pool);
    }
    return xw;
}

enum bnr_status bnr__recurrent_lengths(const struct bnr_args *a, int64_t steps, int64_t batch) {
    const struct bnr_tensor *t = bnr__in(a, SEQUENCE_LENS);
    for (int64_t b = 0; t && b < batch; b++)
        if (t->i32[b] < 0 || t->i32[b] > steps)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "sequence_lens[%lld] is %lld, expected 0 to %lld", (long long)b,
                                (long long)t->i32[b], (long long)steps);
    return BNR_OK;
}

// Outputs: Y [steps, directions, batch, hidden] or [batch, steps, directions, hidden] from [d, s,
// b].
static enum bnr_status store_sequence(const struct bnr_args *a, const struct bnr_recurrent *rnn,
                                      const double *y) {
    const int64_t s = rnn->steps, d = rnn->directions, b = rnn->batch, h = rnn->hidden;
    const int64_t by_step[] = {s, d, b, h}, by_batch[] = {b, s, d, h};
    struct bnr_tensor *t;
    BNR_TRY(bnr__out(a, 0, a->in[X]->dtype, 4, rnn->batch_first ? by_batch : by_step, &t));
    for (int64_t k = 0; t && h > 0 && k < d * s * b; k++) {
        const int64_t direction = k / (s * b), step = k / b % s, sequence = k % b;
        const int64_t to = rnn->batch_first ? (sequence * s + step) * d + direction
                                            : (step * d + direction) * b + sequence;
        bnr__store_f64(t->dtype, bnr__at_mut(t, (size_t)(to * h)), y + k * h, (size_t)h);
    }
    return BNR_OK;
}

static enum bnr_status store_state(const struct bnr_args *a, const struct bnr_recurrent *rnn, int i,
                                   const double *state) {
    const int64_t d = rnn->directions, b = rnn->batch, h = rnn->hidden;
    const int64_t by_direction[] = {d, b, h}, by_batch[] = {b, d, h};
    struct bnr_tensor *t;
    BNR_TRY(bnr__out(a, i, a->in[X]->dtype, 3, rnn->batch_first ? by_batch : by_direction, &t));
    for (int64_t k = 0; t && h > 0 && k < d * b; k++) {
        const int64_t to = rnn->batch_first ? k % b * d + k / b : k;
        bnr__store_f64(t->dtype, bnr__at_mut(t, (size_t)(to * h)), state + k * h, (size_t)h);
    }
    return BNR_OK;
}

static enum bnr_status store_outputs(const struct bnr_args *a, const struct bnr_recurrent *rnn,
                                     const struct job *j) {
    BNR_TRY(store_sequence(a, rnn, j->y));
    BNR_TRY(store_state(a, rnn, 1, j->h));
    return rnn->lstm ? store_state(a, rnn, 2, j->c) : BNR_OK;
}

enum bnr_status bnr__recurrent_ref(const struct bnr_args *a, struct bnr_recurrent *rnn,
                                   const char *const *default_functions) {
    const struct bnr_tensor *x = a->in[X], *bias = bnr__in(a, B);
    const struct bnr_tensor *peephole = rnn->lstm ? bnr__in(a, P) : NULL;
    struct job j = {.rnn = rnn};
    rnn->node = a->node;
    BNR_TRY(bnr__recurrent_attributes(rnn, default_functions, a->err));
    rnn->steps = x->dims[rnn->batch_first ? 1 : 0];
    rnn->batch = x->dims[rnn->batch_first ? 0 : 1];
    rnn->input = x->dims[2];
    rnn->hidden = a->in[R]->dims[2];
    const size_t pairs = (size_t)rnn->directions * (size_t)rnn->batch, hidden = (size_t)rnn->hidden;
    if (rnn->batch == 0 || rnn->hidden == 0)
        return store_outputs(a, rnn, &j); // which are all empty
    const int64_t largest[] = {rnn->directions, rnn->steps, rnn->batch,
                               (rnn->gates + 1) * rnn->hidden};
    size_t numel;
    BNR_TRY(bnr__shape_numel(largest, 4, "the gates of all steps", &numel, a->err));
    BNR_TRY(bnr__recurrent_lengths(a, rnn->steps, rnn->batch));
    j.lengths = bnr__in(a, SEQUENCE_LENS) ? a->in[SEQUENCE_LENS]->i32 : NULL;
    j.y = bnr__temp_f64(a, pairs * (size_t)rnn->steps * hidden);
    j.h = initial_state(a, rnn, INITIAL_H);
    j.c = initial_state(a, rnn, rnn->lstm ? INITIAL_C : BNR_VARIADIC);
    rnn->xw = input_products(a, rnn);
    rnn->r = bnr__all_f64(a, a->in[R]);
    rnn->bias = bnr__all_f64(a, bias);
    rnn->peephole = bnr__all_f64(a, peephole);
    rnn->per_cell = ((size_t)rnn->gates + 1) * hidden;
    rnn->scratch = bnr__temp_f64(a, pairs * rnn->per_cell);
    if (!j.y || !j.h || !j.c || !rnn->xw || !rnn->r || (bias && !rnn->bias) ||
        (peephole && !rnn->peephole) || !rnn->scratch)
        return BNR_NO_MEMORY;
    bnr__parallel_for(a->pool, pairs, 1, run_sequences, &j);
    return store_outputs(a, rnn, &j);
}
