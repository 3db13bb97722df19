// SPDX-License-Identifier: Apache-2.0
// DictVectorizer: a map's values at the places that a vocabulary gives to its keys; [1, C], zero
// elsewhere.
#include <string.h>

#include "runtime/ops/lib/lookup.h"
#include "runtime/ops/lib/ml.h"
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct bnr_ml_labels words;
    BNR_TRY(bnr__ml_labels(cx->node, "int64_vocabulary", "string_vocabulary", &words, cx->err));
    if ((x->kind != BNR_KIND_MAP && !bnr__type_is_unknown(x)) ||
        (x->dtype != BNR_UNDEFINED && x->dtype != bnr__ml_label_dtype(&words)))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "input 0 is no map with keys of the vocabulary");
    bnr__infer_set_dims(cx, 0, x->elem != NULL ? x->elem->dtype : BNR_UNDEFINED, 2,
                        (const int64_t[]){1, (int64_t)words.n});
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_ml_labels words;
    struct bnr_lookup lookup;
    BNR_TRY(bnr__ml_labels(a->node, "int64_vocabulary", "string_vocabulary", &words, a->err));
    const enum bnr_dtype dtype = bnr__ml_label_dtype(&words);
    const struct bnr_tensor *keys = x->n_items == 2 ? x->items[0] : NULL;
    const struct bnr_tensor *values = x->n_items == 2 ? x->items[1] : NULL;
    if (x->kind != BNR_KIND_MAP || keys == NULL || values->kind != BNR_KIND_TENSOR ||
        keys->dtype != dtype || keys->numel != values->numel)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "input 0 is no map with keys of the vocabulary");
    BNR_TRY(bnr__out_alloc(a, 0, values->dtype, 2, (const int64_t[]){1, (int64_t)words.n}));
    BNR_TRY(bnr__lookup_new(
        a, dtype, dtype == BNR_STRING ? (const void *)words.strings : (const void *)words.ints,
        words.n, &lookup));
    memset(a->out[0]->data, 0, a->out[0]->nbytes);
    for (size_t i = 0; i < keys->numel; i++) {
        const ptrdiff_t k = bnr__lookup_find(&lookup, keys->data, i);
        if (k >= 0)
            memcpy(bnr__at_mut(a->out[0], (size_t)k), bnr__at(values, i),
                   bnr__dtype_size(values->dtype));
    }
    return BNR_OK;
}

BNR_DEFINE_OP(dict_vectorizer) = {
    .domain = BNR_ML_DOMAIN,
    .name = "DictVectorizer",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .attrs = "int64_vocabulary:I string_vocabulary:S",
    .infer = infer,
    .ref = ref,
};
