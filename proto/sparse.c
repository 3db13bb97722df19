// SPDX-License-Identifier: Apache-2.0
// SparseTensorProto: as a dense tensor in models, as it is in tensor files.
#include <inttypes.h>
#include <string.h>

#include "proto/internal.h"
#include "runtime/base/checked.h"

// What the sparse tensors of one model may take when dense.
static const size_t max_elements = (size_t)1 << 28, max_bytes = (size_t)1 << 30;

struct sparse {
    const char *name;
    struct bnr_tensor *values, *indices; // owned
    int rank;
    int64_t dims[BNR_MAX_RANK];
    size_t numel;
};

static void sparse_free(struct sparse *s) {
    bnr__tensor_unref(s->values);
    bnr__tensor_unref(s->indices);
}

static enum bnr_status sparse_dims(struct sparse *s, const Onnx__SparseTensorProto *p,
                                   struct bnr_error *err) {
    if (p->n_dims > BNR_MAX_RANK)
        return bnr__fail(err, BNR_UNSUPPORTED, "sparse tensor '%s': rank %zu, at most %d is supported",
                         s->name, p->n_dims, BNR_MAX_RANK);
    s->rank = (int)p->n_dims;
    if (p->n_dims)
        memcpy(s->dims, p->dims, p->n_dims * sizeof s->dims[0]);
    if (bnr__shape_numel(s->dims, s->rank, "dims", &s->numel, err) != BNR_OK)
        return bnr__fail_prefix(err, BNR_MALFORMED, "sparse tensor '%s'", s->name);
    return BNR_OK;
}

// The place of value i among the dense elements; -1 when it is outside.
static int64_t linear_index(const struct sparse *s, size_t i) {
    const int64_t *index = s->indices->i64;
    if (s->numel == 0)
        return -1;
    if (s->indices->rank == 1)
        return index[i] >= 0 && (uint64_t)index[i] < s->numel ? index[i] : -1;
    int64_t at = 0;
    for (int d = 0; d < s->rank; d++) {
        int64_t k = index[i * (size_t)s->rank + (size_t)d];
        if (k < 0 || k >= s->dims[d])
            return -1;
        at = at * s->dims[d] + k;
    }
    return at;
}

static enum bnr_status check_indices(const struct sparse *s, struct bnr_error *err) {
    const struct bnr_tensor *v = s->values, *x = s->indices;
    bool fits = v->rank == 1 && x->dtype == BNR_INT64 && x->rank >= 1 && x->rank <= 2 &&
                x->dims[0] == v->dims[0] && (x->rank == 1 || x->dims[1] == s->rank);
    if (!fits) {
        char values[64], indices[64];
        return bnr__fail(err, BNR_MALFORMED,
                         "sparse tensor '%s': values %s with indices %s, expected [n] with int64 [n] or "
                         "[n,%d]",
                         s->name, bnr__tensor_describe(v, values, sizeof values),
                         bnr__tensor_describe(x, indices, sizeof indices), s->rank);
    }
    int64_t last = -1;
    for (size_t i = 0; i < v->numel; i++) {
        int64_t at = linear_index(s, i);
        if (at <= last)
            return bnr__fail(err, BNR_MALFORMED,
                             "sparse tensor '%s': index %zu is %s", s->name, i,
                             at < 0 ? "outside of its dims" : "not above the one before");
        last = at;
    }
    return BNR_OK;
}

// On failure too, sparse_free() must follow.
static enum bnr_status get_sparse(struct bnr_tensor_reader *r, const Onnx__SparseTensorProto *p,
                                  struct sparse *s, struct bnr_error *err) {
    *s = (struct sparse){.name = p->values && p->values->name ? p->values->name : ""};
    if (!p->values || !p->indices)
        return bnr__fail(err, BNR_MALFORMED, "sparse tensor '%s' has no %s", s->name,
                         p->values ? "indices" : "values");
    BNR_TRY(sparse_dims(s, p, err));
    BNR_TRY(bnr__tensor_from_proto(r, p->values, &s->values, err));
    BNR_TRY(bnr__tensor_from_proto(r, p->indices, &s->indices, err));
    return check_indices(s, err);
}

static enum bnr_status make_dense(struct bnr_tensor_reader *r, const struct sparse *s,
                                  struct bnr_tensor **out, struct bnr_error *err) {
    size_t size = bnr__dtype_size(s->values->dtype), bytes;
    if (s->numel > max_elements || !bnr__size_mul(s->numel, size, &bytes) ||
        bytes > max_bytes - r->dense_bytes)
        return bnr__fail(err, BNR_UNSUPPORTED,
                         "sparse tensor '%s': %zu elements are too many to make it dense", s->name,
                         s->numel);
    r->dense_bytes += bytes;
    struct bnr_tensor *t;
    BNR_TRY(bnr__tensor_new(&t, r->allocator, s->values->dtype, s->rank, s->dims, err));
    if (bytes)
        memset(t->data, 0, bytes);
    for (size_t i = 0; i < s->values->numel; i++)
        memcpy(t->u8 + (size_t)linear_index(s, i) * size, s->values->u8 + i * size, size);
    *out = t;
    return BNR_OK;
}

enum bnr_status bnr__dense_from_proto(struct bnr_tensor_reader *r, const Onnx__SparseTensorProto *p,
                                      struct bnr_tensor **out, struct bnr_error *err) {
    struct sparse s;
    struct bnr_tensor *t = NULL;
    *out = NULL;
    enum bnr_status st = get_sparse(r, p, &s, err);
    if (st == BNR_OK)
        st = make_dense(r, &s, &t, err);
    if (st == BNR_OK && t->dtype == BNR_STRING) { // its strings belong to `values`
        struct bnr_tensor *view = t;
        st = bnr__tensor_clone(&t, r->allocator, view, err);
        bnr__tensor_unref(view);
    }
    struct bnr_mark *mark = bnr__mark_of(r->skeleton, &p->base);
    if (st == BNR_OK && mark && !mark->tensor)
        mark->tensor = bnr__tensor_ref(t);
    sparse_free(&s);
    if (st == BNR_OK)
        *out = t;
    return st;
}

enum bnr_status bnr__sparse_from_proto(struct bnr_tensor_reader *r, const Onnx__SparseTensorProto *p,
                                       struct bnr_tensor **out, struct bnr_error *err) {
    struct sparse s;
    struct bnr_tensor *t = NULL;
    *out = NULL;
    enum bnr_status st = get_sparse(r, p, &s, err);
    if (st == BNR_OK)
        st = bnr__tensor_new_kind(&t, r->allocator, BNR_KIND_SPARSE, s.values->dtype, err);
    if (st == BNR_OK) {
        t->rank = s.rank;
        memcpy(t->dims, s.dims, sizeof t->dims);
        st = bnr__tensor_push(t, s.values, err);
    }
    if (st == BNR_OK)
        st = bnr__tensor_push(t, s.indices, err);
    sparse_free(&s);
    if (st == BNR_OK)
        *out = t;
    else
        bnr__tensor_unref(t);
    return st;
}
