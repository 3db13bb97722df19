// SPDX-License-Identifier: Apache-2.0
// RegexFullMatch: whether each string as a whole matches a pattern in RE2's syntax.
#include "runtime/ops/lib/regex.h"
#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype types[] = {BNR_STRING, BNR_UNDEFINED};

#ifdef BNR_HAVE_PCRE2

static enum bnr_status open_pattern(const struct bnr_node *n, struct bnr_error *err,
                                    struct bnr_regex **r) {
    const struct bnr_attr *pattern = bnr__attr(n, "pattern");
    char why[160];
    if (!pattern)
        return bnr__op_fail(n, err, BNR_MALFORMED, "has no attribute 'pattern'");
    const enum bnr_status st = bnr__regex_new(r, pattern->strings[0], why, sizeof(why));
    return st == BNR_OK ? st
                        : bnr__op_fail(n, err, st, "pattern \"%s\": %s", pattern->strings[0].ptr,
                                       why);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_regex *r;
    BNR_TRY(bnr__infer_dtype(cx, 0, types));
    BNR_TRY(open_pattern(cx->node, cx->err, &r));
    bnr__regex_free(r);
    bnr__infer_set(cx, 0, BNR_BOOL, &cx->in[0]->type.shape);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_regex *r;
    BNR_TRY(bnr__out_alloc(a, 0, BNR_BOOL, x->rank, x->dims));
    BNR_TRY(open_pattern(a->node, a->err, &r));
    enum bnr_status st = BNR_OK;
    for (size_t i = 0; st == BNR_OK && i < x->numel; i++) {
        bool matches;
        st = bnr__regex_full_match(r, x->str[i], &matches);
        a->out[0]->u8[i] = matches;
        if (st != BNR_OK)
            bnr__op_fail(a->node, a->err, st, "the search in string %zu needs too much memory", i);
    }
    bnr__regex_free(r);
    return st;
}

#else

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_dtype(cx, 0, types));
    return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED,
                        "built without regular expressions (libpcre2)");
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED,
                        "built without regular expressions (libpcre2)");
}

#endif

BNR_DEFINE_OP(regex_full_match) = {
    .domain = "",
    .name = "RegexFullMatch",
    .since = {20},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "pattern:s",
    .infer = infer,
    .ref = ref,
};
