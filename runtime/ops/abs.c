// SPDX-License-Identifier: Apache-2.0
// Abs: |x|. The smallest integer of its type has no absolute value: it stays (wraps).
#include <tgmath.h>

#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(abs, fabs(a))
BNR_LOOP1(abs_i64, int64_t, int64_t, a < 0 ? 0 - (uint64_t)a : (uint64_t)a)
BNR_LOOP1(abs_u64, uint64_t, uint64_t, a)

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(abs), BNR_INTS(abs)},
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(abs) = {
    .name = "Abs",
    .since = {1, 6, 13},
    BNR_EACH_UNARY,
    .affine = &bnr__affine_homogeneous,
};
