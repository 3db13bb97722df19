// SPDX-License-Identifier: Apache-2.0
// Pow: Z = X ^ Y, broadcast, in the dtype of X; Y may have another. Integers to an integer power
// are exact and wrap; every other mixture is computed in double and converted once.
#include <math.h>
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

// By squaring. Negative powers of integers truncate: only 1 and -1 give anything but 0 (0 has no
// inverse; the result is 0 there, too).
static int64_t integer_power(int64_t base, int64_t exponent) {
    if (exponent < 0)
        return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
    uint64_t result = 1, square = (uint64_t)base;
    for (; exponent > 0; exponent /= 2, square *= square)
        if (exponent % 2 == 1)
            result *= square;
    return (int64_t)result;
}

BNR_FLOAT_LOOP2(power, b == 2 ? a * a : pow(a, b))
BNR_LOOP2(power_i64, int64_t, int64_t, integer_power(a, b))

static const struct bnr_each each = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(power), [BNR_CLASS_INT] = power_i64},
    .mixed = true,
    .legacy = 7,
    .costly = true,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static bool is_integer(enum bnr_class c) {
    return c == BNR_CLASS_INT || c == BNR_CLASS_UINT;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const enum bnr_class x = bnr__dtype_class(a->in[0]->dtype),
                         y = bnr__dtype_class(a->in[1]->dtype);
    enum bnr_class c = BNR_CLASS_DOUBLE;
    if (x == BNR_CLASS_FLOAT && y == BNR_CLASS_FLOAT)
        c = BNR_CLASS_FLOAT;
    else if (is_integer(x) && is_integer(y))
        c = BNR_CLASS_INT;
    return bnr__each_run_as(a, &each, c, NULL);
}

BNR_DEFINE_OP(pow) = {
    .name = "Pow",
    .since = {1, 7, 12, 13, 15},
    .attrs = "axis:i broadcast:i",
    BNR_EACH_BINARY,
};
