// SPDX-License-Identifier: Apache-2.0
// Operators of com.microsoft against their formulas, by reference code and as sessions spell them. The random
// comparison with ONNX Runtime is tests/conformance/differential/microsoft.py.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static void begin(struct ops_test *t, const char *op, int n_out) {
    ops_test_begin_in(t, "com.microsoft", op, 1, n_out);
}

static void near(double seen, double expected) {
    if (!(fabs(seen - expected) <= 1e-5 * (1 + fabs(expected))))
        fail_msg("%.9g, expected %.9g", seen, expected);
}

static void skip_layer_normalization(void **state) {
    enum { ROWS = 6, N = 4 };
    struct ops_test t;
    begin(&t, "SkipLayerNormalization", 4);
    ops_test_in(&t, DIMS(2, 3, N), NULL);
    ops_test_in(&t, DIMS(3, N), NULL); // skip, for each batch
    for (int i = 0; i < 3; i++)        // gamma, beta, bias
        ops_test_in(&t, DIMS(N), NULL);
    bnr__node_set_attr_float(t.node, "epsilon", 0.25f);
    ops_test_ok(&t);
    for (size_t r = 0; r < ROWS; r++) {
        double sum[N], mean = 0, var = 0;
        for (size_t i = 0; i < N; i++) {
            sum[i] = ops_test_x(&t, 0, r * N + i) + ops_test_x(&t, 1, r % 3 * N + i) +
                     ops_test_x(&t, 4, i);
            mean += sum[i] / N;
        }
        for (size_t i = 0; i < N; i++)
            var += (sum[i] - mean) * (sum[i] - mean) / N;
        near(ops_test_y(&t, 1, r), mean);
        near(ops_test_y(&t, 2, r), 1 / sqrt(var + 0.25));
        for (size_t i = 0; i < N; i++) {
            near(ops_test_y(&t, 3, r * N + i), sum[i]);
            near(ops_test_y(&t, 0, r * N + i),
                 (sum[i] - mean) / sqrt(var + 0.25) * ops_test_x(&t, 2, i) + ops_test_x(&t, 3, i));
        }
    }
    ops_test_end(&t);
}

// Numbers of 4 bits, the low half of a byte first; with packed zero points and without.
static void matmul_nbits(void **state) {
    enum { M = 2, N = 3, K = 20, BLOCK = 16, BLOCKS = 2 };
    for (int zeros = 0; zeros < 2; zeros++) {
        struct ops_test t;
        double b[N * BLOCKS * BLOCK / 2], z[N];
        for (size_t i = 0; i < BNR_COUNT(b); i++)
            b[i] = (double)(i * 37 % 256);
        for (size_t i = 0; i < N; i++)
            z[i] = (double)(0x35 + 0x21 * i);
        begin(&t, "MatMulNBits", 1);
        ops_test_in(&t, DIMS(M, K), NULL);
        ops_test_in_as(&t, BNR_UINT8, DIMS(N, BLOCKS, BLOCK / 2), b);
        ops_test_in(&t, DIMS(N * BLOCKS), NULL);
        if (zeros)
            ops_test_in_as(&t, BNR_UINT8, DIMS(N), z);
        bnr__node_set_attr_int(t.node, "K", K);
        bnr__node_set_attr_int(t.node, "N", N);
        bnr__node_set_attr_int(t.node, "block_size", BLOCK);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, DIMS(M, N));
        for (size_t i = 0; i < M * N; i++) {
            const size_t m = i / N, n = i % N;
            double sum = 0;
            for (size_t k = 0; k < K; k++) {
                const int byte = (int)b[n * BLOCKS * BLOCK / 2 + k / 2];
                const int zero = !zeros ? 8 : k < BLOCK ? (int)z[n] & 15 : (int)z[n] >> 4;
                sum += ops_test_x(&t, 0, m * K + k) * ((k % 2 ? byte >> 4 : byte & 15) - zero) *
                       ops_test_x(&t, 2, n * BLOCKS + k / BLOCK);
            }
            near(ops_test_y(&t, 0, i), sum);
        }
        ops_test_end(&t);
    }
}

// One new token behind two past ones of a cache that has room for four, the rest of which is ignored.
static void group_query_attention(void **state) {
    enum { HEADS = 4, SHARED = 2, SIZE = 3, CACHE = 4 };
    struct ops_test t;
    begin(&t, "GroupQueryAttention", 3);
    ops_test_in(&t, DIMS(1, 1, HEADS * SIZE), NULL);
    ops_test_in(&t, DIMS(1, 1, SHARED * SIZE), NULL);
    ops_test_in(&t, DIMS(1, 1, SHARED * SIZE), NULL);
    ops_test_in(&t, DIMS(1, SHARED, CACHE, SIZE), NULL);
    ops_test_in(&t, DIMS(1, SHARED, CACHE, SIZE), NULL);
    ops_test_in_as(&t, BNR_INT32, DIMS(1), (double[]){2});
    ops_test_in_as(&t, BNR_INT32, 0, NULL, (double[]){3});
    bnr__node_set_attr_int(t.node, "num_heads", HEADS);
    bnr__node_set_attr_int(t.node, "kv_num_heads", SHARED);
    ops_test_ok(&t);
    ops_test_dims(&t, 1, DIMS(1, SHARED, CACHE, SIZE));
    for (size_t h = 0; h < HEADS; h++) {
        const size_t kv = h / (HEADS / SHARED);
        double e[3], sum = 0;
        for (size_t k = 0; k < 3; k++) {
            double dot = 0;
            for (size_t d = 0; d < SIZE; d++)
                dot += ops_test_x(&t, 0, h * SIZE + d) *
                       (k < 2 ? ops_test_x(&t, 3, (kv * CACHE + k) * SIZE + d)
                              : ops_test_x(&t, 1, kv * SIZE + d));
            sum += e[k] = exp(dot / sqrt(SIZE));
        }
        for (size_t d = 0; d < SIZE; d++) {
            double y = 0;
            for (size_t k = 0; k < 3; k++)
                y += e[k] / sum * (k < 2 ? ops_test_x(&t, 4, (kv * CACHE + k) * SIZE + d)
                                         : ops_test_x(&t, 2, kv * SIZE + d));
            near(ops_test_y(&t, 0, h * SIZE + d), y);
        }
    }
    ops_test_end(&t);
}

static void qlinear_add(void **state) {
    struct ops_test t;
    begin(&t, "QLinearAdd", 1);
    ops_test_in_as(&t, BNR_UINT8, DIMS(4), (double[]){0, 10, 20, 255});
    ops_test_in(&t, 0, NULL, (double[]){0.5});
    ops_test_in_as(&t, BNR_UINT8, 0, NULL, (double[]){10});
    ops_test_in_as(&t, BNR_UINT8, DIMS(1), (double[]){7});
    ops_test_in(&t, 0, NULL, (double[]){2});
    ops_test_in_as(&t, BNR_UINT8, 0, NULL, (double[]){4});
    ops_test_in(&t, 0, NULL, (double[]){0.25});
    ops_test_in_as(&t, BNR_UINT8, 0, NULL, (double[]){3});
    ops_test_ok(&t);
    // ((a - 10) / 2 + 6) * 4 + 3, saturated
    ops_test_near(&t, 0, (double[]){7, 27, 47, 255}, 4, 0);
    ops_test_end(&t);
}

static void inverse(void **state) {
    struct ops_test t;
    begin(&t, "Inverse", 1);
    ops_test_in(&t, DIMS(2, 2, 2), (double[]){0, 2, 4, 0, 1, 2, 3, 4}); // needs a row exchange
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0, 0.25, 0.5, 0, -2, 1, 1.5, -0.5}, 8, 1e-6);
    ops_test_end(&t);
}

static void refused(void **state) {
    struct ops_test t;
    begin(&t, "FusedConv", 1);
    ops_test_in(&t, DIMS(1, 1, 3, 3), NULL);
    ops_test_in(&t, DIMS(1, 1, 2, 2), NULL);
    bnr__node_set_attr_string(t.node, "activation", "Nonsense");
    ops_test_refused(&t, "unknown activation 'Nonsense'");
    begin(&t, "MatMulNBits", 1);
    ops_test_in(&t, DIMS(1, 16), NULL);
    ops_test_in_as(&t, BNR_UINT8, DIMS(1, 1, 8), NULL);
    ops_test_in(&t, DIMS(2), NULL);
    bnr__node_set_attr_int(t.node, "K", 16);
    bnr__node_set_attr_int(t.node, "N", 1);
    bnr__node_set_attr_int(t.node, "block_size", 16);
    ops_test_refused(&t, "input 2 has 2 elements, expected 1");
    begin(&t, "SkipLayerNormalization", 1);
    ops_test_in(&t, DIMS(1, 2, 4), NULL);
    ops_test_in(&t, DIMS(1, 2, 3), NULL);
    ops_test_in(&t, DIMS(4), NULL);
    ops_test_refused(&t, "(SkipLayerNormalization): ");
}

// ---- sessions ---------------------------------------------------------------------------------------

static struct bnr_model *m;
static struct bnr_error err;

static void ok(enum bnr_status st) {
    if (st != BNR_OK)
        fail_msg("%s", err.message);
}

static struct bnr_value *input(int rank, const int64_t *dims) {
    struct bnr_value *v;
    ok(bnr__value_new(&v, m->graph, NULL, &err));
    bnr__value_declare(v)->dtype = BNR_FLOAT;
    bnr__value_declare(v)->shape = rank < 0 ? bnr__shape_unknown() : bnr__shape_of(rank, dims);
    ok(bnr__graph_add_input(m->graph, v, &err));
    return v;
}

// The first and the last of n_out outputs are wanted.
static struct bnr_node *begin_model(const char *op, int n_in, struct bnr_value *const *in, int n_out) {
    struct bnr_node *n;
    ok(bnr__node_new(&n, m->graph, NULL, "com.microsoft", op, NULL, n_in, in, n_out, &err));
    for (int i = 0; i < n_out; i += n_out > 1 ? n_out - 1 : 1) {
        struct bnr_value *v;
        ok(bnr__value_new(&v, m->graph, NULL, &err));
        bnr__node_set_output(n, i, v);
        ok(bnr__graph_add_output(m->graph, v, &err));
    }
    return n;
}

static void new_model(void) {
    m = bnr__model_new(NULL);
    assert_non_null(m);
    m->ir_version = 8;
    ok(bnr__model_add_opset(m, "", 11));
    ok(bnr__model_add_opset(m, "com.microsoft", 1));
    m->graph = bnr__graph_new(m, NULL);
}

static struct bnr_tensor *numbers(int rank, const int64_t *dims) {
    struct bnr_tensor *t;
    ok(bnr__tensor_new(&t, NULL, BNR_FLOAT, rank, dims, &err));
    for (size_t i = 0; i < t->numel; i++)
        t->f32[i] = (float)(i * 7 % 11) / 4 - 1;
    return t;
}

// The session has `op` where `stays`, and runs as the reference does.
static void compare(const char *op, bool stays, struct bnr_tensor *const *in, size_t n_in) {
    struct bnr_tensor *out[2][4] = {{NULL}};
    ok(bnr__model_resolve(m, NULL, &err));
    ok(bnr__model_infer(m, &err));
    for (int reference = 0; reference < 2; reference++) {
        struct bnr_options options;
        bnr_session *s;
        bnr_options_init(&options);
        options.flags = reference ? BNR_REFERENCE : 0;
        ok(bnr_session_create(&s, m, &options, &err));
        char *text = bnr_session_print(s, BNR_PRINT_TEXT);
        assert_non_null(text);
        assert_int_equal(strstr(text, op) != NULL, stays || reference);
        free(text);
        ok(bnr_run(s, (const bnr_tensor *const *)in, n_in, out[reference], m->graph->n_outputs, &err));
        bnr_session_free(s);
    }
    for (size_t i = 0; i < m->graph->n_outputs; i++) {
        assert_int_equal(out[0][i]->numel, out[1][i]->numel);
        for (size_t k = 0; k < out[0][i]->numel; k++)
            near((double)out[0][i]->f32[k], (double)out[1][i]->f32[k]);
        bnr_tensor_release(out[0][i]);
        bnr_tensor_release(out[1][i]);
    }
    for (size_t i = 0; i < n_in; i++)
        bnr_tensor_release(in[i]);
    bnr__model_free(m);
}

static void sessions_spell(void **state) {
    static const int64_t x[] = {1, 2, 4, 4}, w[] = {3, 2, 3, 3}, row[] = {2, 3, 4}, last[] = {4};
    new_model();
    struct bnr_value *conv[] = {input(4, x), input(4, w)};
    bnr__node_set_attr_string(begin_model("FusedConv", 2, conv, 1), "activation", "Relu");
    compare("FusedConv", false, (struct bnr_tensor *[]){numbers(4, x), numbers(4, w)}, 2);
    new_model(); // the sum is an output, and read by the normalization
    struct bnr_value *norm[] = {input(3, row), input(3, row), input(1, last)};
    begin_model("SkipSimplifiedLayerNormalization", 3, norm, 4);
    compare("SkipSimplified", false,
            (struct bnr_tensor *[]){numbers(3, row), numbers(3, row), numbers(1, last)}, 3);
}

// The rank that a transposition needs is known only at run time.
static void sessions_keep(void **state) {
    static const int64_t a[] = {3, 2}, b[] = {3, 4};
    new_model();
    struct bnr_value *in[] = {input(-1, NULL), input(-1, NULL)};
    bnr__node_set_attr_int(begin_model("FusedMatMul", 2, in, 1), "transA", 1);
    compare("FusedMatMul", true, (struct bnr_tensor *[]){numbers(2, a), numbers(2, b)}, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skip_layer_normalization),
        cmocka_unit_test(matmul_nbits),
        cmocka_unit_test(group_query_attention),
        cmocka_unit_test(qlinear_add),
        cmocka_unit_test(inverse),
        cmocka_unit_test(refused),
        cmocka_unit_test(sessions_spell),
        cmocka_unit_test(sessions_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
