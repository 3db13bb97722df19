// SPDX-License-Identifier: Apache-2.0
// Steps of random networks: bodies of If, Loop and Scan, one in another at times, which read values
// from outside.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/random_steps.h"

enum { MOST_BODIES = 2 };

// A few steps; the last value of the shape of `from`, of this graph. `open`: that shape is not the
// same in every round, so they only depend on the channels.
static struct random_item grow(struct random_net *r, const struct random_item *from, bool open) {
    static random_step *const steps[] = {
        random_step_bn,        random_step_bn,        random_step_residual, random_step_unary,
        random_step_conv,      random_step_join,      random_step_pool,     random_step_where,
        random_step_constant,  random_step_broadcast, random_step_if,       random_step_loop,
        random_step_arithmetic};
    struct random_item last = *from;
    for (int left = 1 + random_pick(r, 5); left > 0; left--) {
        const int mark = r->n;
        struct random_item x = !open && random_chance(r, 8) ? *random_any(r) : last;
        steps[random_pick(r, open ? 3 : (int)BNR_COUNT(steps))](r, &x);
        for (int i = mark; i < r->n; i++)
            if (r->items[i].rank == from->rank && r->items[i].v->graph == r->t.g &&
                memcmp(r->items[i].dims, from->dims, sizeof from->dims) == 0)
                last = r->items[i];
    }
    return last;
}

// The body of the node made last. `begin` made its inputs; from: what it starts with.
static void leave(struct random_net *r, const struct net *outer, const char *attr,
                  struct bnr_value *result, int mark) {
    const uint64_t seed = r->t.seed;
    net_leave(&r->t, outer, attr, result);
    r->t.seed = seed;
    r->n = mark;
    r->bodies--;
}

void random_step_if(struct random_net *r, struct random_item *x) {
    static const char *const branches[] = {"then_branch", "else_branch"};
    const struct random_item from = *x;
    struct net *t = &r->t, outer;
    if (t->model->graph->n_inputs == NET_MAX_INPUTS || r->bodies >= MOST_BODIES)
        return;
    struct bnr_graph *g = t->g;
    t->g = t->model->graph;
    struct bnr_value *condition =
        net_condition(t, random_name(r, "condition"), random_chance(r, 2));
    t->g = g;
    bnr__value_info(condition)->type = *condition->declared;
    struct bnr_value *y = net_op(t, "If", random_name(r, "if"), NET_IN(condition));
    struct bnr_node *node = t->node;
    for (int k = 0; k < 2; k++) {
        const int mark = r->n;
        t->node = node;
        net_enter(t, &outer);
        r->bodies++;
        leave(r, &outer, branches[k], grow(r, &from, false).v, mark);
    }
    random_mark_read(r, from.v);
    t->node = node;
    bnr__value_info(y)->type = from.v->info->type;
    random_add(r, y);
}

static struct random_item started(struct random_net *r, struct bnr_value *v,
                                  const struct bnr_type *type, int cut) {
    struct random_item from = {.v = v, .rank = type->shape.rank - cut};
    bnr__value_info(v)->type = *type;
    bnr__value_info(v)->type.shape.rank = from.rank;
    for (int i = 0; i < from.rank; i++) {
        bnr__value_info(v)->type.shape.dims[i] = type->shape.dims[i + cut];
        from.dims[i] = type->shape.dims[i + cut].n;
    }
    if (random_chance(r, 2))
        bnr__value_declare(v)->shape = v->info->type.shape;
    return from;
}

// One or two rounds, of a value that keeps its shape or grows.
void random_step_loop(struct random_net *r, struct random_item *x) {
    struct net *t = &r->t, outer;
    struct bnr_type type = x->v->info->type;
    const int rounds = random_pick(r, 3);
    if (r->bodies >= MOST_BODIES)
        return;
    const double trips = rounds;
    const enum bnr_dtype dtype = t->dtype;
    t->dtype = BNR_INT64;
    struct bnr_value *m = net_const(t, random_name(r, "m"), 0, NULL, &trips);
    t->dtype = dtype;
    struct bnr_value *y =
        net_op(t, "Loop", random_name(r, "loop"), 3, (struct bnr_value *[]){m, NULL, x->v});
    struct bnr_node *node = t->node;
    const int mark = r->n;
    random_mark_read(r, x->v);
    net_enter(t, &outer);
    r->bodies++;
    bnr__value_declare(net_body_input(t, random_name(r, "round"), BNR_INT64))->shape.rank = 0;
    struct bnr_value *go = net_body_input(t, random_name(r, "go"), BNR_BOOL);
    const int axis = random_pick(r, type.shape.rank);
    const bool grows = axis != 1 && random_opset(r) >= 9 && random_chance(r, 3);
    struct random_item from =
        started(r, net_body_input(t, random_name(r, "carried"), dtype), &type, 0);
    if (grows)
        bnr__value_declare(from.v)->shape = bnr__shape_unknown();
    net_output(t, net_op(t, "Identity", NULL, NET_IN(go)));
    struct bnr_value *result = grow(r, &from, grows).v;
    if (grows) {
        result = net_op(t, "Concat", NULL, NET_IN(result, random_chance(r, 2) ? result : from.v));
        net_attr_int(t, "axis", axis);
        type.shape.dims[axis].n <<= rounds;
    }
    leave(r, &outer, "body", result, mark);
    t->node = node;
    bnr__value_info(y)->type = type;
    random_add(r, y);
}

// A body for each slice along axis 0.
void random_step_scan(struct random_net *r, struct random_item *x) {
    struct net *t = &r->t, outer;
    const struct bnr_type type = x->v->info->type;
    if (r->bodies >= MOST_BODIES || random_opset(r) < 9 || x->rank < 2)
        return;
    struct bnr_value *y = net_op(t, "Scan", random_name(r, "scan"), NET_IN(x->v));
    struct bnr_node *node = t->node;
    const int mark = r->n;
    net_attr_int(t, "num_scan_inputs", 1);
    random_mark_read(r, x->v);
    net_enter(t, &outer);
    r->bodies++;
    struct random_item from =
        started(r, net_body_input(t, random_name(r, "slice"), t->dtype), &type, 1);
    struct bnr_value *result = grow(r, &from, false).v;
    leave(r, &outer, "body", result, mark);
    t->node = node;
    bnr__value_info(y)->type = type;
    random_add(r, y);
}
