// SPDX-License-Identifier: Apache-2.0
// Mul: C = A * B, broadcast; integers wrap.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP2(mul, a * b)
BNR_LOOP2(mul_u64, uint64_t, uint64_t, a * b)

static struct bnr_dim symbolic(const struct bnr_dim *x, int n) {
    const struct bnr_dim a = x[0], b = x[1];
    struct bnr_dim product = {.n = BNR_ELEM_UNKNOWN};
    if (bnr__elem_is_number(a) && bnr__elem_is_number(b) && a.n >= 0 && b.n >= 0)
        bnr__i64_mul(a.n, b.n, &product.n);
    else if (bnr__elem_is(a, 0) || bnr__elem_is(b, 0))
        product.n = 0;
    else if (bnr__elem_is(a, 1))
        return b;
    else if (bnr__elem_is(b, 1))
        return a;
    return product;
}

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(mul), [BNR_CLASS_INT] = mul_u64, [BNR_CLASS_UINT] = mul_u64},
    .legacy = 7,
    .symbolic = symbolic,
};
BNR_EACH_FUNCTIONS(each)

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_binary(s, n, BNR_ELTWISE_MUL, BNR_ELTWISE_MUL);
}

BNR_DEFINE_OP(mul) = {
    .name = "Mul",
    .since = {1, 6, 7, 13, 14},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_BINARY,
    .affine = &bnr__affine_mul,
    .step = step,
    .prepare = bnr__prepare_steps,
};
