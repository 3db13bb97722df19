// SPDX-License-Identifier: Apache-2.0
// bnrun run: load, run once, show or write the outputs.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/inputs.h"
#include "tools/report.h"
#include "tools/tensor_io.h"

const struct verb verb_run = {
    "run", "run MODEL [INPUT ...] [options]",
    "Runs the model and prints a table of its outputs, or writes them with -o.\n"
    "INPUT is FILE (in the order of the model's inputs) or NAME=FILE; without any, inputs are random.\n"
    "Pictures (.png, .jpg, ...) are resized to the input's height and width and become\n"
    "(pixel * --scale - --mean) / --std.",
    cmd_run};

struct run_options {
    struct common common;
    struct image_options image;
    const char *output, *format, *labels, *profile;
    int top;
    bool json;
};

struct results {
    size_t count;
    const char **names;
    bnr_tensor **tensors;
};

static void results_free(struct results *r) {
    for (size_t i = 0; i < r->count; i++)
        bnr_tensor_release(r->tensors[i]);
    free(r->tensors);
    free(r->names);
}

// "a/b:0" -> "a_b_0"; never empty, never starts with a dot.
static char *safe_name(const char *name) {
    char *s = xstrdup(*name ? name : "_");
    for (char *p = s; *p; p++)
        if ((unsigned char)*p <= ' ' || strchr("/\\:*?\"<>|", *p) || *p == 0x7f)
            *p = '_';
    if (*s == '.')
        *s = '_';
    return s;
}

static int write_folder(const struct results *r, const char *folder, enum file_format format) {
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return fail(EXIT_BAD, "%s: cannot be made: %s", folder, strerror(errno));
    static const char *const extensions[] = {
        [FORMAT_NONE] = "npy", [FORMAT_BIN] = "bin", [FORMAT_NPY] = "npy", [FORMAT_PB] = "pb"};
    int code = EXIT_DONE;
    for (size_t i = 0; i < r->count && code == EXIT_DONE; i++) {
        char *name = safe_name(r->names[i]);
        char *path = xprintf("%s/%s.%s", folder, name, extensions[format]);
        code = tensor_write(r->tensors[i], r->names[i], path, format ? format : FORMAT_NPY);
        free(path);
        free(name);
    }
    return code;
}

static int write_results(const struct results *r, const struct run_options *o) {
    enum file_format format = o->format ? format_named(o->format) : FORMAT_NONE;
    if (o->format && (format == FORMAT_NONE || format == FORMAT_NPZ))
        return fail(EXIT_USAGE, "--format: '%s' is none of bin, npy, pb", o->format);
    enum file_format by_name = format_of(o->output);
    if (is_folder(o->output) || (by_name == FORMAT_NONE && !o->format) || r->count > 1)
        return write_folder(r, o->output, format);
    if (format == FORMAT_NONE)
        format = by_name;
    if (format == FORMAT_NPZ)
        return fail(EXIT_USAGE, "%s: outputs are written as .bin, .npy or .pb", o->output);
    return tensor_write(r->tensors[0], r->names[0], o->output, format);
}

static int show_results(const struct results *r, const struct run_options *o) {
    struct strings labels = {0};
    int code = o->labels ? labels_read(&labels, o->labels) : EXIT_DONE;
    if (code == EXIT_DONE && o->json) {
        json_t *doc = json_object(), *outputs = json_array();
        for (size_t i = 0; i < r->count; i++) {
            json_t *output = output_json(r->names[i], r->tensors[i]);
            if (o->top > 0)
                json_object_set_new(output, "top", top_json(r->tensors[i], o->top, &labels));
            json_array_append_new(outputs, output);
        }
        json_object_set_new(doc, "outputs", outputs);
        code = json_print(doc);
    } else if (code == EXIT_DONE && o->top > 0) {
        code = r->count ? print_top(r->names[0], r->tensors[0], o->top, &labels) : EXIT_DONE;
    } else if (code == EXIT_DONE) {
        print_output_table(r->names, r->tensors, r->count);
    }
    strings_free(&labels);
    if (code == EXIT_DONE && fflush(stdout) != 0)
        code = fail(EXIT_BAD, "standard output: cannot be written: %s", strerror(errno));
    return code;
}

static int write_profile(const bnr_session *session, const char *path) {
    char *trace = bnr_session_profile(session);
    struct out_file f;
    int code = trace ? out_open(&f, path) : fail(EXIT_BAD, "%s: out of memory for the profile", path);
    if (trace && code == EXIT_DONE) {
        out_write(&f, trace, strlen(trace));
        code = out_close(&f);
    }
    free(trace);
    return code;
}

static int run_session(bnr_session *session, const bnr_model *model, const struct inputs *in,
                       const struct run_options *o) {
    struct bnr_error err;
    struct results r = {.count = bnr_model_output_count(model)};
    r.tensors = xcalloc(r.count, sizeof *r.tensors);
    r.names = xcalloc(r.count, sizeof *r.names);
    for (size_t i = 0; i < r.count; i++) {
        struct bnr_value_info info;
        bnr_model_output(model, i, &info);
        r.names[i] = info.name;
    }
    int code = EXIT_DONE;
    if (bnr_run(session, (const bnr_tensor *const *)in->tensors, in->count, r.tensors, r.count, &err) !=
        BNR_OK)
        code = fail_with(&err);
    if (code == EXIT_DONE && o->profile)
        code = write_profile(session, o->profile);
    if (code == EXIT_DONE)
        code = o->output ? write_results(&r, o) : show_results(&r, o);
    results_free(&r);
    return code;
}

static int run_model(const struct strings *args, struct run_options *o) {
    struct bnr_error err;
    bnr_model *model;
    bnr_session *session = NULL;
    struct inputs in = {.image = &o->image};
    if (bnr_model_load_file(&model, args->items[0], NULL, &err) != BNR_OK)
        return fail_with(&err);
    int code = EXIT_DONE;
    if (bnr_session_create(&session, model, &o->common.run, &err) != BNR_OK)
        code = fail_with(&err);
    if (code == EXIT_DONE)
        code = inputs_build(&in, model, args, 1, &o->common.shapes);
    if (code == EXIT_DONE) {
        inputs_announce(&in, model);
        code = run_session(session, model, &in, o);
    }
    inputs_free(&in);
    bnr_session_free(session);
    bnr_model_free(model);
    return code;
}

int cmd_run(int argc, char **argv) {
    struct run_options o = {0};
    struct strings args = {0};
    common_init(&o.common);
    const struct opt opts[] = {
        {"output", 'o', OPT_STRING, &o.output, 0, "PATH",
         "write outputs: a file (single output) or a folder"},
        {"format", 0, OPT_STRING, &o.format, 0, "FORMAT", "bin, npy or pb, for -o"},
        {"top", 0, OPT_INT, &o.top, 0, "K", "print the K highest scores of the first output"},
        {"labels", 0, OPT_STRING, &o.labels, 0, "FILE", "names of the scores, one a line"},
        {"json", 0, OPT_FLAG, &o.json, 0, NULL, "print everything as JSON"},
        {"profile", 0, OPT_STRING, &o.profile, 0, "FILE", "write a Chrome trace of the steps"},
        IMAGE_OPTIONS(&o.image),
        COMMON_OPTIONS(&o.common),
        {0},
    };
    int code = cli_parse(&verb_run, opts, argc, argv, &args);
    common_finish(&o.common);
    if (o.profile)
        o.common.run.flags |= BNR_PROFILE;
    if (code < 0)
        code = args.count ? run_model(&args, &o)
                          : fail(EXIT_USAGE, "run: no model given (see bnrun run --help)");
    strings_free(&args);
    common_free(&o.common);
    return code;
}
