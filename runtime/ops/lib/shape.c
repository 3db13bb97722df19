// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/typed.h"

#include <stdatomic.h>
#include <string.h>

#include "runtime/base/checked.h"

static const uint32_t integers =
    BNR_TYPES_INT | BNR_TYPE(INT4) | BNR_TYPE(UINT4) | BNR_TYPE(INT2) | BNR_TYPE(UINT2);
static const uint32_t floats =
    BNR_TYPES_FLOAT | BNR_TYPES_FLOAT8 | BNR_TYPE(FLOAT8E8M0) | BNR_TYPE(FLOAT4E2M1);

// The oldest opsets give sizes as tensors of the data's own type (Split-1, Tile-1).
static uint32_t int_list_types(const struct bnr_node *n) {
    return n->since < 6 ? integers | floats : integers;
}

static bool is_in(uint32_t types, enum bnr_dtype d) {
    return types >> d & 1;
}

static bool from_attr(const struct bnr_node *n, const char *attr, struct bnr_ints *out) {
    const struct bnr_attr *a = attr ? bnr__attr(n, attr) : NULL;
    if (!a)
        return false;
    size_t count;
    out->v = bnr__attr_ints(n, attr, &count);
    out->n = (int)count;
    out->given = out->known = true;
    return true;
}

// Exactly: as elements of shape arithmetic INT64_MIN, a valid end of Slice, would be unknown.
static enum bnr_status from_tensor(struct bnr_infer *cx, const struct bnr_tensor *t,
                                   struct bnr_ints *out) {
    if (t->numel > INT32_MAX)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "a list of %zu numbers is too long",
                            t->numel);
    int64_t *v = BNR_NEW_ARRAY(cx->arena, t->numel ? t->numel : 1, int64_t);
    if (!v)
        return bnr__no_memory(cx->err);
    bnr__load_i64(v, t->dtype, t->data, t->numel);
    *out = (struct bnr_ints){.v = v, .n = (int)t->numel, .given = true, .known = true};
    return BNR_OK;
}

enum bnr_status bnr__infer_int_list(struct bnr_infer *cx, int input, const char *attr,
                                    struct bnr_ints *out) {
    *out = (struct bnr_ints){.n = 0};
    const struct bnr_info *x = input >= 0 && input < cx->n_in ? cx->in[input] : NULL;
    if (!x) {
        from_attr(cx->node, attr, out);
        return BNR_OK;
    }
    out->given = true;
    BNR_TRY(bnr__infer_types(cx, input, int_list_types(cx->node)));
    BNR_TRY(bnr__infer_rank(cx, input, 0, 1));
    if (x->tensor)
        return from_tensor(cx, x->tensor, out);
    const struct bnr_dim *elems;
    BNR_TRY(bnr__infer_ints(cx, input, &elems, &out->n));
    if (!elems) {
        const struct bnr_shape *s = &x->type.shape;
        const bool counted = s->rank == 1 && s->dims[0].n >= 0 && s->dims[0].n <= INT32_MAX;
        out->n = s->rank == 0 ? 1 : counted ? (int)s->dims[0].n : -1;
        return BNR_OK;
    }
    int64_t *v = BNR_NEW_ARRAY(cx->arena, out->n ? (size_t)out->n : 1, int64_t);
    if (!v)
        return bnr__no_memory(cx->err);
    out->v = v;
    out->known = true;
    for (int i = 0; i < out->n; i++) {
        v[i] = elems[i].n;
        out->known = out->known && bnr__elem_is_number(elems[i]);
    }
    return BNR_OK;
}

enum bnr_status bnr__args_indices(const struct bnr_args *a, int input, const int64_t **out) {
    const struct bnr_tensor *t = a->in[input];
    if (t->dtype == BNR_INT64) {
        *out = t->i64;
        return BNR_OK;
    }
    if (!is_in(integers, t->dtype))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "input %d has dtype %s, expected int32 or int64", input,
                            bnr__dtype_name(t->dtype));
    int64_t *v = BNR_NEW_ARRAY(a->temp, t->numel ? t->numel : 1, int64_t);
    if (!v)
        return bnr__no_memory(a->err);
    bnr__load_i64(v, t->dtype, t->data, t->numel);
    *out = v;
    return BNR_OK;
}

enum { INDEX_GRAIN = 16 * 1024 };

struct index_check {
    const int64_t *v;
    uint64_t n;
    atomic_bool outside;
};

static void check_indices(void *cx, size_t begin, size_t end) {
    struct index_check *c = cx;
    bool outside = false;
    for (size_t i = begin; i < end; i++)
        outside |= (uint64_t)c->v[i] + c->n >= 2 * c->n;
    if (outside)
        atomic_store_explicit(&c->outside, true, memory_order_relaxed);
}

enum bnr_status bnr__args_indices_in(const struct bnr_args *a, int input, int64_t n,
                                     const int64_t **out) {
    const size_t count = a->in[input]->numel;
    BNR_TRY(bnr__args_indices(a, input, out));
    struct index_check c = {.v = *out, .n = (uint64_t)n};
    bnr__parallel_for(a->pool, count, INDEX_GRAIN, check_indices, &c);
    if (!atomic_load_explicit(&c.outside, memory_order_relaxed))
        return BNR_OK;
    int64_t resolved;
    for (size_t i = 0; i < count; i++)
        BNR_TRY(bnr__resolve_index(a, input, (*out)[i], n, &resolved));
    return BNR_OK;
}

struct tuples {
    const int64_t *v;
    const int64_t *dims, *strides; // [k]
    size_t k, *offset;
    atomic_bool outside;
};

static void find_offsets(void *cx, size_t begin, size_t end) {
    struct tuples *t = cx;
    bool outside = false;
    for (size_t i = begin; i < end; i++) {
        uint64_t offset = 0;
        for (size_t d = 0; d < t->k; d++) {
            const int64_t index = t->v[i * t->k + d], n = t->dims[d];
            outside |= index < -n || index >= n;
            offset += ((uint64_t)index + (uint64_t)(index < 0 ? n : 0)) * (uint64_t)t->strides[d];
        }
        t->offset[i] = (size_t)offset;
    }
    if (outside)
        atomic_store_explicit(&t->outside, true, memory_order_relaxed);
}

enum bnr_status bnr__args_tuples(const struct bnr_args *a, int input, const struct bnr_tensor *x,
                                 int first, const size_t **out) {
    const struct bnr_tensor *index = a->in[input];
    int64_t strides[BNR_MAX_RANK], resolved;
    size_t count = 1;
    for (int i = 0; i < index->rank - 1; i++)
        count *= (size_t)index->dims[i];
    bnr__dense_strides(x->rank, x->dims, strides);
    struct tuples t = {.dims = x->dims + first,
                       .strides = strides + first,
                       .k = (size_t)index->dims[index->rank - 1],
                       .offset = BNR_NEW_ARRAY(a->temp, count + 1, size_t)};
    if (!t.offset)
        return bnr__no_memory(a->err);
    *out = t.offset;
    BNR_TRY(bnr__args_indices(a, input, &t.v));
    bnr__parallel_for(a->pool, count, INDEX_GRAIN, find_offsets, &t);
    if (!atomic_load_explicit(&t.outside, memory_order_relaxed))
        return BNR_OK;
    for (size_t i = 0; i < count * t.k; i++)
        BNR_TRY(bnr__resolve_index(a, input, t.v[i], t.dims[i % t.k], &resolved));
    return BNR_OK;
}

enum bnr_status bnr__args_int_list(const struct bnr_args *a, int input, const char *attr,
                                   struct bnr_ints *out) {
    *out = (struct bnr_ints){.n = 0};
    const struct bnr_tensor *t = input >= 0 && input < a->n_in ? a->in[input] : NULL;
    if (!t) {
        from_attr(a->node, attr, out);
        return BNR_OK;
    }
    if (t->rank > 1 || t->numel > INT32_MAX)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d has rank %d, expected 1", input,
                            t->rank);
    if (bnr__dtype_is_float(t->dtype) && is_in(int_list_types(a->node), t->dtype)) {
        int64_t *v = BNR_NEW_ARRAY(a->temp, t->numel ? t->numel : 1, int64_t);
        if (!v)
            return bnr__no_memory(a->err);
        bnr__load_i64(v, t->dtype, t->data, t->numel);
        out->v = v;
    } else {
        BNR_TRY(bnr__args_indices(a, input, &out->v));
    }
    out->n = (int)t->numel;
    out->given = out->known = true;
    return BNR_OK;
}

enum bnr_status bnr__resolve_axis(const struct bnr_node *n, struct bnr_error *err, int64_t axis,
                                  int rank, int *out) {
    if (axis < -rank || axis >= rank)
        return bnr__op_fail(n, err, BNR_SHAPE, "axis %lld is outside [%d, %d)", (long long)axis,
                            -rank, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return BNR_OK;
}

enum bnr_status bnr__resolve_axes(const struct bnr_node *n, struct bnr_error *err,
                                  const struct bnr_ints *axes, int rank, int *out) {
    bool seen[BNR_MAX_RANK] = {false};
    for (int i = 0; i < axes->n; i++) {
        int axis = 0;
        BNR_TRY(bnr__resolve_axis(n, err, axes->v[i], rank, &axis));
        if (seen[axis])
            return bnr__op_fail(n, err, BNR_SHAPE, "axis %d is given twice", axis);
        seen[axis] = true;
        out[i] = axis; // at most `rank` distinct ones get here
    }
    return BNR_OK;
}

enum bnr_status bnr__out_infer(const struct bnr_args *a,
                               enum bnr_status (*infer)(struct bnr_infer *cx)) {
    bool all_there = true;
    for (int i = 0; i < a->n_out; i++)
        all_there = all_there && (!a->out[i] || a->out[i]->data);
    if (all_there)
        return BNR_OK;
    const size_t n = (size_t)(a->n_in + a->n_out);
    struct bnr_info *infos = BNR_NEW_ARRAY(a->temp, n, struct bnr_info);
    struct bnr_info **table = BNR_NEW_ARRAY(a->temp, n, struct bnr_info *);
    const struct bnr_info **ins =
        BNR_NEW_ARRAY(a->temp, (size_t)a->n_in + 1, const struct bnr_info *);
    if (!infos || !table || !ins)
        return bnr__no_memory(a->err);
    for (int i = 0; i < a->n_in; i++) {
        struct bnr_tensor *t =
            (struct bnr_tensor *)(uintptr_t)a->in[i]; // only read through the info
        if (!t)
            continue;
        BNR_TRY(bnr__info_of_tensor(&infos[i], t, a->temp));
        ins[i] = &infos[i];
    }
    struct bnr_info **outs = table + a->n_in;
    for (int i = 0; i < a->n_out; i++) {
        infos[a->n_in + i] = bnr__info_unknown();
        outs[i] = a->out[i] ? &infos[a->n_in + i] : NULL;
    }
    struct bnr_infer cx = {.node = a->node,
                           .in = ins,
                           .n_in = a->n_in,
                           .out = outs,
                           .n_out = a->n_out,
                           .arena = a->temp,
                           .err = a->err};
    BNR_TRY(infer(&cx));
    for (int i = 0; i < a->n_out; i++) {
        if (!outs[i])
            continue;
        if (outs[i]->type.kind != BNR_KIND_TENSOR || !bnr__shape_known(&outs[i]->type.shape))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "output %d has no definite dims", i);
        int64_t dims[BNR_MAX_RANK];
        bnr__shape_numbers(&outs[i]->type.shape, dims);
        BNR_TRY(bnr__out_alloc(a, i, outs[i]->type.dtype, outs[i]->type.shape.rank, dims));
    }
    return BNR_OK;
}

enum bnr_status bnr__ref_view(const struct bnr_args *a,
                              enum bnr_status (*infer)(struct bnr_infer *cx)) {
    BNR_TRY(bnr__out_infer(a, infer));
    const struct bnr_tensor *x = a->in[0], *y = a->out[0];
    // Dims that followed from less than the data (Squeeze to rank 0 by axes that a run gives).
    if (y->nbytes != x->nbytes || y->dtype != x->dtype)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu elements cannot become %zu", x->numel,
                            y->numel);
    bnr__copy_bytes(y->data, x->data, x->nbytes, a->pool);
    return BNR_OK;
}

// False when the two cannot be combined.
static bool broadcast_dim(struct bnr_dim a, struct bnr_dim b, struct bnr_dim *out) {
    const bool a_number = a.n >= 0, b_number = b.n >= 0;
    if (a_number && b_number) {
        *out = a.n == 1 ? b : a;
        return a.n == b.n || a.n == 1 || b.n == 1;
    }
    if (a_number && a.n != 1)
        *out = a; // the other one is 1 or the same
    else if (b_number && b.n != 1)
        *out = b;
    else if (a_number)
        *out = b;
    else if (b_number || bnr__dim_equal(a, b))
        *out = a;
    else
        *out = bnr__dim_unknown();
    return true;
}

bool bnr__shape_broadcast(struct bnr_shape *to, const struct bnr_shape *s) {
    if (to->rank < 0 || s->rank < 0) {
        *to = bnr__shape_unknown();
        return true;
    }
    const int rank = to->rank > s->rank ? to->rank : s->rank;
    const struct bnr_dim one = {.n = 1};
    struct bnr_shape r = {.rank = rank};
    for (int i = 0; i < rank; i++) {
        const int ti = i - (rank - to->rank), si = i - (rank - s->rank);
        if (!broadcast_dim(ti < 0 ? one : to->dims[ti], si < 0 ? one : s->dims[si], &r.dims[i]))
            return false;
    }
    *to = r;
    return true;
}

bool bnr__dim_product(const struct bnr_dim *dims, int first, int last, struct bnr_dim *out) {
    int64_t number = 1;
    int open = 0, at = -1;
    for (int i = first; i < last; i++) {
        if (dims[i].n < 0) {
            open++;
            at = i;
        } else if (!bnr__i64_mul(number, dims[i].n, &number)) {
            return false;
        }
    }
    if (open == 0 || number == 0)
        *out = (struct bnr_dim){.n = number};
    else if (open == 1 && number == 1)
        *out = dims[at];
    else
        *out = (struct bnr_dim){.n = -1};
    return true;
}

enum bnr_status bnr__infer_vector(struct bnr_infer *cx, int out, enum bnr_dtype dtype,
                                  const struct bnr_dim *elems, int n) {
    bnr__infer_set_dims(cx, out, dtype, 1, (const int64_t[]){n});
    return elems ? bnr__infer_set_elems(cx, out, elems, n) : BNR_OK;
}

enum bnr_status bnr__out_expect(const struct bnr_args *a, int i, int rank, const int64_t *dims) {
    const struct bnr_tensor *y = a->out[i];
    if (y->data && y->rank == rank && memcmp(y->dims, dims, (size_t)rank * sizeof *dims) == 0)
        return BNR_OK;
    char text[160];
    return bnr__op_fail(a->node, a->err, BNR_INTERNAL,
                        "output %d was planned as %s, which does not fit the data", i,
                        bnr__tensor_describe(y, text, sizeof text));
}

enum bnr_status bnr__resolve_index(const struct bnr_args *a, int input, int64_t index, int64_t n,
                                   int64_t *out) {
    if (index < -n || index >= n)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "input %d: index %lld is outside [%lld, %lld)", input, (long long)index,
                            (long long)-n, (long long)n);
    *out = index < 0 ? index + n : index;
    return BNR_OK;
}
