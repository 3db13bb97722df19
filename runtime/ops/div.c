// SPDX-License-Identifier: Apache-2.0
// Div: C = A / B, broadcast. Integers are truncated toward zero; dividing them by zero is an error,
// the smallest one by -1 wraps.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP2(div, a / b)
BNR_LOOP2(div_i64, int64_t, int64_t, b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b)
BNR_LOOP2(div_u64, uint64_t, uint64_t, a / b)

static struct bnr_dim symbolic(const struct bnr_dim *x, int n) {
    const struct bnr_dim a = x[0], b = x[1];
    if (bnr__elem_is(b, 1))
        return a;
    if (bnr__elem_is_number(a) && bnr__elem_is_number(b) && a.n >= 0 && b.n > 0)
        return (struct bnr_dim){.n = a.n / b.n};
    return (struct bnr_dim){.n = BNR_ELEM_UNKNOWN};
}

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(div), BNR_INTS(div)},
    .legacy = 7,
    .symbolic = symbolic,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    BNR_TRY(bnr__each_no_zero(a, 1));
    return bnr__each_run(a, &each, NULL);
}

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_binary(s, n, BNR_ELTWISE_DIV, BNR_ELTWISE_RDIV);
}

BNR_DEFINE_OP(div) = {
    .name = "Div",
    .since = {1, 6, 7, 13, 14},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_BINARY,
    .affine = &bnr__affine_div,
    .step = step,
    .prepare = bnr__prepare_steps,
};
