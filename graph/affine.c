// SPDX-License-Identifier: Apache-2.0
// Arithmetic on affines: composition, expansion along an axis, and the questions that rules ask.
#include "graph/affine.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool bnr__affine_no(struct bnr_affine_site *site, const char *fmt, ...) {
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    site->why = bnr__arena_strdup(site->temp, text);
    if (!site->why)
        site->why = "out of memory";
    return false;
}

int bnr__affine_axis(const struct bnr_affine *a) {
    int axis = BNR_AFFINE_UNIFORM;
    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] == 1)
            continue;
        if (axis != BNR_AFFINE_UNIFORM)
            return BNR_AFFINE_MANY;
        axis = i;
    }
    return axis;
}

bool bnr__affine_has_shift(const struct bnr_affine *a) {
    for (size_t i = 0; i < a->n; i++)
        if (a->t[i] != 0)
            return true;
    return false;
}

bool bnr__affine_has_scale(const struct bnr_affine *a) {
    for (size_t i = 0; i < a->n; i++)
        if (a->s[i] != 1)
            return true;
    return false;
}

bool bnr__affine_positive(const struct bnr_affine *a) {
    for (size_t i = 0; i < a->n; i++)
        if (!(a->s[i] > 0))
            return false;
    return true;
}

bool bnr__affine_finite(const struct bnr_affine *a) {
    for (size_t i = 0; i < a->n; i++)
        if (!isfinite(a->s[i]) || !isfinite(a->t[i]))
            return false;
    return true;
}

bool bnr__affine_number_fits(double v, enum bnr_dtype dtype) {
    uint64_t rounded; // room for any float dtype
    bnr__store_f64(dtype, &rounded, &v, 1);
    bnr__load_f64(&v, dtype, &rounded, 1);
    return isfinite(v);
}

bool bnr__affine_fits(const struct bnr_affine *a, enum bnr_dtype dtype) {
    if (!bnr__dtype_is_float(dtype))
        return bnr__affine_finite(a);
    for (size_t i = 0; i < a->n; i++)
        if (!bnr__affine_number_fits(a->s[i], dtype) || !bnr__affine_number_fits(a->t[i], dtype))
            return false;
    return true;
}

double *bnr__affine_alloc(struct bnr_affine *a, int rank, const int64_t *dims, double **t,
                          struct bnr_arena *arena) {
    *a = (struct bnr_affine){.rank = rank, .n = 1};
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 1 || dims[i] > BNR_AFFINE_MAX)
            return NULL;
        a->dims[i] = dims[i];
        a->n *= (size_t)dims[i];
        if (a->n > BNR_AFFINE_MAX)
            return NULL;
    }
    double *s = BNR_NEW_ARRAY(arena, a->n, double);
    *t = BNR_NEW_ARRAY(arena, a->n, double);
    if (!s || !*t)
        return NULL;
    a->s = s;
    a->t = *t;
    return s;
}

double *bnr__affine_alloc_along(struct bnr_affine *a, int rank, int axis, int64_t count, double **t,
                                struct bnr_arena *arena) {
    int64_t dims[BNR_MAX_RANK];
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? count : 1;
    return bnr__affine_alloc(a, rank, dims, t, arena);
}

// Where element i of an array of dims `full` lies in an array that has 1 on some of the axes.
static size_t project(size_t i, const int64_t *full, const int64_t *dims, int rank) {
    size_t at = 0, step = 1;
    for (int k = rank - 1; k >= 0; k--) {
        const size_t c = i % (size_t)full[k];
        i /= (size_t)full[k];
        if (dims[k] != 1) {
            at += c * step;
            step *= (size_t)dims[k];
        }
    }
    return at;
}

bool bnr__affine_compose(struct bnr_affine *out, const struct bnr_affine *first,
                         const struct bnr_affine *second, struct bnr_arena *arena) {
    const struct bnr_affine *shape = first->n == 1 ? second : first;
    if (first->n != 1 && second->n != 1 && first->rank != second->rank)
        return false;
    int64_t dims[BNR_MAX_RANK];
    for (int i = 0; i < shape->rank; i++) {
        dims[i] = shape->dims[i];
        if (first->n != 1 && second->n != 1 && second->dims[i] != dims[i]) {
            if (dims[i] != 1 && second->dims[i] != 1)
                return false;
            dims[i] = dims[i] == 1 ? second->dims[i] : dims[i];
        }
    }
    double *t, *s = bnr__affine_alloc(out, shape->rank, dims, &t, arena);
    if (!s)
        return false;
    for (size_t i = 0; i < out->n; i++) {
        const size_t a = first->n == 1 ? 0 : project(i, dims, first->dims, out->rank);
        const size_t b = second->n == 1 ? 0 : project(i, dims, second->dims, out->rank);
        s[i] = second->s[b] * first->s[a];
        t[i] = second->s[b] * first->t[a] + second->t[b];
    }
    return bnr__affine_finite(out);
}

bool bnr__affine_along(struct bnr_affine_site *site, int axis, int64_t count, const double **s,
                       const double **t) {
    const struct bnr_affine *a = &site->affine;
    const int own = bnr__affine_axis(a);
    if (own == BNR_AFFINE_MANY)
        return bnr__affine_no(site, "its scale and shift vary over more than one axis");
    if (own >= 0 && own != axis)
        return bnr__affine_no(
            site, "its scale and shift vary over axis %d, the channels of '%s' are axis %d", own,
            site->node->label, axis);
    if (own >= 0 && (int64_t)a->n != count)
        return bnr__affine_no(site, "it has %zu channels, '%s' has %lld", a->n, site->node->label,
                              (long long)count);
    if ((int64_t)a->n == count) {
        *s = a->s;
        *t = a->t;
        return true;
    }
    struct bnr_affine wide;
    double *wt, *ws = bnr__affine_alloc(&wide, 1, &count, &wt, site->temp);
    if (!ws)
        return bnr__affine_no(site, "'%s' has too many channels (%lld)", site->node->label,
                              (long long)count);
    for (int64_t i = 0; i < count; i++) {
        ws[i] = a->s[0];
        wt[i] = a->t[0];
    }
    *s = ws;
    *t = wt;
    return true;
}

bool bnr__affine_scale_of(struct bnr_affine *out, const struct bnr_affine *a,
                          struct bnr_arena *arena) {
    *out = *a;
    return (out->t = BNR_NEW_ARRAY(arena, a->n, double)) != NULL; // zeroed
}

bool bnr__affine_shift_of(struct bnr_affine *out, const struct bnr_affine *a,
                          struct bnr_arena *arena) {
    double *one = BNR_NEW_ARRAY(arena, a->n, double);
    for (size_t i = 0; one && i < a->n; i++)
        one[i] = 1;
    *out = *a;
    out->s = one;
    return one != NULL;
}
