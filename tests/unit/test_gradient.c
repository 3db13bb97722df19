// SPDX-License-Identifier: Apache-2.0
// Gradient: for every rule, the gradient of the sum of the squares of an operator's outputs against
// central differences in double; functions, graphs, other values fed, second derivatives, refusals.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"

enum { MAX_IN = 5, MAX_NUMEL = 400 };

static struct bnr_model *m;
static struct bnr_error err;

static void ok(enum bnr_status st) {
    if (st != BNR_OK)
        fail_msg("%s", err.message);
}

static void begin(int opset) {
    m = bnr__model_new(NULL);
    assert_non_null(m);
    m->ir_version = 8;
    ok(bnr__model_add_opset(m, "", opset));
    ok(bnr__model_add_opset(m, "ai.onnx.preview.training", 1));
    m->graph = bnr__graph_new(m, NULL);
}

static struct bnr_value *named(const char *name) {
    struct bnr_value *v;
    ok(bnr__value_new(&v, m->graph, name, &err));
    return v;
}

static struct bnr_value *input(const char *name, int rank, const int64_t *dims) {
    struct bnr_value *v = named(name);
    bnr__value_declare(v)->dtype = BNR_DOUBLE;
    bnr__value_declare(v)->shape = bnr__shape_of(rank, dims);
    ok(bnr__graph_add_input(m->graph, v, &err));
    return v;
}

static struct bnr_node *node(const char *domain, const char *op, int n_in,
                             struct bnr_value *const *in, int n_out, const char *out_name) {
    struct bnr_node *n;
    ok(bnr__node_new(&n, m->graph, NULL, domain, op, NULL, n_in, in, n_out, &err));
    for (int i = 0; i < n_out; i++)
        bnr__node_set_output(n, i, named(i == 0 ? out_name : NULL));
    return n;
}

static struct bnr_value *apply(const char *op, struct bnr_value *a, struct bnr_value *b,
                               const char *out_name) {
    return node("", op, b ? 2 : 1, (struct bnr_value *[]){a, b}, 1, out_name)->out[0];
}

static struct bnr_node *gradient(int n_in, struct bnr_value *const *in, const char *xs,
                                 const char *y) {
    struct bnr_node *n = node("ai.onnx.preview.training", "Gradient", n_in, in, n_in, NULL);
    struct bnr_str strings[MAX_IN];
    char text[64], *rest = text;
    snprintf(text, sizeof(text), "%s", xs);
    for (int i = 0; i < n_in; i++) {
        char *s = strtok_r(i == 0 ? text : NULL, " ", &rest);
        strings[i] = (struct bnr_str){s, strlen(s)};
    }
    const struct bnr_attr attr = {
        .name = "xs", .type = BNR_ATTR_STRINGS, .n = (size_t)n_in, .strings = strings};
    ok(bnr__node_set_attr(n, &attr));
    ok(bnr__node_set_attr_string(n, "y", y));
    for (int i = 0; i < n_in; i++)
        ok(bnr__graph_add_output(m->graph, n->out[i], &err));
    return n;
}

static bnr_session *session(void) {
    bnr_session *s;
    struct bnr_options options;
    bnr_options_init(&options);
    options.threads = 1;
    ok(bnr__model_resolve(m, NULL, &err));
    ok(bnr__model_infer(m, &err));
    ok(bnr_session_create(&s, m, &options, &err));
    return s;
}

// ---- one operator -----------------------------------------------------------------------------------

// Inputs: "f2,3" doubles of both signs, "p2,3" positive ones, of these dims; "k1,2" constant integers,
// "d0.5" a constant double, "b1,0" constant bools, "-" nothing. Attributes: "i:axis=1 I:pads=1,2 s:mode=x f:alpha=2".
struct op_case {
    const char *op;
    int opset;
    const char *in[MAX_IN];
    const char *attrs;
    int n_out;
};

static const struct op_case cases[] = {
    {"Abs", 13, {"f2,3"}, "", 1},
    {"Acos", 7, {"f2,3"}, "", 1},
    {"Asin", 7, {"f2,3"}, "", 1},
    {"Asinh", 9, {"f2,3"}, "", 1},
    {"Atan", 7, {"f2,3"}, "", 1},
    {"Atanh", 9, {"f2,3"}, "", 1},
    {"Celu", 12, {"f2,3"}, "f:alpha=0.5", 1},
    {"Cos", 7, {"f2,3"}, "", 1},
    {"Cosh", 9, {"f2,3"}, "", 1},
    {"Elu", 6, {"f2,3"}, "f:alpha=0.5", 1},
    {"Erf", 13, {"f2,3"}, "", 1},
    {"Exp", 13, {"f2,3"}, "", 1},
    {"Gelu", 20, {"f2,3"}, "", 1},
    {"Gelu", 20, {"f2,3"}, "s:approximate=tanh", 1},
    {"HardSigmoid", 6, {"f2,3"}, "f:alpha=0.6", 1},
    {"HardSwish", 14, {"f2,3"}, "", 1},
    {"Identity", 13, {"f2,3"}, "", 1},
    {"LeakyRelu", 6, {"f2,3"}, "f:alpha=0.3", 1},
    {"Log", 13, {"p2,3"}, "", 1},
    {"Mish", 18, {"f2,3"}, "", 1},
    {"Neg", 13, {"f2,3"}, "", 1},
    {"Reciprocal", 13, {"p2,3"}, "", 1},
    {"Relu", 14, {"f2,3"}, "", 1},
    {"Selu", 6, {"f2,3"}, "", 1},
    {"Shrink", 9, {"f2,3"}, "f:lambd=0.2 f:bias=0.1", 1},
    {"Sigmoid", 13, {"f2,3"}, "", 1},
    {"Sin", 7, {"f2,3"}, "", 1},
    {"Sinh", 9, {"f2,3"}, "", 1},
    {"Softplus", 1, {"f2,3"}, "", 1},
    {"Softsign", 1, {"f2,3"}, "", 1},
    {"Sqrt", 13, {"p2,3"}, "", 1},
    {"Swish", 24, {"f2,3"}, "f:alpha=1.5", 1},
    {"Tan", 7, {"f2,3"}, "", 1},
    {"Tanh", 13, {"f2,3"}, "", 1},
    {"ThresholdedRelu", 10, {"f2,3"}, "f:alpha=0.1", 1},
    {"Add", 13, {"f2,3", "f3"}, "", 1},
    {"Sub", 13, {"f3", "f2,1"}, "", 1},
    {"Mul", 13, {"f2,3", "f2,1"}, "", 1},
    {"Div", 13, {"f2,3", "p3"}, "", 1},
    {"Pow", 13, {"p2,3", "f3"}, "", 1},
    {"Max", 13, {"f2,3", "f3", "f2,1"}, "", 1},
    {"Min", 13, {"f2,3", "f3"}, "", 1},
    {"Mean", 13, {"f2,3", "f3", "f1"}, "", 1},
    {"Sum", 13, {"f2,3", "f3", "f1"}, "", 1},
    {"Where", 16, {"b1,0,1", "f2,3", "f2,1"}, "", 1},
    {"Clip", 13, {"f2,5", "d-0.3", "d0.4"}, "", 1},
    {"PRelu", 16, {"f2,3", "f3"}, "", 1},
    {"MatMul", 13, {"f2,3", "f3,4"}, "", 1},
    {"MatMul", 13, {"f3", "f3,4"}, "", 1},
    {"MatMul", 13, {"f2,3", "f3"}, "", 1},
    {"MatMul", 13, {"f3", "f3"}, "", 1},
    {"MatMul", 13, {"f2,1,2,3", "f4,3,2"}, "", 1},
    {"MatMul", 13, {"f2,2,3", "f3"}, "", 1},
    {"Gemm", 13, {"f2,3", "f3,4", "f4"}, "f:alpha=0.5 f:beta=2", 1},
    {"Gemm", 13, {"f3,2", "f4,3", "f2,1"}, "i:transA=1 i:transB=1", 1},
    {"Gemm", 13, {"f3,2", "f3,4"}, "i:transA=1", 1},
    {"Gemm", 13, {"f2,3", "f4,3"}, "i:transB=1", 1},
    {"Concat", 13, {"f2,3", "f2,1", "f2,2"}, "i:axis=-1", 1},
    {"CumSum", 14, {"f2,4", "k1"}, "i:exclusive=1", 1},
    {"DepthToSpace", 13, {"f1,4,2,2"}, "i:blocksize=2", 1},
    {"SpaceToDepth", 13, {"f1,1,4,2"}, "i:blocksize=2", 1},
    {"Expand", 13, {"f3,1", "k2,3,4"}, "", 1},
    {"Flatten", 13, {"f2,3,2"}, "i:axis=2", 1},
    {"Gather", 13, {"f3,2", "k2,0,2,-1"}, "", 1},
    {"Pad", 13, {"f2,3", "k1,0,0,2"}, "", 1},
    {"Pad", 13, {"f2,3", "k0,1,1,2", "d5"}, "", 1},
    {"Pad", 13, {"f3,3", "k1,0,1,2"}, "s:mode=reflect", 1},
    {"Pad", 2, {"f2,3"}, "I:pads=1,0,0,2 f:value=3", 1},
    {"Reshape", 14, {"f2,3", "k3,-1"}, "", 1},
    {"Slice", 13, {"f4,5", "k3,0", "k0,5", "k0,1", "k-1,2"}, "", 1},
    {"Split", 13, {"f2,5", "k2,3"}, "i:axis=1", 2},
    {"Squeeze", 13, {"f2,1,3", "k1"}, "", 1},
    {"Unsqueeze", 13, {"f2,3", "k0"}, "", 1},
    {"Tile", 13, {"f2,3", "k2,1"}, "", 1},
    {"Transpose", 13, {"f2,3,4"}, "I:perm=1,2,0", 1},
    {"Transpose", 13, {"f2,3,4"}, "", 1},
    {"Trilu", 14, {"f3,3"}, "i:upper=0", 1},
    {"ReduceL1", 13, {"f2,3,2"}, "I:axes=1", 1},
    {"ReduceL2", 13, {"f2,3,2"}, "I:axes=0,2 i:keepdims=0", 1},
    {"ReduceLogSum", 13, {"p2,3,2"}, "I:axes=1 i:keepdims=0", 1},
    {"ReduceLogSumExp", 18, {"f2,3,2", "k1"}, "i:keepdims=0", 1},
    {"ReduceMax", 18, {"f2,3,2", "k1"}, "i:keepdims=0", 1},
    {"ReduceMean", 18, {"f2,3,2", "k-1,0"}, "i:keepdims=0", 1},
    {"ReduceMin", 13, {"f2,3,2"}, "", 1},
    {"ReduceProd", 13, {"f2,3,2"}, "I:axes=1", 1},
    {"ReduceSum", 13, {"f2,3,2", "k1"}, "i:keepdims=0", 1},
    {"ReduceSum", 13, {"f2,3,2"}, "i:keepdims=0", 1},
    {"ReduceSumSquare", 13, {"f2,3,2"}, "I:axes=1 i:keepdims=0", 1},
    {"Conv", 11, {"f2,4,5,4", "f4,2,3,2", "f4"}, "i:group=2 I:pads=1,0,1,1 I:strides=2,1", 1},
    {"Conv", 11, {"f1,2,7", "f3,2,3"}, "I:dilations=2 s:auto_pad=SAME_UPPER", 1},
    {"ConvTranspose", 11, {"f2,4,3,2", "f4,3,3,2", "f6"}, "i:group=2 I:pads=1,0,1,1 I:strides=2,1", 1},
    {"ConvTranspose", 11, {"f1,2,4", "f2,3,3"}, "I:strides=2 s:auto_pad=SAME_UPPER", 1},
    {"ConvTranspose", 11, {"f1,2,4", "f2,3,3"}, "I:strides=3 I:output_padding=2 I:dilations=2", 1},
    {"ConvTranspose", 11, {"f1,2,4", "f2,1,3"}, "I:strides=2 I:output_shape=8", 1},
    {"Einsum", 12, {"f2,3", "f3,4"}, "s:equation=ij,jk->ik", 1},
    {"Einsum", 12, {"f2,3", "f3,4", "f4"}, "s:equation=ij,jk,k", 1},
    {"Einsum", 12, {"f2,3,2"}, "s:equation=ijk->ki", 1},
    {"Einsum", 12, {"f3,2,3"}, "s:equation=iji->j", 1},
    {"Einsum", 12, {"f3,3", "f3"}, "s:equation=ii,i->i", 1},
    {"Einsum", 12, {"f1,2,3", "f4,3,2"}, "s:equation=...ij,...jk->...ik", 1},
    {"Einsum", 12, {"f2,3", "f2,4,3,2"}, "s:equation=...ij,...jk->...ik", 1},
    {"Einsum", 12, {"f2,2,3"}, "s:equation=...i->i", 1},
    {"Einsum", 12, {"f2,3,3"}, "s:equation=...ii->...i", 1},
    {"Einsum", 12, {"f2,3", "f2,4"}, "s:equation=bi,bj->bij", 1},
    {"Einsum", 12, {"f2,1", "f2,3"}, "s:equation=bi,bi->bi", 1},
    {"InstanceNormalization", 6, {"f2,3,4", "f3", "f3"}, "f:epsilon=0.1", 1},
    {"InstanceNormalization", 6, {"f2,3,2,3", "f3", "f3"}, "", 1},
    {"Resize", 13, {"f1,2,3,4", "-", "d1,1,2,0.75"}, "s:mode=linear", 1},
    {"Resize", 13, {"f1,1,3,4", "-", "-", "k1,1,5,2"}, "s:mode=cubic", 1},
    {"Resize", 13, {"f1,1,3,4", "-", "d1,1,2,2"}, "s:mode=nearest", 1},
    {"Resize", 18, {"f1,1,5,6", "-", "d1,1,0.6,0.5"}, "s:mode=linear i:antialias=1", 1},
    {"Resize", 11, {"f1,1,4,4", "d0,0,0.2,0.3,1,1,1.4,0.9", "-", "k1,1,3,5"},
     "s:mode=linear s:coordinate_transformation_mode=tf_crop_and_resize f:extrapolation_value=3", 1},
    {"Resize", 10, {"f1,1,2,3", "d1,1,2,2"}, "s:mode=linear", 1},
    {"AveragePool", 11, {"f1,2,5,4"}, "I:kernel_shape=3,2 I:strides=2,1 I:pads=1,0,1,1", 1},
    {"AveragePool", 11, {"f1,2,5,4"}, "I:kernel_shape=3,2 I:pads=1,0,1,1 i:count_include_pad=1", 1},
    {"MaxPool", 11, {"f2,2,5,4"}, "I:kernel_shape=3,2 I:strides=2,1 I:pads=1,0,1,1", 1},
    {"GlobalAveragePool", 1, {"f2,3,2,2"}, "", 1},
    {"GlobalMaxPool", 1, {"f2,3,2,2"}, "", 1},
    {"BatchNormalization", 9, {"f2,3,2,2", "f3", "f3", "d0.2,-0.1,0.3", "d0.5,1,2"}, "", 1},
    {"BatchNormalization", 9, {"f4,3", "f3", "f3", "d0.2,-0.1,0.3", "d0.5,1,2"}, "", 1},
    {"BatchNormalization", 15, {"f3,2,2", "f2", "f2", "d0.2,-0.1", "d0.5,1"}, "i:training_mode=1", 1},
    {"BatchNormalization", 14, {"f4,3", "f3", "f3", "d0,0,0", "d1,1,1"},
     "i:training_mode=1 f:epsilon=0.1", 1},
    {"LayerNormalization", 17, {"f2,3,4", "f3,4", "f3,4"}, "i:axis=1", 1},
    {"Softmax", 13, {"f2,3,2"}, "i:axis=1", 1},
    {"Softmax", 11, {"f2,3,2"}, "i:axis=1", 1},
    {"LogSoftmax", 13, {"f2,3"}, "", 1},
    {"SoftmaxCrossEntropyLoss", 13, {"f4,3", "k0,2,1,2"}, "", 1},
    {"SoftmaxCrossEntropyLoss", 13, {"f4,3", "k0,2,-1,2", "d0.5,1,2"}, "i:ignore_index=-1", 1},
    {"SoftmaxCrossEntropyLoss", 13, {"f4,3", "k0,2,1,2", "d0.5,1,2"}, "s:reduction=none", 1},
    {"NegativeLogLikelihoodLoss", 13, {"f4,3", "k0,2,1,2", "d0.5,1,2"}, "s:reduction=sum", 1},
    {"NegativeLogLikelihoodLoss", 13, {"f4,3", "k0,2,1,2", "d0.5,1,2"}, "", 1},
};

static int parse(const char *s, double *v) {
    int n = 0;
    for (char *end; *s; s = *end == ',' ? end + 1 : end) {
        v[n++] = strtod(s, &end);
        if (end == s || n == 20)
            fail_msg("cannot read \"%s\"", s);
    }
    return n;
}

static struct bnr_value *constant(char kind, const double *v, int n) {
    struct bnr_value *value;
    struct bnr_tensor *t;
    const enum bnr_dtype d = kind == 'k' ? BNR_INT64 : kind == 'b' ? BNR_BOOL : BNR_DOUBLE;
    ok(bnr__tensor_new(&t, NULL, d, kind == 'd' && n == 1 ? 0 : 1, (const int64_t[]){n}, &err));
    bnr__store_f64(d, t->data, v, (size_t)n);
    ok(bnr__value_constant(&value, m->graph, "c", t, &err));
    return value;
}

static void set_attrs(struct bnr_node *n, const char *attrs) {
    char text[200], *rest = text, name[40], value[100], type;
    snprintf(text, sizeof(text), "%s", attrs);
    for (char *s = strtok_r(text, " ", &rest); s; s = strtok_r(NULL, " ", &rest)) {
        double v[20];
        int64_t ints[20];
        assert_int_equal(sscanf(s, "%c:%39[^=]=%99s", &type, name, value), 3);
        if (type == 's') {
            ok(bnr__node_set_attr_string(n, name, value));
            continue;
        }
        const int count = parse(value, v);
        for (int i = 0; i < count; i++)
            ints[i] = (int64_t)v[i];
        if (type == 'f')
            ok(bnr__node_set_attr_float(n, name, (float)v[0]));
        else if (type == 'i')
            ok(bnr__node_set_attr_int(n, name, ints[0]));
        else
            ok(bnr__node_set_attr_ints(n, name, ints, (size_t)count));
    }
}

// Distinct reproducible values in (-0.9, 0.9), or (0.3, 1.2).
static void fill(struct bnr_tensor *t, unsigned seed, bool positive) {
    for (size_t i = 0; i < t->numel; i++) {
        seed = seed * 1664525u + 1013904223u;
        const double u = (seed >> 8) / 16777216.0;
        t->f64[i] = positive ? 0.3 + 0.9 * u : 1.8 * u - 0.9;
    }
}

// The sum of the squares of all outputs of n.
static struct bnr_value *sum_of_squares(const struct bnr_node *n) {
    struct bnr_value *sum = NULL;
    for (int i = 0; i < n->n_out; i++) {
        struct bnr_value *squares = apply("Mul", n->out[i], n->out[i], NULL);
        struct bnr_value *part =
            apply("ReduceSum", squares, NULL, sum || i + 1 < n->n_out ? NULL : "y");
        ok(bnr__node_set_attr_int(part->producer, "keepdims", 0));
        sum = sum ? apply("Add", sum, part, "y") : part;
    }
    return sum;
}

static double run(bnr_session *s, struct bnr_tensor *const *in, size_t n, struct bnr_tensor **out,
                  size_t n_out) {
    ok(bnr_run(s, (const bnr_tensor *const *)in, n, out, n_out, &err));
    return out[0]->f64[0];
}

static void compare(const char *what, bnr_session *s, struct bnr_tensor *const *in, int n) {
    struct bnr_tensor *out[MAX_IN + 1] = {NULL};
    run(s, in, (size_t)n, out, (size_t)n + 1);
    for (int k = 0; k < n; k++) {
        assert_int_equal(out[k + 1]->numel, in[k]->numel);
        for (size_t i = 0; i < in[k]->numel; i++) {
            const double x = in[k]->f64[i], h = 1e-5;
            double y[2];
            for (int side = 0; side < 2; side++) {
                struct bnr_tensor *value = NULL;
                in[k]->f64[i] = side ? x + h : x - h;
                y[side] = run(s, in, (size_t)n, &value, 1);
                bnr_tensor_release(value);
            }
            in[k]->f64[i] = x;
            const double expected = (y[1] - y[0]) / (2 * h), seen = out[k + 1]->f64[i];
            if (!(fabs(seen - expected) <= 1e-6 * (1 + fabs(expected))))
                fail_msg("%s: input %d, element %zu: %.9g, expected %.9g", what, k, i, seen,
                         expected);
        }
    }
    for (int k = 0; k <= n; k++)
        bnr_tensor_release(out[k]);
}

static void one_case(const struct op_case *c) {
    struct bnr_value *in[MAX_IN], *xs[MAX_IN];
    struct bnr_tensor *x[MAX_IN];
    char names[64] = "";
    int n_in = 0, n_xs = 0;
    begin(c->opset);
    for (; n_in < MAX_IN && c->in[n_in]; n_in++) {
        const char kind = c->in[n_in][0];
        double v[20];
        int64_t dims[20];
        const int n = parse(c->in[n_in] + 1, v);
        if (kind == '-') {
            in[n_in] = NULL;
            continue;
        }
        if (kind != 'f' && kind != 'p') {
            in[n_in] = constant(kind, v, n);
            continue;
        }
        char name[16];
        snprintf(name, sizeof(name), "x%d", n_xs);
        strcat(strcat(names, name), " ");
        for (int i = 0; i < n; i++)
            dims[i] = (int64_t)v[i];
        in[n_in] = xs[n_xs] = input(name, n, dims);
        ok(bnr__tensor_new(&x[n_xs], NULL, BNR_DOUBLE, n, dims, &err));
        fill(x[n_xs], (unsigned)n_xs * 77 + 5, kind == 'p');
        n_xs++;
    }
    struct bnr_node *n = node("", c->op, n_in, in, c->n_out, NULL);
    set_attrs(n, c->attrs);
    ok(bnr__graph_add_output(m->graph, sum_of_squares(n), &err));
    gradient(n_xs, xs, names, "y");
    bnr_session *s = session();
    char what[200];
    snprintf(what, sizeof(what), "%s-%d %s", c->op, c->opset, c->attrs);
    compare(what, s, x, n_xs);
    bnr_session_free(s);
    for (int i = 0; i < n_xs; i++)
        bnr_tensor_release(x[i]);
    bnr__model_free(m);
}

static void rules(void **state) {
    for (size_t i = 0; i < BNR_COUNT(cases); i++)
        one_case(&cases[i]);
}

// ---- graphs -----------------------------------------------------------------------------------------

static struct bnr_tensor *number(double v) {
    struct bnr_tensor *t;
    ok(bnr__tensor_new(&t, NULL, BNR_DOUBLE, 0, NULL, &err));
    t->f64[0] = v;
    return t;
}

static void expect_outputs(double a, double b, const double *expected, size_t n) {
    bnr_session *s = session();
    struct bnr_tensor *in[] = {number(a), number(b)}, *out[4] = {NULL};
    run(s, in, m->graph->n_inputs, out, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(fabs(out[i]->f64[0] - expected[i]) < 1e-12);
        bnr_tensor_release(out[i]);
    }
    bnr_tensor_release(in[0]);
    bnr_tensor_release(in[1]);
    bnr_session_free(s);
    bnr__model_free(m);
}

// y = a b sin(b); z = y a. dz/da, dz/db; then d2z / da db.
static void second_derivative(void **state) {
    begin(13);
    struct bnr_value *a = input("a", 0, NULL), *b = input("b", 0, NULL), *ab[] = {a, b};
    struct bnr_value *y = apply("Mul", apply("Mul", a, b, NULL), apply("Sin", b, NULL, NULL), "y");
    apply("Mul", y, a, "z");
    struct bnr_node *first = gradient(2, ab, "a b", "z");
    gradient(2, ab, "a b", first->out[0]->name);
    const double s = sin(0.7), c = cos(0.7);
    expect_outputs(1.5, 0.7,
                   (double[]){2 * 1.5 * 0.7 * s, 1.5 * 1.5 * (s + 0.7 * c), 2 * 0.7 * s,
                              2 * 1.5 * (s + 0.7 * c)},
                   4);
}

// h = exp(a); y = h h. dy/dh at h itself; at another value, for which the graph is copied.
static void other_values(void **state) {
    begin(13);
    struct bnr_value *a = input("a", 0, NULL), *b = input("b", 0, NULL);
    struct bnr_value *h = apply("Exp", a, NULL, "h");
    apply("Mul", h, h, "y");
    gradient(1, &h, "h", "y");
    gradient(1, &b, "h", "y");
    expect_outputs(0.5, 3, (double[]){2 * exp(0.5), 6}, 2);
}

// y does not depend on b; the gradient of y to itself is 1.
static void trivial(void **state) {
    begin(13);
    struct bnr_value *a = input("a", 0, NULL), *b = input("b", 0, NULL);
    struct bnr_value *y = apply("Floor", apply("Add", a, b, NULL), NULL, "y");
    gradient(2, (struct bnr_value *[]){a, b}, "a b", "y");
    gradient(1, &y, "y", "y");
    expect_outputs(0.5, 3, (double[]){0, 0, 1}, 3);
}

static void refused(const char *part) {
    bnr_session *s;
    ok(bnr__model_resolve(m, NULL, &err));
    ok(bnr__model_infer(m, &err));
    assert_int_not_equal(bnr_session_create(&s, m, NULL, &err), BNR_OK);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    bnr__model_free(m);
}

static void refusals(void **state) {
    begin(13);
    struct bnr_value *a = input("a", 2, (const int64_t[]){2, 2}), *y = apply("Det", a, NULL, "y");
    (void)y;
    gradient(1, &a, "a", "y");
    refused("(Det): this build has no gradient rule");
    begin(13);
    a = input("a", 0, NULL);
    apply("Exp", a, NULL, "y");
    gradient(1, &a, "a", "nowhere");
    refused("there is no value 'nowhere'");
    begin(13);
    a = input("a", 0, NULL);
    apply("Exp", a, NULL, "y");
    struct bnr_node *n = gradient(1, &a, "a", "y");
    ok(bnr__node_set_input(n, 1, a));
    refused("2 inputs and 1 outputs, but xs has 1 names");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),        cmocka_unit_test(second_derivative),
        cmocka_unit_test(other_values), cmocka_unit_test(trivial),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
