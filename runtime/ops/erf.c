// SPDX-License-Identifier: Apache-2.0
// Erf: the error function. Version 9 also allows integers, whose result is truncated.
#include <tgmath.h>

#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/steps.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(erf, erf(a))
BNR_LOOP1(erf_i64, int64_t, int64_t, erf((double)a))
BNR_LOOP1(erf_u64, uint64_t, uint64_t, erf((double)a))

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(erf), BNR_INTS(erf)},
    .costly = true,
};
BNR_EACH_FUNCTIONS(each)

static bool step(struct bnr_steps *s, const struct bnr_node *n) {
    return bnr__steps_unary(s, BNR_ELTWISE_ERF, 0, 0);
}

BNR_DEFINE_OP(erf) = {
    .name = "Erf",
    .since = {9, 13},
    BNR_EACH_UNARY,
    .step = step,
    .prepare = bnr__prepare_steps,
};
