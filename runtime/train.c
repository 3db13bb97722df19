// SPDX-License-Identifier: Apache-2.0
#include "runtime/train.h"

#include <math.h>

#include "graph/affine.h"
#include "graph/op.h"

enum { MEAN = 3, VAR = 4 }; // inputs of the operator

// ---- which train ------------------------------------------------------------------------------------

// What an initializer holds, or a node makes of initializers (Identity, ConstantOfShape, ...); else NULL.
static const struct bnr_tensor *statistic(const struct bnr_value *v) {
    const struct bnr_tensor *t = !v ? NULL : bnr__value_is_constant(v) ? v->tensor : v->info.tensor;
    return t && t->kind == BNR_KIND_TENSOR && bnr__dtype_is_float(t->dtype) ? t : NULL;
}

static const char *why_not(const struct bnr_node *n) {
    if (n->graph->owner)
        return "it stands in a subgraph, which may run several times or not at all";
    if (n->n_in != 5 || n->n_out < 1 || !n->out[0])
        return "it is not complete";
    if (bnr__batch_norm_trains(n))
        return "it normalizes by the batch anyway";
    const struct bnr_tensor *mean = statistic(n->in[MEAN]), *var = statistic(n->in[VAR]);
    if (!mean || !var)
        return "its mean and variance are not constant";
    if (mean->numel != var->numel)
        return "its mean and variance differ in length";
    return NULL;
}

struct walk {
    struct bnr_trainer *t;
    enum bnr_status (*visit)(struct walk *w, struct bnr_node *n, size_t k);
    size_t n;
    enum bnr_dtype dtype;
    struct bnr_error *err;
};

// Copies of a model list their nodes in the same order, so that the k-th is the k-th in each.
static enum bnr_status walk_graph(struct bnr_graph *g, void *cx) {
    struct walk *w = cx;
    struct bnr_node *next;
    for (struct bnr_node *n = g->first; n; n = next) {
        next = n->next;
        if (bnr__node_is(n, "", "BatchNormalization"))
            BNR_TRY(w->visit(w, n, w->n++));
    }
    return BNR_OK;
}

static enum bnr_status walk_model(struct walk *w, struct bnr_model *m) {
    return bnr__model_each_graph(m, walk_graph, w);
}

static enum bnr_status count(struct walk *w, struct bnr_node *n, size_t k) {
    return BNR_OK;
}

static enum bnr_status describe(struct walk *w, struct bnr_node *n, size_t k) {
    struct bnr_train_bn *bn = &w->t->bns[k];
    struct bnr_arena *arena = &w->t->arena;
    bn->name = bnr__arena_strdup(arena, n->label);
    bn->skipped = why_not(n);
    if (!bn->name)
        return bnr__no_memory(w->err);
    if (bn->skipped)
        return BNR_OK;
    bn->channels = statistic(n->in[MEAN])->numel;
    bn->mean = BNR_NEW_ARRAY(arena, bn->channels, double);
    bn->var = BNR_NEW_ARRAY(arena, bn->channels, double);
    return bn->mean && bn->var ? BNR_OK : bnr__no_memory(w->err);
}

// ---- edits ------------------------------------------------------------------------------------------

static enum bnr_status grow_outputs(struct bnr_node *n, int count, struct bnr_error *err) {
    if (n->n_out >= count)
        return BNR_OK;
    struct bnr_value **out = BNR_NEW_ARRAY(&n->graph->model->arena, (size_t)count, struct bnr_value *);
    if (!out)
        return bnr__no_memory(err);
    for (int i = 0; i < n->n_out; i++)
        out[i] = n->out[i];
    n->out = out;
    n->n_out = count;
    return BNR_OK;
}

enum bnr_status bnr__expose_output(struct bnr_node *n, int index, struct bnr_error *err) {
    BNR_TRY(grow_outputs(n, index + 1, err));
    if (!n->out[index]) {
        struct bnr_value *v;
        BNR_TRY(bnr__value_new(&v, n->graph, NULL, err));
        bnr__node_set_output(n, index, v);
    }
    return bnr__graph_add_output(n->graph, n->out[index], err);
}

static enum bnr_status set_constant(struct bnr_node *n, int input, const double *values,
                                    enum bnr_dtype dtype, struct bnr_error *err) {
    const struct bnr_tensor *old = statistic(n->in[input]);
    const struct bnr_allocator *a = n->graph->model->allocator;
    struct bnr_tensor *wide, *t;
    struct bnr_value *v;
    BNR_TRY(bnr__tensor_new(&wide, a, BNR_DOUBLE, old->rank, old->dims, err));
    for (size_t i = 0; i < wide->numel; i++)
        wide->f64[i] = values ? values[i] : 0;
    enum bnr_status st =
        bnr__tensor_cast(&t, a, wide, dtype == BNR_UNDEFINED ? old->dtype : dtype, err);
    bnr__tensor_unref(wide);
    struct bnr_value *only = n->in[input];
    if (st == BNR_OK && dtype == BNR_UNDEFINED && bnr__value_is_constant(only) && bnr__value_single_use(only)) {
        bnr__tensor_unref(only->tensor); // the name stays
        only->tensor = t;
        return BNR_OK;
    }
    if (st == BNR_OK)
        st = bnr__value_constant(&v, n->graph, n->in[input]->name, t, err);
    if (st == BNR_OK && bnr__node_set_input(n, input, v) != BNR_OK)
        st = bnr__no_memory(err);
    return st;
}

// From opset 14 on the operator mixes the batch's statistics with the given ones: zeros, with momentum 0.
// Before, it has outputs for the batch's own.
static enum bnr_status train(struct walk *w, struct bnr_node *n, size_t k) {
    struct bnr_train_bn *bn = &w->t->bns[k];
    const int first = n->since >= 14 ? 1 : 3;
    if (bn->skipped)
        return BNR_OK;
    if (bnr__node_set_attr_int(n, "training_mode", 1) != BNR_OK ||
        bnr__node_set_attr_float(n, "momentum", 0) != BNR_OK)
        return bnr__no_memory(w->err);
    BNR_TRY(set_constant(n, MEAN, NULL, BNR_UNDEFINED, w->err));
    BNR_TRY(set_constant(n, VAR, NULL, BNR_UNDEFINED, w->err));
    bn->output = n->graph->n_outputs;
    BNR_TRY(bnr__expose_output(n, first, w->err));
    BNR_TRY(bnr__expose_output(n, first + 1, w->err));
    struct bnr_node *size;
    BNR_TRY(bnr__node_new(&size, n->graph, n, "", "Size", NULL, 1, &n->in[0], 1, w->err));
    return bnr__expose_output(size, 0, w->err);
}

static enum bnr_status apply(struct walk *w, struct bnr_node *n, size_t k) {
    const struct bnr_train_bn *bn = &w->t->bns[k];
    if (bn->skipped)
        return BNR_OK;
    BNR_TRY(set_constant(n, MEAN, bn->mean, w->dtype, w->err));
    return set_constant(n, VAR, bn->var, w->dtype, w->err);
}

// ---- models -----------------------------------------------------------------------------------------

static enum bnr_status walk_copy(struct bnr_model **out, const struct bnr_trainer *t, struct walk *w) {
    struct bnr_model *copy;
    BNR_TRY(bnr__model_clone(&copy, t->origin, w->err));
    copy->freeze_initializers = t->freeze;
    enum bnr_status st = bnr__model_infer(copy, w->err);
    if (st == BNR_OK)
        st = walk_model(w, copy);
    copy->freeze_initializers = false;
    if (st == BNR_OK)
        *out = copy;
    else
        bnr__model_free(copy);
    return st;
}

static enum bnr_status make_model(struct bnr_trainer *t, struct bnr_error *err) {
    struct walk w = {.t = t, .visit = train, .err = err};
    bnr__model_free(t->model);
    t->model = NULL;
    BNR_TRY(walk_copy(&t->model, t, &w));
    t->n_all = t->model->graph->n_outputs;
    return BNR_OK;
}

static enum bnr_status init(struct bnr_trainer *t, struct bnr_error *err) {
    struct walk counting = {.t = t, .visit = count, .err = err};
    struct bnr_model *copy = NULL;
    BNR_TRY(walk_copy(&copy, t, &counting));
    bnr__model_free(copy);
    t->n_bns = counting.n;
    t->bns = BNR_NEW_ARRAY(&t->arena, t->n_bns, struct bnr_train_bn);
    if (!t->bns)
        return bnr__no_memory(err);
    struct walk describing = {.t = t, .visit = describe, .err = err};
    BNR_TRY(walk_copy(&copy, t, &describing));
    bnr__model_free(copy);
    return make_model(t, err);
}

enum bnr_status bnr__trainer_new(struct bnr_trainer **out, const struct bnr_model *origin, bool freeze,
                                 struct bnr_error *err) {
    *out = NULL;
    struct bnr_trainer *t = bnr__calloc(origin->allocator, 1, sizeof *t);
    if (!t)
        return bnr__no_memory(err);
    bnr__arena_init(&t->arena, origin->allocator);
    t->origin = origin;
    t->freeze = freeze;
    t->n_outputs = origin->graph->n_outputs;
    const enum bnr_status st = init(t, err);
    if (st == BNR_OK)
        *out = t;
    else
        bnr__trainer_free(t);
    return st;
}

void bnr__trainer_free(struct bnr_trainer *t) {
    if (!t)
        return;
    bnr__model_free(t->model);
    bnr__arena_free(&t->arena);
    bnr__free(t->origin->allocator, t, sizeof *t);
}

enum bnr_status bnr__trainer_read(struct bnr_trainer *t, struct bnr_tensor *const *outputs, bool *again,
                                  struct bnr_error *err) {
    *again = false;
    for (size_t k = 0; k < t->n_bns; k++) {
        struct bnr_train_bn *bn = &t->bns[k];
        if (bn->skipped)
            continue;
        struct bnr_tensor *const *o = outputs + bn->output;
        if (o[0]->numel != bn->channels || o[1]->numel != bn->channels)
            return bnr__fail(err, BNR_SHAPE, "node '%s': %zu statistics, expected %zu", bn->name,
                             o[0]->numel, bn->channels);
        for (size_t i = 0; i < bn->channels; i++) {
            bn->mean[i] = bnr__tensor_f64(o[0], i);
            bn->var[i] = bnr__tensor_f64(o[1], i);
        }
        bn->count = bn->channels ? bnr__tensor_f64(o[2], 0) / (double)bn->channels : 0;
        if (bn->count <= 1) {
            bn->skipped = "the batch has one value per channel: no variance (give a larger batch)";
            *again = true;
        }
    }
    return *again ? make_model(t, err) : BNR_OK;
}

enum bnr_status bnr__trainer_apply(struct bnr_model **out, const struct bnr_trainer *t,
                                   enum bnr_dtype dtype, struct bnr_error *err) {
    struct walk w = {.t = (struct bnr_trainer *)(uintptr_t)t, .visit = apply, .dtype = dtype, .err = err};
    *out = NULL;
    return walk_copy(out, t, &w);
}
