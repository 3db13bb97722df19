// SPDX-License-Identifier: Apache-2.0
// The operators' kernels against their reference code: random nodes with random members behind
// them, every input in a buffer of its own that ends at a guard page, at every level of this CPU,
// with one and with two threads.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/affine.h"
#include "graph/op.h"
#include "runtime/kernels/cpu.h"
#include "runtime/packs.h"
#include "tests/lib/kernel_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

enum { MAX_NODES = 5, MAX_IN = 16 };

// A head and members, each reading the output in front of it and inputs of its own.
struct chain {
    struct rng r;
    struct bnr_model *m;
    struct bnr_node *node[MAX_NODES];
    int n;
    struct bnr_value *last; // what the next member reads
    struct bnr_tensor *made[MAX_NODES * 4];
    int n_made;
    char what[400];
    struct bnr_error err;
};

static void ok(enum bnr_status status, const struct bnr_error *err) {
    if (status != BNR_OK)
        fail_msg("%s", err->message);
}

static void free_floats(struct bnr_tensor *t) {
    guard_free(t->data, t->numel);
}

// Numbers in (-1, 1); `away`: in (1, 2), for divisors and the like.
static struct bnr_tensor *tensor_new(struct chain *c, int rank, const int64_t *dims, bool away) {
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    float *p = guard_floats(n);
    for (size_t i = 0; i < n; i++)
        p[i] = away ? 1 + fabsf(rng_float(&c->r)) : rng_float(&c->r);
    struct bnr_tensor *t;
    ok(bnr__tensor_wrap(&t, NULL, BNR_FLOAT, rank, dims, p, free_floats, NULL, &c->err), &c->err);
    return c->made[c->n_made++] = t;
}

static struct bnr_value *input_new(struct chain *c, int rank, const int64_t *dims, bool away) {
    struct bnr_tensor *t = tensor_new(c, rank, dims, away);
    struct bnr_value *v;
    ok(bnr__value_new(&v, c->m->graph, NULL, &c->err), &c->err);
    bnr__value_declare(v)->dtype = BNR_FLOAT;
    bnr__value_declare(v)->shape = bnr__shape_of(rank, dims);
    ok(bnr__graph_add_input(c->m->graph, v, &c->err), &c->err);
    v->source = t;
    return v;
}

static struct bnr_value *constant_new(struct chain *c, int rank, const int64_t *dims) {
    struct bnr_tensor *t = tensor_new(c, rank, dims, false);
    struct bnr_value *v;
    ok(bnr__value_constant(&v, c->m->graph, "k", bnr__tensor_ref(t), &c->err), &c->err);
    v->source = t;
    return v;
}

static struct bnr_value *scalar_new(struct chain *c, float x) {
    struct bnr_value *v = constant_new(c, 0, NULL);
    c->made[c->n_made - 1]->f32[0] = x;
    return v;
}

static struct bnr_node *node_new(struct chain *c, const char *domain, const char *op, int n_in,
                                 struct bnr_value *const *in) {
    struct bnr_node *n;
    struct bnr_value *y;
    ok(bnr__node_new(&n, c->m->graph, NULL, domain, op, op, n_in, in, 1, &c->err), &c->err);
    ok(bnr__value_new(&y, c->m->graph, NULL, &c->err), &c->err);
    bnr__node_set_output(n, 0, y);
    c->node[c->n++] = n;
    c->last = y;
    const size_t used = strlen(c->what);
    snprintf(c->what + used, sizeof c->what - used, " %s", op);
    return n;
}

static void chain_begin(struct chain *c, uint64_t seed) {
    *c = (struct chain){.r = {seed * 1000}};
    snprintf(c->what, sizeof c->what, "seed %llu:", (unsigned long long)seed);
    c->m = bnr__model_new(NULL);
    assert_non_null(c->m);
    c->m->ir_version = 10;
    assert_int_equal(bnr__model_add_opset(c->m, "", 24), BNR_OK);
    assert_int_equal(bnr__model_add_opset(c->m, BNR_INTERNAL_DOMAIN, 1), BNR_OK);
    c->m->graph = bnr__graph_new(c->m, NULL);
    assert_non_null(c->m->graph);
}

static void chain_end(struct chain *c) {
    bnr__model_free(c->m);
    for (int i = 0; i < c->n_made; i++)
        bnr__tensor_unref(c->made[i]);
}

// ---- heads --------------------------------------------------------------------------------------

static bool chance(struct chain *c, unsigned one_in) {
    return rng_next(&c->r) % one_in == 0;
}

static int64_t size(struct chain *c, size_t low, size_t high) {
    return (int64_t)rng_size(&c->r, low, high);
}

// Strides, dilations and pads; false when the kernel does not fit.
static bool set_window(struct chain *c, struct bnr_node *n, int axes, const int64_t *in,
                       const int64_t *kernel, bool dilate) {
    int64_t strides[3], dilations[3], pads[6];
    bool fits = true;
    for (int i = 0; i < axes; i++) {
        strides[i] = size(c, 1, 3);
        dilations[i] = dilate && chance(c, 3) ? size(c, 1, 3) : 1;
        const int64_t reach = (kernel[i] - 1) * dilations[i];
        pads[i] = size(c, 0, (size_t)kernel[i] - 1);
        pads[i + axes] = size(c, 0, (size_t)kernel[i] - 1);
        fits = fits && in[i] + pads[i] + pads[i + axes] > reach;
    }
    bnr__node_set_attr_ints(n, "strides", strides, (size_t)axes);
    bnr__node_set_attr_ints(n, "pads", pads, 2 * (size_t)axes);
    if (dilate)
        bnr__node_set_attr_ints(n, "dilations", dilations, (size_t)axes);
    return fits;
}

static bool head_conv(struct chain *c) {
    const int axes = (int)size(c, 1, 3);
    const int64_t group = chance(c, 3) ? size(c, 2, 5) : 1, most[] = {0, 40, 14, 6};
    const bool depthwise = chance(c, 4), whole = chance(c, 6);
    int64_t x[5], w[5];
    x[0] = size(c, 1, 2);
    w[1] = depthwise ? 1 : size(c, 1, 8);
    x[1] = w[1] * group;
    w[0] = group * (depthwise ? size(c, 1, 2) : size(c, 1, 8));
    for (int i = 0; i < axes; i++) {
        x[i + 2] = size(c, 1, (size_t)most[axes]);
        w[i + 2] = whole ? x[i + 2] : size(c, 1, 4);
    }
    struct bnr_value *in[3] = {input_new(c, axes + 2, x, false), NULL, constant_new(c, 1, w)};
    in[1] = chance(c, 4) ? input_new(c, axes + 2, w, false) : constant_new(c, axes + 2, w);
    struct bnr_node *n = node_new(c, "", "Conv", chance(c, 3) ? 2 : 3, in);
    bnr__node_set_attr_int(n, "group", group);
    return (whole && chance(c, 2)) || set_window(c, n, axes, x + 2, w + 2, true);
}

static bool head_conv_transpose(struct chain *c) {
    const int axes = (int)size(c, 1, 3);
    const int64_t group = chance(c, 3) ? size(c, 2, 3) : 1, most[] = {0, 40, 12, 5};
    int64_t x[5], w[5], strides[3], dilations[3], pads[6], extra[3];
    bool some = true; // output is left after the padding is cut off
    w[1] = size(c, 1, 7);
    w[0] = x[1] = group * size(c, 1, 6);
    x[0] = size(c, 1, 2);
    for (int i = 0; i < axes; i++) {
        x[i + 2] = size(c, 1, (size_t)most[axes]);
        w[i + 2] = size(c, 1, 4);
        strides[i] = size(c, 1, 3);
        dilations[i] = chance(c, 3) ? size(c, 1, 2) : 1;
        pads[i] = size(c, 0, 2);
        pads[i + axes] = size(c, 0, 2);
        extra[i] = size(c, 0, (size_t)strides[i] - 1);
        some = some && strides[i] * (x[i + 2] - 1) + extra[i] + (w[i + 2] - 1) * dilations[i] + 1 >
                           pads[i] + pads[i + axes];
    }
    const int64_t channels = w[1] * group;
    struct bnr_value *in[3] = {input_new(c, axes + 2, x, false), NULL,
                               constant_new(c, 1, &channels)};
    in[1] = chance(c, 4) ? input_new(c, axes + 2, w, false) : constant_new(c, axes + 2, w);
    struct bnr_node *n = node_new(c, "", "ConvTranspose", chance(c, 3) ? 2 : 3, in);
    bnr__node_set_attr_int(n, "group", group);
    bnr__node_set_attr_ints(n, "strides", strides, (size_t)axes);
    bnr__node_set_attr_ints(n, "dilations", dilations, (size_t)axes);
    bnr__node_set_attr_ints(n, "pads", pads, 2 * (size_t)axes);
    bnr__node_set_attr_ints(n, "output_padding", extra, (size_t)axes);
    return some;
}

static bool head_pool(struct chain *c) {
    static const char *const ops[] = {"MaxPool", "AveragePool", "GlobalMaxPool",
                                      "GlobalAveragePool"};
    const int axes = (int)size(c, 1, 3), which = (int)size(c, 0, 3);
    int64_t x[5] = {size(c, 1, 2), size(c, 1, 5)}, kernel[3];
    for (int i = 0; i < axes; i++) {
        x[i + 2] = size(c, 1, axes == 3 ? 12 : 25);
        kernel[i] = size(c, 1, 5);
    }
    struct bnr_value *in = input_new(c, axes + 2, x, false);
    struct bnr_node *n = node_new(c, "", ops[which], 1, &in);
    if (which > 1)
        return true;
    bnr__node_set_attr_ints(n, "kernel_shape", kernel, (size_t)axes);
    if (chance(c, 3))
        bnr__node_set_attr_int(n, "ceil_mode", 1);
    if (which == 1 && chance(c, 2))
        bnr__node_set_attr_int(n, "count_include_pad", 1);
    return set_window(c, n, axes, x + 2, kernel, true);
}

static bool head_batch_norm(struct chain *c) {
    const int rank = (int)size(c, 2, 4);
    int64_t x[4] = {size(c, 1, 3), size(c, 1, 20)};
    for (int i = 2; i < rank; i++)
        x[i] = size(c, 1, 9);
    struct bnr_value *in[5] = {input_new(c, rank, x, false)};
    for (int i = 1; i < 5; i++)
        in[i] = i == 4 || chance(c, 2) ? input_new(c, 1, x + 1, i == 4) : constant_new(c, 1, x + 1);
    struct bnr_node *n = node_new(c, "", "BatchNormalization", 5, in);
    if (chance(c, 2))
        bnr__node_set_attr_float(n, "epsilon", 0.1f);
    return true;
}

static bool head_gemm(struct chain *c) {
    const int64_t m = size(c, 1, 40), n = size(c, 1, 70), k = size(c, 1, 50);
    const bool ta = chance(c, 3), tb = chance(c, 2), constant = !chance(c, 3);
    const int64_t a[2] = {ta ? k : m, ta ? m : k}, b[2] = {tb ? n : k, tb ? k : n};
    const int64_t full[2] = {m, n}, column[2] = {m, 1};
    struct bnr_value *in[3] = {input_new(c, 2, a, false),
                               constant ? constant_new(c, 2, b) : input_new(c, 2, b, false), NULL};
    const uint64_t form = rng_next(&c->r) % 5;
    if (form < 4)
        in[2] = form == 0   ? constant_new(c, 1, &n)
                : form == 1 ? input_new(c, 2, full, false)
                : form == 2 ? input_new(c, 2, column, false)
                            : constant_new(c, 0, NULL);
    struct bnr_node *node = node_new(c, "", "Gemm", form < 4 ? 3 : 2, in);
    bnr__node_set_attr_int(node, "transA", ta);
    bnr__node_set_attr_int(node, "transB", tb);
    if (constant && chance(c, 3))
        bnr__node_set_attr_float(node, "alpha", 0.5f);
    return true;
}

static bool head_matmul(struct chain *c) {
    const int64_t b0 = size(c, 1, 3), b1 = size(c, 1, 3), m = size(c, 1, 20), n = size(c, 1, 40),
                  k = size(c, 1, 40);
    const int64_t a[4] = {b0, chance(c, 3) ? 1 : b1, m, k},
                  b[4] = {chance(c, 3) ? 1 : b0, b1, k, n};
    const int a_rank = (int)size(c, 1, 4), b_rank = (int)size(c, 1, 4);
    struct bnr_value *in[2] = {input_new(c, a_rank, a + 4 - a_rank, false), NULL};
    const int64_t *b_dims = b_rank == 1 ? &k : b + 4 - b_rank;
    in[1] = chance(c, 2) ? constant_new(c, b_rank, b_dims) : input_new(c, b_rank, b_dims, false);
    node_new(c, "", "MatMul", 2, in);
    return a_rank + b_rank > 2; // the product of two vectors is a scalar
}

static bool head_elementwise(struct chain *c) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    const int rank = (int)size(c, 1, 4);
    int64_t x[4], other[4];
    int kept = 0; // leading 1s of the other operand may be left out
    for (int i = 0; i < rank; i++)
        x[i] = size(c, 1, 9);
    const int first = (int)size(c, 0, (size_t)rank),
              last = (int)size(c, (size_t)first, (size_t)rank);
    for (int i = 0; i < rank; i++)
        other[i] = i >= first && i < last ? x[i] : 1;
    while (kept < rank && other[kept] == 1 && chance(c, 2))
        kept++;
    struct bnr_value *in[2] = {input_new(c, rank, x, true),
                               input_new(c, rank - kept, other + kept, true)};
    if (chance(c, 2)) {
        struct bnr_value *swap = in[0];
        in[0] = in[1];
        in[1] = swap;
    }
    node_new(c, "", ops[rng_next(&c->r) % 4], 2, in);
    return true;
}

// ---- members ------------------------------------------------------------------------------------

static void activation(struct chain *c) {
    static const char *const ops[] = {"Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish",
                                      "Tanh", "Swish",     "Gelu",    "Erf",         "Exp"};
    struct bnr_node *n = node_new(c, "", ops[rng_next(&c->r) % 10], 1, &c->last);
    if (strcmp(n->op_type, "LeakyRelu") == 0 && chance(c, 2))
        bnr__node_set_attr_float(n, "alpha", 0.3f);
    if (strcmp(n->op_type, "Gelu") == 0 && chance(c, 2))
        bnr__node_set_attr_string(n, "approximate", "tanh");
}

static void member_clip(struct chain *c) {
    struct bnr_value *in[3] = {c->last, scalar_new(c, -0.25f), scalar_new(c, 0.5f)};
    if (chance(c, 3))
        in[1] = NULL;
    node_new(c, "", "Clip", chance(c, 3) ? 2 : 3, in);
}

// `dims`: of the chain's tensor.
static void member_channels(struct chain *c, int rank, const int64_t *dims) {
    int64_t slope[4] = {rank > 1 ? dims[1] : 1, 1, 1, 1};
    if (rank > 1 && chance(c, 2)) {
        struct bnr_value *in[2] = {c->last, constant_new(c, rank - 1, slope)};
        node_new(c, "", "PRelu", 2, in);
    } else if (rank > 1) {
        struct bnr_value *in[3] = {c->last, NULL, NULL};
        for (int i = 1; i < 3; i++) {
            struct bnr_tensor *t;
            ok(bnr__tensor_cast(&t, NULL, tensor_new(c, 1, slope, false), BNR_DOUBLE, &c->err),
               &c->err);
            ok(bnr__value_constant(&in[i], c->m->graph, "k", bnr__tensor_ref(t), &c->err), &c->err);
            in[i]->source = c->made[c->n_made++] = t;
        }
        bnr__node_set_attr_int(node_new(c, BNR_INTERNAL_DOMAIN, "Affine", 3, in), "axis", 1);
    } else {
        activation(c);
    }
}

static void member_binary(struct chain *c, int rank, const int64_t *dims) {
    static const char *const ops[] = {"Add", "Add", "Mul", "Sub", "Div"};
    int64_t gate[5];
    for (int i = 0; i < rank; i++)
        gate[i] = i < 2 ? dims[i] : 1;
    struct bnr_value *other = chance(c, 2)   ? input_new(c, rank, dims, true)
                              : chance(c, 2) ? input_new(c, rank, gate, true)
                                             : scalar_new(c, 1.5f);
    const bool second = chance(c, 2);
    struct bnr_value *in[2] = {second ? other : c->last, second ? c->last : other};
    const char *op = ops[rng_next(&c->r) % 5];
    node_new(c, "", second && strcmp(op, "Div") == 0 ? "Add" : op, 2, in);
}

static void resolve(struct chain *c) {
    size_t missing;
    ok(bnr__model_resolve(c->m, &missing, &c->err), &c->err);
    assert_int_equal(missing, 0);
    ok(bnr__model_infer(c->m, &c->err), &c->err);
}

static void add_members(struct chain *c) {
    int64_t dims[BNR_MAX_RANK];
    resolve(c);
    const struct bnr_shape shape = c->last->info->type.shape;
    bnr__shape_numbers(&shape, dims);
    for (uint64_t left = rng_next(&c->r) % MAX_NODES; left > 0 && c->n < MAX_NODES; left--) {
        const uint64_t kind = rng_next(&c->r) % 4;
        if (kind == 0)
            activation(c);
        else if (kind == 1)
            member_clip(c);
        else if (kind == 2)
            member_channels(c, shape.rank, dims);
        else
            member_binary(c, shape.rank, dims);
    }
    resolve(c);
}

// ---- both ways ----------------------------------------------------------------------------------

static struct bnr_tensor *given(const struct bnr_value *v) {
    return v ? (struct bnr_tensor *)(uintptr_t)v->source : NULL;
}

// Results of the nodes by reference code.
static void evaluate(struct chain *c, struct bnr_tensor *y[MAX_NODES]) {
    for (int i = 0; i < c->n; i++) {
        struct bnr_tensor *in[MAX_IN];
        for (int k = 0; k < c->node[i]->n_in; k++) {
            const bool chained = i > 0 && c->node[i]->in[k] == c->node[i - 1]->out[0];
            in[k] = chained ? y[i - 1] : given(c->node[i]->in[k]);
        }
        ok(bnr__node_eval(c->node[i], in, &y[i], NULL, &c->err), &c->err);
    }
}

static const struct bnr_info *info_of(const struct bnr_prepare *cx, const struct bnr_value *v) {
    return v->info;
}

static int gather_inputs(const struct chain *c, int members, const struct bnr_tensor *in[MAX_IN]) {
    int n = 0;
    for (int i = 0; i <= members; i++) {
        for (int k = 0; k < c->node[i]->n_in; k++) {
            if (i == 0 || c->node[i]->in[k] != c->node[i - 1]->out[0])
                in[n++] = given(c->node[i]->in[k]);
        }
    }
    return n;
}

static void compare(const struct chain *c, const struct bnr_prepare *cx, const float *y,
                    const struct bnr_tensor *want) {
    char what[600];
    double most = 0;
    for (size_t i = 0; i < want->numel; i++)
        most = fmax(most, isfinite(want->f32[i]) ? fabs((double)want->f32[i]) : 0);
    snprintf(what, sizeof what, "%s: %s took %d of %d", c->what, cx->kernel, cx->fused_taken,
             cx->n_fused);
    for (size_t i = 0; i < want->numel; i++)
        check_value(what, i, y[i], (double)want->f32[i], 2e-5 * (1 + most));
}

static void run_prepared(const struct chain *c, const struct bnr_prepare *cx, float *y,
                         const struct bnr_tensor *want, struct bnr_pool *pool) {
    struct bnr_tensor out = {.kind = BNR_KIND_TENSOR}, *outs[1] = {&out};
    const struct bnr_tensor *in[MAX_IN];
    bnr__tensor_set(&out, BNR_FLOAT, want->rank, want->dims, y);
    const size_t scratch = (cx->scratch + 63) / 64 * 64 / sizeof(float);
    float *memory = guard_floats(scratch);
    struct bnr_args a = {
        .node = cx->node, .in = in, .out = outs, .n_out = 1, .pool = pool, .scratch = memory};
    a.n_in = gather_inputs(c, cx->fused_taken, in);
    cx->run(&a, cx->state);
    guard_free(memory, scratch);
}

static void run_chain(struct chain *c, unsigned cpu, struct bnr_pool *pool, int *taken) {
    struct bnr_tensor *want[MAX_NODES] = {0};
    const struct bnr_info *in[MAX_IN], *out;
    struct bnr_arena arena = {0};
    struct bnr_packs packs;
    evaluate(c, want);
    bnr__packs_init(&packs, NULL);
    for (int i = 0; i < c->node[0]->n_in; i++)
        in[i] = c->node[0]->in[i] ? c->node[0]->in[i]->info : NULL;
    out = c->node[0]->out[0]->info;
    struct bnr_prepare cx = {.node = c->node[0],
                             .fused = (const struct bnr_node *const *)&c->node[1],
                             .n_fused = c->n - 1,
                             .in = in,
                             .out = &out,
                             .info = info_of,
                             .cpu = cpu,
                             .threads = bnr__pool_threads(pool),
                             .arena = &arena,
                             .temp = &arena,
                             .packs = &packs,
                             .err = &c->err};
    ok(c->node[0]->op->prepare(&cx), &c->err);
    assert_int_equal(bnr__packs_fill(&packs), BNR_OK);
    if (!cx.run)
        fail_msg("%s: no kernel", c->what);
    const struct bnr_tensor *last = want[cx.fused_taken];
    float *y = guard_floats(last->numel), *z = guard_floats(last->numel);
    run_prepared(c, &cx, y, last, NULL);
    compare(c, &cx, y, last);
    run_prepared(c, &cx, z, last, pool);
    assert_memory_equal(y, z, last->nbytes);
    guard_free(y, last->numel);
    guard_free(z, last->numel);
    *taken = cx.fused_taken;
    for (int i = 0; i < c->n; i++)
        bnr__tensor_unref(want[i]);
    bnr__packs_free(&packs);
    bnr__arena_free(&arena);
}

// `share`: how many of a hundred members the kernels must take; some forms cannot go together.
static void run_random(bool (*head)(struct chain *c), uint64_t seeds, size_t share) {
    struct bnr_pool *pool = test_pool(2);
    size_t offered = 0, taken_all = 0;
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        for (uint64_t seed = 0; seed < seeds; seed++) {
            struct chain c;
            int taken = 0;
            chain_begin(&c, seed);
            if (head(&c)) {
                add_members(&c);
                run_chain(&c, cpu, pool, &taken);
                offered += (size_t)c.n - 1;
            }
            taken_all += (size_t)taken;
            chain_end(&c);
        }
    }
    bnr__pool_free(pool);
    if (taken_all * 100 < offered * share)
        fail_msg("only %zu of %zu members were taken", taken_all, offered);
}

static void conv(void **state) {
    run_random(head_conv, 300, 70);
}

static void conv_transpose(void **state) {
    run_random(head_conv_transpose, 200, 70);
}

static void pools(void **state) {
    run_random(head_pool, 300, 40);
}

static void batch_norm(void **state) {
    run_random(head_batch_norm, 100, 0);
}

static void gemm(void **state) {
    run_random(head_gemm, 200, 70);
}

static void matmul(void **state) {
    run_random(head_matmul, 200, 70);
}

static void elementwise(void **state) {
    run_random(head_elementwise, 500, 70);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv),        cmocka_unit_test(conv_transpose), cmocka_unit_test(pools),
        cmocka_unit_test(gemm),        cmocka_unit_test(batch_norm),     cmocka_unit_test(matmul),
        cmocka_unit_test(elementwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
