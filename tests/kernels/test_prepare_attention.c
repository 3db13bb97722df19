// SPDX-License-Identifier: Apache-2.0
// The kernel of attention against the operators' reference code, in double: layouts, grouped heads,
// caches, masks, windows, capping, sizes around the tiles and beyond a block.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/node_test.h"

struct sizes {
    int64_t batch, kv_heads, group, queries, keys, past, size, v_size;
};

static int64_t pick(struct rng *r, size_t low, size_t high) {
    return (int64_t)rng_size(r, low, high);
}

static struct sizes random_sizes(struct rng *r) {
    static const int64_t edges[] = {1, 2, 7, 8, 14, 15, 16, 17, 31, 32, 33, 64};
    const size_t n = sizeof edges / sizeof edges[0];
    struct sizes s = {pick(r, 1, 2),          pick(r, 1, 3),         pick(r, 1, 3),
                      pick(r, 1, 40),         pick(r, 1, 40),        0,
                      edges[rng_next(r) % n], edges[rng_next(r) % n]};
    if (rng_next(r) % 4 == 0)
        s.queries = 1;
    if (rng_next(r) % 5 == 0)
        s.keys = pick(r, 120, 900); // more than one block of K and of V
    if (rng_next(r) % 2)
        s.past = pick(r, 1, 50);
    return s;
}

static void set_int(struct ops_test *t, const char *name, int64_t v) {
    assert_int_equal(bnr__node_set_attr_int(t->node, name, v), BNR_OK);
}

static void add_rows(struct ops_test *t, bool flat, const struct sizes *s, int64_t heads,
                     int64_t length, int64_t size) {
    if (flat)
        ops_test_in(t, DIMS(s->batch, length, heads * size), NULL);
    else
        ops_test_in(t, DIMS(s->batch, heads, length, size), NULL);
}

static void add_mask(struct ops_test *t, struct rng *r, const struct sizes *s) {
    enum { MOST = 2 * 9 * 40 * 950 };
    static double values[MOST];
    const bool boolean = rng_next(r) % 2;
    const int64_t heads = rng_next(r) % 2 ? 1 : s->kv_heads * s->group,
                  batch = rng_next(r) % 2 ? 1 : s->batch;
    const int64_t rows = rng_next(r) % 4 ? s->queries : 1;
    const int64_t keys = s->keys + s->past - (s->keys > 1 && rng_next(r) % 4 == 0);
    const uint64_t out = rng_next(r) % 3 ? 4 : 1; // one in four keys, or all in some rows
    for (int64_t i = 0; i < batch * heads * rows * keys; i++) {
        const bool hidden = out == 4 ? rng_next(r) % 4 == 0 : i / keys % 3 == 0;
        values[i] = boolean ? !hidden : hidden ? -HUGE_VAL : (double)rng_float(r);
    }
    const enum bnr_dtype dtype = boolean ? BNR_BOOL : BNR_FLOAT;
    if (batch == 1 && heads == 1 && rng_next(r) % 2)
        ops_test_in_as(t, dtype, DIMS(rows, keys), values);
    else
        ops_test_in_as(t, dtype, DIMS(batch, heads, rows, keys), values);
}

static void attention(void **state) {
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct rng r = {seed * 1000};
        struct sizes s = random_sizes(&r);
        struct ops_test t;
        const bool flat = rng_next(&r) % 2, nonpad = rng_next(&r) % 5 == 0;
        char what[40];
        if (nonpad)
            s.past = 0;
        ops_test_begin(&t, "Attention", 25, s.past ? 3 : 1);
        add_rows(&t, flat, &s, s.kv_heads * s.group, s.queries, s.size);
        add_rows(&t, flat, &s, s.kv_heads, s.keys, s.size);
        add_rows(&t, flat, &s, s.kv_heads, s.keys, s.v_size);
        if (rng_next(&r) % 2)
            add_mask(&t, &r, &s);
        else if (s.past || nonpad)
            ops_test_omit(&t);
        if (s.past) {
            ops_test_in(&t, DIMS(s.batch, s.kv_heads, s.past, s.size), NULL);
            ops_test_in(&t, DIMS(s.batch, s.kv_heads, s.past, s.v_size), NULL);
            if (rng_next(&r) % 4 == 0)
                ops_test_unwanted(&t, (int)pick(&r, 1, 2));
        } else if (nonpad) {
            const double lengths[] = {(double)pick(&r, 0, (size_t)s.keys),
                                      (double)pick(&r, 0, (size_t)s.keys)};
            while (t.n_in < 6)
                ops_test_omit(&t);
            ops_test_in_as(&t, BNR_INT64, DIMS(s.batch), lengths);
        }
        if (flat) {
            set_int(&t, "q_num_heads", s.kv_heads * s.group);
            set_int(&t, "kv_num_heads", s.kv_heads);
        }
        if (rng_next(&r) % 3 == 0)
            set_int(&t, "is_causal", 1);
        if (rng_next(&r) % 4 == 0)
            set_int(&t, "left_window_size", pick(&r, 0, 9));
        if (rng_next(&r) % 4 == 0)
            set_int(&t, "right_window_size", pick(&r, 0, 9));
        if (rng_next(&r) % 3 == 0)
            assert_int_equal(bnr__node_set_attr_float(t.node, "softcap", 2), BNR_OK);
        if (rng_next(&r) % 3 == 0)
            assert_int_equal(bnr__node_set_attr_float(t.node, "scale", 0.7f), BNR_OK);
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
        node_test(&t, 0, 4e-6, what);
    }
}

// Inputs of GroupQueryAttention from the cache on; lengths: seqlens_k.
static void add_cache(struct ops_test *t, struct rng *r, const struct sizes *s,
                      const double *lengths, int64_t total, bool rotates) {
    if (s->past) {
        ops_test_in(t, DIMS(s->batch, s->kv_heads, s->past, s->size), NULL);
        ops_test_in(t, DIMS(s->batch, s->kv_heads, s->past, s->size), NULL);
    } else {
        ops_test_omit(t);
        ops_test_omit(t);
    }
    ops_test_in_as(t, BNR_INT32, DIMS(s->batch), lengths);
    ops_test_in_as(t, BNR_INT32, DIMS(1), (const double[]){(double)total});
    if (!rotates)
        return;
    const int64_t half = rng_next(r) % 4 ? s->size / 2 : s->size / 2 - 1;
    ops_test_in(t, DIMS(1000, half), NULL);
    ops_test_in(t, DIMS(1000, half), NULL);
    set_int(t, "do_rotary", 1);
    if (rng_next(r) % 2)
        set_int(t, "rotary_interleaved", 1);
}

// A prompt (without a cache, or in front of one) or, one in two, new tokens behind one. `bad`:
// longer than it is.
static void begin_group_query(struct ops_test *t, struct rng *r, bool bad) {
    struct sizes s = random_sizes(r);
    const bool packed = rng_next(r) % 2, rotates = rng_next(r) % 2 && s.size >= 4;
    const int64_t total = s.past ? s.past + s.queries - pick(r, 0, (size_t)s.past - 1) : s.queries;
    double lengths[2];
    for (int b = 0; b < 2; b++)
        lengths[b] = s.past ? (double)(total - 1 - (b && total > s.queries))
                            : (double)pick(r, 0, (size_t)total - 1);
    if (bad)
        lengths[0] = (double)total;
    s.size += s.size % 2;
    ops_test_begin_in(t, "com.microsoft", "GroupQueryAttention", 1, 3);
    const int64_t hidden = s.kv_heads * s.size;
    ops_test_in(t, DIMS(s.batch, s.queries, hidden * (packed ? s.group + 2 : s.group)), NULL);
    for (int i = 0; i < 2; i++)
        if (packed)
            ops_test_omit(t);
        else
            ops_test_in(t, DIMS(s.batch, s.queries, hidden), NULL);
    add_cache(t, r, &s, lengths, total, rotates);
    set_int(t, "num_heads", s.kv_heads * s.group);
    set_int(t, "kv_num_heads", s.kv_heads);
    if (rng_next(r) % 3 == 0)
        set_int(t, "local_window_size", pick(r, 1, 20));
    if (rng_next(r) % 3 == 0)
        assert_int_equal(bnr__node_set_attr_float(t->node, "softcap", 2), BNR_OK);
    if (rng_next(r) % 3 == 0) {
        while (t->n_in < 10)
            ops_test_omit(t);
        ops_test_in(t, DIMS(s.batch, rng_next(r) % 2 ? 1 : s.kv_heads * s.group, s.queries, total),
                    NULL);
    }
    if (rng_next(r) % 4 == 0)
        set_int(t, "smooth_softmax", 1);
    if (rng_next(r) % 4 == 0) { // up to head_sink
        while (t->n_in < 11)
            ops_test_omit(t);
        ops_test_in(t, DIMS(s.kv_heads * s.group), NULL);
    }
}

static void group_query_attention(void **state) {
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct rng r = {seed * 1000};
        struct ops_test t;
        char what[40];
        begin_group_query(&t, &r, false);
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
        node_test(&t, 0, 4e-6, what);
    }
}

static void data_are_checked(void **state) {
    struct rng r = {1};
    struct ops_test t;
    begin_group_query(&t, &r, true);
    node_test_refused(&t, 0, "seqlens_k[0] is");
}

// A query that is NaN gives NaN, and so does a key to all that read it; no key at all gives zeros.
static void special_values(void **state) {
    const double q[] = {1, 0, NAN, 0, 1, 1, 0, 1, 0, 0}, v[] = {1, 2, 3}, first = INFINITY,
                 second = NAN;
    const double mask[] = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0};
    for (int i = 0; i < 3; i++) {
        const double k[] = {i == 0 ? first : i == 1 ? second : 1, 0, 0, 1, 1, -1};
        struct ops_test t;
        ops_test_begin(&t, "Attention", 25, 1);
        ops_test_in(&t, DIMS(1, 1, 5, 2), q);
        ops_test_in(&t, DIMS(1, 1, 3, 2), k);
        ops_test_in(&t, DIMS(1, 1, 3, 1), v);
        if (i == 2)
            ops_test_in_as(&t, BNR_BOOL, DIMS(5, 3), mask);
        node_test(&t, 0, 1e-6, "special");
    }
}

// An operand of DotAttention: leading dims that broadcast, then a matrix.
static void add_matrices(struct ops_test *t, struct rng *r, int batch_rank, const int64_t *batch,
                         int64_t rows, int64_t cols, const double *values) {
    const int skip = rng_next(r) % 4 ? 0 : (int)rng_size(r, 0, (size_t)batch_rank);
    int64_t dims[5];
    int rank = 0;
    for (int d = skip; d < batch_rank; d++)
        dims[rank++] = rng_next(r) % 4 ? batch[d] : 1;
    dims[rank++] = rows;
    dims[rank++] = cols;
    ops_test_in(t, rank, dims, values);
}

static void dot_attention(void **state) {
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rng r = {seed * 1000};
        const struct sizes s = random_sizes(&r);
        const int batch_rank = (int)rng_size(&r, 0, 3);
        const int64_t batch[3] = {pick(&r, 1, 3), pick(&r, 1, 2), pick(&r, 1, 3)};
        const bool masked = rng_next(&r) % 2, one_key = rng_next(&r) % 8 == 0;
        struct ops_test t;
        char what[40];
        ops_test_begin_in(&t, "bnrun", "DotAttention", 1, 1);
        // A single query, or key, may stand for as many as the mask has.
        add_matrices(&t, &r, batch_rank, batch, rng_next(&r) % 8 ? s.queries : 1, s.size, NULL);
        add_matrices(&t, &r, batch_rank, batch, s.size, masked && one_key ? 1 : s.keys, NULL);
        add_matrices(&t, &r, batch_rank, batch, s.keys, s.v_size, NULL);
        if (masked && rng_next(&r) % 8 == 0)
            ops_test_in(&t, 1, &s.keys, NULL);
        else if (masked)
            add_matrices(&t, &r, batch_rank, batch, rng_next(&r) % 4 ? s.queries : 1,
                         one_key || rng_next(&r) % 4 ? s.keys : 1, NULL);
        if (rng_next(&r) % 2)
            assert_int_equal(bnr__node_set_attr_float(t.node, "scale", 0.3f), BNR_OK);
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
        node_test(&t, 0, 4e-6, what);
    }
}

// Unlike Attention's: a mask of -Inf alone gives NaN, and adds up with what is infinite.
static void dot_attention_special_values(void **state) {
    const double q[] = {1, 0, 2, 1, 0, INFINITY, NAN, 0}, k[] = {1, 0, 1, 1, 1, -1};
    const double v[] = {1, 2, 3}, out = -INFINITY;
    const double mask[] = {out, out, out, 0, out, 1, out, 0, 0, 0, 0, 0};
    const double none = -INFINITY;
    struct ops_test t;
    for (int i = 0; i < 3; i++) {
        ops_test_begin_in(&t, "bnrun", "DotAttention", 1, 1);
        ops_test_in(&t, DIMS(4, 2), q);
        ops_test_in(&t, DIMS(2, 3), k);
        ops_test_in(&t, DIMS(3, 1), v);
        if (i == 1)
            ops_test_in(&t, DIMS(4, 3), mask);
        if (i == 2)
            ops_test_in(&t, 0, NULL, &none);
        node_test(&t, 0, 1e-6, "special");
    }
}

static void dot_attention_refuses(void **state) {
    struct ops_test t;
    ops_test_begin_in(&t, "bnrun", "DotAttention", 1, 1);
    ops_test_in(&t, DIMS(2, 4), NULL);
    ops_test_in(&t, DIMS(5, 3), NULL);
    ops_test_in(&t, DIMS(3, 2), NULL);
    ops_test_refused(&t, "inner dims of the product");
    ops_test_begin_in(&t, "bnrun", "DotAttention", 1, 1);
    ops_test_in(&t, DIMS(2, 4), NULL);
    ops_test_in(&t, DIMS(4, 3), NULL);
    ops_test_in(&t, DIMS(3, 2), NULL);
    ops_test_in(&t, DIMS(2, 2), NULL);
    ops_test_refused(&t, "mask does not broadcast");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(attention),
                                       cmocka_unit_test(special_values),
                                       cmocka_unit_test(group_query_attention),
                                       cmocka_unit_test(data_are_checked),
                                       cmocka_unit_test(dot_attention),
                                       cmocka_unit_test(dot_attention_special_values),
                                       cmocka_unit_test(dot_attention_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
