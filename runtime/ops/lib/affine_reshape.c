// SPDX-License-Identifier: Apache-2.0
// Affines past operators that give the same elements other dims: Reshape, Flatten, Squeeze,
// Unsqueeze. Element i of the flattened value keeps its s and t, so the dims of both sides say
// where they vary.
//     [N, C, H, W] -> [N, C*H*W]: each s repeated H*W times
//     [N, C*H*W] -> [N, C, H, W]: three axes, or one where s was repeated like that
#include <string.h>

#include "runtime/ops/lib/affine_rules.h"

// Axes other than those known to be 1, which do not matter here.
struct axes {
    int n, at[BNR_MAX_RANK];
};

static struct axes without_ones(const struct bnr_shape *s) {
    struct axes a = {0};
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i].n != 1)
            a.at[a.n++] = i;
    return a;
}

// Both shapes begin with the same dims up to the last one over which `a` varies: the axes
// correspond, and what lies behind need not be known.
static bool same_front(const struct bnr_affine *a, const struct bnr_shape *from,
                       const struct bnr_shape *to, struct bnr_affine *out) {
    const struct axes f = without_ones(from), t = without_ones(to);
    struct bnr_affine r = {.rank = to->rank, .n = a->n, .s = a->s, .t = a->t};
    for (int i = 0; i < to->rank; i++)
        r.dims[i] = 1;
    int last = -1;
    for (int i = 0; i < f.n; i++)
        if (bnr__affine_varies(a, f.at[i]))
            last = i;
    for (int i = 0; i <= last; i++) {
        if (i >= t.n || !bnr__dim_equal(from->dims[f.at[i]], to->dims[t.at[i]]))
            return false;
        r.dims[t.at[i]] = a->dims[f.at[i]];
    }
    *out = r;
    return true;
}

// Drops axes at the end that are the same on both sides and over which `a` does not vary.
static void drop_same_back(const struct bnr_affine *a, const struct bnr_shape *from, int *from_rank,
                           const struct bnr_shape *to, int *to_rank) {
    while (*from_rank > 0 && *to_rank > 0 && !bnr__affine_varies(a, *from_rank - 1) &&
           bnr__dim_equal(from->dims[*from_rank - 1], to->dims[*to_rank - 1])) {
        --*from_rank;
        --*to_rank;
    }
}

// Product of the dims first .. rank-1; -1 where one is not known or the product passes the limit.
static int64_t volume(const struct bnr_shape *s, int first, int rank) {
    int64_t v = 1;
    for (int i = first; i < rank; i++) {
        const int64_t d = s->dims[i].sym ? -1 : s->dims[i].n;
        if (d < 1 || d > BNR_AFFINE_MAX)
            return -1;
        v *= d;
        if (v > BNR_AFFINE_MAX)
            return -1;
    }
    return v;
}

// Where flat element i of dims[first .. rank-1] has its s and t.
static size_t place(size_t i, const struct bnr_affine *a, const struct bnr_shape *s, int first,
                    int rank) {
    size_t at = 0, step = 1;
    for (int k = rank - 1; k >= first; k--) {
        const size_t d = (size_t)s->dims[k].n;
        if (a->dims[k] != 1) {
            at += i % d * step;
            step *= d;
        }
        i /= d;
    }
    return at;
}

// Removes an axis along which v and w do not change: an array [outer, d, inner] becomes [outer,
// inner].
static bool collapse(double *v, double *w, size_t outer, size_t d, size_t inner) {
    for (size_t o = 0; o < outer; o++)
        for (size_t j = 1; j < d; j++)
            for (size_t i = 0; i < inner; i++) {
                const size_t first = o * d * inner + i, other = first + j * inner;
                if (v[first] != v[other] || w[first] != w[other])
                    return false;
            }
    for (size_t o = 0; o < outer; o++) {
        memmove(v + o * inner, v + o * d * inner, inner * sizeof *v);
        memmove(w + o * inner, w + o * d * inner, inner * sizeof *w);
    }
    return true;
}

// s and t repeat with a period that the dims of `from` behind the first varying axis give. The axes
// of `to` that cover whole periods get them written out; then axes along which nothing changes are
// dropped.
static bool by_period(struct bnr_affine_site *site, const struct bnr_shape *from,
                      const struct bnr_shape *to, struct bnr_affine *out) {
    const struct bnr_affine *a = &site->affine;
    int from_rank = from->rank, to_rank = to->rank, first = 0;
    drop_same_back(a, from, &from_rank, to, &to_rank);
    while (!bnr__affine_varies(a, first))
        first++;
    const int64_t period = volume(from, first, from_rank);
    int start = to_rank - 1;
    while (start >= 0 && period > 0 && volume(to, start, to_rank) % period != 0)
        start--; // -1 % period is -1: an unknown dim matches nothing
    if (period < 1 || start < 0)
        return bnr__affine_no(site,
                              "'%s' mixes channels with other axes, or its dims are not known",
                              site->node->label);
    struct bnr_affine r = {.rank = to->rank, .n = (size_t)volume(to, start, to_rank)};
    double *s = BNR_NEW_ARRAY(site->temp, r.n, double), *t = BNR_NEW_ARRAY(site->temp, r.n, double);
    if (!s || !t)
        return bnr__affine_no(site, "out of memory");
    for (size_t i = 0; i < r.n; i++) {
        const size_t at = place(i % (size_t)period, a, from, first, from_rank);
        s[i] = a->s[at];
        t[i] = a->t[at];
    }
    size_t inner = 1;
    for (int i = to->rank - 1; i >= 0; i--) {
        const bool inside = i >= start && i < to_rank;
        r.dims[i] = inside ? to->dims[i].n : 1;
        const size_t d = (size_t)r.dims[i];
        if (d > 1 && collapse(s, t, r.n / d / inner, d, inner)) {
            r.dims[i] = 1;
            r.n /= d;
        }
        inner *= (size_t)r.dims[i];
    }
    r.s = s;
    r.t = t;
    *out = r;
    return true;
}

static bool reshape(struct bnr_affine_site *site, const struct bnr_value *from,
                    const struct bnr_value *to, struct bnr_affine *out) {
    const struct bnr_affine *a = &site->affine;
    const struct bnr_shape f = bnr__affine_shape(from), t = bnr__affine_shape(to);
    if (site->index != 0)
        return bnr__affine_no(site, "it gives the shape of '%s'", site->node->label);
    if (bnr__affine_axis(a) == BNR_AFFINE_UNIFORM) {
        out[0] = *a;
        out[0].rank = 0;
        return true;
    }
    if (f.rank != a->rank || t.rank < 0)
        return bnr__affine_no(site, "the dims of '%s' are not known", site->node->label);
    return same_front(a, &f, &t, &out[0]) || by_period(site, &f, &t, &out[0]);
}

static bool forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                    struct bnr_error *err) {
    return reshape(site, site->node->in[0], site->node->out[0], out);
}

static bool backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                     struct bnr_error *err) {
    return reshape(site, site->node->out[0], site->node->in[0], out);
}

const struct bnr_affine_rules bnr__affine_reshape = {.forward = forward, .backward = backward};
