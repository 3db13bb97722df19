// SPDX-License-Identifier: Apache-2.0
// The gradient of Einsum is Einsum: that of an input is made of dy and the other inputs, with the
// input's own term as output.
//
//     y = Einsum(a, b; "ij,jk->ik")   =>   da = Einsum(dy, b; "ik,jk->ij")
//
// A letter that stands nowhere else comes from ones in a's shape; of a letter that a term repeats,
// the later places get letters of their own, and an identity matrix joins them to the first.
#include <stdio.h>
#include <string.h>

#include "passes/lib/gradient.h"

enum { MOST_TERMS = 10, MOST_OPERANDS = MOST_TERMS + BNR_MAX_RANK };

// Letters in order; '.' stands for "...".
struct term {
    char s[BNR_MAX_RANK + 2];
};

struct product {
    struct bnr_gradient *cx;
    int n;
    struct term term[MOST_OPERANDS];
    struct bnr_value *in[MOST_OPERANDS];
};

// Inference has checked the equation. Returns what is behind the term.
static const char *read_term(const char *s, struct term *t) {
    size_t n = 0;
    for (; *s && *s != ',' && *s != '-'; s++) {
        if (*s == ' ' || n + 1 == sizeof t->s)
            continue;
        t->s[n++] = *s;
        if (*s == '.')
            s += 2;
    }
    t->s[n] = '\0';
    return s;
}

// Without "->": the letters that stand once, by their characters, behind "...".
static void implicit_output(const struct term *in, int n_in, struct term *out) {
    int count[128] = {0};
    size_t n = 0;
    for (int i = 0; i < n_in; i++)
        for (const char *c = in[i].s; *c; c++)
            count[*c & 127]++;
    for (int c = '.'; c <= 'z'; c++)
        if ((c == '.' && count[c] > 0) || (c > '.' && count[c] == 1))
            if (n + 1 < sizeof out->s)
                out->s[n++] = (char)c;
    out->s[n] = '\0';
}

static void add(struct product *p, struct bnr_value *v, const struct term *term) {
    if (p->n == MOST_OPERANDS) {
        bnr__build_fail(&p->cx->b, BNR_UNSUPPORTED, "the equation has too many terms");
        return;
    }
    p->in[p->n] = v;
    p->term[p->n++] = *term;
}

static bool has(const struct product *p, char c) {
    for (int i = 0; i < p->n; i++)
        if (strchr(p->term[i].s, c))
            return true;
    return false;
}

static char fresh_letter(const struct product *p, const struct term *target) {
    for (char c = 'A'; c <= 'z'; c++)
        if ((c <= 'Z' || c >= 'a') && !has(p, c) && !strchr(target->s, c))
            return c;
    return 'A';
}

// An identity matrix as wide as dim d of x.
static struct bnr_value *identity(struct bnr_gradient *cx, struct bnr_value *x, int64_t d) {
    struct bnr_value *at = bnr__build_ints(&cx->b, (const int64_t[]){d, d}, 2);
    struct bnr_value *dims = bnr__build_2(&cx->b, "Gather", bnr__build_shape(&cx->b, x), at);
    struct bnr_value *square = bnr__build_1(&cx->b, "ConstantOfShape", dims);
    return bnr__build_2(&cx->b, "CastLike", bnr__build_1(&cx->b, "EyeLike", square), x);
}

// Letters that a term repeats become different ones.
static void separate(struct product *p, struct bnr_value *x, struct term *target) {
    for (size_t d = 1; target->s[d]; d++) {
        const char *first = strchr(target->s, target->s[d]);
        if (first == target->s + d)
            continue;
        // "..." in front makes the place count from the end.
        const int64_t at = target->s[0] == '.' ? (int64_t)d - (int64_t)strlen(target->s) : (int64_t)d;
        const struct term joined = {{*first, target->s[d] = fresh_letter(p, target), '\0'}};
        add(p, identity(p->cx, x, at), &joined);
    }
}

static struct bnr_value *multiply(struct product *p, const struct term *target) {
    char equation[MOST_OPERANDS * (BNR_MAX_RANK + 4) + 8];
    size_t used = 0;
    for (int i = 0; i <= p->n; i++) {
        const char *s = i < p->n ? p->term[i].s : target->s;
        used += (size_t)snprintf(equation + used, sizeof equation - used, "%s",
                                 i == 0 ? "" : i < p->n ? "," : "->");
        for (; *s; s++)
            used += (size_t)snprintf(equation + used, sizeof equation - used, "%.*s",
                                     *s == '.' ? 3 : 1, *s == '.' ? "..." : s);
    }
    struct bnr_node *n = bnr__build_node(&p->cx->b, "Einsum", p->n, p->in, 1);
    return n ? bnr__build_string(&p->cx->b, n->out[0], "equation", equation) : NULL;
}

static struct bnr_value *input_gradient(struct bnr_gradient *cx, struct bnr_node *n, int k,
                                        struct bnr_value *dy, const struct term *in,
                                        const struct term *out) {
    struct product p = {.cx = cx};
    struct term target = in[k];
    add(&p, dy, out);
    for (int i = 0; i < n->n_in; i++)
        if (i != k)
            add(&p, n->in[i], &in[i]);
    separate(&p, n->in[k], &target);
    bool all = true;
    for (const char *c = target.s; *c; c++)
        all = all && has(&p, *c);
    if (!all)
        add(&p, bnr__build_filled(&cx->b, n->in[k], 1), &target);
    return bnr__grad_sum_to(cx, multiply(&p, &target), n->in[k]);
}

void bnr__grad_einsum(struct bnr_gradient *cx, struct bnr_node *n, struct bnr_value *const *dy) {
    struct term in[MOST_TERMS], out;
    const char *s = bnr__attr_string(n, "equation", "");
    if (n->n_in > MOST_TERMS) {
        bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "%d inputs, at most %d", n->n_in, MOST_TERMS);
        return;
    }
    for (int i = 0; i < n->n_in; i++) {
        s = read_term(s, &in[i]);
        s += *s == ',';
        if (strchr(in[i].s + (in[i].s[0] != '\0'), '.')) // sums over what was broadcast go by the last dims
            bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "\"...\" stands behind letters");
    }
    if (*s == '-')
        read_term(s + 2, &out);
    else
        implicit_output(in, n->n_in, &out);
    for (int i = 0; i < n->n_in && cx->b.status == BNR_OK; i++)
        if (bnr__grad_wants(cx, n, i))
            bnr__grad_give(cx, n, i, input_gradient(cx, n, i, dy[0], in, &out));
}
