// SPDX-License-Identifier: Apache-2.0
// StringSplit: the parts of each string between delimiters along a new last axis, filled up with
// empty strings, and their number. Without delimiter runs of white space separate, and none is at
// the ends.
#include <string.h>

#include "runtime/ops/lib/utf8.h"

static const enum bnr_dtype types[] = {BNR_STRING, BNR_UNDEFINED};

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = cx->in[0]->type.shape;
    BNR_TRY(bnr__infer_dtype(cx, 0, types));
    bnr__infer_set(cx, 1, BNR_INT64, &y);
    if (y.rank == BNR_MAX_RANK)
        return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED, "the output would have rank %d",
                            y.rank + 1);
    if (y.rank >= 0)
        y.dims[y.rank++] = bnr__dim_unknown();
    bnr__infer_set(cx, 0, BNR_STRING, &y);
    return BNR_OK;
}

struct splitter {
    struct bnr_str delimiter; // empty: white space
    int64_t max;              // splits; < 0: no limit
};

// Bytes of white space at s[0], 0 for anything else.
static size_t space_at(const char *s, size_t n) {
    size_t size;
    return n > 0 && bnr__utf8_is_space(bnr__utf8_next(s, n, &size, NULL)) ? size : 0;
}

// Where the separator behind the part at the start of s begins (or the end), and its size.
static size_t find_separator(const struct splitter *p, struct bnr_str s, size_t *size) {
    for (size_t i = 0, step; i < s.len; i += step) {
        step = 1;
        if (p->delimiter.len == 0) {
            *size = space_at(s.ptr + i, s.len - i);
            if (*size > 0)
                return i;
            bnr__utf8_next(s.ptr + i, s.len - i, &step, NULL);
        } else if (s.len - i >= p->delimiter.len &&
                   memcmp(s.ptr + i, p->delimiter.ptr, p->delimiter.len) == 0) {
            *size = p->delimiter.len;
            return i;
        }
    }
    *size = 0;
    return s.len;
}

static struct bnr_str skip(struct bnr_str s, size_t n) {
    return (struct bnr_str){s.ptr + n, s.len - n};
}

// The parts of s into `out` where that is not NULL; returns their number.
static size_t split(const struct splitter *p, struct bnr_str s, struct bnr_str *out) {
    size_t n = 0, size;
    for (int64_t left = p->max;; left -= left > 0) {
        for (size_t k; p->delimiter.len == 0 && (k = space_at(s.ptr, s.len)) > 0;)
            s = skip(s, k);
        if (p->delimiter.len == 0 && s.len == 0)
            return n;
        size_t at = find_separator(p, s, &size);
        if (left == 0) {
            at = s.len;
            size = 0;
        }
        if (out)
            out[n] = (struct bnr_str){s.ptr, at};
        n++;
        if (size == 0)
            return n;
        s = skip(s, at + size);
    }
}

static struct splitter read_node(const struct bnr_node *n) {
    const struct bnr_attr *delimiter = bnr__attr(n, "delimiter");
    struct splitter p = {.max = bnr__attr_int(n, "maxsplit", -1)};
    if (delimiter)
        p.delimiter = delimiter->strings[0];
    return p;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const struct splitter p = read_node(a->node);
    size_t most = 0;
    BNR_TRY(bnr__out_alloc(a, 1, BNR_INT64, x->rank, x->dims));
    for (size_t i = 0; i < x->numel; i++) {
        const size_t n = split(&p, x->str[i], NULL);
        most = n > most ? n : most;
        if (a->n_out > 1 && a->out[1])
            a->out[1]->i64[i] = (int64_t)n;
    }
    int64_t dims[BNR_MAX_RANK];
    if (x->rank >= BNR_MAX_RANK)
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "the output would have rank %d",
                            x->rank + 1);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i];
    dims[x->rank] = (int64_t)most;
    BNR_TRY(bnr__out_alloc(a, 0, BNR_STRING, x->rank + 1, dims));
    if (!a->out[0] || a->out[0]->numel == 0)
        return BNR_OK;
    memset(a->out[0]->data, 0, a->out[0]->nbytes);
    for (size_t i = 0; i < x->numel; i++)
        split(&p, x->str[i], a->out[0]->str + i * most);
    return BNR_OK;
}

BNR_DEFINE_OP(string_split) = {
    .domain = "",
    .name = "StringSplit",
    .since = {20},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .flags = BNR_OP_DATA_SHAPE,
    .attrs = "delimiter:s maxsplit:i",
    .infer = infer,
    .ref = ref,
};
