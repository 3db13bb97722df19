// SPDX-License-Identifier: Apache-2.0
// Plans of random graphs, checked by simulating their memory byte by byte, and run against plans in
// which nothing is aliased or overwritten.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/exec.h"
#include "tests/lib/model_builder.h"

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

static uint64_t seed, first_seed; // first_seed is printed by failures

static unsigned draw(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

// ---- random graphs ------------------------------------------------------------------------------

enum { MAX_VALUES = 64 };

// Values [rows, 6] and [6, rows], of which operators make more. Exact in float, whatever is
// rewritten.
struct pool_of_values {
    struct bnr_value *v[MAX_VALUES];
    int rows[MAX_VALUES];
    bool turned[MAX_VALUES];
    int n;
};

static void add_value(struct pool_of_values *p, struct bnr_value *v, int rows, bool turned) {
    p->v[p->n] = v;
    p->rows[p->n] = rows;
    p->turned[p->n++] = turned;
}

static void random_node(struct model_builder *t, struct pool_of_values *p, bool products) {
    static const char *const unary[] = {"Relu", "Neg", "Abs", "Identity", "Transpose"};
    const int a = (int)draw((unsigned)p->n), b = (int)draw((unsigned)p->n);
    const unsigned what = draw(products ? 12 : 9);
    if (what < 5) {
        add_value(p, mb_op(t, unary[what], p->v[a], NULL, NULL), p->rows[a],
                  p->turned[a] ^ (what == 4));
    } else if (what < 7 && p->rows[a] == p->rows[b] && p->turned[a] == p->turned[b]) {
        const char *op = what == 5 ? "Max" : "Min";
        add_value(p, mb_op(t, op, p->v[a], p->v[b], NULL), p->rows[a], p->turned[a]);
    } else if (what == 7) { // the same bytes with other dims
        const int64_t dims[2] = {p->turned[a] ? p->rows[a] : 6, p->turned[a] ? 6 : p->rows[a]};
        add_value(p, mb_op(t, "Reshape", p->v[a], mb_ints(t, 2, dims), NULL), p->rows[a],
                  !p->turned[a]);
    } else if (what == 8 && !p->turned[a] && !p->turned[b] && p->rows[a] + p->rows[b] < 200) {
        struct bnr_value *v = mb_op(t, "Concat", p->v[a], p->v[b], NULL);
        if (v)
            bnr__node_set_attr_int(v->producer, "axis", 0);
        add_value(p, v, p->rows[a] + p->rows[b], false);
    } else if (what > 8 && !p->turned[a]) { // a product and what kernels take along with it
        struct bnr_value *v = mb_op(t, "MatMul", p->v[a], mb_weights(t, DIMS(6, 6)), NULL);
        v = mb_op(t, "Add", v, mb_weights(t, DIMS(6)), NULL);
        if (what > 9 && p->rows[a] == p->rows[b] && !p->turned[b])
            v = mb_op(t, "Add", draw(2) ? v : p->v[b], draw(2) ? p->v[b] : v, NULL);
        add_value(p, what > 10 ? mb_op(t, "Sigmoid", v, NULL, NULL) : v, p->rows[a], false);
    }
}

static struct bnr_model *random_model(int *rows, bool products) {
    struct model_builder t;
    struct pool_of_values p = {.n = 0};
    mb_begin(&t, 13, NULL);
    const char *const names[] = {"x", "y"};
    for (int i = 0; i < 2; i++) {
        rows[i] = 1 + (int)draw(40);
        add_value(&p, mb_input(&t, names[i], BNR_FLOAT, DIMS(rows[i], 6)), rows[i], false);
    }
    const int nodes = 3 + (int)draw(40);
    for (int i = 0; i < nodes && p.n < MAX_VALUES; i++)
        random_node(&t, &p, products);
    const int outputs = 1 + (int)draw(4);
    mb_output(&t, p.v[p.n - 1]);
    for (int i = 0; i < outputs; i++)
        mb_output(&t, p.v[draw((unsigned)p.n)]); // inputs and repetitions, too
    struct bnr_model *m = mb_end(&t);
    if (!m)
        fail_msg("seed %llu: %s", (unsigned long long)first_seed, t.err.message);
    return m;
}

// ---- simulation ---------------------------------------------------------------------------------

// What each byte of the arena and of each output holds: the slot that was written there last.
struct memory {
    int *bytes[2 + MAX_VALUES];
    size_t size[2 + MAX_VALUES];
};

static size_t slot_bytes(const struct bnr_slot *s) {
    size_t bytes = 0;
    assert_true(bnr__type_bytes(&s->type, &bytes));
    return bytes;
}

static int *region(struct memory *m, const struct bnr_slot *s) {
    const int which = s->base == BNR_BASE_ARENA ? 0 : 1 + s->index;
    const size_t end = s->offset + slot_bytes(s);
    assert_true(s->base != BNR_BASE_ARENA || end + BNR_TENSOR_PAD <= m->size[0]);
    if (end > m->size[which]) {
        m->bytes[which] = realloc(m->bytes[which], end * sizeof(int));
        assert_non_null(m->bytes[which]);
        for (size_t i = m->size[which]; i < end; i++)
            m->bytes[which][i] = -1;
        m->size[which] = end;
    }
    return m->bytes[which] + s->offset;
}

static int slot_of(const struct bnr_plan *plan, const struct bnr_value *v) {
    for (int i = 0; i < plan->n_slots; i++)
        if (plan->slots[i].value == v)
            return i;
    return -1;
}

static bool is_written(const struct bnr_plan *plan, int slot) {
    for (int s = 0; s < plan->n_steps; s++)
        for (int i = 0; i < plan->steps[s].n_out; i++)
            if (plan->steps[s].out[i] == slot)
                return true;
    return false;
}

// The slot whose bytes a slot shows: its own, or what it is a view of.
static int origin(const struct bnr_plan *plan, int slot) {
    while (slot >= 0 && plan->slots[slot].kind == BNR_SLOT_PLACED && !is_written(plan, slot))
        slot = slot_of(plan, plan->slots[slot].value->producer->in[0]);
    return slot;
}

static void check_read(struct memory *m, const struct bnr_plan *plan, int slot) {
    const struct bnr_slot *s = &plan->slots[slot];
    if (s->kind != BNR_SLOT_PLACED || s->base == BNR_BASE_GIVEN)
        return;
    const int *bytes = region(m, s), from = origin(plan, slot);
    for (size_t i = 0; i < slot_bytes(s); i++)
        if (bytes[i] != from)
            fail_msg("seed %llu: '%s' was overwritten by '%s'", (unsigned long long)first_seed,
                     s->value->name, bytes[i] < 0 ? "nothing" : plan->slots[bytes[i]].value->name);
}

static bool share_bytes(const struct bnr_slot *a, const struct bnr_slot *b) {
    return a->kind == BNR_SLOT_PLACED && b->kind == BNR_SLOT_PLACED && a->base == b->base &&
           a->index == b->index && a->offset < b->offset + slot_bytes(b) &&
           b->offset < a->offset + slot_bytes(a);
}

// A step may overwrite one input, which has the same size.
static void check_overwriting(const struct bnr_plan *plan, const struct bnr_step *st) {
    for (int i = 0; i < st->n_out; i++) {
        if (st->out[i] < 0)
            continue;
        const struct bnr_slot *out = &plan->slots[st->out[i]];
        int shared = 0;
        for (int k = 0; k < st->n_in; k++) {
            if (st->in[k] < 0 || !share_bytes(out, &plan->slots[st->in[k]]))
                continue;
            shared++;
            assert_int_equal(plan->slots[st->in[k]].offset, out->offset);
            assert_int_equal(slot_bytes(&plan->slots[st->in[k]]), slot_bytes(out));
        }
        if (shared > 1)
            fail_msg("seed %llu: '%s' overwrites two inputs", (unsigned long long)first_seed,
                     out->value->name);
    }
}

static void simulate(const struct bnr_plan *plan) {
    struct memory m = {.size = {0}};
    m.bytes[0] = calloc(plan->arena_bytes, sizeof(int));
    m.size[0] = plan->arena_bytes;
    for (int s = 0; s < plan->n_steps; s++) {
        const struct bnr_step *st = &plan->steps[s];
        for (int i = 0; i < st->n_in; i++)
            if (st->in[i] >= 0)
                check_read(&m, plan, st->in[i]);
        check_overwriting(plan, st);
        for (int i = 0; i < st->n_out; i++) {
            const struct bnr_slot *out = &plan->slots[st->out[i]];
            if (st->out[i] < 0 || out->kind != BNR_SLOT_PLACED)
                continue;
            int *bytes = region(&m, out);
            for (size_t k = 0; k < slot_bytes(out); k++)
                bytes[k] = st->out[i];
        }
    }
    for (size_t k = 0; k < plan->graph->n_outputs; k++)
        check_read(&m, plan, plan->outputs[k].slot);
    for (size_t i = 0; i < 2 + MAX_VALUES; i++)
        free(m.bytes[i]);
}

// ---- runs ---------------------------------------------------------------------------------------

static struct bnr_session *session_of(const struct bnr_model *m, unsigned flags) {
    struct bnr_session *s;
    struct bnr_error err;
    struct bnr_options o;
    bnr_options_init(&o);
    o.threads = 1;
    o.flags = flags;
    if (bnr_session_create(&s, m, &o, &err) != BNR_OK)
        fail_msg("seed %llu: %s", (unsigned long long)first_seed, err.message);
    return s;
}

static void run(struct bnr_session *s, struct bnr_tensor *const *in, size_t n_in,
                struct bnr_tensor **out) {
    struct bnr_error err;
    const bnr_tensor *inputs[4];
    for (size_t i = 0; i < n_in; i++)
        inputs[i] = in[i];
    if (bnr_run(s, inputs, n_in, out, s->face->n_outputs, &err) != BNR_OK)
        fail_msg("seed %llu: %s", (unsigned long long)first_seed, err.message);
}

// Equal but perhaps for signs of zeros, or, where products round in another order, nearly.
static bool agree(const struct bnr_tensor *got, const struct bnr_tensor *want, bool exact) {
    if (got->numel != want->numel)
        return false;
    for (size_t i = 0; exact && i < want->numel; i++)
        if (!(got->f32[i] == want->f32[i]))
            return false;
    float most = 1;
    for (size_t i = 0; i < want->numel; i++)
        most = fmaxf(most, fabsf(want->f32[i]));
    for (size_t i = 0; i < want->numel; i++)
        if (!(fabsf(got->f32[i] - want->f32[i]) <= 1e-4f * most))
            return false;
    return true;
}

static void check_runs(struct bnr_session *fast, struct bnr_session *plain, const int *rows,
                       bool exact) {
    struct bnr_tensor *in[2], *got[8] = {NULL}, *want[8] = {NULL};
    for (int i = 0; i < 2; i++)
        in[i] = mb_tensor(BNR_FLOAT, DIMS(rows[i], 6), seed + (uint64_t)i);
    run(plain, in, 2, want);
    for (int times = 0; times < 2; times++) { // the second time into the same tensors
        run(fast, in, 2, got);
        for (size_t k = 0; k < fast->face->n_outputs; k++)
            if (!agree(got[k], want[k], exact))
                fail_msg("seed %llu: output %zu differs", (unsigned long long)first_seed, k);
    }
    for (int k = 0; k < 8; k++) {
        bnr_tensor_release(got[k]);
        bnr_tensor_release(want[k]);
    }
    bnr_tensor_release(in[0]);
    bnr_tensor_release(in[1]);
}

struct tally {
    size_t aliased, overwritten, direct, fused;
};

static void count_plan(struct tally *t, const struct bnr_plan *plan) {
    for (int s = 0; s < plan->n_steps; s++) {
        const struct bnr_step *st = &plan->steps[s];
        t->fused += st->n_nodes > 1;
        for (int i = 0; i < st->n_in && st->in[i] >= 0; i++) {
            const struct bnr_slot *a = &plan->slots[st->in[i]], *b = &plan->slots[st->out[0]];
            t->overwritten += a->kind == BNR_SLOT_PLACED && a->base == b->base &&
                              a->index == b->index && a->offset == b->offset;
        }
    }
    for (size_t k = 0; k < plan->graph->n_outputs; k++)
        t->direct += plan->outputs[k].direct;
}

static struct tally random_rounds(unsigned from, unsigned to, bool products) {
    struct tally t = {0};
    for (unsigned round = from; round < to; round++) {
        int rows[2];
        seed = first_seed = round;
        struct bnr_model *m = random_model(rows, products);
        struct bnr_session *fast = session_of(m, 0), *plain = session_of(m, BNR_REFERENCE);
        const struct bnr_plan *plan = fast->plans[0].first, *slow = plain->plans[0].first;
        assert_non_null(plan);
        simulate(plan);
        simulate(slow);
        assert_true(plan->arena_bytes >= plan->arena_lower_bound);
        assert_true(products || plan->arena_lower_bound <= slow->arena_lower_bound);
        t.aliased += (size_t)(slow->n_steps - plan->n_steps);
        count_plan(&t, plan);
        check_runs(fast, plain, rows, !products);
        bnr_session_free(fast);
        bnr_session_free(plain);
        bnr_model_free(m);
    }
    return t;
}

// The counts show that the graphs exercise what the planner does.
static void random_graphs(void **state) {
    const struct tally t = random_rounds(0, 250, false);
    assert_true(t.aliased > 100);
    assert_true(t.overwritten > 100);
    assert_true(t.direct > 300);
}

static void random_graphs_with_kernels(void **state) {
    const struct tally t = random_rounds(1000, 1150, true);
    assert_true(t.fused > 100);
    assert_true(t.overwritten > 40);
}

// ---- cases --------------------------------------------------------------------------------------

// x -> Relu -> Neg -> Reshape -> output: one place, and it is the caller's.
static void chain_runs_in_the_output(void **state) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(4, 6));
    struct bnr_value *v = mb_op(&t, "Neg", mb_op(&t, "Relu", x, NULL, NULL), NULL, NULL);
    mb_output(&t, mb_op(&t, "Reshape", v, mb_ints(&t, 1, (int64_t[]){24}), NULL));
    struct bnr_model *m = mb_end(&t);
    struct bnr_session *s = session_of(m, 0);
    const struct bnr_plan *plan = s->plans[0].first;
    assert_int_equal(plan->n_steps, 2);
    assert_true(plan->outputs[0].direct);
    assert_int_equal(plan->arena_bytes, BNR_TENSOR_PAD);
    bnr_session_free(s);
    bnr_model_free(m);
}

// Sum takes any number of inputs, its kernel two.
// x -> Tanh -> node -> Neg -> output, where the node may leave every element where it is.
static int steps_around(int64_t rows, const char *op_type) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *v =
        mb_op(&t, "Tanh", mb_input(&t, "x", BNR_FLOAT, DIMS(rows, 4, 6)), NULL, NULL);
    if (strcmp(op_type, "Transpose") == 0) {
        v = mb_op(&t, op_type, v, NULL, NULL);
        bnr__node_set_attr_ints(v->producer, "perm", (const int64_t[]){1, 0, 2}, 3);
    } else {
        v = mb_op(&t, op_type, v, mb_ints(&t, 1, (const int64_t[]){0}),
                  mb_ints(&t, 1, (const int64_t[]){1}));
    }
    mb_output(&t, mb_op(&t, "Neg", v, NULL, NULL));
    struct bnr_model *m = mb_end(&t);
    struct bnr_session *s = session_of(m, 0), *plain = session_of(m, BNR_REFERENCE);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(rows, 4, 6), 1), *out = NULL, *want = NULL;
    run(s, &x, 1, &out);
    run(plain, &x, 1, &want);
    assert_true(agree(out, want, false));
    const int steps = s->plans[0].first->n_steps;
    bnr_tensor_release(x);
    bnr_tensor_release(out);
    bnr_tensor_release(want);
    bnr_session_free(s);
    bnr_session_free(plain);
    bnr_model_free(m);
    return steps;
}

static void what_moves_nothing_has_no_step(void **state) {
    assert_int_equal(steps_around(1, "Transpose"), 2);
    assert_int_equal(steps_around(2, "Transpose"), 3);
    assert_int_equal(steps_around(1, "Slice"), 2);
    assert_int_equal(steps_around(2, "Slice"), 3);
}

static void sum_of_many(void **state) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(4, 6));
    struct bnr_value *y = mb_input(&t, "y", BNR_FLOAT, DIMS(6));
    mb_output(&t, mb_op(&t, "Sum", y, y, x));
    struct bnr_model *m = mb_end(&t);
    struct bnr_session *fast = session_of(m, 0), *plain = session_of(m, BNR_REFERENCE);
    struct bnr_tensor *in[] = {mb_tensor(BNR_FLOAT, DIMS(4, 6), 1),
                               mb_tensor(BNR_FLOAT, DIMS(6), 2)};
    struct bnr_tensor *out[2] = {NULL, NULL};
    run(fast, in, 2, &out[0]);
    run(plain, in, 2, &out[1]);
    assert_memory_equal(out[0]->data, out[1]->data, 24 * sizeof(float));
    for (int i = 0; i < 2; i++) {
        bnr_tensor_release(in[i]);
        bnr_tensor_release(out[i]);
    }
    bnr_session_free(fast);
    bnr_session_free(plain);
    bnr_model_free(m);
}

// What follows from shapes alone has no step, except where the reference path is asked for.
static void shape_arithmetic_has_no_steps(void **state) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(-1, 6));
    struct bnr_value *shape = mb_op(&t, "Shape", x, NULL, NULL);
    struct bnr_value *first = mb_op(&t, "Gather", shape, mb_ints(&t, 1, (int64_t[]){0}), NULL);
    struct bnr_value *dims = mb_op(&t, "Concat", first, mb_ints(&t, 2, (int64_t[]){2, 3}), NULL);
    if (dims)
        bnr__node_set_attr_int(dims->producer, "axis", 0);
    mb_output(&t, mb_op(&t, "Relu", mb_op(&t, "Reshape", x, dims, NULL), NULL, NULL));
    struct bnr_model *m = mb_end(&t);
    struct bnr_session *s = session_of(m, 0), *plain = session_of(m, BNR_REFERENCE);
    struct bnr_tensor *in = mb_tensor(BNR_FLOAT, DIMS(5, 6), 1), *out = NULL, *want = NULL;
    run(s, &in, 1, &out);
    run(plain, &in, 1, &want);
    assert_int_equal(s->plans[0].first->n_steps, 1);
    assert_int_equal(plain->plans[0].first->n_steps, 5);
    assert_int_equal(out->rank, 3);
    assert_int_equal(out->dims[0], 5);
    assert_true(bnr__tensor_equal(out, want));
    bnr_tensor_release(in);
    bnr_tensor_release(out);
    bnr_tensor_release(want);
    bnr_session_free(s);
    bnr_session_free(plain);
    bnr_model_free(m);
}

// Shapes that depend on data: a Reshape whose dims are an input, and what follows it.
static struct bnr_model *data_dependent_model(void) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(4, 6));
    struct bnr_value *dims = mb_input(&t, "dims", BNR_INT64, DIMS(-1));
    struct bnr_value *v = mb_op(&t, "Reshape", mb_op(&t, "Relu", x, NULL, NULL), dims, NULL);
    struct bnr_value *w = mb_op(&t, "Neg", v, NULL, NULL);
    mb_output(&t, mb_op(&t, "Max", w, v, NULL));
    mb_output(&t, mb_op(&t, "Shape", w, NULL, NULL));
    struct bnr_model *m = mb_end(&t);
    if (!m)
        fail_msg("%s", t.err.message);
    return m;
}

static void shapes_from_data(void **state) {
    struct bnr_model *m = data_dependent_model();
    struct bnr_session *s = session_of(m, 0);
    struct bnr_tensor *in[2] = {mb_tensor(BNR_FLOAT, DIMS(4, 6), 3), NULL};
    static const int64_t shapes[][2] = {{2, 12}, {24, 1}, {-1, 3}, {2, 12}};
    for (size_t i = 0; i < BNR_COUNT(shapes); i++) {
        struct bnr_tensor *out[2] = {NULL, NULL};
        in[1] = mb_tensor(BNR_INT64, DIMS(2), 0);
        memcpy(in[1]->i64, shapes[i], sizeof shapes[i]);
        run(s, in, 2, out);
        assert_int_equal(out[0]->rank, 2);
        assert_int_equal(out[0]->dims[0], shapes[i][0] < 0 ? 8 : shapes[i][0]);
        assert_int_equal(out[1]->i64[0], out[0]->dims[0]);
        assert_int_equal(out[1]->i64[1], out[0]->dims[1]);
        for (int k = 0; k < 24; k++) // max(-relu(x), relu(x))
            assert_true(out[0]->f32[k] == (in[0]->f32[k] > 0 ? in[0]->f32[k] : 0));
        for (int k = 0; k < 2; k++)
            bnr_tensor_release(out[k]);
        bnr_tensor_release(in[1]);
    }
    struct bnr_session_stats stats;
    bnr_session_stats(s, &stats);
    assert_int_equal(stats.plans, 1);
    // A shape that does not fit is an error of that run, not more.
    struct bnr_tensor *out[2] = {NULL, NULL};
    struct bnr_error err;
    in[1] = mb_tensor(BNR_INT64, DIMS(2), 0);
    in[1]->i64[0] = in[1]->i64[1] = 5;
    assert_int_equal(bnr_run(s, (const bnr_tensor *[]){in[0], in[1]}, 2, out, 2, &err), BNR_SHAPE);
    assert_non_null(strstr(err.message, "Reshape"));
    assert_null(out[0]);
    in[1]->i64[0] = 4, in[1]->i64[1] = 6;
    run(s, in, 2, out);
    for (int k = 0; k < 2; k++) {
        bnr_tensor_release(out[k]);
        bnr_tensor_release(in[k]);
    }
    bnr_session_free(s);
    bnr_model_free(m);
}

// Plans are kept for a few shapes; the least recently used one goes.
static void plans_are_cached(void **state) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    mb_output(&t, mb_op(&t, "Relu", mb_input(&t, "x", BNR_FLOAT, DIMS(-1, 3)), NULL, NULL));
    struct bnr_model *m = mb_end(&t);
    struct bnr_session *s = session_of(m, 0);
    struct bnr_session_stats stats;
    static const struct {
        int rows;
        size_t plans;
    } steps[] = {{1, 1}, {2, 2}, {1, 2}, {2, 2}, {3, 3}, {4, 4}, {5, 5},  {6, 6},
                 {7, 7}, {8, 8}, {1, 8}, {9, 9}, {1, 9}, {3, 9}, {2, 10}, {9, 10}};
    for (size_t i = 0; i < BNR_COUNT(steps); i++) {
        struct bnr_tensor *in = mb_tensor(BNR_FLOAT, DIMS(steps[i].rows, 3), 1), *out = NULL;
        run(s, &in, 1, &out);
        assert_int_equal(out->dims[0], steps[i].rows);
        bnr_session_stats(s, &stats);
        assert_int_equal(stats.plans, steps[i].plans);
        assert_true(s->plans[0].count <= BNR_MAX_PLANS);
        bnr_tensor_release(in);
        bnr_tensor_release(out);
    }
    bnr_session_free(s);
    bnr_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs),
        cmocka_unit_test(random_graphs_with_kernels),
        cmocka_unit_test(chain_runs_in_the_output),
        cmocka_unit_test(what_moves_nothing_has_no_step),
        cmocka_unit_test(sum_of_many),
        cmocka_unit_test(shape_arithmetic_has_no_steps),
        cmocka_unit_test(shapes_from_data),
        cmocka_unit_test(plans_are_cached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
