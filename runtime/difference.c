// SPDX-License-Identifier: Apache-2.0
#include "runtime/difference.h"

#include <math.h>

// Distance between neighbouring values of the dtype around v; 1 for integers.
static double ulp(enum bnr_dtype d, double v) {
    int mant, min_exp; // explicit mantissa bits, exponent of the smallest normal number
    switch ((int)d) {
    case BNR_FLOAT:
        mant = 23, min_exp = -126;
        break;
    case BNR_DOUBLE:
        mant = 52, min_exp = -1022;
        break;
    case BNR_FLOAT16:
        mant = 10, min_exp = -14;
        break;
    case BNR_BFLOAT16:
        mant = 7, min_exp = -126;
        break;
    default:
        return 1;
    }
    int e;
    frexp(v, &e);
    e -= 1;
    return ldexp(1, (v == 0 || e < min_exp ? min_exp : e) - mant);
}

static double distance(double a, double b) {
    if (a == b || (isnan(a) && isnan(b)))
        return 0;
    double d = fabs(a - b);
    return isnan(d) ? (double)INFINITY : d;
}

static bool same_strings(const struct bnr_tensor *a, const struct bnr_tensor *b, size_t i) {
    return a->str[i].len == b->str[i].len &&
           (a->str[i].len == 0 || memcmp(a->str[i].ptr, b->str[i].ptr, a->str[i].len) == 0);
}

double bnr__largest(const struct bnr_tensor *t) {
    double m = 0;
    for (size_t i = 0; t->kind == BNR_KIND_TENSOR && t->dtype != BNR_STRING && i < t->numel; i++) {
        double v = fabs(bnr__tensor_f64(t, i));
        if (isfinite(v) && v > m)
            m = v;
    }
    for (size_t i = 0; i < t->n_items; i++)
        m = fmax(m, bnr__largest(t->items[i]));
    return m;
}

static bool same_shape(const struct bnr_tensor *a, const struct bnr_tensor *b) {
    return a->kind == b->kind && a->rank == b->rank && a->n_items == b->n_items &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0 &&
           (a->dtype == BNR_STRING) == (b->dtype == BNR_STRING);
}

// `dtype`: of the model's output (a or b may be its promotion to double).
static void compare(struct bnr_difference *diff, enum bnr_dtype dtype, const struct bnr_tensor *a,
                    const struct bnr_tensor *b) {
    if (!same_shape(a, b)) {
        diff->max_abs = diff->max_ulp = (double)INFINITY;
        return;
    }
    for (size_t i = 0; i < a->n_items; i++)
        compare(diff, a->items[i]->dtype, a->items[i], b->items[i]);
    for (size_t i = 0; a->kind == BNR_KIND_TENSOR && i < a->numel; i++) {
        bool text = a->dtype == BNR_STRING;
        double va = text ? 0 : bnr__tensor_f64(a, i), vb = text ? 0 : bnr__tensor_f64(b, i);
        double d = !text ? distance(va, vb) : same_strings(a, b, i) ? 0 : (double)INFINITY;
        diff->max_ulp = fmax(diff->max_ulp, d / ulp(dtype, vb));
        if (d > diff->max_abs) {
            diff->max_abs = d;
            diff->index = i;
            diff->a = va;
            diff->b = vb;
        }
    }
}

struct bnr_difference bnr__difference(enum bnr_dtype dtype, const struct bnr_tensor *a,
                                      const struct bnr_tensor *b) {
    struct bnr_difference diff = {0};
    compare(&diff, dtype, a, b);
    double magnitude = bnr__largest(b);
    diff.max_rel = magnitude > 0 ? diff.max_abs / magnitude : diff.max_abs;
    return diff;
}
