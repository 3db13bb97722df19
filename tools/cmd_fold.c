// SPDX-License-Identifier: Apache-2.0
// bnrun fold: write the folded model as standard ONNX.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

const struct verb verb_fold = {
    "fold", "fold MODEL OUT.onnx [options]",
    "Folds batch normalizations into neighbouring weights and writes standard ONNX at the model's own\n"
    "opset, which other runtimes load. The error bound that --explain prints is what rounding the folded\n"
    "weights can do to any output of that node when its inputs are up to 1 in magnitude.",
    cmd_fold};

struct fold_report {
    json_t *entries;
    size_t counts[3];
    bool explain;
};

static void on_bn(void *user, const struct bnr_bn_report *bn) {
    struct fold_report *r = user;
    json_array_append_new(r->entries, bn_json(bn));
    r->counts[bn->verdict]++;
}

// ---- the table of --explain ---------------------------------------------------------------------

static const char *text_of(const json_t *entry, const char *key) {
    const char *s = json_string_value(json_object_get(entry, key));
    return s ? s : "-";
}

static int widest(const json_t *entries, const char *key, const char *title) {
    size_t i, most = strlen(title);
    const json_t *entry;
    json_array_foreach(entries, i, entry) {
        const size_t n = strlen(text_of(entry, key));
        most = n > most ? n : most;
    }
    return (int)(most < 1000 ? most : 1000);
}

static void print_number(const json_t *entry, const char *key, int digits) {
    const json_t *v = json_object_get(entry, key);
    if (json_is_number(v))
        printf(" %11.*g", digits, json_number_value(v));
    else
        printf(" %11s", "-");
}

static void print_table(const json_t *entries) {
    const char *const name = "batch normalization", *const into = "into";
    const int name_width = widest(entries, "name", name), into_width = widest(entries, "into", into);
    const json_t *entry;
    size_t i;
    if (json_array_size(entries) == 0)
        return;
    printf("%-*s %-7s %-*s %11s %11s %11s  %s\n", name_width, name, "verdict", into_width, into,
           "max |s|", "min var+eps", "error bound", "why");
    json_array_foreach(entries, i, entry) {
        printf("%-*s %-7s %-*s", name_width, text_of(entry, "name"), text_of(entry, "verdict"),
               into_width, text_of(entry, "into"));
        print_number(entry, "max_scale", 4);
        print_number(entry, "min_var_eps", 4);
        print_number(entry, "error_bound", 3);
        printf("  %s\n", text_of(entry, "reason"));
    }
}

static int fold(const struct strings *args, const struct common *c, struct fold_report *r, bool json) {
    struct bnr_error err;
    bnr_model *model;
    if (bnr_model_load_file(&model, args->items[0], NULL, &err) != BNR_OK)
        return fail_with(&err);
    enum bnr_status st = bnr_model_fold_file(model, args->items[1], &c->run, on_bn, r, &err);
    bnr_model_free(model);
    if (st != BNR_OK)
        return fail_with(&err);
    if (json) {
        json_t *doc = json_object();
        json_object_set_new(doc, "model", json_text(args->items[0]));
        json_object_set_new(doc, "output", json_text(args->items[1]));
        json_object_set(doc, "batch_norms", r->entries);
        return json_print(doc);
    }
    if (r->explain)
        print_table(r->entries);
    printf("%s: %zu batch normalizations: %zu folded, %zu fused, %zu kept\n", args->items[1],
           json_array_size(r->entries), r->counts[BNR_VERDICT_FOLDED], r->counts[BNR_VERDICT_FUSED],
           r->counts[BNR_VERDICT_KEPT]);
    return fflush(stdout) == 0 ? EXIT_DONE : fail(EXIT_BAD, "standard output: cannot be written");
}

int cmd_fold(int argc, char **argv) {
    struct common c;
    struct strings args = {0};
    struct fold_report r = {.entries = json_array()};
    bool json = false;
    common_init(&c);
    const struct opt opts[] = {
        {"explain", 0, OPT_FLAG, &r.explain, 0, NULL, "print where each BN went and why"},
        {"json", 0, OPT_FLAG, &json, 0, NULL, "print the report as JSON"},
        {"keep", 0, OPT_STRING, &c.keep, 0, "NAME,...", "BNs to keep, by node name"},
        {"keep-all", 0, OPT_BITS, &c.run.flags, BNR_NO_FOLD, NULL, "keep every BN; only clean the graph"},
        {"only-bn", 0, OPT_BITS, &c.run.flags, BNR_ONLY_BN, NULL,
         "change nothing but what BN folding must; no other cleaning"},
        {"keep-stats", 0, OPT_BITS, &c.run.flags, BNR_KEEP_STATISTICS, NULL,
         "write each BN's gamma, beta, mean, var and epsilon as metadata"},
        {"freeze-initializers", 0, OPT_BITS, &c.run.flags, BNR_FREEZE_INITIALIZERS, NULL,
         "initializers that are graph inputs are constants"},
        {"print-after", 0, OPT_STRING, &c.print_after, 0, "PASS", "print the graph after this pass"},
        {"stop-after", 0, OPT_INT, &c.stop_after, 0, "N", "stop after N rewrites"},
        {"verbose", 'v', OPT_FLAG, &c.verbose, 0, NULL, "say more"},
        {0},
    };
    int code = cli_parse(&verb_fold, opts, argc, argv, &args);
    common_finish(&c);
    if (code < 0 && json && r.explain)
        code = fail(EXIT_USAGE, "fold: --explain and --json exclude each other");
    if (code < 0)
        code = args.count == 2
                   ? fold(&args, &c, &r, json)
                   : fail(EXIT_USAGE, "fold: expected MODEL and OUT.onnx, got %zu arguments", args.count);
    json_decref(r.entries);
    strings_free(&args);
    common_free(&c);
    return code;
}
