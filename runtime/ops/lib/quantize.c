// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/quantize.h"

#include <math.h>
#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/matmul.h"

// ---- QuantizeLinear and DequantizeLinear --------------------------------------------------------

static int64_t axis_of(const struct bnr_node *n, int rank) {
    const int64_t axis = n->since < 13 ? 0 : bnr__attr_int(n, "axis", 1);
    return axis < 0 ? axis + rank : axis;
}

struct bnr_quant_layout bnr__quant_layout(const struct bnr_node *n, const struct bnr_tensor *x,
                                          const struct bnr_tensor *scale) {
    struct bnr_quant_layout l = {.outer = 1, .n = x->numel, .inner = 1};
    const int64_t axis = axis_of(n, x->rank), block = bnr__attr_int(n, "block_size", 0);
    if (scale->rank == 0 || (scale->numel == 1 && block == 0))
        return l;
    l.outer = bnr__dims_product(x->dims, 0, (int)axis);
    l.n = (size_t)x->dims[axis];
    l.inner = bnr__dims_product(x->dims, (int)axis + 1, x->rank);
    l.per_axis = block == 0;
    l.block = (size_t)block;
    return l;
}

static enum bnr_status shape_mismatch(struct bnr_infer *cx, const char *what, int i, int j) {
    char a[200], b[200];
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%s: input %d is %s, input %d is %s", what, i,
                        bnr__type_describe(bnr__infer_in(cx, i), a, sizeof a), j,
                        bnr__type_describe(bnr__infer_in(cx, j), b, sizeof b));
}

static enum bnr_status check_blocked(struct bnr_infer *cx, int axis, int64_t block) {
    const struct bnr_shape *x = &bnr__infer_in(cx, 0)->shape, *s = &bnr__infer_in(cx, 1)->shape;
    if (s->rank != x->rank)
        return shape_mismatch(cx, "with block_size the scale has the input's rank", 1, 0);
    for (int i = 0; i < x->rank; i++) {
        const int64_t n = x->dims[i].n, have = s->dims[i].n;
        const int64_t want = i == axis && n > 0 ? (n - 1) / block + 1 : n;
        if (n >= 0 && have >= 0 && have != want)
            return shape_mismatch(cx, "the scale does not have one element for each block", 1, 0);
    }
    return BNR_OK;
}

static enum bnr_status check_scale(struct bnr_infer *cx) {
    const struct bnr_shape *x = &bnr__infer_in(cx, 0)->shape, *s = &bnr__infer_in(cx, 1)->shape;
    const int64_t block = bnr__attr_int(cx->node, "block_size", 0);
    if (block < 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "block_size is %lld, expected 0 or more",
                            (long long)block);
    // An open dim may be 1.
    const bool single = s->rank == 0 || (s->rank == 1 && (s->dims[0].n == 1 || s->dims[0].n < 0));
    if (x->rank < 0 || s->rank < 0 || (single && block == 0))
        return BNR_OK;
    const int64_t axis = axis_of(cx->node, x->rank);
    if (axis < 0 || axis >= x->rank)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "axis %lld is outside the input's rank %d",
                            (long long)bnr__attr_int(cx->node, "axis", 1), x->rank);
    if (block > 0)
        return check_blocked(cx, (int)axis, block);
    if (s->rank != 1 || cx->node->since < 13)
        return shape_mismatch(cx, "the scale is neither a scalar nor a vector along the axis", 1,
                              0);
    if (s->dims[0].n >= 0 && x->dims[axis].n >= 0 && s->dims[0].n != x->dims[axis].n)
        return shape_mismatch(cx, "the scale does not have one element for each along the axis", 1,
                              0);
    return BNR_OK;
}

static bool may_be_single(const struct bnr_shape *s) {
    return s->rank == 0 || (s->rank == 1 && (s->dims[0].n == 1 || s->dims[0].n < 0));
}

enum bnr_status bnr__quant_infer(struct bnr_infer *cx) {
    BNR_TRY(check_scale(cx));
    const struct bnr_type *s = bnr__infer_in(cx, 1), *z = bnr__infer_in(cx, 2);
    if (!z || z->shape.rank < 0 || s->shape.rank < 0)
        return BNR_OK;
    if (may_be_single(&s->shape) && may_be_single(&z->shape))
        return BNR_OK;
    bool same = s->shape.rank == z->shape.rank;
    for (int i = 0; same && i < s->shape.rank; i++)
        same = s->shape.dims[i].n < 0 || z->shape.dims[i].n < 0 ||
               s->shape.dims[i].n == z->shape.dims[i].n;
    return same ? BNR_OK : shape_mismatch(cx, "scale and zero point differ in shape", 1, 2);
}

void bnr__round_to(enum bnr_dtype dtype, double *v, size_t n) {
    double narrow[64];
    if (dtype == BNR_DOUBLE)
        return;
    for (size_t i = 0; i < n; i += BNR_COUNT(narrow)) {
        const size_t count = n - i < BNR_COUNT(narrow) ? n - i : BNR_COUNT(narrow);
        bnr__store_f64(dtype, narrow, v + i, count);
        bnr__load_f64(v + i, dtype, narrow, count);
    }
}

#define QUANTIZE(name, T)                                                                          \
    static void name(T *y, const float *v, float scale, float low, float high, int zero,           \
                     size_t n) {                                                                   \
        const float magic = 12582912.0f; /* 1.5 * 2^23: the sum has no fraction bits left */       \
        for (size_t i = 0; i < n; i++) {                                                           \
            float q = v[i] / scale;                                                                \
            q = q == q ? q : 0;                                                                    \
            q = q < low ? low : q;                                                                 \
            q = q > high ? high : q;                                                               \
            y[i] = (T)((int)((q + magic) - magic) + zero);                                         \
        }                                                                                          \
    }
QUANTIZE(quantize_i8, int8_t)
QUANTIZE(quantize_u8, uint8_t)

void bnr__quantize_f32(enum bnr_dtype dtype, void *dst, const float *v, float scale, int zero,
                       size_t n) {
    if (dtype == BNR_INT8)
        quantize_i8(dst, v, scale, (float)(INT8_MIN - zero), (float)(INT8_MAX - zero), zero, n);
    else
        quantize_u8(dst, v, scale, (float)-zero, (float)(UINT8_MAX - zero), zero, n);
}

void bnr__dequantize_f32(float *dst, enum bnr_dtype dtype, const void *x, float scale, int zero,
                         size_t n) {
    const int8_t *i8 = x;
    const uint8_t *u8 = x;
    for (size_t i = 0; i < n && dtype == BNR_INT8; i++)
        dst[i] = (float)(i8[i] - zero) * scale;
    for (size_t i = 0; i < n && dtype != BNR_INT8; i++)
        dst[i] = (float)(u8[i] - zero) * scale;
}

struct quant_runs {
    const struct bnr_quant_layout *l;
    size_t length, chunks; // of a run, and into how many it is cut
    void (*fn)(void *cx, const struct bnr_quant_run *run);
    void *cx;
};

enum { RUN = 16 * 1024 };

static void visit_runs(void *cx, size_t begin, size_t end) {
    const struct quant_runs *r = cx;
    for (size_t item = begin; item < end; item++) {
        const size_t run = item / r->chunks, skip = item % r->chunks * RUN;
        const struct bnr_quant_run part = {.at = run * r->length + skip,
                                           .n = min_size(RUN, r->length - skip),
                                           .parameter = r->l->per_axis ? run % r->l->n : 0};
        r->fn(r->cx, &part);
    }
}

void bnr__quant_runs(const struct bnr_quant_layout *l, struct bnr_pool *pool,
                     void (*fn)(void *cx, const struct bnr_quant_run *run), void *cx) {
    const size_t numel = l->outer * l->n * l->inner;
    struct quant_runs r = {.l = l, .length = l->per_axis ? l->inner : numel, .fn = fn, .cx = cx};
    if (numel == 0)
        return;
    r.chunks = ceil_div(r.length, RUN);
    bnr__parallel_for(pool, numel / r.length * r.chunks, RUN / min_size(r.length, RUN), visit_runs,
                      &r);
}

static double saturate_int(enum bnr_dtype dtype, double v) {
    const int bits = bnr__dtype_bits(dtype);
    const bool is_signed = bnr__dtype_class(dtype) == BNR_CLASS_INT;
    const double hi = ldexp(1, is_signed ? bits - 1 : bits) - 1, lo = is_signed ? -hi - 1 : 0;
    return v < lo ? lo : v > hi ? hi : v;
}

void bnr__quant_store(enum bnr_dtype dtype, void *dst, const double *v, const double *zero,
                      size_t n, bool saturate) {
    const enum bnr_class class = bnr__dtype_class(dtype);
    const bool whole = class == BNR_CLASS_INT || class == BNR_CLASS_UINT;
    char *out = dst;
    if (whole && bnr__dtype_bits(dtype) == 8) {
        double part[64];
        for (size_t i = 0; i < n; i += BNR_COUNT(part)) {
            const size_t count = min_size(n - i, BNR_COUNT(part));
            for (size_t k = 0; k < count; k++) // storing saturates
                part[k] = (isnan(v[i + k]) ? 0 : rint(v[i + k])) + (zero ? zero[i + k] : 0);
            bnr__store_f64(dtype, out + i, part, count);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const double z = zero ? zero[i] : 0;
        double y = (whole ? (isnan(v[i]) ? 0 : rint(v[i])) : v[i]) + z;
        if (whole)
            y = saturate_int(dtype, y);
        else if (bnr__dtype_bits(dtype) <= 8) {
            *(uint8_t *)(out + i) = bnr__f32_to_f8(dtype, (float)y, saturate);
            continue;
        }
        bnr__store_f64(dtype, out + i * bnr__dtype_size(dtype), &y, 1);
    }
}

// ---- products -----------------------------------------------------------------------------------

enum bnr_status bnr__quant_side_infer(struct bnr_infer *cx, int i, int of,
                                      enum bnr_quant_side side) {
    const struct bnr_type *t = bnr__infer_in(cx, i), *x = bnr__infer_in(cx, of);
    if (!t || t->shape.rank < 0 || x->shape.rank < 1)
        return BNR_OK;
    const struct bnr_shape *s = &t->shape, *m = &x->shape;
    if (s->rank == 0 || (s->rank == 1 && (s->dims[0].n == 1 || s->dims[0].n < 0)))
        return BNR_OK;
    // A vector operand has one row (column).
    const int kept = m->rank == 1 ? -1 : side == BNR_QUANT_ROWS ? m->rank - 2 : m->rank - 1;
    bool fits = true;
    if (s->rank == 1) {
        fits = kept >= 0 && (m->dims[kept].n < 0 || m->dims[kept].n == s->dims[0].n);
    } else {
        const int other = side == BNR_QUANT_ROWS ? m->rank - 1 : m->rank - 2;
        fits = s->rank == m->rank;
        for (int d = 0; fits && d < s->rank; d++) {
            const int64_t have = s->dims[d].n, want = d == other ? 1 : m->dims[d].n;
            fits = have < 0 || want < 0 || have == want || have == 1;
        }
    }
    return fits ? BNR_OK
                : shape_mismatch(cx, "quantization parameters do not fit the matrix", i, of);
}

const double *bnr__quant_side_expand(const struct bnr_args *a, const struct bnr_tensor *t,
                                     enum bnr_quant_side side, int rank, const int64_t *dims,
                                     double fallback) {
    struct bnr_tensor scalar = {.dtype = BNR_DOUBLE}, column;
    if (!t) {
        bnr__tensor_set(&scalar, BNR_DOUBLE, 0, NULL, &fallback);
        t = &scalar;
    } else if (t->rank > rank || t->numel == 1) {
        bnr__tensor_set(&scalar, t->dtype, 0, NULL, t->data);
        t = &scalar;
    } else if (t->rank == 1 && side == BNR_QUANT_ROWS && rank >= 2) {
        const int64_t shape[2] = {t->dims[0], 1};
        bnr__tensor_set(&column, t->dtype, 2, shape, t->data);
        t = &column;
    }
    if (t == &scalar && bnr__dims_product(dims, 0, rank) == 1) {
        double *one = bnr__temp_f64(a, 1); // `fallback` does not outlive this call
        if (one)
            *one = bnr__tensor_f64(t, 0);
        return one;
    }
    return bnr__expand_f64(a, t, rank, dims);
}

double *bnr__quant_shifted(const struct bnr_args *a, int x, int zero, enum bnr_quant_side side) {
    const struct bnr_tensor *t = a->in[x];
    double *v = bnr__temp_f64(a, t->numel);
    if (!v || t->numel == 0)
        return v;
    const double *z = bnr__quant_side_expand(a, bnr__in(a, zero), side, t->rank, t->dims, 0);
    if (!z)
        return NULL;
    bnr__load_f64(v, t->dtype, t->data, t->numel);
    for (size_t i = 0; i < t->numel; i++)
        v[i] -= z[i];
    return v;
}

double *bnr__quant_matmul(const struct bnr_args *a, int ia, int ib, const double *x,
                          const double *w, int *rank, int64_t dims[BNR_MAX_RANK]) {
    struct bnr_matmul_shape s;
    bnr__matmul_shape(a->in[ia], a->in[ib], &s);
    *rank = s.rank;
    memcpy(dims, s.dims, sizeof s.dims);
    if (s.count == 0 || s.m == 0 || s.n == 0)
        return bnr__temp_f64(a, 1);
    double *y = bnr__temp_f64(a, s.count * s.m * s.n);
    struct bnr_matmul p = {.m = s.m, .n = s.n, .k = s.k, .b_dtype = BNR_DOUBLE};
    for (size_t i = 0; y && i < s.count; i++) {
        size_t at_x, at_w;
        bnr__matmul_operands(&s, i, &at_x, &at_w);
        p.b = w + at_w * s.k * s.n;
        bnr__matmul_f64(&p, x + at_x * s.m * s.k, y + i * s.m * s.n, a->pool);
    }
    return y;
}

enum bnr_status bnr__quant_count_infer(struct bnr_infer *cx, int i, struct bnr_dim n) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    if (!t || t->shape.rank < 0 || t->shape.rank == 0)
        return BNR_OK;
    const int64_t have = t->shape.rank == 1 ? t->shape.dims[0].n : 0;
    if (t->shape.rank == 1 && (have < 0 || have == 1 || (n.n != 1 && (n.n < 0 || have == n.n))))
        return BNR_OK;
    char seen[200];
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input %d is %s, expected a scalar%s", i,
                        bnr__type_describe(t, seen, sizeof seen),
                        n.n == 1 ? "" : " or one element for each output channel");
}

enum bnr_status bnr__quant_conv_infer(struct bnr_infer *cx, struct bnr_quant_conv in,
                                      enum bnr_dtype dtype) {
    const struct bnr_type *w = bnr__infer_in(cx, in.w);
    BNR_TRY(bnr__infer_types(cx, in.x, BNR_TYPES_8BIT));
    BNR_TRY(bnr__infer_types(cx, in.w, BNR_TYPES_8BIT));
    if (bnr__infer_in(cx, in.x_zero))
        BNR_TRY(bnr__infer_same_dtype(cx, in.x, in.x_zero));
    if (bnr__infer_in(cx, in.w_zero))
        BNR_TRY(bnr__infer_same_dtype(cx, in.w, in.w_zero));
    BNR_TRY(bnr__quant_count_infer(cx, in.x_zero, bnr__dim_of(1)));
    BNR_TRY(bnr__quant_count_infer(cx, in.w_zero,
                                   w->shape.rank > 0 ? w->shape.dims[0] : bnr__dim_unknown()));
    const struct bnr_conv_inputs conv = {
        .x = in.x, .w = in.w, .b = in.bias < 0 ? BNR_VARIADIC : in.bias};
    return bnr__conv_infer(cx, conv, dtype);
}

double *bnr__quant_conv(const struct bnr_args *a, struct bnr_quant_conv in,
                        const struct bnr_conv *c) {
    const struct bnr_tensor *x = a->in[in.x], *w = a->in[in.w], *wz = bnr__in(a, in.w_zero);
    const struct bnr_tensor *xz = bnr__in(a, in.x_zero),
                            *b = in.bias < 0 ? NULL : bnr__in(a, in.bias);
    const size_t out = (size_t)(c->out_channels * bnr__window_out_numel(&c->window));
    const size_t image = x->numel / (size_t)c->batch,
                 per_channel = w->numel / (size_t)c->out_channels;
    double *xd = bnr__temp_f64(a, x->numel), *wd = bnr__temp_f64(a, w->numel);
    double *y = bnr__temp_f64(a, (size_t)c->batch * out);
    const double *bias = bnr__all_f64(a, b), shift = xz ? bnr__tensor_f64(xz, 0) : 0;
    if (!xd || !wd || !y || (b && !bias))
        return NULL;
    bnr__load_f64(xd, x->dtype, x->data, x->numel);
    bnr__load_f64(wd, w->dtype, w->data, w->numel);
    for (size_t i = 0; i < x->numel; i++)
        xd[i] -= shift;
    for (size_t i = 0; wz && i < w->numel; i++)
        wd[i] -= bnr__tensor_f64(wz, wz->numel == 1 ? 0 : i / per_channel);
    for (size_t i = 0; i < (size_t)c->batch; i++)
        bnr__conv_f64(c, xd + i * image, wd, bias, y + i * out, a->pool);
    return y;
}
