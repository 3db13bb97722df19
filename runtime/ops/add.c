// SPDX-License-Identifier: Apache-2.0
// Add: C = A + B, broadcast; integers wrap.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP2(add, a + b)
BNR_LOOP2(add_u64, uint64_t, uint64_t, a + b)

static struct bnr_dim symbolic(const struct bnr_dim *x, int n) {
    const struct bnr_dim a = x[0], b = x[1];
    struct bnr_dim sum = {.n = BNR_ELEM_UNKNOWN};
    if (bnr__elem_is_number(a) && bnr__elem_is_number(b))
        bnr__i64_add(a.n, b.n, &sum.n);
    else if (bnr__elem_is(a, 0))
        return b;
    else if (bnr__elem_is(b, 0))
        return a;
    return sum;
}

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(add), [BNR_CLASS_INT] = add_u64, [BNR_CLASS_UINT] = add_u64},
    .legacy = 7,
    .symbolic = symbolic,
};
BNR_EACH_FUNCTIONS(each)

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_binary(s, n, BNR_ELTWISE_ADD, BNR_ELTWISE_ADD);
}

BNR_DEFINE_OP(add) = {
    .name = "Add",
    .since = {1, 6, 7, 13, 14},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_BINARY,
    .affine = &bnr__affine_add,
    .step = step,
    .prepare = bnr__prepare_steps,
};
