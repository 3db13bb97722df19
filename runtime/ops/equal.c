// SPDX-License-Identifier: Apache-2.0
// Equal: A == B, broadcast; false where one is NaN. Strings are compared byte by byte.
#include <string.h>

#include "runtime/ops/lib/typed.h"

BNR_LOOP2(equal_f32, uint8_t, float, a == b)
BNR_LOOP2(equal_f64, uint8_t, double, a == b)
BNR_LOOP2(equal_i64, uint8_t, int64_t, a == b)
BNR_LOOP2(equal_u64, uint8_t, uint64_t, a == b)
BNR_LOOP2(equal_b8, uint8_t, uint8_t, (a != 0) == (b != 0))
BNR_LOOP2(equal_str, uint8_t, struct bnr_str,
          a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0))

// A symbol stands for a dim, which is not negative.
static struct bnr_dim symbolic(const struct bnr_dim *x, int n) {
    const struct bnr_dim a = x[0], b = x[1];
    struct bnr_dim same = {.n = BNR_ELEM_UNKNOWN};
    if (bnr__elem_is_number(a) && bnr__elem_is_number(b))
        same.n = a.n == b.n;
    else if (a.sym != NULL && a.sym == b.sym)
        same.n = 1;
    else if ((a.sym != NULL && bnr__elem_is_number(b) && b.n < 0) ||
             (b.sym != NULL && bnr__elem_is_number(a) && a.n < 0))
        same.n = 0;
    return same;
}

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC | BNR_TYPE(BOOL) | BNR_TYPE(STRING),
    .loop = {BNR_FLOATS(equal), BNR_INTS(equal), [BNR_CLASS_BOOL] = equal_b8,
             [BNR_CLASS_STRING] = equal_str},
    .predicate = true,
    .legacy = 7,
    .symbolic = symbolic,
};
BNR_EACH_FUNCTIONS(each)

BNR_DEFINE_OP(equal) = {
    .name = "Equal",
    .since = {1, 7, 11, 13, 19},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_PREDICATE(2),
};
