// SPDX-License-Identifier: Apache-2.0
// The whole model in double precision, for the reference evaluation that says what the truth is:
// constants, tensors in attributes, dtypes in attributes and declared types become float64. Where
// an operator's specification has no float64, Cast nodes stand around it.
#include <string.h>
#include <strings.h>

#include "graph/affine.h"
#include "graph/op.h"
#include "passes/pass.h"

struct promotion {
    struct bnr_model *m;
    struct bnr_error *err;
    int first_own; // nodes with this id or a later one are Casts that were put in
};

static bool is_narrow(enum bnr_dtype d) {
    return d == BNR_FLOAT || d == BNR_FLOAT16 || d == BNR_BFLOAT16;
}

// ---- operators without float64 ------------------------------------------------------------------

static bool is_narrow_op(const struct bnr_node *n) {
    static const char *const names[] = {
        "QuantizeLinear", "DequantizeLinear",  "DynamicQuantizeLinear", "QLinearConv",
        "QLinearMatMul",  "NonMaxSuppression", "TfIdfVectorizer",       NULL};
    return (n->domain[0] != '\0' && strcmp(n->domain, BNR_INTERNAL_DOMAIN) != 0) ||
           bnr__node_is_one_of(n, names);
}

// Inputs that are float32 whatever the data are.
static bool is_narrow_input(const struct bnr_node *n, int i) {
    static const char *const resize[] = {"Resize", NULL}, *const upsample[] = {"Upsample", NULL};
    return is_narrow_op(n) || (bnr__node_is_one_of(n, resize) && i == (n->since < 11 ? 1 : 2)) ||
           (bnr__node_is_one_of(n, upsample) && i == 1);
}

static enum bnr_status new_cast(struct promotion *p, struct bnr_node *before,
                                struct bnr_value *from, enum bnr_dtype to, struct bnr_value *out) {
    struct bnr_node *cast;
    BNR_TRY(bnr__node_new(&cast, before->graph, before, "", "Cast", NULL, 1, &from, 1, p->err));
    if (!cast->op || cast->since < 6) { // older ones name the dtype by a string
        cast->opset = 13;
        cast->op = bnr__op_find("", "Cast");
        if (!cast->op)
            return bnr__fail(p->err, BNR_UNSUPPORTED, "this build has no Cast");
        cast->since = bnr__op_version(cast->op, 13);
    }
    bnr__node_set_output(cast, 0, out);
    return bnr__node_set_attr_int(cast, "to", to) == BNR_OK ? BNR_OK : bnr__no_memory(p->err);
}

static enum bnr_status isolate(struct promotion *p, struct bnr_node *n) {
    for (int i = 0; i < n->n_in; i++) {
        struct bnr_value *v = n->in[i], *narrow;
        const struct bnr_type *t = v ? &v->info->type : NULL;
        if (!v || t->kind != BNR_KIND_TENSOR || !is_narrow(t->dtype) || !is_narrow_input(n, i))
            continue;
        BNR_TRY(bnr__value_new(&narrow, n->graph, NULL, p->err));
        BNR_TRY(new_cast(p, n, v, t->dtype, narrow));
        if (bnr__node_set_input(n, i, narrow) != BNR_OK)
            return bnr__no_memory(p->err);
    }
    for (int i = 0; i < n->n_out && is_narrow_op(n); i++) {
        struct bnr_value *v = n->out[i], *narrow;
        if (!v || v->info->type.kind != BNR_KIND_TENSOR || !is_narrow(v->info->type.dtype))
            continue;
        BNR_TRY(bnr__value_new(&narrow, n->graph, NULL, p->err));
        bnr__node_set_output(n, i, narrow);
        if (n->next) {
            BNR_TRY(new_cast(p, n->next, narrow, BNR_DOUBLE, v));
            continue;
        }
        BNR_TRY(new_cast(p, n, narrow, BNR_DOUBLE, v));
        bnr__node_move(v->producer, NULL);
    }
    return BNR_OK;
}

// ---- attributes ---------------------------------------------------------------------------------

static enum bnr_status promote_attr_tensor(struct promotion *p, struct bnr_node *n,
                                           const char *name) {
    struct bnr_tensor *t = bnr__attr_tensor(n, name), *wide;
    if (!t || t->kind != BNR_KIND_TENSOR || !is_narrow(t->dtype))
        return BNR_OK;
    BNR_TRY(bnr__tensor_cast(&wide, p->m->allocator, t, BNR_DOUBLE, p->err));
    const enum bnr_status st = bnr__node_set_attr_tensor(n, name, wide);
    return st == BNR_OK ? BNR_OK : bnr__no_memory(p->err);
}

// Cast-1 names its dtype.
static bool is_narrow_text(const char *dtype) {
    return strcasecmp(dtype, "FLOAT") == 0 || strcasecmp(dtype, "FLOAT16") == 0 ||
           strcasecmp(dtype, "BFLOAT16") == 0;
}

static enum bnr_status promote_attrs(struct promotion *p, struct bnr_node *n) {
    static const char *const dtype_attrs[] = {"to", "dtype", "output_datatype"};
    // These make float32 where their attribute is absent.
    static const char *const by_dtype[] = {"RandomNormal", "RandomUniform", NULL};
    static const char *const by_datatype[] = {"BlackmanWindow", "HammingWindow", "HannWindow",
                                              "MelWeightMatrix", NULL};
    static const char *const by_value[] = {"ConstantOfShape", NULL};
    if (n->domain[0] != '\0')
        return BNR_OK;
    BNR_TRY(promote_attr_tensor(p, n, "value"));
    for (size_t i = 0; i < BNR_COUNT(dtype_attrs); i++) {
        const struct bnr_attr *a = bnr__attr(n, dtype_attrs[i]);
        const char *name = dtype_attrs[i];
        if (a && a->type == BNR_ATTR_INT && is_narrow((enum bnr_dtype)a->ints[0]) &&
            bnr__node_set_attr_int(n, name, BNR_DOUBLE) != BNR_OK)
            return bnr__no_memory(p->err);
        if (a && a->type == BNR_ATTR_STRING && is_narrow_text(bnr__attr_string(n, name, "")) &&
            bnr__node_set_attr_string(n, name, "DOUBLE") != BNR_OK)
            return bnr__no_memory(p->err);
    }
    enum bnr_status st = BNR_OK;
    if (bnr__node_is_one_of(n, by_dtype) && !bnr__attr(n, "dtype"))
        st = bnr__node_set_attr_int(n, "dtype", BNR_DOUBLE);
    if (bnr__node_is_one_of(n, by_datatype) && !bnr__attr(n, "output_datatype"))
        st = bnr__node_set_attr_int(n, "output_datatype", BNR_DOUBLE);
    if (bnr__node_is_one_of(n, by_value) && !bnr__attr(n, "value")) {
        struct bnr_tensor *zero;
        const int64_t one[1] = {1};
        BNR_TRY(bnr__tensor_new(&zero, p->m->allocator, BNR_DOUBLE, 1, one, p->err));
        zero->f64[0] = 0;
        st = bnr__node_set_attr_tensor(n, "value", zero);
    }
    return st == BNR_OK ? BNR_OK : bnr__no_memory(p->err);
}

// ---- values -------------------------------------------------------------------------------------

static enum bnr_status promote_type(struct promotion *p, struct bnr_type *t) {
    if (is_narrow(t->dtype) && t->kind != BNR_KIND_MAP)
        t->dtype = BNR_DOUBLE;
    if (!t->elem)
        return BNR_OK;
    struct bnr_type *elem = BNR_NEW(&p->m->arena, struct bnr_type);
    if (!elem)
        return bnr__no_memory(p->err);
    *elem = *t->elem;
    t->elem = elem;
    return promote_type(p, elem);
}

static enum bnr_status promote_declared(struct promotion *p, struct bnr_value *v) {
    if (!is_narrow(v->declared->dtype) && !v->declared->elem)
        return BNR_OK;
    struct bnr_type *declared = bnr__value_declare(v);
    return declared ? promote_type(p, declared) : bnr__no_memory(p->err);
}

static enum bnr_status promote_value(struct promotion *p, struct bnr_value *v) {
    BNR_TRY(promote_declared(p, v));
    if (!v->tensor || v->tensor->kind != BNR_KIND_TENSOR || !is_narrow(v->tensor->dtype))
        return BNR_OK;
    struct bnr_tensor *wide;
    BNR_TRY(bnr__tensor_cast(&wide, p->m->allocator, v->tensor, BNR_DOUBLE, p->err));
    bnr__tensor_unref(v->tensor);
    v->tensor = wide;
    return BNR_OK;
}

// Casts go in while the infos still say what the dtypes were, in all graphs before any constant
// changes.
static enum bnr_status isolate_graph(struct bnr_graph *g, void *arg) {
    struct bnr_node *next;
    for (struct bnr_node *n = g->first; n; n = next) {
        next = n->next;
        BNR_TRY(isolate(arg, n));
    }
    return BNR_OK;
}

static enum bnr_status promote_graph(struct bnr_graph *g, void *arg) {
    struct promotion *p = arg;
    for (size_t i = 0; i < g->n_values; i++)
        BNR_TRY(promote_value(p, g->values[i]));
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (n->id < p->first_own && !is_narrow_op(n))
            BNR_TRY(promote_attrs(p, n));
    return BNR_OK;
}

enum bnr_status bnr__promote_f64(struct bnr_model *m, struct bnr_error *err) {
    struct promotion p = {.m = m, .err = err, .first_own = m->next_node_id};
    BNR_TRY(bnr__model_each_graph(m, isolate_graph, &p));
    BNR_TRY(bnr__model_each_graph(m, promote_graph, &p));
    return bnr__model_infer(m, err);
}
