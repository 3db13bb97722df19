// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM against their equations written out for one unit at a time: directions,
// layouts, sequence lengths, initial states, biases, peepholes, clipping, activations and their
// variants.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

enum { STEPS = 4, BATCH = 2, IN = 3, HIDDEN = 2, MAX_GATES = 4 };
enum { X, W, R, B, LENGTHS, H0, C0, P };

struct options {
    const char *direction;
    bool batch_first, lengths, states, bias, peepholes, coupled, linear_before_reset;
    double clip; // 0: none
};

static const struct options variants[] = {
    {.direction = "forward"},
    {.direction = "reverse", .bias = true, .states = true},
    {.direction = "bidirectional",
     .bias = true,
     .lengths = true,
     .states = true,
     .peepholes = true},
    {.direction = "bidirectional",
     .batch_first = true,
     .states = true,
     .linear_before_reset = true,
     .bias = true},
    {.direction = "forward", .clip = 0.3, .bias = true, .peepholes = true, .coupled = true},
    {.direction = "reverse", .lengths = true, .batch_first = true, .linear_before_reset = true},
};

static const double lengths[BATCH] = {STEPS, 2};

static int directions(const struct options *o) {
    return o->direction[0] == 'b' ? 2 : 1;
}

// ---- the equations ------------------------------------------------------------------------------

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double clipped(const struct options *o, double x) {
    return o->clip > 0 ? fmin(fmax(x, -o->clip), o->clip) : x;
}

struct at {
    const struct ops_test *t;
    const struct options *o;
    int gates, d;
};

// Row `gate * HIDDEN + j` of direction d of W x + Wb, of R h + Rb.
static double of_input(const struct at *a, int gate, int j, const double *x) {
    const int row = (a->d * a->gates + gate) * HIDDEN + j;
    double sum = a->o->bias ? ops_test_x(a->t, B, (size_t)(row + a->d * a->gates * HIDDEN)) : 0;
    for (int i = 0; i < IN; i++)
        sum += ops_test_x(a->t, W, (size_t)(row * IN + i)) * x[i];
    return sum;
}

static double of_state(const struct at *a, int gate, int j, const double *h) {
    const int row = (a->d * a->gates + gate) * HIDDEN + j;
    const int bias = row + a->d * a->gates * HIDDEN + a->gates * HIDDEN;
    double sum = a->o->bias ? ops_test_x(a->t, B, (size_t)bias) : 0;
    for (int i = 0; i < HIDDEN; i++)
        sum += ops_test_x(a->t, R, (size_t)(row * HIDDEN + i)) * h[i];
    return sum;
}

static double both(const struct at *a, int gate, int j, const double *x, const double *h) {
    return clipped(a->o, of_input(a, gate, j, x) + of_state(a, gate, j, h));
}

static void rnn_step(const struct at *a, const double *x, double *h, double *c) {
    double next[HIDDEN];
    for (int j = 0; j < HIDDEN; j++)
        next[j] = tanh(both(a, 0, j, x, h));
    memcpy(h, next, sizeof next);
}

static void gru_step(const struct at *a, const double *x, double *h, double *c) {
    double next[HIDDEN], reset[HIDDEN];
    for (int j = 0; j < HIDDEN; j++)
        reset[j] = sigmoid(both(a, 1, j, x, h)) * h[j];
    for (int j = 0; j < HIDDEN; j++) {
        const double z = sigmoid(both(a, 0, j, x, h)), r = sigmoid(both(a, 1, j, x, h));
        const double n = a->o->linear_before_reset
                             ? of_input(a, 2, j, x) + r * of_state(a, 2, j, h)
                             : of_input(a, 2, j, x) + of_state(a, 2, j, reset);
        next[j] = (1 - z) * tanh(clipped(a->o, n)) + z * h[j];
    }
    memcpy(h, next, sizeof next);
}

static double peephole(const struct at *a, int which, int j) {
    return a->o->peepholes ? ops_test_x(a->t, P, (size_t)((a->d * 3 + which) * HIDDEN + j)) : 0;
}

static void lstm_step(const struct at *a, const double *x, double *h, double *c) {
    double next[HIDDEN];
    for (int j = 0; j < HIDDEN; j++) {
        const double gi = of_input(a, 0, j, x) + of_state(a, 0, j, h) + peephole(a, 0, j) * c[j];
        const double gf = of_input(a, 2, j, x) + of_state(a, 2, j, h) + peephole(a, 2, j) * c[j];
        const double i = sigmoid(clipped(a->o, gi));
        const double f = a->o->coupled ? 1 - i : sigmoid(clipped(a->o, gf));
        c[j] = f * c[j] + i * tanh(both(a, 3, j, x, h));
        const double go = of_input(a, 1, j, x) + of_state(a, 1, j, h) + peephole(a, 1, j) * c[j];
        next[j] = sigmoid(clipped(a->o, go)) * tanh(clipped(a->o, c[j]));
    }
    memcpy(h, next, sizeof next);
}

// ---- running them -------------------------------------------------------------------------------

static const struct kind {
    const char *op;
    int opset, gates;
    void (*step)(const struct at *a, const double *x, double *h, double *c);
} kinds[] = {{"RNN", 14, 1, rnn_step}, {"GRU", 22, 3, gru_step}, {"LSTM", 14, 4, lstm_step}};

static void add_inputs(struct ops_test *t, const struct kind *k, const struct options *o) {
    const int64_t d = directions(o), rows = k->gates * HIDDEN;
    const int64_t state[] = {o->batch_first ? BATCH : d, o->batch_first ? d : BATCH, HIDDEN};
    ops_test_in(t, DIMS(o->batch_first ? BATCH : STEPS, o->batch_first ? STEPS : BATCH, IN), NULL);
    ops_test_in(t, DIMS(d, rows, IN), NULL);
    ops_test_in(t, DIMS(d, rows, HIDDEN), NULL);
    if (o->bias)
        ops_test_in(t, DIMS(d, 2 * rows), NULL);
    else
        ops_test_omit(t);
    if (o->lengths)
        ops_test_in_as(t, BNR_INT32, DIMS(BATCH), lengths);
    else
        ops_test_omit(t);
    for (int i = H0; i <= (k->gates == 4 ? C0 : H0); i++) {
        if (o->states)
            ops_test_in(t, 3, state, NULL);
        else
            ops_test_omit(t);
    }
    if (k->gates == 4 && o->peepholes)
        ops_test_in(t, DIMS(d, 3 * HIDDEN), NULL);
}

static size_t state_index(const struct options *o, int d, int b, int j) {
    const int row = o->batch_first ? b * directions(o) + d : d * BATCH + b;
    return (size_t)(row * HIDDEN + j);
}

static void near(double seen, double expected) {
    if (fabs(seen - expected) > 1e-6)
        fail_msg("%.9g, expected %.9g", seen, expected);
}

static void check_sequence(const struct ops_test *t, const struct kind *k, const struct options *o,
                           int d, int b) {
    const int steps = o->lengths ? (int)lengths[b] : STEPS, count = directions(o);
    const bool backwards = d == 1 || strcmp(o->direction, "reverse") == 0;
    const struct at a = {t, o, k->gates, d};
    double h[HIDDEN] = {0}, c[HIDDEN] = {0};
    for (int j = 0; o->states && j < HIDDEN; j++) {
        h[j] = ops_test_x(t, H0, state_index(o, d, b, j));
        c[j] = k->gates == 4 ? ops_test_x(t, C0, state_index(o, d, b, j)) : 0;
    }
    for (int s = 0; s < STEPS; s++) {
        const int time = s < steps && backwards ? steps - 1 - s : s;
        const int row = o->batch_first ? b * STEPS + time : time * BATCH + b;
        const int out =
            o->batch_first ? (b * STEPS + time) * count + d : (time * count + d) * BATCH + b;
        double x[IN];
        for (int i = 0; i < IN; i++)
            x[i] = ops_test_x(t, X, (size_t)(row * IN + i));
        if (s < steps)
            k->step(&a, x, h, c);
        for (int j = 0; j < HIDDEN; j++) // zeros behind the end of a sequence
            near(ops_test_y(t, 0, (size_t)(out * HIDDEN + j)), s < steps ? h[j] : 0);
    }
    for (int j = 0; j < HIDDEN; j++) {
        near(ops_test_y(t, 1, state_index(o, d, b, j)), h[j]);
        if (k->gates == 4)
            near(ops_test_y(t, 2, state_index(o, d, b, j)), c[j]);
    }
}

static void all_variants(void **state) {
    for (size_t i = 0; i < BNR_COUNT(kinds); i++)
        for (size_t v = 0; v < BNR_COUNT(variants); v++) {
            const struct options *o = &variants[v];
            struct ops_test t;
            ops_test_begin(&t, kinds[i].op, kinds[i].opset, kinds[i].gates == 4 ? 3 : 2);
            add_inputs(&t, &kinds[i], o);
            bnr__node_set_attr_string(t.node, "direction", o->direction);
            bnr__node_set_attr_int(t.node, "hidden_size", HIDDEN);
            bnr__node_set_attr_int(t.node, "layout", o->batch_first);
            bnr__node_set_attr_int(t.node, "input_forget", o->coupled);
            bnr__node_set_attr_int(t.node, "linear_before_reset", o->linear_before_reset);
            if (o->clip > 0)
                bnr__node_set_attr_float(t.node, "clip", (float)o->clip);
            struct options exact = *o;
            exact.clip = (double)(float)o->clip;
            ops_test_ok(&t);
            for (int d = 0; d < directions(o); d++)
                for (int b = 0; b < BATCH; b++)
                    check_sequence(&t, &kinds[i], &exact, d, b);
            ops_test_end(&t);
        }
}

// One unit, one step, h = f(x): which activation is f, and which parameters it gets.
static void activations(void **state) {
    static const float none[1], a[] = {0.3f}, b[] = {0.7f};
    static const struct {
        const char *name;
        int parameters;
        double plus, minus; // f(2), f(-2)
    } cases[] = {
        {"Relu", 0, 2, 0},
        {"tanh", 0, 0.9640275801, -0.9640275801}, // names are taken in any case
        {"Sigmoid", 0, 0.8807970780, 0.1192029220},
        {"Affine", 2, 1.3, 0.1},
        {"Affine", 0, 2, -2},
        {"LeakyRelu", 1, 2, -0.6},
        {"LeakyRelu", 0, 2, -0.02},
        {"ThresholdedRelu", 1, 2, 0},
        {"ScaledTanh", 2, 0.2656054947, -0.2656054947},
        {"HardSigmoid", 2, 1, 0.1},
        {"HardSigmoid", 0, 0.9, 0.1},
        {"Elu", 1, 2, -0.2593994150},
        {"Softsign", 0, 0.6666666667, -0.6666666667},
        {"Softplus", 0, 2.1269280110, 0.1269280110},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++)
        for (int sign = 1; sign >= -1; sign -= 2) {
            const struct bnr_str name = {cases[i].name, strlen(cases[i].name)};
            const size_t n_a = cases[i].parameters > 0, n_b = cases[i].parameters > 1;
            struct ops_test t;
            ops_test_begin(&t, "RNN", 22, 2);
            ops_test_in(&t, DIMS(1, 1, 1), (double[]){2 * sign});
            ops_test_in(&t, DIMS(1, 1, 1), (double[]){1});
            ops_test_in(&t, DIMS(1, 1, 1), (double[]){0});
            const struct bnr_attr attrs[] = {
                {.name = "activations", .type = BNR_ATTR_STRINGS, .n = 1, .strings = &name},
                {.name = "activation_alpha",
                 .type = BNR_ATTR_FLOATS,
                 .n = n_a,
                 .floats = n_a ? a : none},
                {.name = "activation_beta",
                 .type = BNR_ATTR_FLOATS,
                 .n = n_b,
                 .floats = n_b ? b : none},
            };
            for (int k = 0; k < 3; k++)
                if (attrs[k].n > 0)
                    assert_int_equal(bnr__node_set_attr(t.node, &attrs[k]), BNR_OK);
            ops_test_ok(&t);
            near(ops_test_y(&t, 1, 0), sign > 0 ? cases[i].plus : cases[i].minus);
            ops_test_end(&t);
        }
}

static struct ops_test lstm(const int64_t *w_dims) {
    struct ops_test t;
    ops_test_begin(&t, "LSTM", 22, 3);
    ops_test_in(&t, DIMS(STEPS, BATCH, IN), NULL);
    ops_test_in(&t, 3, w_dims, NULL);
    ops_test_in(&t, DIMS(1, 4 * HIDDEN, HIDDEN), NULL);
    return t;
}

static void refusals(void **state) {
    const int64_t good[] = {1, 4 * HIDDEN, IN};
    struct ops_test t = lstm((const int64_t[]){1, 3 * HIDDEN, IN});
    ops_test_refused(&t, "W is float32[1,6,3], expected float32[1,8,3]");
    t = lstm(good);
    bnr__node_set_attr_string(t.node, "direction", "sideways");
    ops_test_refused(&t, "direction is 'sideways'");
    t = lstm(good);
    bnr__node_set_attr_string(t.node, "direction", "bidirectional");
    ops_test_refused(&t, "expected float32[2,8,3]");
    t = lstm(good);
    bnr__node_set_attr_int(t.node, "hidden_size", 5);
    ops_test_refused(&t, "hidden_size and R: 5 and 2 do not agree");
    t = lstm(good);
    bnr__node_set_attr_int(t.node, "layout", 2);
    ops_test_refused(&t, "layout is 2");
    t = lstm(good);
    ops_test_omit(&t);
    ops_test_in_as(&t, BNR_INT32, DIMS(BATCH), (double[]){1, STEPS + 1});
    ops_test_refused(&t, "sequence_lens[1] is 5, expected 0 to 4");
    t = lstm(good);
    const struct bnr_str names[] = {{"Sigmoid", 7}, {"Tanh", 4}, {"Sinus", 5}};
    bnr__node_set_attr(
        t.node, &(struct bnr_attr){
                    .name = "activations", .type = BNR_ATTR_STRINGS, .n = 3, .strings = names});
    ops_test_refused(&t, "activation 'Sinus' is not known");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_variants),
        cmocka_unit_test(activations),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
