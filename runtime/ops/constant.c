// SPDX-License-Identifier: Apache-2.0
// Constant: the value of its one attribute. Loaders make a constant value of it; as an operator it
// remains where the attribute is set by a function's caller.
#include <string.h>

#include "runtime/ops/lib/shape.h"

struct source {
    const struct bnr_attr *attr;
    enum bnr_dtype dtype;
    int rank;
    int64_t dims[BNR_MAX_RANK];
};

static const struct {
    const char *name;
    enum bnr_attr_type type;
    enum bnr_dtype dtype;
    int rank;
} scalars[] = {
    {"value_float", BNR_ATTR_FLOAT, BNR_FLOAT, 0},
    {"value_floats", BNR_ATTR_FLOATS, BNR_FLOAT, 1},
    {"value_int", BNR_ATTR_INT, BNR_INT64, 0},
    {"value_ints", BNR_ATTR_INTS, BNR_INT64, 1},
    {"value_string", BNR_ATTR_STRING, BNR_STRING, 0},
    {"value_strings", BNR_ATTR_STRINGS, BNR_STRING, 1},
};

static void from_tensor(struct source *s, const struct bnr_attr *attr) {
    const struct bnr_tensor *t = attr->tensors[0];
    s->attr = attr;
    s->dtype = t->dtype;
    s->rank = t->rank;
    memcpy(s->dims, t->dims, sizeof s->dims);
}

static enum bnr_status find(const struct bnr_node *n, struct bnr_error *err, struct source *s) {
    const struct bnr_attr *value = bnr__attr(n, "value"), *sparse = bnr__attr(n, "sparse_value");
    int found = (value != NULL) + (sparse != NULL);
    *s = (struct source){.rank = 0};
    if (value)
        from_tensor(s, value);
    if (sparse && (sparse->type != BNR_ATTR_SPARSE_TENSOR ||
                   sparse->tensors[0]->kind != BNR_KIND_SPARSE || sparse->tensors[0]->n_items != 2))
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'sparse_value' is no sparse tensor");
    if (sparse)
        from_tensor(s, sparse);
    for (size_t i = 0; i < BNR_COUNT(scalars); i++) {
        const struct bnr_attr *a = bnr__attr(n, scalars[i].name);
        if (!a)
            continue;
        found++;
        *s = (struct source){.attr = a, .dtype = scalars[i].dtype, .rank = scalars[i].rank};
        s->dims[0] = (int64_t)a->n;
    }
    if (found != 1)
        return bnr__op_fail(n, err, BNR_SHAPE, "%d attributes give a value, expected one", found);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct source s;
    BNR_TRY(find(cx->node, cx->err, &s));
    bnr__infer_set_dims(cx, 0, s.dtype, s.rank, s.dims);
    if (s.attr->type == BNR_ATTR_TENSOR)
        cx->out[0]->tensor = s.attr->tensors[0];
    return BNR_OK;
}

// Linear position of entry i of a sparse tensor, whose indices are [nnz] or [nnz, rank].
static enum bnr_status sparse_position(const struct bnr_args *a, const struct bnr_tensor *sparse,
                                       size_t i, size_t *out) {
    const struct bnr_tensor *indices = sparse->items[1];
    size_t position = 0;
    if (indices->rank < 2) {
        position = (size_t)bnr__tensor_i64(indices, i);
    } else {
        for (int d = 0; d < sparse->rank; d++) {
            const int64_t k = bnr__tensor_i64(indices, i * (size_t)sparse->rank + (size_t)d);
            if (k < 0 || k >= sparse->dims[d])
                return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                    "sparse index %lld is outside dim %d of size %lld",
                                    (long long)k, d, (long long)sparse->dims[d]);
            position = position * (size_t)sparse->dims[d] + (size_t)k;
        }
    }
    if (position >= a->out[0]->numel)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "sparse index %zu is outside %zu elements",
                            position, a->out[0]->numel);
    *out = position;
    return BNR_OK;
}

static enum bnr_status expand_sparse(const struct bnr_args *a, const struct bnr_tensor *sparse) {
    const struct bnr_tensor *values = sparse->items[0], *indices = sparse->items[1];
    const size_t size = bnr__dtype_size(values->dtype);
    const size_t per_entry = indices->rank < 2 ? 1 : (size_t)sparse->rank;
    if (indices->dtype != BNR_INT64 || indices->numel != values->numel * per_entry)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu sparse indices for %zu values",
                            indices->numel, values->numel);
    if (a->out[0]->nbytes > 0)
        memset(a->out[0]->data, 0, a->out[0]->nbytes);
    for (size_t i = 0; i < values->numel; i++) {
        size_t at = 0;
        BNR_TRY(sparse_position(a, sparse, i, &at));
        memcpy(a->out[0]->u8 + at * size, values->u8 + i * size, size);
    }
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct source s;
    BNR_TRY(find(a->node, a->err, &s));
    BNR_TRY(bnr__out_alloc(a, 0, s.dtype, s.rank, s.dims));
    struct bnr_tensor *y = a->out[0];
    const struct bnr_attr *attr = s.attr;
    if (attr->type == BNR_ATTR_SPARSE_TENSOR)
        return expand_sparse(a, attr->tensors[0]);
    if (y->nbytes == 0)
        return BNR_OK;
    switch (attr->type) {
    case BNR_ATTR_TENSOR:
        memcpy(y->data, attr->tensors[0]->data, y->nbytes);
        break;
    case BNR_ATTR_FLOAT:
    case BNR_ATTR_FLOATS:
        memcpy(y->data, attr->floats, y->nbytes);
        break;
    case BNR_ATTR_INT:
    case BNR_ATTR_INTS:
        memcpy(y->data, attr->ints, y->nbytes);
        break;
    default:
        memcpy(y->data, attr->strings, y->nbytes);
        break;
    }
    return BNR_OK;
}

BNR_DEFINE_OP(constant) = {
    .domain = "",
    .name = "Constant",
    .since = {1, 9, 11, 12, 13, 19, 21, 23, 24, 25},
    .min_in = 0,
    .max_in = 0,
    .min_out = 1,
    .max_out = 1,
    .attrs = "value:t value_float:f value_floats:F value_int:i value_ints:I value_string:s "
             "value_strings:S",
    .infer = infer,
    .ref = ref,
};
