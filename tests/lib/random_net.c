// SPDX-License-Identifier: Apache-2.0
// Steps pick operators and attributes freely; inference says what shapes come out, and what it refuses
// (a kernel larger than its input, ...) is taken back.
#include "tests/lib/random_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"

enum { MOST_ELEMENTS = 2000, MOST_CHANNELS = 48, MAX_OUTPUTS = 7 };

static int pick(struct random_net *r, int n) {
    return (int)net_random(&r->t, 0, n) % n;
}

static bool chance(struct random_net *r, int one_in) {
    return pick(r, one_in) == 0;
}

// Names last until four more are made.
static const char *name(struct random_net *r, const char *what) {
    static char buffer[4][32];
    char *s = buffer[r->names % 4];
    snprintf(s, sizeof buffer[0], "%s%d", what, r->names++);
    return s;
}

// ---- values
// -----------------------------------------------------------------------------------------

// The latest value, or any: chains with a few branches.
static struct random_item *any(struct random_net *r) {
    const int back = chance(r, 4) ? 1 + pick(r, r->n) : 1 + chance(r, 6);
    return &r->items[back > r->n ? 0 : r->n - back];
}

// What inference says about the output `index` of the node made last, as a new item; NULL where it is
// refused or too large.
static struct random_item *add(struct random_net *r, struct bnr_value *v) {
    const struct bnr_shape *s = &v->info.type.shape;
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

static void mark_read(struct random_net *r, const struct bnr_value *v) {
    for (int i = 0; i < r->n; i++)
        r->items[i].read |= r->items[i].v == v;
}

// The node made last stays where inference takes it and its outputs are of a good size.
static struct random_item *made(struct random_net *r) {
    struct bnr_node *n = r->t.node;
    const int mark = r->n;
    bool good = bnr__node_infer(n, NULL, &r->t.err) == BNR_OK;
    for (int i = 0; good && i < n->n_out; i++)
        good = add(r, n->out[i]) != NULL;
    if (!good) {
        r->n = mark;
        bnr__node_remove(n);
        return NULL;
    }
    for (int i = 0; i < n->n_in; i++)
        mark_read(r, n->in[i]);
    return &r->items[mark];
}

static struct random_item *op1(struct random_net *r, const char *op, struct bnr_value *x) {
    net_op(&r->t, op, chance(r, 2) ? name(r, op) : NULL, 1, &x);
    return made(r);
}

static struct bnr_value *settled(struct random_net *r, struct bnr_value *v) {
    if (v->producer && v->info.type.shape.rank < 0) // an Identity behind a Constant node
        assert_int_equal(bnr__node_infer(v->producer, NULL, &r->t.err), BNR_OK);
    return v;
}

// Numbers that a scale may have: far enough from 0 that divisions stay tame; some are 0 or 1, all are
// positive now and then.
static struct bnr_value *factors(struct random_net *r, int rank, const int64_t *dims, bool divisor) {
    double v[MOST_ELEMENTS];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    assert_true(n <= MOST_ELEMENTS);
    const bool positive = chance(r, 2), special = !divisor && chance(r, 4);
    for (int64_t i = 0; i < n; i++) {
        v[i] = net_random(&r->t, 0.3, 2) * (positive || chance(r, 2) ? 1 : -1);
        if (special && chance(r, 3))
            v[i] = pick(r, 2);
    }
    return settled(r, net_const(&r->t, name(r, "k"), rank, dims, v));
}

static struct bnr_value *weights(struct random_net *r, int rank, const int64_t *dims) {
    return settled(r, net_weight(&r->t, name(r, "w"), rank, dims));
}

// Dims of a constant that broadcasts against x: a number, a vector over one axis (mostly the channels), or
// over all of the last axes.
static int operand_dims(struct random_net *r, const struct random_item *x, int64_t *dims) {
    const int kind = pick(r, 8);
    int axis = x->rank > 1 ? 1 : 0;
    if (kind == 0)
        return 0;
    if (kind == 1)
        axis = pick(r, x->rank);
    if (kind == 2) { // all of the last ones
        axis = pick(r, x->rank);
        memcpy(dims, x->dims + axis, (size_t)(x->rank - axis) * sizeof *dims);
        return x->rank - axis;
    }
    const int rank = kind == 3 ? x->rank : x->rank - axis;
    for (int i = 0; i < rank; i++)
        dims[i] = i == rank - (x->rank - axis) ? x->dims[axis] : 1;
    return rank;
}

// ---- steps: linear operators
// --------------------------------------------------------------------------------

static void conv_attrs(struct random_net *r, int spatial, const int64_t *k, bool transposed) {
    int64_t pads[6], strides[3], dilations[3], extra[3];
    for (int i = 0; i < spatial; i++) {
        pads[i] = k[i] > 1 ? pick(r, 2) : 0;
        pads[spatial + i] = k[i] > 1 ? pick(r, 2) : 0;
        strides[i] = 1 + pick(r, 2);
        dilations[i] = 1 + chance(r, 4);
        extra[i] = strides[i] > 1 && chance(r, 3);
    }
    struct net *t = &r->t;
    const int kind = pick(r, 6);
    net_attr_ints(t, "strides", strides, (size_t)spatial);
    if (chance(r, 3))
        net_attr_ints(t, "dilations", dilations, (size_t)spatial);
    if (kind == 0 && !transposed)
        net_attr_string(t, "auto_pad", chance(r, 2) ? "SAME_UPPER" : "SAME_LOWER");
    else if (kind == 1)
        net_attr_string(t, "auto_pad", "VALID");
    else if (kind != 2)
        net_attr_ints(t, "pads", pads, 2 * (size_t)spatial);
    if (transposed && chance(r, 2))
        net_attr_ints(t, "output_padding", extra, (size_t)spatial);
    if (chance(r, 2))
        net_attr_ints(t, "kernel_shape", k, (size_t)spatial);
}

static void step_conv(struct random_net *r, struct random_item *x) {
    if (x->rank < 3 || x->dims[1] > MOST_CHANNELS)
        return;
    const bool transposed = chance(r, 4);
    const int64_t c = x->dims[1];
    const int64_t group = c % 2 == 0 && chance(r, 3) ? (chance(r, 2) ? c : 2) : 1;
    const int64_t per = 1 + pick(r, 3), out = group * per;
    int64_t dims[RANDOM_NET_RANK] = {transposed ? c : out, transposed ? per : c / group};
    for (int i = 2; i < x->rank; i++)
        dims[i] = 1 + pick(r, x->dims[i] < 3 ? (int)x->dims[i] : 3);
    struct bnr_value *in[3] = {x->v, weights(r, x->rank, dims), NULL};
    const bool bias = chance(r, 2);
    if (bias)
        in[2] = weights(r, 1, &out);
    net_op(&r->t, transposed ? "ConvTranspose" : "Conv", name(r, "conv"), 2 + bias, in);
    if (group > 1)
        net_attr_int(&r->t, "group", group);
    conv_attrs(r, x->rank - 2, dims + 2, transposed);
    made(r);
}

static void step_gemm(struct random_net *r, struct random_item *x) {
    if (x->rank != 2)
        return;
    struct net *t = &r->t;
    const int64_t n = 1 + pick(r, 5);
    const bool turned = chance(r, 3);
    const int64_t m = x->dims[turned], k = x->dims[!turned];
    const bool trans_b = chance(r, 2);
    const int64_t wide[2] = {trans_b ? n : k, trans_b ? k : n};
    const int64_t forms[5][2] = {{n, 0}, {1, n}, {m, n}, {1, 1}, {m, 1}};
    const int form = pick(r, 6);
    struct bnr_value *in[3] = {x->v, weights(r, 2, wide), NULL};
    if (form < 5)
        in[2] = weights(r, form == 0 ? 1 : 2, forms[form]);
    net_op(t, "Gemm", name(r, "gemm"), form < 5 ? 3 : 2, in);
    net_attr_int(t, "transA", turned);
    net_attr_int(t, "transB", trans_b);
    if (chance(r, 2))
        net_attr_float(t, "alpha", net_random(t, -2, 2));
    if (chance(r, 2))
        net_attr_float(t, "beta", net_random(t, -2, 2));
    made(r);
}

static void step_matmul(struct random_net *r, struct random_item *x) {
    if (x->rank < 2 || x->rank > 4)
        return;
    const int64_t n = 1 + pick(r, 5);
    const bool left = chance(r, 4), batched = x->rank > 2 && chance(r, 4);
    int64_t dims[RANDOM_NET_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 2] = left ? n : x->dims[x->rank - 1];
    dims[x->rank - 1] = left ? x->dims[x->rank - 2] : n;
    const int cut = batched ? 0 : x->rank - 2;
    struct bnr_value *w = weights(r, x->rank - cut, dims + cut);
    net_op(&r->t, "MatMul", name(r, "matmul"), 2,
           left ? (struct bnr_value *[]){w, x->v} : (struct bnr_value *[]){x->v, w});
    if (made(r) && !left && chance(r, 2)) {
        net_op(&r->t, "Add", name(r, "bias"), NET_IN(r->items[r->n - 1].v, weights(r, 1, &n)));
        made(r);
    }
}

// ---- steps: affines and element-wise operators
// --------------------------------------------------------------

static void step_bn(struct random_net *r, struct random_item *x) {
    if (x->rank < 2)
        return;
    net_bn(&r->t, name(r, "bn"), x->v, x->dims[1]);
    for (int i = 1; i < 5; i++)
        settled(r, r->t.node->in[i]);
    if (chance(r, 4))
        net_attr_float(&r->t, "epsilon", 0.01);
    made(r);
}

static void step_arithmetic(struct random_net *r, struct random_item *x) {
    static const char *const ops[] = {"Add", "Mul", "Sub", "Div", "Sum"};
    const int op = pick(r, 6);
    int64_t dims[RANDOM_NET_RANK];
    if (op == 5) {
        op1(r, "Neg", x->v);
        return;
    }
    const int rank = operand_dims(r, x, dims);
    struct bnr_value *k = factors(r, rank, dims, op == 3);
    if (op != 3 && chance(r, 2))
        net_op(&r->t, ops[op], NULL, NET_IN(k, x->v));
    else
        net_op(&r->t, ops[op], NULL, NET_IN(x->v, k));
    made(r);
}

static void step_unary(struct random_net *r, struct random_item *x) {
    static const char *const ops[] = {"Relu",    "LeakyRelu", "Sigmoid", "Identity", "Abs",
                                      "Dropout", "Relu",      "Tanh",    "Cast",     "PRelu"};
    const char *op = ops[pick(r, 10)];
    int64_t dims[RANDOM_NET_RANK];
    struct bnr_value *in[2] = {x->v, NULL};
    if (strcmp(op, "PRelu") == 0) {
        const int rank = operand_dims(r, x, dims);
        in[1] = weights(r, rank, dims);
    }
    net_op(&r->t, op, NULL, in[1] ? 2 : 1, in);
    if (strcmp(op, "Cast") == 0)
        net_attr_int(&r->t, "to", r->t.dtype);
    made(r);
}

static void step_norm(struct random_net *r, struct random_item *x) {
    if (x->rank < 3 || chance(r, 2))
        return;
    const bool layer = bnr__model_opset(r->t.model, "") >= 17 && chance(r, 2);
    const int64_t c = layer ? x->dims[x->rank - 1] : x->dims[1];
    struct bnr_value *in[3] = {x->v, factors(r, 1, &c, false), weights(r, 1, &c)};
    net_op(&r->t, layer ? "LayerNormalization" : "InstanceNormalization", name(r, "norm"), 3, in);
    net_attr_float(&r->t, "epsilon", 0.1);
    made(r);
}

// ---- steps: windows
// --------------------------------------------------------------------------------------

static void step_pool(struct random_net *r, struct random_item *x) {
    static const char *const global[] = {"GlobalAveragePool", "GlobalMaxPool", "ReduceMean",
                                         "ReduceMax", "ReduceMin"};
    const int kind = pick(r, 7), spatial = x->rank - 2;
    struct net *t = &r->t;
    if (spatial < 1)
        return;
    if (kind < 2) {
        op1(r, global[kind], x->v);
    } else if (kind < 5 && bnr__model_opset(r->t.model, "") < 18) {
        const int64_t axes[2] = {2 + pick(r, spatial), chance(r, 3) ? 1 : -1};
        net_op(t, global[kind], NULL, 1, &x->v);
        net_attr_ints(t, "axes", axes, axes[0] == x->rank - 1 && axes[1] < 0 ? 1 : 2);
        net_attr_int(t, "keepdims", !chance(r, 4));
        made(r);
    } else {
        const bool most = kind == 5;
        const int64_t strides[] = {2, 1, 2};
        int64_t k[3], pads[6];
        for (int i = 0; i < spatial; i++) {
            k[i] = 1 + pick(r, 3);
            pads[i] = k[i] > 1 ? pick(r, 2) : 0;
            pads[spatial + i] = k[i] > 1 ? pick(r, 2) : 0;
        }
        net_op(t, most ? "MaxPool" : "AveragePool", NULL, 1, &x->v);
        net_attr_ints(t, "kernel_shape", k, (size_t)spatial);
        net_attr_ints(t, "pads", pads, 2 * (size_t)spatial);
        if (chance(r, 3))
            net_attr_ints(t, "strides", strides, (size_t)spatial);
        if (!most && chance(r, 2))
            net_attr_int(t, "count_include_pad", 1);
        if (chance(r, 4))
            net_attr_int(t, "ceil_mode", 1);
        made(r);
    }
}

static void step_resize(struct random_net *r, struct random_item *x) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    struct net *t = &r->t;
    if (x->rank != 4)
        return;
    double scales[4] = {1, 1, 2, chance(r, 2) ? 2 : 1.5};
    const enum bnr_dtype dtype = t->dtype;
    t->dtype = BNR_FLOAT;
    const int64_t four = 4;
    struct bnr_value *s = settled(r, net_const(t, name(r, "s"), 1, &four, scales));
    t->dtype = dtype;
    const int mode = pick(r, 3);
    net_op(t, "Resize", NULL, 3, (struct bnr_value *[]){x->v, NULL, s});
    net_attr_string(t, "mode", modes[mode]);
    if (chance(r, 3))
        net_attr_string(t, "coordinate_transformation_mode", "align_corners");
    else if (chance(r, 2))
        net_attr_string(t, "coordinate_transformation_mode", "asymmetric");
    if (mode == 2 && chance(r, 2))
        net_attr_int(t, "exclude_outside", 1);
    made(r);
}

static void step_pad(struct random_net *r, struct random_item *x) {
    static const char *const modes[] = {"constant", "edge", "reflect"};
    const int mode = chance(r, 2) ? 0 : pick(r, 3);
    int64_t pads[2 * RANDOM_NET_RANK] = {0};
    for (int i = 1; i < x->rank; i++)
        for (int side = 0; side < 2; side++)
            if (chance(r, 3) && (mode == 0 || i > 1) && x->dims[i] > 1)
                pads[side * x->rank + i] = mode == 0 && chance(r, 5) ? -1 : 1;
    struct bnr_value *in[3] = {x->v, net_ints(&r->t, name(r, "p"), pads, 2 * (size_t)x->rank), NULL};
    const bool value = mode == 0 && chance(r, 2);
    if (value)
        in[2] = factors(r, 0, NULL, false);
    net_op(&r->t, "Pad", NULL, 2 + value, in);
    if (mode)
        net_attr_string(&r->t, "mode", modes[mode]);
    made(r);
}

// ---- steps: several values
// -------------------------------------------------------------------------------

static void step_join(struct random_net *r, struct random_item *x) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Max", "Min", "Sum"};
    struct random_item *y = any(r);
    if (y->rank != x->rank)
        return;
    if (chance(r, 2)) {
        struct bnr_value *in[3] = {x->v, y->v, chance(r, 2) ? x->v : y->v};
        net_op(&r->t, "Concat", NULL, 2 + chance(r, 4), in);
        net_attr_int(&r->t, "axis", chance(r, 4) ? pick(r, x->rank) : 1);
    } else {
        net_op(&r->t, ops[pick(r, 6)], NULL, NET_IN(x->v, y->v));
    }
    made(r);
}

// A branch that ends in Add, both sides linear, or one of them x itself.
static void step_residual(struct random_net *r, struct random_item *x) {
    if (x->rank < 3 || x->dims[1] > MOST_CHANNELS)
        return;
    struct bnr_value *side[2] = {x->v, x->v};
    struct net *t = &r->t;
    struct net_conv c = {
        .spatial = x->rank - 2, .in = x->dims[1], .out = x->dims[1], .k = 1, .bias = chance(r, 2)};
    for (int i = 0; i < 1 + chance(r, 2); i++) {
        side[i] = net_conv(t, name(r, "conv"), x->v, c);
        for (int k = 1; k < t->node->n_in; k++)
            settled(r, t->node->in[k]);
        if (!made(r))
            return;
    }
    net_op(t, "Add", NULL, NET_IN(side[0], side[1]));
    made(r);
}

static void step_cut(struct random_net *r, struct random_item *x) {
    const int axis = x->rank > 1 && !chance(r, 4) ? 1 : pick(r, x->rank);
    struct net *t = &r->t;
    if (x->dims[axis] < 2)
        return;
    const int64_t first = 1 + pick(r, (int)x->dims[axis] - 1), count = x->dims[axis];
    if (chance(r, 2)) {
        const bool old = bnr__model_opset(t->model, "") < 13;
        const int64_t parts[2] = {first, count - first};
        struct bnr_value *in[2] = {x->v, NULL};
        if (!old)
            in[1] = net_ints(t, name(r, "n"), parts, 2);
        net_op(t, "Split", NULL, old ? 1 : 2, in);
        net_attr_int(t, "axis", chance(r, 2) ? axis : axis - x->rank);
        if (old)
            net_attr_ints(t, "split", parts, 2);
        net_out(t, 1);
    } else {
        const bool back = chance(r, 3);
        const int64_t start = back ? -1 : first - 1, end = back ? -1000 : count;
        const int64_t step = (back ? -1 : 1) * (1 + chance(r, 3)), ax = axis;
        net_op(t, "Slice", NULL,
               NET_IN(x->v, net_ints(t, name(r, "s"), &start, 1), net_ints(t, name(r, "e"), &end, 1),
                      net_ints(t, name(r, "a"), &ax, 1), net_ints(t, name(r, "t"), &step, 1)));
    }
    made(r);
}

// ---- steps: layout
// ---------------------------------------------------------------------------------------

static struct random_item *transpose(struct random_net *r, const struct random_item *x, int a, int b) {
    int64_t perm[RANDOM_NET_RANK];
    for (int i = 0; i < x->rank; i++)
        perm[i] = i == a ? b : i == b ? a : i;
    net_op(&r->t, "Transpose", NULL, 1, (struct bnr_value *[]){x->v});
    net_attr_ints(&r->t, "perm", perm, (size_t)x->rank);
    return made(r);
}

static struct random_item *reshape(struct random_net *r, const struct random_item *x, int rank,
                                   const int64_t *dims) {
    struct bnr_value *shape = net_ints(&r->t, name(r, "r"), dims, (size_t)rank);
    net_op(&r->t, "Reshape", NULL, NET_IN(x->v, shape));
    return made(r);
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
    if (x->rank == 4 && chance(r, 3)) {
        const bool to_space = x->dims[1] % 4 == 0 && chance(r, 2);
        net_op(t, to_space ? "DepthToSpace" : "SpaceToDepth", NULL, 1, &x->v);
        net_attr_int(t, "blocksize", 2);
        if (to_space)
            net_attr_string(t, "mode", chance(r, 2) ? "CRD" : "DCR");
        made(r);
    } else if (x->rank > 1 && chance(r, 2)) {
        const int a = chance(r, 3) ? pick(r, x->rank) : x->rank - 1;
        transpose(r, x, a, chance(r, 2) ? 1 : pick(r, x->rank));
    }
}

// Other ranks: an axis of 1 comes or goes, two axes become one, one becomes two, all but one do.
static void step_rank(struct random_net *r, struct random_item *x) {
    struct net *t = &r->t;
    int64_t dims[RANDOM_NET_RANK + 1];
    const int at = pick(r, x->rank);
    const int64_t axis = at;
    const bool old = bnr__model_opset(t->model, "") < 13;
    struct bnr_value *in[2] = {x->v, NULL};
    memcpy(dims, x->dims, sizeof x->dims);
    switch (pick(r, 5)) {
    case 0:
        net_op(t, "Flatten", NULL, 1, &x->v);
        net_attr_int(t, "axis", chance(r, 4) ? at : 1);
        made(r);
        return;
    case 1:
    case 2:
        if (!old)
            in[1] = net_ints(t, name(r, "a"), &axis, 1);
        net_op(t, x->dims[at] == 1 ? "Squeeze" : "Unsqueeze", NULL, old ? 1 : 2, in);
        if (old)
            net_attr_ints(t, "axes", &axis, 1);
        made(r);
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
        dims[at] = chance(r, 2) ? 2 : x->dims[at] / 2;
        dims[at + 1] = x->dims[at] / dims[at];
        reshape(r, x, x->rank + 1, dims);
    }
}

// ---- steps: bodies
// ---------------------------------------------------------------------------------------

typedef void step_fn(struct random_net *r, struct random_item *x);

// A few steps that keep the shape; returns the value that they end in, of this graph.
static struct bnr_value *grow_body(struct random_net *r, const struct random_item *from) {
    static step_fn *const steps[] = {step_bn, step_arithmetic, step_unary, step_residual, step_bn};
    struct random_item last = *from;
    for (int left = 1 + pick(r, 4); left > 0; left--) {
        const int mark = r->n;
        struct random_item x = last;
        steps[pick(r, (int)BNR_COUNT(steps))](r, &x);
        for (int i = mark; i < r->n; i++)
            if (r->items[i].rank == from->rank &&
                memcmp(r->items[i].dims, from->dims, sizeof from->dims) == 0)
                last = r->items[i];
    }
    return last.v;
}

static void step_if(struct random_net *r, struct random_item *x) {
    static const char *const branches[] = {"then_branch", "else_branch"};
    const struct random_item from = *x;
    struct net *t = &r->t, outer;
    if (t->g->n_inputs == NET_MAX_INPUTS || r->in_body)
        return;
    struct bnr_value *condition = net_condition(t, name(r, "condition"), chance(r, 2));
    condition->info.type = condition->declared;
    struct bnr_value *y = net_op(t, "If", name(r, "if"), NET_IN(condition));
    struct bnr_node *node = t->node;
    r->in_body = true;
    for (int k = 0; k < 2; k++) {
        const int mark = r->n;
        net_enter(t, &outer);
        struct bnr_value *result = grow_body(r, &from);
        net_leave(t, &outer, branches[k], result);
        outer.seed = t->seed;
        r->n = mark;
    }
    r->in_body = false;
    mark_read(r, from.v);
    t->node = node;
    y->info.type = from.v->info.type;
    add(r, y);
}

// ---- networks
// ----------------------------------------------------------------------------------------

// What nobody read becomes an output, and some that somebody did.
static void finish(struct random_net *r) {
    struct net *t = &r->t;
    for (int i = 0; i < r->n; i++) {
        struct random_item *x = &r->items[i];
        const bool extra = t->g->n_outputs < MAX_OUTPUTS - 1 && chance(r, 12);
        if (x->v->producer && t->g->n_outputs < MAX_OUTPUTS && (!x->read || extra || i == r->n - 1))
            net_output(t, x->v);
    }
}

static void begin(struct random_net *r) {
    static const int opsets[] = {11, 13, 13, 15, 17};
    static const enum bnr_dtype dtypes[] = {BNR_DOUBLE, BNR_DOUBLE,  BNR_DOUBLE, BNR_FLOAT,
                                            BNR_FLOAT,  BNR_FLOAT16, BNR_BFLOAT16};
    struct net *t = &r->t;
    const uint64_t seed = t->seed;
    net_begin(t, 13);
    t->seed = seed;
    t->model->opsets[0].version = opsets[pick(r, (int)BNR_COUNT(opsets))];
    t->dtype = dtypes[pick(r, t->model->opsets[0].version < 13 ? 6 : 7)];
    t->constant_nodes = chance(r, 8);
    // Errors of 1e-16 grow through divisions by small numbers; a wrong fold is wrong by percents.
    t->tolerance = t->dtype == BNR_DOUBLE ? 1e-7 : 0;
    t->sensitive = t->dtype != BNR_DOUBLE;
    int64_t dims[RANDOM_NET_RANK] = {2, 1 + pick(r, 6)};
    const int rank = chance(r, 2) ? 4 : 2 + pick(r, 4);
    for (int i = 2; i < rank; i++)
        dims[i] = (rank == 5 ? 2 : 3) + pick(r, rank == 3 ? 8 : 3);
    struct bnr_value *x = net_input(t, "x", rank, dims);
    x->info.type = x->declared;
    add(r, x);
}

int random_net_grow(struct random_net *r, uint64_t seed, uint32_t skip) {
    static step_fn *const steps[] = {
        step_conv,  step_conv,   step_conv,       step_gemm,       step_gemm,  step_matmul, step_bn,
        step_bn,    step_bn,     step_bn,         step_arithmetic, step_unary, step_unary,  step_norm,
        step_pool,  step_resize, step_pad,        step_join,       step_join,  step_cut,    step_shuffle,
        step_layout, step_rank,  step_residual,   step_if};
    *r = (struct random_net){.t = {.seed = seed * 0x10001}};
    begin(r);
    const int count = 4 + pick(r, RANDOM_NET_STEPS - 4);
    for (int i = 0; i < count; i++) {
        r->t.seed = (seed * 64 + (uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
        if (skip >> i & 1)
            continue;
        struct random_item x = *any(r);
        r->names = 1000 * (i + 1); // whatever was left out
        steps[pick(r, (int)BNR_COUNT(steps))](r, &x);
    }
    r->t.seed = seed;
    finish(r);
    r->t.seed = seed;
    return count;
}
