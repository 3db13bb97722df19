// SPDX-License-Identifier: Apache-2.0
// What the flags of a session change, and files: initializers as inputs, double precision, training
// mode, folded models, tensors.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/onnx_file.h"
#include "runtime/session.h"
#include "tests/lib/model_builder.h"

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

static struct bnr_session *session_of(const struct bnr_model *m, unsigned flags) {
    struct bnr_session *s;
    struct bnr_error err;
    struct bnr_options o;
    bnr_options_init(&o);
    o.threads = 1;
    o.flags = flags;
    if (bnr_session_create(&s, m, &o, &err) != BNR_OK)
        fail_msg("%s", err.message);
    return s;
}

static struct bnr_model *end(struct model_builder *t) {
    struct bnr_model *m = mb_end(t);
    if (!m)
        fail_msg("%s", t->err.message);
    return m;
}

static struct bnr_tensor *run1(struct bnr_session *s, struct bnr_tensor *const *in, size_t n) {
    struct bnr_tensor *out = NULL;
    struct bnr_error err;
    const bnr_tensor *inputs[4];
    for (size_t i = 0; i < n; i++)
        inputs[i] = in[i];
    if (bnr_run(s, inputs, n, &out, 1, &err) != BNR_OK)
        fail_msg("%s", err.message);
    return out;
}

// ---- initializers that are inputs ---------------------------------------------------------------

// y = x + w, where w is an input with a default.
static struct bnr_model *model_with_default(void) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(-1));
    struct bnr_value *w = mb_input(&t, "w", BNR_FLOAT, DIMS(-2));
    const int64_t dims[1] = {3};
    w->tensor = mb_tensor(BNR_FLOAT, 1, dims, 4);
    w->is_initializer = true;
    mb_output(&t, mb_op(&t, "Add", x, w, NULL));
    return end(&t);
}

static void defaults_can_be_overridden(void **state) {
    struct bnr_model *m = model_with_default();
    struct bnr_session *s = session_of(m, 0);
    struct bnr_tensor *in[2] = {mb_tensor(BNR_FLOAT, DIMS(3), 1), mb_tensor(BNR_FLOAT, DIMS(3), 2)};
    struct bnr_tensor *w = mb_tensor(BNR_FLOAT, DIMS(3), 4);
    struct bnr_value_info info;
    assert_int_equal(bnr_model_input_count(m), 2);
    assert_int_equal(bnr_model_input(m, 1, &info), BNR_OK);
    assert_int_equal(info.optional, 1);
    struct bnr_tensor *a = run1(s, in, 1), *b = run1(s, in, 2);
    for (int i = 0; i < 3; i++) {
        assert_true(a->f32[i] == in[0]->f32[i] + w->f32[i]);
        assert_true(b->f32[i] == in[0]->f32[i] + in[1]->f32[i]);
    }
    bnr_session_free(s);
    bnr_tensor_release(b);
    // Frozen: not any more.
    s = session_of(m, BNR_FREEZE_INITIALIZERS);
    struct bnr_error err;
    struct bnr_tensor *none = NULL;
    b = run1(s, in, 1);
    assert_true(bnr__tensor_equal(a, b));
    assert_int_equal(bnr_run(s, (const bnr_tensor *[]){in[0], in[1]}, 2, &none, 1, &err),
                     BNR_INVALID);
    assert_non_null(strstr(err.message, "input 'w' is given, but was frozen"));
    bnr_tensor_release(a);
    bnr_tensor_release(b);
    bnr_tensor_release(w);
    bnr_tensor_release(in[0]);
    bnr_tensor_release(in[1]);
    bnr_session_free(s);
    bnr_model_free(m);
}

// ---- BatchNormalization -------------------------------------------------------------------------

enum { C = 4, SPACE = 9, N = 5 };

// x [N, C, 3, 3] -> Conv 1x1 -> BatchNormalization; with `conv` false without the convolution.
static struct bnr_model *bn_model(bool conv, int opset) {
    struct model_builder t;
    mb_begin(&t, opset, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(N, C, 3, 3));
    if (conv)
        x = mb_op(&t, "Conv", x, mb_weights(&t, DIMS(C, C, 1, 1)), NULL);
    struct bnr_value *y =
        mb_op(&t, "BatchNormalization", x, mb_weights(&t, DIMS(C)), mb_weights(&t, DIMS(C)));
    struct bnr_value *mean = mb_weights(&t, DIMS(C)), *var = mb_weights(&t, DIMS(C));
    for (int i = 0; i < C; i++)
        var->tensor->f32[i] = 0.5f + fabsf(var->tensor->f32[i]);
    assert_int_equal(bnr__node_set_input(y->producer, 3, mean), BNR_OK);
    assert_int_equal(bnr__node_set_input(y->producer, 4, var), BNR_OK);
    mb_output(&t, y);
    return end(&t);
}

// By hand: the batch's own mean and population variance.
static void check_training(const struct bnr_model *m, const struct bnr_tensor *x,
                           const struct bnr_tensor *y) {
    const struct bnr_node *n = m->graph->first;
    const float *scale = n->in[1]->tensor->f32, *shift = n->in[2]->tensor->f32;
    for (int c = 0; c < C; c++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < N * SPACE; i++) {
            const double v = (double)x->f32[(i / SPACE * C + c) * SPACE + i % SPACE];
            sum += v;
            squares += v * v;
        }
        const double mean = sum / (N * SPACE), var = squares / (N * SPACE) - mean * mean;
        for (int i = 0; i < N * SPACE; i++) {
            const int at = (i / SPACE * C + c) * SPACE + i % SPACE;
            const double want = ((double)x->f32[at] - mean) / sqrt(var + 1e-5) * (double)scale[c] +
                                (double)shift[c];
            assert_true(fabs((double)y->f32[at] - want) < 1e-5);
        }
    }
}

static void training_uses_the_batch(void **state) {
    static const int opsets[] = {9, 13, 15};
    for (size_t i = 0; i < BNR_COUNT(opsets); i++) {
        struct bnr_model *m = bn_model(false, opsets[i]);
        struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(N, C, 3, 3), 3);
        struct bnr_session *s = session_of(m, BNR_TRAINING), *plain = session_of(m, 0);
        struct bnr_tensor *y = run1(s, &x, 1), *z = run1(plain, &x, 1);
        check_training(m, x, y);
        assert_false(bnr__tensor_equal(y, z));
        bnr_tensor_release(x);
        bnr_tensor_release(y);
        bnr_tensor_release(z);
        bnr_session_free(s);
        bnr_session_free(plain);
        bnr_model_free(m);
    }
}

static double largest_difference(const struct bnr_tensor *a, const struct bnr_tensor *b) {
    double worst = 0;
    assert_int_equal(a->numel, b->numel);
    for (size_t i = 0; i < a->numel; i++)
        worst = fmax(worst, fabs(bnr__tensor_f64(a, i) - bnr__tensor_f64(b, i)));
    return worst;
}

static void double_precision(void **state) {
    struct bnr_model *m = bn_model(true, 13);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(N, C, 3, 3), 3);
    struct bnr_session *f32 = session_of(m, BNR_REFERENCE);
    struct bnr_session *f64 = session_of(m, BNR_REFERENCE | BNR_PROMOTE_DOUBLE);
    struct bnr_tensor *y = run1(f32, &x, 1), *z = run1(f64, &x, 1);
    assert_int_equal(y->dtype, BNR_FLOAT);
    assert_int_equal(z->dtype, BNR_DOUBLE);
    const double difference = largest_difference(y, z);
    assert_true(difference > 0 && difference < 1e-5);
    bnr_tensor_release(x);
    bnr_tensor_release(y);
    bnr_tensor_release(z);
    bnr_session_free(f32);
    bnr_session_free(f64);
    bnr_model_free(m);
}

static void reports(void **state) {
    static const struct {
        unsigned flags;
        enum bnr_bn_verdict verdict;
    } cases[] = {{0, BNR_VERDICT_FOLDED}, {BNR_TRAINING, BNR_VERDICT_KEPT}};
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct bnr_model *m = bn_model(true, 13);
        struct bnr_session *s = session_of(m, cases[i].flags);
        struct bnr_bn_report r;
        bnr_model_free(m);
        assert_int_equal(bnr_session_bn_count(s), 1);
        assert_int_equal(bnr_session_bn(s, 0, &r), BNR_OK);
        assert_int_equal(r.verdict, cases[i].verdict);
        assert_int_equal(r.into != NULL, r.verdict == BNR_VERDICT_FOLDED);
        assert_int_equal(r.channels, C);
        assert_non_null(r.reason);
        assert_int_equal(bnr_session_bn(s, 1, &r), BNR_INVALID);
        bnr_session_free(s);
    }
}

// ---- files --------------------------------------------------------------------------------------

static char *temporary_path(char *path, const char *name) {
    const char *dir = getenv("TMPDIR");
    snprintf(path, 300, "%s/bnrun_%ld_%s", dir ? dir : "/tmp", (long)getpid(), name);
    return path;
}

static void count_report(void *user, const struct bnr_bn_report *bn) {
    if (bn->verdict == BNR_VERDICT_FOLDED)
        ++*(int *)user;
}

static void folds_to_a_file(void **state) {
    char plain[300], folded[300];
    struct bnr_error err;
    struct bnr_model *m = bn_model(true, 13), *loaded, *back;
    temporary_path(plain, "plain.onnx");
    temporary_path(folded, "folded.onnx");
    assert_int_equal(bnr__model_write_file(m, m, plain, &err), BNR_OK);
    assert_int_equal(bnr_model_load_file(&loaded, plain, NULL, &err), BNR_OK);
    int n_folded = 0;
    if (bnr_model_fold_file(loaded, folded, NULL, count_report, &n_folded, &err) != BNR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(n_folded, 1);
    assert_int_equal(bnr_model_load_file(&back, folded, NULL, &err), BNR_OK);
    assert_int_equal(back->graph->n_nodes, 1);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(N, C, 3, 3), 3);
    struct bnr_session *a = session_of(m, BNR_REFERENCE), *b = session_of(back, BNR_REFERENCE);
    struct bnr_tensor *y = run1(a, &x, 1), *z = run1(b, &x, 1);
    assert_true(largest_difference(y, z) < 1e-5);
    unlink(plain);
    unlink(folded);
    bnr_tensor_release(x);
    bnr_tensor_release(y);
    bnr_tensor_release(z);
    bnr_session_free(a);
    bnr_session_free(b);
    bnr_model_free(m);
    bnr_model_free(loaded);
    bnr_model_free(back);
}

static void tensors_in_files(void **state) {
    char path[300];
    struct bnr_error err;
    struct bnr_tensor *t = mb_tensor(BNR_INT64, DIMS(2, 3), 1), *seq, *back;
    temporary_path(path, "tensor.pb");
    assert_int_equal(bnr_tensor_write_pb(t, "t", path, &err), BNR_OK);
    assert_int_equal(bnr_tensor_read_pb(&back, path, NULL, &err), BNR_OK);
    assert_true(bnr__tensor_equal(t, back));
    bnr_tensor_release(back);
    assert_int_equal(bnr_tensor_create_items(&seq, BNR_KIND_SEQUENCE, &t, 1, &err), BNR_OK);
    assert_int_equal(bnr_tensor_write_pb(seq, "s", path, &err), BNR_OK);
    const struct bnr_value_info type = {.kind = BNR_KIND_SEQUENCE};
    assert_int_equal(bnr_tensor_read_pb(&back, path, &type, &err), BNR_OK);
    assert_int_equal(bnr_tensor_item_count(back), 1);
    assert_true(bnr__tensor_equal(t, bnr_tensor_item(back, 0)));
    bnr_tensor_release(back);
    bnr_tensor_release(seq);
    bnr_tensor_release(t);
    unlink(path);
    assert_int_equal(bnr_tensor_read_pb(&back, path, NULL, &err), BNR_IO);
    assert_null(back);
    struct bnr_model *m;
    assert_int_equal(bnr_model_load_file(&m, path, NULL, &err), BNR_IO);
    assert_null(m);
    assert_int_equal(bnr_model_load(&m, "nonsense", 8, NULL, &err), BNR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_can_be_overridden),
        cmocka_unit_test(training_uses_the_batch),
        cmocka_unit_test(double_precision),
        cmocka_unit_test(reports),
        cmocka_unit_test(folds_to_a_file),
        cmocka_unit_test(tensors_in_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
