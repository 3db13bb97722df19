// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/ops_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check(enum bnr_status status, const struct bnr_error *err) {
    if (status != BNR_OK)
        fail_msg("%s", err->message);
}

void ops_test_begin(struct ops_test *t, const char *op_type, int opset, int n_out) {
    ops_test_begin_in(t, "", op_type, opset, n_out);
}

void ops_test_begin_in(struct ops_test *t, const char *domain, const char *op_type, int opset,
                       int n_out) {
    *t = (struct ops_test){.n_out = n_out, .dtype = BNR_FLOAT};
    t->model = bnr__model_new(NULL);
    assert_non_null(t->model);
    t->model->ir_version = 8;
    assert_int_equal(bnr__model_add_opset(t->model, domain, opset), BNR_OK);
    struct bnr_graph *g = t->model->graph = bnr__graph_new(t->model, NULL);
    assert_non_null(g);
    check(bnr__node_new(&t->node, g, NULL, domain, op_type, "tested", 0, NULL, n_out, &t->err),
          &t->err);
    for (int i = 0; i < n_out; i++) {
        struct bnr_value *v;
        check(bnr__value_new(&v, g, NULL, &t->err), &t->err);
        bnr__node_set_output(t->node, i, v);
        check(bnr__graph_add_output(g, v, &t->err), &t->err);
    }
}

static double next_value(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 40) / 0x1p23 - 1;
}

void ops_test_in_tensor(struct ops_test *t, struct bnr_tensor *x) {
    struct bnr_value *v;
    struct bnr_info info;
    t->in[t->n_in] = x;
    check(bnr__value_new(&v, t->model->graph, NULL, &t->err), &t->err);
    assert_int_equal(bnr__info_of_tensor(&info, x, &t->model->arena), BNR_OK);
    *bnr__value_declare(v) = info.type;
    check(bnr__graph_add_input(t->model->graph, v, &t->err), &t->err);
    assert_int_equal(bnr__node_set_input(t->node, t->n_in++, v), BNR_OK);
}

void ops_test_in_as(struct ops_test *t, enum bnr_dtype dtype, int rank, const int64_t *dims,
                    const double *values) {
    struct bnr_tensor *x;
    uint64_t state = (uint64_t)t->n_in + 1;
    check(bnr__tensor_new(&x, NULL, dtype, rank, dims, &t->err), &t->err);
    for (size_t i = 0; i < x->numel; i++) {
        const double e = values ? values[i] : next_value(&state);
        const int64_t whole = (int64_t)e;
        void *at = x->u8 + i * bnr__dtype_size(dtype);
        if (bnr__dtype_is_float(dtype))
            bnr__store_f64(dtype, at, &e, 1);
        else
            bnr__store_i64(dtype, at, &whole, 1);
    }
    ops_test_in_tensor(t, x);
}

void ops_test_in(struct ops_test *t, int rank, const int64_t *dims, const double *values) {
    ops_test_in_as(t, t->dtype, rank, dims, values);
}

void ops_test_omit(struct ops_test *t) {
    assert_int_equal(bnr__node_set_input(t->node, t->n_in++, NULL), BNR_OK);
}

void ops_test_unwanted(struct ops_test *t, int i) {
    bnr__node_set_output(t->node, i, NULL);
}

// What inference said without seeing data, against what came out.
static void check_inferred(const struct ops_test *t, int i) {
    const struct bnr_type *said = &t->node->out[i]->info->type;
    const struct bnr_tensor *y = t->out[i];
    if (said->dtype != y->dtype)
        fail_msg("output %d has dtype %s, inferred %s", i, bnr__dtype_name(y->dtype),
                 bnr__dtype_name(said->dtype));
    if (said->shape.rank < 0)
        return;
    assert_int_equal(said->shape.rank, y->rank);
    for (int d = 0; d < y->rank; d++)
        if (said->shape.dims[d].n >= 0)
            assert_int_equal(said->shape.dims[d].n, y->dims[d]);
}

enum bnr_status ops_test_run(struct ops_test *t) {
    size_t missing;
    t->node->n_in = t->node->n_in < t->n_in ? t->node->n_in : t->n_in;
    BNR_TRY(bnr__model_resolve(t->model, &missing, &t->err));
    if (missing > 0)
        fail_msg("%s", t->model->missing[0]);
    BNR_TRY(bnr__model_infer(t->model, &t->err));
    BNR_TRY(bnr__node_eval(t->node, t->in, t->out, NULL, &t->err));
    for (int i = 0; i < t->n_out; i++)
        if (t->node->out[i])
            check_inferred(t, i);
    return BNR_OK;
}

void ops_test_ok(struct ops_test *t) {
    check(ops_test_run(t), &t->err);
}

void ops_test_refused(struct ops_test *t, const char *part) {
    if (ops_test_run(t) == BNR_OK)
        fail_msg("accepted, expected an error with '%s'", part);
    if (!strstr(t->err.message, part))
        fail_msg("the error is '%s', expected one with '%s'", t->err.message, part);
    if (!strstr(t->err.message, "tested"))
        fail_msg("the error does not name the node: '%s'", t->err.message);
    ops_test_end(t);
}

void ops_test_end(struct ops_test *t) {
    for (int i = 0; i < OPS_TEST_MAX; i++) {
        bnr__tensor_unref(t->in[i]);
        bnr__tensor_unref(t->out[i]);
    }
    bnr__model_free(t->model);
}

double ops_test_x(const struct ops_test *t, int in, size_t i) {
    assert_true(i < t->in[in]->numel);
    return bnr__tensor_f64(t->in[in], i);
}

double ops_test_y(const struct ops_test *t, int out, size_t i) {
    assert_true(i < t->out[out]->numel);
    return bnr__tensor_f64(t->out[out], i);
}

void ops_test_dims(const struct ops_test *t, int out, int rank, const int64_t *dims) {
    assert_int_equal(t->out[out]->rank, rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(t->out[out]->dims[i], dims[i]);
}

void ops_test_near(const struct ops_test *t, int out, const double *expected, size_t n,
                   double tolerance) {
    assert_int_equal(t->out[out]->numel, n);
    for (size_t i = 0; i < n; i++) {
        const double y = ops_test_y(t, out, i), e = expected[i];
        if (isnan(e) ? !isnan(y) : !(y == e || fabs(y - e) <= tolerance * (1 + fabs(e))))
            fail_msg("output %d[%zu] is %.17g, expected %.17g", out, i, y, e);
    }
}
