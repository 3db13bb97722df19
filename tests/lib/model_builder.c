// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/model_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/interface.h"

static bool ok(struct model_builder *t, enum bnr_status status) {
    t->failed = t->failed || status != BNR_OK;
    return !t->failed;
}

void mb_begin(struct model_builder *t, int opset, const struct bnr_allocator *a) {
    *t = (struct model_builder){.model = bnr__model_new(a)};
    t->failed = !t->model;
    if (t->failed || !ok(t, bnr__model_add_opset(t->model, "", opset)))
        return;
    t->model->ir_version = 8;
    t->graph = t->model->graph = bnr__graph_new(t->model, NULL);
    t->failed = !t->graph;
}

struct bnr_value *mb_input(struct model_builder *t, const char *name, enum bnr_dtype dtype,
                           int rank, const int64_t *dims) {
    struct bnr_value *v;
    if (t->failed || !ok(t, bnr__value_new(&v, t->graph, name, &t->err)))
        return NULL;
    bnr__value_declare(v)->dtype = dtype;
    bnr__value_declare(v)->shape = bnr__shape_of(rank, dims);
    for (int d = 0; d < rank; d++) {
        if (dims[d] >= 0)
            continue;
        const char symbol[2] = {(char)('A' - 1 - dims[d]), 0};
        bnr__value_declare(v)->shape.dims[d] =
            (struct bnr_dim){-1, bnr__model_intern(t->model, symbol)};
        t->failed = t->failed || !v->declared->shape.dims[d].sym;
    }
    ok(t, bnr__graph_add_input(t->graph, v, &t->err));
    return v;
}

static void fill(struct bnr_tensor *t, uint64_t seed) {
    for (size_t i = 0; i < t->numel; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const double x = (double)(seed >> 40) / 0x1p23 - 1;
        const int64_t whole = (int64_t)(x * 4);
        void *at = t->u8 + i * bnr__dtype_size(t->dtype);
        if (bnr__dtype_is_float(t->dtype))
            bnr__store_f64(t->dtype, at, &x, 1);
        else
            bnr__store_i64(t->dtype, at, &whole, 1);
    }
}

static struct bnr_value *constant(struct model_builder *t, struct bnr_tensor *x) {
    struct bnr_value *v;
    return ok(t, bnr__value_constant(&v, t->graph, "c", x, &t->err)) ? v : NULL;
}

struct bnr_value *mb_weights(struct model_builder *t, int rank, const int64_t *dims) {
    struct bnr_tensor *x;
    if (t->failed ||
        !ok(t, bnr__tensor_new(&x, t->model->allocator, BNR_FLOAT, rank, dims, &t->err)))
        return NULL;
    fill(x, (uint64_t)t->model->next_value_id);
    return constant(t, x);
}

struct bnr_value *mb_ints(struct model_builder *t, size_t n, const int64_t *values) {
    struct bnr_tensor *x;
    const int64_t dims[1] = {(int64_t)n};
    if (t->failed || !ok(t, bnr__tensor_new(&x, t->model->allocator, BNR_INT64, 1, dims, &t->err)))
        return NULL;
    memcpy(x->i64, values, n * sizeof *values);
    return constant(t, x);
}

struct bnr_value *mb_op(struct model_builder *t, const char *op_type, struct bnr_value *in0,
                        struct bnr_value *in1, struct bnr_value *in2) {
    struct bnr_value *const in[3] = {in0, in1, in2};
    const int n_in = in2 ? 3 : in1 ? 2 : in0 ? 1 : 0;
    struct bnr_node *n;
    struct bnr_value *v;
    if (t->failed ||
        !ok(t, bnr__node_new(&n, t->graph, NULL, "", op_type, NULL, n_in, in, 1, &t->err)) ||
        !ok(t, bnr__value_new(&v, t->graph, NULL, &t->err)))
        return NULL;
    bnr__node_set_output(n, 0, v);
    return v;
}

void mb_output(struct model_builder *t, struct bnr_value *v) {
    if (!t->failed)
        ok(t, bnr__graph_add_output(t->graph, v, &t->err));
}

struct bnr_graph *mb_enter(struct model_builder *t, struct bnr_node *n) {
    struct bnr_graph *body = t->failed ? NULL : bnr__graph_new(t->model, n);
    t->failed = !body;
    if (body)
        t->graph = body;
    return body;
}

void mb_leave(struct model_builder *t, const char *name) {
    if (t->failed)
        return;
    struct bnr_graph *body = t->graph;
    const struct bnr_attr attr = {.name = name, .type = BNR_ATTR_GRAPH, .n = 1, .graphs = &body};
    ok(t, bnr__node_set_attr(body->owner, &attr));
    t->graph = body->owner->graph;
}

struct bnr_model *mb_end(struct model_builder *t) {
    if (!t->failed)
        ok(t, bnr__model_complete(t->model, &t->err));
    if (!t->failed)
        ok(t, bnr__model_verify(t->model, &t->err));
    if (!t->failed)
        return t->model;
    bnr__model_free(t->model);
    return NULL;
}

struct bnr_session *mb_session(const struct bnr_model *m, unsigned flags, const char *cpu,
                               int threads) {
    struct bnr_session *s;
    struct bnr_error err;
    struct bnr_options o;
    bnr_options_init(&o);
    o.flags = flags;
    o.cpu = cpu;
    o.threads = threads;
    if (bnr_session_create(&s, m, &o, &err) != BNR_OK)
        fail_msg("%s", err.message);
    return s;
}

struct bnr_tensor *mb_tensor(enum bnr_dtype dtype, int rank, const int64_t *dims, uint64_t seed) {
    struct bnr_tensor *t;
    assert_int_equal(bnr__tensor_new(&t, NULL, dtype, rank, dims, NULL), BNR_OK);
    fill(t, seed);
    return t;
}
