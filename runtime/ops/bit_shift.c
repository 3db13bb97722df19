// SPDX-License-Identifier: Apache-2.0
// BitShift: X shifted by Y bits, broadcast; all bits are gone when Y is the width or more.
#include <string.h>

#include "runtime/ops/lib/typed.h"

BNR_LOOP2(left_u64, uint64_t, uint64_t, b < 64 ? a << b : 0)
BNR_LOOP2(right_u64, uint64_t, uint64_t, b < 64 ? a >> b : 0)

static const struct bnr_each left = {
    .types = BNR_TYPES_UNSIGNED,
    .loop = {[BNR_CLASS_UINT] = left_u64},
};
static const struct bnr_each right = {
    .types = BNR_TYPES_UNSIGNED,
    .loop = {[BNR_CLASS_UINT] = right_u64},
};

static enum bnr_status infer(struct bnr_infer *cx) {
    const char *direction = bnr__attr_string(cx->node, "direction", "");
    BNR_TRY(bnr__each_infer(cx, &left));
    if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "attribute 'direction' is \"%s\", expected \"LEFT\" or \"RIGHT\"",
                            direction);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const bool to_left = strcmp(bnr__attr_string(a->node, "direction", ""), "LEFT") == 0;
    return bnr__each_run(a, to_left ? &left : &right, NULL);
}

BNR_DEFINE_OP(bit_shift) = {
    .name = "BitShift",
    .since = {11},
    .attrs = "direction:s!",
    BNR_EACH_BINARY,
};
