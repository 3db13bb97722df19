// SPDX-License-Identifier: Apache-2.0
// Large weights behind a Transpose: for our own kernels they stay what they are (graph/turned.h),
// also where affines scale them, and are packed from the original.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/turned.h"
#include "runtime/interface.h"
#include "runtime/bnrun.h"
#include "tests/lib/fold_test.h"

enum { FOR_US = BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_FUSE, M = 3, K = 130, N = 127 };

// ---- elements -----------------------------------------------------------------------------------

static void elements_in_any_pieces(void **state) {
    static unsigned char memory[K * N * sizeof(float) + 1];
    static const size_t pieces[] = {1, 7, K - 1, K, K + 1, 3 * K, 20 * K + 5, K * N};
    float *out = test_malloc(K * N * sizeof *out);
    for (size_t shift = 0; shift < 2; shift++) {
        struct bnr_tensor *base, *t;
        for (size_t i = 0; i < K * N; i++) {
            const float v = (float)i;
            memcpy(memory + shift + i * sizeof v, &v, sizeof v);
        }
        assert_int_equal(bnr__tensor_wrap(&base, NULL, BNR_FLOAT, NET_DIMS(N, K), memory + shift,
                                          NULL, NULL, NULL),
                         BNR_OK);
        assert_int_equal(bnr__tensor_turned(&t, base, NULL), BNR_OK);
        assert_true(t->dims[0] == K && t->dims[1] == N);
        assert_ptr_equal(bnr__turned_base(t), base);
        assert_null(bnr__turned_base(base));
        for (size_t p = 0; p < BNR_COUNT(pieces); p++) {
            memset(out, 0, K * N * sizeof *out);
            for (size_t at = 0, n; at < K * N; at += n) {
                n = K * N - at < pieces[p] ? K * N - at : pieces[p];
                bnr__tensor_copy(t, out + at, at, n);
            }
            for (size_t i = 0; i < K * N; i++)
                if (out[i] != (float)(i % N * K + i / N))
                    fail_msg("element %zu in pieces of %zu: %g", i, pieces[p], (double)out[i]);
        }
        bnr__tensor_unref(t);
        bnr__tensor_unref(base);
    }
    test_free(out);
}

// ---- affines ------------------------------------------------------------------------------------

static void stay(const struct bnr_tensor *t, size_t begin, size_t bytes) {
    (void)t, (void)begin, (void)bytes;
}

// As if in a mapped file: sessions leave such weights lazy.
static void in_a_file(struct bnr_value *v) {
    v->tensor->drop = stay;
}

static struct bnr_value *turned(struct net *t, struct bnr_value *w) {
    struct bnr_value *y = net_op(t, "Transpose", "turn", NET_IN(w));
    net_attr_ints(t, "perm", NET_INTS(1, 0));
    return y;
}

static const struct bnr_tensor *weights_of(const struct net *t) {
    for (const struct bnr_node *n = t->folded->graph->first; n; n = n->next)
        if (bnr__node_is(n, "", "MatMul") || bnr__node_is(n, "", "Gemm"))
            return n->in[1]->tensor;
    return NULL;
}

static void compare_sessions(struct net *t) {
    struct bnr_tensor *want = NULL, *one = NULL, *two = NULL;
    assert_int_equal(bnr__model_complete(t->model, &t->err), BNR_OK);
    net_run(t, BNR_REFERENCE, 1, &want, NULL);
    net_run(t, 0, 1, &one, NULL);
    net_run(t, 0, 2, &two, NULL);
    double most = 0, worst = 0;
    for (size_t i = 0; i < want->numel; i++) {
        most = fmax(most, fabs((double)want->f32[i]));
        worst = fmax(worst, fabs((double)want->f32[i] - (double)one->f32[i]));
    }
    if (!(worst <= 1e-5 * most))
        fail_msg("kernels differ by %g of %g", worst, most);
    assert_memory_equal(one->data, two->data, one->nbytes);
    bnr_tensor_release(want);
    bnr_tensor_release(one);
    bnr_tensor_release(two);
}

// Which sides have a BatchNormalization: 1 in front, 2 behind.
static void scaled_weights(void **state) {
    for (int sides = 0; sides < 4; sides++)
        for (int gemm = 0; gemm < 2; gemm++)
            for (int rows = 1; rows <= M; rows += M - 1) {
                struct net t;
                net_begin(&t, 13);
                struct bnr_value *x = net_input(&t, "x", NET_DIMS(rows, K));
                struct bnr_value *w = net_weight(&t, "w", NET_DIMS(N, K));
                in_a_file(w);
                if (sides & 1)
                    x = net_bn(&t, "front", x, K);
                x = net_op(&t, gemm ? "Gemm" : "MatMul", "product", NET_IN(x, turned(&t, w)));
                if (sides & 2)
                    x = net_bn(&t, "behind", x, N);
                net_output(&t, x);
                net_fold(&t, FOR_US);
                assert_non_null(bnr__turned_base(weights_of(&t)));
                if (sides & 1)
                    net_expect_bn(&t, "front", BNR_BN_FOLDED, "product");
                if (sides & 2)
                    net_expect_bn(&t, "behind", BNR_BN_FOLDED, "product");
                compare_sessions(&t);
                net_end(&t);
            }
}

// ---- where the transpose is made ----------------------------------------------------------------

enum other { FOR_A_FILE, SMALL, AS_IT_WAS, FIRST_OPERAND, ANOTHER_READER, AN_OUTPUT, OTHERS };

static void others(void **state) {
    for (int k = 0; k < OTHERS; k++) {
        struct net t;
        const int64_t n = k == SMALL ? 4 : K;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(n, n));
        struct bnr_value *w = net_weight(&t, "w", NET_DIMS(n, n));
        w = net_op(&t, "Transpose", "turn", NET_IN(w));
        net_attr_ints(&t, "perm", NET_INTS(k != AS_IT_WAS, k == AS_IT_WAS));
        struct bnr_value *y =
            k == FIRST_OPERAND ? net_op(&t, "MatMul", "product", NET_IN(w, x))
                               : net_op(&t, "MatMul", "product", NET_IN(x, w));
        if (k == ANOTHER_READER)
            net_output(&t, net_op(&t, "Add", "reader", NET_IN(w, x)));
        if (k == AN_OUTPUT)
            net_output(&t, w);
        net_output(&t, y);
        net_fold(&t, k == FOR_A_FILE ? BNR_PASS_CLEAN | BNR_PASS_FOLD : (unsigned)FOR_US);
        for (const struct bnr_node *p = t.folded->graph->first; p; p = p->next)
            for (int i = 0; i < p->n_in; i++)
                assert_true(!p->in[i]->tensor || !bnr__turned_base(p->in[i]->tensor));
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_in_any_pieces),
        cmocka_unit_test(scaled_weights),
        cmocka_unit_test(others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
