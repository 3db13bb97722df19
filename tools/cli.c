// SPDX-License-Identifier: Apache-2.0
#include "tools/cli.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- errors and memory ------------------------------------------------------------------------------

// File names on the command line may hold anything: keep the message one line.
static void print_line(const char *prefix, const char *message) {
    progress_end();
    fputs(prefix, stderr);
    for (const char *p = message; *p; p++)
        fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, stderr);
    fputc('\n', stderr);
}

int fail(int code, const char *fmt, ...) {
    char message[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    print_line("bnrun: ", message);
    return code;
}

int fail_with(const struct bnr_error *err) {
    return fail(err->code == BNR_INVALID ? EXIT_USAGE : EXIT_BAD, "%s", err->message);
}

static void *or_die(void *p) {
    if (!p)
        exit(fail(EXIT_BAD, "out of memory"));
    return p;
}

void *xmalloc(size_t size) {
    return or_die(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size) {
    return or_die(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *ptr, size_t size) {
    return or_die(realloc(ptr, size ? size : 1));
}

char *xstrdup(const char *s) {
    return or_die(strdup(s));
}

char *xprintf(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *s = NULL;
    int n = vasprintf(&s, fmt, args);
    va_end(args);
    return or_die(n < 0 ? NULL : s);
}

void strings_add(struct strings *s, const char *item) {
    s->items = xrealloc(s->items, (s->count + 1) * sizeof *s->items);
    s->items[s->count++] = xstrdup(item);
}

void strings_free(struct strings *s) {
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i]);
    free(s->items);
    *s = (struct strings){0};
}

// ---- options ----------------------------------------------------------------------------------------

static void print_help(const struct verb *verb, const struct opt *opts) {
    printf("usage: bnrun %s\n\n%s\n\noptions:\n", verb->usage, verb->about);
    for (const struct opt *o = opts; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%c%c%c --%s%s%s", o->letter ? '-' : ' ',
                 o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        printf("  %-30s %s\n", left, o->help);
    }
    printf("  %-30s %s\n", "    --help", "this text");
}

static int store_int(const struct opt *o, const char *value) {
    char *end;
    errno = 0;
    long v = strtol(value, &end, 10);
    if (errno || end == value || *end || v < INT_MIN || v > INT_MAX)
        return fail(EXIT_USAGE, "--%s: '%s' is not a whole number", o->name, value);
    *(int *)o->dest = (int)v;
    return -1;
}

static int store_double(const struct opt *o, const char *value) {
    char *end;
    double v = strtod(value, &end);
    if (end == value || *end)
        return fail(EXIT_USAGE, "--%s: '%s' is not a number", o->name, value);
    *(double *)o->dest = v;
    return -1;
}

static int store(const struct opt *o, const char *value) {
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)o->dest = true;
        return -1;
    case OPT_BITS:
        *(unsigned *)o->dest |= o->bits;
        return -1;
    case OPT_INT:
        return store_int(o, value);
    case OPT_DOUBLE:
        return store_double(o, value);
    case OPT_STRING:
        *(const char **)o->dest = value;
        return -1;
    case OPT_LIST:
        strings_add(o->dest, value);
        return -1;
    }
    return -1;
}

int cli_parse(const struct verb *verb, const struct opt *opts, int argc, char **argv,
              struct strings *positional) {
    enum { HELP = 256, FIRST = 257 }; // long option i of the table is FIRST + i
    size_t n = 0;
    while (opts[n].name)
        n++;
    struct option *longs = xcalloc(n + 2, sizeof *longs);
    char *letters = xcalloc(2 * n + 2, 1), *l = letters;
    *l++ = ':';
    for (size_t i = 0; i < n; i++) {
        int has_arg = opts[i].arg ? required_argument : no_argument;
        longs[i] = (struct option){opts[i].name, has_arg, NULL, FIRST + (int)i};
        if (opts[i].letter) {
            *l++ = opts[i].letter;
            if (opts[i].arg)
                *l++ = ':';
        }
    }
    longs[n] = (struct option){"help", no_argument, NULL, HELP};
    int code = -1, c;
    opterr = 0;
    optind = 0;
    while (code < 0 && (c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        const char *seen = argv[optind > 0 ? optind - 1 : 0];
        if (c == HELP) {
            print_help(verb, opts);
            code = EXIT_DONE;
        } else if (c == ':') {
            code = fail(EXIT_USAGE, "%s: option '%s' needs a value", verb->name, seen);
        } else if (c == '?') {
            code = fail(EXIT_USAGE, "%s: unknown option '%s' (see bnrun %s --help)", verb->name, seen,
                        verb->name);
        } else {
            size_t i = 0;
            while (c < FIRST ? opts[i].letter != c : i != (size_t)(c - FIRST))
                i++;
            code = store(&opts[i], optarg);
        }
    }
    for (int i = optind; code < 0 && i < argc; i++)
        strings_add(positional, argv[i]);
    free(longs);
    free(letters);
    return code;
}

static void log_line(void *user, enum bnr_log_level level, const char *message) {
    const struct common *c = user;
    if (level == BNR_LOG_DEBUG && !c->verbose)
        return;
    progress_end();
    fprintf(stderr, "%s%s\n", level <= BNR_LOG_WARNING ? "bnrun: warning: " : "", message);
}

void common_init(struct common *c) {
    *c = (struct common){.stop_after = -1};
    bnr_options_init(&c->run);
    const char *threads = getenv("BNRUN_THREADS");
    c->threads = threads ? atoi(threads) : 0;
    c->cpu = getenv("BNRUN_CPU");
}

void common_finish(struct common *c) {
    c->run.threads = c->threads;
    c->run.cpu = c->cpu;
    c->run.passes = c->passes;
    c->run.stop_after = c->stop_after;
    c->run.print_after = c->print_after;
    c->run.keep = c->keep;
    c->run.log = log_line;
    c->run.log_user = c;
}

void common_free(struct common *c) {
    strings_free(&c->shapes);
}

// ---- progress ---------------------------------------------------------------------------------------

static bool progress_shown;

void progress(const char *what, size_t done, size_t total) {
    if (!isatty(STDERR_FILENO))
        return;
    enum { WIDTH = 30 };
    size_t filled = total ? done * WIDTH / total : 0;
    fprintf(stderr, "\r%s [%.*s%*s] %zu/%zu", what, (int)filled, "##############################",
            (int)(WIDTH - filled), "", done, total);
    fflush(stderr);
    progress_shown = true;
}

void progress_end(void) {
    if (progress_shown)
        fputs("\r\033[K", stderr);
    progress_shown = false;
}

// ---- output files -----------------------------------------------------------------------------------

int out_open(struct out_file *f, const char *path) {
    struct stat st;
    bool special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    *f = (struct out_file){.path = xstrdup(path)};
    if (special && S_ISDIR(st.st_mode)) {
        free(f->path);
        return fail(EXIT_BAD, "%s: is a folder, expected a file to write", path);
    }
    if (special) {
        f->stream = fopen(path, "wb");
    } else {
        f->temporary = xprintf("%s.XXXXXX", path);
        int fd = mkstemp(f->temporary);
        if (fd >= 0) {
            mode_t mask = umask(0);
            umask(mask);
            fchmod(fd, 0666 & ~mask);
            f->stream = fdopen(fd, "wb");
        }
    }
    if (f->stream)
        return EXIT_DONE;
    int code = fail(EXIT_BAD, "%s: cannot be written: %s", path, strerror(errno));
    free(f->path);
    free(f->temporary);
    return code;
}

int out_write(struct out_file *f, const void *data, size_t n) {
    return n == 0 || fwrite(data, 1, n, f->stream) == n ? EXIT_DONE : EXIT_BAD;
}

int out_close(struct out_file *f) {
    bool bad = ferror(f->stream);
    errno = bad ? EIO : 0;
    if (fflush(f->stream) != 0)
        bad = true;
    int error = errno;
    if (fclose(f->stream) != 0 && !bad) {
        bad = true;
        error = errno;
    }
    if (!bad && f->temporary && rename(f->temporary, f->path) != 0) {
        bad = true;
        error = errno;
    }
    int code = EXIT_DONE;
    if (bad) {
        code = fail(EXIT_BAD, "%s: cannot be written: %s", f->path,
                    error ? strerror(error) : "write error");
        if (f->temporary)
            unlink(f->temporary);
    }
    free(f->path);
    free(f->temporary);
    return code;
}
