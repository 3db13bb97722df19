// SPDX-License-Identifier: Apache-2.0
// GivenTensorFill (experimental in ai.onnx 1): the attribute `values` in the dims that attributes or the input
// give.
#include <string.h>

#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    size_t count;
    const float *values = bnr__attr_floats(n, "values", &count);
    struct bnr_value *shape = bnr__spell_fill_shape(b, n, in);
    struct bnr_tensor *t;
    if (!shape)
        return;
    b->status = bnr__tensor_new(&t, b->graph->model->allocator, BNR_FLOAT, 1,
                                (const int64_t[]){(int64_t)count}, b->err);
    if (b->status != BNR_OK)
        return;
    if (count > 0)
        memcpy(t->f32, values, count * sizeof(*values));
    out[0] = bnr__build_int(b, OP2("Reshape", bnr__build_constant(b, t), shape), "allowzero", 1);
}

BNR_DEFINE_OP(old_given_tensor_fill) = {
    BNR_SPELLED_OLD("GivenTensorFill"),
    .min_in = 0,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "extra_shape:I input_as_shape:i shape:I values:F",
};
