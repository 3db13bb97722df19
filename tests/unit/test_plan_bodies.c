// SPDX-License-Identifier: Apache-2.0
// Nested graphs: captured values, plans of their own, contexts reused between iterations.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/session.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/model_builder.h"

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

static struct bnr_session *session_of(struct model_builder *t, const struct bnr_allocator *a,
                                      unsigned flags) {
    struct bnr_model *m = mb_end(t);
    struct bnr_session *s;
    struct bnr_error err;
    struct bnr_options o;
    if (!m)
        fail_msg("%s", t->err.message);
    bnr_options_init(&o);
    o.threads = 1;
    o.flags = flags;
    o.allocator = a;
    if (bnr_session_create(&s, m, &o, &err) != BNR_OK)
        fail_msg("%s", err.message);
    bnr_model_free(m);
    return s;
}

static enum bnr_status run2(struct bnr_session *s, struct bnr_tensor *a, struct bnr_tensor *b,
                            struct bnr_tensor **out, struct bnr_error *err) {
    return bnr_run(s, (const bnr_tensor *const[]){a, b}, 2, out, 1, err);
}

static size_t plans_of(const struct bnr_session *s) {
    struct bnr_session_stats stats;
    bnr_session_stats(s, &stats);
    return stats.plans;
}

static struct bnr_tensor *flag(bool value) {
    struct bnr_tensor *t = mb_tensor(BNR_BOOL, 0, NULL, 0);
    t->u8[0] = value;
    return t;
}

static struct bnr_tensor *number(int64_t value) {
    struct bnr_tensor *t = mb_tensor(BNR_INT64, 0, NULL, 0);
    t->i64[0] = value;
    return t;
}

// ---- If -----------------------------------------------------------------------------------------

// y = Neg(c ? [relu(x), relu(x)] : -relu(x)): both branches capture what the main graph computed,
// and their shapes differ.
static void branches(struct model_builder *t) {
    mb_begin(t, 13, NULL);
    struct bnr_value *c = mb_input(t, "c", BNR_BOOL, 0, NULL);
    struct bnr_value *r = mb_op(t, "Relu", mb_input(t, "x", BNR_FLOAT, DIMS(-1, 3)), NULL, NULL);
    struct bnr_value *y = mb_op(t, "If", c, NULL, NULL);
    mb_enter(t, y->producer);
    struct bnr_value *twice = mb_op(t, "Concat", r, r, NULL);
    bnr__node_set_attr_int(twice->producer, "axis", 0);
    mb_output(t, twice);
    mb_leave(t, "then_branch");
    mb_enter(t, y->producer);
    mb_output(t, mb_op(t, "Neg", r, NULL, NULL));
    mb_leave(t, "else_branch");
    mb_output(t, mb_op(t, "Neg", y, NULL, NULL));
}

static void check_branch(struct bnr_session *s, int64_t rows, bool which) {
    struct bnr_tensor *c = flag(which), *x = mb_tensor(BNR_FLOAT, DIMS(rows, 3), 5), *out = NULL;
    struct bnr_error err;
    if (run2(s, c, x, &out, &err) != BNR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(out->dims[0], which ? 2 * rows : rows);
    for (size_t i = 0; i < out->numel; i++) {
        const float v = x->f32[i % x->numel], r = v > 0 ? v : 0;
        assert_true(out->f32[i] == (which ? -r : r));
    }
    bnr_tensor_release(c);
    bnr_tensor_release(x);
    bnr_tensor_release(out);
}

static void if_runs_the_branch(void **state) {
    static const unsigned flags[] = {0, BNR_REFERENCE};
    for (size_t i = 0; i < BNR_COUNT(flags); i++) {
        struct model_builder t;
        branches(&t);
        struct bnr_session *s = session_of(&t, NULL, flags[i]);
        for (int round = 0; round < 3; round++)
            for (int64_t rows = 1; rows < 3; rows++) {
                check_branch(s, rows, true);
                check_branch(s, rows, false);
            }
        assert_int_equal(plans_of(s), 6); // three graphs, two shapes
        bnr_session_free(s);
    }
}

// ---- Loop ---------------------------------------------------------------------------------------

// v = x; n times: v = relu(v + x), where x is captured. With `grow`: v = relu([v, x]).
static void loop(struct model_builder *t, const struct bnr_allocator *a, bool grow) {
    mb_begin(t, 13, a);
    struct bnr_value *n = mb_input(t, "n", BNR_INT64, 0, NULL);
    struct bnr_value *x = mb_input(t, "x", BNR_FLOAT, DIMS(-1, 3));
    struct bnr_value *none = mb_op(t, "Loop", n, NULL, NULL);
    if (!none)
        return;
    bnr__node_set_input(none->producer, 2, x);
    mb_enter(t, none->producer);
    mb_input(t, "i", BNR_INT64, 0, NULL);
    struct bnr_value *go = mb_input(t, "go", BNR_BOOL, 0, NULL);
    struct bnr_value *v = mb_input(t, "v", BNR_FLOAT, 0, NULL);
    bnr__value_declare(v)->shape = bnr__shape_unknown();
    mb_output(t, mb_op(t, "Identity", go, NULL, NULL));
    struct bnr_value *next = mb_op(t, grow ? "Concat" : "Add", v, x, NULL);
    if (grow)
        bnr__node_set_attr_int(next->producer, "axis", 0);
    mb_output(t, mb_op(t, "Relu", next, NULL, NULL));
    mb_leave(t, "body");
    mb_output(t, none);
}

static struct bnr_tensor *run_loop(struct bnr_session *s, int64_t times) {
    struct bnr_tensor *n = number(times), *x = mb_tensor(BNR_FLOAT, DIMS(2, 3), 7), *out = NULL;
    struct bnr_error err;
    if (run2(s, n, x, &out, &err) != BNR_OK)
        fail_msg("%s", err.message);
    bnr_tensor_release(n);
    bnr_tensor_release(x);
    return out;
}

static void loop_carries(void **state) {
    struct model_builder t;
    loop(&t, NULL, false);
    struct bnr_session *s = session_of(&t, NULL, 0);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(2, 3), 7);
    for (int64_t n = 0; n < 5; n++) {
        struct bnr_tensor *out = run_loop(s, n);
        for (size_t i = 0; i < 6; i++) {
            float v = x->f32[i];
            for (int64_t k = 0; k < n; k++)
                v = v + x->f32[i] > 0 ? v + x->f32[i] : 0;
            assert_true(out->f32[i] == v);
        }
        bnr_tensor_release(out);
    }
    assert_int_equal(plans_of(s), 2);
    bnr_tensor_release(x);
    bnr_session_free(s);
}

// Every iteration has other shapes: a plan each, of which a few are kept.
static void loop_that_grows(void **state) {
    struct model_builder t;
    loop(&t, NULL, true);
    struct bnr_session *s = session_of(&t, NULL, 0);
    struct bnr_tensor *out = run_loop(s, 20);
    assert_int_equal(out->dims[0], 2 + 20 * 2);
    assert_true(s->plans[1].count <= BNR_MAX_PLANS);
    bnr_tensor_release(out);
    bnr_session_free(s);
}

// What an iteration allocates is what Loop itself needs: its counter. The body's run needs nothing.
static void iterations_allocate_nothing(void **state) {
    struct fault_alloc f;
    fault_alloc_init(&f, -1);
    struct model_builder t;
    loop(&t, &f.allocator, false);
    struct bnr_session *s = session_of(&t, &f.allocator, 0);
    long calls[2];
    bnr_tensor_release(run_loop(s, 10));
    for (int i = 0; i < 2; i++) {
        const long before = atomic_load(&f.calls);
        bnr_tensor_release(run_loop(s, i ? 110 : 10));
        calls[i] = atomic_load(&f.calls) - before;
    }
    assert_true(calls[1] - calls[0] <= 2 * 100);
    bnr_session_free(s);
    assert_int_equal(atomic_load(&f.live_blocks), 0);
}

static void failing_bodies_leak_nothing(void **state) {
    enum bnr_status st = BNR_NO_MEMORY;
    for (long k = 0; st != BNR_OK; k++) {
        struct fault_alloc f;
        struct bnr_error err = {0};
        fault_alloc_init(&f, -1);
        struct model_builder t;
        loop(&t, &f.allocator, false);
        struct bnr_session *s = session_of(&t, &f.allocator, 0);
        struct bnr_tensor *n = number(3), *x = mb_tensor(BNR_FLOAT, DIMS(2, 3), 7), *out = NULL;
        atomic_store(&f.fail_at, atomic_load(&f.calls) + k);
        st = run2(s, n, x, &out, &err);
        if (st != BNR_OK && st != BNR_NO_MEMORY)
            fail_msg("allocation %ld failed: %s", k, err.message);
        bnr_tensor_release(n);
        bnr_tensor_release(x);
        bnr_tensor_release(out);
        bnr_session_free(s);
        if (atomic_load(&f.live_blocks) != 0)
            fail_msg("allocation %ld failed: %ld blocks leaked", k, atomic_load(&f.live_blocks));
    }
}

// A body that cannot run is an error of the run, which names the node.
static void errors_come_out(void **state) {
    struct model_builder t;
    loop(&t, NULL, false);
    struct bnr_session *s = session_of(&t, NULL, 0);
    struct bnr_tensor *n = number(2), *x = mb_tensor(BNR_FLOAT, DIMS(2, 3), 7), *out = NULL;
    struct bnr_tensor *wide = mb_tensor(BNR_FLOAT, DIMS(2, 4), 7);
    struct bnr_error err;
    assert_int_equal(run2(s, n, wide, &out, &err), BNR_SHAPE);
    assert_int_equal(run2(s, n, x, &out, &err), BNR_OK);
    bnr_tensor_release(n);
    bnr_tensor_release(x);
    bnr_tensor_release(wide);
    bnr_tensor_release(out);
    bnr_session_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(if_runs_the_branch),
        cmocka_unit_test(loop_carries),
        cmocka_unit_test(loop_that_grows),
        cmocka_unit_test(iterations_allocate_nothing),
        cmocka_unit_test(failing_bodies_leak_nothing),
        cmocka_unit_test(errors_come_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
