// SPDX-License-Identifier: Apache-2.0
#include "passes/lib/gradient.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/affine.h"

enum { OPSET = 21 }; // of the nodes that rules make

static struct bnr_value *failed(struct bnr_gradient *cx, enum bnr_status st) {
    if (cx->status == BNR_OK && st != BNR_OK)
        cx->status = st == BNR_NO_MEMORY ? bnr__no_memory(cx->err) : st;
    return NULL;
}

void bnr__grad_fail(struct bnr_gradient *cx, enum bnr_status code, const char *fmt, ...) {
    char text[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (cx->status == BNR_OK)
        cx->status = bnr__op_fail(cx->gradient, cx->err, code, "through node '%s' (%s): %s",
                                  cx->node->label, cx->node->op_type, text);
}

bnr_gradient_rule *bnr__grad_rule(const struct bnr_node *n) {
    const struct bnr_gradient_entry *const tables[] = {bnr__grad_rules_math, bnr__grad_rules_shape,
                                                       bnr__grad_rules_nn};
    const bool internal = strcmp(n->domain, BNR_INTERNAL_DOMAIN) == 0;
    if (n->domain[0] != '\0' && !internal)
        return NULL;
    for (size_t t = 0; t < BNR_COUNT(tables); t++)
        for (const struct bnr_gradient_entry *e = tables[t]; e->op_type; e++)
            if (strcmp(e->op_type, n->op_type) == 0)
                return e->rule;
    return NULL;
}

bool bnr__grad_wants(const struct bnr_gradient *cx, const struct bnr_node *n, int i) {
    if (i >= n->n_in || !n->in[i] || (size_t)n->in[i]->id >= cx->n || !cx->wanted[n->in[i]->id])
        return false;
    const enum bnr_dtype d = n->in[i]->info.type.dtype;
    return d == BNR_UNDEFINED || bnr__dtype_is_float(d);
}

void bnr__grad_give(struct bnr_gradient *cx, const struct bnr_node *n, int i, struct bnr_value *v) {
    if (!v || cx->status != BNR_OK || !bnr__grad_wants(cx, n, i))
        return;
    struct bnr_value **sum = &cx->adjoint[n->in[i]->id];
    *sum = *sum ? bnr__grad_2(cx, "Add", *sum, v) : v;
}

// ---- nodes ------------------------------------------------------------------------------------------

static struct bnr_node *new_node(struct bnr_gradient *cx, const char *domain, const char *op, int n_in,
                                 struct bnr_value *const *in, int n_out) {
    struct bnr_node *n;
    if (cx->status != BNR_OK)
        return NULL;
    enum bnr_status st =
        bnr__node_new(&n, cx->graph, cx->gradient, domain, op, NULL, n_in, in, n_out, cx->err);
    for (int i = 0; st == BNR_OK && i < n_out; i++) {
        struct bnr_value *v;
        st = bnr__value_new(&v, cx->graph, NULL, cx->err);
        if (st == BNR_OK)
            bnr__node_set_output(n, i, v);
    }
    failed(cx, st);
    return st == BNR_OK ? n : NULL;
}

static struct bnr_node *set_version(struct bnr_gradient *cx, struct bnr_node *n, int opset) {
    if (!n)
        return NULL;
    n->opset = opset;
    n->op = bnr__op_find(n->domain, n->op_type);
    n->since = n->op ? bnr__op_version(n->op, opset) : 0;
    if (n->since == 0)
        bnr__grad_fail(cx, BNR_INTERNAL, "its rule needs %s", n->op_type);
    return n->since == 0 ? NULL : n;
}

struct bnr_node *bnr__grad_node(struct bnr_gradient *cx, const char *op_type, int n_in,
                                struct bnr_value *const *in, int n_out) {
    return set_version(cx, new_node(cx, "", op_type, n_in, in, n_out), OPSET);
}

struct bnr_node *bnr__grad_internal(struct bnr_gradient *cx, const char *op, int n_in,
                                    struct bnr_value *const *in, int n_out) {
    return set_version(cx, new_node(cx, BNR_INTERNAL_DOMAIN, op, n_in, in, n_out), 1);
}

static struct bnr_value *one_of(struct bnr_gradient *cx, const char *op, int n,
                                struct bnr_value *const *in) {
    struct bnr_node *made = bnr__grad_node(cx, op, n, in, 1);
    return made ? made->out[0] : NULL;
}

struct bnr_value *bnr__grad_1(struct bnr_gradient *cx, const char *op, struct bnr_value *a) {
    return one_of(cx, op, 1, &a);
}

struct bnr_value *bnr__grad_2(struct bnr_gradient *cx, const char *op, struct bnr_value *a,
                              struct bnr_value *b) {
    return one_of(cx, op, 2, (struct bnr_value *[]){a, b});
}

struct bnr_value *bnr__grad_3(struct bnr_gradient *cx, const char *op, struct bnr_value *a,
                              struct bnr_value *b, struct bnr_value *c) {
    return one_of(cx, op, 3, (struct bnr_value *[]){a, b, c});
}

void bnr__grad_copy_attrs(struct bnr_gradient *cx, struct bnr_node *to, const struct bnr_node *from) {
    for (size_t i = 0; to && i < from->n_attrs && cx->status == BNR_OK; i++)
        failed(cx, bnr__node_set_attr(to, &from->attrs[i]));
}

struct bnr_node *bnr__grad_again(struct bnr_gradient *cx, const struct bnr_node *n,
                                 struct bnr_value *const *in) {
    struct bnr_node *made = new_node(cx, n->domain, n->op_type, n->n_in, in, n->n_out);
    made = set_version(cx, made, n->opset);
    bnr__grad_copy_attrs(cx, made, n);
    return cx->status == BNR_OK ? made : NULL;
}

struct bnr_value *bnr__grad_int(struct bnr_gradient *cx, struct bnr_value *v, const char *name,
                                int64_t value) {
    if (v)
        failed(cx, bnr__node_set_attr_int(v->producer, name, value));
    return v;
}

struct bnr_value *bnr__grad_string(struct bnr_gradient *cx, struct bnr_value *v, const char *name,
                                   const char *value) {
    if (v)
        failed(cx, bnr__node_set_attr_string(v->producer, name, value));
    return v;
}

struct bnr_value *bnr__grad_attr_ints(struct bnr_gradient *cx, struct bnr_value *v, const char *name,
                                      const int64_t *values, size_t n) {
    if (v)
        failed(cx, bnr__node_set_attr_ints(v->producer, name, values, n));
    return v;
}

// ---- constants --------------------------------------------------------------------------------------

static struct bnr_value *constant(struct bnr_gradient *cx, struct bnr_tensor *t) {
    struct bnr_value *v;
    const enum bnr_status st = bnr__value_constant(&v, cx->graph, "gradient", t, cx->err);
    return st == BNR_OK ? v : failed(cx, st);
}

struct bnr_value *bnr__grad_ints(struct bnr_gradient *cx, const int64_t *values, int n) {
    struct bnr_tensor *t;
    if (cx->status != BNR_OK)
        return NULL;
    const enum bnr_status st = bnr__tensor_new(&t, cx->graph->model->allocator, BNR_INT64, 1,
                                               (const int64_t[]){n}, cx->err);
    if (st != BNR_OK)
        return failed(cx, st);
    if (n > 0)
        memcpy(t->i64, values, (size_t)n * sizeof *values);
    return constant(cx, t);
}

static struct bnr_tensor *number(struct bnr_gradient *cx, const struct bnr_value *like, int rank,
                                 double value) {
    struct bnr_tensor *t;
    const enum bnr_dtype d =
        like->info.type.dtype != BNR_UNDEFINED ? like->info.type.dtype : like->declared.dtype;
    if (cx->status != BNR_OK)
        return NULL;
    if (d == BNR_UNDEFINED) {
        bnr__grad_fail(cx, BNR_UNSUPPORTED, "the dtype of '%s' is not known", like->name);
        return NULL;
    }
    const enum bnr_status st = bnr__tensor_new(&t, cx->graph->model->allocator, d, rank,
                                               (const int64_t[]){1}, cx->err);
    if (st != BNR_OK) {
        failed(cx, st);
        return NULL;
    }
    bnr__store_f64(d, t->data, &value, 1);
    return t;
}

struct bnr_value *bnr__grad_scalar(struct bnr_gradient *cx, const struct bnr_value *v, double value) {
    struct bnr_tensor *t = number(cx, v, 0, value);
    return t ? constant(cx, t) : NULL;
}

struct bnr_value *bnr__grad_filled(struct bnr_gradient *cx, struct bnr_value *v, double value) {
    struct bnr_value *y = bnr__grad_1(cx, "ConstantOfShape", bnr__grad_shape(cx, v));
    struct bnr_tensor *t = number(cx, v, 1, value);
    if (!y || !t) {
        bnr__tensor_unref(t);
        return NULL;
    }
    failed(cx, bnr__node_set_attr_tensor(y->producer, "value", t));
    return y;
}

struct bnr_value *bnr__grad_scaled(struct bnr_gradient *cx, struct bnr_value *v,
                                   const struct bnr_value *like, double factor) {
    return factor == 1 ? v : bnr__grad_2(cx, "Mul", v, bnr__grad_scalar(cx, like, factor));
}

// ---- shapes -----------------------------------------------------------------------------------------

struct bnr_value *bnr__grad_shape(struct bnr_gradient *cx, struct bnr_value *v) {
    return bnr__grad_1(cx, "Shape", v);
}

struct bnr_value *bnr__grad_reshape_like(struct bnr_gradient *cx, struct bnr_value *v,
                                         struct bnr_value *like) {
    return bnr__grad_int(cx, bnr__grad_2(cx, "Reshape", v, bnr__grad_shape(cx, like)), "allowzero", 1);
}

struct bnr_value *bnr__grad_sum_to(struct bnr_gradient *cx, struct bnr_value *v,
                                   struct bnr_value *like) {
    struct bnr_node *n = bnr__grad_internal(cx, "SumTo", 2, (struct bnr_value *[]){v, like}, 1);
    return n ? n->out[0] : NULL;
}

struct bnr_value *bnr__grad_reduce(struct bnr_gradient *cx, const char *op, struct bnr_value *v,
                                   struct bnr_value *axes, bool keepdims) {
    struct bnr_value *y = axes ? bnr__grad_2(cx, op, v, axes) : bnr__grad_1(cx, op, v);
    return bnr__grad_int(cx, y, "keepdims", keepdims);
}

int bnr__grad_rank(struct bnr_gradient *cx, const struct bnr_value *v) {
    const int rank = v->info.type.shape.rank;
    if (rank < 0)
        bnr__grad_fail(cx, BNR_UNSUPPORTED, "the rank of '%s' is not known", v->name);
    return rank;
}
