// SPDX-License-Identifier: Apache-2.0
// bnrun inspect: what a model is, needs and would become.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

const struct verb verb_inspect = {
    "inspect", "inspect MODEL [options]",
    "Shows inputs, outputs, opsets, operators, what this build lacks, and what becomes of each batch\n"
    "normalization.",
    cmd_inspect};

struct inspect_options {
    struct common common;
    bool json, dot, text, optimized;
};

static json_t *value_json(const struct bnr_value_info *v) {
    static const char *const kinds[] = {"tensor", "sequence", "optional", "map", "sparse"};
    json_t *j = json_object(), *shape = v->rank >= 0 ? json_array() : json_null();
    for (int i = 0; i < v->rank; i++)
        json_array_append_new(shape, v->dims[i] >= 0   ? json_integer(v->dims[i])
                                     : v->symbols && v->symbols[i] ? json_text(v->symbols[i])
                                                       : json_null());
    json_object_set_new(j, "name", json_text(v->name));
    json_object_set_new(j, "kind", json_text(kinds[v->kind]));
    json_object_set_new(j, "dtype", json_text(bnr_dtype_name(v->dtype)));
    json_object_set_new(j, "shape", shape);
    json_object_set_new(j, "optional", json_boolean(v->optional));
    return j;
}

static json_t *operators_json(const bnr_model *model) {
    json_t *ops = json_object();
    for (size_t i = 0; i < bnr_model_node_count(model); i++) {
        struct bnr_node_info n;
        if (bnr_model_node(model, i, &n) != BNR_OK)
            continue;
        char *key = *n.domain ? xprintf("%s.%s", n.domain, n.op_type) : xstrdup(n.op_type);
        json_object_set_new(ops, key, json_integer(json_integer_value(json_object_get(ops, key)) + 1));
        free(key);
    }
    return ops;
}

// Everything about the model as one document; `session` may be NULL (operators missing).
static json_t *describe(const char *path, const bnr_model *model, const bnr_session *session) {
    json_t *doc = json_object(), *inputs = json_array(), *outputs = json_array(), *opsets = json_array(),
           *missing = json_array();
    struct bnr_value_info v;
    struct bnr_opset_info opset;
    for (size_t i = 0; bnr_model_input(model, i, &v) == BNR_OK; i++)
        json_array_append_new(inputs, value_json(&v));
    for (size_t i = 0; bnr_model_output(model, i, &v) == BNR_OK; i++)
        json_array_append_new(outputs, value_json(&v));
    for (size_t i = 0; bnr_model_opset(model, i, &opset) == BNR_OK; i++) {
        json_t *j = json_object();
        json_object_set_new(j, "domain", json_text(*opset.domain ? opset.domain : "ai.onnx"));
        json_object_set_new(j, "version", json_integer(opset.version));
        json_array_append_new(opsets, j);
    }
    for (size_t i = 0; bnr_model_missing(model, i); i++)
        json_array_append_new(missing, json_text(bnr_model_missing(model, i)));
    json_object_set_new(doc, "model", json_text(path));
    json_object_set_new(doc, "inputs", inputs);
    json_object_set_new(doc, "outputs", outputs);
    json_object_set_new(doc, "opsets", opsets);
    json_object_set_new(doc, "nodes", json_integer((json_int_t)bnr_model_node_count(model)));
    json_object_set_new(doc, "operators", operators_json(model));
    json_object_set_new(doc, "missing", missing);
    json_object_set_new(doc, "batch_norms", session ? session_bns_json(session) : json_array());
    if (session) {
        struct bnr_session_stats stats;
        bnr_session_stats(session, &stats);
        json_object_set_new(doc, "nodes_optimized", json_integer((json_int_t)stats.nodes_after));
    }
    return doc;
}

static void print_values(const char *title, json_t *values) {
    size_t i, k;
    json_t *v, *dim;
    json_array_foreach(values, i, v) {
        printf("%-10s %s: %s %s[", i ? "" : title, json_string_value(json_object_get(v, "name")),
               json_string_value(json_object_get(v, "kind")),
               json_string_value(json_object_get(v, "dtype")));
        json_array_foreach(json_object_get(v, "shape"), k, dim) {
            if (json_is_integer(dim))
                printf("%s%" JSON_INTEGER_FORMAT, k ? "," : "", json_integer_value(dim));
            else
                printf("%s%s", k ? "," : "", json_is_string(dim) ? json_string_value(dim) : "?");
        }
        printf("]%s\n", json_is_true(json_object_get(v, "optional")) ? " (has a default)" : "");
    }
}

static void print_bns(json_t *bns) {
    size_t counts[3] = {0}, i;
    json_t *bn;
    json_array_foreach(bns, i, bn) {
        const char *verdict = json_string_value(json_object_get(bn, "verdict"));
        for (int v = 0; verdict && v < 3; v++)
            counts[v] += strcmp(verdict, verdict_name((enum bnr_bn_verdict)v)) == 0;
    }
    printf("%-10s %zu: %zu folded, %zu fused, %zu kept\n", "batch norm", json_array_size(bns),
           counts[BNR_VERDICT_FOLDED], counts[BNR_VERDICT_FUSED], counts[BNR_VERDICT_KEPT]);
    int width = 0;
    json_array_foreach(bns, i, bn) {
        const size_t n = strlen(json_string_value(json_object_get(bn, "name")));
        width = n > (size_t)width && n < 1000 ? (int)n : width;
    }
    json_array_foreach(bns, i, bn) {
        const char *into = json_string_value(json_object_get(bn, "into"));
        const char *reason = json_string_value(json_object_get(bn, "reason"));
        printf("  %-*s %-6s%s%s%s%s\n", width, json_string_value(json_object_get(bn, "name")),
               json_string_value(json_object_get(bn, "verdict")), into ? " into " : "", into ? into : "",
               reason ? ": " : "", reason ? reason : "");
    }
}

static void print_summary(json_t *doc) {
    const char *op;
    json_t *v;
    size_t i;
    print_values("inputs", json_object_get(doc, "inputs"));
    print_values("outputs", json_object_get(doc, "outputs"));
    json_array_foreach(json_object_get(doc, "opsets"), i, v)
        printf("%-10s %s %" JSON_INTEGER_FORMAT "\n", i ? "" : "opsets",
               json_string_value(json_object_get(v, "domain")),
               json_integer_value(json_object_get(v, "version")));
    printf("%-10s %" JSON_INTEGER_FORMAT, "nodes", json_integer_value(json_object_get(doc, "nodes")));
    if (json_object_get(doc, "nodes_optimized"))
        printf(", %" JSON_INTEGER_FORMAT " after optimization",
               json_integer_value(json_object_get(doc, "nodes_optimized")));
    printf("\n%-10s", "operators");
    json_object_foreach(json_object_get(doc, "operators"), op, v)
        printf(" %s:%" JSON_INTEGER_FORMAT, op, json_integer_value(v));
    printf("\n");
    json_array_foreach(json_object_get(doc, "missing"), i, v)
        printf("%-10s %s\n", i ? "" : "missing", json_string_value(v));
    print_bns(json_object_get(doc, "batch_norms"));
}

static int print_graph(const bnr_model *model, const bnr_session *session, const struct inspect_options *o) {
    enum bnr_print_format format = o->dot ? BNR_PRINT_DOT : BNR_PRINT_TEXT;
    char *text = o->optimized && session ? bnr_session_print(session, format) : bnr_model_print(model, format);
    if (!text)
        return fail(EXIT_BAD, "out of memory for the graph's text");
    fputs(text, stdout);
    free(text);
    return EXIT_DONE;
}

static int inspect(const char *path, const struct inspect_options *o) {
    struct bnr_error err;
    bnr_model *model;
    bnr_session *session = NULL;
    if (bnr_model_load_file(&model, path, NULL, &err) != BNR_OK)
        return fail_with(&err);
    int code = bnr_model_check(model, &err) == BNR_OK ? EXIT_DONE : fail_with(&err);
    bool complete = bnr_model_missing(model, 0) == NULL;
    if (code == EXIT_DONE && complete &&
        bnr_session_create(&session, model, &o->common.run, &err) != BNR_OK)
        code = fail_with(&err);
    if (code == EXIT_DONE && (o->dot || o->text)) {
        code = print_graph(model, session, o);
    } else if (code == EXIT_DONE) {
        json_t *doc = describe(path, model, session);
        if (o->json) {
            code = json_print(doc);
        } else {
            print_summary(doc);
            json_decref(doc);
        }
    }
    if (code == EXIT_DONE && fflush(stdout) != 0)
        code = fail(EXIT_BAD, "standard output: cannot be written");
    bnr_session_free(session);
    bnr_model_free(model);
    return code;
}

int cmd_inspect(int argc, char **argv) {
    struct inspect_options o = {0};
    struct strings args = {0};
    common_init(&o.common);
    const struct opt opts[] = {
        {"json", 0, OPT_FLAG, &o.json, 0, NULL, "print everything as JSON"},
        {"dot", 0, OPT_FLAG, &o.dot, 0, NULL, "print the graph for Graphviz"},
        {"text", 0, OPT_FLAG, &o.text, 0, NULL, "print the graph, one node a line"},
        {"optimized", 0, OPT_FLAG, &o.optimized, 0, NULL, "with --dot, --text: after optimization"},
        COMMON_OPTIONS(&o.common),
        {0},
    };
    int code = cli_parse(&verb_inspect, opts, argc, argv, &args);
    common_finish(&o.common);
    if (code < 0)
        code = args.count == 1 ? inspect(args.items[0], &o)
                               : fail(EXIT_USAGE, "inspect: expected one model, got %zu", args.count);
    strings_free(&args);
    common_free(&o.common);
    return code;
}
