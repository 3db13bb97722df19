// SPDX-License-Identifier: Apache-2.0
// The program: finds the verb and runs it. Everything that an application could also do goes through
// runtime/bnrun.h.
#include <stdio.h>
#include <string.h>

#include "tools/cli.h"

static const struct verb *const verbs[] = {
    &verb_run, &verb_fold, &verb_calibrate, &verb_verify, &verb_bench, &verb_compile, &verb_test, &verb_inspect,
    &verb_ops,
};

static void print_help(FILE *to) {
    fputs("bnrun runs ONNX models, with batch normalization folded into the weights.\n\n"
          "usage: bnrun MODEL [INPUT ...]     run the model (the same as: bnrun run MODEL ...)\n",
          to);
    for (size_t i = 0; i < BNR_COUNT(verbs); i++)
        fprintf(to, "       bnrun %s\n", verbs[i]->usage);
    fputs("\nbnrun VERB --help says what each does and takes.\n"
          "INPUT is FILE (in the order of the model's inputs) or NAME=FILE: .bin, .npy, .npz or .pb.\n"
          "Exit status: 0 done, 1 a check failed, 2 usage, 3 the model or an input is bad.\n",
          to);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("bnrun %s\n", bnr_version());
        return EXIT_DONE;
    }
    for (size_t i = 0; i < BNR_COUNT(verbs); i++)
        if (strcmp(argv[1], verbs[i]->name) == 0)
            return verbs[i]->run(argc - 1, argv + 1);
    return cmd_run(argc, argv); // argv[0] stands where the verb would
}
