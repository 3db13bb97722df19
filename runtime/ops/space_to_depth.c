// SPDX-License-Identifier: Apache-2.0
// SpaceToDepth: [N, C, H*b, W*b] to [N, b*b*C, H, W]; the output channel is (row, column, c).
#include "runtime/base/checked.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status block_size(const struct bnr_node *n, struct bnr_error *err, int64_t *block) {
    *block = bnr__attr_int(n, "blocksize", 0);
    if (*block < 1 || *block > 1 << 20)
        return bnr__op_fail(n, err, BNR_SHAPE, "blocksize is %lld", (long long)*block);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = cx->in[0]->type.shape;
    int64_t b;
    BNR_TRY(block_size(cx->node, cx->err, &b));
    BNR_TRY(bnr__infer_rank(cx, 0, 4, 4));
    if (y.rank < 0) {
        y.rank = 4;
        for (int i = 0; i < 4; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    for (int i = 2; i < 4; i++) {
        if (y.dims[i].n >= 0 && y.dims[i].n % b != 0)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "dim %d is %lld, no multiple of blocksize %lld", i,
                                (long long)y.dims[i].n, (long long)b);
        if (b != 1)
            y.dims[i] = y.dims[i].n >= 0 ? bnr__dim_of(y.dims[i].n / b) : bnr__dim_unknown();
    }
    if (y.dims[1].n >= 0 && !bnr__i64_mul(y.dims[1].n, b * b, &y.dims[1].n))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the number of channels overflows");
    if (y.dims[1].n < 0 && b != 1)
        y.dims[1] = bnr__dim_unknown();
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    int64_t b, xs[4], ys[4];
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(block_size(a->node, a->err, &b));
    const struct bnr_tensor *y = a->out[0];
    bnr__dense_strides(4, x->dims, xs);
    bnr__dense_strides(4, y->dims, ys);
    struct bnr_copy k = {.elem_size = bnr__dtype_size(x->dtype)};
    bnr__copy_dim(&k, x->dims[0], ys[0], xs[0]);
    bnr__copy_dim(&k, b, ys[1] * b * x->dims[1], xs[2]);
    bnr__copy_dim(&k, b, ys[1] * x->dims[1], 1);
    bnr__copy_dim(&k, x->dims[1], ys[1], xs[1]);
    bnr__copy_dim(&k, y->dims[2], ys[2], xs[2] * b);
    bnr__copy_dim(&k, y->dims[3], 1, b);
    bnr__copy_run(&k, y->data, x->data, a->pool);
    return BNR_OK;
}

BNR_DEFINE_OP(space_to_depth) = {
    .domain = "",
    .name = "SpaceToDepth",
    .since = {1, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "blocksize:i!",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_space_to_depth,
};
