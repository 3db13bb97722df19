// SPDX-License-Identifier: Apache-2.0
// Einsum: products of the inputs, summed over every axis that the output does not have. Inputs are
// multiplied from left to right; axes that neither the output nor a later input needs are summed as
// soon as possible. Floats are computed in double, integers wrap.
#include <string.h>

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/einsum.h"

enum { IDS = BNR_EINSUM_IDS };

static enum bnr_status merge_dim(const struct bnr_node *n, int input, int d, struct bnr_dim *have,
                                 struct bnr_dim dim, struct bnr_error *err) {
    if (have->n > 1 && dim.n >= 0 && dim.n != 1 && dim.n != have->n)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "dim %d of input %d is %lld, the same axis is %lld elsewhere", d, input,
                            (long long)dim.n, (long long)have->n);
    if (have->n == 0 && dim.n > 1)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "dim %d of input %d is %lld, the same axis is 0 elsewhere", d, input,
                            (long long)dim.n);
    if (have->n <= 1 && !(have->n == 0) && dim.n != 1 && !(have->sym != NULL && dim.n < 0))
        *have = dim;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_einsum e;
    struct bnr_dim dims[IDS];
    struct bnr_shape y = bnr__shape_unknown();
    BNR_TRY(bnr__infer_tensors(cx, 0, cx->n_in - 1, BNR_TYPES_NUMERIC));
    BNR_TRY(bnr__einsum_parse(cx->node, cx->n_in, cx->arena, &e, cx->err));
    int *ranks = BNR_NEW_ARRAY(cx->arena, (size_t)cx->n_in, int);
    if (ranks == NULL)
        return bnr__no_memory(cx->err);
    for (int i = 0; i < cx->n_in; i++)
        ranks[i] = cx->in[i]->type.shape.rank;
    const int dots = bnr__einsum_dots(&e, ranks);
    for (int i = 0; i < IDS; i++)
        dims[i] = bnr__dim_of(1);
    bool all = true;
    for (int i = 0; i < cx->n_in && dots >= 0; i++) {
        int8_t axes[BNR_MAX_RANK];
        all = all && ranks[i] >= 0;
        if (ranks[i] < 0)
            continue;
        BNR_TRY(bnr__einsum_axes(cx->node, &e, i, ranks[i], dots, axes, cx->err));
        for (int d = 0; d < ranks[i]; d++)
            BNR_TRY(
                merge_dim(cx->node, i, d, &dims[axes[d]], cx->in[i]->type.shape.dims[d], cx->err));
    }
    const int covered = e.out.ellipsis >= 0 ? dots : 0;
    if (covered >= 0 && e.out.n + covered <= BNR_MAX_RANK) {
        int8_t axes[BNR_MAX_RANK];
        y.rank = e.out.n + covered;
        BNR_TRY(bnr__einsum_axes(cx->node, &e, -1, y.rank, dots < 0 ? 0 : dots, axes, cx->err));
        for (int d = 0; d < y.rank; d++)
            y.dims[d] = all ? dims[axes[d]] : bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, bnr__infer_in_dtype(cx, 0), &y);
    return BNR_OK;
}

// ---- evaluation ---------------------------------------------------------------------------------

struct work {
    const struct bnr_args *a;
    struct bnr_einsum_operand *in; // [n_in]
    int64_t dims[BNR_EINSUM_AXES];
    int8_t axis_of_id[IDS]; // -1: not used
    int n_axes;
    uint64_t out;
    int n_out;
    int8_t out_axes[BNR_MAX_RANK];
    bool integer;
};

static enum bnr_status axis_of(struct work *w, int8_t id, int8_t *axis) {
    if (w->axis_of_id[id] < 0) {
        if (w->n_axes == BNR_EINSUM_AXES)
            return bnr__op_fail(w->a->node, w->a->err, BNR_UNSUPPORTED, "more than %d axes",
                                BNR_EINSUM_AXES);
        w->dims[w->n_axes] = 1;
        w->axis_of_id[id] = (int8_t)w->n_axes++;
    }
    *axis = w->axis_of_id[id];
    return BNR_OK;
}

// Strides of an axis that occurs twice in a term add up: the diagonal.
static enum bnr_status set_operand(struct work *w, const struct bnr_einsum *e, int i, int dots) {
    const struct bnr_tensor *t = w->a->in[i];
    struct bnr_einsum_operand *o = &w->in[i];
    int8_t ids[BNR_MAX_RANK], axis = 0;
    int64_t stride = 1;
    BNR_TRY(bnr__einsum_axes(w->a->node, e, i, t->rank, dots, ids, w->a->err));
    for (int d = t->rank - 1; d >= 0; d--) {
        BNR_TRY(axis_of(w, ids[d], &axis));
        struct bnr_dim have = bnr__dim_of(w->dims[axis]);
        BNR_TRY(merge_dim(w->a->node, i, d, &have, bnr__dim_of(t->dims[d]), w->a->err));
        w->dims[axis] = have.n;
        if (t->dims[d] != 1) {
            o->mask |= (uint64_t)1 << axis;
            o->stride[axis] += stride;
        }
        stride *= t->dims[d];
    }
    o->data =
        w->integer ? (const void *)bnr__all_i64(w->a, t) : (const void *)bnr__all_f64(w->a, t);
    return o->data != NULL ? BNR_OK : BNR_NO_MEMORY;
}

// *r = a * b, summed over the axes outside `keep`; `last`: in the order of the output.
static enum bnr_status multiply(struct work *w, const struct bnr_einsum_operand *a,
                                const struct bnr_einsum_operand *b, uint64_t keep, bool last,
                                struct bnr_einsum_operand *r) {
    struct bnr_einsum_product p = {.a = a, .b = b, .dims = w->dims, .integer = w->integer};
    const uint64_t kept = (a->mask | b->mask) & keep;
    size_t numel = 1;
    if (last) {
        p.n_kept = w->n_out;
        memcpy(p.kept, w->out_axes, sizeof w->out_axes);
    }
    for (int i = 0; i < w->n_axes && !last; i++)
        if (kept >> i & 1)
            p.kept[p.n_kept++] = (int8_t)i;
    struct bnr_einsum_operand result = {.mask = kept};
    for (int k = p.n_kept - 1; k >= 0; k--) {
        result.stride[p.kept[k]] = (int64_t)numel;
        if (!bnr__size_mul(numel, (size_t)w->dims[p.kept[k]], &numel))
            return bnr__op_fail(w->a->node, w->a->err, BNR_SHAPE,
                                "an intermediate product is too large");
    }
    p.y = bnr__temp(w->a, numel > 0 ? numel : 1, sizeof(double));
    if (p.y == NULL)
        return BNR_NO_MEMORY;
    bnr__einsum_multiply(&p, w->a->pool);
    result.data = p.y;
    *r = result;
    return BNR_OK;
}

static enum bnr_status multiply_all(struct work *w, struct bnr_einsum_operand *result) {
    static const double one_f64 = 1;
    static const uint64_t one_u64 = 1;
    const struct bnr_einsum_operand one = {.data = w->integer ? (const void *)&one_u64 : &one_f64};
    const int n = w->a->n_in;
    for (int i = 0; i < n && n > 1; i++) { // axes of one input alone
        uint64_t keep = w->out;
        for (int k = 0; k < n; k++)
            keep |= k != i ? w->in[k].mask : 0;
        if (w->in[i].mask & ~keep)
            BNR_TRY(multiply(w, &w->in[i], &one, keep, false, &w->in[i]));
    }
    struct bnr_einsum_operand so_far = w->in[0];
    for (int i = 1; i < n - 1; i++) {
        uint64_t keep = w->out;
        for (int k = i + 1; k < n; k++)
            keep |= w->in[k].mask;
        BNR_TRY(multiply(w, &so_far, &w->in[i], keep, false, &so_far));
    }
    return multiply(w, &so_far, n > 1 ? &w->in[n - 1] : &one, w->out, true, result);
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_einsum e;
    struct work *w = bnr__temp(a, 1, sizeof *w);
    int *ranks = bnr__temp(a, (size_t)a->n_in, sizeof *ranks);
    if (w == NULL || ranks == NULL)
        return BNR_NO_MEMORY;
    w->a = a;
    w->in = bnr__temp(a, (size_t)a->n_in, sizeof *w->in);
    if (w->in == NULL)
        return BNR_NO_MEMORY;
    w->integer = !bnr__dtype_is_float(a->in[0]->dtype);
    memset(w->axis_of_id, -1, sizeof w->axis_of_id);
    BNR_TRY(bnr__einsum_parse(a->node, a->n_in, a->temp, &e, a->err));
    for (int i = 0; i < a->n_in; i++)
        ranks[i] = a->in[i]->rank;
    const int dots = bnr__einsum_dots(&e, ranks);
    for (int i = 0; i < a->n_in; i++)
        BNR_TRY(set_operand(w, &e, i, dots));
    int8_t ids[BNR_MAX_RANK];
    int64_t dims[BNR_MAX_RANK];
    w->n_out = e.out.n + (e.out.ellipsis >= 0 ? dots : 0);
    if (w->n_out > BNR_MAX_RANK)
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "the output has rank %d", w->n_out);
    BNR_TRY(bnr__einsum_axes(a->node, &e, -1, w->n_out, dots, ids, a->err));
    for (int d = 0; d < w->n_out; d++) {
        BNR_TRY(axis_of(w, ids[d], &w->out_axes[d]));
        w->out |= (uint64_t)1 << w->out_axes[d];
        dims[d] = w->dims[w->out_axes[d]];
    }
    struct bnr_einsum_operand y = {0};
    BNR_TRY(multiply_all(w, &y));
    BNR_TRY(bnr__out_alloc(a, 0, a->in[0]->dtype, w->n_out, dims));
    if (w->integer)
        bnr__store_i64(a->out[0]->dtype, a->out[0]->data, y.data, a->out[0]->numel);
    else
        bnr__store_f64(a->out[0]->dtype, a->out[0]->data, y.data, a->out[0]->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(einsum) = {
    .domain = "",
    .name = "Einsum",
    .since = {12},
    .min_in = 1,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = 1,
    .attrs = "equation:s!",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_einsum,
};
