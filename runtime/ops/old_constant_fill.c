// SPDX-License-Identifier: Apache-2.0
// ConstantFill (experimental in ai.onnx 1): a tensor of the dims that attributes or the input give, filled with
// `value`.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    const double value = (double)bnr__attr_float(n, "value", 0);
    const int64_t dtype = bnr__attr_int(n, "dtype", BNR_FLOAT);
    struct bnr_value *y = OP1("ConstantOfShape", bnr__spell_fill_shape(b, n, in));
    struct bnr_tensor *t;
    if (!y)
        return;
    if (dtype <= 0 || dtype >= BNR_DTYPE_COUNT || dtype == BNR_STRING ||
        bnr__dtype_class((enum bnr_dtype)dtype) == BNR_CLASS_COMPLEX) {
        bnr__build_fail(b, BNR_UNSUPPORTED, "dtype is %lld", (long long)dtype);
        return;
    }
    b->status = bnr__tensor_new(&t, b->graph->model->allocator, (enum bnr_dtype)dtype, 1,
                                (const int64_t[]){1}, b->err);
    if (b->status != BNR_OK)
        return;
    bnr__store_f64(t->dtype, t->data, &value, 1);
    b->status = bnr__node_set_attr_tensor(y->producer, "value", t);
    out[0] = y;
}

BNR_DEFINE_OP(old_constant_fill) = {
    BNR_SPELLED_OLD("ConstantFill"),
    .min_in = 0,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "dtype:i extra_shape:I input_as_shape:i shape:I value:f",
};
