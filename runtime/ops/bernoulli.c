// SPDX-License-Identifier: Apache-2.0
// Bernoulli: 1 with the probability that the input gives, else 0.
#include "runtime/ops/lib/random.h"

#define BERNOULLI_TYPES (BNR_TYPES_NUMERIC | BNR_TYPE(BOOL))

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    enum bnr_dtype dtype = BNR_UNDEFINED;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__random_dtype(cx->node, x->dtype, BERNOULLI_TYPES, &dtype, cx->err));
    bnr__infer_set(cx, 0, dtype, &x->shape);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    enum bnr_dtype dtype = BNR_UNDEFINED;
    BNR_TRY(bnr__random_dtype(a->node, x->dtype, BERNOULLI_TYPES, &dtype, a->err));
    BNR_TRY(bnr__out_alloc(a, 0, dtype, x->rank, x->dims));
    struct bnr_random *r = bnr__random_new(a);
    if (r == NULL)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < x->numel; i++) {
        const double p = bnr__tensor_f64(x, i), hit = bnr__random_uniform(r) < p;
        if (!(p >= 0 && p <= 1))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "element %zu of input 0 is %g, expected a probability", i, p);
        bnr__store_f64(dtype, bnr__at_mut(a->out[0], i), &hit, 1);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(bernoulli) = {
    .domain = "",
    .name = "Bernoulli",
    .since = {15, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_RANDOM,
    .attrs = "dtype:i seed:f",
    .infer = infer,
    .ref = ref,
};
