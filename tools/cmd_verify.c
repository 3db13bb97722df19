// SPDX-License-Identifier: Apache-2.0
// bnrun verify: the folded model against the unfolded one, and both against double precision.
#include <stdio.h>
#include <string.h>

#include "tools/inputs.h"
#include "tools/report.h"

const struct verb verb_verify = {
    "verify", "verify MODEL [INPUT ...] [options]",
    "Runs the folded and the unfolded model on the same inputs, evaluates the unfolded one in double\n"
    "precision too, and compares. Exit status 1 when the folded result is out of tolerance: further from\n"
    "the double-precision result than twice the unfolded one and than --tolerance times the output's\n"
    "largest magnitude.",
    cmd_verify};

static json_t *difference_json(const struct bnr_difference *d) {
    json_t *j = json_object();
    json_object_set_new(j, "max_abs", json_number(d->max_abs));
    json_object_set_new(j, "max_rel", json_number(d->max_rel));
    json_object_set_new(j, "max_ulp", json_number(d->max_ulp));
    json_object_set_new(j, "index", json_integer((json_int_t)d->index));
    return j;
}

static int print_json(const struct bnr_verify_report *r, const char *path, json_t *bns) {
    json_t *doc = json_object(), *outputs = json_array();
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct bnr_verify_output *o = &r->outputs[i];
        json_t *j = json_object();
        json_object_set_new(j, "name", json_text(o->name));
        json_object_set_new(j, "dtype", json_text(bnr_dtype_name(o->dtype)));
        json_object_set_new(j, "numel", json_integer((json_int_t)o->numel));
        json_object_set_new(j, "magnitude", json_number(o->magnitude));
        json_object_set_new(j, "folded_unfolded", difference_json(&o->folded_unfolded));
        json_object_set_new(j, "folded_double", difference_json(&o->folded_double));
        json_object_set_new(j, "unfolded_double", difference_json(&o->unfolded_double));
        json_object_set_new(j, "allowed", json_number(o->allowed));
        json_object_set_new(j, "passed", json_boolean(o->passed));
        json_array_append_new(outputs, j);
    }
    json_object_set_new(doc, "model", json_text(path));
    json_object_set_new(doc, "passed", json_boolean(r->passed));
    json_object_set_new(doc, "outputs", outputs);
    json_object_set_new(doc, "batch_norms", bns);
    return json_print(doc);
}

static void print_comparison(const char *what, const struct bnr_difference *d) {
    printf("  %-30s abs %-11.4g rel %-11.4g ulp %.4g\n", what, d->max_abs, d->max_rel, d->max_ulp);
}

static void print_table(const struct bnr_verify_report *r, json_t *bns) {
    size_t counts[3] = {0}, i;
    json_t *bn;
    json_array_foreach(bns, i, bn) {
        const char *verdict = json_string_value(json_object_get(bn, "verdict"));
        for (int v = 0; verdict && v < 3; v++)
            counts[v] += strcmp(verdict, verdict_name((enum bnr_bn_verdict)v)) == 0;
    }
    printf("batch normalizations: %zu folded, %zu fused, %zu kept\n", counts[BNR_VERDICT_FOLDED],
           counts[BNR_VERDICT_FUSED], counts[BNR_VERDICT_KEPT]);
    for (i = 0; i < r->n_outputs; i++) {
        const struct bnr_verify_output *o = &r->outputs[i];
        printf("%s: %s, largest value %.6g\n", o->name, o->passed ? "within tolerance" : "OUT OF TOLERANCE",
               o->magnitude);
        print_comparison("folded against unfolded", &o->folded_unfolded);
        print_comparison("folded against double", &o->folded_double);
        print_comparison("unfolded against double", &o->unfolded_double);
        printf("  allowed against double: %.4g\n", o->allowed);
        if (!o->passed)
            printf("  worst at element %zu: %.9g, expected %.9g\n", o->folded_double.index,
                   o->folded_double.a, o->folded_double.b);
    }
    printf(r->passed ? "verified: folding changed nothing beyond rounding\n"
                     : "NOT verified: the folded model differs\n");
}

static int verify(const struct strings *args, const struct common *c, double tolerance, bool json) {
    struct bnr_error err;
    bnr_model *model;
    bnr_session *session = NULL;
    struct bnr_verify_report *report = NULL;
    struct inputs in = {0};
    if (bnr_model_load_file(&model, args->items[0], NULL, &err) != BNR_OK)
        return fail_with(&err);
    int code = EXIT_DONE;
    if (bnr_session_create(&session, model, &c->run, &err) != BNR_OK)
        code = fail_with(&err);
    if (code == EXIT_DONE)
        code = inputs_build(&in, model, args, 1, &c->shapes);
    if (code == EXIT_DONE) {
        inputs_announce(&in, model);
        const bnr_tensor *const *tensors = (const bnr_tensor *const *)in.tensors;
        if (bnr_session_plan(session, tensors, in.count, &err) != BNR_OK ||
            bnr_verify(&report, model, tensors, in.count, &c->run, tolerance, &err) != BNR_OK)
            code = fail_with(&err);
    }
    if (code == EXIT_DONE) {
        json_t *bns = session_bns_json(session);
        if (json) {
            code = print_json(report, args->items[0], bns);
        } else {
            print_table(report, bns);
            json_decref(bns);
        }
        if (code == EXIT_DONE && !report->passed)
            code = EXIT_CHECK_FAILED;
    }
    bnr_verify_free(report);
    inputs_free(&in);
    bnr_session_free(session);
    bnr_model_free(model);
    return code;
}

int cmd_verify(int argc, char **argv) {
    struct common c;
    struct strings args = {0};
    bool json = false;
    double tolerance = 0;
    common_init(&c);
    const struct opt opts[] = {
        {"tolerance", 0, OPT_DOUBLE, &tolerance, 0, "X",
         "relative to the largest magnitude (default 1e-5; 4e-3 below float32)"},
        {"json", 0, OPT_FLAG, &json, 0, NULL, "print the figures as JSON"},
        COMMON_OPTIONS(&c),
        {0},
    };
    int code = cli_parse(&verb_verify, opts, argc, argv, &args);
    common_finish(&c);
    if (code < 0)
        code = args.count ? verify(&args, &c, tolerance, json)
                          : fail(EXIT_USAGE, "verify: no model given (see bnrun verify --help)");
    strings_free(&args);
    common_free(&c);
    return code;
}
