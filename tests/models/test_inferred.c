// SPDX-License-Identifier: Apache-2.0
// What inference says, against what comes out: every intermediate value and output of every
// conformance case, first as the file is, then with the dims of its inputs; those of bodies in
// every round that they run. And of every network in the folders that BNR_MODELS and
// ONNX_TEST_DATA (light) name: all ranks are known, and with the dims of the inputs all dims that
// do not depend on data.
//
//   test_inferred [DIR ...]    these cases only, with what is not known of each
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "graph/op.h"
#include "runtime/session.h"

enum { MAX_INPUTS = 64, MAX_FILE = 1 << 22 };

struct counts {
    size_t cases, values, in_bodies, failed, skipped, ranks_open, dims_open;
};

static bool verbose;

struct given {
    bnr_tensor *in[MAX_INPUTS];
    size_t n;
};

static void given_free(struct given *g) {
    for (size_t i = 0; i < g->n; i++)
        bnr_tensor_release(g->in[i]);
}

static void given_read(struct given *g, const bnr_model *m, const char *dir) {
    memset(g, 0, sizeof *g);
    g->n = bnr_model_input_count(m) < MAX_INPUTS ? bnr_model_input_count(m) : MAX_INPUTS;
    for (size_t i = 0; i < g->n; i++) {
        char path[4096];
        struct bnr_value_info info;
        bnr_model_input(m, i, &info);
        snprintf(path, sizeof path, "%s/test_data_set_0/input_%zu.pb", dir, i);
        bnr_tensor_read_pb(&g->in[i], path, &info, NULL);
    }
}

// ---- one value ----------------------------------------------------------------------------------

static bool elems_agree(const struct bnr_info *info, const struct bnr_tensor *t) {
    for (int i = 0; info->elems && i < info->n_elems; i++)
        if (bnr__elem_is_number(info->elems[i]) &&
            bnr__tensor_i64(t, (size_t)i) != info->elems[i].n)
            return false;
    return !info->elems || (size_t)info->n_elems == t->numel;
}

static const char *disagreement(const struct bnr_info *info, const struct bnr_tensor *t) {
    const struct bnr_type *type = &info->type;
    if (type->kind == BNR_KIND_TENSOR && type->dtype == BNR_UNDEFINED && type->shape.rank < 0)
        return NULL; // nothing is known
    if (type->kind != t->kind)
        return "another kind";
    if (t->kind != BNR_KIND_TENSOR)
        return NULL;
    if (type->dtype != BNR_UNDEFINED && type->dtype != t->dtype)
        return "another dtype";
    if (type->shape.rank >= 0 && type->shape.rank != t->rank)
        return "another rank";
    for (int i = 0; i < type->shape.rank; i++)
        if (type->shape.dims[i].n >= 0 && type->shape.dims[i].n != t->dims[i])
            return "other dims";
    if (info->tensor && (info->tensor->dtype != t->dtype || info->tensor->numel != t->numel))
        return "another evaluated tensor";
    return elems_agree(info, t) ? NULL : "other elements";
}

// ---- one case -----------------------------------------------------------------------------------

static void make_outputs(struct bnr_graph *g) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i] && n->out[i]->n_graph_outputs == 0)
                bnr__graph_add_output(g, n->out[i], NULL);
}

static void compare(const struct bnr_value *v, const struct bnr_tensor *seen, const char *dir,
                    const char *when, struct counts *c) {
    const char *what = disagreement(v->info, seen);
    char said[256], got[256];
    c->values++;
    if (!what)
        return;
    c->failed++;
    printf("FAIL %s: '%s' of %s, %s: inferred %s, computed %s: %s\n", dir, v->name,
           v->producer ? v->producer->op_type : "nothing", when,
           bnr__type_describe(&v->info->type, said, sizeof said),
           bnr__tensor_describe(seen, got, sizeof got), what);
}

// ---- bodies -------------------------------------------------------------------------------------

// Stands in for the operator of a node in a body: compares what goes in and comes out.
struct probe {
    struct bnr_op op;
    const struct bnr_op *real;
};

static struct {
    const char *dir, *when;
    struct counts *counts;
} probing;

static enum bnr_status probe_ref(const struct bnr_args *a) {
    const struct bnr_node *n = a->node;
    struct counts *c = probing.counts;
    const size_t before = c->values;
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i])
            compare(n->in[i], a->in[i], probing.dir, probing.when, c);
    const enum bnr_status st = ((const struct probe *)n->op)->real->ref(a);
    for (int i = 0; st == BNR_OK && i < a->n_out; i++)
        if (a->out[i])
            compare(n->out[i], a->out[i], probing.dir, probing.when, c);
    c->in_bodies += c->values - before;
    return st;
}

static enum bnr_status probe_graph(struct bnr_graph *g, void *unused) {
    for (struct bnr_node *n = g->owner ? g->first : NULL; n; n = n->next) {
        struct probe *p = BNR_NEW(&g->model->arena, struct probe);
        if (!p)
            return BNR_NO_MEMORY;
        *p = (struct probe){.op = *n->op, .real = n->op};
        p->op.ref = probe_ref;
        n->op = &p->op;
    }
    return BNR_OK;
}

// ---- a run --------------------------------------------------------------------------------------

// The inputs' declared dims become those of what is given.
static void declare_given(struct bnr_model *m, const struct given *g) {
    for (size_t i = 0; i < g->n; i++) {
        struct bnr_value_info info;
        bnr_model_input(m, i, &info);
        for (size_t k = 0; k < m->graph->n_inputs && g->in[i]; k++)
            if (strcmp(m->graph->inputs[k]->name, info.name) == 0 &&
                g->in[i]->kind == BNR_KIND_TENSOR)
                bnr__value_declare(m->graph->inputs[k])->shape =
                    bnr__shape_of(g->in[i]->rank, g->in[i]->dims);
    }
}

// All values of m, which its outputs show, and of the bodies in it.
static enum bnr_status run_and_compare(const bnr_model *m, const struct given *g, const char *dir,
                                       const char *when, struct counts *c, struct bnr_error *err) {
    struct bnr_options o;
    bnr_session *s;
    bnr_options_init(&o);
    o.threads = 1;
    o.flags = BNR_REFERENCE;
    const size_t n = m->graph->n_outputs;
    bnr_tensor **out = calloc(n + 1, sizeof *out);
    enum bnr_status st = bnr_session_create(&s, m, &o, err);
    if (st == BNR_OK)
        st = bnr__model_each_graph(s->model, probe_graph, NULL);
    probing.dir = dir;
    probing.when = when;
    probing.counts = c;
    if (st == BNR_OK)
        st = bnr_run(s, (const bnr_tensor *const *)g->in, g->n, out, n, err);
    for (size_t i = 0; st == BNR_OK && i < n; i++)
        compare(m->graph->outputs[i], out[i], dir, when, c);
    for (size_t i = 0; i < n; i++)
        bnr_tensor_release(out[i]);
    free(out);
    bnr_session_free(s);
    return st;
}

static void compare_twice(bnr_model *m, const struct given *g, const char *dir, struct counts *c) {
    struct bnr_error err;
    make_outputs(m->graph);
    if (run_and_compare(m, g, dir, "as the file is", c, &err) != BNR_OK) {
        c->skipped++;
        if (verbose)
            printf("%s: %s\n", dir, err.message);
        return;
    }
    c->cases++;
    declare_given(m, g);
    if (bnr__model_infer(m, &err) != BNR_OK ||
        run_and_compare(m, g, dir, "for these inputs", c, &err) != BNR_OK) {
        c->failed++;
        printf("FAIL %s: with the dims of these inputs: %s\n", dir, err.message);
    }
}

static void check_case(const char *dir, struct counts *c) {
    char path[4096];
    struct bnr_error err;
    struct stat st;
    bnr_model *m;
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    if (stat(path, &st) != 0 || st.st_size > MAX_FILE ||
        bnr_model_load_file(&m, path, NULL, &err) != BNR_OK || bnr_model_missing(m, 0)) {
        c->skipped++;
        return;
    }
    struct given g;
    given_read(&g, m, dir);
    compare_twice(m, &g, dir, c);
    given_free(&g);
    bnr_model_free(m);
}

// ---- networks -----------------------------------------------------------------------------------

static void report_open(const struct bnr_value *v, const char *dir, const char *what) {
    char text[256];
    if (verbose)
        printf("%s: '%s' of %s has %s: %s\n", dir, v->name, v->producer->op_type, what,
               bnr__type_describe(&v->info->type, text, sizeof text));
}

// Whether the dims of what n makes follow from the elements of something that is computed from
// data.
static bool depends_on_data(const struct bnr_node *n) {
    if (n->op->flags & BNR_OP_DATA_SHAPE)
        return true;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->info->type.kind == BNR_KIND_TENSOR &&
            !bnr__shape_known(&n->in[i]->info->type.shape))
            return true; // reported, or excused, where it was made
    return false;
}

static void count_open(const struct bnr_model *m, const char *dir, bool dims, struct counts *c) {
    for (const struct bnr_node *n = m->graph->first; n; n = n->next)
        for (int i = 0; i < n->n_out; i++) {
            const struct bnr_value *v = n->out[i];
            if (!v || v->info->type.kind != BNR_KIND_TENSOR)
                continue;
            c->values++;
            if (v->info->type.shape.rank < 0 && !dims) {
                c->ranks_open++;
                report_open(v, dir, "no rank");
            } else if (dims && !bnr__shape_known(&v->info->type.shape) && !depends_on_data(n)) {
                c->dims_open++;
                report_open(v, dir, "open dims");
            }
        }
}

static void check_network(const char *dir, struct counts *c) {
    char path[4096];
    struct bnr_error err;
    bnr_model *m;
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    if (bnr_model_load_file(&m, path, NULL, &err) != BNR_OK || bnr_model_missing(m, 0)) {
        c->skipped++;
        return;
    }
    struct given g;
    given_read(&g, m, dir);
    c->cases++;
    m->freeze_initializers = true; // shapes that could be overridden are not
    const size_t ranks = c->ranks_open, dims = c->dims_open;
    enum bnr_status status = bnr__model_infer(m, &err);
    if (status == BNR_OK) {
        count_open(m, dir, false, c);
        declare_given(m, &g);
        status = bnr__model_infer(m, &err);
    }
    if (status != BNR_OK) {
        c->failed++;
        printf("FAIL %s: %s\n", dir, err.message);
    } else {
        count_open(m, dir, true, c);
    }
    if (c->ranks_open > ranks || c->dims_open > dims) {
        c->failed++;
        printf("FAIL %s: %zu values without rank, %zu with open dims\n", dir, c->ranks_open - ranks,
               c->dims_open - dims);
    }
    given_free(&g);
    bnr_model_free(m);
}

// ---- all ----------------------------------------------------------------------------------------

static void each(const char *folder, const char *pattern,
                 void (*check)(const char *, struct counts *), struct counts *c) {
    char path[4096];
    glob_t dirs = {0};
    snprintf(path, sizeof path, "%s/%s", folder, pattern);
    if (folder && *folder && glob(path, 0, NULL, &dirs) == 0)
        for (size_t i = 0; i < dirs.gl_pathc; i++)
            check(dirs.gl_pathv[i], c);
    globfree(&dirs);
}

int main(int argc, char **argv) {
    const char *newer = getenv("ONNX_TEST_DATA"), *models = getenv("BNR_MODELS");
    struct counts cases = {0}, networks = {0};
    verbose = argc > 1;
    for (int i = 1; i < argc; i++) {
        check_case(argv[i], &cases);
        check_network(argv[i], &networks);
    }
    if (argc == 1) {
        each("/usr/share/libonnx-testdata/data", "*/*", check_case, &cases);
        each(newer, "[!l]*/*", check_case, &cases);
        each(newer, "light/*", check_network, &networks);
        each(models, "*", check_network, &networks);
    }
    if (cases.cases + networks.cases == 0)
        printf("skip: no conformance cases: libonnx-testdata is not installed\n");
    printf("%zu cases, %zu values, %zu of them in bodies; %zu networks, %zu values; %zu cases do not "
           "run; %zu failed\n",
           cases.cases, cases.values, cases.in_bodies, networks.cases, networks.values,
           cases.skipped + networks.skipped, cases.failed + networks.failed);
    return cases.failed + networks.failed > 0 || (argc == 1 && cases.cases > 0 && !cases.in_bodies);
}
