// SPDX-License-Identifier: Apache-2.0
// CategoryMapper: strings to integers or integers to strings, by two parallel lists.
#include "runtime/ops/lib/lookup.h"
#include "runtime/ops/lib/ml.h"

static enum bnr_dtype result_dtype(enum bnr_dtype x) {
    return x == BNR_STRING ? BNR_INT64 : x == BNR_INT64 ? BNR_STRING : BNR_UNDEFINED;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPE(STRING) | BNR_TYPE(INT64)));
    bnr__infer_set(cx, 0, result_dtype(x->dtype), &x->shape);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    size_t n_ints;
    const int64_t *ints = bnr__attr_ints(a->node, "cats_int64s", &n_ints);
    const struct bnr_attr *strings = bnr__attr(a->node, "cats_strings");
    const struct bnr_attr *default_string = bnr__attr(a->node, "default_string");
    const struct bnr_str unused = {"_Unused", 7};
    struct bnr_lookup lookup;
    if (strings == NULL || strings->n != n_ints)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu integers for %zu strings", n_ints,
                            strings != NULL ? strings->n : 0);
    BNR_TRY(bnr__out_alloc(a, 0, result_dtype(x->dtype), x->rank, x->dims));
    BNR_TRY(bnr__lookup_new(a, x->dtype,
                            x->dtype == BNR_STRING ? (const void *)strings->strings : ints, n_ints,
                            &lookup));
    for (size_t i = 0; i < x->numel; i++) {
        const ptrdiff_t k = bnr__lookup_find(&lookup, x->data, i);
        if (x->dtype == BNR_STRING)
            a->out[0]->i64[i] = k >= 0 ? ints[k] : bnr__attr_int(a->node, "default_int64", -1);
        else
            a->out[0]->str[i] = k >= 0                   ? strings->strings[k]
                                : default_string != NULL ? default_string->strings[0]
                                                         : unused;
    }
    return BNR_OK;
}

BNR_DEFINE_OP(category_mapper) = {
    .domain = BNR_ML_DOMAIN,
    .name = "CategoryMapper",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "cats_int64s:I cats_strings:S default_int64:i default_string:s",
    .infer = infer,
    .ref = ref,
};
