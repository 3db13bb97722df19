// SPDX-License-Identifier: Apache-2.0
// Element-wise operators around their loops: what their inputs may be, and what comes out.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/ops/lib/typed.h"

static const struct bnr_params no_params;

// ---- checks -------------------------------------------------------------------------------------

static void list_types(uint32_t types, char *buf, size_t size) {
    size_t at = 0;
    buf[0] = '\0';
    for (int d = 1; d < BNR_DTYPE_COUNT && at < size; d++)
        if (types & (1u << d))
            at += (size_t)snprintf(buf + at, size - at, "%s%s", at > 0 ? ", " : "",
                                   bnr__dtype_name((enum bnr_dtype)d));
}

enum bnr_status bnr__infer_types(struct bnr_infer *cx, int i, uint32_t types) {
    if (i >= cx->n_in || cx->in[i] == NULL)
        return BNR_OK;
    const struct bnr_type *t = &cx->in[i]->type;
    if (cx->types)
        cx->types[i] &= types;
    if (t->kind == BNR_KIND_TENSOR && (t->dtype == BNR_UNDEFINED || (types >> t->dtype & 1)))
        return BNR_OK;
    char seen[256], allowed[256];
    list_types(types, allowed, sizeof allowed);
    return bnr__op_fail(cx->node, cx->err, t->kind == BNR_KIND_TENSOR ? BNR_UNSUPPORTED : BNR_SHAPE,
                        "input %d is %s, expected a tensor of %s", i,
                        bnr__type_describe(t, seen, sizeof seen), allowed);
}

static bool is_legacy(const struct bnr_node *n, const struct bnr_each *op) {
    return n->since < op->legacy;
}

// Where input 1 lies in input 0 below opset 7: trailing dims that it has to be padded with, or an
// error.
static enum bnr_status legacy_pad(const struct bnr_node *n, int rank0, int rank1, bool one_element,
                                  int *pad, struct bnr_error *err) {
    *pad = 0;
    int64_t axis = bnr__attr_int(n, "axis", rank0 - rank1);
    if (bnr__attr_int(n, "broadcast", 0) == 0 || axis < 0 || one_element)
        axis = rank0 - rank1;
    if (rank1 > rank0 || axis > rank0 - rank1)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "input 1 of rank %d at axis %lld does not lie in input 0 of rank %d",
                            rank1, (long long)axis, rank0);
    *pad = rank0 - rank1 - (int)axis;
    return BNR_OK;
}

static enum bnr_status legacy_misfit(const struct bnr_node *n, int axis, int64_t a, int64_t b,
                                     struct bnr_error *err) {
    return bnr__op_fail(n, err, BNR_SHAPE, "axis %d of input 0 is %lld, input 1 has %lld there",
                        axis, (long long)a, (long long)b);
}

static bool legacy_fits(const struct bnr_node *n, int64_t a, int64_t b) {
    return a == b || (b == 1 && bnr__attr_int(n, "broadcast", 0) != 0);
}

// ---- inference ----------------------------------------------------------------------------------

// Below the version in which multidirectional broadcasting came: every input has the shape of input
// 0, except that input 1 may be part of it when `broadcast` is set.
static enum bnr_status infer_legacy(struct bnr_infer *cx, struct bnr_shape *shape) {
    *shape = cx->in[0]->type.shape;
    for (int i = 1; i < cx->n_in; i++) {
        const struct bnr_shape *s = &cx->in[i]->type.shape;
        int pad;
        if (shape->rank < 0 || s->rank < 0)
            continue;
        bool one = true, maybe_one = true;
        for (int d = 0; d < s->rank; d++) {
            one = one && s->dims[d].n == 1;
            maybe_one = maybe_one && (s->dims[d].n == 1 || s->dims[d].n < 0);
        }
        if (maybe_one && legacy_pad(cx->node, shape->rank, s->rank, one, &pad, NULL) != BNR_OK)
            continue;
        BNR_TRY(legacy_pad(cx->node, shape->rank, s->rank, one, &pad, cx->err));
        const int shift = shape->rank - pad - s->rank;
        if (shift + pad != 0 && bnr__attr_int(cx->node, "broadcast", 0) == 0)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "input %d has rank %d, input 0 has %d and `broadcast` is not set",
                                i, s->rank, shape->rank);
        for (int d = 0; d < s->rank; d++) {
            const int64_t want = shape->dims[shift + d].n, seen = s->dims[d].n;
            if (want >= 0 && seen >= 0 && !legacy_fits(cx->node, want, seen))
                return legacy_misfit(cx->node, shift + d, want, seen, cx->err);
        }
    }
    return BNR_OK;
}

// Offset into an input's elements of the output element with linear index i.
static size_t element_of(const struct bnr_shape *out, const struct bnr_shape *in, size_t i) {
    size_t at = 0, stride = 1;
    for (int d = out->rank - 1; d >= 0; d--) {
        const size_t dim = (size_t)out->dims[d].n, index = i % dim;
        const int e = d - (out->rank - in->rank);
        i /= dim;
        if (e < 0)
            continue;
        if (in->dims[e].n != 1)
            at += index * stride;
        stride *= (size_t)in->dims[e].n;
    }
    return at;
}

enum { MAX_ELEMS = 64, MAX_ELEMS_IN = 8 };

static size_t small_numel(const struct bnr_shape *shape) {
    size_t numel = 1;
    for (int d = 0; d < shape->rank; d++) {
        if (shape->dims[d].n > MAX_ELEMS)
            return MAX_ELEMS + 1;
        numel *= (size_t)shape->dims[d].n;
        if (numel > MAX_ELEMS)
            return numel;
    }
    return numel;
}

enum bnr_status bnr__each_infer_elems(struct bnr_infer *cx, const struct bnr_shape *shape,
                                      struct bnr_dim (*symbolic)(const struct bnr_dim *x, int n)) {
    const struct bnr_dim *x[MAX_ELEMS_IN];
    struct bnr_dim y[MAX_ELEMS];
    int n[MAX_ELEMS_IN];
    if (symbolic == NULL || cx->n_in > MAX_ELEMS_IN || !bnr__shape_known(shape))
        return BNR_OK;
    const size_t numel = small_numel(shape);
    if (numel > MAX_ELEMS)
        return BNR_OK;
    for (int i = 0; i < cx->n_in; i++) {
        BNR_TRY(bnr__infer_ints(cx, i, &x[i], &n[i]));
        if (x[i] == NULL || !bnr__shape_known(&cx->in[i]->type.shape))
            return BNR_OK;
    }
    for (size_t k = 0; k < numel; k++) {
        struct bnr_dim one[MAX_ELEMS_IN];
        for (int i = 0; i < cx->n_in; i++) {
            const size_t at = element_of(shape, &cx->in[i]->type.shape, k);
            if (at >= (size_t)n[i])
                return BNR_OK;
            one[i] = x[i][at];
        }
        y[k] = symbolic(one, cx->n_in);
    }
    return bnr__infer_set_elems(cx, 0, y, (int)numel);
}

enum bnr_status bnr__each_infer(struct bnr_infer *cx, const struct bnr_each *op) {
    struct bnr_shape shape;
    enum bnr_dtype dtype = BNR_UNDEFINED;
    for (int i = 0; i < cx->n_in; i++) {
        if (cx->in[i] == NULL)
            return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "input %d is missing", i);
        BNR_TRY(bnr__infer_types(cx, i, op->types));
        if (i > 0 && !op->mixed)
            BNR_TRY(bnr__infer_same_dtype(cx, 0, i));
        if (dtype == BNR_UNDEFINED && (i == 0 || !op->mixed))
            dtype = cx->in[i]->type.dtype;
    }
    if (is_legacy(cx->node, op))
        BNR_TRY(infer_legacy(cx, &shape));
    else
        BNR_TRY(bnr__infer_broadcast(cx, 0, cx->n_in - 1, &shape));
    bnr__infer_set(cx, 0, op->predicate ? BNR_BOOL : dtype, &shape);
    return is_legacy(cx->node, op) ? BNR_OK : bnr__each_infer_elems(cx, &shape, op->symbolic);
}

// ---- evaluation ---------------------------------------------------------------------------------

enum bnr_status bnr__each_dims(const struct bnr_args *a, int first, int last, int *rank,
                               int64_t dims[BNR_MAX_RANK]) {
    *rank = 0;
    for (int i = first; i <= last; i++)
        if (a->in[i] != NULL && a->in[i]->rank > *rank)
            *rank = a->in[i]->rank;
    for (int d = 0; d < *rank; d++)
        dims[d] = 1;
    for (int i = first; i <= last; i++) {
        const struct bnr_tensor *t = a->in[i];
        for (int d = 0; t != NULL && d < t->rank; d++) {
            int64_t *dim = &dims[*rank - t->rank + d];
            if (*dim != t->dims[d] && *dim != 1 && t->dims[d] != 1) {
                char seen[256];
                return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                    "input %d, %s, does not broadcast: %lld against %lld", i,
                                    bnr__tensor_describe(t, seen, sizeof seen),
                                    (long long)t->dims[d], (long long)*dim);
            }
            if (*dim == 1)
                *dim = t->dims[d];
        }
    }
    return BNR_OK;
}

// Dims of a legacy call are those of input 0; the others must lie in it.
static enum bnr_status legacy_dims(const struct bnr_args *a, int *pad) {
    const struct bnr_tensor *x = a->in[0];
    for (int i = 1; i < a->n_in; i++) {
        const struct bnr_tensor *t = a->in[i];
        BNR_TRY(legacy_pad(a->node, x->rank, t->rank, t->numel == 1, pad, a->err));
        const int shift = x->rank - *pad - t->rank;
        for (int d = 0; d < t->rank; d++)
            if (!legacy_fits(a->node, x->dims[shift + d], t->dims[d]))
                return legacy_misfit(a->node, shift + d, x->dims[shift + d], t->dims[d], a->err);
    }
    return BNR_OK;
}

enum bnr_status bnr__each_prepare(const struct bnr_args *a, const struct bnr_each *op,
                                  enum bnr_class c, int *pad) {
    for (int i = 0; i < a->n_in; i++) {
        if (a->in[i] == NULL)
            return bnr__op_fail(a->node, a->err, BNR_MALFORMED, "input %d is missing", i);
        if (!op->mixed && a->in[i]->dtype != a->in[0]->dtype)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d is %s, input 0 is %s", i,
                                bnr__dtype_name(a->in[i]->dtype), bnr__dtype_name(a->in[0]->dtype));
    }
    const enum bnr_dtype dtype = a->in[0]->dtype;
    if (a->in[0]->kind != BNR_KIND_TENSOR || op->loop[c] == NULL || !(op->types >> dtype & 1))
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "not defined for %s",
                            bnr__dtype_name(dtype));
    int64_t dims[BNR_MAX_RANK];
    int rank, shift = 0;
    if (is_legacy(a->node, op)) {
        BNR_TRY(legacy_dims(a, &shift));
        rank = a->in[0]->rank;
        memcpy(dims, a->in[0]->dims, sizeof dims);
    } else {
        BNR_TRY(bnr__each_dims(a, 0, a->n_in - 1, &rank, dims));
    }
    if (pad != NULL)
        *pad = shift;
    return bnr__out_alloc(a, 0, op->predicate ? BNR_BOOL : dtype, rank, dims);
}

enum bnr_status bnr__each_run_as(const struct bnr_args *a, const struct bnr_each *op,
                                 enum bnr_class c, const struct bnr_params *params) {
    struct bnr_each_call call = {.n_in = a->n_in, .loop = op->loop[c], .costly = op->costly};
    if (a->n_in < 1 || a->n_in > BNR_EACH_MAX_IN)
        return bnr__op_fail(a->node, a->err, BNR_MALFORMED, "has %d inputs", a->n_in);
    int pad;
    BNR_TRY(bnr__each_prepare(a, op, c, &pad));
    for (int i = 0; i < a->n_in; i++) {
        call.in[i] = a->in[i];
        call.cls[i] = c;
        call.pad[i] = i == 1 ? pad : 0;
    }
    call.out = a->out[0];
    call.out_cls = op->predicate ? BNR_CLASS_BOOL : c;
    call.params = params != NULL ? params : &no_params;
    bnr__each_call(&call, a->pool);
    return BNR_OK;
}

enum bnr_status bnr__each_run(const struct bnr_args *a, const struct bnr_each *op,
                              const struct bnr_params *params) {
    const enum bnr_class c =
        a->n_in > 0 && a->in[0] != NULL ? bnr__dtype_class(a->in[0]->dtype) : BNR_CLASS_NONE;
    return bnr__each_run_as(a, op, c, params);
}

enum bnr_status bnr__each_no_zero(const struct bnr_args *a, int i) {
    const struct bnr_tensor *t = a->in[i];
    const enum bnr_class c = bnr__dtype_class(t->dtype);
    if (c != BNR_CLASS_INT && c != BNR_CLASS_UINT)
        return BNR_OK;
    for (size_t k = 0; k < t->numel; k++)
        if (bnr__get_i64(t->dtype, t->data, k) == 0)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "element %zu of input %d is 0: integer division by zero", k, i);
    return BNR_OK;
}

void bnr__dtype_limit(enum bnr_dtype d, bool highest, void *element) {
    const int bits = bnr__dtype_bits(d);
    const int64_t top = bits >= 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
    int64_t i = highest ? top : -top - 1;
    double f = highest ? HUGE_VAL : -HUGE_VAL;
    switch (bnr__dtype_class(d)) {
    case BNR_CLASS_FLOAT:
        if (d == BNR_FLOAT || d == BNR_FLOAT16 || d == BNR_BFLOAT16)
            f = copysign(d == BNR_FLOAT     ? (double)FLT_MAX
                         : d == BNR_FLOAT16 ? 65504
                                            : 0x1.fep127,
                         f);
        bnr__store_f64(d, element, &f, 1); // the 8- and 4-bit types saturate
        break;
    case BNR_CLASS_DOUBLE:
        f = copysign(DBL_MAX, f);
        memcpy(element, &f, sizeof f);
        break;
    case BNR_CLASS_INT:
        bnr__store_i64(d, element, &i, 1);
        break;
    case BNR_CLASS_UINT:
        i = highest ? -1 : 0; // all bits; storing cuts them to the width
        bnr__store_i64(d, element, &i, 1);
        break;
    case BNR_CLASS_BOOL:
        *(uint8_t *)element = highest;
        break;
    default:
        break;
    }
}
