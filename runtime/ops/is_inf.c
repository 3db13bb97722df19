// SPDX-License-Identifier: Apache-2.0
// IsInf: infinities of the wanted signs (detect_negative, detect_positive).
#include <math.h>

#include "runtime/ops/lib/typed.h"

#define FOUND ((a == -(T)INFINITY && p.alpha != 0) || (a == (T)INFINITY && p.beta != 0))
BNR_LOOP1(is_inf_f32, uint8_t, float, FOUND)
BNR_LOOP1(is_inf_f64, uint8_t, double, FOUND)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT | BNR_TYPES_FLOAT8,
    .loop = {BNR_FLOATS(is_inf)},
    .predicate = true,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {
        .alpha = bnr__attr_int(a->node, "detect_negative", 1) != 0,
        .beta = bnr__attr_int(a->node, "detect_positive", 1) != 0,
    };
    return bnr__each_run(a, &each, &p);
}

BNR_DEFINE_OP(is_inf) = {
    .name = "IsInf",
    .since = {10, 20},
    .attrs = "detect_negative:i detect_positive:i",
    BNR_EACH_PREDICATE(1),
};
