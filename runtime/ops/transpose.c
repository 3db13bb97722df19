// SPDX-License-Identifier: Apache-2.0
// Transpose: permutes the axes; without `perm` reverses them.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/strided.h"

static enum bnr_status permutation(const struct bnr_node *n, struct bnr_error *err, int rank,
                                   int *perm) {
    struct bnr_ints p = {.given = bnr__attr(n, "perm") != NULL, .known = true};
    size_t count;
    p.v = bnr__attr_ints(n, "perm", &count);
    if (!p.given) {
        for (int i = 0; i < rank; i++)
            perm[i] = rank - 1 - i;
        return BNR_OK;
    }
    if (count != (size_t)rank)
        return bnr__op_fail(n, err, BNR_SHAPE, "perm has %zu axes, the input has rank %d", count,
                            rank);
    p.n = (int)count;
    return bnr__resolve_axes(n, err, &p, rank, perm);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    struct bnr_shape y = bnr__shape_unknown();
    if (x->rank >= 0) {
        int perm[BNR_MAX_RANK];
        BNR_TRY(permutation(cx->node, cx->err, x->rank, perm));
        y.rank = x->rank;
        for (int i = 0; i < x->rank; i++)
            y.dims[i] = x->dims[perm[i]];
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    int perm[BNR_MAX_RANK];
    int64_t xs[BNR_MAX_RANK], ys[BNR_MAX_RANK];
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(permutation(a->node, a->err, x->rank, perm));
    bnr__dense_strides(x->rank, x->dims, xs);
    bnr__dense_strides(x->rank, a->out[0]->dims, ys);
    struct bnr_copy c = {.elem_size = bnr__dtype_size(x->dtype)};
    for (int i = 0; i < x->rank; i++)
        bnr__copy_dim(&c, a->out[0]->dims[i], ys[i], xs[perm[i]]);
    bnr__copy_run(&c, a->out[0]->data, x->data, a->pool);
    return BNR_OK;
}

static bool strided(struct bnr_infer *cx, int out, struct bnr_strided *s) {
    int perm[BNR_MAX_RANK];
    if (permutation(cx->node, cx->err, s->rank, perm) != BNR_OK)
        return false;
    bnr__strided_permute(s, perm);
    return true;
}

BNR_DEFINE_OP(transpose) = {
    .domain = "",
    .name = "Transpose",
    .since = {1, 13, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "perm:I",
    .infer = infer,
    .ref = ref,
    .strided = strided,
    .affine = &bnr__affine_transpose,
};
