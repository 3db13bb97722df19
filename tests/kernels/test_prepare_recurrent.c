// SPDX-License-Identifier: Apache-2.0
// The kernel of RNN, GRU and LSTM against the operators' reference code, in double: directions,
// layouts, sequences of different lengths, states, peepholes, activations, weights that are
// constants and others.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/node_test.h"

struct sizes {
    int64_t directions, steps, batch, input, hidden, gates;
    bool batch_first;
};

static int64_t pick(struct rng *r, size_t low, size_t high) {
    return (int64_t)rng_size(r, low, high);
}

static void set_int(struct ops_test *t, const char *name, int64_t v) {
    assert_int_equal(bnr__node_set_attr_int(t->node, name, v), BNR_OK);
}

static void set_strings(struct ops_test *t, const char *name, size_t n, const char *const *values) {
    struct bnr_str list[6];
    for (size_t i = 0; i < n; i++)
        list[i] = (struct bnr_str){.ptr = values[i], .len = strlen(values[i])};
    const struct bnr_attr attr = {.name = name, .type = BNR_ATTR_STRINGS, .n = n, .strings = list};
    assert_int_equal(bnr__node_set_attr(t->node, &attr), BNR_OK);
}

static void add_state(struct ops_test *t, const struct sizes *s) {
    if (s->batch_first)
        ops_test_in(t, DIMS(s->batch, s->directions, s->hidden), NULL);
    else
        ops_test_in(t, DIMS(s->directions, s->batch, s->hidden), NULL);
}

static void add_optional(struct ops_test *t, struct rng *r, const struct sizes *s) {
    double lengths[64];
    for (int64_t i = 0; i < s->batch; i++)
        lengths[i] = (double)pick(r, 0, (size_t)s->steps);
    if (rng_next(r) % 3)
        ops_test_in(t, DIMS(s->directions, 2 * s->gates * s->hidden), NULL);
    else
        ops_test_omit(t);
    if (rng_next(r) % 3 == 0)
        ops_test_in_as(t, BNR_INT32, DIMS(s->batch), lengths);
    else
        ops_test_omit(t);
    if (rng_next(r) % 2)
        add_state(t, s);
    else
        ops_test_omit(t);
    if (s->gates < 4)
        return;
    if (rng_next(r) % 2)
        add_state(t, s);
    else
        ops_test_omit(t);
    if (rng_next(r) % 3 == 0)
        ops_test_in(t, DIMS(s->directions, 3 * s->hidden), NULL);
}

static void set_attributes(struct ops_test *t, struct rng *r, const struct sizes *s) {
    static const char *const names[] = {"Relu",        "Tanh", "Sigmoid", "LeakyRelu",
                                        "HardSigmoid", "Elu",  "Softplus"};
    const char *chosen[6];
    const size_t functions = (s->gates == 4 ? 3 : s->gates == 3 ? 2 : 1) * (size_t)s->directions;
    if (s->directions == 2)
        assert_int_equal(bnr__node_set_attr_string(t->node, "direction", "bidirectional"), BNR_OK);
    else if (rng_next(r) % 3 == 0)
        assert_int_equal(bnr__node_set_attr_string(t->node, "direction", "reverse"), BNR_OK);
    if (s->batch_first)
        set_int(t, "layout", 1);
    if (rng_next(r) % 2)
        set_int(t, s->gates == 4 ? "input_forget" : "linear_before_reset", 1);
    if (rng_next(r) % 4 == 0)
        assert_int_equal(bnr__node_set_attr_float(t->node, "clip", 0.7f), BNR_OK);
    if (rng_next(r) % 3)
        return;
    for (size_t i = 0; i < functions; i++)
        chosen[i] = names[rng_next(r) % (sizeof names / sizeof names[0])];
    set_strings(t, "activations", functions, chosen);
}

static void begin(struct ops_test *t, struct rng *r, struct sizes *s) {
    static const int64_t edges[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 48};
    const size_t n = sizeof edges / sizeof edges[0];
    static const struct {
        const char *name;
        int64_t gates;
        int outputs;
    } kinds[] = {{"RNN", 1, 2}, {"GRU", 3, 2}, {"LSTM", 4, 3}};
    const size_t kind = rng_next(r) % 3;
    *s = (struct sizes){pick(r, 1, 2),          pick(r, 1, 7),          pick(r, 1, 20),
                        edges[rng_next(r) % n], edges[rng_next(r) % n], kinds[kind].gates,
                        rng_next(r) % 2};
    if (rng_next(r) % 10 == 0) { // threads share the products
        s->hidden = 400;
        s->batch = pick(r, 1, 3);
    }
    ops_test_begin(t, kinds[kind].name, 22, kinds[kind].outputs);
    if (s->batch_first)
        ops_test_in(t, DIMS(s->batch, s->steps, s->input), NULL);
    else
        ops_test_in(t, DIMS(s->steps, s->batch, s->input), NULL);
    ops_test_in(t, DIMS(s->directions, s->gates * s->hidden, s->input), NULL);
    ops_test_in(t, DIMS(s->directions, s->gates * s->hidden, s->hidden), NULL);
    for (size_t i = 0; i < t->in[2]->numel; i++) // large sums would saturate, or grow without bound
        t->in[2]->f32[i] /= (float)s->hidden;
}

static void recurrent(void **state) {
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct rng r = {seed * 1000};
        struct ops_test t;
        struct sizes s;
        char what[40];
        begin(&t, &r, &s);
        add_optional(&t, &r, &s);
        set_attributes(&t, &r, &s);
        if (rng_next(&r) % 4 == 0)
            ops_test_unwanted(&t, (int)pick(&r, 0, 1));
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
        node_test(&t, rng_next(&r) % 2 ? 6 : 2 * (unsigned)(rng_next(&r) % 4), 1e-5, what);
    }
}

// A NaN stays in its sequence, and saturated gates are exact.
static void special_values(void **state) {
    static const char *const names[] = {"RNN", "GRU", "LSTM"};
    static const int64_t gates[] = {1, 3, 4};
    for (int i = 0; i < 3; i++) {
        struct ops_test t;
        ops_test_begin(&t, names[i], 22, 2);
        ops_test_in(&t, DIMS(2, 5, 2),
                    (const double[]){1, NAN, 1, 2, INFINITY, 1, 1e30, -1e30, 0,         -0.0,
                                     1, 1,   1, 1, 1,        1, 1,    1,     -INFINITY, 1});
        ops_test_in(&t, DIMS(1, gates[i] * 3, 2), NULL);
        ops_test_in(&t, DIMS(1, gates[i] * 3, 3), NULL);
        node_test(&t, 6, 1e-6, names[i]);
    }
}

static void lengths_are_checked(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "GRU", 22, 2);
    ops_test_in(&t, DIMS(2, 1, 2), NULL);
    ops_test_in(&t, DIMS(1, 9, 2), NULL);
    ops_test_in(&t, DIMS(1, 9, 3), NULL);
    ops_test_omit(&t);
    ops_test_in_as(&t, BNR_INT32, DIMS(1), (const double[]){3});
    node_test_refused(&t, 6, "sequence_lens[0] is 3");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(recurrent),
                                       cmocka_unit_test(special_values),
                                       cmocka_unit_test(lengths_are_checked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
