// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/graph_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bnr_model *build_model(const struct bnr_allocator *a, int opset) {
    struct bnr_model *m = bnr__model_new(a);
    assert_non_null(m);
    m->ir_version = 8;
    assert_int_equal(bnr__model_add_opset(m, "", opset), BNR_OK);
    m->graph = bnr__graph_new(m, NULL);
    assert_non_null(m->graph);
    m->graph->name = "main";
    return m;
}

struct bnr_value *build_input(struct bnr_graph *g, const char *name, enum bnr_dtype dtype, int rank,
                              const int64_t *dims) {
    struct bnr_value *v;
    assert_int_equal(bnr__value_new(&v, g, name, NULL), BNR_OK);
    assert_int_equal(bnr__graph_add_input(g, v, NULL), BNR_OK);
    struct bnr_type *declared = bnr__value_declare(v);
    declared->dtype = dtype;
    declared->shape.rank = rank;
    for (int i = 0; i < rank; i++) {
        const char symbol[2] = {(char)('a' - 1 - dims[i]), '\0'};
        declared->shape.dims[i] =
            dims[i] >= 0 ? bnr__dim_of(dims[i])
                         : (struct bnr_dim){.n = -1, .sym = bnr__model_intern(g->model, symbol)};
    }
    return v;
}

static struct bnr_value *build_constant(struct bnr_graph *g, const char *name, enum bnr_dtype dtype,
                                        int rank, const int64_t *dims, const void *data) {
    struct bnr_tensor *t;
    struct bnr_value *v;
    assert_int_equal(bnr__tensor_new(&t, g->model->allocator, dtype, rank, dims, NULL), BNR_OK);
    memcpy(t->data, data, t->nbytes);
    assert_int_equal(bnr__value_new(&v, g, name, NULL), BNR_OK);
    v->tensor = t;
    v->is_initializer = true;
    return v;
}

struct bnr_value *build_constant_f32(struct bnr_graph *g, const char *name, int rank,
                                     const int64_t *dims, const float *data) {
    return build_constant(g, name, BNR_FLOAT, rank, dims, data);
}

struct bnr_value *build_constant_i64(struct bnr_graph *g, const char *name, int rank,
                                     const int64_t *dims, const int64_t *data) {
    return build_constant(g, name, BNR_INT64, rank, dims, data);
}

struct bnr_value *build_node(struct bnr_graph *g, const char *op_type, const char *out,
                             struct bnr_value *a, struct bnr_value *b, struct bnr_value *c) {
    struct bnr_value *const in[3] = {a, b, c};
    struct bnr_node *n;
    struct bnr_value *v;
    const int n_in = c ? 3 : b ? 2 : a ? 1 : 0;
    assert_int_equal(bnr__node_new(&n, g, NULL, "", op_type, NULL, n_in, in, 1, NULL), BNR_OK);
    assert_int_equal(bnr__value_new(&v, g, out, NULL), BNR_OK);
    bnr__node_set_output(n, 0, v);
    return v;
}

void build_output(struct bnr_graph *g, struct bnr_value *v) {
    assert_int_equal(bnr__graph_add_output(g, v, NULL), BNR_OK);
}

struct bnr_graph *build_body(struct bnr_node *n, const char *attr) {
    struct bnr_graph *g = bnr__graph_new(n->graph->model, n);
    assert_non_null(g);
    g->name = attr;
    const struct bnr_attr a = {.name = attr, .type = BNR_ATTR_GRAPH, .n = 1, .graphs = &g};
    assert_int_equal(bnr__node_set_attr(n, &a), BNR_OK);
    return g;
}

static void count_graph(const struct bnr_graph *g, size_t *uses, size_t *outputs) {
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->n_in; i++) {
            const struct bnr_value *v = n->in[i];
            size_t listed = 0;
            for (size_t k = 0; v && k < v->n_uses; k++)
                listed += v->uses[k].node == n && v->uses[k].index == i;
            assert_int_equal(listed, v ? 1 : 0);
            if (v)
                uses[v->id]++;
        }
        for (size_t a = 0; a < n->n_attrs; a++)
            for (size_t i = 0; n->attrs[a].type == BNR_ATTR_GRAPH && i < n->attrs[a].n; i++)
                count_graph(n->attrs[a].graphs[i], uses, outputs);
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        outputs[g->outputs[i]->id]++;
}

void check_uses(const struct bnr_model *m) {
    size_t *uses = calloc((size_t)m->next_value_id, sizeof *uses);
    size_t *outputs = calloc((size_t)m->next_value_id, sizeof *outputs);
    assert_true(uses && outputs);
    count_graph(m->graph, uses, outputs);
    for (const struct bnr_graph *g = m->made_graphs; g; g = g->next_made)
        for (size_t i = 0; i < g->n_values; i++) {
            assert_int_equal(g->values[i]->n_uses, uses[g->values[i]->id]);
            assert_int_equal(g->values[i]->n_graph_outputs, outputs[g->values[i]->id]);
        }
    free(uses);
    free(outputs);
}

void check_valid(const struct bnr_model *m) {
    struct bnr_error err = {0};
    if (bnr__model_verify(m, &err) != BNR_OK)
        fail_msg("%s", err.message);
}

uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}
