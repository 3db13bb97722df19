// SPDX-License-Identifier: Apache-2.0
// An axis has as few parts as possible: neighbouring ones that one step leads through are one.
#include "runtime/ops/lib/strided.h"

#include <string.h>

static bool add_part(struct bnr_strided *s, int64_t count, int64_t step) {
    if (count == 1)
        return true;
    if (s->n == BNR_STRIDED_PARTS)
        return false;
    s->parts[s->n++] = (struct bnr_strided_part){count, step};
    return true;
}

// The parts [*begin, *end) of an axis.
static void find_parts(const struct bnr_strided *s, int axis, int *begin, int *end) {
    *begin = *end = 0;
    for (int d = 0; d <= axis; d++) {
        *begin = *end;
        for (int64_t n = 1; n < s->dims[d]; n *= s->parts[(*end)++].count)
            continue;
    }
}

static void set_dims(struct bnr_strided *s, int rank, const int64_t *dims) {
    s->rank = rank;
    if (rank > 0)
        memcpy(s->dims, dims, (size_t)rank * sizeof *dims);
}

void bnr__strided_dense(struct bnr_strided *s, int rank, const int64_t *dims) {
    int64_t step = 1;
    *s = (struct bnr_strided){.n = 0};
    set_dims(s, rank, dims);
    for (int d = 0; d < rank; d++)
        s->n += dims[d] > 1;
    for (int d = rank - 1, i = s->n; d >= 0; d--) {
        if (dims[d] > 1)
            s->parts[--i] = (struct bnr_strided_part){dims[d], step};
        step *= dims[d];
    }
}

// Whatever axes the parts belong to.
static void join_parts(struct bnr_strided *s) {
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        struct bnr_strided_part *last = n > 0 ? &s->parts[n - 1] : NULL;
        const struct bnr_strided_part part = s->parts[i];
        if (last && last->step == part.step * part.count) {
            last->count *= part.count;
            last->step = part.step;
        } else {
            s->parts[n++] = part;
        }
    }
    s->n = n;
}

bool bnr__strided_reshape(struct bnr_strided *s, int rank, const int64_t *dims) {
    struct bnr_strided from = *s;
    int next = 0;
    join_parts(&from);
    s->n = 0;
    set_dims(s, rank, dims);
    for (int d = 0; d < rank; d++) {
        for (int64_t left = dims[d]; left > 1;) {
            struct bnr_strided_part *part = &from.parts[next];
            if (next == from.n)
                return false;
            if (left % part->count == 0) {
                if (!add_part(s, part->count, part->step))
                    return false;
                left /= part->count;
                next++;
            } else if (part->count % left == 0) {
                part->count /= left;
                if (!add_part(s, left, part->step * part->count))
                    return false;
                left = 1;
            } else {
                return false;
            }
        }
    }
    return next == from.n;
}

void bnr__strided_permute(struct bnr_strided *s, const int *perm) {
    const struct bnr_strided from = *s;
    s->n = 0;
    for (int d = 0; d < from.rank; d++) {
        int begin, end;
        find_parts(&from, perm[d], &begin, &end);
        for (int i = begin; i < end; i++)
            s->parts[s->n++] = from.parts[i];
        s->dims[d] = from.dims[perm[d]];
    }
}

bool bnr__strided_slice(struct bnr_strided *s, int axis, int64_t first, int64_t count,
                        int64_t step) {
    int begin, end;
    if (count == s->dims[axis] && (step == 1 || count == 1))
        return true;
    find_parts(s, axis, &begin, &end);
    if (end - begin != 1)
        return false;
    struct bnr_strided_part *part = &s->parts[begin];
    s->first += first * part->step;
    s->dims[axis] = part->count = count;
    if (count > 1) // else the step may be any number
        part->step *= step;
    else
        memmove(part, part + 1, (size_t)(--s->n - begin) * sizeof *part);
    return true;
}

bool bnr__strided_is_dense(const struct bnr_strided *s) {
    int64_t step = 1;
    for (int i = s->n - 1; i >= 0; step *= s->parts[i--].count)
        if (s->parts[i].step != step)
            return false;
    return s->first == 0;
}

bool bnr__strided_step(const struct bnr_strided *s, int axis, int64_t *step) {
    int begin, end;
    find_parts(s, axis, &begin, &end);
    *step = end > begin ? s->parts[begin].step : 0;
    return end - begin <= 1;
}

void bnr__strided_starts(const struct bnr_strided *s, int axes, size_t *starts) {
    int begin, end;
    size_t count = 1;
    find_parts(s, axes - 1, &begin, &end);
    for (int i = 0; i < end; i++)
        count *= (size_t)s->parts[i].count;
    for (size_t k = 0; k < count; k++) {
        size_t rest = k;
        starts[k] = (size_t)s->first;
        for (int i = end - 1; i >= 0; i--) {
            starts[k] += rest % (size_t)s->parts[i].count * (size_t)s->parts[i].step;
            rest /= (size_t)s->parts[i].count;
        }
    }
}

bool bnr__strided_inverse(const struct bnr_strided *s, int rank, const int64_t *dims,
                          struct bnr_strided *inverse) {
    struct bnr_strided sorted = *s;
    bnr__strided_dense(inverse, s->rank, s->dims);
    // Parts of the dense tensor, cut like those of s, in the order in which s reads.
    int64_t to[BNR_STRIDED_PARTS], step = 1;
    for (int i = s->n - 1; i >= 0; step *= s->parts[i--].count)
        to[i] = step;
    for (int i = 1; i < s->n; i++)
        for (int k = i; k > 0 && sorted.parts[k - 1].step < sorted.parts[k].step; k--) {
            const struct bnr_strided_part part = sorted.parts[k];
            const int64_t at = to[k];
            sorted.parts[k] = sorted.parts[k - 1];
            sorted.parts[k - 1] = part;
            to[k] = to[k - 1];
            to[k - 1] = at;
        }
    if (!bnr__strided_is_dense(&sorted))
        return false;
    *inverse = sorted;
    for (int i = 0; i < s->n; i++)
        inverse->parts[i].step = to[i];
    return bnr__strided_reshape(inverse, rank, dims);
}
