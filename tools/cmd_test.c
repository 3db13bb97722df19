// SPDX-License-Identifier: Apache-2.0
// bnrun test: ONNX test directories. Each runs in a child process, so that one that crashes or hangs
// counts as failed and the rest goes on.
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/compare.h"
#include "tools/report.h"

const struct verb verb_test = {
    "test", "test DIR ... [options]",
    "Runs ONNX test directories (model.onnx, test_data_set_*/input_*.pb and output_*.pb) and compares\n"
    "with the stored outputs: rtol 1e-3 and atol 1e-7, or what the directory's data.json says.",
    cmd_test};

enum verdict { PASS, FAIL, SKIP };
static const char *const verdict_words[] = {"pass", "fail", "skip"};

struct test_options {
    struct common common;
    int timeout;
    double rtol, atol;
    bool json;
    json_t *results; // one entry a directory, with --json
};

struct outcome {
    enum verdict verdict;
    char why[1100];
};

static struct outcome outcome(enum verdict v, const char *fmt, ...) BNR_PRINTF(2, 3);
static struct outcome outcome(enum verdict v, const char *fmt, ...) {
    struct outcome o = {.verdict = v};
    va_list args;
    va_start(args, fmt);
    vsnprintf(o.why, sizeof o.why, fmt, args);
    va_end(args);
    return o;
}

static bool exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

// data.json may set rtol and atol; the command line's own values win.
static struct tolerance read_tolerance(const char *dir, const struct test_options *o) {
    struct tolerance tol = {1e-3, 1e-7};
    char *path = xprintf("%s/data.json", dir);
    json_t *doc = json_load_file(path, 0, NULL);
    json_t *rtol = json_object_get(doc, "rtol"), *atol = json_object_get(doc, "atol");
    if (json_is_number(rtol))
        tol.rtol = json_number_value(rtol);
    if (json_is_number(atol))
        tol.atol = json_number_value(atol);
    json_decref(doc);
    free(path);
    if (o->rtol >= 0)
        tol.rtol = o->rtol;
    if (o->atol >= 0)
        tol.atol = o->atol;
    return tol;
}

struct data_set {
    bnr_tensor **inputs, **outputs, **expected;
    size_t n_inputs, n_outputs;
};

static void data_set_free(struct data_set *d) {
    for (size_t i = 0; i < d->n_inputs; i++)
        bnr_tensor_release(d->inputs[i]);
    for (size_t i = 0; i < d->n_outputs; i++) {
        bnr_tensor_release(d->outputs[i]);
        bnr_tensor_release(d->expected[i]);
    }
    free(d->inputs);
    free(d->outputs);
    free(d->expected);
}

// Data made before NumPy's users had bfloat16 hold its bits as uint16.
static enum bnr_status take_bits(bnr_tensor **t, const struct bnr_value_info *info, struct bnr_error *err) {
    bnr_tensor *typed;
    if (bnr_tensor_kind(*t) != BNR_KIND_TENSOR || bnr_tensor_dtype(*t) != BNR_UINT16 ||
        info->dtype != BNR_BFLOAT16)
        return BNR_OK;
    const enum bnr_status st = bnr_tensor_create(
        &typed, BNR_BFLOAT16, bnr_tensor_rank(*t), bnr_tensor_dims(*t), bnr_tensor_data(*t), err);
    if (st != BNR_OK)
        return st;
    bnr_tensor_release(*t);
    *t = typed;
    return BNR_OK;
}

// An input without a file is left to its default; an output without one is not compared.
static enum bnr_status data_set_read(struct data_set *d, const bnr_model *model, const char *folder,
                                     struct bnr_error *err) {
    enum bnr_status st = BNR_OK;
    d->n_inputs = bnr_model_input_count(model);
    d->n_outputs = bnr_model_output_count(model);
    d->inputs = xcalloc(d->n_inputs, sizeof *d->inputs);
    d->outputs = xcalloc(d->n_outputs, sizeof *d->outputs);
    d->expected = xcalloc(d->n_outputs, sizeof *d->expected);
    for (size_t i = 0; i < d->n_inputs + d->n_outputs && st == BNR_OK; i++) {
        bool input = i < d->n_inputs;
        size_t k = input ? i : i - d->n_inputs;
        struct bnr_value_info info;
        char *path = xprintf("%s/%s_%zu.pb", folder, input ? "input" : "output", k);
        st = input ? bnr_model_input(model, k, &info) : bnr_model_output(model, k, &info);
        bnr_tensor **t = input ? &d->inputs[k] : &d->expected[k];
        if (st == BNR_OK && exists(path)) {
            st = bnr_tensor_read_pb(t, path, &info, err);
            if (st == BNR_OK)
                st = take_bits(t, &info, err);
        }
        free(path);
    }
    return st;
}

static struct outcome run_data_set(bnr_session *session, const bnr_model *model, const char *folder,
                                   struct tolerance tol) {
    struct bnr_error err = {0};
    struct data_set d = {0};
    struct outcome o = outcome(PASS, "%s", "");
    size_t compared = 0;
    if (data_set_read(&d, model, folder, &err) != BNR_OK ||
        bnr_run(session, (const bnr_tensor *const *)d.inputs, d.n_inputs, d.outputs, d.n_outputs, &err) !=
            BNR_OK)
        o = outcome(FAIL, "%s", err.message);
    for (size_t i = 0; i < d.n_outputs && o.verdict == PASS; i++) {
        struct bnr_value_info info;
        char why[600];
        if (!d.expected[i])
            continue;
        compared++;
        bnr_model_output(model, i, &info);
        if (!tensors_match(d.outputs[i], d.expected[i], tol, why, sizeof why))
            o = outcome(FAIL, "output '%s' %s", info.name, why);
    }
    if (o.verdict == PASS && compared == 0)
        o = outcome(SKIP, "no stored outputs");
    data_set_free(&d);
    return o;
}

static struct outcome run_data_sets(bnr_session *session, const bnr_model *model, const char *dir,
                                    const struct test_options *options) {
    struct tolerance tol = read_tolerance(dir, options);
    struct outcome o = outcome(SKIP, "no test_data_set_* folder");
    struct dirent **entries;
    int n = scandir(dir, &entries, NULL, alphasort);
    bool failed = false;
    for (int i = 0; i < n; i++) {
        if (!failed && strncmp(entries[i]->d_name, "test_data_set_", 14) == 0) {
            char *folder = xprintf("%s/%s", dir, entries[i]->d_name);
            o = run_data_set(session, model, folder, tol);
            failed = o.verdict == FAIL;
            free(folder);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return o;
}

static struct outcome run_directory(const char *dir, const struct test_options *options) {
    struct bnr_error err;
    bnr_model *model;
    bnr_session *session;
    char *path = xprintf("%s/model.onnx", dir);
    struct outcome o;
    if (!exists(dir)) {
        o = outcome(FAIL, "no such folder");
    } else if (!exists(path)) {
        o = outcome(SKIP, "no model.onnx");
    } else if (bnr_model_load_file(&model, path, NULL, &err) != BNR_OK) {
        o = outcome(FAIL, "%s", err.message);
    } else {
        if (bnr_session_create(&session, model, &options->common.run, &err) != BNR_OK) {
            o = outcome(FAIL, "%s", err.message);
        } else {
            o = run_data_sets(session, model, dir, options);
            bnr_session_free(session);
        }
        bnr_model_free(model);
    }
    free(path);
    // An optional component that was not built is no failure of ours.
    if (o.verdict == FAIL && strstr(o.why, "built without"))
        o.verdict = SKIP;
    return o;
}

// Runs a directory in a child; its outcome comes through a pipe.
static struct outcome run_isolated(const char *dir, const struct test_options *options) {
    int fds[2];
    if (pipe(fds) != 0)
        return outcome(FAIL, "no pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm((unsigned)options->timeout);
        struct outcome o = run_directory(dir, options);
        ssize_t n = write(fds[1], &o, sizeof o);
        close(fds[0]);
        close(fds[1]);
        exit(n == (ssize_t)sizeof o ? 0 : 1); // not _exit: leak checkers look now
    }
    close(fds[1]);
    struct outcome o;
    size_t have = 0;
    ssize_t n;
    while (have < sizeof o && ((n = read(fds[0], (char *)&o + have, sizeof o - have)) > 0 ||
                               (n < 0 && errno == EINTR)))
        have += n > 0 ? (size_t)n : 0;
    close(fds[0]);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (child < 0)
        return outcome(FAIL, "no child process: %s", strerror(errno));
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGALRM ? outcome(FAIL, "no result after %d s", options->timeout)
                                           : outcome(FAIL, "crashed: %s", strsignal(WTERMSIG(status)));
    if (have != sizeof o || WEXITSTATUS(status) != 0)
        return outcome(FAIL, "crashed: exit status %d", WEXITSTATUS(status));
    return o;
}

static json_t *outcome_json(const char *dir, const struct outcome *o) {
    json_t *j = json_object();
    json_object_set_new(j, "directory", json_text(dir));
    json_object_set_new(j, "verdict", json_text(verdict_words[o->verdict]));
    if (o->why[0])
        json_object_set_new(j, "why", json_text(o->why));
    return j;
}

static int print_results(const struct test_options *options, const size_t counts[3]) {
    json_t *doc = json_object();
    json_object_set_new(doc, "passed", json_integer((json_int_t)counts[PASS]));
    json_object_set_new(doc, "failed", json_integer((json_int_t)counts[FAIL]));
    json_object_set_new(doc, "skipped", json_integer((json_int_t)counts[SKIP]));
    json_object_set(doc, "results", options->results);
    return json_print(doc);
}

static int test(const struct strings *dirs, const struct test_options *options) {
    size_t counts[3] = {0};
    for (size_t i = 0; i < dirs->count; i++) {
        progress("test", i, dirs->count);
        struct outcome o = run_isolated(dirs->items[i], options);
        counts[o.verdict]++;
        if (options->json) {
            json_array_append_new(options->results, outcome_json(dirs->items[i], &o));
        } else if (options->common.verbose || o.verdict == FAIL) {
            progress_end();
            printf("%s %s%s%s\n", verdict_words[o.verdict], dirs->items[i], o.why[0] ? ": " : "", o.why);
        }
    }
    progress_end();
    int code = options->json ? print_results(options, counts) : EXIT_DONE;
    // With --json the document alone goes to standard output.
    fprintf(options->json ? stderr : stdout, "%zu passed, %zu failed, %zu skipped\n", counts[PASS],
            counts[FAIL], counts[SKIP]);
    return code == EXIT_DONE && counts[FAIL] ? EXIT_CHECK_FAILED : code;
}

int cmd_test(int argc, char **argv) {
    struct test_options o = {.timeout = 120, .rtol = -1, .atol = -1};
    struct strings args = {0};
    common_init(&o.common);
    const struct opt opts[] = {
        {"json", 0, OPT_FLAG, &o.json, 0, NULL, "print the verdicts as JSON"},
        {"rtol", 0, OPT_DOUBLE, &o.rtol, 0, "X", "relative tolerance (default: data.json's or 1e-3)"},
        {"atol", 0, OPT_DOUBLE, &o.atol, 0, "X", "absolute tolerance (default: data.json's or 1e-7)"},
        {"timeout", 0, OPT_INT, &o.timeout, 0, "SECONDS", "per directory (default 120)"},
        COMMON_OPTIONS(&o.common),
        {0},
    };
    int code = cli_parse(&verb_test, opts, argc, argv, &args);
    common_finish(&o.common);
    if (code < 0 && o.timeout < 1)
        code = fail(EXIT_USAGE, "test: --timeout %d is not at least 1", o.timeout);
    if (o.json)
        o.results = json_array();
    if (code < 0)
        code = args.count ? test(&args, &o)
                          : fail(EXIT_USAGE, "test: no directory given (see bnrun test --help)");
    json_decref(o.results);
    strings_free(&args);
    common_free(&o.common);
    return code;
}
