// SPDX-License-Identifier: Apache-2.0
// Patterns 12 to 20 in every variant: affines past operators that let them pass, backward from behind them to
// a convolution in front, and forward from in front of them to one behind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_matrix.h"

enum { C = FOLD_C };
enum needs { ANY = 0, POSITIVE = 1, NO_SHIFT = 2, TWO_AXES = 4 };

typedef struct bnr_value *pass_fn(struct net *t, const struct fold_variant *v, struct bnr_value *x);

static const struct net_conv padded = {.k = 3, .pad = 1}, point = {.k = 1};

// ---- operators ----------------------------------------------------------------------------------

static int rank_of(const struct fold_variant *v) {
    return 2 + v->spatial;
}

static int64_t extent(const struct fold_variant *v) {
    return v->spatial == 3 ? 5 : 6;
}

static struct bnr_value *dropout(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    return net_op(t, "Dropout", NULL, NET_IN(x));
}

static struct bnr_value *no_cast(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    x = net_op(t, "Cast", NULL, NET_IN(x));
    net_attr_int(t, "to", t->dtype);
    return x;
}

// The channels go to the last axis, where a Relu would do nothing to them, and back.
static struct bnr_value *transposes(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    int64_t there[5] = {0}, back[5] = {0};
    const int rank = rank_of(v);
    for (int i = 1; i < rank; i++)
        there[i] = i == rank - 1 ? 1 : i + 1;
    for (int i = 0; i < rank; i++)
        back[there[i]] = i;
    x = net_op(t, "Transpose", NULL, NET_IN(x));
    net_attr_ints(t, "perm", there, (size_t)rank);
    x = net_op(t, "Transpose", NULL, NET_IN(x));
    net_attr_ints(t, "perm", back, (size_t)rank);
    return x;
}

static struct bnr_value *unsqueeze(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    const int64_t at = v->index % 3;
    struct bnr_value *axis = net_ints(t, "axis", &at, 1);
    return net_op(t, "Squeeze", NULL, NET_IN(net_op(t, "Unsqueeze", NULL, NET_IN(x, axis)), axis));
}

// All positions become one axis.
static struct bnr_value *reshapes(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    const int64_t back[5] = {0, 0, extent(v), extent(v), extent(v)};
    x = net_op(t, "Reshape", NULL, NET_IN(x, net_ints(t, "flat", NET_INTS(0, 0, -1))));
    return net_op(t, "Reshape", NULL, NET_IN(x, net_ints(t, "back", back, (size_t)rank_of(v))));
}

static struct bnr_value *slice(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    return net_op(t, "Slice", NULL,
                  NET_IN(x, net_ints(t, "starts", NET_INTS(-1)), net_ints(t, "ends", NET_INTS(0)),
                         net_ints(t, "axes", NET_INTS(-1)), net_ints(t, "steps", NET_INTS(-2))));
}

// The channels in reverse.
static struct bnr_value *reverse(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    return net_op(t, "Slice", NULL,
                  NET_IN(x, net_ints(t, "starts", NET_INTS(-1)), net_ints(t, "ends", NET_INTS(-100)),
                         net_ints(t, "axes", NET_INTS(1)), net_ints(t, "steps", NET_INTS(-1))));
}

// Two parts of the channels change places.
static struct bnr_value *split(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    struct bnr_value *a = net_op(t, "Split", NULL, NET_IN(x, net_ints(t, "parts", NET_INTS(1, C - 1))));
    net_attr_int(t, "axis", 1);
    struct bnr_value *y = net_op(t, "Concat", NULL, NET_IN(net_out(t, 1), a));
    net_attr_int(t, "axis", 1 - rank_of(v));
    return y;
}

static struct bnr_value *average_pool(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    return fold_matrix_window(t, v, "AveragePool", x, 3, 1);
}

static struct bnr_value *counting_pool(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    x = fold_matrix_window(t, v, "AveragePool", x, 3, 1);
    net_attr_int(t, "count_include_pad", 1);
    return x;
}

static struct bnr_value *max_pool(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    return fold_matrix_window(t, v, "MaxPool", x, 3, 1);
}

static struct bnr_value *global_average(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    return net_op(t, "GlobalAveragePool", NULL, NET_IN(x));
}

static struct bnr_value *reduce_mean(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    x = net_op(t, "ReduceMean", NULL, NET_IN(x));
    net_attr_ints(t, "axes", NET_INTS(-1));
    return x;
}

static struct bnr_value *pad(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    int64_t pads[10] = {0};
    const int rank = rank_of(v);
    pads[rank - 1] = pads[2 * rank - 1] = 1;
    x = net_op(t, "Pad", NULL, NET_IN(x, net_ints(t, "pads", pads, 2 * (size_t)rank)));
    return x;
}

static struct bnr_value *edge_pad(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    x = pad(t, v, x);
    net_attr_string(t, "mode", v->index & 1 ? "edge" : "reflect");
    return x;
}

static struct bnr_value *resize(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    const double scales[5] = {1, 1, 2, 1.5, 1};
    const int64_t n = rank_of(v);
    const enum bnr_dtype dtype = t->dtype;
    const int mode = v->spatial == 2 ? v->index % 3 : v->index % 2;
    t->dtype = BNR_FLOAT;
    struct bnr_value *in[3] = {x, NULL, net_const(t, "scales", 1, &n, scales)};
    t->dtype = dtype;
    x = net_op(t, "Resize", NULL, 3, in);
    net_attr_string(t, "mode", modes[mode]);
    return x;
}

static struct bnr_value *blocks(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    x = net_op(t, "SpaceToDepth", NULL, NET_IN(x));
    net_attr_int(t, "blocksize", 2);
    x = net_op(t, "DepthToSpace", NULL, NET_IN(x));
    net_attr_int(t, "blocksize", 2);
    net_attr_string(t, "mode", v->index & 1 ? "CRD" : "DCR"); // CRD: channels are mixed
    return x;
}

static struct bnr_value *shuffle(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    const int64_t e = extent(v), apart[6] = {0, 2, C / 2, e, e, e}, back[5] = {0, C, e, e, e};
    const int64_t perm[6] = {0, 2, 1, 3, 4, 5};
    const size_t rank = (size_t)rank_of(v);
    x = net_op(t, "Reshape", NULL, NET_IN(x, net_ints(t, "apart", apart, rank + 1)));
    x = net_op(t, "Transpose", NULL, NET_IN(x));
    net_attr_ints(t, "perm", perm, rank + 1);
    return net_op(t, "Reshape", NULL, NET_IN(x, net_ints(t, "back", back, rank)));
}

static struct bnr_value *relu(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    static const char *const ops[] = {"Relu", "LeakyRelu", "Abs"};
    return net_op(t, ops[v->index % 3], NULL, NET_IN(x));
}

static struct bnr_value *prelu(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    return net_op(t, "PRelu", NULL, NET_IN(x, fold_matrix_vector(t, v, "slope", C)));
}

// ---- both ways ----------------------------------------------------------------------------------

static const struct way {
    const char *name;
    pass_fn *make;
    int needs;
} ways[] = {
    {"Dropout", dropout, ANY},
    {"Cast to the same dtype", no_cast, ANY},
    {"Transpose", transposes, ANY},
    {"Unsqueeze, Squeeze", unsqueeze, ANY},
    {"Reshape", reshapes, ANY},
    {"Slice", slice, ANY},
    {"Slice of channels", reverse, ANY},
    {"Split, Concat", split, ANY},
    {"AveragePool", average_pool, ANY},
    {"AveragePool with count_include_pad", counting_pool, NO_SHIFT},
    {"GlobalAveragePool", global_average, ANY},
    {"ReduceMean", reduce_mean, ANY},
    {"MaxPool", max_pool, POSITIVE},
    {"Pad", pad, NO_SHIFT},
    {"Pad with the edge", edge_pad, ANY},
    {"Resize", resize, ANY},
    {"SpaceToDepth, DepthToSpace", blocks, TWO_AXES},
    {"channel shuffle", shuffle, ANY},
    {"Relu", relu, POSITIVE | NO_SHIFT},
    {"PRelu", prelu, POSITIVE | NO_SHIFT},
};
static const struct way *way;

// What the operator needs is given in three variants of four, and missed in the others.
static void prepare(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    const bool miss = way->needs & (POSITIVE | NO_SHIFT) && v->index % 4 == 0;
    const bool miss_shift = miss && (way->needs & NO_SHIFT) && (v->index % 8 == 0 || !(way->needs & POSITIVE));
    t->no_shift = (way->needs & NO_SHIFT) && !miss_shift;
    if (way->needs & POSITIVE)
        t->gamma = miss && !miss_shift ? NET_GAMMA_NEGATIVE : NET_GAMMA_POSITIVE;
    e->kept = miss;
    e->skip = (way->needs & TWO_AXES) && v->spatial != 2;
    if (way->make == blocks && v->index & 1) {
        e->kept = 1;
        e->part = "mixes channels";
    }
    // Padding with a shift in front may be exact by other means; test_border.c has these.
    e->skip |= miss && way->make == pad;
}

static void build_backward(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    prepare(t, v, e);
    if (e->skip)
        return;
    struct bnr_value *x = fold_matrix_conv(t, v, "conv", fold_matrix_x(t, v, "x", C), padded);
    x = fold_matrix_between(t, v, way->make(t, v, x));
    if (way->make == reduce_mean && v->spatial == 1)
        net_attr_int(t, "keepdims", 1);
    net_output(t, net_bn(t, "bn", x, C));
}

static void build_forward(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    prepare(t, v, e);
    if (e->skip)
        return;
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x(t, v, "x", C), C);
    x = fold_matrix_between(t, v, way->make(t, v, x));
    net_output(t, fold_matrix_conv(t, v, "conv", x, point));
}

static void past(const char *title, const struct way *first, size_t n) {
    for (way = first; way < first + n; way++) {
        fold_matrix(way->name, build_backward);
        fold_matrix(way->name, build_forward);
    }
}

// ---- 16 with a shift: the padding of each channel would be another number -----------------------

static void build_pad_behind(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = fold_matrix_conv(t, v, "conv", fold_matrix_x(t, v, "x", C), padded);
    net_output(t, net_bn(t, "bn", fold_matrix_between(t, v, pad(t, v, x)), C));
    e->kept = 1;
    e->part = "'Pad#";
}

// In front of a convolution that becomes its border.
static void build_pad_in_front(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x_of(t, v, "x", C, 3), C);
    int64_t pads[10] = {0};
    const int rank = rank_of(v);
    for (int i = 2; i < rank; i++)
        pads[i] = pads[rank + i] = 1;
    x = net_op(t, "Pad", "pad", NET_IN(x, net_ints(t, "pads", pads, 2 * (size_t)rank)));
    net_output(t, fold_matrix_conv(t, v, "conv", fold_matrix_between(t, v, x), (struct net_conv){.k = 3}));
}

static void padding_with_a_shift(void **state) {
    fold_matrix("Conv -> Pad -> BN", build_pad_behind);
    fold_matrix("BN -> Pad -> Conv", build_pad_in_front);
}

static void layout(void **state) {
    past("layout", ways, 8);
}

static void pooling_and_padding(void **state) {
    past("pooling", ways + 8, 7);
}

static void mixing(void **state) {
    past("mixing", ways + 15, 3);
}

static void activations(void **state) {
    past("activations", ways + 18, 2);
}

// ---- 13, 18, 20: several branches ---------------------------------------------------------------

static void build_concat(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = fold_matrix_x(t, v, "x", C);
    struct bnr_value *a = fold_matrix_conv(t, v, "a", x, padded);
    struct bnr_value *b = fold_matrix_between(t, v, fold_matrix_conv(t, v, "b", x, padded));
    if (v->index & 1)
        b = average_pool(t, v, b);
    a = net_op(t, "Concat", NULL, NET_IN(a, b));
    net_attr_int(t, "axis", 1);
    net_output(t, net_bn(t, "bn", a, 2 * C));
}

static void build_residual(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    static const char *const ops[] = {"Add", "Sub", "Sum"};
    struct bnr_value *x = fold_matrix_x(t, v, "x", C);
    struct bnr_value *a = fold_matrix_conv(t, v, "a", x, padded);
    struct bnr_value *b = fold_matrix_between(t, v, fold_matrix_conv(t, v, "b", x, padded));
    net_output(t, net_bn(t, "bn", net_op(t, ops[v->index % 3], NULL, NET_IN(a, b)), C));
}

static void build_readers(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x(t, v, "x", C), C);
    net_output(t, fold_matrix_conv(t, v, "a", x, point));
    net_output(t, fold_matrix_conv(t, v, "b", fold_matrix_between(t, v, x), (struct net_conv){.k = 2}));
    if (v->index % 4 == 0) { // one that does not take it in
        net_output(t, net_op(t, "Sigmoid", NULL, NET_IN(x)));
        e->kept = 1;
    }
}

static void branches(void **state) {
    fold_matrix("Concat -> BN", build_concat);
    fold_matrix("Add of two Convs -> BN", build_residual);
    fold_matrix("BN -> two Convs", build_readers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        fold_matrix_test(layout),      fold_matrix_test(pooling_and_padding), fold_matrix_test(mixing),
        fold_matrix_test(activations), fold_matrix_test(branches),            fold_matrix_test(padding_with_a_shift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
