// SPDX-License-Identifier: Apache-2.0
#include "graph/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/affine.h"

enum { OPSET = 24 }; // of the nodes that are made

static struct bnr_value *failed(struct bnr_build *b, enum bnr_status st) {
    if (b->status == BNR_OK && st != BNR_OK)
        b->status = st == BNR_NO_MEMORY ? bnr__no_memory(b->err) : st;
    return NULL;
}

void bnr__build_fail(struct bnr_build *b, enum bnr_status code, const char *fmt, ...) {
    char text[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (b->status == BNR_OK)
        b->status = bnr__op_fail(b->node, b->err, code, "%s", text);
}

int bnr__build_rank(struct bnr_build *b, const struct bnr_value *v) {
    const int rank = v->info->type.shape.rank;
    if (rank >= 0 || b->status != BNR_OK)
        return rank;
    b->later = true;
    bnr__build_fail(b, BNR_UNSUPPORTED, "the rank of '%s' is not known", v->name);
    return rank;
}

// ---- nodes ------------------------------------------------------------------------------------------

static struct bnr_node *new_node(struct bnr_build *b, const char *domain, const char *op, int n_in,
                                 struct bnr_value *const *in, int n_out) {
    struct bnr_node *n;
    if (b->status != BNR_OK)
        return NULL;
    enum bnr_status st =
        bnr__node_new(&n, b->graph, b->before, domain, op, NULL, n_in, in, n_out, b->err);
    for (int i = 0; st == BNR_OK && i < n_out; i++) {
        struct bnr_value *v;
        st = bnr__value_new(&v, b->graph, NULL, b->err);
        if (st == BNR_OK)
            bnr__node_set_output(n, i, v);
    }
    failed(b, st);
    return st == BNR_OK ? n : NULL;
}

static struct bnr_node *set_version(struct bnr_build *b, struct bnr_node *n, int opset) {
    if (!n)
        return NULL;
    n->opset = opset;
    n->op = bnr__op_find(n->domain, n->op_type);
    n->since = n->op ? bnr__op_version(n->op, opset) : 0;
    if (n->since == 0)
        bnr__build_fail(b, BNR_INTERNAL, "it is spelled by %s, which this build lacks", n->op_type);
    return n->since == 0 ? NULL : n;
}

struct bnr_node *bnr__build_node(struct bnr_build *b, const char *op_type, int n_in,
                                struct bnr_value *const *in, int n_out) {
    return set_version(b, new_node(b, "", op_type, n_in, in, n_out), OPSET);
}

struct bnr_node *bnr__build_internal(struct bnr_build *b, const char *op, int n_in,
                                    struct bnr_value *const *in, int n_out) {
    return set_version(b, new_node(b, BNR_INTERNAL_DOMAIN, op, n_in, in, n_out), 1);
}

static struct bnr_value *one_of(struct bnr_build *b, const char *op, int n,
                                struct bnr_value *const *in) {
    struct bnr_node *made = bnr__build_node(b, op, n, in, 1);
    return made ? made->out[0] : NULL;
}

struct bnr_value *bnr__build_1(struct bnr_build *b, const char *op, struct bnr_value *x) {
    return one_of(b, op, 1, &x);
}

struct bnr_value *bnr__build_2(struct bnr_build *b, const char *op, struct bnr_value *x,
                               struct bnr_value *y) {
    return one_of(b, op, 2, (struct bnr_value *[]){x, y});
}

struct bnr_value *bnr__build_3(struct bnr_build *b, const char *op, struct bnr_value *x,
                               struct bnr_value *y, struct bnr_value *z) {
    return one_of(b, op, 3, (struct bnr_value *[]){x, y, z});
}

void bnr__build_copy_attrs(struct bnr_build *b, struct bnr_node *to, const struct bnr_node *from) {
    for (size_t i = 0; to && i < from->n_attrs && b->status == BNR_OK; i++)
        failed(b, bnr__node_set_attr(to, &from->attrs[i]));
}

struct bnr_node *bnr__build_again(struct bnr_build *b, const struct bnr_node *n,
                                 struct bnr_value *const *in) {
    struct bnr_node *made = new_node(b, n->domain, n->op_type, n->n_in, in, n->n_out);
    made = set_version(b, made, n->opset);
    bnr__build_copy_attrs(b, made, n);
    return b->status == BNR_OK ? made : NULL;
}

struct bnr_value *bnr__build_int(struct bnr_build *b, struct bnr_value *v, const char *name,
                                int64_t value) {
    if (v)
        failed(b, bnr__node_set_attr_int(v->producer, name, value));
    return v;
}

struct bnr_value *bnr__build_string(struct bnr_build *b, struct bnr_value *v, const char *name,
                                   const char *value) {
    if (v)
        failed(b, bnr__node_set_attr_string(v->producer, name, value));
    return v;
}

struct bnr_value *bnr__build_attr_ints(struct bnr_build *b, struct bnr_value *v, const char *name,
                                      const int64_t *values, size_t n) {
    if (v)
        failed(b, bnr__node_set_attr_ints(v->producer, name, values, n));
    return v;
}

// ---- constants --------------------------------------------------------------------------------------

struct bnr_value *bnr__build_constant(struct bnr_build *b, struct bnr_tensor *t) {
    struct bnr_value *v;
    if (b->status != BNR_OK) {
        bnr__tensor_unref(t);
        return NULL;
    }
    const enum bnr_status st = bnr__value_constant(&v, b->graph, "gradient", t, b->err);
    return st == BNR_OK ? v : failed(b, st);
}

struct bnr_value *bnr__build_ints(struct bnr_build *b, const int64_t *values, int n) {
    struct bnr_tensor *t;
    if (b->status != BNR_OK)
        return NULL;
    const enum bnr_status st = bnr__tensor_new(&t, b->graph->model->allocator, BNR_INT64, 1,
                                               (const int64_t[]){n}, b->err);
    if (st != BNR_OK)
        return failed(b, st);
    if (n > 0)
        memcpy(t->i64, values, (size_t)n * sizeof *values);
    return bnr__build_constant(b, t);
}

static struct bnr_tensor *number(struct bnr_build *b, const struct bnr_value *like, int rank,
                                 double value) {
    struct bnr_tensor *t;
    const enum bnr_dtype d =
        like->info->type.dtype != BNR_UNDEFINED ? like->info->type.dtype : like->declared->dtype;
    if (b->status != BNR_OK)
        return NULL;
    if (d == BNR_UNDEFINED) {
        b->later = true;
        bnr__build_fail(b, BNR_UNSUPPORTED, "the dtype of '%s' is not known", like->name);
        return NULL;
    }
    const enum bnr_status st = bnr__tensor_new(&t, b->graph->model->allocator, d, rank,
                                               (const int64_t[]){1}, b->err);
    if (st != BNR_OK) {
        failed(b, st);
        return NULL;
    }
    bnr__store_f64(d, t->data, &value, 1);
    return t;
}

struct bnr_value *bnr__build_scalar(struct bnr_build *b, const struct bnr_value *v, double value) {
    struct bnr_tensor *t = number(b, v, 0, value);
    return t ? bnr__build_constant(b, t) : NULL;
}

struct bnr_value *bnr__build_filled(struct bnr_build *b, struct bnr_value *v, double value) {
    struct bnr_value *y = bnr__build_1(b, "ConstantOfShape", bnr__build_shape(b, v));
    struct bnr_tensor *t = number(b, v, 1, value);
    if (!y || !t) {
        bnr__tensor_unref(t);
        return NULL;
    }
    failed(b, bnr__node_set_attr_tensor(y->producer, "value", t));
    return y;
}

struct bnr_value *bnr__build_scaled(struct bnr_build *b, struct bnr_value *v,
                                   const struct bnr_value *like, double factor) {
    return factor == 1 ? v : bnr__build_2(b, "Mul", v, bnr__build_scalar(b, like, factor));
}

// ---- shapes -----------------------------------------------------------------------------------------

struct bnr_value *bnr__build_shape(struct bnr_build *b, struct bnr_value *v) {
    return bnr__build_1(b, "Shape", v);
}

struct bnr_value *bnr__build_reshape_like(struct bnr_build *b, struct bnr_value *v,
                                         struct bnr_value *like) {
    return bnr__build_int(b, bnr__build_2(b, "Reshape", v, bnr__build_shape(b, like)), "allowzero", 1);
}

struct bnr_value *bnr__build_reduce(struct bnr_build *b, const char *op, struct bnr_value *v,
                                   struct bnr_value *axes, bool keepdims) {
    struct bnr_value *y = axes ? bnr__build_2(b, op, v, axes) : bnr__build_1(b, op, v);
    return bnr__build_int(b, y, "keepdims", keepdims);
}

struct bnr_value *bnr__build_float(struct bnr_build *b, struct bnr_value *v, const char *name,
                                   float value) {
    if (v)
        failed(b, bnr__node_set_attr_float(v->producer, name, value));
    return v;
}
