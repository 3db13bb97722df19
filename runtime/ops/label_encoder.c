// SPDX-License-Identifier: Apache-2.0
// LabelEncoder: each element replaced by the value that stands beside it in a list of keys, or by a
// default. Version 1 knows one list of strings, whose indices are the integers.
#include <string.h>

#include "runtime/ops/lib/lookup.h"
#include "runtime/ops/lib/ml.h"

#define KEY_TYPES                                                                                  \
    (BNR_TYPE(STRING) | BNR_TYPE(INT16) | BNR_TYPE(INT32) | BNR_TYPE(INT64) | BNR_TYPE(FLOAT) |     \
     BNR_TYPE(DOUBLE))

#define LABEL_TYPES                                                                                \
    (BNR_TYPE(STRING) | BNR_TYPE(INT64) | BNR_TYPE(FLOAT) | BNR_TYPE(INT32) | BNR_TYPE(INT16) |    \
     BNR_TYPE(DOUBLE))

// A list of keys or values, and the default that belongs to its dtype.
struct list {
    enum bnr_dtype dtype;
    const void *data;
    size_t n;
};

static bool from_attr(const struct bnr_attr *attr, struct list *l) {
    if (attr == NULL || attr->n == 0)
        return false;
    l->n = attr->n;
    switch (attr->type) {
    case BNR_ATTR_FLOATS:
    case BNR_ATTR_FLOAT:
        l->dtype = BNR_FLOAT;
        l->data = attr->floats;
        return true;
    case BNR_ATTR_INTS:
    case BNR_ATTR_INT:
        l->dtype = BNR_INT64;
        l->data = attr->ints;
        return true;
    case BNR_ATTR_STRINGS:
    case BNR_ATTR_STRING:
        l->dtype = BNR_STRING;
        l->data = attr->strings;
        return true;
    case BNR_ATTR_TENSOR:
        l->dtype = attr->tensors[0]->dtype;
        l->data = attr->tensors[0]->data;
        l->n = attr->tensors[0]->numel;
        return true;
    default:
        return false;
    }
}

// The one of four attributes that is there.
static enum bnr_status find_list(const struct bnr_node *n, const char *const names[4],
                                 struct list *l, struct bnr_error *err) {
    int found = 0;
    for (int i = 0; i < 4; i++)
        found += from_attr(bnr__attr(n, names[i]), l);
    if (found == 1 && (LABEL_TYPES >> l->dtype & 1))
        return BNR_OK;
    return bnr__op_fail(n, err, BNR_SHAPE, "%d lists like '%s' are given, expected one", found,
                        names[0]);
}

static enum bnr_status find_lists(const struct bnr_node *n, struct list *keys, struct list *values,
                                  struct bnr_error *err) {
    static const char *const key_names[] = {"keys_strings", "keys_int64s", "keys_floats",
                                            "keys_tensor"};
    static const char *const value_names[] = {"values_strings", "values_int64s", "values_floats",
                                              "values_tensor"};
    BNR_TRY(find_list(n, key_names, keys, err));
    BNR_TRY(find_list(n, value_names, values, err));
    if (keys->n != values->n)
        return bnr__op_fail(n, err, BNR_SHAPE, "%zu keys for %zu values", keys->n, values->n);
    return BNR_OK;
}

// Where element k of the values, or the default for k < 0, lies.
struct defaults {
    float f32;
    double f64;
    int64_t i64;
    int32_t i32;
    int16_t i16;
    struct bnr_str str;
};

static const void *default_of(const struct bnr_node *n, enum bnr_dtype dtype, struct defaults *d) {
    static const char *const names[] = {"default_tensor", "default_string", "default_int64",
                                        "default_float"};
    struct list l;
    for (int i = 0; i < 4; i++)
        if (from_attr(bnr__attr(n, names[i]), &l) && l.dtype == dtype)
            return l.data;
    *d = (struct defaults){-0.0f, -0.0, -1, -1, -1, {"_Unused", 7}};
    switch ((int)dtype) {
    case BNR_FLOAT:
        return &d->f32;
    case BNR_DOUBLE:
        return &d->f64;
    case BNR_INT64:
        return &d->i64;
    case BNR_INT32:
        return &d->i32;
    case BNR_INT16:
        return &d->i16;
    default:
        return &d->str;
    }
}

static enum bnr_dtype other_dtype(enum bnr_dtype x) {
    return x == BNR_STRING ? BNR_INT64 : x == BNR_INT64 ? BNR_STRING : BNR_UNDEFINED;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct list keys, values;
    if (cx->node->since == 1) {
        BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPE(STRING) | BNR_TYPE(INT64)));
        bnr__infer_set(cx, 0, other_dtype(x->dtype), &x->shape);
        return BNR_OK;
    }
    BNR_TRY(bnr__infer_types(cx, 0, KEY_TYPES));
    BNR_TRY(find_lists(cx->node, &keys, &values, cx->err));
    BNR_TRY(bnr__infer_types(cx, 0, 1u << keys.dtype));
    bnr__infer_set(cx, 0, values.dtype, &x->shape);
    return BNR_OK;
}

// Version 1: classes_strings[i] <-> i.
static enum bnr_status index_classes(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const struct bnr_attr *classes = bnr__attr(a->node, "classes_strings");
    const size_t n = classes != NULL ? classes->n : 0;
    struct defaults d;
    struct bnr_lookup lookup;
    const enum bnr_dtype to = other_dtype(x->dtype);
    const void *missing = default_of(a->node, to, &d);
    BNR_TRY(bnr__out_alloc(a, 0, to, x->rank, x->dims));
    BNR_TRY(bnr__lookup_new(a, BNR_STRING, n > 0 ? classes->strings : NULL, n, &lookup));
    for (size_t i = 0; i < x->numel; i++) {
        if (to == BNR_INT64) {
            const ptrdiff_t k = bnr__lookup_find(&lookup, x->data, i);
            a->out[0]->i64[i] = k >= 0 ? (int64_t)k : *(const int64_t *)missing;
        } else {
            const bool known = x->i64[i] >= 0 && (uint64_t)x->i64[i] < n;
            a->out[0]->str[i] =
                known ? classes->strings[x->i64[i]] : *(const struct bnr_str *)missing;
        }
    }
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct list keys, values;
    struct defaults d;
    struct bnr_lookup lookup;
    if (a->node->since == 1)
        return index_classes(a);
    BNR_TRY(find_lists(a->node, &keys, &values, a->err));
    if (x->dtype != keys.dtype)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input 0 is %s, the keys are %s",
                            bnr__dtype_name(x->dtype), bnr__dtype_name(keys.dtype));
    BNR_TRY(bnr__out_alloc(a, 0, values.dtype, x->rank, x->dims));
    BNR_TRY(bnr__lookup_new(a, keys.dtype, keys.data, keys.n, &lookup));
    const size_t size = bnr__dtype_size(values.dtype);
    const char *missing = default_of(a->node, values.dtype, &d);
    for (size_t i = 0; i < x->numel; i++) {
        const ptrdiff_t k = bnr__lookup_find(&lookup, x->data, i);
        const char *value = k < 0 ? missing : (const char *)values.data + (size_t)k * size;
        memcpy(bnr__at_mut(a->out[0], i), value, size);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(label_encoder) = {
    .domain = BNR_ML_DOMAIN,
    .name = "LabelEncoder",
    .since = {1, 2, 4},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "classes_strings:S default_float:f default_int64:i default_string:s "
             "default_tensor:t keys_floats:F keys_int64s:I keys_strings:S keys_tensor:t "
             "values_floats:F values_int64s:I values_strings:S values_tensor:t",
    .infer = infer,
    .ref = ref,
};
