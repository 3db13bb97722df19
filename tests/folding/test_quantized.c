// SPDX-License-Identifier: Apache-2.0
// Pattern 23: weights that are dequantized from integers, and affines beside QuantizeLinear and
// DequantizeLinear, as they stand in files. The oracle is the network as it was, in double.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD };

struct range {
    enum bnr_dtype dtype;
    double low, high;
};

static const struct range int8 = {BNR_INT8, -128, 127}, uint8 = {BNR_UINT8, 0, 255};

static struct bnr_value *integers(struct net *t, const char *name, struct range r, int rank,
                                  const int64_t *dims) {
    size_t n = 1;
    const enum bnr_dtype before = t->dtype;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    double *v = calloc(n, sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++)
        v[i] = i == 0 ? r.low : i == 1 ? r.high : floor(net_random(t, r.low, r.high + 1));
    t->dtype = r.dtype;
    struct bnr_value *made = net_const(t, name, rank, dims, v);
    t->dtype = before;
    free(v);
    return made;
}

// How weights are quantized.
struct spec {
    struct range r;
    int64_t channels; // 0: one scale for all
    int axis;
    bool zero;
};

static struct bnr_value *dequantized(struct net *t, const char *name, struct spec s, int rank,
                                     const int64_t *dims) {
    char label[40];
    double k[16], z[16];
    const int64_t n = s.channels ? s.channels : 1;
    assert_true(n <= 16);
    for (int64_t i = 0; i < n; i++) {
        k[i] = net_random(t, 0.001, 0.01);
        z[i] = floor(net_random(t, s.r.low, s.r.high + 1));
    }
    struct bnr_value *in[3] = {NULL};
    snprintf(label, sizeof label, "%s.q", name);
    in[0] = integers(t, label, s.r, rank, dims);
    snprintf(label, sizeof label, "%s.scale", name);
    in[1] = net_const(t, label, s.channels ? 1 : 0, &n, k);
    snprintf(label, sizeof label, "%s.zero", name);
    if (s.zero)
        in[2] = net_typed(t, s.r.dtype, label, s.channels ? 1 : 0, &n, z);
    struct bnr_value *v = net_op(t, "DequantizeLinear", name, 2 + s.zero, in);
    if (s.channels)
        net_attr_int(t, "axis", s.axis);
    return v;
}

enum bias { NONE, FLOATS, INTEGERS, BIASES };

static struct bnr_value *make_bias(struct net *t, enum bias kind, int64_t n) {
    const struct spec s = {{BNR_INT32, -5000, 5000}, n, 0, false};
    return kind == NONE     ? NULL
           : kind == FLOATS ? net_weight(t, "b", 1, &n)
                            : dequantized(t, "b", s, 1, &n);
}

enum { IN = 4, OUT = 8 };

struct layer {
    struct spec w;
    int64_t group;
    bool transposed;
    enum bias bias;
};

static void conv(struct net *t, struct layer c) {
    const int64_t dims[4] = {c.transposed ? IN : OUT, (c.transposed ? OUT : IN) / c.group, 3, 3};
    struct bnr_value *in[3] = {net_input(t, "x", NET_DIMS(2, IN, 5, 5))};
    in[1] = dequantized(t, "w", c.w, 4, dims);
    in[2] = make_bias(t, c.bias, OUT);
    struct bnr_value *y =
        net_op(t, c.transposed ? "ConvTranspose" : "Conv", "conv", in[2] ? 3 : 2, in);
    net_attr_int(t, "group", c.group);
    net_output(t, net_bn(t, "bn", y, OUT));
}

// Every integer type, zero points anywhere, both signs of the scale and a zero.
static void behind_conv(void **state) {
    static const struct range ranges[] = {{BNR_INT8, -128, 127},
                                          {BNR_UINT8, 0, 255},
                                          {BNR_INT16, -32768, 32767},
                                          {BNR_UINT16, 0, 65535},
                                          {BNR_INT4, -8, 7},
                                          {BNR_UINT4, 0, 15}};
    for (size_t r = 0; r < BNR_COUNT(ranges); r++)
        for (int k = 0; k < 3 * BIASES * 4; k++) {
            static const int64_t groups[] = {1, 2, IN};
            struct net t;
            net_begin(&t, 21);
            t.seed = 100 * r + (uint64_t)k;
            struct layer c = {.group = groups[k % 3], .bias = (enum bias)(k / 3 % BIASES)};
            c.w = (struct spec){ranges[r], k / 9 & 1 ? OUT : 0, 0, k / 9 & 2};
            conv(&t, c);
            net_fold(&t, FOLD);
            net_expect(&t, "DequantizeLinear Conv");
            net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
            net_end(&t);
        }
}

static void float16(void **state) {
    struct net t;
    net_begin(&t, 21);
    t.dtype = BNR_FLOAT16;
    conv(&t, (struct layer){.w = {int8, OUT, 0, true}, .group = 1, .bias = INTEGERS});
    net_fold(&t, FOLD);
    net_expect(&t, "DequantizeLinear Conv");
    net_end(&t);
}

// [I, O/g, ...]: with several groups and several outputs in each, channels are no axis.
static void behind_transposed_conv(void **state) {
    for (int k = 0; k < 2 * BIASES; k++) {
        struct net t;
        net_begin(&t, 13);
        conv(&t, (struct layer){.w = {int8, k & 1 ? OUT : 0, 1, k & 1},
                                .group = 1,
                                .transposed = true,
                                .bias = (enum bias)(k / 2)});
        net_fold(&t, FOLD);
        net_expect(&t, "DequantizeLinear ConvTranspose");
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
        net_end(&t);
    }
    struct net t;
    net_begin(&t, 13);
    conv(&t, (struct layer){.w = {int8, 0, 0, false}, .group = 2, .transposed = true});
    net_fold(&t, FOLD);
    net_expect(&t, "DequantizeLinear ConvTranspose BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "more than one axis");
    net_end(&t);
}

// x -> conv -> scale and shift, with integers q around 0 in each of two channels.
static void two_channels(struct net *t, const double *q, const double *scale) {
    const double k = 0.5, one[2] = {1, 1}, none[2] = {0, 0};
    struct bnr_value *in[3] = {net_input(t, "x", NET_DIMS(1, 1, 2, 2))};
    in[1] = net_op(t, "DequantizeLinear", "w",
                   NET_IN(net_typed(t, BNR_INT8, "q", NET_DIMS(2, 1, 1, 2), q),
                          net_const(t, "k", 0, NULL, &k)));
    struct bnr_value *bn[5] = {net_op(t, "Conv", "conv", 2, in), net_const(t, "g", NET_DIMS(2), scale),
                               net_const(t, "b", NET_DIMS(2), none), net_const(t, "m", NET_DIMS(2), none),
                               net_const(t, "v", NET_DIMS(2), one)};
    net_output(t, net_op(t, "BatchNormalization", "bn", 5, bn));
    net_attr_float(t, "epsilon", 0);
    net_fold(t, FOLD);
    net_expect(t, "DequantizeLinear Conv");
}

static void expect_numbers(const struct bnr_value *v, const double *want, size_t n) {
    assert_non_null(v);
    assert_int_equal(v->tensor->numel, n);
    for (size_t i = 0; i < n; i++)
        assert_float_equal(bnr__tensor_f64(v->tensor, i), want[i], 0);
}

// -q where it fits, so that a symmetric tensor stays one.
static void sign_leaves_zero_point(void **state) {
    struct net t;
    net_begin(&t, 13);
    two_channels(&t, (const double[]){-127, 5, -128, 127}, (const double[]){-2, 3});
    const struct bnr_node *dq = t.folded->graph->first;
    assert_int_equal(dq->n_in, 2);
    expect_numbers(dq->in[0], (const double[]){127, -5, -128, 127}, 4);
    expect_numbers(dq->in[1], (const double[]){1, 1.5}, 2);
    net_end(&t);
}

// -128 has no negative: ~q around ~0.
static void sign_of_lowest_integer(void **state) {
    struct net t;
    net_begin(&t, 13);
    two_channels(&t, (const double[]){-128, 127, -128, 127}, (const double[]){-2, 2});
    const struct bnr_node *dq = t.folded->graph->first;
    assert_int_equal(dq->n_in, 3);
    expect_numbers(dq->in[0], (const double[]){127, -128, -128, 127}, 4);
    expect_numbers(dq->in[1], (const double[]){1, 1}, 2);
    expect_numbers(dq->in[2], (const double[]){-1, 0}, 2);
    net_end(&t);
}

// One factor for all: the parameters stay one number.
static void uniform_scale_stays_scalar(void **state) {
    for (int opset = 10; opset <= 13; opset += 3) {
        struct net t;
        net_begin(&t, opset);
        two_channels(&t, (const double[]){-100, 1, 2, 3}, (const double[]){-2, -2});
        assert_int_equal(t.folded->graph->first->in[1]->tensor->rank, 0);
        net_end(&t);
    }
}

static void no_axis_in_opset_10(void **state) {
    struct net t;
    net_begin(&t, 10);
    conv(&t, (struct layer){.w = {int8, 0, 0, true}, .group = 1});
    net_fold(&t, FOLD);
    net_expect(&t, "DequantizeLinear Conv BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "one scale for all channels in opset 10");
    net_end(&t);
}

static void scale_along_inputs(void **state) {
    struct net t;
    net_begin(&t, 13);
    conv(&t, (struct layer){.w = {int8, IN, 1, false}, .group = 1});
    net_fold(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "scales along axis 1");
    net_end(&t);
}

// Scales for blocks of two inputs. Behind, all blocks of an output take its factor; in front, a block has
// one only where its two channels do.
static void blocks(void **state) {
    for (int k = 0; k < 8; k++) {
        struct net t;
        net_begin(&t, 21);
        t.seed = 600 + (uint64_t)k;
        const bool behind = k & 1, zero = k & 2, same = k & 4;
        double scale[OUT * 2], z[OUT * 2], s[IN], shift[IN];
        for (size_t i = 0; i < BNR_COUNT(scale); i++) {
            scale[i] = net_random(&t, 0.01, 0.02);
            z[i] = floor(net_random(&t, -128, 128));
        }
        for (size_t i = 0; i < IN; i++) {
            s[i] = same ? -0.5 - (double)(i / 2) : -0.5 - (double)i;
            shift[i] = 0.25 * (double)i;
        }
        struct bnr_value *q = integers(&t, "q", int8, NET_DIMS(OUT, IN));
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(3, IN)), *in[3] = {q};
        in[1] = net_const(&t, "k", NET_DIMS(OUT, 2), scale);
        in[2] = zero ? net_typed(&t, BNR_INT8, "z", NET_DIMS(OUT, 2), z) : NULL;
        if (!behind) {
            x = net_op(&t, "Mul", "mul", NET_IN(x, net_const(&t, "s", NET_DIMS(IN), s)));
            x = net_op(&t, "Add", "add", NET_IN(x, net_const(&t, "t", NET_DIMS(IN), shift)));
        }
        struct bnr_value *w = net_op(&t, "DequantizeLinear", "w", 2 + zero, in);
        net_attr_int(&t, "axis", 1);
        net_attr_int(&t, "block_size", 2);
        struct bnr_value *y = net_op(&t, "Gemm", "fc", NET_IN(x, w));
        net_attr_int(&t, "transB", 1);
        net_output(&t, behind ? net_bn(&t, "bn", y, OUT) : y);
        net_fold(&t, FOLD);
        net_expect(&t, behind || same ? "DequantizeLinear Gemm" : "Mul DequantizeLinear Gemm");
        if (behind)
            net_expect_bn(&t, "bn", BNR_BN_FOLDED, "fc");
        net_end(&t);
    }
}

// float16 scales of float32 weights: the product would be rounded to 11 bits.
static void narrow_scale(void **state) {
    struct net t;
    net_begin(&t, 23);
    const double k = 0.01;
    struct bnr_value *q = integers(&t, "q", int8, NET_DIMS(OUT, IN, 1, 1));
    struct bnr_value *w = net_op(&t, "DequantizeLinear", "w",
                                 NET_IN(q, net_typed(&t, BNR_FLOAT16, "k", 0, NULL, &k)));
    net_attr_int(&t, "output_dtype", 1);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, IN, 2, 2));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Conv", "conv", NET_IN(x, w)), OUT));
    net_rewrite(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "too narrow");
    net_end(&t);
}

// Two convolutions read what one DequantizeLinear makes.
static void shared_weights(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, IN, 2, 2));
    struct bnr_value *w = dequantized(&t, "w", (struct spec){int8, 0, 0, false}, NET_DIMS(IN, IN, 1, 1));
    struct bnr_value *y = net_bn(&t, "bn", net_op(&t, "Conv", "conv", NET_IN(x, w)), IN);
    net_output(&t, net_op(&t, "Conv", "conv2", NET_IN(y, w)));
    net_fold(&t, FOLD);
    net_expect(&t, "DequantizeLinear Conv BatchNormalization Conv");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "1 other use");
    net_end(&t);
}

// Two DequantizeLinear read the same integers: each gets its own.
static void shared_integers(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, IN, 2, 2));
    struct bnr_value *q = integers(&t, "q", int8, NET_DIMS(IN, IN, 1, 1));
    const double k = 0.01, k2 = 0.02;
    struct bnr_value *w = net_op(&t, "DequantizeLinear", "w", NET_IN(q, net_const(&t, "k", 0, NULL, &k)));
    struct bnr_value *w2 =
        net_op(&t, "DequantizeLinear", "w2", NET_IN(q, net_const(&t, "k2", 0, NULL, &k2)));
    struct bnr_value *y = net_bn(&t, "bn", net_op(&t, "Conv", "conv", NET_IN(x, w)), IN);
    net_output(&t, net_op(&t, "Conv", "conv2", NET_IN(net_op(&t, "Relu", NULL, NET_IN(y)), w2)));
    net_fold(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
    net_end(&t);
}

static void behind_gemm(void **state) {
    for (int k = 0; k < 2 * BIASES * 4; k++) {
        struct net t;
        net_begin(&t, 13);
        t.seed = (uint64_t)k;
        const int turned = k & 1;
        const struct spec s = {k / 2 & 1 ? uint8 : int8, k / 4 & 1 ? OUT : 0, turned ? 0 : 1, k & 2};
        const int64_t dims[2] = {turned ? OUT : IN, turned ? IN : OUT};
        struct bnr_value *in[3] = {net_input(&t, "x", NET_DIMS(3, IN)),
                                   dequantized(&t, "w", s, 2, dims),
                                   make_bias(&t, (enum bias)(k / 8), OUT)};
        struct bnr_value *y = net_op(&t, "Gemm", "fc", in[2] ? 3 : 2, in);
        net_attr_int(&t, "transB", turned);
        net_attr_float(&t, "alpha", 0.75);
        net_attr_float(&t, "beta", -1.5);
        net_output(&t, net_bn(&t, "bn", y, OUT));
        net_fold(&t, FOLD);
        net_expect(&t, "DequantizeLinear Gemm");
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "fc");
        net_end(&t);
    }
}

// Directly, through a Transpose, and with the weights on the left.
static void behind_matmul(void **state) {
    static const char *const expected[] = {"DequantizeLinear MatMul Add",
                                           "DequantizeLinear Transpose MatMul Add",
                                           "DequantizeLinear MatMul Add"};
    for (int k = 0; k < 3; k++) {
        struct net t;
        net_begin(&t, 13);
        struct spec s = {int8, OUT, k == 0 ? 1 : 0, true};
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(3, IN));
        if (k == 2)
            x = net_op(&t, "Transpose", NULL, NET_IN(x));
        struct bnr_value *w = k == 0 ? dequantized(&t, "w", s, NET_DIMS(IN, OUT))
                                     : dequantized(&t, "w", s, NET_DIMS(OUT, IN));
        if (k == 1)
            w = net_op(&t, "Transpose", NULL, NET_IN(w));
        struct bnr_value *y = k < 2 ? net_op(&t, "MatMul", "matmul", NET_IN(x, w))
                                    : net_op(&t, "MatMul", "matmul", NET_IN(w, x));
        if (k == 2)
            y = net_op(&t, "Transpose", NULL, NET_IN(y));
        y = net_op(&t, "Add", "add", NET_IN(y, net_weight(&t, "b", NET_DIMS(OUT))));
        net_output(&t, net_bn(&t, "bn", y, OUT));
        net_fold(&t, FOLD);
        if (k < 2)
            net_expect(&t, expected[k]);
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, k == 1 ? "" : "matmul");
        net_end(&t);
    }
}

// ---- in front -----------------------------------------------------------------------------------

// BN -> conv, whose weights have scales as c says. The bias takes the shift.
static void in_front(struct net *t, struct layer c, int64_t pad) {
    const int64_t dims[4] = {c.transposed ? IN : OUT, (c.transposed ? OUT : IN) / c.group, 3, 3};
    struct bnr_value *in[3] = {net_bn(t, "bn", net_input(t, "x", NET_DIMS(2, IN, 7, 7)), IN)};
    in[1] = dequantized(t, "w", c.w, 4, dims);
    in[2] = make_bias(t, c.bias, OUT);
    net_output(t, net_op(t, c.transposed ? "ConvTranspose" : "Conv", "conv", in[2] ? 3 : 2, in));
    net_attr_int(t, "group", c.group);
    net_attr_ints(t, "pads", NET_INTS(pad, pad, pad, pad));
}

// One scale for all weights becomes one for each input channel; scales along that axis stay there.
static void in_front_of_conv(void **state) {
    for (int k = 0; k < 2 * BIASES * 3; k++) {
        struct net t;
        net_begin(&t, 13);
        t.seed = 300 + (uint64_t)k;
        const int place = k / 2 / BIASES;
        struct layer c = {.group = 1, .bias = (enum bias)(k / 2 % BIASES)};
        c.w = (struct spec){k & 1 ? uint8 : int8, place == 0 ? 0 : place == 1 ? IN : OUT, 1, true};
        if (place == 2) { // one input channel a group: those of its outputs
            c.group = IN;
            c.w.axis = 0;
        }
        in_front(&t, c, 0);
        net_fold(&t, FOLD);
        net_expect(&t, "DequantizeLinear Conv");
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
        net_end(&t);
    }
}

// Scales for output channels have no place for factors of inputs; nor have both axes one in groups.
static void in_front_of_conv_is_kept(void **state) {
    static const struct {
        struct layer c;
        int opset;
        const char *why;
    } cases[] = {
        {{.w = {{BNR_INT8, -128, 127}, OUT, 0, true}, .group = 1}, 13, "scales along axis 0"},
        {{.w = {{BNR_INT8, -128, 127}, 0, 0, true}, .group = 2}, 13, "more than one axis"},
        {{.w = {{BNR_INT8, -128, 127}, 0, 0, true}, .group = 1}, 10, "one scale for all channels in opset 10"},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct net t;
        net_begin(&t, cases[i].opset);
        in_front(&t, cases[i].c, 0);
        net_fold(&t, FOLD);
        net_expect(&t, "BatchNormalization DequantizeLinear Conv");
        net_expect_bn(&t, "bn", BNR_BN_KEPT, cases[i].why);
        net_end(&t);
    }
}

// One factor for all channels goes along with any scales, in any opset.
static void uniform_in_front(void **state) {
    for (int k = 0; k < 4; k++) {
        struct net t;
        const double two = -1.7, shift = 0.3;
        net_begin(&t, k & 2 ? 13 : 10);
        const struct spec s = {int8, k & 2 ? OUT : 0, 0, false};
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, IN, 6, 6));
        x = net_op(&t, "Mul", "mul", NET_IN(x, net_const(&t, "two", 0, NULL, &two)));
        if (k & 1)
            x = net_op(&t, "Add", "add", NET_IN(x, net_const(&t, "shift", 0, NULL, &shift)));
        struct bnr_value *w = dequantized(&t, "w", s, NET_DIMS(OUT, IN, 3, 3));
        net_output(&t, net_op(&t, "Conv", "conv", NET_IN(x, w)));
        net_fold(&t, FOLD);
        net_expect(&t, "DequantizeLinear Conv");
        net_end(&t);
    }
}

// Zeros at the border are not shifted: a map behind, where it is small enough.
static void border(void **state) {
    struct net t;
    net_begin(&t, 13);
    in_front(&t, (struct layer){.w = {int8, 0, 0, true}, .group = 1}, 1);
    net_fold(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "border");
    net_end(&t);
    net_begin(&t, 13);
    t.no_shift = true;
    in_front(&t, (struct layer){.w = {int8, 0, 0, true}, .group = 1}, 1);
    net_fold(&t, FOLD);
    net_expect(&t, "DequantizeLinear Conv");
    net_end(&t);
}

// [I, O/g, ...]: input channels are the first axis in all groups. A shift meets overlaps: none here.
static void in_front_of_transposed_conv(void **state) {
    for (int k = 0; k < 6; k++) {
        struct net t;
        net_begin(&t, 13);
        t.no_shift = true;
        t.seed = 400 + (uint64_t)k;
        const struct spec s = {int8, k & 1 ? IN : 0, 0, true};
        in_front(&t, (struct layer){.w = s, .group = 1 << k / 2, .transposed = true, .bias = FLOATS}, 0);
        net_fold(&t, FOLD);
        net_expect(&t, "DequantizeLinear ConvTranspose");
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
        net_end(&t);
    }
}

static void on_both_sides(void **state) {
    struct net t;
    net_begin(&t, 13);
    const struct spec s = {int8, 0, 0, true};
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, IN, 5, 5)), IN);
    struct bnr_value *w = dequantized(&t, "w", s, NET_DIMS(IN, 1, 3, 3));
    struct bnr_value *y = net_op(&t, "Conv", "conv", NET_IN(x, w));
    net_attr_int(&t, "group", IN);
    net_output(&t, net_bn(&t, "bn2", y, IN));
    net_fold(&t, FOLD);
    net_expect(&t, "DequantizeLinear Conv");
    net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
    net_expect_bn(&t, "bn2", BNR_BN_FOLDED, "conv");
    net_end(&t);
}

static void in_front_of_matrices(void **state) {
    for (int k = 0; k < 8; k++) {
        struct net t;
        net_begin(&t, 13);
        t.seed = 500 + (uint64_t)k;
        const bool gemm = k & 1, turned = gemm && k & 2;
        const int axis = turned ? 1 : 0;
        const struct spec s = {uint8, k & 4 ? IN : 0, axis, true};
        const int64_t dims[2] = {turned ? OUT : IN, turned ? IN : OUT};
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(3, IN)), IN);
        struct bnr_value *w = dequantized(&t, "w", s, 2, dims);
        struct bnr_value *y = net_op(&t, gemm ? "Gemm" : "MatMul", "fc", NET_IN(x, w));
        if (gemm) {
            net_attr_int(&t, "transB", turned);
            net_attr_float(&t, "alpha", 0.75);
        }
        net_output(&t, y);
        net_fold(&t, FOLD);
        net_expect(&t, gemm ? "DequantizeLinear Gemm" : "DequantizeLinear MatMul Add");
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "fc");
        net_end(&t);
    }
}

// The scale goes back through what rearranges the weights; for a shift their numbers would be needed.
static void in_front_of_rearranged(void **state) {
    for (int shift = 0; shift < 2; shift++) {
        struct net t;
        net_begin(&t, 13);
        t.no_shift = !shift;
        const struct spec s = {int8, 0, 0, true};
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(3, IN)), IN);
        struct bnr_value *w = dequantized(&t, "w", s, NET_DIMS(OUT, IN));
        w = net_op(&t, "Transpose", "turn", NET_IN(w));
        net_output(&t, net_op(&t, "MatMul", "fc", NET_IN(x, w)));
        net_fold(&t, FOLD);
        net_expect(&t, shift ? "BatchNormalization DequantizeLinear Transpose MatMul"
                             : "DequantizeLinear Transpose MatMul");
        net_expect_bn(&t, "bn", shift ? BNR_BN_KEPT : BNR_BN_FOLDED, shift ? "not at hand" : "");
        net_end(&t);
    }
}

// Two convolutions read what one DequantizeLinear makes: it cannot take the factors of one.
static void in_front_of_shared(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, IN, 5, 5));
    struct bnr_value *w = dequantized(&t, "w", (struct spec){int8, 0, 0, false}, NET_DIMS(IN, IN, 1, 1));
    struct bnr_value *y = net_op(&t, "Conv", "conv", NET_IN(net_bn(&t, "bn", x, IN), w));
    net_output(&t, net_op(&t, "Conv", "conv2", NET_IN(net_op(&t, "Relu", NULL, NET_IN(y)), w)));
    net_fold(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "1 other use");
    net_end(&t);
}

// ---- activations --------------------------------------------------------------------------------

// Scale and shift as a BatchNormalization with mean 0, variance 1 and no epsilon.
static struct bnr_value *exact_bn(struct net *t, struct bnr_value *x, int64_t n, const double *s,
                                  const double *shift) {
    const double one[OUT] = {1, 1, 1, 1, 1, 1, 1, 1}, none[OUT] = {0};
    struct bnr_value *in[5] = {x, net_const(t, "g", 1, &n, s), net_const(t, "beta", 1, &n, shift),
                               net_const(t, "m", 1, &n, none), net_const(t, "v", 1, &n, one)};
    struct bnr_value *y = net_op(t, "BatchNormalization", "bn", 5, in);
    net_attr_float(t, "epsilon", 0);
    return y;
}

// x -> QuantizeLinear -> QLinearConv or QLinearMatMul -> DequantizeLinear -> BN; the output's step is 1/4.
static void integer_product(struct net *t, bool matmul, const double *s, const double *shift) {
    const double k = 0.03, out = 0.25, zero = 100;
    struct bnr_value *x = matmul ? net_input(t, "x", NET_DIMS(3, IN)) : net_input(t, "x", NET_DIMS(1, IN, 3, 3));
    struct bnr_value *ks = net_const(t, "ks", 0, NULL, &k), *ys = net_const(t, "ys", 0, NULL, &out);
    struct bnr_value *z = net_typed(t, BNR_UINT8, "z", 0, NULL, &zero);
    x = net_op(t, "QuantizeLinear", "quantize", NET_IN(x, ks, z));
    struct bnr_value *w = matmul ? integers(t, "w", uint8, NET_DIMS(IN, OUT))
                                 : integers(t, "w", uint8, NET_DIMS(OUT, IN, 1, 1));
    struct bnr_value *y = net_op(t, matmul ? "QLinearMatMul" : "QLinearConv", "product",
                                 NET_IN(x, ks, z, w, ks, z, ys, z));
    y = net_op(t, "DequantizeLinear", "dequantize", NET_IN(y, ys, z));
    net_output(t, exact_bn(t, y, OUT, s, shift));
}

static void behind_integer_product(void **state) {
    static const double s[OUT] = {1, 2, 0.5, 3, 1.5, 0.1, 7, 1};
    static const double whole[OUT] = {0.25, -0.5, 0.125, 75, 0, -0.25, 0, 5}; // steps of s/4
    static const double part[OUT] = {0.1}, negative[OUT] = {-1, 1, 1, 1, 1, 1, 1, 1};
    static const double far[OUT] = {1000}, none[OUT] = {0};
    const struct {
        const double *s, *t;
        const char *why; // NULL: it folds
    } cases[] = {{s, whole, NULL},
                 {s, none, NULL},
                 {s, part, "no whole number of the steps"},
                 {s, far, "out of uint8"},
                 {negative, none, "cannot change its sign"},
                 {part, none, "leaves no scale"}};
    for (size_t i = 0; i < 2 * BNR_COUNT(cases); i++) {
        const bool matmul = i & 1;
        struct net t;
        char ops[100];
        net_begin(&t, 13);
        integer_product(&t, matmul, cases[i / 2].s, cases[i / 2].t);
        net_fold(&t, FOLD);
        snprintf(ops, sizeof ops, "QuantizeLinear QLinear%s DequantizeLinear%s", matmul ? "MatMul" : "Conv",
                 cases[i / 2].why ? " BatchNormalization" : "");
        net_expect(&t, ops);
        if (cases[i / 2].why)
            net_expect_bn(&t, "bn", BNR_BN_KEPT, cases[i / 2].why);
        else
            net_expect_bn(&t, "bn", BNR_BN_FOLDED, "dequantize");
        net_end(&t);
    }
}

// BN -> QuantizeLinear: scales of all kinds may turn a tie, by one step of 255.
static void in_front_of_quantize(void **state) {
    static const double s[OUT] = {1, 2, 0.5, 3, 1.5, 0.1, 7, 1};
    static const double whole[OUT] = {0.25, -0.5, 1, 5, 0, -0.25, 0, 5};
    static const double part[OUT] = {0.1}, negative[OUT] = {-1, 1, 1, 1, 1, 1, 1, 1};
    static const double far[OUT] = {1000}, none[OUT] = {0};
    const struct {
        const double *s, *t;
        const char *why;
    } cases[] = {{s, whole, NULL},
                 {s, none, NULL},
                 {s, part, "no whole number of the steps"},
                 {s, far, "out of uint8"},
                 {negative, none, "not positive"}};
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct net t;
        net_begin(&t, 13);
        const double out = 0.25, zero = 100;
        struct bnr_value *y = net_input(&t, "x", NET_DIMS(2, OUT, 4, 4));
        y = exact_bn(&t, net_op(&t, "Relu", NULL, NET_IN(y)), OUT, cases[i].s, cases[i].t);
        struct bnr_value *ys = net_const(&t, "ys", 0, NULL, &out);
        struct bnr_value *z = net_typed(&t, BNR_UINT8, "z", 0, NULL, &zero);
        net_output(&t, net_op(&t, "QuantizeLinear", "quantize", NET_IN(y, ys, z)));
        t.tolerance = 1.01 / 100;
        net_fold(&t, FOLD);
        net_expect(&t, cases[i].why ? "Relu BatchNormalization QuantizeLinear" : "Relu QuantizeLinear");
        if (cases[i].why)
            net_expect_bn(&t, "bn", BNR_BN_KEPT, cases[i].why);
        else
            net_expect_bn(&t, "bn", BNR_BN_FOLDED, "quantize");
        net_end(&t);
    }
}

// What exporters write: every tensor goes through a pair. The BN goes into the weights, not the pairs.
static void whole_pairs(void **state) {
    struct net t;
    net_begin(&t, 13);
    const double k = 0.02, out = 0.05, zero = 128;
    struct bnr_value *ks = net_const(&t, "ks", 0, NULL, &k), *ys = net_const(&t, "ys", 0, NULL, &out);
    struct bnr_value *z = net_typed(&t, BNR_UINT8, "z", 0, NULL, &zero);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, IN, 5, 5));
    x = net_op(&t, "QuantizeLinear", NULL, NET_IN(x, ks, z));
    x = net_op(&t, "DequantizeLinear", NULL, NET_IN(x, ks, z));
    struct bnr_value *w = dequantized(&t, "w", (struct spec){int8, OUT, 0, true}, NET_DIMS(OUT, IN, 3, 3));
    struct bnr_value *b = make_bias(&t, INTEGERS, OUT);
    struct bnr_value *y = net_bn(&t, "bn", net_op(&t, "Conv", "conv", NET_IN(x, w, b)), OUT);
    y = net_op(&t, "QuantizeLinear", NULL, NET_IN(net_op(&t, "Relu", NULL, NET_IN(y)), ys, z));
    net_output(&t, net_op(&t, "DequantizeLinear", NULL, NET_IN(y, ys, z)));
    net_fold(&t, FOLD);
    net_expect(&t, "QuantizeLinear DequantizeLinear DequantizeLinear Conv Relu QuantizeLinear DequantizeLinear");
    net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_conv),
        cmocka_unit_test(float16),
        cmocka_unit_test(behind_transposed_conv),
        cmocka_unit_test(sign_leaves_zero_point),
        cmocka_unit_test(sign_of_lowest_integer),
        cmocka_unit_test(uniform_scale_stays_scalar),
        cmocka_unit_test(no_axis_in_opset_10),
        cmocka_unit_test(scale_along_inputs),
        cmocka_unit_test(blocks),
        cmocka_unit_test(narrow_scale),
        cmocka_unit_test(shared_weights),
        cmocka_unit_test(shared_integers),
        cmocka_unit_test(behind_gemm),
        cmocka_unit_test(behind_matmul),
        cmocka_unit_test(in_front_of_conv),
        cmocka_unit_test(in_front_of_conv_is_kept),
        cmocka_unit_test(uniform_in_front),
        cmocka_unit_test(border),
        cmocka_unit_test(in_front_of_transposed_conv),
        cmocka_unit_test(on_both_sides),
        cmocka_unit_test(in_front_of_matrices),
        cmocka_unit_test(in_front_of_rearranged),
        cmocka_unit_test(in_front_of_shared),
        cmocka_unit_test(behind_integer_product),
        cmocka_unit_test(in_front_of_quantize),
        cmocka_unit_test(whole_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
