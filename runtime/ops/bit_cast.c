// SPDX-License-Identifier: Apache-2.0
// BitCast: the same bits as another dtype of the same width. 4- and 2-bit elements have a byte each
// in memory, sign-extended where they are signed.
#include <string.h>

#include "runtime/ops/lib/typed.h"

static enum bnr_status target(const struct bnr_node *n, enum bnr_dtype from, enum bnr_dtype *to,
                              struct bnr_error *err) {
    const int64_t number = bnr__attr_int(n, "to", 0);
    if (number <= 0 || number >= BNR_DTYPE_COUNT || number == BNR_STRING)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "attribute 'to' is %lld, expected a dtype but string",
                            (long long)number);
    *to = (enum bnr_dtype)number;
    if (from != BNR_UNDEFINED && bnr__dtype_bits(from) != bnr__dtype_bits(*to))
        return bnr__op_fail(n, err, BNR_SHAPE, "%s has %d bits, %s has %d", bnr__dtype_name(from),
                            bnr__dtype_bits(from), bnr__dtype_name(*to), bnr__dtype_bits(*to));
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    enum bnr_dtype to = BNR_UNDEFINED;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ALL & ~BNR_TYPE(STRING)));
    BNR_TRY(target(cx->node, cx->in[0]->type.dtype, &to, cx->err));
    bnr__infer_set(cx, 0, to, &cx->in[0]->type.shape);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    enum bnr_dtype to = BNR_UNDEFINED;
    BNR_TRY(target(a->node, x->dtype, &to, a->err));
    BNR_TRY(bnr__out_alloc(a, 0, to, x->rank, x->dims));
    const int bits = bnr__dtype_bits(to);
    if (bits >= 8) {
        memmove(a->out[0]->data, x->data, x->nbytes);
        return BNR_OK;
    }
    for (size_t i = 0; i < x->numel; i++) {
        const int v = x->u8[i] & ((1 << bits) - 1);
        const bool negative = bnr__dtype_class(to) == BNR_CLASS_INT && (v >> (bits - 1) & 1);
        a->out[0]->u8[i] = (uint8_t)(negative ? v - (1 << bits) : v);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(bit_cast) = {
    .domain = "",
    .name = "BitCast",
    .since = {26},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ELEMENTWISE,
    .attrs = "to:i!",
    .infer = infer,
    .ref = ref,
};
