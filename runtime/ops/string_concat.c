// SPDX-License-Identifier: Apache-2.0
// StringConcat: joins strings element by element, with broadcasting.
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype types[] = {BNR_STRING, BNR_UNDEFINED};

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y;
    for (int i = 0; i < 2; i++)
        BNR_TRY(bnr__infer_dtype(cx, i, types));
    BNR_TRY(bnr__infer_broadcast(cx, 0, 1, &y));
    bnr__infer_set(cx, 0, BNR_STRING, &y);
    return BNR_OK;
}

static enum bnr_status join(const struct bnr_args *a, struct bnr_str left, struct bnr_str right,
                            struct bnr_str *out) {
    size_t n;
    char *text =
        bnr__size_add(left.len, right.len, &n) ? bnr__arena_alloc(a->strings, n ? n : 1) : NULL;
    if (!text)
        return bnr__no_memory(a->err);
    if (left.len > 0)
        memcpy(text, left.ptr, left.len);
    if (right.len > 0)
        memcpy(text + left.len, right.ptr, right.len);
    *out = (struct bnr_str){text, n};
    return BNR_OK;
}

// Which element of t the index of y means.
static size_t element(const struct bnr_tensor *t, const struct bnr_tensor *y,
                      const int64_t *index) {
    size_t at = 0;
    for (int i = 0; i < t->rank; i++)
        at = at * (size_t)t->dims[i] + (t->dims[i] == 1 ? 0 : (size_t)index[i + y->rank - t->rank]);
    return at;
}

static enum bnr_status ref(const struct bnr_args *a) {
    BNR_TRY(bnr__out_infer(a, infer));
    struct bnr_tensor *y = a->out[0];
    int64_t index[BNR_MAX_RANK] = {0};
    for (size_t i = 0; i < y->numel; i++) {
        BNR_TRY(join(a, a->in[0]->str[element(a->in[0], y, index)],
                     a->in[1]->str[element(a->in[1], y, index)], &y->str[i]));
        for (int d = y->rank - 1; d >= 0 && ++index[d] == y->dims[d]; d--)
            index[d] = 0;
    }
    return BNR_OK;
}

BNR_DEFINE_OP(string_concat) = {
    .domain = "",
    .name = "StringConcat",
    .since = {20},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
};
