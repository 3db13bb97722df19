// SPDX-License-Identifier: Apache-2.0
// Trilu: keeps the upper (column - row >= k) or lower (column - row <= k) triangle of the last two
// axes and sets the rest to zero.
#include <string.h>

#include "runtime/ops/lib/shape.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_ints k;
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    BNR_TRY(bnr__infer_int_list(cx, 1, NULL, &k));
    if (k.given && k.n >= 0 && k.n != 1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "k has %d elements, expected a scalar",
                            k.n);
    return bnr__infer_same(cx);
}

static int64_t clamp(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const bool upper = bnr__attr_int(a->node, "upper", 1) != 0;
    struct bnr_ints list;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(bnr__args_int_list(a, 1, NULL, &list));
    if (list.given && list.n != 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "k has %d elements, expected a scalar",
                            list.n);
    if (x->numel == 0)
        return BNR_OK;
    const int64_t rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    const int64_t k = clamp(list.given ? list.v[0] : 0, -rows - 1, columns + 1);
    const size_t size = bnr__dtype_size(x->dtype);
    bnr__copy_bytes(a->out[0]->data, x->data, x->nbytes, a->pool);
    const int64_t all_rows = (int64_t)x->numel / columns;
    for (int64_t row = 0; row < all_rows; row++) {
        // Columns [first, last) of this row become zero.
        const int64_t edge = clamp(row % rows + k + (upper ? 0 : 1), 0, columns);
        const int64_t first = upper ? 0 : edge, last = upper ? edge : columns;
        memset(a->out[0]->u8 + (size_t)(row * columns + first) * size, 0,
               (size_t)(last - first) * size);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(trilu) = {
    .domain = "",
    .name = "Trilu",
    .since = {14},
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_INPLACE,
    .attrs = "upper:i",
    .infer = infer,
    .ref = ref,
};
