// SPDX-License-Identifier: Apache-2.0
// Constant nodes to constant values: no pass cares whether a constant came as initializer or as node.
#include <string.h>

#include "graph/edit.h"

static const struct {
    const char *name;
    enum bnr_attr_type type;
} forms[] = {
    {"value", BNR_ATTR_TENSOR},        {"value_float", BNR_ATTR_FLOAT},
    {"value_floats", BNR_ATTR_FLOATS}, {"value_int", BNR_ATTR_INT},
    {"value_ints", BNR_ATTR_INTS},     {"value_string", BNR_ATTR_STRING},
    {"value_strings", BNR_ATTR_STRINGS},
};

static const struct bnr_attr *find_form(const struct bnr_node *n) {
    for (size_t i = 0; i < BNR_COUNT(forms); i++) {
        const struct bnr_attr *attr = bnr__attr(n, forms[i].name);
        if (attr && attr->type == forms[i].type && !attr->ref)
            return attr;
    }
    return NULL;
}

// A new reference. Copies, since a session's model shares tensors and may outlive the one they came with.
static enum bnr_status tensor_of(struct bnr_tensor **out, const struct bnr_attr *attr,
                                 const struct bnr_allocator *a, struct bnr_error *err) {
    if (attr->type == BNR_ATTR_TENSOR) {
        *out = bnr__tensor_ref(attr->tensors[0]);
        return BNR_OK;
    }
    const bool list = attr->type == BNR_ATTR_FLOATS || attr->type == BNR_ATTR_INTS ||
                      attr->type == BNR_ATTR_STRINGS;
    enum bnr_dtype dtype = BNR_STRING;
    if (attr->type == BNR_ATTR_FLOAT || attr->type == BNR_ATTR_FLOATS)
        dtype = BNR_FLOAT;
    else if (attr->type == BNR_ATTR_INT || attr->type == BNR_ATTR_INTS)
        dtype = BNR_INT64;
    const int64_t dims[1] = {(int64_t)attr->n};
    if (dtype != BNR_STRING) {
        BNR_TRY(bnr__tensor_new(out, a, dtype, list ? 1 : 0, dims, err));
        if ((*out)->nbytes > 0)
            memcpy((*out)->data, attr->floats, (*out)->nbytes);
        return BNR_OK;
    }
    struct bnr_tensor *header;
    BNR_TRY(bnr__tensor_new(&header, a, dtype, list ? 1 : 0, dims, err));
    for (size_t i = 0; i < attr->n; i++)
        header->str[i] = attr->strings[i];
    enum bnr_status st = bnr__tensor_clone(out, a, header, err);
    bnr__tensor_unref(header);
    return st;
}

enum bnr_status bnr__node_lift_constant(struct bnr_node *n, struct bnr_error *err) {
    const struct bnr_attr *attr = bnr__node_is(n, "", "Constant") ? find_form(n) : NULL;
    struct bnr_value *v = n->n_out > 0 ? n->out[0] : NULL;
    if (!attr || !v || n->n_out != 1)
        return BNR_OK;
    struct bnr_tensor *t;
    BNR_TRY(tensor_of(&t, attr, n->graph->model->allocator, err));
    bnr__node_set_output(n, 0, NULL);
    v->tensor = t;
    v->from_constant_node = true;
    v->constant_node = n->name;
    bnr__node_remove(n);
    return BNR_OK;
}
