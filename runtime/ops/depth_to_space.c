// SPDX-License-Identifier: Apache-2.0
// DepthToSpace: [N, C*b*b, H, W] to [N, C, H*b, W*b]. DCR: the channel index is (row, column, c);
// CRD: (c, row, column).
#include <string.h>

#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status block_size(const struct bnr_node *n, struct bnr_error *err, int64_t *block) {
    *block = bnr__attr_int(n, "blocksize", 0);
    const char *mode = bnr__attr_string(n, "mode", "DCR");
    if (*block < 1 || *block > 1 << 20)
        return bnr__op_fail(n, err, BNR_SHAPE, "blocksize is %lld", (long long)*block);
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "mode is '%s', expected DCR or CRD", mode);
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
    if (y.dims[1].n >= 0 && y.dims[1].n % (b * b) != 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "%lld channels are no multiple of blocksize^2 = %lld",
                            (long long)y.dims[1].n, (long long)(b * b));
    if (b != 1)
        y.dims[1] = y.dims[1].n >= 0 ? bnr__dim_of(y.dims[1].n / (b * b)) : bnr__dim_unknown();
    for (int i = 2; i < 4 && b != 1; i++) {
        if (y.dims[i].n > INT64_MAX / b)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "dim %d overflows", i);
        y.dims[i] = y.dims[i].n >= 0 ? bnr__dim_of(y.dims[i].n * b) : bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    int64_t b, xs[4], ys[4];
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(block_size(a->node, a->err, &b));
    const struct bnr_tensor *y = a->out[0];
    const bool crd = strcmp(bnr__attr_string(a->node, "mode", "DCR"), "CRD") == 0;
    bnr__dense_strides(4, x->dims, xs);
    bnr__dense_strides(4, y->dims, ys);
    const int64_t c = y->dims[1];
    const int64_t channel = crd ? b * b : 1, row = crd ? b : b * c, column = crd ? 1 : c;
    struct bnr_copy k = {.elem_size = bnr__dtype_size(x->dtype)};
    bnr__copy_dim(&k, x->dims[0], ys[0], xs[0]);
    bnr__copy_dim(&k, c, ys[1], xs[1] * channel);
    bnr__copy_dim(&k, x->dims[2], ys[2] * b, xs[2]);
    bnr__copy_dim(&k, b, ys[2], xs[1] * row);
    bnr__copy_dim(&k, x->dims[3], b, 1);
    bnr__copy_dim(&k, b, 1, xs[1] * column);
    bnr__copy_run(&k, y->data, x->data, a->pool);
    return BNR_OK;
}

BNR_DEFINE_OP(depth_to_space) = {
    .domain = "",
    .name = "DepthToSpace",
    .since = {1, 11, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "blocksize:i! mode:s",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_depth_to_space,
};
