// SPDX-License-Identifier: Apache-2.0
#include "runtime/train.h"

#include <math.h>

#include "graph/affine.h"
#include "graph/op.h"
#include "runtime/expose.h"

enum { MEAN = 3, VAR = 4 }; // inputs of the operator

// ---- which train ------------------------------------------------------------------------------------

enum { MAX_CHAIN = 8 };

// Whether it is an initializer, or nodes make it of initializers (Identity, ConstantOfShape, ...).
static bool is_constant(const struct bnr_value *v, int depth) {
    const struct bnr_node *p = v->producer;
    if (bnr__value_is_constant(v) || v->info->tensor)
        return true;
    if (!p || !p->op || (p->op->flags & BNR_OP_RANDOM) || bnr__node_has_subgraphs(p) || depth == 0)
        return false;
    for (int i = 0; i < p->n_in; i++)
        if (p->in[i] && !is_constant(p->in[i], depth - 1))
            return false;
    return true;
}

// A mean or variance.
struct statistic {
    enum bnr_dtype dtype;
    int rank;
    int64_t dims[BNR_MAX_RANK];
    size_t numel;
};

static bool statistic(const struct bnr_value *v, struct statistic *s) {
    if (!v || !is_constant(v, MAX_CHAIN))
        return false;
    const struct bnr_tensor *t = bnr__value_is_constant(v) ? v->tensor : v->info->tensor;
    const struct bnr_type *type = &v->info->type;
    if (t ? t->kind != BNR_KIND_TENSOR : type->kind != BNR_KIND_TENSOR || !bnr__shape_known(&type->shape))
        return false;
    s->dtype = t ? t->dtype : type->dtype;
    s->rank = t ? t->rank : type->shape.rank;
    for (int i = 0; i < s->rank; i++)
        s->dims[i] = t ? t->dims[i] : type->shape.dims[i].n;
    return bnr__dtype_is_float(s->dtype) &&
           bnr__shape_numel(s->dims, s->rank, "", &s->numel, NULL) == BNR_OK;
}

static const char *why_not(const struct bnr_node *n) {
    struct statistic mean, var;
    if (n->n_in != 5 || n->n_out < 1 || !n->out[0])
        return "it is not complete";
    if (bnr__batch_norm_trains(n))
        return "it normalizes by the batch anyway";
    if (!statistic(n->in[MEAN], &mean) || !statistic(n->in[VAR], &var))
        return "its mean and variance are not constant";
    if (mean.numel != var.numel)
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
    struct statistic mean;
    bn->channels = statistic(n->in[MEAN], &mean) ? mean.numel : 0;
    bn->nested = n->graph->owner != NULL;
    bn->mean = BNR_NEW_ARRAY(arena, bn->channels, double);
    bn->var = BNR_NEW_ARRAY(arena, bn->channels, double);
    bn->unbiased = BNR_NEW_ARRAY(arena, bn->channels, double);
    return bn->mean && bn->var && bn->unbiased ? BNR_OK : bnr__no_memory(w->err);
}

// ---- edits ------------------------------------------------------------------------------------------

static enum bnr_status set_constant(struct bnr_node *n, int input, const double *values,
                                    enum bnr_dtype dtype, struct bnr_error *err) {
    const struct bnr_allocator *a = n->graph->model->allocator;
    struct statistic old;
    struct bnr_tensor *wide, *t;
    struct bnr_value *v;
    if (!statistic(n->in[input], &old))
        return bnr__fail(err, BNR_INTERNAL, "node '%s': its statistics are no constants any more", n->label);
    BNR_TRY(bnr__tensor_new(&wide, a, BNR_DOUBLE, old.rank, old.dims, err));
    for (size_t i = 0; i < wide->numel; i++)
        wide->f64[i] = values ? values[i] : 0;
    enum bnr_status st =
        bnr__tensor_cast(&t, a, wide, dtype == BNR_UNDEFINED ? old.dtype : dtype, err);
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
    struct bnr_node *size;
    struct bnr_value *mean, *var, *count;
    const struct bnr_type number = {.dtype = BNR_INT64, .shape = {.rank = 0}};
    const struct bnr_type vector = {
        .dtype = first == 1 ? n->in[MEAN]->info->type.dtype : n->in[0]->info->type.dtype,
        .shape = bnr__shape_of(1, (const int64_t[]){(int64_t)bn->channels})};
    BNR_TRY(bnr__node_output(&mean, n, first, w->err));
    BNR_TRY(bnr__node_output(&var, n, first + 1, w->err));
    BNR_TRY(bnr__node_new(&size, n->graph, n, "", "Size", NULL, 1, &n->in[0], 1, w->err));
    BNR_TRY(bnr__node_output(&count, size, 0, w->err));
    BNR_TRY(bnr__expose(&bn->outputs[0], mean, &vector, w->err));
    BNR_TRY(bnr__expose(&bn->outputs[1], var, &vector, w->err));
    return bnr__expose(&bn->outputs[2], count, &number, w->err);
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

// ---- reading ------------------------------------------------------------------------------------------

// What a layer told: one row of statistics for each time that it ran.
struct told {
    const double *mean, *var, *count; // [rows * channels], [rows * channels], [rows]
    size_t rows;
};

static enum bnr_status collect(const struct bnr_train_bn *bn, struct bnr_tensor *const *outputs,
                               struct bnr_arena *temp, struct told *told, struct bnr_error *err) {
    double *v[3];
    size_t n[3];
    for (int i = 0; i < 3; i++) {
        const struct bnr_tensor *t = outputs[bn->outputs[i]];
        n[i] = bnr__exposed_numbers(t, NULL, 0);
        v[i] = BNR_NEW_ARRAY(temp, n[i], double);
        if (!v[i])
            return bnr__no_memory(err);
        bnr__exposed_numbers(t, v[i], n[i]);
    }
    if (n[0] != n[2] * bn->channels || n[1] != n[0])
        return bnr__fail(err, BNR_SHAPE, "node '%s': %zu statistics, expected %zu", bn->name, n[0],
                         n[2] * bn->channels);
    *told = (struct told){v[0], v[1], v[2], n[2]};
    return BNR_OK;
}

// Averages over the times that it ran, each by its number of values.
static void average(struct bnr_train_bn *bn, const struct told *told) {
    bn->count = 0;
    bn->runs = 0;
    bn->fewest = HUGE_VAL;
    for (size_t i = 0; i < bn->channels; i++)
        bn->mean[i] = bn->var[i] = bn->unbiased[i] = 0;
    for (size_t row = 0; row < told->rows && bn->channels > 0; row++) {
        const double m = told->count[row] / (double)bn->channels;
        if (!(m > 0))
            continue; // a branch that was not taken
        bn->runs++;
        bn->count += m;
        bn->fewest = fmin(bn->fewest, m);
        for (size_t i = 0; i < bn->channels; i++) {
            const size_t at = row * bn->channels + i;
            const double correction = m > 1 ? m / (m - 1) : 1;
            bn->mean[i] += m / bn->count * (told->mean[at] - bn->mean[i]);
            bn->var[i] += m / bn->count * (told->var[at] - bn->var[i]);
            bn->unbiased[i] += m / bn->count * (told->var[at] * correction - bn->unbiased[i]);
        }
    }
}

static const char *why_not_read(const struct bnr_trainer *t, const struct bnr_train_bn *bn) {
    if (bn->runs == 0)
        return t->once ? BNR_TRAIN_NOT_RUN : NULL; // another batch may take that branch
    if (bn->fewest <= 1)
        return BNR_TRAIN_ONE_VALUE;
    if (t->once && bn->runs > 1)
        return "it ran several times, each with statistics of its own, which no constants can give";
    return NULL;
}

enum bnr_status bnr__trainer_read(struct bnr_trainer *t, struct bnr_tensor *const *outputs, bool *again,
                                  struct bnr_error *err) {
    struct bnr_arena temp = {.allocator = t->origin->allocator};
    enum bnr_status st = BNR_OK;
    *again = false;
    for (size_t k = 0; st == BNR_OK && k < t->n_bns; k++) {
        struct bnr_train_bn *bn = &t->bns[k];
        struct told told = {.rows = 0};
        if (bn->skipped)
            continue;
        st = collect(bn, outputs, &temp, &told, err);
        if (st != BNR_OK)
            break;
        average(bn, &told);
        bnr__arena_reset(&temp);
        bn->skipped = why_not_read(t, bn);
        *again = *again || bn->skipped;
    }
    bnr__arena_free(&temp);
    return st == BNR_OK && *again ? make_model(t, err) : st;
}

enum bnr_status bnr__trainer_apply(struct bnr_model **out, const struct bnr_trainer *t,
                                   enum bnr_dtype dtype, struct bnr_error *err) {
    struct walk w = {.t = (struct bnr_trainer *)(uintptr_t)t, .visit = apply, .dtype = dtype, .err = err};
    *out = NULL;
    return walk_copy(out, t, &w);
}
