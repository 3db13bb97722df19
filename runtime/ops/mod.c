// SPDX-License-Identifier: Apache-2.0
// Mod: the remainder of A / B, broadcast. fmod = 0: integers, the sign of the divisor as in Python;
// fmod = 1: the sign of the dividend as in C. An integer divisor of zero is an error.
#include <tgmath.h>

#include "runtime/ops/lib/typed.h"

// % overflows for the smallest integer and -1, whose remainder is 0.
#define C_MOD(a, b) ((b) == -1 ? 0 : (a) % (b))
#define PYTHON_MOD(a, b) (C_MOD(a, b) != 0 && (a < 0) != (b < 0) ? a % b + b : C_MOD(a, b))

BNR_FLOAT_LOOP2(like_c, fmod(a, b))
BNR_LOOP2(like_c_i64, int64_t, int64_t, C_MOD(a, b))
BNR_LOOP2(like_python_i64, int64_t, int64_t, PYTHON_MOD(a, b))
BNR_LOOP2(mod_u64, uint64_t, uint64_t, a % b)

static const struct bnr_each like_c = {
    .types = BNR_TYPES_NUMERIC,
    .loop = {BNR_FLOATS(like_c), [BNR_CLASS_INT] = like_c_i64, [BNR_CLASS_UINT] = mod_u64},
    .costly = true,
};
static const struct bnr_each like_python = {
    .types = BNR_TYPES_INT,
    .loop = {[BNR_CLASS_INT] = like_python_i64, [BNR_CLASS_UINT] = mod_u64},
    .costly = true,
};

static enum bnr_status infer(struct bnr_infer *cx) {
    const int64_t fmod_attr = bnr__attr_int(cx->node, "fmod", 0);
    if (fmod_attr != 0 && fmod_attr != 1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "attribute 'fmod' is %lld, expected 0 or 1", (long long)fmod_attr);
    if (fmod_attr == 0 && bnr__dtype_is_float(cx->in[0]->type.dtype))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input 0 is %s, which needs fmod = 1",
                            bnr__dtype_name(cx->in[0]->type.dtype));
    return bnr__each_infer(cx, fmod_attr ? &like_c : &like_python);
}

static enum bnr_status ref(const struct bnr_args *a) {
    BNR_TRY(bnr__each_no_zero(a, 1));
    return bnr__each_run(a, bnr__attr_int(a->node, "fmod", 0) ? &like_c : &like_python, NULL);
}

BNR_DEFINE_OP(mod) = {
    .name = "Mod",
    .since = {10, 13},
    .attrs = "fmod:i",
    BNR_EACH_BINARY,
};
