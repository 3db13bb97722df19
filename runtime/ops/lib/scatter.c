// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/scatter.h"

#include <math.h>
#include <string.h>

#include "runtime/ops/lib/elements.h"
#include "runtime/ops/lib/shape.h"

enum bnr_status bnr__scatter_reduction(const struct bnr_node *n, struct bnr_error *err,
                                       enum bnr_dtype dtype, enum bnr_reduction *out) {
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    *out = BNR_REDUCE_NONE;
    if (n->since < 16)
        return BNR_OK;
    const char *name = bnr__attr_string(n, "reduction", "none");
    int r = 0;
    while (r < (n->since >= 18 ? 5 : 3) && strcmp(name, names[r]) != 0)
        r++;
    if (r == (n->since >= 18 ? 5 : 3))
        return bnr__op_fail(n, err, BNR_SHAPE, "reduction is '%s', expected none, add, mul%s", name,
                            n->since >= 18 ? ", max or min" : "");
    const enum bnr_class c = bnr__dtype_class(dtype);
    if (r != BNR_REDUCE_NONE &&
        (c == BNR_CLASS_STRING || (c == BNR_CLASS_COMPLEX && r >= BNR_REDUCE_MAX)))
        return bnr__op_fail(n, err, BNR_SHAPE, "reduction %s of %s elements", name,
                            bnr__dtype_name(dtype));
    *out = (enum bnr_reduction)r;
    return BNR_OK;
}

static double reduce_f64(enum bnr_reduction r, double a, double b) {
    switch (r) {
    case BNR_REDUCE_ADD:
        return a + b;
    case BNR_REDUCE_MUL:
        return a * b;
    case BNR_REDUCE_MAX:
        return isnan(a) || a > b ? a : b;
    default:
        return isnan(a) || a < b ? a : b;
    }
}

static float reduce_f32(enum bnr_reduction r, float a, float b) {
    switch (r) {
    case BNR_REDUCE_ADD:
        return a + b;
    case BNR_REDUCE_MUL:
        return a * b;
    default:
        return (float)reduce_f64(r, (double)a, (double)b);
    }
}

// Sums and products wrap; they are the same for both kinds of integers.
static uint64_t reduce_int(enum bnr_reduction r, bool is_signed, uint64_t a, uint64_t b) {
    const bool greater = is_signed ? (int64_t)a > (int64_t)b : a > b;
    switch (r) {
    case BNR_REDUCE_ADD:
        return a + b;
    case BNR_REDUCE_MUL:
        return a * b;
    case BNR_REDUCE_MAX:
        return greater ? a : b;
    default:
        return greater ? b : a;
    }
}

static void reduce_complex(enum bnr_reduction r, enum bnr_dtype dtype, void *to, const void *from) {
    double a[2], b[2], c[2];
    const enum bnr_dtype part = dtype == BNR_COMPLEX64 ? BNR_FLOAT : BNR_DOUBLE;
    bnr__load_f64(a, part, to, 2);
    bnr__load_f64(b, part, from, 2);
    c[0] = r == BNR_REDUCE_ADD ? a[0] + b[0] : a[0] * b[0] - a[1] * b[1];
    c[1] = r == BNR_REDUCE_ADD ? a[1] + b[1] : a[0] * b[1] + a[1] * b[0];
    bnr__store_f64(part, to, c, 2);
}

static void reduce_one(enum bnr_reduction r, enum bnr_dtype dtype, void *to, const void *from) {
    float f[2];
    double d[2];
    int64_t k[2];
    const enum bnr_class class = bnr__dtype_class(dtype);
    switch (class) {
    case BNR_CLASS_FLOAT:
        bnr__load_f32(&f[0], dtype, to, 1);
        bnr__load_f32(&f[1], dtype, from, 1);
        f[0] = reduce_f32(r, f[0], f[1]);
        bnr__store_f32(dtype, to, f, 1);
        break;
    case BNR_CLASS_DOUBLE:
        memcpy(&d[0], to, sizeof d[0]);
        memcpy(&d[1], from, sizeof d[1]);
        d[0] = reduce_f64(r, d[0], d[1]);
        memcpy(to, d, sizeof d[0]);
        break;
    case BNR_CLASS_COMPLEX:
        reduce_complex(r, dtype, to, from);
        break;
    default: // bool: 0 and 1, where the sum is stored as "!= 0"
        bnr__load_i64(&k[0], dtype, to, 1);
        bnr__load_i64(&k[1], dtype, from, 1);
        k[0] = (int64_t)reduce_int(r, class == BNR_CLASS_INT, (uint64_t)k[0], (uint64_t)k[1]);
        bnr__store_i64(dtype, to, k, 1);
        break;
    }
}

static void apply_f32(enum bnr_reduction r, float *to, const float *from, size_t n) {
    if (r == BNR_REDUCE_ADD)
        for (size_t i = 0; i < n; i++)
            to[i] += from[i];
    else
        for (size_t i = 0; i < n; i++)
            to[i] = reduce_f32(r, to[i], from[i]);
}

void bnr__scatter_apply(enum bnr_reduction r, enum bnr_dtype dtype, void *to, const void *from,
                        size_t n) {
    const size_t size = bnr__dtype_size(dtype);
    if (r == BNR_REDUCE_NONE) {
        if (size == sizeof(float) && n == 1)
            memcpy(to, from, sizeof(float));
        else
            memcpy(to, from, n * size);
        return;
    }
    if (dtype == BNR_FLOAT) {
        apply_f32(r, to, from, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        reduce_one(r, dtype, (char *)to + i * size, (const char *)from + i * size);
}

// ---- ScatterElements ----------------------------------------------------------------------------

static const enum bnr_dtype index_types[] = {BNR_INT32, BNR_INT64, BNR_UNDEFINED};

static bool contradicts(struct bnr_dim a, struct bnr_dim b) {
    return a.n >= 0 && b.n >= 0 && a.n != b.n;
}

enum bnr_status bnr__scatter_elements_infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *index = &cx->in[1]->type.shape;
    const struct bnr_shape *u = &cx->in[2]->type.shape;
    enum bnr_reduction r;
    BNR_TRY(bnr__infer_dtype(cx, 1, index_types));
    BNR_TRY(bnr__infer_same_dtype(cx, 0, 2));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    BNR_TRY(bnr__scatter_reduction(cx->node, cx->err, cx->in[0]->type.dtype, &r));
    if (x->rank >= 0) {
        int axis;
        BNR_TRY(bnr__infer_rank(cx, 1, x->rank, x->rank));
        BNR_TRY(bnr__infer_rank(cx, 2, x->rank, x->rank));
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), x->rank, &axis));
    }
    for (int i = 0; index->rank == u->rank && i < u->rank; i++)
        if (contradicts(index->dims[i], u->dims[i]))
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "dim %d is %lld in the indices, %lld in the updates", i,
                                (long long)index->dims[i].n, (long long)u->dims[i].n);
    return bnr__infer_same(cx);
}

struct work {
    enum bnr_reduction r;
    enum bnr_dtype dtype;
    char *y;
    const char *updates;
    size_t size;
};

static void write_row(void *cx, const struct bnr_elements_row *row) {
    const struct work *w = cx;
    const char *from = w->updates + row->at * w->size;
    if (w->r == BNR_REDUCE_NONE && w->size == sizeof(float))
        for (size_t j = 0; j < row->n; j++)
            memcpy(w->y + bnr__elements_offset(row, j) * sizeof(float), from + j * sizeof(float),
                   sizeof(float));
    else
        for (size_t j = 0; j < row->n; j++)
            bnr__scatter_apply(w->r, w->dtype, w->y + bnr__elements_offset(row, j) * w->size,
                               from + j * w->size, 1);
}

enum bnr_status bnr__scatter_elements_ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct work w = {
        .dtype = x->dtype, .size = bnr__dtype_size(x->dtype), .updates = a->in[2]->data};
    BNR_TRY(bnr__out_infer(a, bnr__scatter_elements_infer));
    BNR_TRY(bnr__scatter_reduction(a->node, a->err, x->dtype, &w.r));
    w.y = a->out[0]->data;
    bnr__copy_bytes(w.y, x->data, x->nbytes, a->pool);
    return bnr__elements_walk(a, write_row, &w);
}
