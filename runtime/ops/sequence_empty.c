// SPDX-License-Identifier: Apache-2.0
// SequenceEmpty: a sequence without items.
#include "runtime/ops/lib/types.h"

static enum bnr_status item_dtype(const struct bnr_node *n, struct bnr_error *err,
                                  enum bnr_dtype *dtype) {
    const int64_t d = bnr__attr_int(n, "dtype", BNR_FLOAT);
    if (d < 0 || d >= BNR_DTYPE_COUNT || !bnr__dtype_valid((int)d))
        return bnr__op_fail(n, err, BNR_SHAPE, "dtype %lld is unknown", (long long)d);
    *dtype = (enum bnr_dtype)d;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_type item = {.shape = bnr__shape_unknown()};
    BNR_TRY(item_dtype(cx->node, cx->err, &item.dtype));
    return bnr__infer_container(cx, 0, BNR_KIND_SEQUENCE, &item);
}

static enum bnr_status ref(const struct bnr_args *a) {
    enum bnr_dtype dtype;
    struct bnr_tensor *y;
    BNR_TRY(item_dtype(a->node, a->err, &dtype));
    BNR_TRY(bnr__tensor_new_kind(&y, a->out[0]->allocator, BNR_KIND_SEQUENCE, dtype, a->err));
    const enum bnr_status st = bnr__out_share(a, 0, y);
    bnr__tensor_unref(y);
    return st;
}

BNR_DEFINE_OP(sequence_empty) = {
    .domain = "",
    .name = "SequenceEmpty",
    .since = {11},
    .min_in = 0,
    .max_in = 0,
    .min_out = 1,
    .max_out = 1,
    .attrs = "dtype:i",
    .infer = infer,
    .ref = ref,
};
