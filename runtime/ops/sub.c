// SPDX-License-Identifier: Apache-2.0
// Sub: C = A - B, broadcast; integers wrap.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP2(sub, a - b)
BNR_LOOP2(sub_u64, uint64_t, uint64_t, a - b)

static struct bnr_dim symbolic(const struct bnr_dim *x, int n) {
    const struct bnr_dim a = x[0], b = x[1];
    struct bnr_dim difference = {.n = BNR_ELEM_UNKNOWN};
    if (bnr__elem_is_number(a) && bnr__elem_is_number(b) && b.n > INT64_MIN)
        bnr__i64_add(a.n, -b.n, &difference.n);
    else if (bnr__elem_is(b, 0))
        return a;
    else if (a.sym != NULL && a.sym == b.sym)
        difference.n = 0;
    return difference;
}

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(sub), [BNR_CLASS_INT] = sub_u64, [BNR_CLASS_UINT] = sub_u64},
    .legacy = 7,
    .symbolic = symbolic,
};
BNR_EACH_FUNCTIONS(each)

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_binary(s, n, BNR_ELTWISE_SUB, BNR_ELTWISE_RSUB);
}

BNR_DEFINE_OP(sub) = {
    .name = "Sub",
    .since = {1, 6, 7, 13, 14},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_BINARY,
    .affine = &bnr__affine_add,
    .step = step,
    .prepare = bnr__prepare_steps,
};
