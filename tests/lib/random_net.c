// SPDX-License-Identifier: Apache-2.0
// Steps pick operators and attributes freely; inference says what shapes come out, and what it refuses
// (a kernel larger than its input, ...) is taken back.
#include "tests/lib/random_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"

enum { MOST_ELEMENTS = 2000, MOST_CHANNELS = 48, MAX_OUTPUTS = 7 };

int random_pick(struct random_net *r, int n) {
    return (int)net_random(&r->t, 0, n) % n;
}

bool random_chance(struct random_net *r, int one_in) {
    return random_pick(r, one_in) == 0;
}

int random_opset(const struct random_net *r) {
    return (int)bnr__model_opset(r->t.model, "");
}

const char *random_name(struct random_net *r, const char *what) {
    static char buffer[4][32];
    char *s = buffer[r->names % 4];
    snprintf(s, sizeof buffer[0], "%s%d", what, r->names++);
    return s;
}

// ---- values -------------------------------------------------------------------------------------

struct random_item *random_any(struct random_net *r) {
    const int back = random_chance(r, 4) ? 1 + random_pick(r, r->n) : 1 + random_chance(r, 6);
    return &r->items[back > r->n ? 0 : r->n - back];
}

struct random_item *random_add(struct random_net *r, struct bnr_value *v) {
    const struct bnr_shape *s = &v->info->type.shape;
    struct random_item item = {.v = v, .rank = s->rank};
    int64_t numel = 1;
    if (s->rank < 1 || s->rank > RANDOM_NET_RANK || r->n == RANDOM_NET_VALUES)
        return NULL;
    for (int i = 0; i < s->rank; i++) {
        item.dims[i] = s->dims[i].n;
        numel *= s->dims[i].n;
        if (s->dims[i].n < 1 || numel > MOST_ELEMENTS)
            return NULL;
    }
    r->items[r->n] = item;
    return &r->items[r->n++];
}

void random_mark_read(struct random_net *r, const struct bnr_value *v) {
    for (int i = 0; i < r->n; i++)
        r->items[i].read |= r->items[i].v == v;
}

struct random_item *random_made(struct random_net *r) {
    struct bnr_node *n = r->t.node;
    const int mark = r->n;
    bool good = bnr__node_infer(n, NULL, &r->t.err) == BNR_OK;
    for (int i = 0; good && i < n->n_out; i++)
        good = random_add(r, n->out[i]) != NULL;
    if (!good) {
        r->n = mark;
        bnr__node_remove(n);
        return NULL;
    }
    for (int i = 0; i < n->n_in; i++)
        random_mark_read(r, n->in[i]);
    return &r->items[mark];
}

static struct random_item *op1(struct random_net *r, const char *op, struct bnr_value *x) {
    net_op(&r->t, op, random_chance(r, 2) ? random_name(r, op) : NULL, 1, &x);
    return random_made(r);
}

static struct bnr_value *settled(struct random_net *r, struct bnr_value *v) {
    if (v->producer && v->info->type.shape.rank < 0) // an Identity behind a Constant node
        assert_int_equal(bnr__node_infer(v->producer, NULL, &r->t.err), BNR_OK);
    return v;
}

struct bnr_value *random_factors(struct random_net *r, int rank, const int64_t *dims, bool divisor) {
    double v[MOST_ELEMENTS];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    assert_true(n <= MOST_ELEMENTS);
    const bool positive = random_chance(r, 2), special = !divisor && random_chance(r, 4);
    for (int64_t i = 0; i < n; i++) {
        v[i] = net_random(&r->t, 0.3, 2) * (positive || random_chance(r, 2) ? 1 : -1);
        if (special && random_chance(r, 3))
            v[i] = random_pick(r, 2);
    }
    return settled(r, net_const(&r->t, random_name(r, "k"), rank, dims, v));
}

struct bnr_value *random_weights(struct random_net *r, int rank, const int64_t *dims) {
    struct bnr_value *w = NULL;
    const bool again = random_chance(r, 6);
    for (int i = 0; again && !w && i < r->n_weights; i++) {
        const struct bnr_shape *s = &r->weights[i]->info->type.shape;
        bool same = s->rank == rank;
        for (int k = 0; same && k < rank; k++)
            same = s->dims[k].n == dims[k];
        w = same ? r->weights[i] : NULL;
    }
    if (w)
        return w;
    w = settled(r, net_weight(&r->t, random_name(r, "w"), rank, dims));
    if (r->bodies == 0 && r->n_weights < RANDOM_NET_WEIGHTS)
        r->weights[r->n_weights++] = w;
    return w;
}

// Dims of a constant that broadcasts against x: a number, a vector over one axis (mostly the channels), or
// over all of the last axes.
static int operand_dims(struct random_net *r, const struct random_item *x, int64_t *dims) {
    const int kind = random_pick(r, 8);
    int axis = x->rank > 1 ? 1 : 0;
    if (kind == 0)
        return 0;
    if (kind == 1)
        axis = random_pick(r, x->rank);
    if (kind == 2) { // all of the last ones
        axis = random_pick(r, x->rank);
        memcpy(dims, x->dims + axis, (size_t)(x->rank - axis) * sizeof *dims);
        return x->rank - axis;
    }
    const int rank = kind == 3 ? x->rank : x->rank - axis;
    for (int i = 0; i < rank; i++)
        dims[i] = i == rank - (x->rank - axis) ? x->dims[axis] : 1;
    return rank;
}

// ---- steps: linear operators --------------------------------------------------------------------

static void conv_attrs(struct random_net *r, int spatial, const int64_t *k, bool transposed) {
    int64_t pads[6], strides[3], dilations[3], extra[3];
    for (int i = 0; i < spatial; i++) {
        pads[i] = k[i] > 1 ? random_pick(r, 2) : 0;
        pads[spatial + i] = k[i] > 1 ? random_pick(r, 2) : 0;
        strides[i] = 1 + random_pick(r, 2);
        dilations[i] = 1 + random_chance(r, 4);
        extra[i] = strides[i] > 1 && random_chance(r, 3);
    }
    struct net *t = &r->t;
    const int kind = random_pick(r, 6);
    net_attr_ints(t, "strides", strides, (size_t)spatial);
    if (random_chance(r, 3))
        net_attr_ints(t, "dilations", dilations, (size_t)spatial);
    if (kind == 0 && !transposed)
        net_attr_string(t, "auto_pad", random_chance(r, 2) ? "SAME_UPPER" : "SAME_LOWER");
    else if (kind == 1)
        net_attr_string(t, "auto_pad", "VALID");
    else if (kind != 2)
        net_attr_ints(t, "pads", pads, 2 * (size_t)spatial);
    if (transposed && random_chance(r, 2))
        net_attr_ints(t, "output_padding", extra, (size_t)spatial);
    if (random_chance(r, 2))
        net_attr_ints(t, "kernel_shape", k, (size_t)spatial);
}

void random_step_conv(struct random_net *r, struct random_item *x) {
    if (x->rank < 3 || x->dims[1] > MOST_CHANNELS)
        return;
    const bool transposed = random_chance(r, 4);
    const int64_t c = x->dims[1];
    const int64_t group = c % 2 == 0 && random_chance(r, 3) ? (random_chance(r, 2) ? c : 2) : 1;
    const int64_t per = 1 + random_pick(r, 3), out = group * per;
    int64_t dims[RANDOM_NET_RANK] = {transposed ? c : out, transposed ? per : c / group};
    for (int i = 2; i < x->rank; i++)
        dims[i] = 1 + random_pick(r, x->dims[i] < 3 ? (int)x->dims[i] : 3);
    struct bnr_value *in[3] = {x->v, random_weights(r, x->rank, dims), NULL};
    const bool bias = random_chance(r, 2);
    if (bias)
        in[2] = random_weights(r, 1, &out);
    net_op(&r->t, transposed ? "ConvTranspose" : "Conv", random_name(r, "conv"), 2 + bias, in);
    if (group > 1)
        net_attr_int(&r->t, "group", group);
    conv_attrs(r, x->rank - 2, dims + 2, transposed);
    random_made(r);
}

static void step_gemm(struct random_net *r, struct random_item *x) {
    if (x->rank != 2)
        return;
    struct net *t = &r->t;
    const int64_t n = 1 + random_pick(r, 5);
    const bool turned = random_chance(r, 3);
    const int64_t m = x->dims[turned], k = x->dims[!turned];
    const bool trans_b = random_chance(r, 2);
    const int64_t wide[2] = {trans_b ? n : k, trans_b ? k : n};
    const int64_t forms[5][2] = {{n, 0}, {1, n}, {m, n}, {1, 1}, {m, 1}};
    const int form = random_pick(r, random_opset(r) < 11 ? 5 : 6); // C has to be there below opset 11
    struct bnr_value *in[3] = {x->v, random_weights(r, 2, wide), NULL};
    if (form < 5)
        in[2] = random_weights(r, form == 0 ? 1 : 2, forms[form]);
    net_op(t, "Gemm", random_name(r, "gemm"), form < 5 ? 3 : 2, in);
    net_attr_int(t, "transA", turned);
    net_attr_int(t, "transB", trans_b);
    if (random_opset(r) < 7)
        net_attr_int(t, "broadcast", 1);
    if (random_chance(r, 2))
        net_attr_float(t, "alpha", net_random(t, -2, 2));
    if (random_chance(r, 2))
        net_attr_float(t, "beta", net_random(t, -2, 2));
    random_made(r);
}

static void step_matmul(struct random_net *r, struct random_item *x) {
    if (x->rank < 2 || x->rank > 4)
        return;
    const int64_t n = 1 + random_pick(r, 5);
    const bool left = random_chance(r, 4), batched = x->rank > 2 && random_chance(r, 4);
    int64_t dims[RANDOM_NET_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 2] = left ? n : x->dims[x->rank - 1];
    dims[x->rank - 1] = left ? x->dims[x->rank - 2] : n;
    const int cut = batched ? 0 : x->rank - 2;
    struct bnr_value *w = random_weights(r, x->rank - cut, dims + cut);
    net_op(&r->t, "MatMul", random_name(r, "matmul"), 2,
           left ? (struct bnr_value *[]){w, x->v} : (struct bnr_value *[]){x->v, w});
    if (random_made(r) && !left && random_chance(r, 2)) {
        net_op(&r->t, "Add", random_name(r, "bias"), NET_IN(r->items[r->n - 1].v, random_weights(r, 1, &n)));
        random_made(r);
    }
}

// ---- steps: affines and element-wise operators --------------------------------------------------

// Before opset 9 with statistics for each activation.
static void bn_of_all(struct random_net *r, struct random_item *x) {
    struct bnr_value *in[5] = {x->v};
    for (int i = 1; i < 5; i++)
        in[i] = i == 1 || i == 4 ? random_factors(r, x->rank - 1, x->dims + 1, true)
                                 : random_weights(r, x->rank - 1, x->dims + 1);
    for (size_t i = 0; i < in[4]->tensor->numel; i++) // a variance is not negative
        if (bnr__tensor_f64(in[4]->tensor, i) < 0)
            in[4] = in[1];
    net_op(&r->t, "BatchNormalization", random_name(r, "bn"), 5, in);
    net_attr_int(&r->t, "spatial", 0);
    if (random_opset(r) < 7)
        net_attr_int(&r->t, "is_test", 1);
    random_made(r);
}

void random_step_bn(struct random_net *r, struct random_item *x) {
    if (x->rank < 2)
        return;
    if (random_opset(r) < 9 && !r->t.constant_nodes && random_chance(r, 6)) {
        bn_of_all(r, x);
        return;
    }
    net_bn(&r->t, random_name(r, "bn"), x->v, x->dims[1]);
    for (int i = 1; i < 5; i++)
        settled(r, r->t.node->in[i]);
    if (random_chance(r, 4))
        net_attr_float(&r->t, "epsilon", 0.01);
    if (random_opset(r) < 7)
        net_attr_int(&r->t, "is_test", !random_chance(r, 12));
    else if (random_opset(r) >= 14 && random_chance(r, 12))
        net_attr_int(&r->t, "training_mode", 1);
    random_made(r);
}

void random_step_arithmetic(struct random_net *r, struct random_item *x) {
    static const char *const ops[] = {"Add", "Mul", "Sub", "Div", "Sum"};
    const int op = random_pick(r, 6);
    int64_t dims[RANDOM_NET_RANK];
    if (op == 5) {
        op1(r, "Neg", x->v);
        return;
    }
    const int rank = operand_dims(r, x, dims);
    struct bnr_value *k = random_factors(r, rank, dims, op == 3);
    const bool old = random_opset(r) < 7;
    if (op == 4 && random_opset(r) < 8 &&
        (rank != x->rank || memcmp(dims, x->dims, (size_t)rank * sizeof *dims) != 0))
        return; // no broadcasting yet
    if (op != 3 && !old && random_chance(r, 2))
        net_op(&r->t, ops[op], NULL, NET_IN(k, x->v));
    else
        net_op(&r->t, ops[op], NULL, NET_IN(x->v, k));
    if (old && op < 4) {
        net_attr_int(&r->t, "broadcast", 1);
        if (rank > 0 && random_chance(r, 2))
            net_attr_int(&r->t, "axis", x->rank - rank);
    }
    random_made(r);
}

void random_step_unary(struct random_net *r, struct random_item *x) {
    static const char *const ops[] = {"Relu",    "LeakyRelu", "Sigmoid", "Identity", "Abs",
                                      "Dropout", "Relu",      "Tanh",    "Cast",     "PRelu"};
    const char *op = ops[random_pick(r, 10)];
    int64_t dims[RANDOM_NET_RANK];
    struct bnr_value *in[2] = {x->v, NULL};
    if (strcmp(op, "PRelu") == 0) {
        const int rank = operand_dims(r, x, dims);
        in[1] = random_weights(r, rank, dims);
    }
    net_op(&r->t, op, NULL, in[1] ? 2 : 1, in);
    if (strcmp(op, "Cast") == 0)
        net_attr_int(&r->t, "to", r->t.dtype);
    if (strcmp(op, "Dropout") == 0 && random_opset(r) < 7)
        net_attr_int(&r->t, "is_test", 1);
    if (strcmp(op, "LeakyRelu") == 0 && random_chance(r, 2))
        net_attr_float(&r->t, "alpha", net_random(&r->t, -1, 1.5));
    random_made(r);
}

static void step_norm(struct random_net *r, struct random_item *x) {
    if (x->rank < 3 || random_chance(r, 2))
        return;
    const bool layer = random_opset(r) >= 17 && random_chance(r, 2);
    const int64_t c = layer ? x->dims[x->rank - 1] : x->dims[1];
    struct bnr_value *in[3] = {x->v, random_factors(r, 1, &c, false), random_weights(r, 1, &c)};
    net_op(&r->t, layer ? "LayerNormalization" : "InstanceNormalization", random_name(r, "norm"), 3, in);
    net_attr_float(&r->t, "epsilon", 0.1);
    random_made(r);
}

// ---- steps: windows -----------------------------------------------------------------------------

void random_step_pool(struct random_net *r, struct random_item *x) {
    static const char *const global[] = {"GlobalAveragePool", "GlobalMaxPool", "ReduceMean",
                                         "ReduceMax", "ReduceMin"};
    const int kind = random_pick(r, 7), spatial = x->rank - 2;
    struct net *t = &r->t;
    if (spatial < 1)
        return;
    if (kind < 2) {
        op1(r, global[kind], x->v);
    } else if (kind < 5) {
        const int64_t axes[2] = {2 + random_pick(r, spatial), random_chance(r, 3) ? 1 : -1};
        const size_t n = axes[0] == x->rank - 1 && axes[1] < 0 ? 1 : 2;
        struct bnr_value *in[2] = {x->v, NULL};
        const bool old = random_opset(r) < 18;
        if (!old)
            in[1] = net_ints(t, random_name(r, "a"), axes, n);
        net_op(t, global[kind], NULL, old ? 1 : 2, in);
        if (old)
            net_attr_ints(t, "axes", axes, n);
        net_attr_int(t, "keepdims", !random_chance(r, 4));
        random_made(r);
    } else {
        const bool most = kind == 5;
        const int64_t strides[] = {2, 1, 2};
        int64_t k[3], pads[6];
        for (int i = 0; i < spatial; i++) {
            k[i] = 1 + random_pick(r, 3);
            pads[i] = k[i] > 1 ? random_pick(r, 2) : 0;
            pads[spatial + i] = k[i] > 1 ? random_pick(r, 2) : 0;
        }
        net_op(t, most ? "MaxPool" : "AveragePool", NULL, 1, &x->v);
        net_attr_ints(t, "kernel_shape", k, (size_t)spatial);
        if (random_chance(r, 5))
            net_attr_string(t, "auto_pad", random_chance(r, 2) ? "SAME_UPPER" : "SAME_LOWER");
        else
            net_attr_ints(t, "pads", pads, 2 * (size_t)spatial);
        if (random_chance(r, 3))
            net_attr_ints(t, "strides", strides, (size_t)spatial);
        if (!most && random_opset(r) >= 7 && random_chance(r, 2))
            net_attr_int(t, "count_include_pad", 1);
        if (random_opset(r) >= 10 && random_chance(r, 4))
            net_attr_int(t, "ceil_mode", 1);
        random_made(r);
    }
}

static void step_resize(struct random_net *r, struct random_item *x) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    struct net *t = &r->t;
    if (x->rank != 4)
        return;
    double scales[4] = {1, 1, 2, random_chance(r, 2) ? 2 : 1.5};
    const enum bnr_dtype dtype = t->dtype;
    t->dtype = BNR_FLOAT;
    const int64_t four = 4;
    struct bnr_value *s = settled(r, net_const(t, random_name(r, "s"), 1, &four, scales));
    t->dtype = dtype;
    const int mode = random_pick(r, random_opset(r) < 11 ? 2 : 3);
    if (random_opset(r) < 11) {
        const bool attr = random_opset(r) < 9;
        net_op(t, random_opset(r) < 10 ? "Upsample" : "Resize", NULL, attr ? 1 : 2,
               (struct bnr_value *[]){x->v, s});
        net_attr_string(t, "mode", modes[mode]);
        if (attr)
            net_attr_floats(t, "scales", scales, 4);
        random_made(r);
        return;
    }
    net_op(t, "Resize", NULL, 3, (struct bnr_value *[]){x->v, NULL, s});
    net_attr_string(t, "mode", modes[mode]);
    if (random_chance(r, 3))
        net_attr_string(t, "coordinate_transformation_mode", "align_corners");
    else if (random_chance(r, 2))
        net_attr_string(t, "coordinate_transformation_mode", "asymmetric");
    if (mode == 2 && random_chance(r, 2))
        net_attr_int(t, "exclude_outside", 1);
    random_made(r);
}

static void step_pad(struct random_net *r, struct random_item *x) {
    static const char *const modes[] = {"constant", "edge", "reflect"};
    const int mode = random_chance(r, 2) ? 0 : random_pick(r, 3);
    int64_t pads[2 * RANDOM_NET_RANK] = {0};
    for (int i = 1; i < x->rank; i++)
        for (int side = 0; side < 2; side++)
            if (random_chance(r, 3) && (mode == 0 || i > 1) && x->dims[i] > 1)
                pads[side * x->rank + i] = mode == 0 && random_chance(r, 5) ? -1 : 1;
    const bool old = random_opset(r) < 11, value = mode == 0 && random_chance(r, 2);
    if (old) {
        net_op(&r->t, "Pad", NULL, 1, &x->v);
        net_attr_ints(&r->t, "pads", pads, 2 * (size_t)x->rank);
        net_attr_string(&r->t, "mode", modes[mode]);
        if (value)
            net_attr_float(&r->t, "value", net_random(&r->t, -1, 1));
        random_made(r);
        return;
    }
    struct bnr_value *in[3] = {x->v, net_ints(&r->t, random_name(r, "p"), pads, 2 * (size_t)x->rank), NULL};
    if (value)
        in[2] = random_factors(r, 0, NULL, false);
    net_op(&r->t, "Pad", NULL, 2 + value, in);
    if (mode)
        net_attr_string(&r->t, "mode", modes[mode]);
    random_made(r);
}

// ---- steps: several values ----------------------------------------------------------------------

void random_step_join(struct random_net *r, struct random_item *x) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Max", "Min", "Sum"};
    struct random_item *y = random_any(r);
    if (y->rank == x->rank && random_chance(r, 2)) {
        struct bnr_value *in[3] = {x->v, y->v, random_chance(r, 2) ? x->v : y->v};
        net_op(&r->t, "Concat", NULL, 2 + random_chance(r, 4), in);
        net_attr_int(&r->t, "axis", random_chance(r, 4) ? random_pick(r, x->rank) : 1);
    } else if (random_opset(r) >= 8 ||
               (x->rank == y->rank && memcmp(x->dims, y->dims, sizeof x->dims) == 0)) {
        net_op(&r->t, ops[random_pick(r, 6)], NULL, NET_IN(x->v, y->v));
    } else {
        return;
    }
    random_made(r);
}

// A branch that ends in Add, both sides linear, or one of them x itself or its batch normalization.
void random_step_residual(struct random_net *r, struct random_item *x) {
    if (x->rank < 3 || x->dims[1] > MOST_CHANNELS)
        return;
    struct bnr_value *side[2] = {x->v, x->v};
    struct net *t = &r->t;
    struct net_conv c = {
        .spatial = x->rank - 2, .in = x->dims[1], .out = x->dims[1], .k = 1, .bias = random_chance(r, 2)};
    const int other = random_pick(r, 3);
    if (other == 2 && random_chance(r, 2))
        c.pad = 1, c.k = 3;
    for (int i = 0; i < 1 + (other == 1); i++) {
        side[i] = net_conv(t, random_name(r, "conv"), x->v, c);
        for (int k = 1; k < t->node->n_in; k++)
            settled(r, t->node->in[k]);
        if (!random_made(r))
            return;
    }
    if (other == 2) {
        random_step_bn(r, x);
        side[1] = t->node->out[0];
        if (r->items[r->n - 1].v != side[1])
            return;
    }
    net_op(t, "Add", NULL, NET_IN(side[0], side[1]));
    random_made(r);
}

static void step_cut(struct random_net *r, struct random_item *x) {
    const int axis = x->rank > 1 && !random_chance(r, 4) ? 1 : random_pick(r, x->rank);
    struct net *t = &r->t;
    if (x->dims[axis] < 2)
        return;
    const int64_t first = 1 + random_pick(r, (int)x->dims[axis] - 1), count = x->dims[axis];
    if (random_chance(r, 2)) {
        const bool old = random_opset(r) < 13;
        const int64_t parts[2] = {first, count - first};
        struct bnr_value *in[2] = {x->v, NULL};
        if (!old)
            in[1] = net_ints(t, random_name(r, "n"), parts, 2);
        net_op(t, "Split", NULL, old ? 1 : 2, in);
        net_attr_int(t, "axis", random_chance(r, 2) ? axis : axis - x->rank);
        if (old)
            net_attr_ints(t, "split", parts, 2);
        net_out(t, 1);
    } else {
        const bool back = random_chance(r, 3);
        const int64_t start = back ? -1 : first - 1, end = back ? -1000 : count;
        const int64_t step = (back ? -1 : 1) * (1 + random_chance(r, 3)), ax = axis;
        if (random_opset(r) < 10) {
            net_op(t, "Slice", NULL, 1, &x->v);
            net_attr_ints(t, "axes", &ax, 1);
            net_attr_ints(t, "starts", &(int64_t){first - 1}, 1);
            net_attr_ints(t, "ends", &count, 1);
            random_made(r);
            return;
        }
        net_op(t, "Slice", NULL,
               NET_IN(x->v, net_ints(t, random_name(r, "s"), &start, 1),
                      net_ints(t, random_name(r, "e"), &end, 1),
                      net_ints(t, random_name(r, "a"), &ax, 1),
                      net_ints(t, random_name(r, "t"), &step, 1)));
    }
    random_made(r);
}

// ---- steps: layout ------------------------------------------------------------------------------

static struct random_item *transpose(struct random_net *r, const struct random_item *x, int a, int b) {
    int64_t perm[RANDOM_NET_RANK];
    for (int i = 0; i < x->rank; i++)
        perm[i] = i == a ? b : i == b ? a : i;
    net_op(&r->t, "Transpose", NULL, 1, (struct bnr_value *[]){x->v});
    net_attr_ints(&r->t, "perm", perm, (size_t)x->rank);
    return random_made(r);
}

static struct random_item *reshape(struct random_net *r, const struct random_item *x, int rank,
                                   const int64_t *dims) {
    int64_t to[RANDOM_NET_RANK + 1];
    for (int i = 0; i < rank; i++)
        to[i] = i < x->rank && dims[i] == x->dims[i] && random_chance(r, 4) ? 0 : dims[i];
    if (random_chance(r, 3))
        to[random_pick(r, rank)] = -1;
    struct bnr_value *shape = net_ints(&r->t, random_name(r, "r"), to, (size_t)rank);
    net_op(&r->t, "Reshape", NULL, NET_IN(x->v, shape));
    return random_made(r);
}

static void step_shuffle(struct random_net *r, struct random_item *x) {
    if (x->rank != 4 || x->dims[1] % 2)
        return;
    const int64_t in[] = {x->dims[0], 2, x->dims[1] / 2, x->dims[2], x->dims[3]};
    const int64_t out[] = {0, x->dims[1], x->dims[2], x->dims[3]};
    const struct random_item *y = reshape(r, x, 5, in);
    y = y ? transpose(r, y, 1, 2) : NULL;
    if (y)
        reshape(r, y, 4, out);
}

static void step_layout(struct random_net *r, struct random_item *x) {
    struct net *t = &r->t;
    if (x->rank == 4 && random_chance(r, 3)) {
        const bool to_space = x->dims[1] % 4 == 0 && random_chance(r, 2);
        net_op(t, to_space ? "DepthToSpace" : "SpaceToDepth", NULL, 1, &x->v);
        net_attr_int(t, "blocksize", 2);
        if (to_space && random_opset(r) >= 11)
            net_attr_string(t, "mode", random_chance(r, 2) ? "CRD" : "DCR");
        random_made(r);
    } else if (x->rank > 1 && random_chance(r, 2)) {
        const int a = random_chance(r, 3) ? random_pick(r, x->rank) : x->rank - 1;
        x = transpose(r, x, a, random_chance(r, 2) ? 1 : random_pick(r, x->rank));
        if (x && random_chance(r, 4))
            transpose(r, x, random_pick(r, x->rank), random_pick(r, x->rank));
    }
}

// Other ranks: an axis of 1 comes or goes, two axes become one, one becomes two, all but one do.
static void step_rank(struct random_net *r, struct random_item *x) {
    struct net *t = &r->t;
    int64_t dims[RANDOM_NET_RANK + 1];
    const int at = random_pick(r, x->rank);
    const int64_t axis = at;
    const bool old = random_opset(r) < 13;
    struct bnr_value *in[2] = {x->v, NULL};
    memcpy(dims, x->dims, sizeof x->dims);
    switch (random_pick(r, 5)) {
    case 0:
        net_op(t, "Flatten", NULL, 1, &x->v);
        net_attr_int(t, "axis", random_chance(r, 4) ? at : 1);
        random_made(r);
        return;
    case 1:
    case 2:
        if (!old)
            in[1] = net_ints(t, random_name(r, "a"), &axis, 1);
        net_op(t, x->dims[at] == 1 ? "Squeeze" : "Unsqueeze", NULL, old ? 1 : 2, in);
        if (old)
            net_attr_ints(t, "axes", &axis, 1);
        random_made(r);
        return;
    case 3: // at and the one behind become one
        if (at + 1 == x->rank)
            return;
        dims[at] *= dims[at + 1];
        memmove(dims + at + 1, dims + at + 2, (size_t)(x->rank - at - 2) * sizeof *dims);
        reshape(r, x, x->rank - 1, dims);
        return;
    default:
        if (x->dims[at] % 2 || x->rank == RANDOM_NET_RANK)
            return;
        memmove(dims + at + 1, dims + at, (size_t)(x->rank - at) * sizeof *dims);
        dims[at] = random_chance(r, 2) ? 2 : x->dims[at] / 2;
        dims[at + 1] = x->dims[at] / dims[at];
        reshape(r, x, x->rank + 1, dims);
    }
}

// ---- networks -----------------------------------------------------------------------------------

// What nobody read becomes an output, and some that somebody did.
static void finish(struct random_net *r) {
    struct net *t = &r->t;
    for (int i = 0; i < r->n; i++) {
        struct random_item *x = &r->items[i];
        const bool extra = t->g->n_outputs < MAX_OUTPUTS - 1 && random_chance(r, 12);
        if (x->v->producer && t->g->n_outputs < MAX_OUTPUTS && (!x->read || extra || i == r->n - 1))
            net_output(t, x->v);
    }
}

static void begin(struct random_net *r) {
    static const int opsets[] = {6, 7, 8, 9, 10, 11, 13, 13, 15, 17, 18};
    static const enum bnr_dtype dtypes[] = {BNR_DOUBLE, BNR_DOUBLE,  BNR_DOUBLE, BNR_FLOAT,
                                            BNR_FLOAT,  BNR_FLOAT16, BNR_BFLOAT16};
    struct net *t = &r->t;
    const uint64_t seed = t->seed;
    net_begin(t, 13);
    t->seed = seed;
    t->model->opsets[0].version = opsets[random_pick(r, (int)BNR_COUNT(opsets))];
    t->dtype = dtypes[random_pick(r, t->model->opsets[0].version < 13 ? 6 : 7)];
    t->constant_nodes = random_chance(r, 8);
    t->gamma = random_chance(r, 3) ? (enum net_gamma)random_pick(r, 4) : NET_GAMMA_ANY;
    t->no_shift = random_chance(r, 8);
    // Errors of 1e-16 grow through divisions by small numbers; a wrong fold is wrong by percents.
    t->tolerance = t->dtype == BNR_DOUBLE ? 1e-7 : 0;
    t->sensitive = true;
    int64_t dims[RANDOM_NET_RANK] = {2, 1 + random_pick(r, 6)};
    const int rank = random_chance(r, 2) ? 4 : 2 + random_pick(r, 4);
    for (int i = 2; i < rank; i++)
        dims[i] = (rank == 5 ? 2 : 3) + random_pick(r, rank == 3 ? 8 : 3);
    struct bnr_value *x = net_input(t, "x", rank, dims);
    bnr__value_info(x)->type = *x->declared;
    random_add(r, x);
    if (random_chance(r, 3)) { // another input, of fewer axes
        const int cut = random_pick(r, rank);
        x = net_input(t, "y", rank - cut, dims + cut);
        bnr__value_info(x)->type = *x->declared;
        random_add(r, x);
    }
}

// Far from the start of any other step: net_random goes on in equal strides.
static uint64_t start_of(uint64_t seed, int step) {
    uint64_t z = seed * 64 + (uint64_t)step + 1;
    z = (z ^ (z >> 31)) * 0xd6e8feb86659fd93u;
    z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93u;
    return z ^ (z >> 32);
}

int random_net_grow(struct random_net *r, uint64_t seed, uint32_t skip) {
    static random_step *const steps[] = {random_step_conv,
                                         random_step_conv,
                                         random_step_conv,
                                         step_gemm,
                                         step_gemm,
                                         step_matmul,
                                         random_step_bn,
                                         random_step_bn,
                                         random_step_bn,
                                         random_step_bn,
                                         random_step_arithmetic,
                                         random_step_unary,
                                         random_step_unary,
                                         step_norm,
                                         random_step_pool,
                                         step_resize,
                                         step_pad,
                                         random_step_join,
                                         random_step_join,
                                         step_cut,
                                         step_shuffle,
                                         step_layout,
                                         step_rank,
                                         random_step_residual,
                                         random_step_if,
                                         random_step_loop,
                                         random_step_scan, // and MIXING ones:
                                         random_step_broadcast,
                                         random_step_where,
                                         random_step_expand,
                                         random_step_constant,
                                         random_step_broadcast,
                                         random_step_constant};
    enum { MIXING = 6 };
    *r = (struct random_net){.t = {.seed = start_of(seed, 0)}};
    begin(r);
    const int count = 4 + random_pick(r, RANDOM_NET_STEPS - 4);
    const int kinds = (int)BNR_COUNT(steps) - (random_chance(r, 3) ? 0 : MIXING); // most stay foldable
    for (int i = 0; i < count; i++) {
        r->t.seed = start_of(seed, i + 1);
        if (skip >> i & 1)
            continue;
        struct random_item x = *random_any(r);
        r->names = 1000 * (i + 1); // whatever was left out
        steps[random_pick(r, kinds)](r, &x);
    }
    r->t.seed = seed;
    finish(r);
    random_leave_open(r);
    r->t.seed = seed;
    return count;
}
