// SPDX-License-Identifier: Apache-2.0
#include "passes/lib/bn_report.h"

#include <math.h>

#include "graph/op.h"
#include "passes/lib/affine_view.h"

enum { SCALE = 1, VAR = 4 };

static const struct bnr_tensor *parameter(const struct bnr_node *n, int i) {
    const struct bnr_value *v = i < n->n_in ? n->in[i] : NULL;
    const struct bnr_tensor *t = v && bnr__value_is_constant(v) ? v->tensor : NULL;
    return t && t->kind == BNR_KIND_TENSOR && bnr__dtype_is_float(t->dtype) ? t : NULL;
}

void bnr__bn_measure(const struct bnr_node *n) {
    const struct bnr_tensor *scale = parameter(n, SCALE), *var = parameter(n, VAR);
    if (!bnr__is_batch_norm(n) || n->n_origins != 1)
        return;
    struct bnr_bn *bn = n->origins[0];
    if (scale && bn->channels < 0)
        bn->channels = (int64_t)scale->numel;
    if (!scale || !var || scale->numel != var->numel || scale->numel == 0 || !isnan(bn->max_scale))
        return;
    const double epsilon = (double)bnr__attr_float(n, "epsilon", 1e-5f);
    double max_scale = 0, min_var = INFINITY;
    for (size_t i = 0; i < scale->numel; i++) {
        const double v = bnr__tensor_f64(var, i) + epsilon;
        const double s = fabs(bnr__tensor_f64(scale, i)) / sqrt(v);
        max_scale = s > max_scale || isnan(s) ? s : max_scale; // NaN stays
        min_var = v < min_var || isnan(v) ? v : min_var;
    }
    bn->max_scale = max_scale;
    bn->min_var_eps = min_var;
}

static enum bnr_status enter(struct bnr_pass_cx *cx, struct bnr_node *n) {
    struct bnr_model *m = cx->model;
    struct bnr_bn *bn = BNR_NEW(&m->arena, struct bnr_bn);
    struct bnr_bn **all =
        bnr__arena_grow(&m->arena, m->bns, m->n_bns, &m->bns_capacity, sizeof(struct bnr_bn *));
    if (all)
        m->bns = all;
    n->origins = BNR_NEW_ARRAY(&m->arena, 1, struct bnr_bn *);
    if (!bn || !all || !n->origins)
        return bnr__no_memory(cx->err);
    *bn = (struct bnr_bn){.name = n->label,
                          .verdict = BNR_BN_KEPT,
                          .channels = -1,
                          .max_scale = NAN,
                          .min_var_eps = NAN};
    const struct bnr_shape *x = &n->in[0]->info->type.shape;
    if (x->rank > 1 && x->dims[1].n >= 0)
        bn->channels = x->dims[1].n;
    m->bns[m->n_bns++] = bn;
    n->origins[0] = bn;
    n->n_origins = 1;
    bnr__bn_measure(n);
    return BNR_OK;
}

static enum bnr_status register_graph(struct bnr_graph *g, void *arg) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (bnr__is_batch_norm(n) && n->n_origins == 0 && n->n_in > 0 && n->in[0])
            BNR_TRY(enter(arg, n));
    return BNR_OK;
}

enum bnr_status bnr__bn_register(struct bnr_pass_cx *cx) {
    return bnr__model_each_graph(cx->model, register_graph, cx);
}

static enum bnr_status measure_graph(struct bnr_graph *g, void *arg) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        bnr__bn_measure(n);
    return BNR_OK;
}

enum bnr_status bnr__bn_conclude(struct bnr_pass_cx *cx) {
    struct bnr_model *m = cx->model;
    for (size_t i = 0; i < m->n_bns; i++)
        if (m->bns[i]->verdict == BNR_BN_KEPT && !m->bns[i]->reason)
            m->bns[i]->reason = cx->groups & BNR_PASS_FOLD ? "folding stopped before it"
                                                           : "folding was not asked for";
    return bnr__model_each_graph(m, measure_graph, NULL);
}

void bnr__bn_gone(const struct bnr_node *n, const char *into, const char *reason) {
    for (size_t i = 0; i < n->n_origins; i++) {
        struct bnr_bn *bn = n->origins[i];
        if (bn->verdict != BNR_BN_KEPT)
            continue;
        bn->verdict = BNR_BN_FOLDED;
        bn->into = into;
        bn->reason = reason;
    }
}
