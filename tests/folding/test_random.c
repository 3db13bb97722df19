// SPDX-License-Identifier: Apache-2.0
// Random networks of the operators that affines meet: chains, branches, several readers, several
// outputs. Folded and unfolded must agree, for files and for our own kernels, and folding twice
// changes nothing. Weights are float64, so that a wrong fold stands out of the rounding.
//
// BNR_SEEDS=N sets how many networks, BNR_SEED=S the first; a failure prints its seed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { MAX_VALUES = 40, N = 2 };

struct item {
    struct bnr_value *v;
    int64_t c, h, w; // dims [N, c, h, w]
    bool read;
};

struct garden {
    struct net t;
    struct item items[MAX_VALUES];
    int n, names;
};

static int pick(struct garden *g, int n) {
    return (int)net_random(&g->t, 0, n) % n;
}

static const char *name(struct garden *g, const char *what) {
    static char buffer[4][32];
    char *s = buffer[g->names % 4];
    snprintf(s, sizeof buffer[0], "%s%d", what, g->names++);
    return s;
}

static struct item *any(struct garden *g) {
    const int back = pick(g, 3) ? 1 + pick(g, 2) : 1 + pick(g, g->n);
    return &g->items[back > g->n ? 0 : g->n - back];
}

static void add(struct garden *g, struct bnr_value *v, int64_t c, int64_t h, int64_t w) {
    if (g->n < MAX_VALUES)
        g->items[g->n++] = (struct item){.v = v, .c = c, .h = h, .w = w};
}

static struct bnr_value *vector(struct garden *g, int64_t c) {
    return net_weight(&g->t, name(g, "k"), NET_DIMS(c, 1, 1));
}

// ---- steps
// ------------------------------------------------------------------------------------------

static void step_conv(struct garden *g, struct item *x) {
    struct net_conv c = {.spatial = 2, .in = x->c, .group = 1, .bias = pick(g, 2)};
    c.transposed = pick(g, 5) == 0;
    c.k = 1 + pick(g, x->h < 3 || x->w < 3 ? 1 : 3);
    c.pad = c.k == 3 ? pick(g, 2) : 0;
    c.stride = 1 + pick(g, 2);
    if (x->c % 2 == 0 && pick(g, 3) == 0)
        c.group = pick(g, 2) ? x->c : 2;
    c.out = c.group * (1 + pick(g, 3));
    x->read = true;
    const int64_t h = c.transposed ? (x->h - 1) * c.stride + c.k - 2 * c.pad
                                   : (x->h + 2 * c.pad - c.k) / c.stride + 1;
    const int64_t w = c.transposed ? (x->w - 1) * c.stride + c.k - 2 * c.pad
                                   : (x->w + 2 * c.pad - c.k) / c.stride + 1;
    if (h < 1 || w < 1 || h > 20)
        return;
    add(g, net_conv(&g->t, name(g, "conv"), x->v, c), c.out, h, w);
}

static void step_bn(struct garden *g, struct item *x) {
    x->read = true;
    add(g, net_bn(&g->t, name(g, "bn"), x->v, x->c), x->c, x->h, x->w);
}

static void step_arithmetic(struct garden *g, struct item *x) {
    static const char *const ops[] = {"Add", "Mul", "Sub", "Div"};
    const int op = pick(g, 5);
    struct bnr_value *k = pick(g, 3) ? vector(g, x->c) : net_weight(&g->t, name(g, "k"), 0, NULL);
    x->read = true;
    if (op == 4)
        add(g, net_op(&g->t, "Neg", NULL, NET_IN(x->v)), x->c, x->h, x->w);
    else if (op < 3 && pick(g, 2))
        add(g, net_op(&g->t, ops[op], NULL, NET_IN(k, x->v)), x->c, x->h, x->w);
    else
        add(g, net_op(&g->t, ops[op], NULL, NET_IN(x->v, k)), x->c, x->h, x->w);
}

static void step_unary(struct garden *g, struct item *x) {
    static const char *const ops[] = {"Relu", "LeakyRelu", "Sigmoid", "Identity", "PRelu", "Abs"};
    const char *op = ops[pick(g, 6)];
    x->read = true;
    if (op[0] == 'P')
        add(g, net_op(&g->t, op, NULL, NET_IN(x->v, vector(g, x->c))), x->c, x->h, x->w);
    else
        add(g, net_op(&g->t, op, NULL, NET_IN(x->v)), x->c, x->h, x->w);
}

static void step_pool(struct garden *g, struct item *x) {
    if (x->h < 3 || x->w < 3)
        return;
    const int kind = pick(g, 4);
    x->read = true;
    if (kind == 3) {
        add(g, net_op(&g->t, "GlobalAveragePool", NULL, NET_IN(x->v)), x->c, 1, 1);
        return;
    }
    const int64_t pad = pick(g, 2);
    struct bnr_value *y = net_op(&g->t, kind == 0 ? "MaxPool" : "AveragePool", NULL, NET_IN(x->v));
    net_attr_ints(&g->t, "kernel_shape", NET_INTS(3, 3));
    net_attr_ints(&g->t, "pads", NET_INTS(pad, pad, pad, pad));
    if (kind == 1)
        net_attr_int(&g->t, "count_include_pad", 1);
    add(g, y, x->c, x->h + 2 * pad - 2, x->w + 2 * pad - 2);
}

static void step_join(struct garden *g, struct item *x) {
    struct item *y = any(g);
    if (y->h != x->h || y->w != x->w)
        return;
    static const char *const ops[] = {"Add", "Sub", "Mul", "Max", "Sum"};
    x->read = y->read = true;
    if (pick(g, 2) || (x->c != y->c && x->c != 1)) {
        struct bnr_value *z = net_op(&g->t, "Concat", NULL, NET_IN(x->v, y->v));
        net_attr_int(&g->t, "axis", 1);
        add(g, z, x->c + y->c, x->h, x->w);
        return;
    }
    add(g, net_op(&g->t, ops[pick(g, 5)], NULL, NET_IN(x->v, y->v)), y->c, x->h, x->w);
}

static void step_cut(struct garden *g, struct item *x) {
    if (x->c < 2)
        return;
    x->read = true;
    const int64_t first = 1 + pick(g, (int)x->c - 1);
    if (pick(g, 2)) {
        const struct item from = *x;
        struct bnr_value *parts = net_ints(&g->t, name(g, "n"), NET_INTS(first, from.c - first));
        struct bnr_value *a = net_op(&g->t, "Split", NULL, NET_IN(from.v, parts));
        net_attr_int(&g->t, "axis", 1);
        struct bnr_value *b = net_out(&g->t, 1);
        add(g, a, first, from.h, from.w);
        add(g, b, from.c - first, from.h, from.w);
        return;
    }
    struct bnr_value *y = net_op(&g->t, "Slice", NULL,
                                 NET_IN(x->v, net_ints(&g->t, name(g, "s"), NET_INTS(first)),
                                        net_ints(&g->t, name(g, "e"), NET_INTS(x->c)),
                                        net_ints(&g->t, name(g, "a"), NET_INTS(1))));
    add(g, y, x->c - first, x->h, x->w);
}

static void step_pad(struct garden *g, struct item *x) {
    const int64_t before = pick(g, 2), after = pick(g, 2), side = pick(g, 2);
    const bool edge = pick(g, 3) == 0;
    const int64_t channels = edge ? 0 : before;
    struct bnr_value *pads =
        net_ints(&g->t, name(g, "p"), NET_INTS(0, channels, side, 0, 0, edge ? 0 : after, 0, side));
    x->read = true;
    struct bnr_value *y = net_op(&g->t, "Pad", NULL, NET_IN(x->v, pads));
    if (edge)
        net_attr_string(&g->t, "mode", "edge");
    add(g, y, x->c + channels + (edge ? 0 : after), x->h + side, x->w + side);
}

static void step_layout(struct garden *g, struct item *x) {
    struct net *t = &g->t;
    struct bnr_value *y = x->v;
    x->read = true;
    if (pick(g, 3) == 0 && x->c % 2 == 0) { // channel shuffle
        y = net_op(t, "Reshape", NULL,
                   NET_IN(y, net_ints(t, name(g, "r"), NET_INTS(N, 2, x->c / 2, x->h, x->w))));
        y = net_op(t, "Transpose", NULL, NET_IN(y));
        net_attr_ints(t, "perm", NET_INTS(0, 2, 1, 3, 4));
        y = net_op(t, "Reshape", NULL,
                   NET_IN(y, net_ints(t, name(g, "r"), NET_INTS(N, x->c, x->h, x->w))));
        add(g, y, x->c, x->h, x->w);
    } else if (pick(g, 2) && x->c % 4 == 0) {
        y = net_op(t, "DepthToSpace", NULL, NET_IN(y));
        net_attr_int(t, "blocksize", 2);
        net_attr_string(t, "mode", pick(g, 2) ? "CRD" : "DCR");
        add(g, y, x->c / 4, x->h * 2, x->w * 2);
    } else {
        y = net_op(t, "Transpose", NULL, NET_IN(y));
        net_attr_ints(t, "perm", NET_INTS(0, 1, 3, 2));
        add(g, y, x->c, x->w, x->h);
    }
}

static void step_residual(struct garden *g, struct item *x) {
    const struct net_conv c = {
        .spatial = 2, .in = x->c, .out = x->c, .k = 1, .bias = pick(g, 2), .group = 1};
    const struct item from = *x;
    struct bnr_value *a = net_conv(&g->t, name(g, "conv"), from.v, c);
    struct bnr_value *b = pick(g, 2) ? net_conv(&g->t, name(g, "conv"), from.v, c) : from.v;
    x->read = true;
    add(g, net_op(&g->t, "Add", NULL, NET_IN(a, b)), from.c, from.h, from.w);
}

static void finish(struct garden *g) {
    struct net *t = &g->t;
    for (int i = 0; i < g->n; i++) {
        struct item *x = &g->items[i];
        const bool extra = t->g->n_outputs < 6 && pick(g, 12) == 0;
        if ((x->read && !extra && i < g->n - 1) || !x->v->producer || t->g->n_outputs >= 7)
            continue;
        if (pick(g, 3) || x->c * x->h * x->w > 400) {
            net_output(t, x->v);
            continue;
        }
        struct bnr_value *y = net_op(t, "Flatten", NULL, NET_IN(x->v));
        const int64_t k = x->c * x->h * x->w;
        struct bnr_value *w = net_weight(t, name(g, "fc"), NET_DIMS(k, 3));
        if (pick(g, 2))
            y = net_op(t, "Gemm", name(g, "gemm"),
                       NET_IN(y, w, net_weight(t, name(g, "c"), NET_DIMS(3))));
        else
            y = net_op(t, "MatMul", name(g, "matmul"), NET_IN(y, w));
        net_output(t, pick(g, 2) ? net_bn(t, name(g, "bn"), y, 3) : y);
    }
}

static void grow(struct garden *g, uint64_t seed) {
    static void (*const steps[])(struct garden *, struct item *) = {
        step_conv,       step_conv,  step_conv,   step_bn,      step_bn,   step_bn,
        step_arithmetic, step_unary, step_unary,  step_pool,    step_join, step_join,
        step_cut,        step_pad,   step_layout, step_residual};
    net_begin(&g->t, 13);
    g->n = g->names = 0;
    g->t.seed = seed * 0x10001;
    g->t.dtype = BNR_DOUBLE;
    // Errors of 1e-16 grow through divisions by small numbers; a wrong fold is wrong by percents.
    g->t.tolerance = 1e-7;
    const int64_t c = 1 + pick(g, 6), h = 4 + pick(g, 4), w = 4 + pick(g, 4);
    add(g, net_input(&g->t, "x", NET_DIMS(N, c, h, w)), c, h, w);
    for (int left = 4 + pick(g, 14); left > 0; left--)
        steps[pick(g, (int)BNR_COUNT(steps))](g, any(g));
    finish(g);
}

static long from_environment(const char *variable, long fallback) {
    const char *s = getenv(variable);
    return s && *s ? strtol(s, NULL, 10) : fallback;
}

static void random_networks(void **state) {
    static const unsigned groups[] = {BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE,
                                      BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_FUSE,
                                      BNR_PASS_FOLD};
    const long first = from_environment("BNR_SEED", 1), count = from_environment("BNR_SEEDS", 400);
    static struct garden g;
    size_t folded = 0, kept = 0;
    for (long seed = first; seed < first + count; seed++) {
        for (size_t k = 0; k < BNR_COUNT(groups); k++) {
            grow(&g, (uint64_t)seed);
            if (g.t.g->n_outputs > 0) {
                g.t.seed = (uint64_t)seed; // for the message
                net_fold(&g.t, groups[k]);
                for (size_t i = 0; i < g.t.folded->n_bns; i++)
                    *(g.t.folded->bns[i]->verdict == BNR_BN_KEPT ? &kept : &folded) += 1;
            }
            net_end(&g.t);
        }
    }
    print_message("%zu folded, %zu kept\n", folded, kept);
    assert_true(count < 100 || (folded > kept / 2 && kept > 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
