// SPDX-License-Identifier: Apache-2.0
// Reshape: the same elements with other dims. 0 keeps the input's dim (unless allowzero), -1 is
// what remains. Opset 1 has the dims as an attribute.
#include "runtime/base/checked.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare_channels.h"
#include "runtime/ops/lib/shape.h"

// The dim that -1 stands for: what both sides have in common cancels, the rest must be numbers.
struct rest {
    struct bnr_dim dims[BNR_MAX_RANK];
    int n;
};

static void cancel(struct rest *from, struct rest *to) {
    for (int i = 0; i < from->n; i++) {
        for (int j = 0; j < to->n; j++) {
            if (from->dims[i].n >= 0 || !bnr__dim_equal(from->dims[i], to->dims[j]))
                continue;
            from->dims[i--] = from->dims[--from->n];
            to->dims[j] = to->dims[--to->n];
            break;
        }
    }
}

// Product of the numbers, and how many dims are none (the last of these in *open).
static bool factors(const struct rest *r, int64_t *number, struct bnr_dim *open, int *n_open) {
    *number = 1;
    *n_open = 0;
    for (int i = 0; i < r->n; i++) {
        if (r->dims[i].n >= 0) {
            if (!bnr__i64_mul(*number, r->dims[i].n, number))
                return false;
        } else {
            *open = r->dims[i];
            ++*n_open;
        }
    }
    return true;
}

static enum bnr_status resolve_rest(struct bnr_infer *cx, struct rest *from, struct rest *to,
                                    struct bnr_dim *out) {
    int64_t total, part;
    int n_open, n_open_to;
    struct bnr_dim open = bnr__dim_unknown(), unused;
    cancel(from, to);
    if (!factors(to, &part, &unused, &n_open_to) || !factors(from, &total, &open, &n_open))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the number of elements overflows");
    *out = bnr__dim_unknown();
    if (n_open_to > 0 || n_open > 0) {
        if (n_open_to == 0 && n_open == 1 && total == part && part != 0)
            *out = open;
        return BNR_OK;
    }
    if (part == 0 ? total != 0 : total % part != 0)
        return bnr__op_fail(
            cx->node, cx->err, BNR_SHAPE,
            "%lld elements cannot be divided by the %lld of the other dims for the dim -1",
            (long long)total, (long long)part);
    *out = bnr__dim_of(part == 0 ? 0 : total / part);
    return BNR_OK;
}

// The output's dims for the wanted ones t[n]; x may have an unknown rank.
static enum bnr_status resolve(struct bnr_infer *cx, const struct bnr_shape *x,
                               const struct bnr_dim *t, int n, struct bnr_shape *y) {
    const bool allow_zero = bnr__attr_int(cx->node, "allowzero", 0) != 0;
    bool kept[BNR_MAX_RANK] = {false}, has_zero = false;
    struct rest from = {.n = 0}, to = {.n = 0};
    int minus_one = -1;
    if (n > BNR_MAX_RANK)
        return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED,
                            "the shape has %d dims, at most %d are supported", n, BNR_MAX_RANK);
    *y = (struct bnr_shape){.rank = n};
    for (int i = 0; i < n; i++) {
        y->dims[i] = bnr__dim_of_elem(t[i]);
        if (!bnr__elem_is_number(t[i]) || t[i].n > 0) {
            to.dims[to.n++] = y->dims[i];
        } else if (t[i].n == 0 && !allow_zero) {
            if (x->rank >= 0 && i >= x->rank)
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                    "dim %d of the shape is 0, but the input has rank %d", i,
                                    x->rank);
            y->dims[i] = x->rank >= 0 ? x->dims[i] : bnr__dim_unknown();
            kept[i] = true;
        } else if (t[i].n == 0) {
            to.dims[to.n++] = y->dims[i];
            has_zero = true;
        } else if (t[i].n == -1 && minus_one < 0) {
            minus_one = i;
        } else {
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "dim %d of the shape is %lld%s", i,
                                (long long)t[i].n, t[i].n == -1 ? " for the second time" : "");
        }
    }
    if (has_zero && minus_one >= 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "the shape has both 0 and -1 with allowzero");
    if (minus_one < 0 || x->rank < 0)
        return BNR_OK;
    for (int i = 0; i < x->rank; i++)
        if (!kept[i])
            from.dims[from.n++] = x->dims[i];
    return resolve_rest(cx, &from, &to, &y->dims[minus_one]);
}

static enum bnr_status check_count(struct bnr_infer *cx, const struct bnr_shape *x,
                                   const struct bnr_shape *y) {
    struct bnr_dim nx, ny;
    if (x->rank < 0 || y->rank < 0)
        return BNR_OK;
    if (!bnr__dim_product(x->dims, 0, x->rank, &nx) || !bnr__dim_product(y->dims, 0, y->rank, &ny))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the number of elements overflows");
    if (nx.n < 0 || ny.n < 0 || nx.n == ny.n)
        return BNR_OK;
    char from[160], to[160];
    const struct bnr_type tx = {.dtype = cx->in[0]->type.dtype, .shape = *x};
    const struct bnr_type ty = {.dtype = cx->in[0]->type.dtype, .shape = *y};
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%s has %lld elements, %s has %lld",
                        bnr__type_describe(&tx, from, sizeof from), (long long)nx.n,
                        bnr__type_describe(&ty, to, sizeof to), (long long)ny.n);
}

// The wanted dims as elements; *n is -1 when not even their number is known.
static enum bnr_status wanted(struct bnr_infer *cx, const struct bnr_dim **elems, int *n) {
    struct bnr_ints list;
    BNR_TRY(bnr__infer_int_list(cx, cx->node->since >= 5 ? 1 : -1, "shape", &list));
    if (!list.given)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the shape is missing");
    if (cx->node->since >= 5) {
        BNR_TRY(bnr__infer_ints(cx, 1, elems, n));
        if (*elems)
            return BNR_OK;
    }
    *elems = NULL;
    *n = list.n;
    if (list.n < 0)
        return BNR_OK;
    struct bnr_dim *e = BNR_NEW_ARRAY(cx->arena, (size_t)list.n + 1, struct bnr_dim);
    if (!e)
        return bnr__no_memory(cx->err);
    for (int i = 0; i < list.n; i++)
        e[i].n = list.known ? list.v[i] : BNR_ELEM_UNKNOWN;
    *elems = e;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_info *x = cx->in[0];
    const struct bnr_dim *elems;
    int n;
    struct bnr_shape y = bnr__shape_unknown();
    BNR_TRY(wanted(cx, &elems, &n));
    if (elems) {
        BNR_TRY(resolve(cx, &x->type.shape, elems, n, &y));
        BNR_TRY(check_count(cx, &x->type.shape, &y));
    }
    bnr__infer_set(cx, 0, x->type.dtype, &y);
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    return elems && bnr__shape_known(&y) ? bnr__infer_set_elems(cx, 0, elems, n) : BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__ref_view(a, infer);
}

BNR_DEFINE_OP(reshape) = {
    .domain = "",
    .name = "Reshape",
    .since = {1, 5, 13, 14, 19, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_VIEW,
    .attrs = "shape:I allowzero:i",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_reshape,
    .affine = &bnr__affine_reshape,
};
