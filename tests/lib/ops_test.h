// SPDX-License-Identifier: Apache-2.0
// Tests of one operator: a model of one node is built, resolved, inferred and evaluated by
// reference code. Values are given and read as double whatever the dtype. Failures of the machinery
// fail the cmocka test.
#ifndef BNR_TESTS_OPS_TEST_H
#define BNR_TESTS_OPS_TEST_H

#include "graph/op.h"

enum { OPS_TEST_MAX = 12 };

struct ops_test {
    struct bnr_model *model;
    struct bnr_node *node; // set attributes with bnr__node_set_attr_*
    struct bnr_tensor *in[OPS_TEST_MAX], *out[OPS_TEST_MAX];
    int n_in, n_out;
    enum bnr_dtype dtype; // of ops_test_in; BNR_FLOAT at first
    struct bnr_error err;
};

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }
#define INTS(...) (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

void ops_test_begin(struct ops_test *t, const char *op_type, int opset, int n_out);
void ops_test_begin_in(struct ops_test *t, const char *domain, const char *op_type, int opset,
                       int n_out);
// The next input. values NULL: reproducible numbers in [-1, 1).
void ops_test_in(struct ops_test *t, int rank, const int64_t *dims, const double *values);
void ops_test_in_as(struct ops_test *t, enum bnr_dtype dtype, int rank, const int64_t *dims,
                    const double *values);
// The next input is x, whose reference is taken over. For strings, sequences and maps.
void ops_test_in_tensor(struct ops_test *t, struct bnr_tensor *x);
void ops_test_omit(struct ops_test *t); // the next input is left out
// Output i is not wanted.
void ops_test_unwanted(struct ops_test *t, int i);
// Resolves, infers and evaluates. After BNR_OK every output's dtype and shape agree with inference.
enum bnr_status ops_test_run(struct ops_test *t);
void ops_test_ok(struct ops_test *t); // ops_test_run, which must succeed
// ops_test_run, which must fail with `part` in its message; then ops_test_end.
void ops_test_refused(struct ops_test *t, const char *part);
void ops_test_end(struct ops_test *t);

double ops_test_x(const struct ops_test *t, int in, size_t i); // element i of an input
double ops_test_y(const struct ops_test *t, int out, size_t i);
void ops_test_dims(const struct ops_test *t, int out, int rank, const int64_t *dims); // asserts
// Element by element |seen - expected| <= tolerance * (1 + |expected|); NaN equals NaN.
void ops_test_near(const struct ops_test *t, int out, const double *expected, size_t n,
                   double tolerance);

#endif
