// SPDX-License-Identifier: Apache-2.0
// Steps of random networks: values of several shapes that meet, constants among them. And what a
// file may leave open: dims, and initializers that are only defaults.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/random_steps.h"

enum { MOST_NUMBERS = 1000 };

// Dims that broadcast against x's: cut in front, some of them 1, or larger where x has 1.
static int some_dims(struct random_net *r, const struct random_item *x, int64_t *dims) {
    const int cut = random_chance(r, 3) ? random_pick(r, x->rank + 1) : 0;
    int64_t numel = 1;
    for (int i = cut; i < x->rank; i++) {
        dims[i - cut] = random_chance(r, 3)                      ? 1
                        : x->dims[i] == 1 && random_chance(r, 3) ? 3
                                                                 : x->dims[i];
        numel *= dims[i - cut];
    }
    return numel > MOST_NUMBERS ? 0 : x->rank - cut;
}

// Arithmetic with a constant of any shape.
void random_step_broadcast(struct random_net *r, struct random_item *x) {
    static const char *const ops[] = {"Add", "Mul", "Sub", "Div", "Max", "Min", "Sum"};
    int64_t dims[RANDOM_NET_RANK];
    if (random_opset(r) < 8)
        return;
    const int op = random_pick(r, 7), rank = some_dims(r, x, dims);
    struct bnr_value *k = random_factors(r, rank, dims, op == 3);
    struct bnr_value *in[3] = {x->v, k, random_any(r)->v};
    if (random_chance(r, 2) && op != 3) {
        in[0] = k;
        in[1] = x->v;
    }
    net_op(&r->t, ops[op], NULL, op > 3 && random_chance(r, 2) ? 3 : 2, in);
    random_made(r);
}

void random_step_where(struct random_net *r, struct random_item *x) {
    struct net *t = &r->t;
    int64_t dims[RANDOM_NET_RANK], other[RANDOM_NET_RANK];
    double bits[256];
    size_t n = 1;
    if (random_opset(r) < 9)
        return;
    const int rank = some_dims(r, x, dims);
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    if (n > BNR_COUNT(bits))
        return;
    for (size_t i = 0; i < n; i++)
        bits[i] = random_chance(r, 2);
    const enum bnr_dtype dtype = t->dtype;
    t->dtype = BNR_BOOL;
    struct bnr_value *c = net_const(t, random_name(r, "c"), rank, dims, bits);
    t->dtype = dtype;
    if (c->producer)
        assert_int_equal(bnr__node_infer(c->producer, NULL, &t->err), BNR_OK);
    struct bnr_value *y = random_any(r)->v;
    if (random_chance(r, 2)) {
        const int other_rank = some_dims(r, x, other);
        y = random_factors(r, other_rank, other, false);
    }
    if (random_chance(r, 2))
        net_op(t, "Where", NULL, NET_IN(c, x->v, y));
    else
        net_op(t, "Where", NULL, NET_IN(c, y, x->v));
    random_made(r);
}

void random_step_expand(struct random_net *r, struct random_item *x) {
    struct net *t = &r->t;
    int64_t dims[RANDOM_NET_RANK];
    if (random_opset(r) < 8)
        return;
    const int rank = some_dims(r, x, dims);
    if (rank == 0)
        return;
    net_op(t, "Expand", NULL, NET_IN(x->v, net_ints(t, random_name(r, "e"), dims, (size_t)rank)));
    random_made(r);
}

// A constant beside x.
void random_step_constant(struct random_net *r, struct random_item *x) {
    const int axis = random_chance(r, 3) ? random_pick(r, x->rank) : x->rank > 1;
    int64_t dims[RANDOM_NET_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = 1;
    struct bnr_value *k = random_factors(r, x->rank, dims, false);
    if (random_chance(r, 2))
        net_op(&r->t, "Concat", NULL, NET_IN(x->v, k));
    else
        net_op(&r->t, "Concat", NULL, NET_IN(k, x->v));
    net_attr_int(&r->t, "axis",
                 random_opset(r) >= 11 && random_chance(r, 2) ? axis - x->rank : axis);
    random_made(r);
}

// ---- what a file leaves open

static void open_dims(struct random_net *r) {
    static const char *const symbols[] = {"batch", "channels", "height", "width", "depth"};
    struct net *t = &r->t;
    const bool all = random_chance(r, 4);
    for (size_t i = 0; i < t->g->n_inputs; i++) {
        struct bnr_shape *s = &bnr__value_declare(t->g->inputs[i])->shape;
        for (int k = 0; k < s->rank; k++) {
            if (!random_chance(r, all ? 2 : 8))
                continue;
            s->dims[k] = bnr__dim_unknown();
            if (i == 0 && random_chance(r, 2))
                s->dims[k].sym = bnr__model_intern(t->model, symbols[k]);
        }
        if (random_chance(r, 40))
            *s = bnr__shape_unknown();
    }
}

// Weights and factors, which do not decide shapes. The caller's numbers have the same signs.
static void override_some(struct random_net *r) {
    struct net *t = &r->t;
    const size_t count = t->g->n_values;
    for (size_t i = 0; i < count && t->g->n_inputs < NET_MAX_INPUTS; i++) {
        struct bnr_value *v = t->g->values[i];
        if (!bnr__value_is_constant(v) || v->producer || v->tensor->dtype != t->dtype ||
            v->is_input || v->tensor->numel == 0 || !random_chance(r, 6))
            continue;
        for (size_t k = 0; k < v->n_uses; k++)
            if (bnr__node_is(v->uses[k].node, "", "Resize") ||
                bnr__node_is(v->uses[k].node, "", "Upsample"))
                return;
        struct bnr_tensor *wide;
        assert_int_equal(bnr__tensor_cast(&wide, NULL, v->tensor, BNR_DOUBLE, &t->err), BNR_OK);
        for (size_t k = 0; k < wide->numel; k++)
            wide->f64[k] *= net_random(t, 0.5, 1.5);
        v->is_initializer = true;
        *bnr__value_declare(v) = v->info->type;
        assert_int_equal(bnr__tensor_cast(&t->data[t->g->n_inputs], NULL, wide, t->dtype, &t->err),
                         BNR_OK);
        assert_int_equal(bnr__graph_add_input(t->g, v, &t->err), BNR_OK);
        bnr__tensor_unref(wide);
    }
}

void random_leave_open(struct random_net *r) {
    if (random_chance(r, 4))
        open_dims(r);
    if (!r->t.constant_nodes && random_chance(r, 12))
        override_some(r);
}
