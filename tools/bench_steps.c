// SPDX-License-Identifier: Apache-2.0
#include "tools/bench_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/peak.h"
#include "tools/report.h"

// ---- arithmetic ---------------------------------------------------------------------------------

enum { MAX_DIMS = 16 };

struct dims {
    int rank;
    double d[MAX_DIMS];
};

// From "float32[1,64,56,56]".
static struct dims dims_of(const json_t *type) {
    struct dims dims = {.rank = 0};
    const char *s = json_is_string(type) ? strchr(json_string_value(type), '[') : NULL;
    while (s && dims.rank < MAX_DIMS && (*s == '[' || *s == ',')) {
        char *end;
        const double v = strtod(s + 1, &end);
        if (end == s + 1)
            break;
        dims.d[dims.rank++] = v;
        s = end;
    }
    return dims;
}

static double product(const struct dims *d, int from) {
    double p = 1;
    for (int i = from; i < d->rank; i++)
        p *= d->d[i];
    return p;
}

// A pointwise convolution in front of a depthwise one, whose channels are its outputs.
static double flops_before(const json_t *args, const struct dims *x, const struct dims *y) {
    const char *first = json_string_value(json_array_get(json_object_get(args, "before"), 0));
    return first && strcmp(first, "Conv") == 0 && y->rank > 1 ? 2 * product(x, 0) * y->d[1] : 0;
}

// Multiplications and additions of the step's main operators; 0 where that is not what it does.
static double flops_of(const char *op, const json_t *args) {
    const json_t *in = json_object_get(args, "inputs"), *out = json_object_get(args, "outputs");
    const struct dims x = dims_of(json_array_get(in, 0)), w = dims_of(json_array_get(in, 1)),
                      y = dims_of(json_array_get(out, 0));
    if (strcmp(op, "Conv") == 0 && w.rank > 2)
        return 2 * product(&y, 0) * product(&w, 1) + flops_before(args, &x, &y);
    if (strcmp(op, "ConvTranspose") == 0 && w.rank > 2)
        return 2 * product(&x, 0) * product(&w, 1);
    if (strcmp(op, "Gemm") == 0 && w.rank == 2 && y.rank == 2 && y.d[1] > 0)
        return 2 * product(&y, 0) * product(&w, 0) / y.d[1];
    if (strcmp(op, "MatMul") == 0 && x.rank > 0)
        return 2 * product(&y, 0) * x.d[x.rank - 1];
    return 0;
}

// ---- steps --------------------------------------------------------------------------------------

struct step {
    const json_t *event; // the first
    double *us;
    size_t n, capacity;
};

struct table {
    struct step *steps;
    size_t n, capacity;
};

static struct step *find(struct table *t, const json_t *event) {
    const json_t *node = json_object_get(json_object_get(event, "args"), "node");
    for (size_t i = 0; i < t->n; i++)
        if (json_equal(json_object_get(json_object_get(t->steps[i].event, "args"), "node"), node))
            return &t->steps[i];
    if (t->n == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 64;
        t->steps = xrealloc(t->steps, t->capacity * sizeof *t->steps);
    }
    t->steps[t->n] = (struct step){.event = event};
    return &t->steps[t->n++];
}

static void add_time(struct step *s, double us) {
    if (s->n == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 16;
        s->us = xrealloc(s->us, s->capacity * sizeof *s->us);
    }
    s->us[s->n++] = us;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct step *s) {
    qsort(s->us, s->n, sizeof *s->us, by_value);
    return s->us[s->n / 2];
}

static json_t *describe(const struct step *s, double ms, double sum, double limit) {
    const json_t *args = json_object_get(s->event, "args");
    const char *op = json_string_value(json_object_get(s->event, "name"));
    const double flops = op ? flops_of(op, args) : 0, gflops = flops / (ms * 1e6);
    json_t *j = json_object();
    json_object_set(j, "node", json_object_get(args, "node"));
    json_object_set(j, "op", json_object_get(s->event, "name"));
    json_object_set(j, "before", json_object_get(args, "before"));
    json_object_set(j, "fused", json_object_get(args, "fused"));
    json_object_set(j, "kernel", json_object_get(args, "kernel"));
    json_object_set(j, "output", json_array_get(json_object_get(args, "outputs"), 0));
    json_object_set_new(j, "ms", json_number(ms));
    json_object_set_new(j, "share", json_number(ms / sum));
    json_object_set_new(j, "gflops", flops > 0 && ms > 0 ? json_number(gflops) : json_null());
    json_object_set_new(j, "limit", flops > 0 && ms > 0 ? json_number(gflops / limit) : json_null());
    return j;
}

json_t *bench_steps(const bnr_session *session) {
    char *text = bnr_session_profile(session);
    json_t *events = text ? json_loads(text, 0, NULL) : NULL;
    const double limit = peak_gflops(bnr_session_cpu(session)) * bnr_session_threads(session);
    struct table t = {0};
    double sum = 0;
    size_t i;
    json_t *event;
    free(text);
    if (!events) {
        fail(EXIT_BAD, "bench: there is no profile");
        return NULL;
    }
    json_array_foreach(events, i, event)
        add_time(find(&t, event), json_number_value(json_object_get(event, "dur")));
    double *ms = xcalloc(t.n, sizeof *ms);
    for (i = 0; i < t.n; i++)
        sum += ms[i] = median(&t.steps[i]) * 1e-3;
    json_t *steps = json_array();
    for (i = 0; i < t.n; i++) {
        json_array_append_new(steps, describe(&t.steps[i], ms[i], sum, limit));
        free(t.steps[i].us);
    }
    free(ms);
    free(t.steps);
    json_decref(events);
    return steps;
}

// ---- the table ----------------------------------------------------------------------------------

static const char *text_of(const json_t *j, const char *key) {
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "-";
}

static void print_operators(const json_t *step) {
    size_t i;
    const json_t *name;
    json_array_foreach(json_object_get(step, "before"), i, name) printf("%s+", json_string_value(name));
    printf("%s", text_of(step, "op"));
    json_array_foreach(json_object_get(step, "fused"), i, name) printf("+%s", json_string_value(name));
}

void bench_steps_print(const json_t *steps) {
    size_t i;
    const json_t *s;
    printf("\n%9s %6s %8s %6s  %-24s %-26s %s\n", "ms", "share", "GFLOP/s", "limit", "kernel", "output",
           "operators (node)");
    json_array_foreach(steps, i, s) {
        const json_t *gflops = json_object_get(s, "gflops");
        printf("%9.4f %5.1f%% ", json_number_value(json_object_get(s, "ms")),
               100 * json_number_value(json_object_get(s, "share")));
        if (json_is_number(gflops))
            printf("%8.1f %5.1f%%", json_number_value(gflops),
                   100 * json_number_value(json_object_get(s, "limit")));
        else
            printf("%8s %6s", "", "");
        printf("  %-24s %-26s ", text_of(s, "kernel"), text_of(s, "output"));
        print_operators(s);
        printf(" (%s)\n", text_of(s, "node"));
    }
}
