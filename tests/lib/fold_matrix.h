// SPDX-License-Identifier: Apache-2.0
// One pattern in every variant: with and without bias, groups, 1 to 3 spatial axes, float dtypes, signs of
// gamma, shared weights, constants as nodes, Identity in between. Each is folded, compared with the unfolded
// network in double, and must have the expected verdict.
#ifndef BNR_TESTS_FOLD_MATRIX_H
#define BNR_TESTS_FOLD_MATRIX_H

#include "tests/lib/fold_test.h"

enum fold_groups { FOLD_ONE_GROUP, FOLD_TWO_GROUPS, FOLD_DEPTHWISE };

struct fold_variant {
    bool bias, shared, constant_nodes, identity;
    enum fold_groups groups;
    int spatial; // axes: 1 to 3
    enum bnr_dtype dtype;
    enum net_gamma gamma;
    int index; // of the variant, for what else may vary
};

// What should come out. The builder changes what differs from: every BN folded, none left.
struct fold_expectation {
    int kept;         // BatchNormalizations that stay, for a reason that contains `part`
    const char *part; // NULL: any
    int left;         // BatchNormalization nodes in the folded graph; -1: as many as are kept
    unsigned groups;  // of passes; 0: those that clean and fold
    bool skip;        // there is no such variant
};

typedef void fold_build_fn(struct net *t, const struct fold_variant *v, struct fold_expectation *e);

enum { FOLD_C = 4 }; // channels of fold_matrix_x and of what fold_matrix_conv gives

void fold_matrix(const char *pattern, fold_build_fn *build);
// For cmocka: names the variant that a test failed at.
int fold_matrix_teardown(void **state);
#define fold_matrix_test(f) cmocka_unit_test_teardown(f, fold_matrix_teardown)

// ---- parts for builders ------------------------------------------------------------------------------

// [2, channels, ...] with as many axes as the variant says, each of 6 (5 where there are three).
struct bnr_value *fold_matrix_x(struct net *t, const struct fold_variant *v, const char *name,
                                int64_t channels);
// The same with axes of `extent`.
struct bnr_value *fold_matrix_x_of(struct net *t, const struct fold_variant *v, const char *name,
                                   int64_t channels, int64_t extent);
int64_t fold_matrix_groups(const struct fold_variant *v); // 1, 2 or FOLD_C
// A Conv or ConvTranspose of x's FOLD_C channels to FOLD_C channels by the variant; with shared weights a
// second one on an input of its own reads them, too. c.k and c.pad count; 0 for the rest.
struct bnr_value *fold_matrix_conv(struct net *t, const struct fold_variant *v, const char *name,
                                   struct bnr_value *x, struct net_conv c);
// An Identity, or x itself.
struct bnr_value *fold_matrix_between(struct net *t, const struct fold_variant *v, struct bnr_value *x);
// The dims [C, 1, ...] of one number a channel against such a value, with net_weight's numbers.
struct bnr_value *fold_matrix_vector(struct net *t, const struct fold_variant *v, const char *name,
                                     int64_t channels);
// An operator with a kernel of `k` along every spatial axis and pads on all sides.
struct bnr_value *fold_matrix_window(struct net *t, const struct fold_variant *v, const char *op,
                                     struct bnr_value *x, int64_t k, int64_t pad);

#endif
