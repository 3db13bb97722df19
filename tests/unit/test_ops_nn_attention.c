// SPDX-License-Identifier: Apache-2.0
// Attention, RotaryEmbedding, LinearAttention, CausalConvWithState and the losses against their
// formulas.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static void near(double seen, double expected) {
    if (isnan(expected) ? !isnan(seen) : fabs(seen - expected) > 1e-5 * (1 + fabs(expected)))
        fail_msg("%.9g, expected %.9g", seen, expected);
}

// ---- Attention ----------------------------------------------------------------------------------

enum { BATCH = 2, HEADS = 4, SHARED = 2, QUERIES = 3, KEYS = 5, PAST = 2, SIZE = 4, V_SIZE = 3 };
enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, NONPAD };

struct options {
    bool rank3, causal, past, nonpad;
    char mask; // 0: none, 'b': bool [Q, keys], 'f': float [batch, 1, Q, keys], 's': bool, two keys
               // short
    double softcap;
    int left, right; // windows, -1: none
};

static const struct options variants[] = {
    {.left = -1, .right = -1},
    {.left = -1, .right = -1, .rank3 = true, .causal = true},
    {.left = -1, .right = -1, .past = true, .causal = true, .mask = 'f'},
    {.left = -1, .right = -1, .mask = 'b', .softcap = 0.5},
    {.left = -1, .right = -1, .nonpad = true, .causal = true},
    {.left = 1, .right = 0, .rank3 = true, .past = true},
    {.left = 0, .right = 2, .mask = 's'},
};

static const double nonpad[BATCH] = {5, 2}; // the second batch has fewer keys than queries

static size_t keys_of(const struct options *o) {
    return KEYS + (o->past ? PAST : 0);
}

// Element (batch, head, row, i) of Q, K or V in either layout.
static double element(const struct ops_test *t, bool rank3, int input, size_t heads, size_t length,
                      size_t size, size_t b, size_t h, size_t row, size_t i) {
    const size_t at = rank3 ? (b * length + row) * heads + h : (b * heads + h) * length + row;
    return ops_test_x(t, input, at * size + i);
}

// Keys (values) behind the past ones.
static double cached(const struct ops_test *t, const struct options *o, int input, size_t size,
                     size_t b, size_t h, size_t row, size_t i) {
    if (o->past && row < PAST)
        return ops_test_x(t, input == K ? PAST_KEY : PAST_VALUE,
                          ((b * SHARED + h) * PAST + row) * size + i);
    return element(t, o->rank3, input, SHARED, KEYS, size, b, h, row - (o->past ? PAST : 0), i);
}

static double bias(const struct ops_test *t, const struct options *o, size_t b, size_t q,
                   size_t k) {
    const double offset = o->nonpad ? nonpad[b] - QUERIES : o->past ? PAST : 0;
    const double at = (double)q + offset, keys = (double)keys_of(o);
    if ((o->nonpad && (double)k >= nonpad[b]) || (o->causal && (double)k > at) ||
        (o->left >= 0 && (double)k < at - o->left) || (o->right >= 0 && (double)k > at + o->right))
        return -HUGE_VAL;
    const size_t width = o->mask == 's' ? (size_t)keys - 2 : (size_t)keys;
    if (o->mask && k >= width)
        return -HUGE_VAL;
    if (o->mask == 'f')
        return ops_test_x(t, MASK, (b * QUERIES + q) * width + k);
    return o->mask && ops_test_x(t, MASK, q * width + k) == 0 ? -HUGE_VAL : 0;
}

static void check_query(const struct ops_test *t, const struct options *o, size_t b, size_t h,
                        size_t q) {
    const size_t n = keys_of(o), kv = h / (HEADS / SHARED);
    double p[KEYS + PAST], sum = 0, max = -HUGE_VAL;
    for (size_t k = 0; k < n; k++) {
        p[k] = 0;
        for (size_t i = 0; i < SIZE; i++)
            p[k] += element(t, o->rank3, Q, HEADS, QUERIES, SIZE, b, h, q, i) *
                    cached(t, o, K, SIZE, b, kv, k, i) / 2; // 1 / sqrt(SIZE)
        near(ops_test_y(t, 3, ((b * HEADS + h) * QUERIES + q) * n + k), p[k]);
        if (o->softcap > 0)
            p[k] = o->softcap * tanh(p[k] / o->softcap);
        p[k] += bias(t, o, b, q, k);
        max = fmax(max, p[k]);
    }
    for (size_t k = 0; k < n; k++)
        sum += p[k] = max == -HUGE_VAL ? 0 : exp(p[k] - max);
    for (size_t i = 0; i < V_SIZE; i++) {
        double e = 0;
        for (size_t k = 0; k < n && sum > 0; k++)
            e += p[k] / sum * cached(t, o, V, V_SIZE, b, kv, k, i);
        const size_t row = o->rank3 ? (b * QUERIES + q) * HEADS + h : (b * HEADS + h) * QUERIES + q;
        near(ops_test_y(t, 0, row * V_SIZE + i), e);
    }
}

static void add_inputs(struct ops_test *t, const struct options *o) {
    const int64_t n = (int64_t)keys_of(o);
    double bits[QUERIES * (KEYS + PAST)];
    for (int i = 0; i < QUERIES * (KEYS + PAST); i++)
        bits[i] = i < n ? 0 : i * 7 % 3 != 0; // the first query sees nothing
    if (o->rank3) {
        ops_test_in(t, DIMS(BATCH, QUERIES, HEADS * SIZE), NULL);
        ops_test_in(t, DIMS(BATCH, KEYS, SHARED * SIZE), NULL);
        ops_test_in(t, DIMS(BATCH, KEYS, SHARED * V_SIZE), NULL);
        bnr__node_set_attr_int(t->node, "q_num_heads", HEADS);
        bnr__node_set_attr_int(t->node, "kv_num_heads", SHARED);
    } else {
        ops_test_in(t, DIMS(BATCH, HEADS, QUERIES, SIZE), NULL);
        ops_test_in(t, DIMS(BATCH, SHARED, KEYS, SIZE), NULL);
        ops_test_in(t, DIMS(BATCH, SHARED, KEYS, V_SIZE), NULL);
    }
    if (o->mask == 'f')
        ops_test_in(t, DIMS(BATCH, 1, QUERIES, n), NULL);
    else if (o->mask)
        ops_test_in_as(t, BNR_BOOL, DIMS(QUERIES, o->mask == 's' ? n - 2 : n), bits);
    else
        ops_test_omit(t);
    for (int i = PAST_KEY; i <= PAST_VALUE; i++) {
        if (o->past)
            ops_test_in(t, DIMS(BATCH, SHARED, PAST, i == PAST_KEY ? SIZE : V_SIZE), NULL);
        else
            ops_test_omit(t);
    }
    if (o->nonpad)
        ops_test_in_as(t, BNR_INT64, DIMS(BATCH), nonpad);
}

static void attention(void **state) {
    for (size_t v = 0; v < BNR_COUNT(variants); v++) {
        const struct options *o = &variants[v];
        struct ops_test t;
        ops_test_begin(&t, "Attention", 25, 4);
        add_inputs(&t, o);
        bnr__node_set_attr_int(t.node, "is_causal", o->causal);
        bnr__node_set_attr_int(t.node, "left_window_size", o->left);
        bnr__node_set_attr_int(t.node, "right_window_size", o->right);
        bnr__node_set_attr_float(t.node, "softcap", (float)o->softcap);
        ops_test_ok(&t);
        ops_test_dims(&t, 1, DIMS(BATCH, SHARED, (int64_t)keys_of(o), SIZE));
        for (size_t i = 0; i < BATCH * HEADS * QUERIES; i++)
            check_query(&t, o, i / (HEADS * QUERIES), i / QUERIES % HEADS, i % QUERIES);
        for (size_t i = 0; i < t.out[2]->numel; i++) {
            const size_t n = keys_of(o), head = i / (n * V_SIZE);
            near(ops_test_y(&t, 2, i), cached(&t, o, V, V_SIZE, head / SHARED, head % SHARED,
                                              i / V_SIZE % n, i % V_SIZE));
        }
        ops_test_end(&t);
    }
}

static void attention_refusals(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "Attention", 23, 1);
    for (int i = 0; i < 3; i++)
        ops_test_in(&t, DIMS(1, 2, 8), NULL);
    ops_test_refused(&t, "q_num_heads is 0");
    ops_test_begin(&t, "Attention", 23, 1);
    ops_test_in(&t, DIMS(1, 3, 2, 4), NULL);
    ops_test_in(&t, DIMS(1, 2, 2, 4), NULL);
    ops_test_in(&t, DIMS(1, 2, 2, 4), NULL);
    ops_test_refused(&t, "3 query heads do not share 2 key heads");
    ops_test_begin(&t, "Attention", 23, 1);
    for (int i = 0; i < 3; i++)
        ops_test_in(&t, DIMS(1, 2, 2, 4), NULL);
    ops_test_omit(&t);
    ops_test_in(&t, DIMS(1, 2, 2, 4), NULL);
    ops_test_refused(&t, "go together");
}

// ---- relatives ----------------------------------------------------------------------------------

static void rotary_embedding(void **state) {
    for (int interleaved = 0; interleaved < 2; interleaved++)
        for (int by_position = 0; by_position < 2; by_position++) {
            enum { LENGTH = 3, HALF = 2, ROTATED = 2 * HALF, ALL = 6 };
            const double positions[] = {2, 0, 1};
            struct ops_test t;
            ops_test_begin(&t, "RotaryEmbedding", 23, 1);
            ops_test_in(&t, DIMS(1, LENGTH, 2 * ALL), NULL);
            for (int i = 0; i < 2; i++) {
                if (by_position)
                    ops_test_in(&t, DIMS(LENGTH, HALF), NULL);
                else
                    ops_test_in(&t, DIMS(1, LENGTH, HALF), NULL);
            }
            if (by_position)
                ops_test_in_as(&t, BNR_INT64, DIMS(1, LENGTH), positions);
            bnr__node_set_attr_int(t.node, "num_heads", 2);
            bnr__node_set_attr_int(t.node, "interleaved", interleaved);
            bnr__node_set_attr_int(t.node, "rotary_embedding_dim", ROTATED);
            ops_test_ok(&t);
            for (size_t i = 0; i < LENGTH * 2 * ALL; i++) {
                const size_t token = i / (2 * ALL), e = i % ALL, base = i - e;
                const size_t row = by_position ? (size_t)positions[token] : token;
                const bool second = interleaved ? e % 2 == 1 : e >= HALF;
                const size_t pair = interleaved ? e / 2 : e % HALF;
                const size_t one = interleaved ? 2 * pair : pair,
                             two = interleaved ? 2 * pair + 1 : pair + HALF;
                if (e >= ROTATED) {
                    near(ops_test_y(&t, 0, i), ops_test_x(&t, 0, i));
                    continue;
                }
                const double c = ops_test_x(&t, 1, row * HALF + pair),
                             s = ops_test_x(&t, 2, row * HALF + pair);
                const double a = ops_test_x(&t, 0, base + one), b = ops_test_x(&t, 0, base + two);
                near(ops_test_y(&t, 0, i), second ? s * a + c * b : c * a - s * b);
            }
            ops_test_end(&t);
        }
}

// One key head of size 1 x 1, so that the recurrence is one line.
static void linear_attention(void **state) {
    static const char *const rules[] = {"linear", "gated", "delta", "gated_delta"};
    for (int r = 0; r < 4; r++) {
        enum { STEPS = 4 };
        const bool gated = r & 1, delta = r & 2;
        struct ops_test t;
        ops_test_begin(&t, "LinearAttention", 27, 2);
        ops_test_in(&t, DIMS(1, STEPS, 2), NULL); // two query heads share the key head
        ops_test_in(&t, DIMS(1, STEPS, 1), NULL);
        ops_test_in(&t, DIMS(1, STEPS, 1), NULL);
        ops_test_in(&t, DIMS(1, 1, 1, 1), (double[]){0.5});
        if (gated)
            ops_test_in(&t, DIMS(1, STEPS, 1), NULL);
        else
            ops_test_omit(&t);
        if (delta)
            ops_test_in(&t, DIMS(1, STEPS, 1), NULL);
        bnr__node_set_attr_int(t.node, "q_num_heads", 2);
        bnr__node_set_attr_int(t.node, "kv_num_heads", 1);
        bnr__node_set_attr_string(t.node, "update_rule", rules[r]);
        bnr__node_set_attr_float(t.node, "scale", 3);
        ops_test_ok(&t);
        double s = 0.5;
        for (size_t i = 0; i < STEPS; i++) {
            const double k = ops_test_x(&t, 1, i), v = ops_test_x(&t, 2, i);
            s *= gated ? exp(ops_test_x(&t, 4, i)) : 1;
            s += k * (delta ? ops_test_x(&t, 5, i) * (v - s * k) : v);
            for (size_t h = 0; h < 2; h++)
                near(ops_test_y(&t, 0, 2 * i + h), 3 * s * ops_test_x(&t, 0, 2 * i + h));
        }
        near(ops_test_y(&t, 1, 0), s);
        ops_test_end(&t);
    }
}

static void causal_conv(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "CausalConvWithState", 27, 2);
    ops_test_in(&t, DIMS(1, 2, 2), (double[]){1, 2, 3, 4});
    ops_test_in(&t, DIMS(2, 1, 4), (double[]){1, 10, 100, 1000, 1, 1, 1, 1});
    ops_test_in(&t, DIMS(2), (double[]){0.5, 0});
    ops_test_in(&t, DIMS(1, 2, 3), (double[]){7, 8, 9, 0, 0, -3});
    ops_test_ok(&t);
    // The sequences are 7 8 9 1 2 and 0 0 -3 3 4.
    ops_test_near(&t, 0, (double[]){1987.5, 2198.5, 0, 4}, 4, 0);
    ops_test_near(&t, 1, (double[]){9, 1, 2, -3, 3, 4}, 6, 0);
    ops_test_end(&t);
}

// ---- losses -------------------------------------------------------------------------------------

static void losses(void **state) {
    enum { N = 2, C = 3, D = 2, ALL = N * D };
    static const double labels[ALL] = {2, 0, -1, 1}, weights[C] = {0.5, 2, 3};
    static const char *const reductions[] = {"none", "sum", "mean"};
    for (int variant = 0; variant < 12; variant++) {
        const bool with_softmax = variant & 1, weighted = variant & 2;
        const char *reduction = reductions[variant / 4];
        struct ops_test t;
        ops_test_begin(&t, with_softmax ? "SoftmaxCrossEntropyLoss" : "NegativeLogLikelihoodLoss",
                       13, 1);
        ops_test_in(&t, DIMS(N, C, D), NULL);
        ops_test_in_as(&t, BNR_INT64, DIMS(N, D), labels);
        if (weighted)
            ops_test_in(&t, DIMS(C), weights);
        bnr__node_set_attr_int(t.node, "ignore_index", -1);
        bnr__node_set_attr_string(t.node, "reduction", reduction);
        ops_test_ok(&t);
        double sum = 0, total = 0;
        for (size_t i = 0; i < ALL; i++) {
            const int label = (int)labels[i];
            double loss = 0, norm = 0;
            for (size_t c = 0; c < C; c++)
                norm += exp(ops_test_x(&t, 0, (i / D * C + c) * D + i % D));
            if (label >= 0) {
                const double w = weighted ? weights[label] : 1;
                loss = -w * (ops_test_x(&t, 0, (i / D * C + (size_t)label) * D + i % D) -
                             (with_softmax ? log(norm) : 0));
                total += w;
            }
            sum += loss;
            if (reduction[0] == 'n')
                near(ops_test_y(&t, 0, i), loss);
        }
        if (reduction[0] != 'n')
            near(ops_test_y(&t, 0, 0), reduction[0] == 's' ? sum : sum / total);
        ops_test_end(&t);
    }
    struct ops_test t;
    ops_test_begin(&t, "NegativeLogLikelihoodLoss", 22, 1);
    ops_test_in(&t, DIMS(1, 3), NULL);
    ops_test_in_as(&t, BNR_INT32, DIMS(1), (double[]){3});
    ops_test_refused(&t, "label 0 is 3, expected 0 to 2");
}

// ---- FlexAttention, without bodies (ONNX's own data have them) ----------------------------------

static double flex_score(const struct ops_test *t, size_t head, size_t q, size_t k) {
    double sum = 0;
    for (size_t d = 0; d < SIZE; d++)
        sum += ops_test_x(t, Q, (head * QUERIES + q) * SIZE + d) *
               ops_test_x(t, K, (head / (HEADS / SHARED) * KEYS + k) * SIZE + d);
    return 0.75 * sum;
}

static void flex_attention(void **state) {
    struct ops_test t;
    ops_test_begin_in(&t, "ai.onnx.preview", "FlexAttention", 1, 1);
    ops_test_in(&t, DIMS(BATCH, HEADS, QUERIES, SIZE), NULL);
    ops_test_in(&t, DIMS(BATCH, SHARED, KEYS, SIZE), NULL);
    ops_test_in(&t, DIMS(BATCH, SHARED, KEYS, V_SIZE), NULL);
    bnr__node_set_attr_float(t.node, "scale", 0.75f);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(BATCH, HEADS, QUERIES, V_SIZE));
    for (size_t i = 0; i < BATCH * HEADS * QUERIES * V_SIZE; i++) {
        const size_t d = i % V_SIZE, q = i / V_SIZE % QUERIES, head = i / V_SIZE / QUERIES;
        double above = 0, below = 0;
        for (size_t k = 0; k < KEYS; k++) {
            const double e = exp(flex_score(&t, head, q, k));
            above += e * ops_test_x(&t, V, (head / (HEADS / SHARED) * KEYS + k) * V_SIZE + d);
            below += e;
        }
        near(ops_test_y(&t, 0, i), above / below);
    }
    ops_test_end(&t);
    ops_test_begin_in(&t, "ai.onnx.preview", "FlexAttention", 1, 1);
    ops_test_in(&t, DIMS(1, 3, 2, 4), NULL);
    ops_test_in(&t, DIMS(1, 2, 2, 4), NULL);
    ops_test_in(&t, DIMS(1, 2, 2, 4), NULL);
    ops_test_refused(&t, "3 query heads do not share 2 key heads");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention),        cmocka_unit_test(attention_refusals),
        cmocka_unit_test(rotary_embedding), cmocka_unit_test(linear_attention),
        cmocka_unit_test(causal_conv),      cmocka_unit_test(flex_attention),
        cmocka_unit_test(losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
