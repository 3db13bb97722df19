// SPDX-License-Identifier: Apache-2.0
// What the printers write: text line by line, JSON and DOT that parse whatever a file's names contain.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"
#include "runtime/base/text.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/graph_build.h"

static struct bnr_model *m;
static struct bnr_graph *g;
static struct fault_alloc memory;

static int setup(void **state) {
    fault_alloc_init(&memory, -1);
    m = build_model(&memory.allocator, 13);
    g = m->graph;
    return 0;
}

static int teardown(void **state) {
    bnr__model_free(m);
    return memory.live_blocks == 0 ? 0 : -1;
}

typedef void printer(struct bnr_text *t, const struct bnr_model *m);
static char buffer[20000];

static const char *print(printer *p) {
    struct bnr_text t = {.allocator = &memory.allocator};
    p(&t, m);
    assert_false(t.failed);
    assert_true(t.size < sizeof buffer);
    memcpy(buffer, t.data, t.size + 1);
    bnr__text_free(&t);
    return buffer;
}

static void small_model(void) {
    static const float weights[6] = {1, 2.5f, 3, 4, 5, 6};
    struct bnr_value *x = build_input(g, "x", BNR_FLOAT, 2, (int64_t[]){-1, 3});
    struct bnr_value *w = build_constant_f32(g, "w", 2, (int64_t[]){3, 2}, weights);
    struct bnr_value *big = build_constant_f32(g, "k", 1, (int64_t[]){1}, weights);
    assert_int_equal(bnr__graph_add_input(g, big, NULL), BNR_OK);
    struct bnr_value *y = build_node(g, "Transpose", "y", w, NULL, NULL);
    bnr__node_set_attr_ints(y->producer, "perm", (int64_t[]){1, 0}, 2);
    bnr__node_set_attr_string(y->producer, "s", "a\"b");
    y->producer->name = "turn";
    struct bnr_value *r = build_node(g, "Relu", "r", x, NULL, NULL);
    struct bnr_value *z = build_node(g, "Branch", "z", r, NULL, NULL);
    struct bnr_graph *body = build_body(z->producer, "then_branch");
    build_output(body, build_node(body, "Neg", "n", r, NULL, NULL));
    build_output(g, z);
    build_output(g, y);
    assert_int_equal(bnr__model_infer(m, NULL), BNR_OK);
}

static void test_text(void **state) {
    small_model();
    assert_string_equal(print(bnr__print_text),
                        "model <memory>: IR version 8, ai.onnx 13\n"
                        "graph main {\n"
                        "  input x: float32[a,3]\n"
                        "  input k: float32[1] = [1]\n"
                        "  const w: float32[3,2] = [1, 2.5, 3, 4, 5, 6]\n"
                        "  y: float32[2,3] = Transpose(w) {perm=[1, 0], s=\"a\\\"b\"}  # turn\n"
                        "  r: float32[a,3] = Relu(x)\n"
                        "  z: ?[...] = Branch(r) {then_branch=graph then_branch {\n"
                        "    n: float32[a,3] = Neg(r)\n"
                        "    output n: float32[a,3]\n"
                        "  }}\n"
                        "  output z: ?[...]\n"
                        "  output y: float32[2,3]\n"
                        "}\n");
}

static void test_types(void **state) {
    char s[64];
    struct bnr_type t = {.dtype = BNR_INT64, .shape = {.rank = 0}};
    assert_string_equal(bnr__type_describe(&t, s, sizeof s), "int64[]");
    struct bnr_type seq = {.kind = BNR_KIND_SEQUENCE, .elem = &t, .shape = {.rank = -1}};
    struct bnr_type opt = {.kind = BNR_KIND_OPTIONAL, .elem = &seq, .shape = {.rank = -1}};
    assert_string_equal(bnr__type_describe(&opt, s, sizeof s), "optional(seq(int64[]))");
    struct bnr_type map = {.kind = BNR_KIND_MAP, .dtype = BNR_STRING, .elem = &t};
    assert_string_equal(bnr__type_describe(&map, s, sizeof s), "map(string,int64[])");
    t.kind = BNR_KIND_SPARSE;
    t.shape = bnr__shape_of(2, (int64_t[]){3, 4});
    assert_string_equal(bnr__type_describe(&t, s, sizeof s), "sparse(int64[3,4])");
    assert_string_equal(bnr__type_describe(&t, s, 8), "sparse("); // cut
}

// ---- a JSON reader that only checks --------------------------------------------------------------------

static const char *skip_space(const char *s) {
    return s + strspn(s, " \n");
}

static const char *read_string(const char *s) {
    if (*s++ != '"')
        return NULL;
    for (; *s != '"'; s++) {
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s == '\\' && !strchr("\"\\/bfnrtu", *++s))
            return NULL;
    }
    return s + 1;
}

static const char *read_value(const char *s);

static const char *read_items(const char *s, char end, int keyed) {
    for (s = skip_space(s + 1); s && *s != end;) {
        if (keyed) {
            s = read_string(s);
            if (!s || *(s = skip_space(s)) != ':')
                return NULL;
            s = skip_space(s + 1);
        }
        s = read_value(s);
        if (!s)
            return NULL;
        s = skip_space(s);
        if (*s == end)
            break;
        if (*s != ',' || *(s = skip_space(s + 1)) == end)
            return NULL;
    }
    return s ? s + 1 : NULL;
}

static const char *read_value(const char *s) {
    static const char *const words[] = {"null", "true", "false"};
    if (*s == '{')
        return read_items(s, '}', 1);
    if (*s == '[')
        return read_items(s, ']', 0);
    if (*s == '"')
        return read_string(s);
    for (size_t i = 0; i < 3; i++)
        if (strncmp(s, words[i], strlen(words[i])) == 0)
            return s + strlen(words[i]);
    char *end;
    strtod(s, &end);
    return end > s ? end : NULL;
}

static void expect_json(const char *s) {
    const char *end = read_value(s);
    assert_non_null(end);
    assert_string_equal(skip_space(end), "");
}

static void test_json(void **state) {
    static const char *const wrong[] = {"[1,]", "{\"a\" 1}", "[1 2]", "[", "\"a", "{\"a\": }", "[\"\n\"]"};
    for (size_t i = 0; i < BNR_COUNT(wrong); i++)
        assert_null(read_value(wrong[i]));
    small_model();
    const char *s = print(bnr__print_json);
    expect_json(s);
    assert_non_null(strstr(s, "\"opsets\": [{\"domain\": \"ai.onnx\", \"version\": 13}]"));
    assert_non_null(strstr(s, "{\"name\": \"x\", \"type\": {\"kind\": \"tensor\", \"dtype\": \"float32\", "
                              "\"shape\": [\"a\", 3]}}"));
    assert_non_null(strstr(s, "\"perm\": {\"type\": \"INTS\", \"value\": [1, 0]}"));
    assert_non_null(strstr(s, "\"elements\": [1, 2.5, 3, 4, 5, 6]"));
    assert_non_null(strstr(s, "\"overridable\": true"));
}

static void nasty_model(void) {
    const struct bnr_str strings[2] = {{"\x01\xff\"", 3}, {"", 0}};
    const float floats[2] = {1e38f * 10, 0.1f};
    small_model();
    struct bnr_value *v = build_node(g, "Op\"}]\n", "new\nline\"\\", g->inputs[0], NULL, NULL);
    v->producer->name = v->producer->label = "\x1b[31m<>{}|";
    bnr__node_set_attr(v->producer,
                       &(struct bnr_attr){.name = "\"", .type = BNR_ATTR_STRINGS, .n = 2, .strings = strings});
    bnr__node_set_attr(v->producer,
                       &(struct bnr_attr){.name = "inf", .type = BNR_ATTR_FLOATS, .n = 2, .floats = floats});
    bnr__node_set_attr(v->producer, &(struct bnr_attr){.name = "none", .type = BNR_ATTR_INTS});
    bnr__node_set_attr(v->producer, &(struct bnr_attr){.name = "undefined"});
    v->producer->fused_into = g->first;
    m->path = "C:\\\"\n.onnx";
    m->producer_name = "\t";
    build_output(g, v);
}

static void test_nasty_names(void **state) {
    nasty_model();
    expect_json(print(bnr__print_json));
    assert_non_null(strstr(buffer, "[null, 0.1"));
    print(bnr__print_text);
    for (const char *s = buffer; *s; s++) // no control codes reach a terminal
        assert_true((unsigned char)*s >= 0x20 || *s == '\n');
    assert_non_null(strstr(buffer, "new?line\"\\: ?[...] = Op\"}]?(x)"));
    print(bnr__print_dot);
    size_t quotes = 0;
    for (const char *s = buffer; *s; s++) {
        if (*s == '\\')
            s++;
        else if (*s == '"')
            quotes++;
        else
            assert_false(*s == '\n' && quotes % 2); // every label ends on its line
    }
    assert_int_equal(quotes % 2, 0);
}

static void test_dot(void **state) {
    small_model();
    struct bnr_node *relu = g->first->next;
    bnr__value_find(g, "z")->producer->fused_into = relu;
    char edge[100];
    const char *s = print(bnr__print_dot);
    snprintf(edge, sizeof edge, "n%d -> n%d [label=\"float32[a,3]\"];", relu->id, relu->next->id);
    assert_non_null(strstr(s, edge));
    snprintf(edge, sizeof edge, "n%d -> n%d [label=\"float32[a,3]\", style=dashed];", relu->id,
             relu->next->id + 1);
    assert_non_null(strstr(s, edge)); // captured by the body
    assert_non_null(strstr(s, "label=\"Transpose\\nturn\\nw: float32[3,2]\""));
    assert_non_null(strstr(s, "subgraph cluster_fused"));
}

static void test_without_memory(void **state) {
    printer *const printers[] = {bnr__print_text, bnr__print_dot, bnr__print_json};
    nasty_model();
    for (size_t i = 0; i < 3; i++)
        for (long failures = 0;; failures++) {
            struct bnr_text t = {.allocator = &memory.allocator};
            memory.fail_at = memory.calls + failures;
            printers[i](&t, m);
            memory.fail_at = -1;
            const int failed = t.failed;
            bnr__text_free(&t);
            if (!failed)
                break;
            assert_true(failures < 1000);
        }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_text), TEST(test_types),      TEST(test_json),
        TEST(test_dot),  TEST(test_nasty_names), TEST(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
