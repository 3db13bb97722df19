// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/fold_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "proto/onnx_file.h"
#include "runtime/base/text.h"

static void must(const struct net *t, enum bnr_status st) {
    if (st != BNR_OK)
        fail_msg("status %d: %s", st, t->err.message);
}

void net_begin(struct net *t, int opset) {
    *t = (struct net){.dtype = BNR_FLOAT, .seed = 1};
    t->options = (struct bnr_options){.struct_size = sizeof t->options, .stop_after = -1};
    t->model = bnr__model_new(NULL);
    assert_non_null(t->model);
    t->model->ir_version = 8;
    t->model->path = "<test>";
    must(t, bnr__model_add_opset(t->model, "", opset));
    t->g = t->model->graph = bnr__graph_new(t->model, NULL);
    assert_non_null(t->g);
}

void net_end(struct net *t) {
    for (int i = 0; i < NET_MAX_INPUTS; i++)
        bnr__tensor_unref(t->data[i]);
    bnr__model_free(t->folded);
    bnr__model_free(t->model);
}

// splitmix64
double net_random(struct net *t, double low, double high) {
    uint64_t z = t->seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return low + (high - low) * (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static struct bnr_tensor *make_tensor(struct net *t, int rank, const int64_t *dims,
                                      const double *values) {
    struct bnr_tensor *wide, *made;
    must(t, bnr__tensor_new(&wide, NULL, BNR_DOUBLE, rank, dims, &t->err));
    for (size_t i = 0; i < wide->numel; i++)
        wide->f64[i] = values ? values[i] : net_random(t, -1, 1);
    must(t, bnr__tensor_cast(&made, NULL, wide, t->dtype, &t->err));
    bnr__tensor_unref(wide);
    return made;
}

struct bnr_value *net_input(struct net *t, const char *name, int rank, const int64_t *dims) {
    struct bnr_value *v;
    must(t, bnr__value_new(&v, t->g, name, &t->err));
    *bnr__value_declare(v) =
        (struct bnr_type){.dtype = t->dtype, .shape = bnr__shape_of(rank, dims)};
    assert_true(t->g->n_inputs < NET_MAX_INPUTS);
    t->data[t->g->n_inputs] = make_tensor(t, rank, dims, NULL);
    must(t, bnr__graph_add_input(t->g, v, &t->err));
    return v;
}

struct bnr_value *net_condition(struct net *t, const char *name, bool value) {
    const enum bnr_dtype dtype = t->dtype;
    t->dtype = BNR_BOOL;
    struct bnr_value *v = net_input(t, name, 0, NULL);
    t->data[t->g->n_inputs - 1]->u8[0] = value;
    t->dtype = dtype;
    return v;
}

static struct bnr_value *constant(struct net *t, const char *name, struct bnr_tensor *made) {
    struct bnr_value *v;
    if (!t->constant_nodes) {
        must(t, bnr__value_constant(&v, t->g, name, made, &t->err));
        return v;
    }
    struct bnr_node *n;
    must(t, bnr__value_new(&v, t->g, name, &t->err));
    must(t, bnr__node_new(&n, t->g, NULL, "", "Constant", NULL, 0, NULL, 1, &t->err));
    must(t, bnr__node_set_attr_tensor(n, "value", made));
    bnr__node_set_output(n, 0, v);
    must(t, bnr__node_lift_constant(n, &t->err));
    return net_op(t, "Identity", NULL, 1, &v);
}

struct bnr_value *net_const(struct net *t, const char *name, int rank, const int64_t *dims,
                            const double *values) {
    return constant(t, name, make_tensor(t, rank, dims, values));
}

struct bnr_value *net_typed(struct net *t, enum bnr_dtype dtype, const char *name, int rank,
                            const int64_t *dims, const double *values) {
    const enum bnr_dtype before = t->dtype;
    t->dtype = dtype;
    struct bnr_value *made = net_const(t, name, rank, dims, values);
    t->dtype = before;
    return made;
}

struct bnr_value *net_weight(struct net *t, const char *name, int rank, const int64_t *dims) {
    return net_const(t, name, rank, dims, NULL);
}

struct bnr_value *net_ints(struct net *t, const char *name, const int64_t *values, size_t n) {
    struct bnr_tensor *made;
    const int64_t dims[1] = {(int64_t)n};
    must(t, bnr__tensor_new(&made, NULL, BNR_INT64, 1, dims, &t->err));
    memcpy(made->i64, values, n * sizeof *values);
    struct bnr_value *v;
    must(t, bnr__value_constant(&v, t->g, name, made, &t->err));
    return v;
}

struct bnr_value *net_op(struct net *t, const char *op_type, const char *name, int n_in,
                         struct bnr_value *const *in) {
    must(t, bnr__node_new(&t->node, t->g, NULL, "", op_type, name, n_in, in, 1, &t->err));
    struct bnr_value *v;
    must(t, bnr__value_new(&v, t->g, NULL, &t->err));
    bnr__node_set_output(t->node, 0, v);
    return v;
}

struct bnr_value *net_out(struct net *t, int index) {
    if (index >= t->node->n_out) { // a node's outputs are counted when it is made
        struct bnr_node *with;
        must(t, bnr__node_new(&with, t->g, NULL, "", t->node->op_type,
                              t->node->name[0] ? t->node->name : NULL, t->node->n_in, t->node->in,
                              index + 1, &t->err));
        for (int i = 0; i < t->node->n_out; i++)
            bnr__node_set_output(with, i, t->node->out[i]);
        for (size_t i = 0; i < t->node->n_attrs; i++)
            must(t, bnr__node_set_attr(with, &t->node->attrs[i]));
        bnr__node_remove(t->node);
        t->node = with;
    }
    struct bnr_value *v;
    must(t, bnr__value_new(&v, t->g, NULL, &t->err));
    bnr__node_set_output(t->node, index, v);
    return v;
}

static double gamma_of(struct net *t, int64_t c, int64_t channels) {
    switch (t->gamma) {
    case NET_GAMMA_POSITIVE:
        return net_random(t, 0.5, 1.5);
    case NET_GAMMA_NEGATIVE:
        return net_random(t, -1.5, -0.5);
    case NET_GAMMA_ZEROS:
        return c % 2 ? 0 : net_random(t, -1.5, 1.5);
    default:
        return c == 3 && channels >= 4 ? 0 : net_random(t, -1.5, 1.5);
    }
}

struct bnr_value *net_bn(struct net *t, const char *name, struct bnr_value *x, int64_t channels) {
    double *p = calloc((size_t)channels * 4, sizeof *p);
    assert_non_null(p);
    const int64_t dims[1] = {channels};
    static const char *const names[] = {"scale", "bias", "mean", "var"};
    struct bnr_value *in[5] = {x};
    for (int k = 0; k < 4; k++) {
        for (int64_t c = 0; c < channels; c++)
            p[c] = k == 0   ? gamma_of(t, c, channels)
                   : k == 3 ? net_random(t, 0.1, 2)
                   : t->no_shift ? 0
                                 : net_random(t, -1.5, 1.5);
        char label[100];
        snprintf(label, sizeof label, "%s.%s", name, names[k]);
        in[k + 1] = net_const(t, label, 1, dims, p);
    }
    free(p);
    return net_op(t, "BatchNormalization", name, 5, in);
}

struct bnr_value *net_uniform_bn(struct net *t, const char *name, struct bnr_value *x, int64_t channels,
                                 double scale, double b, double mean, double var) {
    const double v[4] = {scale, b, mean, var};
    struct bnr_value *in[5] = {x};
    assert_true(channels <= 16);
    for (int i = 0; i < 4; i++) {
        double p[16];
        for (int64_t c = 0; c < channels; c++)
            p[c] = v[i];
        in[i + 1] = net_const(t, "p", 1, &channels, p);
    }
    x = net_op(t, "BatchNormalization", name, 5, in);
    net_attr_float(t, "epsilon", 0);
    return x;
}

struct bnr_value *net_conv(struct net *t, const char *name, struct bnr_value *x,
                           struct net_conv c) {
    int64_t dims[8] = {0}, ones[16];
    char label[100];
    const int64_t group = c.group ? c.group : 1;
    dims[0] = c.transposed ? c.in : c.out;
    dims[1] = (c.transposed ? c.out : c.in) / group;
    for (int i = 0; i < c.spatial; i++)
        dims[2 + i] = c.k;
    snprintf(label, sizeof label, "%s.w", name);
    struct bnr_value *in[3] = {x, net_weight(t, label, 2 + c.spatial, dims), NULL};
    snprintf(label, sizeof label, "%s.b", name);
    if (c.bias)
        in[2] = net_weight(t, label, 1, &c.out);
    struct bnr_value *y =
        net_op(t, c.transposed ? "ConvTranspose" : "Conv", name, c.bias ? 3 : 2, in);
    net_attr_int(t, "group", group);
    for (int i = 0; i < 2 * c.spatial; i++)
        ones[i] = c.pad;
    net_attr_ints(t, "pads", ones, 2 * (size_t)c.spatial);
    for (int i = 0; i < c.spatial; i++)
        ones[i] = c.stride ? c.stride : 1;
    net_attr_ints(t, "strides", ones, (size_t)c.spatial);
    return y;
}

void net_enter(struct net *t, struct net *outer) {
    *outer = *t;
    t->g = bnr__graph_new(t->model, t->node);
    assert_non_null(t->g);
}

struct bnr_value *net_body_input(struct net *t, const char *name, enum bnr_dtype dtype) {
    struct bnr_value *v;
    must(t, bnr__value_new(&v, t->g, name, &t->err));
    *bnr__value_declare(v) = (struct bnr_type){.dtype = dtype, .shape = bnr__shape_unknown()};
    must(t, bnr__graph_add_input(t->g, v, &t->err));
    return v;
}

void net_leave(struct net *t, const struct net *outer, const char *attr, struct bnr_value *result) {
    struct bnr_graph *body = t->g;
    must(t, bnr__graph_add_output(body, result, &t->err));
    t->g = outer->g;
    t->node = outer->node;
    const struct bnr_attr a = {
        .name = attr, .type = BNR_ATTR_GRAPH, .n = 1, .graphs = (struct bnr_graph *[]){body}};
    must(t, bnr__node_set_attr(t->node, &a));
}

void net_attr_int(struct net *t, const char *name, int64_t v) {
    must(t, bnr__node_set_attr_int(t->node, name, v));
}

void net_attr_ints(struct net *t, const char *name, const int64_t *v, size_t n) {
    must(t, bnr__node_set_attr_ints(t->node, name, v, n));
}

void net_attr_float(struct net *t, const char *name, double v) {
    must(t, bnr__node_set_attr_float(t->node, name, (float)v));
}

void net_attr_floats(struct net *t, const char *name, const double *v, size_t n) {
    float f[8];
    assert_true(n <= BNR_COUNT(f));
    for (size_t i = 0; i < n; i++)
        f[i] = (float)v[i];
    const struct bnr_attr a = {.name = name, .type = BNR_ATTR_FLOATS, .n = n, .floats = f};
    must(t, bnr__node_set_attr(t->node, &a));
}

void net_attr_tensor(struct net *t, const char *name, double v) {
    const int64_t one[1] = {1};
    must(t, bnr__node_set_attr_tensor(t->node, name, make_tensor(t, 1, one, &v)));
}

void net_attr_string(struct net *t, const char *name, const char *v) {
    must(t, bnr__node_set_attr_string(t->node, name, v));
}

void net_output(struct net *t, struct bnr_value *v) {
    must(t, bnr__graph_add_output(t->g, v, &t->err));
}

// ---- evaluation ---------------------------------------------------------------------------------

static const struct bnr_tensor *value_of(struct bnr_tensor *const *values,
                                         const struct bnr_value *v) {
    return !v ? NULL : bnr__value_is_constant(v) ? v->tensor : values[v->id];
}

static void run_graph(struct net *t, const struct bnr_graph *g, struct bnr_tensor **values);

static void set_value(struct bnr_tensor **values, const struct bnr_value *v, struct bnr_tensor *made) {
    bnr__tensor_unref(values[v->id]);
    values[v->id] = made;
}

static void run_if(struct net *t, const struct bnr_node *n, struct bnr_tensor *const *in,
                   struct bnr_tensor **made, struct bnr_tensor **values) {
    const bool yes = bnr__tensor_f64(in[0], 0) != 0;
    const struct bnr_graph *body = bnr__attr_graph(n, yes ? "then_branch" : "else_branch");
    run_graph(t, body, values);
    for (int i = 0; i < n->n_out; i++)
        made[i] = bnr__tensor_share(value_of(values, body->outputs[i]));
}

// M rounds; carried values alone.
static void run_loop(struct net *t, const struct bnr_node *n, struct bnr_tensor *const *in,
                     struct bnr_tensor **made, struct bnr_tensor **values) {
    const struct bnr_graph *body = bnr__attr_graph(n, "body");
    const int64_t rounds = bnr__tensor_i64(in[0], 0);
    assert_true(!n->in[1] && n->n_out == n->n_in - 2);
    for (int i = 0; i < n->n_out; i++)
        made[i] = bnr__tensor_share(in[i + 2]);
    for (int64_t k = 0; k < rounds; k++) {
        struct bnr_tensor *round, *go;
        must(t, bnr__tensor_new(&round, NULL, BNR_INT64, 0, NULL, &t->err));
        must(t, bnr__tensor_new(&go, NULL, BNR_BOOL, 0, NULL, &t->err));
        round->i64[0] = k;
        go->u8[0] = 1;
        set_value(values, body->inputs[0], round);
        set_value(values, body->inputs[1], go);
        for (int i = 0; i < n->n_out; i++)
            set_value(values, body->inputs[2 + i], made[i]);
        run_graph(t, body, values);
        for (int i = 0; i < n->n_out; i++)
            made[i] = bnr__tensor_share(value_of(values, body->outputs[1 + i]));
    }
}

// One input, cut along its first axis, and one output.
static void run_scan(struct net *t, const struct bnr_node *n, struct bnr_tensor *const *in,
                     struct bnr_tensor **made, struct bnr_tensor **values) {
    const struct bnr_graph *body = bnr__attr_graph(n, "body");
    const struct bnr_tensor *x = in[0];
    assert_true(n->n_in == 1 && n->n_out == 1 && x->dims[0] > 0);
    for (int64_t k = 0; k < x->dims[0]; k++) {
        struct bnr_tensor *cut;
        must(t, bnr__tensor_new(&cut, NULL, x->dtype, x->rank - 1, x->dims + 1, &t->err));
        memcpy(cut->data, x->u8 + (size_t)k * cut->nbytes, cut->nbytes);
        set_value(values, body->inputs[0], cut);
        run_graph(t, body, values);
        const struct bnr_tensor *y = value_of(values, body->outputs[0]);
        int64_t dims[BNR_MAX_RANK] = {x->dims[0]};
        memcpy(dims + 1, y->dims, (size_t)y->rank * sizeof *dims);
        if (k == 0)
            must(t, bnr__tensor_new(&made[0], NULL, y->dtype, y->rank + 1, dims, &t->err));
        memcpy(made[0]->u8 + (size_t)k * y->nbytes, y->data, y->nbytes);
    }
}

// Runs g's nodes; values are indexed by id in the whole model, so that bodies see what they capture.
static void run_graph(struct net *t, const struct bnr_graph *g, struct bnr_tensor **values) {
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        struct bnr_tensor *in[64], *made[64];
        assert_true(n->n_in <= 64 && n->n_out <= 64);
        for (int i = 0; i < n->n_in; i++)
            in[i] = (struct bnr_tensor *)(uintptr_t)value_of(values, n->in[i]);
        if (bnr__node_is(n, "", "If"))
            run_if(t, n, in, made, values);
        else if (bnr__node_is(n, "", "Loop"))
            run_loop(t, n, in, made, values);
        else if (bnr__node_is(n, "", "Scan"))
            run_scan(t, n, in, made, values);
        else
            must(t, bnr__node_eval(n, in, made, NULL, &t->err));
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i])
                set_value(values, n->out[i], made[i]);
    }
}

// Outputs of the main graph for t's inputs, as new references; the model may be of any dtype.
static void evaluate(struct net *t, const struct bnr_model *m, struct bnr_tensor **outs) {
    const struct bnr_graph *g = m->graph;
    struct bnr_tensor **values = calloc((size_t)m->next_value_id, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < g->n_inputs; i++)
        must(t, bnr__tensor_cast(&values[g->inputs[i]->id], NULL, t->data[i],
                                 g->inputs[i]->declared->dtype, &t->err));
    run_graph(t, g, values);
    for (size_t i = 0; i < g->n_outputs; i++)
        outs[i] = bnr__tensor_share(value_of(values, g->outputs[i]));
    for (int i = 0; i < m->next_value_id; i++)
        bnr__tensor_unref(values[i]);
    free(values);
}

static void promote(struct net *t, const struct bnr_model *m, struct bnr_model **wide) {
    must(t, bnr__model_clone(wide, m, &t->err));
    must(t, bnr__model_resolve(*wide, NULL, &t->err));
    must(t, bnr__model_infer(*wide, &t->err));
    must(t, bnr__promote_f64(*wide, &t->err));
    must(t, bnr__model_verify(*wide, &t->err));
}

static void evaluate_in_double(struct net *t, const struct bnr_model *m, struct bnr_tensor **outs) {
    struct bnr_model *wide;
    promote(t, m, &wide);
    evaluate(t, wide, outs);
    bnr__model_free(wide);
}

// Largest difference over largest magnitude; infinity where one is NaN or infinite and the other
// not.
static double difference(const struct bnr_tensor *a, const struct bnr_tensor *b) {
    double largest = 0, magnitude = 0;
    assert_int_equal(a->numel, b->numel);
    for (size_t i = 0; i < a->numel; i++) {
        const double x = bnr__tensor_f64(a, i), y = bnr__tensor_f64(b, i);
        if (isfinite(x) != isfinite(y))
            return INFINITY;
        if (!isfinite(x))
            continue;
        largest = fmax(largest, fabs(x - y));
        magnitude = fmax(magnitude, fabs(y));
    }
    return magnitude > 0 ? largest / magnitude : largest;
}

double net_largest_error(struct net *t, double *magnitude) {
    struct bnr_tensor *want, *have;
    double largest = 0;
    assert_int_equal(t->g->n_outputs, 1);
    evaluate_in_double(t, t->model, &want);
    evaluate_in_double(t, t->folded, &have);
    assert_int_equal(want->numel, have->numel);
    *magnitude = 0;
    for (size_t i = 0; i < want->numel; i++) {
        largest = fmax(largest, fabs(have->f64[i] - want->f64[i]));
        *magnitude = fmax(*magnitude, fabs(want->f64[i]));
    }
    bnr__tensor_unref(want);
    bnr__tensor_unref(have);
    return largest;
}

double net_error(struct net *t) {
    struct bnr_tensor *want[8], *have[8];
    const size_t n = t->g->n_outputs;
    double worst = 0;
    assert_true(n <= 8);
    assert_int_equal(t->folded->graph->n_outputs, n);
    evaluate_in_double(t, t->model, want);
    evaluate_in_double(t, t->folded, have);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(t->g->outputs[i]->name, t->folded->graph->outputs[i]->name);
        worst = fmax(worst, difference(have[i], want[i]));
        bnr__tensor_unref(have[i]);
        bnr__tensor_unref(want[i]);
    }
    return worst;
}

// ---- sensitivity --------------------------------------------------------------------------------

static double unit(enum bnr_dtype dtype) {
    switch (dtype) {
    case BNR_DOUBLE:
        return 0x1p-52;
    case BNR_FLOAT16:
        return 0x1p-10;
    case BNR_BFLOAT16:
        return 0x1p-7;
    default:
        return 0x1p-23;
    }
}

// Not what decides shapes: the scales of a Resize, which stand behind a Cast here.
static bool may_move(const struct bnr_value *v) {
    for (size_t i = 0; i < v->n_uses; i++)
        if (bnr__node_is(v->uses[i].node, "", "Cast") || bnr__node_is(v->uses[i].node, "", "Resize"))
            return false;
    return bnr__value_is_constant(v) && v->tensor->dtype == BNR_DOUBLE;
}

static enum bnr_status nudge_graph(struct bnr_graph *g, void *cx) {
    struct net *t = cx;
    for (size_t i = 0; i < g->n_values; i++) {
        struct bnr_value *v = g->values[i];
        if (!may_move(v))
            continue;
        struct bnr_tensor *moved;
        BNR_TRY(bnr__tensor_clone(&moved, NULL, v->tensor, &t->err));
        for (size_t k = 0; k < moved->numel; k++)
            moved->f64[k] *= 1 + (net_random(t, -1, 1) < 0 ? -1 : 1) * unit(t->dtype);
        bnr__tensor_unref(v->tensor);
        v->tensor = moved;
    }
    return BNR_OK;
}

double net_sensitivity(struct net *t) {
    struct bnr_tensor *want[8], *have[8];
    const size_t n = t->g->n_outputs;
    const uint64_t seed = t->seed;
    double worst = 0;
    evaluate_in_double(t, t->model, want);
    for (int k = 0; k < 3; k++) {
        struct bnr_model *wide;
        promote(t, t->model, &wide);
        must(t, bnr__model_each_graph(wide, nudge_graph, t));
        evaluate(t, wide, have);
        bnr__model_free(wide);
        for (size_t i = 0; i < n; i++) {
            worst = fmax(worst, difference(have[i], want[i]));
            bnr__tensor_unref(have[i]);
        }
    }
    for (size_t i = 0; i < n; i++)
        bnr__tensor_unref(want[i]);
    t->seed = seed;
    return worst;
}

// ---- folding ------------------------------------------------------------------------------------

// Rounding of a weight, with room for sums of a few hundred of them and chains of layers.
static double tolerance(enum bnr_dtype dtype) {
    switch (dtype) {
    case BNR_DOUBLE:
        return 1e-13;
    case BNR_FLOAT16:
        return 4e-3;
    case BNR_BFLOAT16:
        return 3e-2;
    default:
        return 1e-6;
    }
}

static void rewrite(struct net *t, struct bnr_model **out, const struct bnr_model *m,
                    unsigned groups) {
    must(t, bnr__model_clone(out, m, &t->err));
    must(t, bnr__model_resolve(*out, NULL, &t->err));
    must(t, bnr__model_verify(*out, &t->err));
    must(t, bnr__model_infer(*out, &t->err));
    const enum bnr_status st = bnr__passes_run(*out, &t->options, groups, &t->err);
    if (st != BNR_OK) {
        struct bnr_text text = {0};
        bnr__print_text(&text, m);
        fprintf(stderr, "---- before\n%s", text.data);
        must(t, st);
    }
    must(t, bnr__model_verify(*out, &t->err));
}

// The text of what `m` is after resolving, inferring and the passes of `groups` (0: none).
static char *text_of(struct net *t, const struct bnr_model *m, unsigned groups) {
    struct bnr_model *copy;
    struct bnr_text text = {0};
    rewrite(t, &copy, m, groups);
    bnr__print_text(&text, copy);
    bnr__model_free(copy);
    return bnr__text_take(&text);
}

// cmocka cuts messages at 1 KiB: the whole texts go to stderr, with the line where they part.
static void same_text(char *before, char *after) {
    size_t at = 0, line = 0;
    while (before[at] && before[at] == after[at])
        line += before[at++] == '\n';
    if (before[at] || after[at]) {
        fprintf(stderr, "---- before\n%s---- after\n%s", before, after);
        fail_msg("rewriting once more changes line %zu", line + 1);
    }
    free(before);
    free(after);
}

static void assert_settled(struct net *t, unsigned groups) {
    struct bnr_text before = {0};
    bnr__print_text(&before, t->folded);
    same_text(bnr__text_take(&before), text_of(t, t->folded, groups));
}

void net_rewrite(struct net *t, unsigned groups) {
    bnr__model_free(t->folded);
    t->folded = NULL;
    rewrite(t, &t->folded, t->model, groups);
    assert_settled(t, groups);
}

void net_fold(struct net *t, unsigned groups) {
    net_rewrite(t, groups);
    const double error = net_error(t);
    double allowed = t->tolerance > 0 ? t->tolerance : tolerance(t->dtype);
    if (!(error <= allowed) && t->sensitive)
        allowed = fmax(allowed, 100 * net_sensitivity(t));
    if (!(error <= allowed)) {
        struct bnr_text before = {0}, after = {0};
        bnr__print_text(&before, t->model);
        bnr__print_text(&after, t->folded);
        fprintf(stderr, "---- unfolded\n%s---- folded\n%s", before.data, after.data);
        fail_msg("seed %llu: the folded network differs by %g of its magnitude, allowed %g",
                 (unsigned long long)t->seed, error, allowed);
    }
}

enum { MAX_FILE = 1 << 22 };

static void write_to(struct net *t, char *path, size_t size, const char *what,
                     const struct bnr_model *m, const struct bnr_model *origin) {
    snprintf(path, size, "/tmp/bnrun-fold-%ld-%s.onnx", (long)getpid(), what);
    must(t, bnr__model_write_file(m, origin, path, &t->err));
}

static size_t read_bytes(const char *path, uint8_t *bytes) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(bytes, 1, MAX_FILE, f);
    fclose(f);
    assert_true(n < MAX_FILE);
    return n;
}

static void same_outputs(struct net *t, const struct bnr_model *a, const struct bnr_model *b) {
    struct bnr_tensor *want[8], *have[8];
    assert_int_equal(a->graph->n_outputs, b->graph->n_outputs);
    evaluate(t, a, want);
    evaluate(t, b, have);
    for (size_t i = 0; i < a->graph->n_outputs; i++) {
        assert_int_equal(have[i]->nbytes, want[i]->nbytes);
        assert_memory_equal(have[i]->data, want[i]->data, want[i]->nbytes);
        bnr__tensor_unref(have[i]);
        bnr__tensor_unref(want[i]);
    }
}

void net_reload(struct net *t, unsigned groups) {
    static uint8_t first[MAX_FILE], second[MAX_FILE];
    struct bnr_model *back, *again;
    char one[64], two[64];
    write_to(t, one, sizeof one, "1", t->folded, NULL);
    const size_t size = read_bytes(one, first);
    must(t, bnr__model_read_file(&back, one, NULL, &t->err));
    must(t, bnr__model_resolve(back, NULL, &t->err));
    must(t, bnr__model_infer(back, &t->err));
    same_outputs(t, t->folded, back);
    rewrite(t, &again, back, groups);
    write_to(t, two, sizeof two, "2", again, back);
    const bool same = read_bytes(two, second) == size && memcmp(first, second, size) == 0;
    unlink(one);
    unlink(two);
    if (!same) {
        same_text(text_of(t, back, 0), text_of(t, back, groups));
        fail_msg("the folded file becomes another one when it is folded again");
    }
    bnr__model_free(again);
    bnr__model_free(back);
}

void net_expect(const struct net *t, const char *ops) {
    struct bnr_text seen = {0};
    for (const struct bnr_node *n = t->folded->graph->first; n; n = n->next)
        bnr__text_add(&seen, "%s%s", n->prev ? " " : "", n->op_type);
    assert_string_equal(seen.data ? seen.data : "", ops);
    bnr__text_free(&seen);
}

void net_expect_bn(const struct net *t, const char *name, enum bnr_verdict verdict,
                   const char *part) {
    for (size_t i = 0; i < t->folded->n_bns; i++) {
        const struct bnr_bn *bn = t->folded->bns[i];
        if (strcmp(bn->name, name) != 0)
            continue;
        const char *text = verdict == BNR_BN_KEPT ? bn->reason : bn->into;
        if (bn->verdict != verdict || !text || !strstr(text, part))
            fail_msg("'%s' has verdict %d, into '%s': %s", name, bn->verdict,
                     bn->into ? bn->into : "", bn->reason ? bn->reason : "");
        return;
    }
    fail_msg("there is no '%s'", name);
}

struct bnr_value *net_folded_value(const struct net *t, const char *name) {
    struct bnr_value *v = bnr__value_find(t->folded->graph, name);
    assert_non_null(v);
    return v;
}

void net_run(struct net *t, unsigned flags, int threads, struct bnr_tensor **out,
             struct bnr_bn_report *report) {
    struct bnr_options o;
    bnr_session *s;
    bnr_options_init(&o);
    o.flags = flags;
    o.threads = threads;
    if (bnr_session_create(&s, t->model, &o, &t->err) != BNR_OK ||
        bnr_run(s, (const bnr_tensor *const *)t->data, 1, out, 1, &t->err) != BNR_OK ||
        (report && bnr_session_bn(s, 0, report) != BNR_OK))
        fail_msg("%s", t->err.message);
    bnr_session_free(s);
}

double net_rounded(enum bnr_dtype d, double x) {
    uint64_t element;
    bnr__store_f64(d, &element, &x, 1);
    bnr__load_f64(&x, d, &element, 1);
    return x;
}
