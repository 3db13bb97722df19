// SPDX-License-Identifier: Apache-2.0
// StringNormalizer: drops the strings that are stop words, then changes the letter case of the
// others. Letter case is Unicode's; the attribute `locale` changes nothing.
#include <string.h>

#include "runtime/ops/lib/lookup.h"
#include "runtime/ops/lib/utf8.h"

static const enum bnr_dtype types[] = {BNR_STRING, BNR_UNDEFINED};

static enum bnr_status get_case(const struct bnr_node *n, struct bnr_error *err,
                                enum bnr_case *to) {
    static const char *const names[] = {"NONE", "LOWER", "UPPER"};
    const char *name = bnr__attr_string(n, "case_change_action", "NONE");
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *to = (enum bnr_case)i;
            return BNR_OK;
        }
    }
    return bnr__op_fail(n, err, BNR_SHAPE,
                        "case_change_action is '%s', expected LOWER, UPPER or NONE", name);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = cx->in[0]->type.shape;
    enum bnr_case to;
    BNR_TRY(get_case(cx->node, cx->err, &to));
    BNR_TRY(bnr__infer_dtype(cx, 0, types));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, 2));
    if (y.rank == 2 && y.dims[0].n >= 0 && y.dims[0].n != 1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "dim 0 is %lld, expected 1",
                            (long long)y.dims[0].n);
    if (y.rank > 0)
        y.dims[y.rank - 1] = bnr__dim_unknown();
    bnr__infer_set(cx, 0, BNR_STRING, &y);
    return BNR_OK;
}

// The strings that stay, in their final case; at least one.
static enum bnr_status normalize(const struct bnr_args *a, struct bnr_str *kept, size_t *n_kept) {
    const struct bnr_tensor *x = a->in[0];
    const struct bnr_attr *stop = bnr__attr(a->node, "stopwords");
    const size_t n_words = stop ? stop->n : 0;
    enum bnr_case to = BNR_CASE_SAME;
    BNR_TRY(get_case(a->node, a->err, &to));
    const bool exact = bnr__attr_int(a->node, "is_case_sensitive", 0) != 0;
    const enum bnr_case compared = exact                  ? BNR_CASE_SAME
                                   : to == BNR_CASE_UPPER ? to
                                                          : BNR_CASE_LOWER;
    struct bnr_str *words = BNR_NEW_ARRAY(a->temp, n_words + 1, struct bnr_str);
    if (!words)
        return bnr__no_memory(a->err);
    for (size_t i = 0; i < n_words; i++)
        BNR_TRY(bnr__utf8_map_case(a->temp, compared, stop->strings[i], &words[i], a->err));
    struct bnr_lookup lookup;
    BNR_TRY(bnr__lookup_new(a, BNR_STRING, words, n_words, &lookup));
    *n_kept = 0;
    for (size_t i = 0; i < x->numel; i++) {
        struct bnr_str key = x->str[i];
        if (n_words > 0)
            BNR_TRY(bnr__utf8_map_case(a->temp, compared, x->str[i], &key, a->err));
        if (bnr__lookup_find(&lookup, &key, 0) < 0)
            BNR_TRY(bnr__utf8_map_case(a->strings, to, x->str[i], &kept[(*n_kept)++], a->err));
    }
    if (*n_kept == 0)
        kept[(*n_kept)++] = (struct bnr_str){"", 0};
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    size_t n = 0;
    if (x->dtype != BNR_STRING || x->rank < 1 || x->rank > 2 || (x->rank == 2 && x->dims[0] != 1))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "the input must be strings [C] or [1, C]");
    struct bnr_str *kept = BNR_NEW_ARRAY(a->temp, x->numel + 1, struct bnr_str);
    if (!kept)
        return bnr__no_memory(a->err);
    BNR_TRY(normalize(a, kept, &n));
    const int64_t dims[2] = {x->rank == 2 ? 1 : (int64_t)n, (int64_t)n};
    BNR_TRY(bnr__out_alloc(a, 0, BNR_STRING, x->rank, dims));
    memcpy(a->out[0]->data, kept, n * sizeof *kept);
    return BNR_OK;
}

BNR_DEFINE_OP(string_normalizer) = {
    .domain = "",
    .name = "StringNormalizer",
    .since = {10},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_DATA_SHAPE,
    .attrs = "case_change_action:s is_case_sensitive:i locale:s stopwords:S",
    .infer = infer,
    .ref = ref,
};
