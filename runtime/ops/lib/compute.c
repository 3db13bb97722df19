// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/compute.h"

#include "runtime/base/checked.h"

const struct bnr_type *bnr__infer_in(const struct bnr_infer *cx, int i) {
    return i < cx->n_in && cx->in[i] ? &cx->in[i]->type : NULL;
}

enum bnr_dtype bnr__infer_in_dtype(const struct bnr_infer *cx, int i) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    return t ? t->dtype : BNR_UNDEFINED;
}

enum bnr_status bnr__infer_tensors(struct bnr_infer *cx, int first, int last, uint32_t types) {
    int reference = -1;
    for (int i = first; i <= last; i++) {
        const struct bnr_type *t = bnr__infer_in(cx, i);
        if (!t)
            continue;
        BNR_TRY(bnr__infer_types(cx, i, types));
        if (t->dtype == BNR_UNDEFINED)
            continue;
        if (reference >= 0)
            BNR_TRY(bnr__infer_same_dtype(cx, reference, i));
        else
            reference = i;
    }
    return BNR_OK;
}

enum bnr_status bnr__infer_length(struct bnr_infer *cx, int i, struct bnr_dim n) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    BNR_TRY(bnr__infer_rank(cx, i, 1, 1));
    if (t && t->shape.rank == 1 && t->shape.dims[0].n >= 0 && n.n >= 0 && t->shape.dims[0].n != n.n)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "input %d has %lld elements, expected %lld", i,
                            (long long)t->shape.dims[0].n, (long long)n.n);
    return BNR_OK;
}

enum bnr_status bnr__infer_unidirectional(struct bnr_infer *cx, int i,
                                          const struct bnr_shape *shape) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    if (!t || t->shape.rank < 0 || shape->rank < 0)
        return BNR_OK;
    bool fits = t->shape.rank <= shape->rank;
    for (int d = 1; fits && d <= t->shape.rank; d++) {
        const int64_t have = t->shape.dims[t->shape.rank - d].n,
                      want = shape->dims[shape->rank - d].n;
        fits = have < 0 || want < 0 || have == 1 || have == want;
    }
    if (fits)
        return BNR_OK;
    char seen[200], wanted[200];
    const struct bnr_type to = {.dtype = t->dtype, .shape = *shape};
    return bnr__op_fail(
        cx->node, cx->err, BNR_SHAPE, "input %d is %s, which does not broadcast to %s", i,
        bnr__type_describe(t, seen, sizeof seen), bnr__type_describe(&to, wanted, sizeof wanted));
}

bool bnr__infer_scalar(struct bnr_infer *cx, int i, double *v, enum bnr_status *status) {
    *status = BNR_OK;
    if (i >= cx->n_in || !cx->in[i] || !cx->in[i]->tensor)
        return false;
    const struct bnr_tensor *t = cx->in[i]->tensor;
    if (t->kind != BNR_KIND_TENSOR || t->numel != 1) {
        *status = bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                               "input %d has %zu elements, expected 1", i, t->numel);
        return false;
    }
    *v = bnr__tensor_f64(t, 0);
    return true;
}

enum bnr_status bnr__check_dtype_attr(const struct bnr_node *n, const char *name, uint32_t types,
                                      struct bnr_error *err) {
    const int64_t d = bnr__attr_int(n, name, 0);
    if (d == 0 || (d > 0 && d < BNR_DTYPE_COUNT && (types >> d & 1)))
        return BNR_OK;
    return bnr__op_fail(
        n, err, BNR_SHAPE, "%s is %lld (%s), which is not allowed here", name, (long long)d,
        bnr__dtype_name(bnr__dtype_valid((int)d) ? (enum bnr_dtype)d : BNR_UNDEFINED));
}

enum bnr_dtype bnr__dtype_attr(const struct bnr_node *n, const char *name,
                               enum bnr_dtype fallback) {
    const int64_t d = bnr__attr_int(n, name, 0);
    return d ? (enum bnr_dtype)d : fallback;
}

enum bnr_status bnr__infer_dims_agree(struct bnr_infer *cx, const char *what, struct bnr_dim a,
                                      struct bnr_dim b, struct bnr_dim *out) {
    if (a.n >= 0 && b.n >= 0 && a.n != b.n)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%s: %lld and %lld do not agree", what,
                            (long long)a.n, (long long)b.n);
    if (out)
        *out = a.n >= 0 || (b.n < 0 && a.sym) ? a : b;
    return BNR_OK;
}

void *bnr__temp(const struct bnr_args *a, size_t count, size_t size) {
    void *p = bnr__arena_array(a->temp, count ? count : 1, size);
    if (!p)
        bnr__no_memory(a->err);
    return p;
}

double *bnr__temp_f64(const struct bnr_args *a, size_t count) {
    return bnr__temp(a, count, sizeof(double));
}

const double *bnr__all_f64(const struct bnr_args *a, const struct bnr_tensor *t) {
    if (!t)
        return NULL;
    if (t->dtype == BNR_DOUBLE && t->data)
        return t->f64;
    double *v = bnr__temp_f64(a, t->numel);
    if (v)
        bnr__load_f64(v, t->dtype, t->data, t->numel);
    return v;
}

const int64_t *bnr__all_i64(const struct bnr_args *a, const struct bnr_tensor *t) {
    if (!t)
        return NULL;
    if (t->dtype == BNR_INT64 && t->data)
        return t->i64;
    int64_t *v = bnr__temp(a, t->numel, sizeof *v);
    if (v)
        bnr__load_i64(v, t->dtype, t->data, t->numel);
    return v;
}

// For each of the elements of `dims` in order, which element of t it is.
struct expansion {
    int rank;
    const int64_t *dims;
    size_t stride[BNR_MAX_RANK];
    int64_t at[BNR_MAX_RANK];
    size_t from;
};

static struct expansion expansion_of(const struct bnr_tensor *t, int rank, const int64_t *dims) {
    struct expansion e = {.rank = rank, .dims = dims};
    size_t stride = 1;
    for (int i = rank - 1, k = t->rank - 1; k >= 0; i--, k--) {
        e.stride[i] = t->dims[k] == 1 ? 0 : stride;
        stride *= (size_t)t->dims[k];
    }
    return e;
}

static void expansion_next(struct expansion *e) {
    for (int i = e->rank - 1; i >= 0; i--) {
        e->from += e->stride[i];
        if (++e->at[i] < e->dims[i])
            return;
        e->from -= e->stride[i] * (size_t)e->dims[i];
        e->at[i] = 0;
    }
}

const double *bnr__expand_f64(const struct bnr_args *a, const struct bnr_tensor *t, int rank,
                              const int64_t *dims) {
    const double *v = bnr__all_f64(a, t);
    const size_t n = bnr__dims_product(dims, 0, rank);
    if (!v || t->numel == n)
        return v;
    double *out = bnr__temp_f64(a, n);
    struct expansion e = expansion_of(t, rank, dims);
    for (size_t i = 0; out && i < n; i++, expansion_next(&e))
        out[i] = v[e.from];
    return out;
}

const int64_t *bnr__expand_i64(const struct bnr_args *a, const struct bnr_tensor *t, int rank,
                               const int64_t *dims) {
    const int64_t *v = bnr__all_i64(a, t);
    const size_t n = bnr__dims_product(dims, 0, rank);
    if (!v || t->numel == n)
        return v;
    int64_t *out = bnr__temp(a, n, sizeof *out);
    struct expansion e = expansion_of(t, rank, dims);
    for (size_t i = 0; out && i < n; i++, expansion_next(&e))
        out[i] = v[e.from];
    return out;
}

const void *bnr__at(const struct bnr_tensor *t, size_t i) {
    return t->u8 + i * bnr__dtype_size(t->dtype);
}

void *bnr__at_mut(struct bnr_tensor *t, size_t i) {
    return t->u8 + i * bnr__dtype_size(t->dtype);
}

const struct bnr_tensor *bnr__in(const struct bnr_args *a, int i) {
    return i < a->n_in ? a->in[i] : NULL;
}

enum bnr_status bnr__out(const struct bnr_args *a, int i, enum bnr_dtype dtype, int rank,
                         const int64_t *dims, struct bnr_tensor **out) {
    *out = NULL;
    if (i >= a->n_out || !a->out[i])
        return BNR_OK;
    BNR_TRY(bnr__out_alloc(a, i, dtype, rank, dims));
    *out = a->out[i];
    return BNR_OK;
}

enum bnr_status bnr__out_like(const struct bnr_args *a, int i, const struct bnr_tensor *like,
                              struct bnr_tensor **out) {
    return bnr__out(a, i, like->dtype, like->rank, like->dims, out);
}

size_t bnr__dims_product(const int64_t *dims, int first, int last) {
    size_t n = 1;
    for (int i = first; i < last; i++)
        n *= (size_t)dims[i];
    return n;
}
