// SPDX-License-Identifier: Apache-2.0
// Mean: of any number of inputs, broadcast. Narrow floats are rounded once.
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP2(sum, a + b)
BNR_FLOAT_LOOP1(divide, a / (T)p.alpha)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(sum)},
    .legacy = 8,
};
static bnr_loop *const finish[BNR_EACH_CLASSES] = {BNR_FLOATS(divide)};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {.alpha = a->n_in};
    return bnr__each_fold(a, &each, finish, &p);
}

BNR_DEFINE_OP(mean) = {
    .name = "Mean",
    .since = {1, 6, 8, 13},
    BNR_EACH_VARIADIC,
};
