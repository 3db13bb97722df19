// SPDX-License-Identifier: Apache-2.0
// The public functions on tensors: argument checks in front of graph/tensor.h.
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "graph/tensor.h"
#include "proto/onnx_file.h"
#include "runtime/base/checked.h"

// ---- making -------------------------------------------------------------------------------------

static enum bnr_status check_shape(bnr_tensor **out, enum bnr_dtype dtype, int rank,
                                   const int64_t *dims, size_t *numel, struct bnr_error *err) {
    if (!out)
        return bnr__fail(err, BNR_INVALID, "tensor: the result pointer is NULL");
    *out = NULL;
    if (!bnr__dtype_valid((int)dtype))
        return bnr__fail(err, BNR_INVALID, "tensor: %d is no element type", (int)dtype);
    if (rank < 0 || rank > BNR_MAX_RANK)
        return bnr__fail(err, BNR_INVALID, "tensor: rank %d, expected 0 to %d", rank, BNR_MAX_RANK);
    if (rank > 0 && !dims)
        return bnr__fail(err, BNR_INVALID, "tensor: rank %d without dims", rank);
    enum bnr_status st = bnr__shape_numel(dims, rank, "tensor", numel, err);
    size_t bytes;
    if (st == BNR_OK && !bnr__size_mul(*numel, bnr__dtype_size(dtype), &bytes))
        return bnr__fail(err, BNR_INVALID, "tensor: %zu elements are too many", *numel);
    return st == BNR_SHAPE ? BNR_INVALID : st;
}

enum bnr_status bnr_tensor_wrap(bnr_tensor **out, enum bnr_dtype dtype, int rank,
                                const int64_t *dims, void *data, size_t bytes,
                                struct bnr_error *err) {
    size_t numel;
    BNR_TRY(check_shape(out, dtype, rank, dims, &numel, err));
    if (dtype == BNR_STRING)
        return bnr__fail(err, BNR_INVALID, "tensor: strings cannot be wrapped, only created");
    const size_t size = bnr__dtype_size(dtype);
    if (bytes != numel * size)
        return bnr__fail(err, BNR_INVALID, "tensor: %zu bytes, expected %zu (%zu elements of %s)",
                         bytes, numel * size, numel, bnr__dtype_name(dtype));
    if (bytes > 0 && !data)
        return bnr__fail(err, BNR_INVALID, "tensor: %zu bytes at NULL", bytes);
    const size_t part = dtype == BNR_COMPLEX64 || dtype == BNR_COMPLEX128 ? size / 2 : size;
    if ((uintptr_t)data % part != 0)
        return bnr__fail(err, BNR_INVALID, "tensor: data is not aligned for %s",
                         bnr__dtype_name(dtype));
    return bnr__tensor_wrap(out, NULL, dtype, rank, dims, data, NULL, NULL, err);
}

enum bnr_status bnr_tensor_create(bnr_tensor **out, enum bnr_dtype dtype, int rank,
                                  const int64_t *dims, const void *data, struct bnr_error *err) {
    size_t numel;
    BNR_TRY(check_shape(out, dtype, rank, dims, &numel, err));
    if (dtype == BNR_STRING && data)
        return bnr__fail(err, BNR_INVALID,
                         "tensor: strings come through bnr_tensor_create_strings");
    BNR_TRY(bnr__tensor_new(out, NULL, dtype, rank, dims, err));
    if (data && (*out)->nbytes)
        memcpy((*out)->data, data, (*out)->nbytes);
    else
        memset((*out)->data, 0, (*out)->nbytes);
    return BNR_OK;
}

enum bnr_status bnr_tensor_create_strings(bnr_tensor **out, int rank, const int64_t *dims,
                                          const char *const *strings, const size_t *lengths,
                                          struct bnr_error *err) {
    size_t numel;
    BNR_TRY(check_shape(out, BNR_STRING, rank, dims, &numel, err));
    if (numel > 0 && !strings)
        return bnr__fail(err, BNR_INVALID, "tensor: %zu strings at NULL", numel);
    struct bnr_tensor *borrowed; // elements point at the caller's bytes
    BNR_TRY(bnr__tensor_new(&borrowed, NULL, BNR_STRING, rank, dims, err));
    enum bnr_status st = BNR_OK;
    for (size_t i = 0; i < numel && st == BNR_OK; i++) {
        if (strings[i])
            borrowed->str[i] =
                (struct bnr_str){strings[i], lengths ? lengths[i] : strlen(strings[i])};
        else
            st = bnr__fail(err, BNR_INVALID, "tensor: string %zu is NULL", i);
    }
    if (st == BNR_OK)
        st = bnr__tensor_clone(out, NULL, borrowed, err);
    bnr__tensor_unref(borrowed);
    return st;
}

// What the items of each kind must be; NULL when they are right.
static const char *wrong_items(enum bnr_kind kind, bnr_tensor *const *items, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!items[i])
            return "items that are not NULL";
    switch (kind) {
    case BNR_KIND_SEQUENCE:
        return NULL;
    case BNR_KIND_OPTIONAL:
        return n <= 1 ? NULL : "at most one item";
    case BNR_KIND_MAP:
        if (n == 2 && items[0]->kind == BNR_KIND_TENSOR && items[0]->rank == 1 &&
            ((items[1]->kind == BNR_KIND_TENSOR && items[1]->numel == items[0]->numel) ||
             (items[1]->kind == BNR_KIND_SEQUENCE && items[1]->n_items == items[0]->numel)))
            return NULL;
        return "a 1-D tensor of keys and as many values";
    case BNR_KIND_TENSOR:
    case BNR_KIND_SPARSE:
        break;
    }
    return "a sequence, optional or map";
}

enum bnr_status bnr_tensor_create_items(bnr_tensor **out, enum bnr_kind kind,
                                        bnr_tensor *const *items, size_t n_items,
                                        struct bnr_error *err) {
    if (!out)
        return bnr__fail(err, BNR_INVALID, "tensor: the result pointer is NULL");
    *out = NULL;
    const char *expected = n_items && !items ? "items" : wrong_items(kind, items, n_items);
    if (expected)
        return bnr__fail(err, BNR_INVALID, "tensor: %zu items for kind %d, expected %s", n_items,
                         (int)kind, expected);
    struct bnr_tensor *t;
    const enum bnr_dtype dtype = n_items ? items[0]->dtype : BNR_UNDEFINED;
    BNR_TRY(bnr__tensor_new_kind(&t, NULL, kind, dtype, err));
    for (size_t i = 0; i < n_items; i++) {
        enum bnr_status st = bnr__tensor_push(t, items[i], err);
        if (st != BNR_OK) {
            bnr__tensor_unref(t);
            return st;
        }
    }
    *out = t;
    return BNR_OK;
}

bnr_tensor *bnr_tensor_retain(bnr_tensor *t) {
    return bnr__tensor_ref(t);
}

void bnr_tensor_release(bnr_tensor *t) {
    bnr__tensor_unref(t);
}

// ---- asking -------------------------------------------------------------------------------------

enum bnr_kind bnr_tensor_kind(const bnr_tensor *t) {
    return t->kind;
}

enum bnr_dtype bnr_tensor_dtype(const bnr_tensor *t) {
    return t->dtype;
}

int bnr_tensor_rank(const bnr_tensor *t) {
    return t->rank;
}

const int64_t *bnr_tensor_dims(const bnr_tensor *t) {
    return t->dims;
}

size_t bnr_tensor_numel(const bnr_tensor *t) {
    return t->numel;
}

size_t bnr_tensor_bytes(const bnr_tensor *t) {
    return t->nbytes;
}

void *bnr_tensor_data(const bnr_tensor *t) {
    return t->kind == BNR_KIND_TENSOR && t->dtype != BNR_STRING ? t->data : NULL;
}

const char *bnr_tensor_string(const bnr_tensor *t, size_t i, size_t *length) {
    const bool there = t->kind == BNR_KIND_TENSOR && t->dtype == BNR_STRING && i < t->numel;
    const struct bnr_str s = there ? t->str[i] : (struct bnr_str){NULL, 0};
    if (length)
        *length = s.len;
    return there && !s.ptr ? "" : s.ptr;
}

size_t bnr_tensor_item_count(const bnr_tensor *t) {
    return t->n_items;
}

bnr_tensor *bnr_tensor_item(const bnr_tensor *t, size_t i) {
    return i < t->n_items ? t->items[i] : NULL;
}

// ---- files --------------------------------------------------------------------------------------

enum bnr_status bnr_tensor_read_pb(bnr_tensor **out, const char *path,
                                   const struct bnr_value_info *type, struct bnr_error *err) {
    if (!out || !path)
        return bnr__fail(err, BNR_INVALID, "tensor: no %s given", out ? "path" : "result pointer");
    *out = NULL;
    const enum bnr_kind kind = type ? type->kind : BNR_KIND_TENSOR;
    return bnr__tensor_read_pb(out, path, kind, NULL, err);
}

enum bnr_status bnr_tensor_write_pb(const bnr_tensor *t, const char *name, const char *path,
                                    struct bnr_error *err) {
    if (!t || !path)
        return bnr__fail(err, BNR_INVALID, "tensor: no %s given", t ? "path" : "tensor");
    return bnr__tensor_write_pb(t, name ? name : "", path, err);
}

enum bnr_status bnr_tensor_cast(bnr_tensor **out, const bnr_tensor *t, enum bnr_dtype dtype,
                                struct bnr_error *err) {
    *out = NULL;
    if (t->kind != BNR_KIND_TENSOR || t->dtype == BNR_STRING || dtype == BNR_STRING ||
        !bnr__dtype_valid((int)dtype))
        return bnr__fail(err, BNR_INVALID, "tensor: %s cannot be cast to %s",
                         bnr__dtype_name(t->dtype), bnr__dtype_name(dtype));
    return bnr__tensor_cast(out, NULL, t, dtype, err);
}
