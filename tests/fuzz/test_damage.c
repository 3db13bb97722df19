// SPDX-License-Identifier: Apache-2.0
// The conformance cases, damaged: whatever is changed in them, a case either runs or is refused by
// one line, within a time and a memory limit, and everything is given back. What runs gives the
// same twice, and outputs of the same dtype and dims by reference code.
//
//   test_damage                     every case a few times (BNR_DAMAGE_ROUNDS=N: N times each),
//   from seed
//                                   BNR_DAMAGE_SEED (default 1); a summary at the end
//   test_damage DIR ROUND [SEED]    one damaged case, with what was changed and what came of it
//
// Cases are libonnx-testdata's and those of the folder that ONNX_TEST_DATA names.
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/op.h"
#include "runtime/base/alloc.h"
#include "tests/lib/damage.h"

enum { SECONDS = 20, CAP = 64 << 20, WORKERS = 2, DEFAULT_ROUNDS = 30 };

// What a worker is at, for the parent to read when it dies.
struct progress {
    size_t dir, round; // the next ones to do
    size_t runs, refused, refused_memory, failures;
    char what[600], reason[1200];
};

struct job {
    char **dirs;
    size_t n_dirs, rounds;
    uint64_t seed;
    bool show;
};

// ---- memory -------------------------------------------------------------------------------------

struct memory {
    size_t live;
    bool refused;
};

static void *limited(void *user, void *ptr, size_t old_size, size_t new_size) {
    struct memory *m = user;
    const size_t live = __atomic_load_n(&m->live, __ATOMIC_RELAXED);
    if (new_size > old_size && new_size - old_size > CAP - live) {
        __atomic_store_n(&m->refused, true, __ATOMIC_RELAXED);
        return NULL;
    }
    void *p = NULL;
    if (new_size == 0)
        free(ptr);
    else if (!(p = realloc(ptr, new_size)))
        return NULL;
    __atomic_fetch_add(&m->live, new_size - old_size, __ATOMIC_RELAXED);
    return p;
}

// ---- one case -----------------------------------------------------------------------------------

struct source {
    uint8_t *bytes;
    size_t size;
    bnr_tensor *inputs[DAMAGE_MAX_INPUTS]; // of the first data set; NULL: none there
    char *names[DAMAGE_MAX_INPUTS];        // of the model's inputs
    size_t n_inputs;
};

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    const long n = ftell(f);
    rewind(f);
    uint8_t *data = n >= 0 && n < 1 << 22 ? malloc((size_t)n + 1) : NULL;
    *size = data ? fread(data, 1, (size_t)n, f) : 0;
    fclose(f);
    return data;
}

static void source_free(struct source *s) {
    for (size_t i = 0; i < s->n_inputs; i++) {
        bnr_tensor_release(s->inputs[i]);
        free(s->names[i]);
    }
    free(s->bytes);
}

// False for a case that is too large, or that cannot be read as it is.
static bool source_read(struct source *s, const char *dir) {
    char path[4096];
    bnr_model *m;
    memset(s, 0, sizeof *s);
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    s->bytes = read_file(path, &s->size);
    if (!s->bytes || bnr_model_load_file(&m, path, NULL, NULL) != BNR_OK)
        return false;
    for (size_t i = 0; i < bnr_model_input_count(m) && i < DAMAGE_MAX_INPUTS; i++) {
        struct bnr_value_info info;
        bnr_model_input(m, i, &info);
        s->names[i] = strdup(info.name);
        s->n_inputs++;
        snprintf(path, sizeof path, "%s/test_data_set_0/input_%zu.pb", dir, i);
        bnr_tensor_read_pb(&s->inputs[i], path, &info, NULL);
        if (s->inputs[i] && s->inputs[i]->numel > 1 << 16)
            s->n_inputs = DAMAGE_MAX_INPUTS; // too large
    }
    bnr_model_free(m);
    return s->n_inputs < DAMAGE_MAX_INPUTS;
}

static void *arena_alloc(void *arena, size_t size) {
    return bnr__arena_alloc(arena, size ? size : 1);
}
static void arena_free(void *arena, void *p) {
}

static bool damage_make(struct damage *d, const struct source *s, struct bnr_arena *arena,
                        uint64_t seed) {
    ProtobufCAllocator allocator = {
        .alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    *d = (struct damage){.state = seed, .arena = arena};
    d->model = onnx__model_proto__unpack(&allocator, s->size, s->bytes);
    if (!d->model || !d->model->graph || d->model->graph->n_input > DAMAGE_MAX_INPUTS)
        return false;
    const Onnx__GraphProto *g = d->model->graph;
    d->n_inputs = g->n_input;
    for (size_t i = 0; i < g->n_input; i++)
        for (size_t k = 0; k < s->n_inputs; k++)
            if (g->input[i]->name && strcmp(g->input[i]->name, s->names[k]) == 0 && s->inputs[k])
                d->inputs[i] = bnr_tensor_retain(s->inputs[k]);
    damage_apply(d);
    return true;
}

// ---- what comes of it ---------------------------------------------------------------------------

static bool is_random(const bnr_model *m) {
    struct bnr_node_info info;
    for (size_t i = 0; bnr_model_node(m, i, &info) == BNR_OK; i++) {
        const struct bnr_op *op = bnr__op_find(info.domain, info.op_type);
        if (op && (op->flags & BNR_OP_RANDOM || strcmp(info.op_type, "Dropout") == 0 ||
                   op->infer == NULL))
            return true;
    }
    return false;
}

// A refusal is one line that says where.
static const char *wrong_error(enum bnr_status st, const struct bnr_error *err,
                               const struct memory *memory) {
    if (err->code != st)
        return "the error's code is not the status";
    if (st == BNR_INTERNAL)
        return "an internal error";
    if (st == BNR_NO_MEMORY)
        return memory->refused || strstr(err->message, "the machine has")
                   ? NULL
                   : "out of memory, although there is some";
    if (!err->message[0] || strchr(err->message, '\n'))
        return "not one line";
    if (!strchr(err->message, '\''))
        return "the message names nothing";
    return NULL;
}

struct outcome {
    enum bnr_status status;
    struct bnr_error err;
    bnr_tensor *outputs[2][DAMAGE_MAX_INPUTS]; // of two runs
    size_t n_outputs;
};

static void outcome_free(struct outcome *o) {
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < o->n_outputs; i++)
            bnr_tensor_release(o->outputs[k][i]);
}

static void run_twice(struct outcome *o, const bnr_model *m, const struct damage *d, unsigned flags,
                      const struct bnr_allocator *allocator) {
    struct bnr_options options;
    bnr_session *session;
    const bnr_tensor *inputs[DAMAGE_MAX_INPUTS] = {NULL};
    const size_t n = bnr_model_input_count(m);
    bnr_options_init(&options);
    options.threads = 1;
    options.flags = flags;
    options.allocator = allocator;
    o->n_outputs = bnr_model_output_count(m);
    if (n > DAMAGE_MAX_INPUTS || o->n_outputs > DAMAGE_MAX_INPUTS) {
        o->status = BNR_OK;
        o->n_outputs = 0;
        return;
    }
    for (size_t k = 0; k < n; k++) {
        struct bnr_value_info info;
        bnr_model_input(m, k, &info);
        for (size_t i = 0; i < d->n_inputs; i++)
            if (strcmp(d->model->graph->input[i]->name, info.name) == 0)
                inputs[k] = d->inputs[i];
    }
    o->status = bnr_session_create(&session, m, &options, &o->err);
    for (int k = 0; k < 2 && o->status == BNR_OK; k++)
        o->status = bnr_run(session, inputs, n, o->outputs[k], o->n_outputs, &o->err);
    bnr_session_free(session);
}

static const char *compare(const struct outcome *fast, const struct outcome *plain, bool random) {
    for (size_t i = 0; i < fast->n_outputs && !random; i++)
        if (!bnr__tensor_equal(fast->outputs[0][i], fast->outputs[1][i]))
            return "a second run gives something else";
    for (size_t i = 0; i < fast->n_outputs && plain->status == BNR_OK; i++) {
        const struct bnr_tensor *a = fast->outputs[0][i], *b = plain->outputs[0][i];
        if (a->kind != b->kind || (a->kind == BNR_KIND_TENSOR && a->dtype != b->dtype))
            return "reference code gives another type";
        if (a->kind == BNR_KIND_TENSOR &&
            (a->rank != b->rank ||
             memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0))
            return "reference code gives other dims";
    }
    return NULL;
}

// NULL, or what is wrong. *text: the refusal.
static const char *try_case(const struct damage *d, struct progress *p, char text[1200]) {
    struct memory memory = {0};
    const struct bnr_allocator allocator = {.reallocate = limited, .user = &memory};
    const size_t size = onnx__model_proto__get_packed_size(d->model);
    uint8_t *bytes = malloc(size + 1); // exact, so that reading behind the end is seen
    bytes = realloc(bytes, onnx__model_proto__pack(d->model, bytes) + (size == 0));
    struct outcome fast = {.err = {0}}, plain = {.err = {0}};
    const char *wrong = NULL;
    bnr_model *m;
    fast.status = bnr_model_load(&m, bytes, size, &allocator, &fast.err);
    if (fast.status == BNR_OK) {
        run_twice(&fast, m, d, 0, &allocator);
        run_twice(&plain, m, d, BNR_REFERENCE, &allocator);
        if (plain.status != BNR_OK)
            wrong = wrong_error(plain.status, &plain.err, &memory);
        else if (fast.status == BNR_OK)
            wrong = compare(&fast, &plain, is_random(m));
    }
    if (fast.status != BNR_OK && !wrong)
        wrong = wrong_error(fast.status, &fast.err, &memory);
    p->runs += fast.status == BNR_OK;
    p->refused += fast.status != BNR_OK && fast.status != BNR_NO_MEMORY;
    p->refused_memory += fast.status == BNR_NO_MEMORY;
    snprintf(text, 1200, "%s",
             fast.status == BNR_OK ? plain.status == BNR_OK ? "runs" : plain.err.message
                                   : fast.err.message);
    outcome_free(&fast);
    outcome_free(&plain);
    bnr_model_free(m);
    free(bytes);
    if (memory.live > 0 && !wrong)
        wrong = "memory is not given back";
    return wrong;
}

// ---- workers ------------------------------------------------------------------------------------

static uint64_t seed_of(const struct job *job, const char *dir, size_t round) {
    uint64_t h = job->seed * 0x9e3779b97f4a7c15u + round;
    const char *name = strrchr(dir, '/');
    for (const char *c = name ? name : dir; *c; c++)
        h = (h ^ (uint8_t)*c) * 0x100000001b3u;
    return h;
}

static void one_round(const struct job *job, const struct source *s, const char *dir,
                      struct progress *p) {
    struct damage d;
    struct bnr_arena arena;
    char text[1200] = "";
    bnr__arena_init(&arena, NULL);
    if (damage_make(&d, s, &arena, seed_of(job, dir, p->round))) {
        snprintf(p->what, sizeof p->what, "%s", d.what);
        alarm(SECONDS);
        const char *wrong = try_case(&d, p, text);
        alarm(0);
        if (wrong)
            p->failures++;
        if (wrong || job->show)
            printf("%s %s %zu %llu%s: %s: %s\n", wrong ? "FAIL" : "ok", dir, p->round,
                   (unsigned long long)job->seed, d.what, wrong ? wrong : "fine", text);
    }
    for (size_t i = 0; i < d.n_inputs; i++)
        bnr_tensor_release(d.inputs[i]);
    bnr__arena_free(&arena);
}

static void work(const struct job *job, struct progress *p, int worker) {
    for (; p->dir < job->n_dirs; p->dir += WORKERS, p->round = 0) {
        const char *dir = job->dirs[p->dir];
        struct source s;
        p->what[0] = '\0';
        if (source_read(&s, dir))
            for (; p->round < job->rounds; p->round++)
                one_round(job, &s, dir, p);
        source_free(&s);
    }
    fflush(stdout);
}

static pid_t start(const struct job *job, struct progress *p, int worker) {
    fflush(NULL);
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    setvbuf(stdout, NULL, _IOLBF, 0);
    work(job, p, worker);
    _exit(0);
}

static void died(const struct job *job, struct progress *p, int status) {
    const bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    char how[80];
    if (late)
        snprintf(how, sizeof how, "no result after %d s", SECONDS);
    else if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "%s", strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(status));
    printf("FAIL %s %zu %llu%s: %s\n", job->dirs[p->dir], p->round, (unsigned long long)job->seed,
           p->what, how);
    p->failures++;
    p->round++;
}

static int run_all(const struct job *job) {
    struct progress *p =
        mmap(NULL, WORKERS * sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[WORKERS];
    if (p == MAP_FAILED)
        return 2;
    for (int i = 0; i < WORKERS; i++) {
        p[i].dir = (size_t)i;
        pids[i] = start(job, &p[i], i);
    }
    for (int running = WORKERS; running > 0;) {
        int status, i = 0;
        const pid_t pid = wait(&status);
        while (i < WORKERS && pids[i] != pid)
            i++;
        if (pid < 0 || i == WORKERS)
            return 2;
        if (status == 0) {
            running--;
            continue;
        }
        died(job, &p[i], status);
        pids[i] = start(job, &p[i], i);
    }
    struct progress sum = {0};
    for (int i = 0; i < WORKERS; i++) {
        sum.runs += p[i].runs;
        sum.refused += p[i].refused;
        sum.refused_memory += p[i].refused_memory;
        sum.failures += p[i].failures;
    }
    printf("%zu damaged cases of %zu directories: %zu run, %zu are refused, %zu for want of "
           "memory; %zu failures\n",
           sum.runs + sum.refused + sum.refused_memory, job->n_dirs, sum.runs, sum.refused,
           sum.refused_memory, sum.failures);
    return sum.failures > 0 || sum.runs == 0;
}

static uint64_t number(const char *text, uint64_t fallback) {
    return text && *text ? strtoull(text, NULL, 10) : fallback;
}

int main(int argc, char **argv) {
    struct job job = {.rounds = number(getenv("BNR_DAMAGE_ROUNDS"), DEFAULT_ROUNDS),
                      .seed = number(getenv("BNR_DAMAGE_SEED"), 1)};
    if (argc > 2) {
        struct progress p = {.round = number(argv[2], 0)};
        struct source s;
        job.seed = number(argc > 3 ? argv[3] : NULL, job.seed);
        job.show = true;
        if (source_read(&s, argv[1]))
            one_round(&job, &s, argv[1], &p);
        source_free(&s);
        return p.failures > 0;
    }
    const char *newer = getenv("ONNX_TEST_DATA");
    char pattern[4096];
    glob_t dirs = {0};
    int flags = 0;
    const char *const roots[] = {"/usr/share/libonnx-testdata/data", newer ? newer : ""};
    for (size_t i = 0; i < BNR_COUNT(roots); i++) {
        snprintf(pattern, sizeof pattern, "%s/*/*", roots[i]);
        if (roots[i][0] && glob(pattern, flags, NULL, &dirs) == 0)
            flags = GLOB_APPEND;
    }
    if (dirs.gl_pathc == 0) {
        printf("skip: no conformance cases: libonnx-testdata is not installed\n");
        return 0;
    }
    job.dirs = dirs.gl_pathv;
    job.n_dirs = dirs.gl_pathc;
    const int code = run_all(&job);
    globfree(&dirs);
    return code;
}
