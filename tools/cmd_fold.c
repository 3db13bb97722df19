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

static void print_row(const struct bnr_bn_report *bn) {
    printf("%-32s %-7s %-32s %10.4g %12.4g %11.3g  %s\n", bn->name, verdict_name(bn->verdict),
           bn->into ? bn->into : "-", bn->max_scale, bn->min_var_eps, bn->error_bound,
           bn->reason ? bn->reason : "");
}

static void on_bn(void *user, const struct bnr_bn_report *bn) {
    struct fold_report *r = user;
    json_array_append_new(r->entries, bn_json(bn));
    r->counts[bn->verdict]++;
    if (r->explain) {
        if (json_array_size(r->entries) == 1)
            printf("%-32s %-7s %-32s %10s %12s %11s  %s\n", "batch normalization", "verdict", "into",
                   "max |s|", "min var+eps", "error bound", "why");
        print_row(bn);
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
    printf("%s: %zu batch normalizations: %zu folded, %zu kept\n", args->items[1],
           json_array_size(r->entries), r->counts[BNR_VERDICT_FOLDED],
           r->counts[BNR_VERDICT_KEPT] + r->counts[BNR_VERDICT_FUSED]);
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
