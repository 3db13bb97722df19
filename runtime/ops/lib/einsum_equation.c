// SPDX-License-Identifier: Apache-2.0
// The equation of Einsum: terms of letters and "..." separated by commas, then perhaps "->" and the
// output.
#include <string.h>

#include "runtime/ops/lib/einsum.h"

enum { LETTERS = 52 };

struct scan {
    const char *at, *end;
    const struct bnr_node *node;
    struct bnr_error *err;
};

static enum bnr_status fail(const struct scan *s, const char *what) {
    return bnr__op_fail(s->node, s->err, BNR_SHAPE, "equation \"%s\": %s",
                        bnr__attr_string(s->node, "equation", ""), what);
}

static int letter(char c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

// Up to a comma, "->" or the end.
static enum bnr_status scan_term(struct scan *s, struct bnr_einsum_term *t) {
    t->n = 0;
    t->ellipsis = -1;
    for (; s->at < s->end && *s->at != ',' && *s->at != '-'; s->at++) {
        if (*s->at == ' ')
            continue;
        if (s->end - s->at >= 3 && memcmp(s->at, "...", 3) == 0) {
            if (t->ellipsis >= 0)
                return fail(s, "two ellipses in a term");
            t->ellipsis = t->n;
            s->at += 2;
            continue;
        }
        if (letter(*s->at) < 0)
            return fail(s, "expected letters, \"...\", \",\" and \"->\"");
        if (t->n == BNR_MAX_RANK)
            return fail(s, "too many letters in a term");
        t->label[t->n++] = (int8_t)letter(*s->at);
    }
    return BNR_OK;
}

// Labels that occur once, in the order of their characters; "..." in front.
static enum bnr_status implicit_output(const struct scan *s, struct bnr_einsum *e) {
    int count[LETTERS] = {0};
    e->out.n = 0;
    e->out.ellipsis = -1;
    for (int i = 0; i < e->n_in; i++) {
        for (int k = 0; k < e->in[i].n; k++)
            count[e->in[i].label[k]]++;
        if (e->in[i].ellipsis >= 0)
            e->out.ellipsis = 0;
    }
    for (int l = 0; l < LETTERS; l++) {
        if (count[l] != 1)
            continue;
        if (e->out.n == BNR_MAX_RANK)
            return fail(s, "too many output dims");
        e->out.label[e->out.n++] = (int8_t)l;
    }
    return BNR_OK;
}

static enum bnr_status check_output(const struct scan *s, const struct bnr_einsum *e) {
    bool known[LETTERS] = {false};
    for (int i = 0; i < e->n_in; i++)
        for (int k = 0; k < e->in[i].n; k++)
            known[e->in[i].label[k]] = true;
    for (int k = 0; k < e->out.n; k++) {
        if (!known[e->out.label[k]])
            return fail(s, "an output letter is in no term, or twice in the output");
        known[e->out.label[k]] = false;
    }
    return BNR_OK;
}

enum bnr_status bnr__einsum_parse(const struct bnr_node *n, int n_in, struct bnr_arena *arena,
                                  struct bnr_einsum *e, struct bnr_error *err) {
    const char *text = bnr__attr_string(n, "equation", "");
    struct scan s = {.at = text, .end = text + strlen(text), .node = n, .err = err};
    e->n_in = n_in;
    e->in = BNR_NEW_ARRAY(arena, (size_t)n_in, struct bnr_einsum_term);
    if (e->in == NULL)
        return bnr__no_memory(err);
    for (int i = 0; i < n_in; i++) {
        BNR_TRY(scan_term(&s, &e->in[i]));
        const bool comma = s.at < s.end && *s.at == ',';
        if (comma != (i + 1 < n_in))
            return fail(&s, "the number of terms is not that of the inputs");
        s.at += comma;
    }
    if (s.at == s.end)
        return implicit_output(&s, e);
    if (s.end - s.at < 2 || s.at[1] != '>')
        return fail(&s, "expected \"->\"");
    s.at += 2;
    BNR_TRY(scan_term(&s, &e->out));
    if (s.at != s.end)
        return fail(&s, "something follows the output");
    return check_output(&s, e);
}

int bnr__einsum_dots(const struct bnr_einsum *e, const int *ranks) {
    int dots = 0;
    for (int i = 0; i < e->n_in; i++) {
        if (ranks[i] < 0 && e->in[i].ellipsis >= 0)
            return -1;
        if (ranks[i] - e->in[i].n > dots)
            dots = ranks[i] - e->in[i].n;
    }
    return dots;
}

enum bnr_status bnr__einsum_axes(const struct bnr_node *n, const struct bnr_einsum *e, int term,
                                 int rank, int dots, int8_t axes[BNR_MAX_RANK],
                                 struct bnr_error *err) {
    const struct bnr_einsum_term *t = term < 0 ? &e->out : &e->in[term];
    const int covered = rank - t->n;
    if (covered < 0 || covered > dots || (covered > 0 && t->ellipsis < 0))
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "equation \"%s\": input %d has rank %d, its term %d letters",
                            bnr__attr_string(n, "equation", ""), term, rank, t->n);
    const int before = t->ellipsis < 0 ? t->n : t->ellipsis;
    for (int d = 0; d < rank; d++)
        axes[d] = d < before             ? t->label[d]
                  : d < before + covered ? (int8_t)(LETTERS + dots - covered + d - before)
                                         : t->label[d - covered];
    return BNR_OK;
}
