// SPDX-License-Identifier: Apache-2.0
// Shrink: y = x < -lambd ? x + bias : x > lambd ? x - bias : 0. The attributes are floats also
// where x is an integer: then the formula is evaluated in double and the result truncated.
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(shrink, a < -(T)p.alpha ? a + (T)p.beta : a > (T)p.alpha ? a - (T)p.beta : 0)

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(shrink)},
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {
        .alpha = (double)bnr__attr_float(a->node, "lambd", 0.5f),
        .beta = (double)bnr__attr_float(a->node, "bias", 0.0f),
    };
    const enum bnr_class c = bnr__dtype_class(a->in[0]->dtype);
    return bnr__each_run_as(a, &each, c == BNR_CLASS_FLOAT ? c : BNR_CLASS_DOUBLE, &p);
}

BNR_DEFINE_OP(shrink) = {
    .name = "Shrink",
    .since = {9},
    .attrs = "bias:f lambd:f",
    BNR_EACH_UNARY,
};
