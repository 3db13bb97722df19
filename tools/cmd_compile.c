// SPDX-License-Identifier: Apache-2.0
// bnrun compile: the optimized graph and its packed weights in a file that loads at once.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tools/inputs.h"

const struct verb verb_compile = {
    "compile", "compile MODEL -o OUT.bnr [options]",
    "Writes the optimized graph with all weights packed for this machine's CPU level (or --cpu) to a file that\n"
    "loads in next to no time, wherever a MODEL is expected. It works with this build of bnrun and this level\n"
    "only. Dims that the model leaves open are planned for as --shape says (else 1); other shapes still run.",
    cmd_compile};

static int compile(const char *model_path, const char *out, const struct common *c) {
    struct bnr_error err;
    bnr_model *model;
    struct inputs in = {0};
    struct strings none = {0};
    struct stat info;
    if (bnr_model_load_file(&model, model_path, NULL, &err) != BNR_OK)
        return fail_with(&err);
    int code = inputs_build(&in, model, &none, 1, &c->shapes);
    if (code == EXIT_DONE && bnr_model_compile_file(model, out, &c->run,
                                                    (const bnr_tensor *const *)in.tensors, in.count,
                                                    &err) != BNR_OK)
        code = fail_with(&err);
    inputs_free(&in);
    bnr_model_free(model);
    if (code == EXIT_DONE && stat(out, &info) == 0)
        printf("%s: %.1f MiB\n", out, (double)info.st_size / 0x1p20);
    return code;
}

int cmd_compile(int argc, char **argv) {
    struct common c;
    struct strings args = {0};
    const char *out = NULL;
    common_init(&c);
    const struct opt opts[] = {
        {"output", 'o', OPT_STRING, &out, 0, "FILE", "the file to write"},
        COMMON_OPTIONS(&c),
        {0},
    };
    int code = cli_parse(&verb_compile, opts, argc, argv, &args);
    common_finish(&c);
    if (code < 0 && args.count != 1)
        code = fail(EXIT_USAGE, "compile: %s (see bnrun compile --help)",
                    args.count ? "one model at a time" : "no model given");
    if (code < 0 && !out)
        code = fail(EXIT_USAGE, "compile: no output given (-o OUT.bnr)");
    if (code < 0)
        code = compile(args.items[0], out, &c);
    strings_free(&args);
    common_free(&c);
    return code;
}
