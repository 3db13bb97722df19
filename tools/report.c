// SPDX-License-Identifier: Apache-2.0
#include "tools/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/inputs.h"

// ---- numbers of a tensor ----------------------------------------------------------------------------

// The elements as double; the caller frees. NULL for strings and non-tensors.
static double *as_doubles(const bnr_tensor *t) {
    if (bnr_tensor_kind(t) != BNR_KIND_TENSOR || bnr_tensor_dtype(t) == BNR_STRING ||
        bnr_tensor_dtype(t) == BNR_COMPLEX64 || bnr_tensor_dtype(t) == BNR_COMPLEX128)
        return NULL;
    bnr_tensor *wide;
    struct bnr_error err;
    if (bnr_tensor_cast(&wide, t, BNR_DOUBLE, &err) != BNR_OK)
        return NULL;
    size_t bytes = bnr_tensor_bytes(wide);
    double *values = xmalloc(bytes);
    if (bytes)
        memcpy(values, bnr_tensor_data(wide), bytes);
    bnr_tensor_release(wide);
    return values;
}

struct tensor_stats tensor_stats(const bnr_tensor *t) {
    struct tensor_stats s = {(double)NAN, (double)NAN, (double)NAN, 0, 0};
    double *v = as_doubles(t), sum = 0;
    size_t finite = 0;
    for (size_t i = 0; v && i < bnr_tensor_numel(t); i++) {
        if (isnan(v[i])) {
            s.nan++;
        } else if (isinf(v[i])) {
            s.infinite++;
        } else {
            s.min = finite ? fmin(s.min, v[i]) : v[i];
            s.max = finite ? fmax(s.max, v[i]) : v[i];
            sum += v[i];
            finite++;
        }
    }
    if (finite)
        s.mean = sum / (double)finite;
    free(v);
    return s;
}

static void print_first_values(const bnr_tensor *t) {
    enum { SHOWN = 4 };
    double *v = as_doubles(t);
    size_t n = bnr_tensor_kind(t) == BNR_KIND_TENSOR ? bnr_tensor_numel(t) : 0;
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        size_t length;
        if (bnr_tensor_dtype(t) == BNR_STRING) {
            const char *s = bnr_tensor_string(t, i, &length);
            printf(" \"%.*s\"", (int)(length < 20 ? length : 20), s);
        } else if (v) {
            printf(" %.6g", v[i]);
        }
    }
    printf("%s\n", n > SHOWN ? " ..." : "");
    free(v);
}

void print_output_table(const char *const *names, bnr_tensor *const *outputs, size_t n) {
    int width = 6;
    for (size_t i = 0; i < n; i++)
        width = (int)strlen(names[i]) > width ? (int)strlen(names[i]) : width;
    printf("%-*s %-9s %-16s %12s %12s %12s  first values\n", width, "output", "dtype", "shape", "min", "max",
           "mean");
    for (size_t i = 0; i < n; i++) {
        char shape[256];
        struct tensor_stats s = tensor_stats(outputs[i]);
        printf("%-*s %-9s %-16s %12.6g %12.6g %12.6g ", width, names[i],
               bnr_dtype_name(bnr_tensor_dtype(outputs[i])), shape_text(outputs[i], shape, sizeof shape),
               s.min, s.max, s.mean);
        print_first_values(outputs[i]);
        if (s.nan || s.infinite)
            printf("%-*s holds %zu NaN and %zu infinite values\n", width, "", s.nan, s.infinite);
    }
}

// ---- JSON -------------------------------------------------------------------------------------------

// A name in a file may be any bytes; JSON has UTF-8.
static json_t *json_ascii(const char *s) {
    char *copy = strdup(s);
    for (char *p = copy; p && *p; p++)
        *p = *p & 0x80 ? '?' : *p;
    json_t *j = copy ? json_string(copy) : NULL;
    free(copy);
    return j;
}

json_t *json_text(const char *s) {
    json_t *j = s ? json_string(s) : NULL;
    if (s && !j)
        j = json_ascii(s);
    return j ? j : json_null();
}

json_t *json_number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *dims_json(const bnr_tensor *t) {
    json_t *dims = json_array();
    for (int i = 0; i < bnr_tensor_rank(t); i++)
        json_array_append_new(dims, json_integer(bnr_tensor_dims(t)[i]));
    return dims;
}

static json_t *element_json(const bnr_tensor *t, const double *v, size_t i) {
    size_t length;
    switch ((int)bnr_tensor_dtype(t)) {
    case BNR_STRING: {
        const char *s = bnr_tensor_string(t, i, &length);
        json_t *j = json_stringn(s, length);
        return j ? j : json_null();
    }
    case BNR_BOOL:
        return json_boolean(((const unsigned char *)bnr_tensor_data(t))[i]);
    case BNR_INT64: // beyond 2^53 double is not exact
        return json_integer(((const int64_t *)bnr_tensor_data(t))[i]);
    default:
        return v ? json_number(v[i]) : json_null();
    }
}

static json_t *nested_json(const bnr_tensor *t, const double *v, int axis, size_t *next) {
    if (axis == bnr_tensor_rank(t))
        return element_json(t, v, (*next)++);
    json_t *array = json_array();
    for (int64_t i = 0; i < bnr_tensor_dims(t)[axis]; i++)
        json_array_append_new(array, nested_json(t, v, axis + 1, next));
    return array;
}

static json_t *values_json(const bnr_tensor *t) {
    if (bnr_tensor_kind(t) != BNR_KIND_TENSOR) {
        json_t *items = json_array();
        for (size_t i = 0; i < bnr_tensor_item_count(t); i++)
            json_array_append_new(items, values_json(bnr_tensor_item(t, i)));
        return items;
    }
    double *v = as_doubles(t);
    size_t next = 0;
    json_t *j = nested_json(t, v, 0, &next);
    free(v);
    return j;
}

json_t *output_json(const char *name, const bnr_tensor *t) {
    struct tensor_stats s = tensor_stats(t);
    json_t *j = json_object();
    json_object_set_new(j, "name", json_text(name));
    json_object_set_new(j, "dtype", json_text(bnr_dtype_name(bnr_tensor_dtype(t))));
    json_object_set_new(j, "shape", dims_json(t));
    json_object_set_new(j, "min", json_number(s.min));
    json_object_set_new(j, "max", json_number(s.max));
    json_object_set_new(j, "mean", json_number(s.mean));
    json_object_set_new(j, "values", values_json(t));
    return j;
}

int json_print(json_t *document) {
    int bad = json_dumpf(document, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(document);
    if (putchar('\n') == EOF || bad || fflush(stdout) != 0)
        return fail(EXIT_BAD, "standard output: cannot be written: %s", strerror(errno));
    return EXIT_DONE;
}

// ---- top K ------------------------------------------------------------------------------------------

struct score {
    double value;
    size_t index;
};

static int by_score(const void *pa, const void *pb) {
    const struct score *a = pa, *b = pb;
    if (a->value != b->value)
        return a->value < b->value || isnan(a->value) ? 1 : -1;
    return a->index < b->index ? -1 : 1;
}

// Rows of the last dim that is not 1; the caller frees. NULL when t has no numbers.
static struct score *rank_rows(const bnr_tensor *t, size_t *rows, size_t *columns) {
    double *v = as_doubles(t);
    *rows = *columns = 0;
    if (!v || bnr_tensor_numel(t) == 0) {
        free(v);
        return NULL;
    }
    int axis = bnr_tensor_rank(t) - 1;
    while (axis > 0 && bnr_tensor_dims(t)[axis] == 1)
        axis--;
    *columns = axis < 0 ? 1 : (size_t)bnr_tensor_dims(t)[axis];
    *rows = bnr_tensor_numel(t) / *columns;
    struct score *s = xcalloc(*rows * *columns, sizeof *s);
    for (size_t i = 0; i < *rows * *columns; i++)
        s[i] = (struct score){v[i], i % *columns};
    for (size_t r = 0; r < *rows; r++)
        qsort(s + r * *columns, *columns, sizeof *s, by_score);
    free(v);
    return s;
}

static const char *label_of(const struct strings *labels, size_t i) {
    return labels && i < labels->count ? labels->items[i] : "";
}

int print_top(const char *name, const bnr_tensor *t, int k, const struct strings *labels) {
    size_t rows, columns;
    struct score *s = rank_rows(t, &rows, &columns);
    if (!s)
        return fail(EXIT_BAD, "--top: output '%s' has no scores", name);
    for (size_t r = 0; r < rows; r++) {
        printf("%s%s", r ? "\n" : "", name);
        if (rows > 1)
            printf(" row %zu", r);
        printf(":\n");
        for (size_t i = 0; i < columns && i < (size_t)k; i++) {
            const struct score *best = &s[r * columns + i];
            printf("%5zu  %12.6g  %s\n", best->index, best->value, label_of(labels, best->index));
        }
    }
    free(s);
    return EXIT_DONE;
}

json_t *top_json(const bnr_tensor *t, int k, const struct strings *labels) {
    size_t rows, columns;
    struct score *s = rank_rows(t, &rows, &columns);
    json_t *all = json_array();
    for (size_t r = 0; r < rows; r++) {
        json_t *row = json_array();
        for (size_t i = 0; i < columns && i < (size_t)k; i++) {
            const struct score *best = &s[r * columns + i];
            json_t *entry = json_object();
            json_object_set_new(entry, "index", json_integer((json_int_t)best->index));
            json_object_set_new(entry, "score", json_number(best->value));
            if (labels && best->index < labels->count)
                json_object_set_new(entry, "label", json_text(labels->items[best->index]));
            json_array_append_new(row, entry);
        }
        json_array_append_new(all, row);
    }
    free(s);
    return all;
}

int labels_read(struct strings *labels, const char *path) {
    FILE *f = fopen(path, "r");
    if (!f)
        return fail(EXIT_BAD, "%s: cannot be read: %s", path, strerror(errno));
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    while ((n = getline(&line, &capacity, f)) >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            line[--n] = 0;
        strings_add(labels, line);
    }
    bool bad = ferror(f);
    free(line);
    fclose(f);
    return bad ? fail(EXIT_BAD, "%s: cannot be read to its end", path) : EXIT_DONE;
}

// ---- batch normalizations ---------------------------------------------------------------------------

const char *verdict_name(enum bnr_bn_verdict v) {
    static const char *const names[] = {"kept", "folded", "fused"};
    return (size_t)v < BNR_COUNT(names) ? names[v] : "unknown";
}

json_t *bn_json(const struct bnr_bn_report *bn) {
    json_t *j = json_object();
    json_object_set_new(j, "name", json_text(bn->name));
    json_object_set_new(j, "verdict", json_text(verdict_name(bn->verdict)));
    json_object_set_new(j, "into", json_text(bn->into));
    json_object_set_new(j, "reason", json_text(bn->reason));
    json_object_set_new(j, "channels", json_integer(bn->channels));
    json_object_set_new(j, "max_scale", json_number(bn->max_scale));
    json_object_set_new(j, "min_var_eps", json_number(bn->min_var_eps));
    json_object_set_new(j, "error_bound", json_number(bn->error_bound));
    return j;
}

json_t *session_bns_json(const bnr_session *session) {
    json_t *all = json_array();
    for (size_t i = 0; i < bnr_session_bn_count(session); i++) {
        struct bnr_bn_report bn;
        if (bnr_session_bn(session, i, &bn) == BNR_OK)
            json_array_append_new(all, bn_json(&bn));
    }
    return all;
}
