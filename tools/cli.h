// SPDX-License-Identifier: Apache-2.0
// What every verb of the program shares: options, error reporting, exit codes, progress.
#ifndef BNR_TOOLS_CLI_H
#define BNR_TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/compiler.h"
#include "runtime/bnrun.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_CHECK_FAILED = 1, // verify, test
    EXIT_USAGE = 2,
    EXIT_BAD = 3, // the model or an input is bad or unsupported, a file cannot be read or written
};

// Prints "bnrun: message" on stderr as one line and returns `code`.
int fail(int code, const char *fmt, ...) BNR_PRINTF(2, 3);
// The same for a library error: BNR_INVALID means wrong usage, all else EXIT_BAD.
int fail_with(const struct bnr_error *err);

// malloc and friends that end the program with a message when memory is out.
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t size);
char *xstrdup(const char *s);
char *xprintf(const char *fmt, ...) BNR_PRINTF(1, 2);

struct strings {
    char **items;
    size_t count;
};
void strings_add(struct strings *s, const char *item); // copies
void strings_free(struct strings *s);

enum opt_kind {
    OPT_FLAG,   // bool *: set to true
    OPT_BITS,   // unsigned *: |= bits
    OPT_INT,    // int *
    OPT_DOUBLE, // double *
    OPT_STRING, // const char **
    OPT_LIST,   // struct strings *: may be given several times
};

struct opt {
    const char *name; // "threads" for --threads; NULL ends the table
    char letter;      // 'k' for -k; 0: none
    enum opt_kind kind;
    void *dest;
    unsigned bits;    // OPT_BITS
    const char *arg;  // name of the value in the help; NULL: takes none
    const char *help; // one line
};

struct verb {
    const char *name, *usage, *about;
    int (*run)(int argc, char **argv); // argv[0] is the verb
};

// Parses argv[1..] by the table; what is left goes into *positional. Returns -1 to go on, else the
// exit code to end with (help was printed, or a usage error).
int cli_parse(const struct verb *verb, const struct opt *opts, int argc, char **argv,
              struct strings *positional);

// The options that every verb which runs a model accepts. COMMON_OPTIONS(c) expands to table rows.
struct common {
    struct bnr_options run; // log and log_user set by common_finish
    const char *cpu, *passes, *print_after, *keep;
    int threads, stop_after;
    struct strings shapes;
    bool verbose;
};
void common_init(struct common *c); // defaults, then BNRUN_THREADS and BNRUN_CPU from the environment
void common_finish(struct common *c); // after parsing: fills c->run
void common_free(struct common *c);

#define COMMON_OPTIONS(c)                                                                          \
    {"threads", 't', OPT_INT, &(c)->threads, 0, "N", "threads to use (default: one per core)"},    \
        {"cpu", 0, OPT_STRING, &(c)->cpu, 0, "LEVEL", "generic, avx2, avx512 or neon"},            \
        {"spin", 0, OPT_BITS, &(c)->run.flags, BNR_SPIN, NULL, "threads spin between runs"},       \
        {"no-fold", 0, OPT_BITS, &(c)->run.flags, BNR_NO_FOLD, NULL, "keep every BN"},             \
        {"reference", 0, OPT_BITS, &(c)->run.flags, BNR_REFERENCE, NULL,                           \
         "the unmodified graph by reference code"},                                                \
        {"freeze-initializers", 0, OPT_BITS, &(c)->run.flags, BNR_FREEZE_INITIALIZERS, NULL,       \
         "initializers that are graph inputs are constants"},                                      \
        {"keep", 0, OPT_STRING, &(c)->keep, 0, "NAME,...", "BNs to keep, by node name"},           \
        {"shape", 0, OPT_LIST, &(c)->shapes, 0, "NAME=DIMS",                                       \
         "dims of an input (1x3x224x224) or value of a symbolic dim"},                             \
        {"passes", 0, OPT_STRING, &(c)->passes, 0, "LIST", "run only these passes, in this order"}, \
        {"stop-after", 0, OPT_INT, &(c)->stop_after, 0, "N", "stop after N rewrites"},             \
        {"print-after", 0, OPT_STRING, &(c)->print_after, 0, "PASS",                               \
         "print the graph after this pass (all: after each)"},                                     \
        {"verbose", 'v', OPT_FLAG, &(c)->verbose, 0, NULL, "say more"}

// A progress line on stderr, redrawn in place; nothing when stderr is no terminal.
void progress(const char *what, size_t done, size_t total);
void progress_end(void); // clears the line

// A file written beside its target and renamed at the end, so that nothing half-written stays. A target
// that exists and is not a regular file (/dev/stdout, a pipe) is written directly.
struct out_file {
    void *stream; // FILE *
    char *path, *temporary;
};
int out_open(struct out_file *f, const char *path);           // EXIT_DONE, or reported
int out_write(struct out_file *f, const void *data, size_t n); // errors are kept for out_close
int out_close(struct out_file *f);                            // EXIT_DONE, or reported and removed

int cmd_run(int argc, char **argv);
int cmd_fold(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_compile(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_ops(int argc, char **argv);
extern const struct verb verb_run, verb_fold, verb_calibrate, verb_verify, verb_bench, verb_compile, verb_test,
    verb_inspect, verb_ops;

#endif
