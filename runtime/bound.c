// SPDX-License-Identifier: Apache-2.0
#include "runtime/bound.h"

#include <math.h>

#include "graph/op.h"
#include "passes/pass.h"
#include "runtime/difference.h"
#include "runtime/interface.h"
#include "runtime/ops/lib/affine_scaled.h"

struct rounding {
    double u, eta;
};

static struct rounding rounding_of(enum bnr_dtype d) {
    switch ((int)d) {
    case BNR_FLOAT:
        return (struct rounding){0x1p-24, 0x1p-126};
    case BNR_FLOAT16:
        return (struct rounding){0x1p-11, 0x1p-14};
    case BNR_BFLOAT16:
        return (struct rounding){0x1p-8, 0x1p-126};
    case BNR_DOUBLE:
        return (struct rounding){0x1p-53, 0x1p-1022};
    default:
        return (struct rounding){NAN, NAN};
    }
}

// The numbers of input i, lazy or not, also where they are dequantized from constants; NULL, or a new
// reference.
static struct bnr_tensor *numbers(const struct bnr_node *n, int i) {
    const struct bnr_value *v = i < n->n_in ? n->in[i] : NULL;
    const struct bnr_tensor *constant = bnr__value_constant_tensor(v);
    struct bnr_tensor *t = constant ? bnr__tensor_share(constant) : bnr__affine_numbers(v);
    if (!t || (t->kind == BNR_KIND_TENSOR && bnr__dtype_is_float(t->dtype)))
        return t;
    bnr__tensor_unref(t);
    return NULL;
}

// Where the weights of output channel o are: [outer, channels, inner] with the sum over outer and inner,
// `groups` of them along outer.
struct layout {
    size_t groups, outer, channels, inner; // outer: of one group
};

static bool columns_are_outputs(const struct bnr_node *n, int w_index) {
    return (bnr__node_is(n, "", "Gemm") && !bnr__attr_int(n, "transB", 0)) ||
           (bnr__node_is(n, "", "MatMul") && w_index == 1);
}

static bool layout_of(const struct bnr_node *n, const struct bnr_tensor *w, int w_index,
                      struct layout *l) {
    *l = (struct layout){1, 1, 1, 1};
    if (w->rank < 2 || w->numel == 0)
        return false;
    const size_t first = (size_t)w->dims[0];
    if (bnr__node_is(n, "", "Conv")) {
        l->channels = first;
        l->inner = w->numel / first;
    } else if (bnr__node_is(n, "", "ConvTranspose")) {
        const int64_t group = bnr__attr_int(n, "group", 1);
        if (group < 1 || w->dims[0] % group != 0)
            return false;
        l->groups = (size_t)group;
        l->outer = first / l->groups;
        l->channels = (size_t)w->dims[1];
        l->inner = w->numel / first / l->channels;
    } else if (columns_are_outputs(n, w_index)) { // [..., K, N], leading dims 1
        l->channels = (size_t)w->dims[w->rank - 1];
        l->outer = w->numel / l->channels;
    } else if (bnr__node_is(n, "", "Gemm") || bnr__node_is(n, "", "MatMul")) { // [..., N, K]
        l->channels = (size_t)w->dims[w->rank - 2];
        l->inner = w->numel / l->channels;
    } else {
        return false;
    }
    return true;
}

// sums[o]: magnitudes of the weights of output channel o, in the order of memory.
static void sum_channels(const struct bnr_tensor *w, const struct layout *l, double *sums) {
    enum { PIECE = 512 };
    double v[PIECE];
    for (size_t at = 0, n; at < w->numel; at += n) {
        const size_t run = at / l->inner, channel = run % l->channels;
        double *group = sums + run / l->channels / l->outer * l->channels;
        n = l->inner;
        if (n > 1) {
            group[channel] += bnr__weights_sum(w, at, n);
            continue;
        }
        n = l->channels - channel < PIECE ? l->channels - channel : PIECE;
        bnr__weights_f64(w, v, at, n);
        for (size_t i = 0; i < n; i++)
            group[channel + i] += fabs(v[i]);
    }
}

// |b'[o]|: that of the channel where there is one for each, else the largest.
static double shift_of(const struct bnr_tensor *b, size_t channels, size_t o) {
    double largest = 0;
    if (b && b->numel == channels)
        return fabs(bnr__tensor_f64(b, o));
    for (size_t i = 0; b && i < b->numel; i++)
        largest = fmax(largest, fabs(bnr__tensor_f64(b, i)));
    return largest;
}

// A constant that is added directly behind: where an operator has no place for a shift.
static struct bnr_tensor *added_behind(const struct bnr_node *n) {
    const struct bnr_value *y = n->out[0];
    const struct bnr_node *add = y && y->n_uses == 1 ? y->uses[0].node : NULL;
    return add && bnr__node_is(add, "", "Add") ? numbers(add, 1 - y->uses[0].index) : NULL;
}

// What an operator computes with.
struct constants {
    struct bnr_tensor *w, *b, *behind;
};

static double bound_of(const struct bnr_node *n, const struct constants *c, int w_index, double x_max) {
    struct layout l;
    if (!c->w || !layout_of(n, c->w, w_index, &l))
        return (double)NAN;
    const bool gemm = bnr__node_is(n, "", "Gemm");
    const double alpha = gemm ? fabs((double)bnr__attr_float(n, "alpha", 1)) : 1;
    const double beta = gemm ? fabs((double)bnr__attr_float(n, "beta", 1)) : 1;
    const struct rounding r = rounding_of(c->w->dtype);
    const double terms = (double)(l.outer * l.inner), times = (double)n->n_origins + 1;
    const double w_times =
        bnr__value_constant_tensor(n->in[w_index]) ? 1 + (double)n->multiplied : times;
    const size_t all = l.groups * l.channels;
    const struct bnr_allocator *a = n->graph->model->allocator;
    double worst = 0, *sums = bnr__calloc(a, all, sizeof *sums);
    if (!sums)
        return (double)NAN;
    sum_channels(c->w, &l, sums);
    for (size_t o = 0; o < all; o++) {
        const double shift = beta * shift_of(c->b, all, o) + shift_of(c->behind, all, o);
        const double product = alpha * (r.u * sums[o] + r.eta * terms) * x_max;
        worst = fmax(worst, w_times * product + times * (r.u * shift + (beta + 1) * r.eta));
    }
    bnr__free(a, sums, all * sizeof *sums);
    return worst * (1 + 0x1p-20);
}

// Which input the weights are.
static int weights_index(const struct bnr_node *n) {
    struct bnr_tensor *right = bnr__node_is(n, "", "MatMul") ? numbers(n, 1) : NULL;
    const int index = bnr__node_is(n, "", "MatMul") && !right ? 0 : 1;
    bnr__tensor_unref(right);
    return index;
}

double bnr__bound_node(const struct bnr_node *n, double x_max) {
    const int w_index = weights_index(n);
    struct constants c = {numbers(n, w_index), numbers(n, 2), added_behind(n)};
    const double bound = bound_of(n, &c, w_index, x_max);
    bnr__tensor_unref(c.w);
    bnr__tensor_unref(c.b);
    bnr__tensor_unref(c.behind);
    return bound;
}

struct search {
    const struct bnr_bn *bn;
    double x_max, worst;
};

static enum bnr_status search_graph(struct bnr_graph *g, void *cx) {
    struct search *s = cx;
    for (const struct bnr_node *n = g->first; n; n = n->next)
        for (size_t i = 0; i < n->n_origins; i++)
            if (n->origins[i] == s->bn) {
                const double bound = bnr__bound_node(n, s->x_max);
                s->worst = isnan(s->worst) || bound > s->worst ? bound : s->worst;
            }
    return BNR_OK;
}

double bnr__bound(const struct bnr_model *folded, size_t k, double x_max) {
    struct search s = {k < folded->n_bns ? folded->bns[k] : NULL, x_max, NAN};
    bnr__model_each_graph((struct bnr_model *)(uintptr_t)folded, search_graph, &s);
    return s.worst;
}

// ---- with the magnitudes of a run -------------------------------------------------------------------

struct measuring {
    struct bnr_model *folded;
    const struct bnr_node **nodes; // those of the main graph that carry a BN, and output of their input
    size_t *outputs;
    size_t n;
};

static enum bnr_status expose_inputs(struct measuring *m, struct bnr_error *err) {
    struct bnr_graph *g = m->folded->graph;
    m->nodes = BNR_NEW_ARRAY(&m->folded->arena, g->n_nodes + 1, const struct bnr_node *);
    m->outputs = BNR_NEW_ARRAY(&m->folded->arena, g->n_nodes + 1, size_t);
    if (!m->nodes || !m->outputs)
        return bnr__no_memory(err);
    for (struct bnr_node *n = g->first; n; n = n->next) {
        if (n->n_origins == 0 || n->n_in == 0 || isnan(bnr__bound_node(n, 1)))
            continue;
        struct bnr_value *x = n->in[1 - weights_index(n)];
        m->nodes[m->n] = n;
        m->outputs[m->n++] = g->n_outputs;
        BNR_TRY(bnr__graph_add_output(g, x, err));
    }
    return BNR_OK;
}

static void take_bounds(const struct measuring *m, struct bnr_tensor *const *outs, double *bounds,
                        size_t count) {
    for (size_t i = 0; i < m->n; i++) {
        const double bound = bnr__bound_node(m->nodes[i], bnr__largest(outs[m->outputs[i]]));
        for (size_t j = 0; j < m->nodes[i]->n_origins; j++)
            for (size_t k = 0; k < count && k < m->folded->n_bns; k++)
                if (m->folded->bns[k] == m->nodes[i]->origins[j] && !(bounds[k] >= bound))
                    bounds[k] = bound;
    }
}

static enum bnr_status run_folded(const struct measuring *m, const struct bnr_model *origin,
                                  const bnr_tensor *const *inputs,
                                  size_t n_inputs, const struct bnr_options *options,
                                  struct bnr_tensor ***out, struct bnr_error *err) {
    struct bnr_options o = *options;
    bnr_session *s;
    o.flags = (o.flags & BNR_FREEZE_INITIALIZERS) | BNR_REFERENCE;
    const bnr_tensor **left =
        BNR_NEW_ARRAY(&m->folded->arena, m->folded->graph->n_inputs + 1, const bnr_tensor *);
    *out = BNR_NEW_ARRAY(&m->folded->arena, m->folded->graph->n_outputs, struct bnr_tensor *);
    if (!left || !*out)
        return bnr__no_memory(err);
    BNR_TRY(bnr_session_create(&s, m->folded, &o, err));
    const enum bnr_status st = bnr_run(s, left, bnr__interface_left(m->folded, origin, inputs, n_inputs, left),
                                       *out, m->folded->graph->n_outputs, err);
    bnr_session_free(s);
    return st;
}

static enum bnr_status measure(struct measuring *m, const struct bnr_model *origin,
                               const bnr_tensor *const *inputs, size_t n_inputs,
                               const struct bnr_options *options, double *bounds, size_t count,
                               struct bnr_error *err) {
    struct bnr_tensor **outs;
    m->folded->freeze_initializers = options->flags & BNR_FREEZE_INITIALIZERS;
    BNR_TRY(bnr__model_resolve(m->folded, NULL, err));
    BNR_TRY(bnr__model_infer(m->folded, err));
    BNR_TRY(bnr__passes_run(m->folded, options, BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE, err));
    BNR_TRY(expose_inputs(m, err));
    BNR_TRY(run_folded(m, origin, inputs, n_inputs, options, &outs, err));
    take_bounds(m, outs, bounds, count);
    for (size_t i = 0; i < m->folded->graph->n_outputs; i++)
        bnr__tensor_unref(outs[i]);
    return BNR_OK;
}

enum bnr_status bnr__bounds_measure(const struct bnr_model *model, const bnr_tensor *const *inputs,
                                    size_t n_inputs, const struct bnr_options *options, double *bounds,
                                    size_t count, struct bnr_error *err) {
    struct measuring m = {.n = 0};
    for (size_t k = 0; k < count; k++)
        bounds[k] = NAN;
    if (options->flags & (BNR_NO_FOLD | BNR_REFERENCE))
        return BNR_OK;
    BNR_TRY(bnr__model_clone(&m.folded, model, err));
    const enum bnr_status st = measure(&m, model, inputs, n_inputs, options, bounds, count, err);
    bnr__model_free(m.folded);
    return st;
}
