// SPDX-License-Identifier: Apache-2.0
// The proof of a fold by running it: folded against unfolded, and both against a double-precision
// evaluation of the unfolded graph, so that it shows which of the two is closer to the truth. The
// first two run alike (same kernels, so that the difference is the fold's); the third shares no
// kernel and no rewrite with them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

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

static double largest(const struct bnr_tensor *t) {
    double m = 0;
    for (size_t i = 0; t->kind == BNR_KIND_TENSOR && t->dtype != BNR_STRING && i < t->numel; i++) {
        double v = fabs(bnr__tensor_f64(t, i));
        if (isfinite(v) && v > m)
            m = v;
    }
    for (size_t i = 0; i < t->n_items; i++)
        m = fmax(m, largest(t->items[i]));
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

static struct bnr_difference difference(enum bnr_dtype dtype, const struct bnr_tensor *a,
                                        const struct bnr_tensor *b) {
    struct bnr_difference diff = {0};
    compare(&diff, dtype, a, b);
    double magnitude = largest(b);
    diff.max_rel = magnitude > 0 ? diff.max_abs / magnitude : diff.max_abs;
    return diff;
}

static double default_tolerance(enum bnr_dtype dtype) {
    return dtype == BNR_FLOAT || dtype == BNR_DOUBLE ? 1e-5 : 4e-3;
}

// One way of running the model: new tensors in outs, or none on failure.
static enum bnr_status run_one_way(const bnr_model *model, const struct bnr_options *options,
                                   const bnr_tensor *const *inputs, size_t n_inputs,
                                   bnr_tensor **outs, struct bnr_error *err) {
    bnr_session *session;
    BNR_TRY(bnr_session_create(&session, model, options, err));
    enum bnr_status st =
        bnr_run(session, inputs, n_inputs, outs, bnr_model_output_count(model), err);
    bnr_session_free(session);
    return st;
}

enum { FOLDED, UNFOLDED, TRUTH, WAYS };

static enum bnr_status fill_report(struct bnr_verify_report *r, const bnr_model *model,
                                   bnr_tensor **outs[WAYS], double tolerance,
                                   struct bnr_error *err) {
    r->passed = 1;
    for (size_t i = 0; i < r->n_outputs; i++) {
        struct bnr_verify_output *o = &r->outputs[i];
        struct bnr_value_info info;
        BNR_TRY(bnr_model_output(model, i, &info));
        const char *name = strdup(info.name); // the report may outlive the model
        if (!name)
            return bnr__no_memory(err);
        enum bnr_dtype dtype = outs[FOLDED][i]->dtype;
        *o = (struct bnr_verify_output){
            .name = name,
            .dtype = dtype,
            .numel = outs[FOLDED][i]->numel,
            .magnitude = largest(outs[TRUTH][i]),
            .folded_unfolded = difference(dtype, outs[FOLDED][i], outs[UNFOLDED][i]),
            .folded_double = difference(dtype, outs[FOLDED][i], outs[TRUTH][i]),
            .unfolded_double = difference(dtype, outs[UNFOLDED][i], outs[TRUTH][i]),
        };
        double relative = tolerance > 0 ? tolerance : default_tolerance(dtype);
        o->allowed = fmax(2 * o->unfolded_double.max_abs, relative * o->magnitude);
        // The unfolded path is no excuse when it is itself wrong: a fault that both share.
        double sane = 100 * relative * o->magnitude;
        o->passed = o->folded_double.max_abs <= o->allowed && o->unfolded_double.max_abs <= sane;
        r->passed &= o->passed;
    }
    return BNR_OK;
}

enum bnr_status bnr_verify(struct bnr_verify_report **out, const bnr_model *model,
                           const bnr_tensor *const *inputs, size_t n_inputs,
                           const struct bnr_options *options, double tolerance,
                           struct bnr_error *err) {
    *out = NULL;
    struct bnr_options ways[WAYS];
    for (int k = 0; k < WAYS; k++) {
        if (options)
            ways[k] = *options;
        else
            bnr_options_init(&ways[k]);
    }
    ways[UNFOLDED].flags |= BNR_NO_FOLD;
    ways[TRUTH].flags |= BNR_REFERENCE | BNR_PROMOTE_DOUBLE;

    size_t n = bnr_model_output_count(model);
    struct bnr_verify_report *r = calloc(1, sizeof *r);
    bnr_tensor **outs[WAYS] = {0};
    enum bnr_status st = BNR_OK;
    if (r)
        r->outputs = calloc(n ? n : 1, sizeof *r->outputs);
    if (!r || !r->outputs)
        st = bnr__no_memory(err);
    else
        r->n_outputs = n;
    for (int k = 0; k < WAYS && st == BNR_OK; k++) {
        outs[k] = calloc(n ? n : 1, sizeof **outs);
        st = outs[k] ? run_one_way(model, &ways[k], inputs, n_inputs, outs[k], err)
                     : bnr__no_memory(err);
    }
    if (st == BNR_OK)
        st = fill_report(r, model, outs, tolerance, err);
    for (int k = 0; k < WAYS; k++) {
        for (size_t i = 0; outs[k] && i < n; i++)
            bnr__tensor_unref(outs[k][i]);
        free(outs[k]);
    }
    if (st == BNR_OK)
        *out = r;
    else
        bnr_verify_free(r);
    return st;
}

void bnr_verify_free(struct bnr_verify_report *report) {
    if (!report)
        return;
    for (size_t i = 0; i < report->n_outputs; i++) {
        union { // names are ours, const for the reader only
            const char *shown;
            char *owned;
        } name = {.shown = report->outputs[i].name};
        free(name.owned);
    }
    free(report->outputs);
    free(report);
}
