// SPDX-License-Identifier: Apache-2.0
#include "tools/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/inputs.h"

static bool is_complex(enum bnr_dtype d) {
    return d == BNR_COMPLEX64 || d == BNR_COMPLEX128;
}

static bool strings_match(const bnr_tensor *got, const bnr_tensor *expected, char *why, size_t size) {
    for (size_t i = 0; i < bnr_tensor_numel(expected); i++) {
        size_t ng, ne;
        const char *g = bnr_tensor_string(got, i, &ng), *e = bnr_tensor_string(expected, i, &ne);
        if (ng != ne || (ng && memcmp(g, e, ng) != 0)) {
            snprintf(why, size, "element %zu is '%.*s', expected '%.*s'", i, (int)(ng < 60 ? ng : 60), g,
                     (int)(ne < 60 ? ne : 60), e);
            return false;
        }
    }
    return true;
}

static bool close_enough(double g, double e, struct tolerance tol) {
    if (g == e || (isnan(g) && isnan(e)))
        return true;
    return fabs(g - e) <= tol.atol + tol.rtol * fabs(e) && isfinite(e);
}

static bool numbers_match(const double *g, const double *e, size_t n, struct tolerance tol, char *why,
                          size_t size) {
    size_t bad = 0, worst = 0;
    for (size_t i = 0; i < n; i++)
        if (!close_enough(g[i], e[i], tol)) {
            if (!bad || fabs(g[i] - e[i]) > fabs(g[worst] - e[worst]))
                worst = i;
            bad++;
        }
    if (bad)
        snprintf(why, size, "%zu of %zu elements differ, most at %zu: %.9g, expected %.9g", bad, n, worst,
                 g[worst], e[worst]);
    return bad == 0;
}

// Numbers as double; complex tensors as twice as many reals.
static bnr_tensor *as_double(const bnr_tensor *t, struct bnr_error *err) {
    bnr_tensor *wide = NULL, *parts = NULL;
    if (!is_complex(bnr_tensor_dtype(t))) {
        bnr_tensor_cast(&wide, t, BNR_DOUBLE, err);
        return wide;
    }
    enum bnr_dtype part = bnr_tensor_dtype(t) == BNR_COMPLEX64 ? BNR_FLOAT : BNR_DOUBLE;
    int64_t n = (int64_t)bnr_tensor_numel(t) * 2;
    if (bnr_tensor_wrap(&parts, part, 1, &n, bnr_tensor_data(t), bnr_tensor_bytes(t), err) == BNR_OK)
        bnr_tensor_cast(&wide, parts, BNR_DOUBLE, err);
    bnr_tensor_release(parts);
    return wide;
}

static bool elements_match(const bnr_tensor *got, const bnr_tensor *expected, struct tolerance tol,
                           char *why, size_t size) {
    // 64-bit integers do not fit a double: equal bytes are equal.
    if (bnr_tensor_bytes(got) == 0 ||
        memcmp(bnr_tensor_data(got), bnr_tensor_data(expected), bnr_tensor_bytes(got)) == 0)
        return true;
    struct bnr_error err = {0};
    bnr_tensor *g = as_double(got, &err), *e = as_double(expected, &err);
    bool match = false;
    if (g && e)
        match = numbers_match(bnr_tensor_data(g), bnr_tensor_data(e), bnr_tensor_numel(e), tol, why, size);
    else
        snprintf(why, size, "cannot be compared: %s", err.message);
    bnr_tensor_release(g);
    bnr_tensor_release(e);
    return match;
}

static bool items_match(const bnr_tensor *got, const bnr_tensor *expected, struct tolerance tol, char *why,
                        size_t size) {
    size_t n = bnr_tensor_item_count(expected);
    if (bnr_tensor_item_count(got) != n) {
        snprintf(why, size, "has %zu items, expected %zu", bnr_tensor_item_count(got), n);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char inner[400];
        if (!tensors_match(bnr_tensor_item(got, i), bnr_tensor_item(expected, i), tol, inner,
                           sizeof inner)) {
            snprintf(why, size, "item %zu: %s", i, inner);
            return false;
        }
    }
    return true;
}

bool tensors_match(const bnr_tensor *got, const bnr_tensor *expected, struct tolerance tol, char *why,
                   size_t size) {
    if (bnr_tensor_kind(got) != bnr_tensor_kind(expected)) {
        snprintf(why, size, "is another kind of value (%d) than expected (%d)", bnr_tensor_kind(got),
                 bnr_tensor_kind(expected));
        return false;
    }
    if (bnr_tensor_kind(got) != BNR_KIND_TENSOR)
        return items_match(got, expected, tol, why, size);
    char a[200], b[200];
    bool same_rank = bnr_tensor_rank(got) == bnr_tensor_rank(expected);
    if (!same_rank || bnr_tensor_dtype(got) != bnr_tensor_dtype(expected) ||
        memcmp(bnr_tensor_dims(got), bnr_tensor_dims(expected),
               (size_t)bnr_tensor_rank(got) * sizeof(int64_t)) != 0) {
        snprintf(why, size, "is %s %s, expected %s %s", bnr_dtype_name(bnr_tensor_dtype(got)),
                 shape_text(got, a, sizeof a), bnr_dtype_name(bnr_tensor_dtype(expected)),
                 shape_text(expected, b, sizeof b));
        return false;
    }
    return bnr_tensor_dtype(got) == BNR_STRING ? strings_match(got, expected, why, size)
                                               : elements_match(got, expected, tol, why, size);
}
