// SPDX-License-Identifier: Apache-2.0
// Inference of shape operators with symbols: chains as exporters write them (Shape, Gather, Concat,
// Reshape, ...), and what each operator makes of dims that are not known.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"

struct net {
    struct bnr_model *m;
    struct bnr_graph *g;
    struct bnr_error err;
};

static void begin(struct net *n, int opset) {
    *n = (struct net){.m = bnr__model_new(NULL)};
    assert_non_null(n->m);
    n->m->ir_version = 8;
    assert_int_equal(bnr__model_add_opset(n->m, "", opset), BNR_OK);
    n->g = n->m->graph = bnr__graph_new(n->m, NULL);
    assert_non_null(n->g);
}

static void end(struct net *n) {
    bnr__model_free(n->m);
}

// "N,3,?": numbers, symbols, unknown; "..." no rank; "" a scalar.
static struct bnr_shape shape(struct net *n, const char *text) {
    struct bnr_shape s = {.rank = 0};
    char part[16];
    if (strcmp(text, "...") == 0)
        return bnr__shape_unknown();
    for (int used; sscanf(text, "%15[^,]%n", part, &used) == 1;
         text += used + (text[used] == ',')) {
        long long number;
        struct bnr_dim d = {.n = -1};
        if (sscanf(part, "%lld", &number) == 1)
            d.n = number;
        else if (part[0] != '?')
            d.sym = bnr__model_intern(n->m, part);
        s.dims[s.rank++] = d;
    }
    return s;
}

static struct bnr_value *input(struct net *n, enum bnr_dtype dtype, const char *dims) {
    struct bnr_value *v;
    assert_int_equal(bnr__value_new(&v, n->g, NULL, &n->err), BNR_OK);
    bnr__value_declare(v)->dtype = dtype;
    bnr__value_declare(v)->shape = shape(n, dims);
    assert_int_equal(bnr__graph_add_input(n->g, v, &n->err), BNR_OK);
    return v;
}

static struct bnr_value *ints(struct net *n, int rank, int count, const int64_t *values) {
    struct bnr_value *v;
    struct bnr_tensor *t;
    const int64_t dims[1] = {count};
    assert_int_equal(bnr__tensor_new(&t, NULL, BNR_INT64, rank, dims, &n->err), BNR_OK);
    memcpy(t->data, values, t->nbytes);
    assert_int_equal(bnr__value_constant(&v, n->g, "c", t, &n->err), BNR_OK);
    return v;
}
#define LIST(n, ...)                                                                               \
    ints(n, 1, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define SCALAR(n, v) ints(n, 0, 1, (int64_t[]){v})

static struct bnr_node *node(struct net *n, const char *op, int n_in, struct bnr_value *const *in,
                             int n_out) {
    struct bnr_node *x;
    assert_int_equal(bnr__node_new(&x, n->g, NULL, "", op, "tested", n_in, in, n_out, &n->err),
                     BNR_OK);
    for (int i = 0; i < n_out; i++) {
        struct bnr_value *v;
        assert_int_equal(bnr__value_new(&v, n->g, NULL, &n->err), BNR_OK);
        bnr__node_set_output(x, i, v);
    }
    return x;
}
#define NODE(n, op, ...)                                                                           \
    node(n, op, (int)(sizeof((struct bnr_value *[]){__VA_ARGS__}) / sizeof(struct bnr_value *)),   \
         (struct bnr_value *[]){__VA_ARGS__}, 1)
#define OUT(n, op, ...) NODE(n, op, __VA_ARGS__)->out[0]

static void infer(struct net *n) {
    size_t missing;
    if (bnr__model_resolve(n->m, &missing, &n->err) != BNR_OK ||
        bnr__model_infer(n->m, &n->err) != BNR_OK)
        fail_msg("%s", n->err.message);
    assert_int_equal(missing, 0);
}

static void expect(const struct bnr_value *v, const char *want) {
    char seen[200];
    bnr__type_describe(&v->info->type, seen, sizeof seen);
    assert_string_equal(seen, want);
}

// ---- chains -------------------------------------------------------------------------------------

// x.view(x.size(0), -1) of torch.
static void test_view(void **unused) {
    struct net n;
    begin(&n, 13);
    struct bnr_value *x = input(&n, BNR_FLOAT, "N,512,7,7");
    struct bnr_value *size = OUT(&n, "Gather", OUT(&n, "Shape", x), SCALAR(&n, 0));
    struct bnr_value *batch = OUT(&n, "Unsqueeze", size, LIST(&n, 0));
    struct bnr_value *to = NODE(&n, "Concat", batch, LIST(&n, -1))->out[0];
    bnr__node_set_attr_int(to->producer, "axis", 0);
    struct bnr_value *y = OUT(&n, "Reshape", x, to);
    infer(&n);
    expect(y, "float32[N,25088]");
    end(&n);
}

// Channel shuffle with batch, height and width open.
static void test_shuffle(void **unused) {
    struct net n;
    begin(&n, 13);
    struct bnr_value *x = input(&n, BNR_FLOAT, "N,116,H,W"), *dim[4];
    struct bnr_value *s = OUT(&n, "Shape", x);
    for (int i = 0; i < 4; i++)
        dim[i] = OUT(&n, "Unsqueeze", OUT(&n, "Gather", s, SCALAR(&n, i)), LIST(&n, 0));
    struct bnr_value *split = OUT(&n, "Concat", dim[0], LIST(&n, 2), LIST(&n, 58), dim[2], dim[3]);
    bnr__node_set_attr_int(split->producer, "axis", 0);
    struct bnr_value *five = OUT(&n, "Reshape", x, split);
    struct bnr_value *turned = OUT(&n, "Transpose", five);
    bnr__node_set_attr_ints(turned->producer, "perm", (const int64_t[]){0, 2, 1, 3, 4}, 5);
    struct bnr_value *joined = OUT(&n, "Concat", dim[0], LIST(&n, -1), dim[2], dim[3]);
    bnr__node_set_attr_int(joined->producer, "axis", 0);
    struct bnr_value *y = OUT(&n, "Reshape", turned, joined);
    infer(&n);
    expect(five, "float32[N,2,58,H,W]");
    expect(turned, "float32[N,58,2,H,W]");
    expect(y, "float32[N,116,H,W]");
    end(&n);
}

// Attention heads: [N, T, 768] to [N, 12, T, 64] and back.
static void test_heads(void **unused) {
    struct net n;
    begin(&n, 13);
    struct bnr_value *x = input(&n, BNR_FLOAT, "N,T,768");
    struct bnr_value *heads = OUT(&n, "Reshape", x, LIST(&n, 0, -1, 12, 64));
    struct bnr_value *s = OUT(&n, "Shape", heads);
    struct bnr_value *front = OUT(&n, "Slice", s, LIST(&n, 0), LIST(&n, 2));
    struct bnr_value *to = OUT(&n, "Concat", front, LIST(&n, 768));
    bnr__node_set_attr_int(to->producer, "axis", 0);
    struct bnr_value *y = OUT(&n, "Reshape", heads, to);
    infer(&n);
    expect(heads, "float32[N,T,12,64]");
    expect(front, "int64[2]");
    expect(y, "float32[N,T,768]");
    end(&n);
}

static void test_expand_range(void **unused) {
    struct net n;
    begin(&n, 13);
    struct bnr_value *x = input(&n, BNR_INT64, "N,T");
    struct bnr_value *s = OUT(&n, "Shape", x);
    struct bnr_value *length = OUT(&n, "Squeeze", OUT(&n, "Gather", s, LIST(&n, 1)));
    struct bnr_value *range = OUT(&n, "Range", SCALAR(&n, 0), length, SCALAR(&n, 1));
    struct bnr_value *row = OUT(&n, "Unsqueeze", range, LIST(&n, 0));
    struct bnr_value *y = OUT(&n, "Expand", row, s);
    struct bnr_value *z = OUT(&n, "ConstantOfShape", OUT(&n, "Identity", s));
    infer(&n);
    expect(range, "int64[T]");
    expect(y, "int64[N,T]");
    expect(z, "float32[N,T]");
    end(&n);
}

// ---- single operators ---------------------------------------------------------------------------

static void test_reshape(void **unused) {
    static const struct {
        const char *from, *want;
        int n;
        int64_t to[4];
    } cases[] = {
        {"N,4,8", "float32[N,32]", 2, {-1, 32}}, {"N,4,8", "float32[?,16]", 2, {-1, 16}},
        {"N,C,8", "float32[N,?]", 2, {0, -1}},   {"N,C", "float32[N,C]", 2, {0, -1}},
        {"...", "float32[?,3]", 2, {-1, 3}},     {"?,3,4", "float32[?,12]", 2, {0, -1}},
        {"N,3,4", "float32[?]", 1, {-1}},        {"...", "float32[?,5]", 2, {0, 5}},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct net n;
        begin(&n, 13);
        struct bnr_value *x = input(&n, BNR_FLOAT, cases[i].from);
        struct bnr_value *y = OUT(&n, "Reshape", x, ints(&n, 1, cases[i].n, cases[i].to));
        infer(&n);
        expect(y, cases[i].want);
        end(&n);
    }
}

static void test_layout(void **unused) {
    struct net n;
    begin(&n, 18);
    struct bnr_value *x = input(&n, BNR_FLOAT, "N,8,H,W"), *z = input(&n, BNR_FLOAT, "N,3,H,W");
    struct bnr_value *any = input(&n, BNR_FLOAT, "...");
    struct bnr_value *cat = OUT(&n, "Concat", x, z);
    bnr__node_set_attr_int(cat->producer, "axis", 1);
    struct bnr_value *along = OUT(&n, "Concat", x, x);
    bnr__node_set_attr_int(along->producer, "axis", 2);
    struct bnr_value *partly = OUT(&n, "Concat", any, z);
    bnr__node_set_attr_int(partly->producer, "axis", -3);
    struct bnr_value *flat = OUT(&n, "Flatten", x);
    struct bnr_value *deep = OUT(&n, "SpaceToDepth", x), *wide = OUT(&n, "DepthToSpace", x);
    bnr__node_set_attr_int(deep->producer, "blocksize", 2);
    bnr__node_set_attr_int(wide->producer, "blocksize", 2);
    struct bnr_value *crop =
        OUT(&n, "Slice", x, LIST(&n, 0, 0), LIST(&n, 4, INT64_MAX), LIST(&n, 1, 3));
    struct bnr_value *pad = OUT(&n, "Pad", x, LIST(&n, 0, 1, 1, 0, 0, 0, 1, 0));
    struct bnr_value *tile = OUT(&n, "Tile", x, LIST(&n, 1, 2, 1, 2));
    struct bnr_node *split = node(&n, "Split", 1, &x, 3);
    bnr__node_set_attr_int(split, "axis", 1);
    bnr__node_set_attr_int(split, "num_outputs", 3);
    infer(&n);
    expect(cat, "float32[N,11,H,W]");
    expect(along, "float32[N,8,?,W]");
    expect(partly, "float32[N,?,H,W]");
    expect(flat, "float32[N,?]");
    expect(deep, "float32[N,32,?,?]");
    expect(wide, "float32[N,2,?,?]");
    expect(crop, "float32[N,4,H,W]");
    expect(pad, "float32[N,9,?,W]");
    expect(tile, "float32[N,16,H,?]");
    expect(split->out[0], "float32[N,3,H,W]");
    expect(split->out[2], "float32[N,2,H,W]");
    end(&n);
}

static void test_indexing(void **unused) {
    struct net n;
    begin(&n, 13);
    struct bnr_value *x = input(&n, BNR_FLOAT, "V,64"), *k = input(&n, BNR_INT64, "N,T");
    struct bnr_value *tuples = input(&n, BNR_INT64, "K,1"), *mask = input(&n, BNR_BOOL, "V");
    struct bnr_value *gather = OUT(&n, "Gather", x, k), *nd = OUT(&n, "GatherND", x, tuples);
    struct bnr_value *picked = OUT(&n, "Compress", x, mask);
    bnr__node_set_attr_int(picked->producer, "axis", 0);
    struct bnr_value *hot = OUT(&n, "OneHot", k, SCALAR(&n, 9), LIST(&n, 0, 1));
    infer(&n);
    expect(gather, "float32[N,T,64]");
    expect(nd, "float32[K,64]");
    expect(picked, "float32[?,64]");
    expect(hot, "int64[N,T,9]");
    end(&n);
}

// Numbers that shape arithmetic finds are constants for whoever reads them.
static void test_constants(void **unused) {
    struct net n;
    begin(&n, 13);
    struct bnr_value *x = input(&n, BNR_FLOAT, "N,3,224,224");
    struct bnr_value *s = OUT(&n, "Shape", x), *h = OUT(&n, "Gather", s, SCALAR(&n, 2));
    struct bnr_value *back =
        OUT(&n, "Slice", s, LIST(&n, -1), LIST(&n, INT64_MIN), LIST(&n, 0), LIST(&n, -1));
    infer(&n);
    assert_null(s->info->tensor);
    assert_int_equal(s->info->n_elems, 4);
    assert_ptr_equal(s->info->elems[0].sym, bnr__model_intern(n.m, "N"));
    assert_non_null(h->info->tensor);
    assert_int_equal(h->info->tensor->i64[0], 224);
    assert_int_equal(back->info->n_elems, 4);
    assert_int_equal(back->info->elems[0].n, 224);
    assert_int_equal(back->info->elems[2].n, 3);
    assert_ptr_equal(back->info->elems[3].sym, bnr__model_intern(n.m, "N"));
    end(&n);
}

// A vector of unknown length may be the one number that a scalar zero point goes with.
static void test_quantize_open_scale(void **state) {
    struct net n;
    begin(&n, 13);
    struct bnr_value *y = OUT(&n, "QuantizeLinear", input(&n, BNR_FLOAT, "2,3"),
                              input(&n, BNR_FLOAT, "?"), input(&n, BNR_UINT8, ""));
    assert_int_equal(bnr__model_resolve(n.m, NULL, &n.err), BNR_OK);
    assert_int_equal(bnr__model_infer(n.m, &n.err), BNR_OK);
    assert_int_equal(y->info->type.dtype, BNR_UINT8);
    end(&n);
}

// The rank of a grid beside an X of which nothing is known.
static void test_grid_of_no_rank(void **state) {
    struct net n;
    begin(&n, 16);
    NODE(&n, "GridSample", input(&n, BNR_FLOAT, "..."), input(&n, BNR_FLOAT, ""));
    assert_int_equal(bnr__model_resolve(n.m, NULL, &n.err), BNR_OK);
    assert_int_equal(bnr__model_infer(n.m, &n.err), BNR_SHAPE);
    end(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid_of_no_rank),
        cmocka_unit_test(test_quantize_open_scale),
        cmocka_unit_test(test_view),     cmocka_unit_test(test_shuffle),
        cmocka_unit_test(test_heads),    cmocka_unit_test(test_expand_range),
        cmocka_unit_test(test_reshape),  cmocka_unit_test(test_layout),
        cmocka_unit_test(test_indexing), cmocka_unit_test(test_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
