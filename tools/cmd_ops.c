// SPDX-License-Identifier: Apache-2.0
// bnrun ops: what this build implements, and what of a model it does not.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

const struct verb verb_ops = {
    "ops", "ops [--missing MODEL] [--markdown | --json]",
    "Lists the operators of this build: domain, name, the opset versions that differ, and the "
    "dtypes\n"
    "of their inputs. With --missing: the nodes of a model that this build cannot run, and why.",
    cmd_ops};

enum { MOST_INPUTS = 32 };

// Names of sets of dtypes, the larger ones first. A list of dtypes begins with those that fit.
static const struct {
    const char *name;
    uint32_t types;
} sets[] = {
    {"all", ((1u << BNR_DTYPE_COUNT) - 1) & ~1u},
    {"float8", 1u << BNR_FLOAT8E4M3FN | 1u << BNR_FLOAT8E4M3FNUZ | 1u << BNR_FLOAT8E5M2 |
                   1u << BNR_FLOAT8E5M2FNUZ},
    {"float16-64", 1u << BNR_FLOAT16 | 1u << BNR_FLOAT | 1u << BNR_DOUBLE},
    {"int8-64", 1u << BNR_INT8 | 1u << BNR_INT16 | 1u << BNR_INT32 | 1u << BNR_INT64},
    {"uint8-64", 1u << BNR_UINT8 | 1u << BNR_UINT16 | 1u << BNR_UINT32 | 1u << BNR_UINT64},
    {"int2-4", 1u << BNR_INT2 | 1u << BNR_INT4},
    {"uint2-4", 1u << BNR_UINT2 | 1u << BNR_UINT4},
    {"complex", 1u << BNR_COMPLEX64 | 1u << BNR_COMPLEX128},
};

static int inputs_of(const struct bnr_op_info *op) {
    const int few =
        op->min_inputs > 1 ? op->min_inputs : 1; // of any number: the first stands for all
    const int n = op->max_inputs == INT32_MAX ? few : op->max_inputs;
    return n < MOST_INPUTS ? n : MOST_INPUTS;
}

static char *types_text(uint32_t types) {
    char *text = xstrdup("");
    for (size_t i = 0; i < BNR_COUNT(sets) + BNR_DTYPE_COUNT; i++) {
        const bool set = i < BNR_COUNT(sets);
        const uint32_t bits = set ? sets[i].types : 1u << (i - BNR_COUNT(sets));
        if (!bits || (types & bits) != bits)
            continue;
        types &= ~bits;
        char *longer =
            xprintf("%s%s%s", text, *text ? " " : "",
                    set ? sets[i].name : bnr_dtype_name((enum bnr_dtype)(i - BNR_COUNT(sets))));
        free(text);
        text = longer;
    }
    return text;
}

static json_t *types_json(uint32_t types) {
    json_t *list = json_array();
    for (int d = 1; d < BNR_DTYPE_COUNT; d++)
        if (types >> d & 1)
            json_array_append_new(list, json_text(bnr_dtype_name((enum bnr_dtype)d)));
    return list;
}

static json_t *count_json(int n) {
    return n == INT32_MAX ? json_null() : json_integer(n);
}

static json_t *op_json(size_t index, const struct bnr_op_info *op) {
    json_t *j = json_object(), *versions = json_array();
    json_object_set_new(j, "domain", json_text(*op->domain ? op->domain : "ai.onnx"));
    json_object_set_new(j, "name", json_text(op->name));
    json_object_set_new(j, "min_inputs", json_integer(op->min_inputs));
    json_object_set_new(j, "max_inputs", count_json(op->max_inputs));
    json_object_set_new(j, "min_outputs", json_integer(op->min_outputs));
    json_object_set_new(j, "max_outputs", count_json(op->max_outputs));
    for (size_t v = 0; v < op->n_versions; v++) {
        uint32_t types[MOST_INPUTS];
        const int n = inputs_of(op);
        json_t *version = json_object(), *inputs = json_array();
        if (bnr_op_types(index, op->versions[v], types, (size_t)n) == BNR_OK)
            for (int i = 0; i < n; i++)
                json_array_append_new(inputs, types_json(types[i]));
        json_object_set_new(version, "since", json_integer(op->versions[v]));
        json_object_set_new(version, "inputs", inputs);
        json_array_append_new(versions, version);
    }
    json_object_set_new(j, "versions", versions);
    return j;
}

// ---- tables -------------------------------------------------------------------------------------

static int compare_ops(const void *a, const void *b) {
    struct bnr_op_info x, y;
    bnr_op(*(const size_t *)a, &x);
    bnr_op(*(const size_t *)b, &y);
    const int domains = strcmp(x.domain, y.domain);
    return domains ? domains : strcmp(x.name, y.name);
}

// The indices of all operators by domain and name.
static size_t *sorted_ops(size_t *n) {
    struct bnr_op_info op;
    for (*n = 0; bnr_op(*n, &op) == BNR_OK;)
        ++*n;
    size_t *order = xcalloc(*n + 1, sizeof *order);
    for (size_t i = 0; i < *n; i++)
        order[i] = i;
    qsort(order, *n, sizeof *order, compare_ops);
    return order;
}

static char *versions_text(const struct bnr_op_info *op) {
    char *text = xstrdup("");
    for (size_t v = 0; v < op->n_versions; v++) {
        char *longer = xprintf("%s%s%d", text, v ? " " : "", op->versions[v]);
        free(text);
        text = longer;
    }
    return text;
}

// What the inputs of the newest version may be, those that are alike together.
static char *inputs_text(size_t index, const struct bnr_op_info *op) {
    uint32_t types[MOST_INPUTS];
    const int n = inputs_of(op);
    char *text = xstrdup("");
    if (n < 1 || bnr_op_types(index, op->versions[op->n_versions - 1], types, (size_t)n) != BNR_OK)
        return text;
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && types[end] == types[i];)
            end++;
        char *names = types_text(types[i]), *longer;
        const bool only = i == 0 && end == n;
        if (only)
            longer = xprintf("%s%s", text, names);
        else if (end == i + 1)
            longer = xprintf("%s%s%d: %s", text, *text ? "; " : "", i, names);
        else
            longer = xprintf("%s%s%d-%d: %s", text, *text ? "; " : "", i, end - 1, names);
        free(names);
        free(text);
        text = longer;
    }
    return text;
}

static void print_ops(bool markdown) {
    size_t n;
    size_t *order = sorted_ops(&n);
    const char *domain = NULL;
    if (markdown)
        puts("# Operators\n\nWritten by `bnrun ops --markdown`. Versions are those of the "
             "specification, each "
             "of which is\nimplemented; dtypes are those that the inputs of the newest one may "
             "have (0-2: the "
             "first three inputs).");
    for (size_t i = 0; i < n; i++) {
        struct bnr_op_info op;
        bnr_op(order[i], &op);
        char *versions = versions_text(&op), *inputs = inputs_text(order[i], &op);
        if (!domain || strcmp(domain, op.domain) != 0) {
            domain = op.domain;
            if (markdown)
                printf(
                    "\n## %s\n\n| operator | versions | dtypes of inputs |\n| --- | --- | --- |\n",
                    *domain ? domain : "ai.onnx");
        }
        printf(markdown ? "| %s%s%s | %s | %s |\n" : "%s%s%s %s (%s)\n", markdown ? "" : domain,
               markdown || !*domain ? "" : ".", op.name, versions, inputs);
        free(versions);
        free(inputs);
    }
    free(order);
}

static int print_ops_json(void) {
    json_t *doc = json_object(), *ops = json_array();
    size_t n;
    size_t *order = sorted_ops(&n);
    for (size_t i = 0; i < n; i++) {
        struct bnr_op_info op;
        bnr_op(order[i], &op);
        json_array_append_new(ops, op_json(order[i], &op));
    }
    free(order);
    json_object_set_new(doc, "operators", ops);
    return json_print(doc);
}

// ---- a model ------------------------------------------------------------------------------------

static int print_missing(const char *path, bool json) {
    struct bnr_error err;
    bnr_model *model;
    if (bnr_model_load_file(&model, path, NULL, &err) != BNR_OK)
        return fail_with(&err);
    int code = EXIT_DONE;
    json_t *list = json_array();
    for (size_t i = 0; bnr_model_missing(model, i); i++)
        json_array_append_new(list, json_text(bnr_model_missing(model, i)));
    const size_t n = json_array_size(list);
    if (json) {
        json_t *doc = json_object();
        json_object_set(doc, "missing", list);
        code = json_print(doc);
    } else {
        for (size_t i = 0; i < n; i++)
            puts(json_string_value(json_array_get(list, i)));
        if (n == 0)
            puts("nothing is missing");
    }
    json_decref(list);
    bnr_model_free(model);
    return code == EXIT_DONE && n > 0 ? EXIT_BAD : code;
}

int cmd_ops(int argc, char **argv) {
    struct {
        bool json, markdown;
        const char *missing;
    } o = {0};
    struct strings args = {0};
    const struct opt opts[] = {
        {"missing", 0, OPT_STRING, &o.missing, 0, "MODEL", "what of this model cannot run"},
        {"json", 0, OPT_FLAG, &o.json, 0, NULL, "print JSON, with the dtypes of every version"},
        {"markdown", 0, OPT_FLAG, &o.markdown, 0, NULL, "print tables for a document"},
        {0},
    };
    int code = cli_parse(&verb_ops, opts, argc, argv, &args);
    if (code < 0 && args.count > 0)
        code = fail(EXIT_USAGE, "ops: unexpected argument '%s'", args.items[0]);
    if (code < 0 && o.missing)
        code = print_missing(o.missing, o.json);
    else if (code < 0 && o.json)
        code = print_ops_json();
    else if (code < 0) {
        print_ops(o.markdown);
        code = EXIT_DONE;
    }
    if (code == EXIT_DONE && fflush(stdout) != 0)
        code = fail(EXIT_BAD, "standard output: cannot be written");
    strings_free(&args);
    return code;
}
