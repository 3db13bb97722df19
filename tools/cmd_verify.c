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
    "the double-precision result than twice the unfolded one (also as other kernels round it) and than\n"
    "--tolerance times the output's largest magnitude.\n"
    "--train lets every BN normalize by the batch itself, makes constants of its statistics and folds those:\n"
    "in double precision this must give the same, and rounding may add what it adds to the unfolded network.\n"
    "What could not be checked is listed; where nothing could, nothing is verified.\n"
    "Without input files, open dims that --shape does not give are 1, or the least of 8 (first axis) and 64\n"
    "(others) with which the model can be run and every BN has more than one value to normalize by.\n"
    "--layers compares the output of every former BN as well, and names the first tensor that diverges;\n"
    "its fold bound is what rounding the folded weights alone can do there, on inputs of that size.",
    cmd_verify};

enum check { CHECK_FOLD, CHECK_TRAIN, CHECK_LAYERS };

static json_t *difference_json(const struct bnr_difference *d) {
    json_t *j = json_object();
    json_object_set_new(j, "max_abs", json_number(d->max_abs));
    json_object_set_new(j, "max_rel", json_number(d->max_rel));
    json_object_set_new(j, "max_ulp", json_number(d->max_ulp));
    json_object_set_new(j, "index", json_integer((json_int_t)d->index));
    return j;
}

static json_t *output_report_json(const struct bnr_verify_output *o, enum check check) {
    json_t *j = json_object();
    json_object_set_new(j, "name", json_text(o->name));
    json_object_set_new(j, "dtype", json_text(bnr_dtype_name(o->dtype)));
    json_object_set_new(j, "numel", json_integer((json_int_t)o->numel));
    json_object_set_new(j, "magnitude", json_number(o->magnitude));
    json_object_set_new(j, "folded_unfolded", difference_json(&o->folded_unfolded));
    json_object_set_new(j, "folded_double", difference_json(&o->folded_double));
    json_object_set_new(j, "unfolded_double", difference_json(&o->unfolded_double));
    if (check == CHECK_TRAIN)
        json_object_set_new(j, "algebra_double", difference_json(&o->algebra_double));
    json_object_set_new(j, "rounding", json_number(o->rounding));
    json_object_set_new(j, "allowed", json_number(o->allowed));
    json_object_set_new(j, "passed", json_boolean(o->passed));
    return j;
}

// The layers' figures go to the entries of the same layers; both lists are in the graph's order.
static void add_layers(const struct bnr_verify_report *r, enum check check, json_t *bns) {
    for (size_t k = 0; k < r->n_bns && k < json_array_size(bns); k++) {
        const struct bnr_verify_bn *bn = &r->bns[k];
        json_t *j = json_array_get(bns, k);
        json_object_set_new(j, check == CHECK_TRAIN ? "trained" : "compared", json_boolean(bn->checked));
        if (!bn->checked)
            json_object_set_new(j, check == CHECK_TRAIN ? "untrained_because" : "not_compared_because",
                                json_text(bn->reason));
        else if (check == CHECK_LAYERS)
            json_object_set_new(j, "output", output_report_json(&bn->output, check));
        if (check == CHECK_LAYERS)
            json_object_set_new(j, "bound", json_number(bn->bound));
    }
}

static const struct bnr_verify_bn *first_diverging(const struct bnr_verify_report *r) {
    for (size_t k = 0; k < r->n_bns; k++)
        if (r->bns[k].checked && r->bns[k].output.name && !r->bns[k].output.passed)
            return &r->bns[k];
    return NULL;
}

static int print_json(const struct bnr_verify_report *r, enum check check, const char *path, json_t *bns) {
    json_t *doc = json_object(), *outputs = json_array();
    for (size_t i = 0; i < r->n_outputs; i++)
        json_array_append_new(outputs, output_report_json(&r->outputs[i], check));
    add_layers(r, check, bns);
    if (check == CHECK_LAYERS) {
        const struct bnr_verify_bn *first = first_diverging(r);
        json_object_set_new(doc, "first_diverging", first ? json_text(first->output.name) : json_null());
    }
    if (check != CHECK_FOLD)
        json_object_set_new(doc, "checked", json_integer((json_int_t)r->n_checked));
    json_object_set_new(doc, "model", json_text(path));
    json_object_set_new(doc, "passed", json_boolean(r->passed));
    json_object_set_new(doc, "outputs", outputs);
    json_object_set_new(doc, "batch_norms", bns);
    return json_print(doc);
}

static void print_comparison(const char *what, const struct bnr_difference *d) {
    printf("  %-30s abs %-11.4g rel %-11.4g ulp %.4g\n", what, d->max_abs, d->max_rel, d->max_ulp);
}

// Of how many layers it is a proof, and why the others are not in it.
static void print_trained(const struct bnr_verify_report *r) {
    printf("training mode: %zu of %zu batch normalizations checked\n", r->n_checked, r->n_bns);
    for (size_t k = 0; k < r->n_bns; k++)
        if (!r->bns[k].checked)
            printf("  not %s: %s\n", r->bns[k].name, r->bns[k].reason);
}

static void print_layers(const struct bnr_verify_report *r) {
    printf("%-32s %-32s %-11s %-11s %-11s %-11s %-11s\n", "batch normalization", "its output", "magnitude",
           "unfolded", "double", "allowed", "fold bound");
    for (size_t k = 0; k < r->n_bns; k++) {
        const struct bnr_verify_bn *bn = &r->bns[k];
        const struct bnr_verify_output *o = &bn->output;
        if (bn->checked)
            printf("%-32s %-32s %-11.4g %-11.4g %-11.4g %-11.4g %-11.4g %s\n", bn->name, o->name,
                   o->magnitude, o->folded_unfolded.max_abs, o->folded_double.max_abs, o->allowed, bn->bound,
                   o->passed ? "" : "DIVERGES");
        else
            printf("%-32s not compared: %s\n", bn->name, bn->reason);
    }
    const struct bnr_verify_bn *first = first_diverging(r);
    if (first)
        printf("first diverging tensor: %s (%s)\n", first->output.name, first->name);
    else
        printf("no tensor diverges\n");
}

// Nothing failed but outputs of which the unfolded model says no more than the folded one.
static bool only_rounding(const struct bnr_verify_report *r) {
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct bnr_verify_output *o = &r->outputs[i];
        if (!o->passed && (!(o->folded_double.max_abs <= o->allowed) ||
                           !(o->algebra_double.max_abs <= 1e-9 * o->magnitude)))
            return false;
    }
    return true;
}

static void print_table(const struct bnr_verify_report *r, enum check check, json_t *bns) {
    size_t counts[3] = {0}, i;
    json_t *bn;
    json_array_foreach(bns, i, bn) {
        const char *verdict = json_string_value(json_object_get(bn, "verdict"));
        for (int v = 0; verdict && v < 3; v++)
            counts[v] += strcmp(verdict, verdict_name((enum bnr_bn_verdict)v)) == 0;
    }
    printf("batch normalizations: %zu folded, %zu fused, %zu kept\n", counts[BNR_VERDICT_FOLDED],
           counts[BNR_VERDICT_FUSED], counts[BNR_VERDICT_KEPT]);
    if (check == CHECK_TRAIN)
        print_trained(r);
    if (check == CHECK_LAYERS)
        print_layers(r);
    for (i = 0; i < r->n_outputs; i++) {
        const struct bnr_verify_output *o = &r->outputs[i];
        printf("%s: %s, largest value %.6g\n", o->name, o->passed ? "within tolerance" : "OUT OF TOLERANCE",
               o->magnitude);
        print_comparison("folded against unfolded", &o->folded_unfolded);
        print_comparison("folded against double", &o->folded_double);
        print_comparison("unfolded against double", &o->unfolded_double);
        if (check == CHECK_TRAIN)
            print_comparison("folded in double against double", &o->algebra_double);
        if (o->rounding > o->unfolded_double.max_abs)
            printf("  unfolded, rounded otherwise    abs %.4g\n", o->rounding);
        printf("  allowed against double: %.4g\n", o->allowed);
        if (!o->passed)
            printf("  worst at element %zu: %.9g, expected %.9g\n", o->folded_double.index,
                   o->folded_double.a, o->folded_double.b);
    }
    if (check == CHECK_TRAIN && r->n_bns > 0 && r->n_checked == 0)
        printf("NOT verified: no batch normalization could be checked\n");
    else
        printf("%s\n", r->passed         ? "verified: folding changed nothing beyond rounding"
                       : only_rounding(r) ? "NOT verified: rounding alone takes the unfolded model that far "
                                            "on these inputs; others, or a larger batch, may say more"
                                          : "NOT verified: the folded model differs");
}

struct request {
    enum check check;
    double tolerance, scale; // scale: of random inputs
    struct image_options image;
    bool json;
};

// A check under way.
struct job {
    const bnr_model *model;
    const struct strings *args;
    const struct common *common;
    const struct request *request;
    struct inputs in;
    struct bnr_verify_report *report;
};

// With random inputs of these sizes where dims are open. EXIT_BAD with *err where it cannot be run.
static int check_sized(struct job *j, const struct open_dims *open, struct bnr_error *err) {
    static enum bnr_status (*const checks[])(struct bnr_verify_report **, const bnr_model *,
                                             const bnr_tensor *const *, size_t, const struct bnr_options *,
                                             double, struct bnr_error *) = {bnr_verify, bnr_verify_training,
                                                                            bnr_verify_layers};
    *err = (struct bnr_error){.code = BNR_OK};
    const int code = inputs_build_open(&j->in, j->model, j->args, 1, &j->common->shapes, open);
    if (code != EXIT_DONE)
        return code;
    const enum bnr_status st =
        checks[j->request->check](&j->report, j->model, (const bnr_tensor *const *)j->in.tensors, j->in.count,
                                  &j->common->run, j->request->tolerance, err);
    return st == BNR_OK ? EXIT_DONE : EXIT_BAD;
}

static void drop(struct job *j) {
    bnr_verify_free(j->report);
    inputs_free(&j->in);
    j->report = NULL;
}

// Without input files, where the model leaves dims open: the smallest of these sizes that it can be run
// with, and in which every layer takes part in the training check, or else the most of them. One value per
// channel is nothing to normalize by.
static int check_open(struct job *j, struct bnr_error *err) {
    static const int64_t sizes[][2] = {{1, 1}, {8, 1}, {1, 64}, {8, 64}};
    struct open_dims open;
    struct job best = *j;
    int code = inputs_open_dims(&open, j->model, &j->common->shapes);
    for (size_t i = 0; code == EXIT_DONE && i < BNR_COUNT(sizes); i++) {
        struct bnr_error why;
        const struct open_dims asked = {sizes[i][0], sizes[i][1], j->request->scale};
        if ((open.first == 0 && asked.first > 1) || (open.others == 0 && asked.others > 1))
            continue;
        struct job next = *j;
        const int got = check_sized(&next, &asked, &why);
        if (got == EXIT_USAGE)
            return got;
        if (i == 0)
            *err = why;
        if (got == EXIT_DONE && (!best.report || next.report->n_checked > best.report->n_checked)) {
            drop(&best);
            best = next;
        } else {
            drop(&next);
        }
        if (best.report && (j->request->check != CHECK_TRAIN || best.report->n_checked == best.report->n_bns))
            break;
    }
    *j = best;
    return code != EXIT_DONE ? code : best.report ? EXIT_DONE : EXIT_BAD;
}

static int tell(const struct job *j, const bnr_session *session) {
    const struct request *q = j->request;
    json_t *bns = session_bns_json(session);
    int code = EXIT_DONE;
    if (q->json) {
        code = print_json(j->report, q->check, j->args->items[0], bns);
    } else {
        print_table(j->report, q->check, bns);
        json_decref(bns);
    }
    return code == EXIT_DONE && !j->report->passed ? EXIT_CHECK_FAILED : code;
}

static int verify_model(struct job *j) {
    struct bnr_error err;
    bnr_session *session;
    if (bnr_session_create(&session, j->model, &j->common->run, &err) != BNR_OK)
        return fail_with(&err);
    int code = j->args->count == 1 ? check_open(j, &err) : check_sized(j, &(struct open_dims){1, 1, 1}, &err);
    if (code == EXIT_BAD && err.code != BNR_OK)
        code = fail_with(&err);
    if (code == EXIT_DONE) {
        inputs_announce(&j->in, j->model);
        // The plan decides what runs inside of other steps.
        code = bnr_session_plan(session, (const bnr_tensor *const *)j->in.tensors, j->in.count, &err) == BNR_OK
                   ? tell(j, session)
                   : fail_with(&err);
    }
    drop(j);
    bnr_session_free(session);
    return code;
}

static int verify(const struct strings *args, const struct common *c, const struct request *q) {
    struct bnr_error err;
    bnr_model *model;
    if (bnr_model_load_file(&model, args->items[0], NULL, &err) != BNR_OK)
        return fail_with(&err);
    struct job j = {.model = model, .args = args, .common = c, .request = q, .in = {.image = &q->image}};
    const int code = bnr_model_check(model, &err) == BNR_OK ? verify_model(&j) : fail_with(&err);
    bnr_model_free(model);
    return code;
}

int cmd_verify(int argc, char **argv) {
    struct common c;
    struct strings args = {0};
    struct request q = {.check = CHECK_FOLD, .scale = 1};
    bool train = false, layers = false;
    common_init(&c);
    const struct opt opts[] = {
        {"tolerance", 0, OPT_DOUBLE, &q.tolerance, 0, "X",
         "relative to the largest magnitude (default 1e-5; 4e-3 below float32)"},
        {"random-scale", 0, OPT_DOUBLE, &q.scale, 0, "X",
         "standard deviation of random inputs (default 1): what the network expects"},
        {"train", 0, OPT_FLAG, &train, 0, NULL, "prove it through training mode: the batch's own statistics"},
        {"layers", 0, OPT_FLAG, &layers, 0, NULL, "compare at every former BN, too"},
        {"json", 0, OPT_FLAG, &q.json, 0, NULL, "print the figures as JSON"},
        IMAGE_OPTIONS(&q.image),
        COMMON_OPTIONS(&c),
        {0},
    };
    int code = cli_parse(&verb_verify, opts, argc, argv, &args);
    common_finish(&c);
    if (train || layers)
        q.check = train ? CHECK_TRAIN : CHECK_LAYERS;
    if (code < 0 && !(q.scale > 0))
        code = fail(EXIT_USAGE, "verify: --random-scale is %g, expected a number above 0", q.scale);
    if (code < 0 && train && layers)
        code = fail(EXIT_USAGE, "verify: --train and --layers exclude each other");
    if (code < 0)
        code = args.count ? verify(&args, &c, &q)
                          : fail(EXIT_USAGE, "verify: no model given (see bnrun verify --help)");
    strings_free(&args);
    common_free(&c);
    return code;
}
