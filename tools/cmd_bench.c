// SPDX-License-Identifier: Apache-2.0
// bnrun bench: load time, latency and memory.
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "tools/bench_steps.h"
#include "tools/inputs.h"
#include "tools/report.h"

const struct verb verb_bench = {
    "bench", "bench MODEL [INPUT ...] [options]",
    "Measures load time (open, optimize, plan), latency (min, median, 95th percentile) and peak memory.\n"
    "--batch N: dims that the model leaves open are N. --steps: time, GFLOP/s and share of what the threads\n"
    "can do at most, for each step of a run; timing the steps makes a run a little slower.",
    cmd_bench};

struct bench_options {
    int iterations, batch;
    bool json, steps;
};

struct bench_result {
    double load_ms, min_ms, median_ms, p95_ms, peak_rss_mib;
    int iterations;
};

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double peak_rss_mib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Outputs of the first run are reused, so that the timed runs allocate nothing.
static int time_runs(bnr_session *session, const bnr_model *model, const struct inputs *in, int iterations,
                     struct bench_result *r) {
    enum { WARMUP = 2 };
    struct bnr_error err;
    size_t n = bnr_model_output_count(model);
    bnr_tensor **outputs = xcalloc(n, sizeof *outputs);
    double *ms = xcalloc((size_t)iterations, sizeof *ms);
    int code = EXIT_DONE;
    for (int i = -WARMUP; i < iterations && code == EXIT_DONE; i++) {
        double start = now_ms();
        if (bnr_run(session, (const bnr_tensor *const *)in->tensors, in->count, outputs, n, &err) != BNR_OK)
            code = fail_with(&err);
        if (i >= 0)
            ms[i] = now_ms() - start;
        progress("bench", (size_t)(i + WARMUP + 1), (size_t)(iterations + WARMUP));
    }
    progress_end();
    qsort(ms, (size_t)iterations, sizeof *ms, by_value);
    r->min_ms = ms[0];
    r->median_ms = ms[iterations / 2];
    r->p95_ms = ms[(iterations * 95 + 99) / 100 - 1];
    r->iterations = iterations;
    free(ms);
    for (size_t i = 0; i < n; i++)
        bnr_tensor_release(outputs[i]);
    free(outputs);
    return code;
}

static int print_result(const bnr_session *session, const char *path, const struct bench_result *r,
                        const struct bench_options *o) {
    json_t *steps = o->steps ? bench_steps(session) : NULL;
    if (o->steps && !steps)
        return EXIT_BAD;
    struct bnr_session_stats stats;
    bnr_session_stats(session, &stats);
    if (!o->json) {
        printf("load    %10.2f ms\nmin     %10.3f ms\nmedian  %10.3f ms\np95     %10.3f ms  (%d runs)\n"
               "memory  %10.1f MiB peak\nthreads %10d\ncpu     %10s\n",
               r->load_ms, r->min_ms, r->median_ms, r->p95_ms, r->iterations, r->peak_rss_mib,
               bnr_session_threads(session), bnr_session_cpu(session));
        printf("steps   %10zu\narena   %10.1f MiB (lower bound %.1f)\npacked  %10.1f MiB\n", stats.steps,
               (double)stats.arena_bytes / 0x1p20, (double)stats.arena_lower_bound / 0x1p20,
               (double)stats.packed_bytes / 0x1p20);
        if (o->batch > 1)
            printf("images  %10.1f per second (batch %d)\n", o->batch * 1e3 / r->median_ms, o->batch);
        if (steps)
            bench_steps_print(steps);
        json_decref(steps);
        return EXIT_DONE;
    }
    json_t *j = json_object();
    json_object_set_new(j, "model", json_text(path));
    json_object_set_new(j, "load_ms", json_number(r->load_ms));
    json_object_set_new(j, "min_ms", json_number(r->min_ms));
    json_object_set_new(j, "median_ms", json_number(r->median_ms));
    json_object_set_new(j, "p95_ms", json_number(r->p95_ms));
    json_object_set_new(j, "iterations", json_integer(r->iterations));
    json_object_set_new(j, "peak_rss_mib", json_number(r->peak_rss_mib));
    json_object_set_new(j, "threads", json_integer(bnr_session_threads(session)));
    json_object_set_new(j, "cpu", json_text(bnr_session_cpu(session)));
    json_object_set_new(j, "steps", json_integer((json_int_t)stats.steps));
    json_object_set_new(j, "nodes_before", json_integer((json_int_t)stats.nodes_before));
    json_object_set_new(j, "nodes_after", json_integer((json_int_t)stats.nodes_after));
    json_object_set_new(j, "arena_bytes", json_integer((json_int_t)stats.arena_bytes));
    json_object_set_new(j, "arena_lower_bound", json_integer((json_int_t)stats.arena_lower_bound));
    json_object_set_new(j, "packed_bytes", json_integer((json_int_t)stats.packed_bytes));
    json_object_set_new(j, "batch", json_integer(o->batch));
    if (steps)
        json_object_set_new(j, "by_step", steps);
    return json_print(j);
}

// --batch as --shape: the first dim of every input, where the model leaves it open.
static int set_batch(struct strings *shapes, const bnr_model *model, int batch) {
    bool any = false;
    for (size_t i = 0; i < bnr_model_input_count(model); i++) {
        struct bnr_value_info info;
        bnr_model_input(model, i, &info);
        if (info.rank < 1 || info.dims[0] >= 0)
            continue;
        any = true;
        char *item = info.symbols[0] ? xprintf("%s=%d", info.symbols[0], batch)
                                     : xprintf("%s=%d", info.name, batch);
        for (int d = 1; d < info.rank && !info.symbols[0]; d++) {
            char *longer = xprintf("%sx%lld", item, (long long)(info.dims[d] < 0 ? 1 : info.dims[d]));
            free(item);
            item = longer;
        }
        strings_add(shapes, item);
        free(item);
    }
    return any ? EXIT_DONE : fail(EXIT_USAGE, "bench: --batch %d: the model's batch is fixed", batch);
}

// The input needs the model's types, so it is made between the timed parts of loading.
static int bench(const struct strings *args, const struct common *c, const struct bench_options *o) {
    struct bnr_error err;
    bnr_model *model;
    bnr_session *session = NULL;
    struct inputs in = {0};
    struct bench_result r = {0};
    struct bnr_options options = c->run;
    options.flags |= o->steps ? BNR_PROFILE : 0;
    double start = now_ms();
    if (bnr_model_load_file(&model, args->items[0], NULL, &err) != BNR_OK)
        return fail_with(&err);
    int code = EXIT_DONE;
    if (bnr_session_create(&session, model, &options, &err) != BNR_OK)
        code = fail_with(&err);
    r.load_ms = now_ms() - start;
    struct strings shapes = {0};
    if (code == EXIT_DONE && o->batch > 1)
        code = set_batch(&shapes, model, o->batch);
    for (size_t i = 0; i < c->shapes.count; i++)
        strings_add(&shapes, c->shapes.items[i]);
    if (code == EXIT_DONE)
        code = inputs_build(&in, model, args, 1, &shapes);
    strings_free(&shapes);
    if (code == EXIT_DONE) {
        start = now_ms();
        if (bnr_session_plan(session, (const bnr_tensor *const *)in.tensors, in.count, &err) != BNR_OK)
            code = fail_with(&err);
        r.load_ms += now_ms() - start;
    }
    if (code == EXIT_DONE) {
        inputs_announce(&in, model);
        code = time_runs(session, model, &in, o->iterations, &r);
    }
    r.peak_rss_mib = peak_rss_mib();
    if (code == EXIT_DONE)
        code = print_result(session, args->items[0], &r, o);
    inputs_free(&in);
    bnr_session_free(session);
    bnr_model_free(model);
    return code;
}

int cmd_bench(int argc, char **argv) {
    struct common c;
    struct strings args = {0};
    struct bench_options o = {.iterations = 20, .batch = 1};
    common_init(&c);
    const struct opt opts[] = {
        {"iters", 'n', OPT_INT, &o.iterations, 0, "N", "timed runs (default 20)"},
        {"batch", 0, OPT_INT, &o.batch, 0, "N", "the number for dims that the model leaves open (default 1)"},
        {"steps", 0, OPT_FLAG, &o.steps, 0, NULL, "show each step of a run"},
        {"json", 0, OPT_FLAG, &o.json, 0, NULL, "print the figures as JSON"},
        COMMON_OPTIONS(&c),
        {0},
    };
    int code = cli_parse(&verb_bench, opts, argc, argv, &args);
    common_finish(&c);
    if (code < 0 && (o.iterations < 1 || o.iterations > 1000000))
        code = fail(EXIT_USAGE, "bench: --iters %d is not in 1 to 1000000", o.iterations);
    if (code < 0 && (o.batch < 1 || o.batch > 1000000))
        code = fail(EXIT_USAGE, "bench: --batch %d is not in 1 to 1000000", o.batch);
    if (code < 0)
        code = args.count ? bench(&args, &c, &o)
                          : fail(EXIT_USAGE, "bench: no model given (see bnrun bench --help)");
    strings_free(&args);
    common_free(&c);
    return code;
}
