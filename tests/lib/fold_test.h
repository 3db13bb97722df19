// SPDX-License-Identifier: Apache-2.0
// Tests of graph rewrites: a small network is built, rewritten, and compared with the network as it
// was, both evaluated node by node by reference code in double precision. So what differs is what
// the rewrite did to constants. Failures of the machinery fail the cmocka test.
#ifndef BNR_TESTS_FOLD_TEST_H
#define BNR_TESTS_FOLD_TEST_H

#include "graph/op.h"
#include "passes/pass.h"

enum { NET_MAX_INPUTS = 8 };

enum net_gamma {
    NET_GAMMA_ANY, // both signs and, from 4 channels on, a zero
    NET_GAMMA_POSITIVE,
    NET_GAMMA_NEGATIVE,
    NET_GAMMA_ZEROS // every second one
};

struct net {
    struct bnr_model *model, *folded;
    struct bnr_graph *g;
    enum bnr_dtype dtype; // of what is made next; BNR_FLOAT at first
    bool constant_nodes;  // constants are made as Constant nodes with an Identity behind
    enum net_gamma gamma; // of net_bn
    bool no_shift;        // net_bn has neither mean nor bias
    uint64_t seed;
    double tolerance;      // of net_fold; 0: what rounding a weight in `dtype` can do
    bool sensitive;        // net_fold allows more where roundings weigh more: net_sensitivity
    struct bnr_node *node; // the one made last, for attributes
    struct bnr_tensor *data[NET_MAX_INPUTS]; // for the graph's inputs, in order
    struct bnr_error err;
    struct bnr_options options;
};

#define NET_DIMS(...)                                                                              \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }
#define NET_INTS(...)                                                                              \
    (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)
// net_op(t, "Add", "sum", NET_IN(a, b))
#define NET_IN(...)                                                                                \
    (int)(sizeof((struct bnr_value *[]){__VA_ARGS__}) / sizeof(struct bnr_value *)),               \
        (struct bnr_value *[]) {                                                                   \
        __VA_ARGS__                                                                                \
    }

void net_begin(struct net *t, int opset);
void net_end(struct net *t);
double net_random(struct net *t, double low, double high); // reproducible from t->seed

struct bnr_value *net_input(struct net *t, const char *name, int rank, const int64_t *dims);
// Numbers in [-1, 1), or those of `values`.
struct bnr_value *net_weight(struct net *t, const char *name, int rank, const int64_t *dims);
struct bnr_value *net_const(struct net *t, const char *name, int rank, const int64_t *dims,
                            const double *values);
// net_const of a dtype that is not t->dtype.
struct bnr_value *net_typed(struct net *t, enum bnr_dtype dtype, const char *name, int rank,
                            const int64_t *dims, const double *values);
struct bnr_value *net_ints(struct net *t, const char *name, const int64_t *values, size_t n);
// The next input is one truth value.
struct bnr_value *net_condition(struct net *t, const char *name, bool value);
// A body of the node made last: nodes go there until net_leave gives it to the node's attribute, with
// `result` as its last output.
void net_enter(struct net *t, struct net *outer);
// An input of the body; nothing is known of its shape.
struct bnr_value *net_body_input(struct net *t, const char *name, enum bnr_dtype dtype);
void net_leave(struct net *t, const struct net *outer, const char *attr, struct bnr_value *result);
// Output 0 of a new node at the end.
struct bnr_value *net_op(struct net *t, const char *op_type, const char *name, int n_in,
                         struct bnr_value *const *in);
struct bnr_value *net_out(struct net *t, int index); // a further output of the node made last
// A BatchNormalization with random parameters, as t->gamma and t->no_shift say.
struct bnr_value *net_bn(struct net *t, const char *name, struct bnr_value *x, int64_t channels);
// A BatchNormalization with epsilon 0 and the same four numbers for each of at most 16 channels.
struct bnr_value *net_uniform_bn(struct net *t, const char *name, struct bnr_value *x, int64_t channels,
                                 double scale, double b, double mean, double var);
// Conv with square kernels over `spatial` axes: w is [out, in / group, k, ...]. pad on all sides.
struct net_conv {
    int spatial;
    int64_t in, out, k, group, pad, stride;
    bool bias, transposed;
};
struct bnr_value *net_conv(struct net *t, const char *name, struct bnr_value *x, struct net_conv c);
void net_attr_int(struct net *t, const char *name, int64_t v); // of the node made last
void net_attr_ints(struct net *t, const char *name, const int64_t *v, size_t n);
void net_attr_float(struct net *t, const char *name, double v);
void net_attr_floats(struct net *t, const char *name, const double *v, size_t n); // up to 8
void net_attr_tensor(struct net *t, const char *name, double v); // of one element
void net_attr_string(struct net *t, const char *name, const char *v);
void net_output(struct net *t, struct bnr_value *v);

// Runs the passes of `groups` on a copy, into t->folded, and checks that it gives what the original
// gives: largest difference over largest magnitude within what rounding the constants can do. Then
// rewrites the result once more: nothing may change.
void net_fold(struct net *t, unsigned groups);
// The same without comparing results, for networks that give none (NaN) or cannot be evaluated
// here.
void net_rewrite(struct net *t, unsigned groups);
// t->folded consists of these operators, in order: "Conv Relu Conv".
void net_expect(const struct net *t, const char *ops);
// What became of a BatchNormalization. `part`: of the node's label where it was folded, of the
// reason where it was kept.
void net_expect_bn(const struct net *t, const char *name, enum bnr_verdict verdict,
                   const char *part);
// Largest difference between the two outputs 0 over the largest magnitude.
double net_error(struct net *t);
// Largest difference itself, of a network with one output, and the largest magnitude.
double net_largest_error(struct net *t, double *magnitude);
// How much the outputs depend on roundings: all constants are moved by a unit in the last place of
// t->dtype, up or down, a few times; largest change of an output over its largest magnitude.
double net_sensitivity(struct net *t);
// t->folded is written to a file and read back, which must give the same outputs, bit for bit.
// Rewriting what was read with `groups` gives the same file, byte for byte.
void net_reload(struct net *t, unsigned groups);
struct bnr_value *net_folded_value(const struct net *t, const char *name);
// Output 0 of a session of the model, and what became of its first BatchNormalization unless report
// is NULL; its strings are not to be read.
void net_run(struct net *t, unsigned flags, int threads, struct bnr_tensor **out,
             struct bnr_bn_report *report);
double net_rounded(enum bnr_dtype d, double x); // to d, once

#endif
