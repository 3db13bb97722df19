// SPDX-License-Identifier: Apache-2.0
// Saving models: what comes back is what was there, untouched parts byte for byte, edits and nothing else
// where something was edited; external data; files that cannot be written; failed allocations.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/onnx_file.h"
#include "proto/write.h"
#include "graph/op.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/proto_test.h"

static struct bnr_arena arena;
static char folder[256], path[300];

static int setup(void **state) {
    (void)state;
    bnr__arena_init(&arena, NULL);
    test_folder_make(folder);
    snprintf(path, sizeof path, "%s/out.onnx", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    bnr__arena_free(&arena);
    test_folder_remove(folder);
    return 0;
}

static struct bnr_model *load(const Onnx__ModelProto *p) {
    struct bnr_model *m;
    struct bnr_error err;
    if (pb_load(&arena, p, &m, &err) != BNR_OK)
        fail_msg("%s", err.message);
    return m;
}

static struct bnr_model *load_path(const char *from) {
    struct bnr_model *m;
    struct bnr_error err;
    if (bnr__model_read_file(&m, from, NULL, &err) != BNR_OK)
        fail_msg("%s", err.message);
    return m;
}

static void save(const struct bnr_model *m, const struct bnr_model *origin) {
    struct bnr_error err;
    if (bnr__model_write_file(m, origin, path, &err) != BNR_OK)
        fail_msg("%s", err.message);
}

// The saved file, unpacked by protobuf-c alone.
static Onnx__ModelProto *unpack_saved(void) {
    size_t size;
    uint8_t *bytes = read_bytes(path, &size);
    assert_non_null(bytes);
    Onnx__ModelProto *p = onnx__model_proto__unpack(NULL, size, bytes);
    free(bytes);
    assert_non_null(p);
    return p;
}

static void expect_same_graph(const struct bnr_model *a, const struct bnr_model *b) {
    char *x = pb_print(a), *y = pb_print(b);
    if (strcmp(x, y) != 0)
        fail_msg("differs:\n%s\n%s", x, y);
    free(x);
    free(y);
}

static void check_round_trip(const struct bnr_model *m, const struct bnr_model *origin) {
    save(m, origin);
    struct bnr_model *back = load_path(path);
    expect_same_graph(m, back);
    assert_int_equal(test_folder_count(folder), 1); // no temporary file is left
    bnr__model_free(back);
}

// ---- round trips ------------------------------------------------------------------------------------

static void test_round_trip(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena)), *clone, *again;
    check_round_trip(m, m);
    assert_int_equal(bnr__model_clone(&clone, m, NULL), BNR_OK);
    check_round_trip(clone, m);
    // From the saved file, over the saved file.
    again = load_path(path);
    check_round_trip(again, again);
    bnr__model_free(again);
    // Without origin only what the graph knows is left.
    save(clone, NULL);
    again = load_path(path);
    assert_int_equal(again->graph->n_nodes, clone->graph->n_nodes);
    assert_int_equal(again->graph->n_values, clone->graph->n_values);
    assert_int_equal(again->ir_version, 8);
    assert_string_equal(again->doc, "a model's note");
    bnr__model_free(again);
    bnr__model_free(clone);
    bnr__model_free(m);
}

// A model without functions comes back byte for byte.
static void test_bytes(void **state) {
    (void)state;
    size_t size, saved_size;
    Onnx__ModelProto *p = pb_rich_model(&arena);
    p->n_functions = 0;
    p->graph->n_value_info = 1; // the second is of no value
    p->graph->node[0] = pb_node(&arena, "Relu", "x", "h");
    uint8_t *bytes = pb_pack(&arena, p, &size);
    struct bnr_model *m = load(p);
    save(m, m);
    uint8_t *saved = read_bytes(path, &saved_size);
    assert_int_equal(saved_size, size);
    assert_memory_equal(saved, bytes, size);
    free(saved);
    bnr__model_free(m);
}

// Everything that the graph does not hold.
static void test_notes(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena));
    save(m, m);
    Onnx__ModelProto *p = unpack_saved();
    assert_string_equal(p->producer_name, "a test");
    assert_int_equal(p->model_version, 3);
    assert_string_equal(p->metadata_props[0]->value, "nobody");
    assert_int_equal(p->n_training_info, 1);
    Onnx__TensorProto *rate = p->training_info[0]->algorithm->initializer[0];
    assert_int_equal(rate->raw_data.len, 800);
    float last;
    memcpy(&last, rate->raw_data.data + 796, 4);
    assert_true(last == 0.5f * 199);
    assert_string_equal(p->training_info[0]->update_binding[0]->key, "weight");
    assert_int_equal(p->n_functions, 0); // inlined
    Onnx__GraphProto *g = p->graph;
    assert_string_equal(g->doc_string, "a graph's note");
    assert_string_equal(g->metadata_props[0]->key, "graph");
    assert_string_equal(g->input[0]->doc_string, "an input's note");
    assert_int_equal(g->n_value_info, 1); // "gone" is no value
    assert_string_equal(g->value_info[0]->name, "chosen");
    assert_int_equal(g->n_quantization_annotation, 1);
    assert_string_equal(g->initializer[0]->doc_string, "how it was trained");
    assert_string_equal(g->initializer[0]->metadata_props[0]->value, "note");
    assert_int_equal(g->initializer[1]->n_float_data, 4); // its encoding stays
    assert_int_equal(g->n_sparse_initializer, 1);
    bool found = false;
    for (size_t i = 0; i < g->n_node; i++)
        if (strcmp(g->node[i]->op_type, "Everything") == 0) {
            found = true;
            assert_string_equal(g->node[i]->doc_string, "a node's note");
            assert_string_equal(g->node[i]->metadata_props[0]->value, "meta");
            assert_string_equal(g->node[i]->attribute[0]->doc_string, "an attribute's note");
            assert_string_equal(g->node[i]->input[1], "");
        }
    assert_true(found);
    onnx__model_proto__free_unpacked(p, NULL);
    bnr__model_free(m);
}

// ---- edits ------------------------------------------------------------------------------------------

static struct bnr_node *find_op(const struct bnr_graph *g, const char *op) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (strcmp(n->op_type, op) == 0)
            return n;
    fail_msg("no node %s", op);
    return NULL;
}

static struct bnr_tensor *float_tensor(int64_t n, float value) {
    struct bnr_tensor *t;
    assert_int_equal(bnr__tensor_new(&t, NULL, BNR_FLOAT, 1, &n, NULL), BNR_OK);
    for (int64_t i = 0; i < n; i++)
        t->f32[i] = value;
    return t;
}

static void test_edits(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena)), *clone;
    struct bnr_value *v;
    assert_int_equal(bnr__model_clone(&clone, m, NULL), BNR_OK);
    struct bnr_node *n = find_op(clone->graph, "Everything");
    assert_int_equal(bnr__node_set_attr_float(n, "floats", 8.0f), BNR_OK);
    assert_int_equal(bnr__node_set_attr_int(n, "added", 42), BNR_OK);
    assert_int_equal(
        bnr__value_constant(&v, clone->graph, "weight", float_tensor(300, 7.0f), NULL), BNR_OK);
    struct bnr_value *old = n->in[2];
    assert_int_equal(bnr__node_set_input(n, 2, v), BNR_OK);
    bnr__value_remove(old);
    n = find_op(clone->graph, "Mul");
    old = n->in[1];
    assert_int_equal(bnr__node_set_input(n, 1, n->in[0]), BNR_OK);
    bnr__value_remove(old); // the Constant, with its annotation
    save(clone, m);
    struct bnr_model *back = load_path(path);
    assert_int_equal(back->graph->n_values, clone->graph->n_values);
    assert_true(bnr__value_find(back->graph, "weight_folded")->tensor->f32[299] == 7.0f);
    bnr__model_free(back);

    Onnx__ModelProto *p = unpack_saved();
    assert_int_equal(p->graph->n_quantization_annotation, 0);
    assert_string_equal(p->graph->initializer[p->graph->n_initializer - 1]->name, "weight_folded");
    for (size_t i = 0; i < p->graph->n_node; i++) {
        assert_string_not_equal(p->graph->node[i]->op_type, "Constant");
        if (strcmp(p->graph->node[i]->op_type, "Everything") != 0)
            continue;
        assert_string_equal(p->graph->node[i]->doc_string, "a node's note");
        assert_string_equal(p->graph->node[i]->input[2], "weight_folded");
        assert_string_equal(p->graph->node[i]->attribute[0]->doc_string, "an attribute's note");
        bool changed = false, added = false;
        for (size_t k = 0; k < p->graph->node[i]->n_attribute; k++) {
            const Onnx__AttributeProto *a = p->graph->node[i]->attribute[k];
            changed |= strcmp(a->name, "floats") == 0 && a->has_f && a->f == 8.0f && !a->n_floats;
            added |= strcmp(a->name, "added") == 0 && a->i == 42;
        }
        assert_true(changed && added);
    }
    onnx__model_proto__free_unpacked(p, NULL);
    bnr__model_free(clone);
    bnr__model_free(m);
}

// Every type of attribute, made anew.
static void test_new_attributes(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_relu_model(&arena));
    struct bnr_node *n = m->graph->first;
    struct bnr_tensor *t = float_tensor(5, 0), *list[2] = {t, t};
    t->f32[3] = 2.0f;
    const struct bnr_str strings[] = {{"a", 1}, {"", 0}};
    const struct bnr_type types[] = {
        {.kind = BNR_KIND_TENSOR, .dtype = BNR_INT4, .shape = {.rank = -1}},
        {.kind = BNR_KIND_SEQUENCE, .shape = {.rank = -1}, .elem = &types[0]},
        {.kind = BNR_KIND_OPTIONAL, .shape = {.rank = -1}, .elem = &types[1]},
        {.kind = BNR_KIND_MAP, .dtype = BNR_INT64, .shape = {.rank = -1}, .elem = &types[0]},
        {.kind = BNR_KIND_SPARSE, .dtype = BNR_FLOAT, .shape = {.rank = 1, .dims = {{.n = 4}}}},
    };
    const struct bnr_attr attrs[] = {
        {.name = "strings", .type = BNR_ATTR_STRINGS, .n = 2, .strings = strings},
        {.name = "tensor", .type = BNR_ATTR_TENSOR, .n = 1, .tensors = list},
        {.name = "tensors", .type = BNR_ATTR_TENSORS, .n = 2, .tensors = list},
        {.name = "sparse", .type = BNR_ATTR_SPARSE_TENSOR, .n = 1, .tensors = list},
        {.name = "sparses", .type = BNR_ATTR_SPARSE_TENSORS, .n = 2, .tensors = list},
        {.name = "type", .type = BNR_ATTR_TYPE_PROTO, .n = 1, .types = types},
        {.name = "types", .type = BNR_ATTR_TYPE_PROTOS, .n = 5, .types = types},
        {.name = "floats", .type = BNR_ATTR_FLOATS, .n = 2, .floats = (float[]){1, 2}},
        {.name = "none", .type = BNR_ATTR_INTS, .n = 0},
    };
    assert_int_equal(bnr__node_set_attr_string(n, "string", "text"), BNR_OK);
    assert_int_equal(bnr__node_set_attr_ints(n, "ints", (int64_t[]){1, -1}, 2), BNR_OK);
    for (size_t i = 0; i < sizeof attrs / sizeof attrs[0]; i++)
        assert_int_equal(bnr__node_set_attr(n, &attrs[i]), BNR_OK);
    bnr__tensor_unref(t);
    check_round_trip(m, m);
    struct bnr_model *back = load_path(path);
    const struct bnr_attr *sparse = bnr__attr(back->graph->first, "sparse");
    assert_true(bnr__tensor_equal(sparse->tensors[0], t));
    const struct bnr_attr *all = bnr__attr(back->graph->first, "types");
    assert_int_equal(all->n, 5);
    assert_true(all->types[2].elem->elem->dtype == BNR_INT4);
    assert_true(all->types[3].kind == BNR_KIND_MAP && all->types[3].elem->dtype == BNR_INT4);
    assert_true(all->types[4].kind == BNR_KIND_SPARSE && all->types[4].shape.dims[0].n == 4);
    bnr__model_free(back);
    bnr__model_free(m);
}

// Initializers of all dtypes, written from memory.
static void test_new_tensors(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_relu_model(&arena));
    struct bnr_value *v;
    char name[20];
    for (int d = 1; d < BNR_DTYPE_COUNT; d++) {
        struct bnr_tensor *t;
        assert_int_equal(bnr__tensor_new(&t, NULL, (enum bnr_dtype)d, 1, (int64_t[]){5001}, NULL), BNR_OK);
        for (size_t i = 0; i < t->nbytes && d != BNR_STRING; i++)
            t->u8[i] = i * 7 % 11 < 5;
        snprintf(name, sizeof name, "new%d", d);
        assert_int_equal(bnr__value_constant(&v, m->graph, name, t, NULL), BNR_OK);
    }
    save(m, m);
    struct bnr_model *back = load_path(path);
    for (int d = 1; d < BNR_DTYPE_COUNT; d++) {
        snprintf(name, sizeof name, "new%d", d);
        assert_true(bnr__tensor_equal(bnr__value_find(m->graph, name)->tensor,
                                      bnr__value_find(back->graph, name)->tensor));
    }
    bnr__model_free(back);
    bnr__model_free(m);
}

// Before IR version 4 initializers had to be inputs, too.
static void test_old_ir(void **state) {
    (void)state;
    struct bnr_value *v;
    Onnx__ModelProto *p = pb_rich_model(&arena);
    p->ir_version = 3;
    p->n_functions = 0;
    p->graph->node[0] = pb_node(&arena, "Relu", "x", "h");
    p->graph->n_sparse_initializer = 0;
    PB_PUSH(&arena, p->graph, input, pb_value(&arena, "weight", BNR_FLOAT, 2, (int64_t[]){30, 10}));
    struct bnr_model *m = load(p);
    struct bnr_graph *then = bnr__attr_graph(find_op(m->graph, "If"), "then_branch");
    assert_int_equal(bnr__value_constant(&v, m->graph, "new", float_tensor(4, 1), NULL), BNR_OK);
    assert_int_equal(bnr__value_constant(&v, then, "inner", float_tensor(4, 1), NULL), BNR_OK);
    assert_int_equal(bnr__node_set_input(then->first, 1, v), BNR_OK);
    save(m, m);
    p = unpack_saved();
    for (size_t i = 0; i < p->graph->n_initializer; i++) {
        size_t listed = 0;
        for (size_t k = 0; k < p->graph->n_input; k++)
            listed += strcmp(p->graph->input[k]->name, p->graph->initializer[i]->name) == 0;
        assert_int_equal(listed, 1);
    }
    onnx__model_proto__free_unpacked(p, NULL);
    struct bnr_model *back = load_path(path);
    then = bnr__attr_graph(find_op(back->graph, "If"), "then_branch");
    assert_int_equal(then->n_inputs, 0);
    assert_true(then->first->in[1]->from_constant_node && then->first->in[1]->tensor->f32[3] == 1);
    bnr__model_free(back);
    bnr__model_free(m);
}

// A function that means another version of an operator than the model does cannot be written.
static void test_conflicting_imports(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_rich_model(&arena);
    p->functions[0]->opset_import[0]->version = 6; // LeakyRelu has changed in 16
    struct bnr_model *m = load(p);
    struct bnr_error err;
    assert_int_equal(bnr__model_resolve(m, NULL, &err), BNR_OK);
    assert_int_equal(bnr__model_write_file(m, m, path, &err), BNR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "opset 6"));
    assert_int_equal(test_folder_count(folder), 0);
    bnr__model_free(m);
    // A domain that only the function imports is added.
    p = pb_rich_model(&arena);
    p->opset_import[0]->domain = pb_text("nothing.here");
    p->functions[0]->opset_import[0]->version = 16;
    p->graph->n_node = 1;
    p->graph->output[0]->name = pb_text("h");
    m = load(p);
    save(m, m);
    struct bnr_model *back = load_path(path);
    assert_int_equal(bnr__model_opset(back, ""), 16);
    assert_int_equal(bnr__model_opset(back, "nothing.here"), 17);
    bnr__model_free(back);
    bnr__model_free(m);
}

// ---- external data ----------------------------------------------------------------------------------

static void test_external(void **state) {
    (void)state;
    char data[310];
    struct bnr_error err;
    struct stat info;
    struct bnr_model *m = load(pb_rich_model(&arena));
    snprintf(data, sizeof data, "%s.data", path);
    assert_int_equal(bnr__model_write_limited(m, m, path, 100, &err), BNR_OK);
    assert_int_equal(test_folder_count(folder), 2);
    Onnx__ModelProto *p = unpack_saved();
    size_t external = 0;
    for (size_t i = 0; i < p->graph->n_initializer; i++) {
        const Onnx__TensorProto *t = p->graph->initializer[i];
        if (t->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
            continue;
        external++;
        assert_string_equal(t->name, "weight");
        assert_false(t->has_raw_data);
        assert_string_equal(t->doc_string, "how it was trained");
        assert_string_equal(t->external_data[0]->key, "location");
        assert_string_equal(t->external_data[0]->value, "out.onnx.data");
        assert_int_equal(atol(t->external_data[1]->value) % 4096, 0);
        assert_string_equal(t->external_data[2]->value, "1200");
    }
    assert_int_equal(external, 1); // the others are small
    onnx__model_proto__free_unpacked(p, NULL);
    assert_int_equal(stat(data, &info), 0);
    assert_int_equal(info.st_size, 4096 + 1200); // with the attribute's tensor
    struct bnr_model *back = load_path(path);
    expect_same_graph(m, back);
    // A model with external data is saved with external data, here over itself.
    assert_int_equal(bnr__model_write_file(back, back, path, &err), BNR_OK);
    bnr__model_free(back);
    back = load_path(path);
    expect_same_graph(m, back);
    assert_int_equal(test_folder_count(folder), 2);
    bnr__model_free(back);
    bnr__model_free(m);
}

// ---- what cannot be written -------------------------------------------------------------------------

static void expect_unwritable(const struct bnr_model *m, const char *to, uint64_t limit, const char *part) {
    struct bnr_error err;
    size_t before = test_folder_count(folder);
    assert_int_equal(bnr__model_write_limited(m, m, to, limit, &err), BNR_IO);
    if (!strstr(err.message, part) || !strstr(err.message, to) || strchr(err.message, '\n'))
        fail_msg("'%s', expected '%s'", err.message, part);
    assert_int_equal(test_folder_count(folder), before);
}

static void test_unwritable(void **state) {
    (void)state;
    struct bnr_model *m = load(pb_rich_model(&arena));
    char other[310];
    const uint64_t no_limit = INT32_MAX;
    expect_unwritable(m, "/dev/full", no_limit, "No space left");
    expect_unwritable(m, "/nowhere/out.onnx", no_limit, "No such file");
    expect_unwritable(m, folder, no_limit, "Is a directory");
    // The data file cannot be written: neither is there afterwards, and what was there stays.
    write_bytes(path, "old", 3);
    snprintf(other, sizeof other, "%s.data", path);
    mkdir(other, 0777);
    expect_unwritable(m, path, 100, "Is a directory");
    size_t size;
    uint8_t *old = read_bytes(path, &size);
    assert_int_equal(size, 3);
    free(old);
    bnr__model_free(m);
}

// A disk that is full after some bytes.
static void test_full_disk(void **state) {
    (void)state;
    Onnx__ModelProto *p = pb_rich_model(&arena);
    PB_PUSH(&arena, p->graph, initializer, pb_floats(&arena, "big", 1, (int64_t[]){100000}));
    struct bnr_model *m = load(p);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 150000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect_unwritable(m, path, INT32_MAX, "File too large");
    expect_unwritable(m, path, 100, "File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(test_folder_count(folder), 0);
    bnr__model_free(m);
}

static void test_device(void **state) {
    (void)state;
    struct bnr_error err;
    struct stat info;
    struct bnr_model *m = load(pb_relu_model(&arena));
    assert_int_equal(bnr__model_write_file(m, m, "/dev/null", &err), BNR_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode)); // was not replaced
    // Through a link the file that it points at is replaced.
    char target[300];
    snprintf(target, sizeof target, "%s/real.onnx", folder);
    write_bytes(target, "old", 3);
    assert_int_equal(symlink("real.onnx", path), 0);
    save(m, m);
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    struct bnr_model *back = load_path(target);
    expect_same_graph(m, back);
    bnr__model_free(back);
    bnr__model_free(m);
}

// ---- memory -----------------------------------------------------------------------------------------

static void check_failures(const uint8_t *bytes, size_t size, uint64_t limit) {
    for (long k = 0;; k++) {
        struct fault_alloc f;
        struct bnr_model *m;
        struct bnr_error err;
        fault_alloc_init(&f, -1);
        assert_int_equal(bnr__model_read_memory(&m, bytes, size, &f.allocator, &err), BNR_OK);
        long calls = f.calls;
        f.fail_at = calls + k;
        enum bnr_status st = bnr__model_write_limited(m, m, path, limit, &err);
        bool failed = f.calls > calls + k;
        if (st != BNR_OK && st != BNR_NO_MEMORY)
            fail_msg("allocation %ld: status %d, %s", k, (int)st, err.message);
        if (failed && st == BNR_OK)
            fail_msg("allocation %ld failed unnoticed", k);
        if (st != BNR_OK)
            assert_int_equal(test_folder_count(folder), 0);
        bnr__model_free(m);
        assert_int_equal(f.live_bytes, 0);
        if (!failed)
            break;
    }
}

static void test_allocation_failures(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = pb_pack(&arena, pb_rich_model(&arena), &size);
    check_failures(bytes, size, INT32_MAX);
    test_folder_remove(folder);
    mkdir(folder, 0777);
    check_failures(bytes, size, 100);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),     TEST(test_bytes),         TEST(test_notes),
        TEST(test_edits),          TEST(test_new_attributes), TEST(test_new_tensors),
        TEST(test_old_ir),         TEST(test_conflicting_imports), TEST(test_external),
        TEST(test_unwritable),     TEST(test_full_disk),     TEST(test_device),
        TEST(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
