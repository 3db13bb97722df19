// SPDX-License-Identifier: Apache-2.0
// The typed mechanism: broadcasting of random shapes against an index loop, every compute class,
// narrow dtypes, the attributes of opsets below 7, in-place, threads, zero sizes, and what must be
// refused.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"
#include "runtime/base/pool.h"

// ---- one node -----------------------------------------------------------------------------------

enum { MAX_IN = 8 };

struct one {
    struct bnr_node node;
    struct bnr_attr attrs[4];
    const struct bnr_tensor *in[MAX_IN];
    struct bnr_tensor *out;
    struct bnr_pool *pool;
    struct bnr_error err;
    int64_t ints[4];
};

static void one_init(struct one *o, const char *op_type, int opset) {
    memset(o, 0, sizeof *o);
    const struct bnr_op *op = bnr__op_find("", op_type);
    assert_non_null(op);
    o->node = (struct bnr_node){.name = "n",
                                .label = "n",
                                .op_type = op_type,
                                .domain = "",
                                .overload = "",
                                .opset = opset};
    o->node.op = op;
    o->node.since = bnr__op_version(op, opset);
    o->node.attrs = o->attrs;
    assert_true(o->node.since > 0);
}

static void one_int(struct one *o, const char *name, int64_t v) {
    const size_t i = o->node.n_attrs++;
    o->ints[i] = v;
    o->attrs[i] =
        (struct bnr_attr){.name = name, .type = BNR_ATTR_INT, .n = 1, .ints = &o->ints[i]};
}

static void one_in(struct one *o, const struct bnr_tensor *t) {
    o->in[o->node.n_in++] = t;
}

// infer, then ref into a tensor of the inferred type (or into `o->out` when the caller set one).
static enum bnr_status one_run(struct one *o) {
    struct bnr_arena arena = {0};
    struct bnr_info infos[MAX_IN], y = bnr__info_unknown(), *outs[] = {&y};
    const struct bnr_info *ins[MAX_IN];
    for (int i = 0; i < o->node.n_in; i++) {
        infos[i] = bnr__info_unknown();
        infos[i].type.dtype = o->in[i]->dtype;
        infos[i].type.shape = bnr__shape_of(o->in[i]->rank, o->in[i]->dims);
        ins[i] = &infos[i];
    }
    struct bnr_infer cx = {
        .node = &o->node, .in = ins, .n_in = o->node.n_in, .out = outs, .n_out = 1};
    cx.arena = &arena;
    cx.err = &o->err;
    enum bnr_status st = o->node.op->infer(&cx);
    if (st == BNR_OK) {
        assert_true(bnr__shape_known(&y.type.shape));
        int64_t dims[BNR_MAX_RANK];
        bnr__shape_numbers(&y.type.shape, dims);
        if (o->out == NULL)
            assert_int_equal(
                bnr__tensor_new(&o->out, NULL, y.type.dtype, y.type.shape.rank, dims, &o->err),
                BNR_OK);
        struct bnr_args a = {.node = &o->node, .in = o->in, .n_in = o->node.n_in, .out = &o->out};
        a.n_out = 1;
        a.pool = o->pool;
        a.strings = a.temp = &arena;
        a.err = &o->err;
        struct bnr_tensor *before = o->out;
        st = o->node.op->ref(&a);
        if (st == BNR_OK)
            assert_ptr_equal(o->out, before); // what infer said is what ref wanted
    }
    bnr__arena_free(&arena);
    return st;
}

static struct bnr_tensor *tensor(enum bnr_dtype d, int rank, const int64_t *dims) {
    struct bnr_tensor *t;
    assert_int_equal(bnr__tensor_new(&t, NULL, d, rank, dims, NULL), BNR_OK);
    return t;
}

static struct bnr_tensor *tensor_of(enum bnr_dtype d, int64_t n, const double *v) {
    struct bnr_tensor *t = tensor(d, 1, &n);
    bnr__store_f64(d, t->data, v, (size_t)n);
    return t;
}

// ---- random shapes ------------------------------------------------------------------------------

static uint32_t seed_state;
static uint32_t rnd(uint32_t n) {
    seed_state = seed_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(seed_state >> 4) * n >> 28);
}

static struct bnr_tensor *random_tensor(enum bnr_dtype d, int rank, const int64_t *dims) {
    struct bnr_tensor *t = tensor(d, rank, dims);
    for (size_t i = 0; i < t->numel; i++) {
        const double v = d == BNR_BOOL ? rnd(2) : (double)rnd(16) + 1;
        bnr__store_f64(d, (char *)t->data + i * bnr__dtype_size(d), &v, 1);
    }
    return t;
}

// Value of t at the output element with linear index i, by the definition of broadcasting.
static double at(const struct bnr_tensor *t, const struct bnr_tensor *out, size_t i) {
    int64_t index[BNR_MAX_RANK];
    for (int d = out->rank - 1; d >= 0; d--) {
        index[d] = (int64_t)(i % (size_t)out->dims[d]);
        i /= (size_t)out->dims[d];
    }
    size_t off = 0;
    for (int d = 0; d < t->rank; d++)
        off = off * (size_t)t->dims[d] +
              (t->dims[d] == 1 ? 0 : (size_t)index[out->rank - t->rank + d]);
    return bnr__get_f64(t->dtype, t->data, off);
}

static void random_dims(int rank, const int64_t *full, int *r, int64_t *dims) {
    *r = (int)rnd((uint32_t)rank + 1);
    for (int d = 0; d < *r; d++)
        dims[d] = rnd(3) == 0 ? 1 : full[rank - *r + d];
}

static const char *const binary_ops[] = {"Add",  "Sub",   "Mul", "Div",
                                         "Less", "Equal", "Max", "Mean"};

static double formula(int op, double a, double b, bool integer) {
    switch (op) {
    case 0:
        return a + b;
    case 1:
        return a - b;
    case 2:
        return a * b;
    case 3:
        return integer ? trunc(a / b) : a / b;
    case 4:
        return a < b;
    case 5:
        return a == b;
    case 6:
        return a > b ? a : b;
    default:
        return (a + b) / 2;
    }
}

static double tolerance(enum bnr_dtype d, double want) {
    const double eps = d == BNR_DOUBLE    ? 1e-15
                       : d == BNR_FLOAT   ? 1e-6
                       : d == BNR_FLOAT16 ? 1e-3
                                          : 1e-2;
    return bnr__dtype_is_float(d) ? eps * fabs(want) : 0;
}

static double wrapped(enum bnr_dtype d, double v) {
    return d == BNR_UINT8 ? (double)(uint8_t)(int64_t)v : v;
}

static void check_random(uint32_t seed) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT,   BNR_DOUBLE,   BNR_INT32, BNR_INT64,
                                            BNR_FLOAT16, BNR_BFLOAT16, BNR_UINT8, BNR_INT16};
    seed_state = seed * 2654435761u + 1;
    rnd(2);
    const int op = (int)rnd(8), rank = (int)rnd(5);
    const enum bnr_dtype d = dtypes[op == 7 ? rnd(2) : rnd(8)];
    const uint32_t longest = rnd(4) == 0 ? 300 : 6;
    int64_t full[5], dims[2][5];
    int r[2];
    for (int i = 0; i < rank; i++)
        full[i] = rnd(40) == 0 ? 0 : 1 + (int64_t)rnd(i == (int)(seed % 5) ? longest : 6);
    struct bnr_tensor *x[2];
    for (int i = 0; i < 2; i++) {
        random_dims(rank, full, &r[i], dims[i]);
        x[i] = random_tensor(d, r[i], dims[i]);
    }
    struct one o;
    one_init(&o, binary_ops[op], 17);
    one_in(&o, x[0]);
    one_in(&o, x[1]);
    if (one_run(&o) != BNR_OK)
        fail_msg("seed %u: %s", seed, o.err.message);
    const struct bnr_tensor *y = o.out;
    for (size_t i = 0; i < y->numel; i++) {
        const double a = at(x[0], y, i), b = at(x[1], y, i);
        const double want = wrapped(y->dtype, formula(op, a, b, !bnr__dtype_is_float(d)));
        const double got = bnr__get_f64(y->dtype, y->data, i);
        if (!(fabs(got - want) <= tolerance(y->dtype, want)))
            fail_msg("seed %u: %s %s element %zu: %g and %g give %.9g, expected %.9g", seed,
                     binary_ops[op], bnr__dtype_name(d), i, a, b, got, want);
    }
    for (int i = 0; i < 2; i++)
        bnr__tensor_unref(x[i]);
    bnr__tensor_unref(o.out);
}

static void broadcasts_like_an_index_loop(void **state) {
    for (uint32_t seed = 0; seed < 6000; seed++)
        check_random(seed);
}

// ---- opsets below 7 -----------------------------------------------------------------------------

static void legacy_axis_places_input_1(void **state) {
    static const int64_t dims[] = {2, 3, 4}, part[] = {3}, tail[] = {3, 4}, one[] = {1, 1};
    static const struct {
        int64_t axis;
        int rank;
        const int64_t *dims;
        int step; // input 1's element for output element i is i / step % numel
    } cases[] = {{1, 1, part, 4}, {1, 2, tail, 1}, {-1, 2, tail, 1}, {2, 2, one, 1}};
    for (size_t c = 0; c < BNR_COUNT(cases); c++) {
        struct one o;
        one_init(&o, "Sub", 6);
        one_int(&o, "broadcast", 1);
        one_int(&o, "axis", cases[c].axis);
        struct bnr_tensor *x = tensor(BNR_FLOAT, 3, dims);
        struct bnr_tensor *b = tensor(BNR_FLOAT, cases[c].rank, cases[c].dims);
        for (size_t i = 0; i < x->numel; i++)
            x->f32[i] = 100 * (float)i;
        for (size_t i = 0; i < b->numel; i++)
            b->f32[i] = (float)i;
        one_in(&o, x);
        one_in(&o, b);
        if (one_run(&o) != BNR_OK)
            fail_msg("case %zu: %s", c, o.err.message);
        assert_int_equal(o.out->rank, 3);
        for (size_t i = 0; i < x->numel; i++)
            assert_true(o.out->f32[i] ==
                        100 * (float)i - (float)(i / (size_t)cases[c].step % b->numel));
        bnr__tensor_unref(x);
        bnr__tensor_unref(b);
        bnr__tensor_unref(o.out);
    }
}

static void legacy_needs_the_attribute(void **state) {
    const int64_t dims[] = {2, 3}, tail[] = {3}, wrong[] = {2};
    struct bnr_tensor *x = tensor(BNR_FLOAT, 2, dims), *b = tensor(BNR_FLOAT, 1, tail);
    struct bnr_tensor *w = tensor(BNR_FLOAT, 1, wrong);
    struct one o;
    one_init(&o, "Add", 1);
    one_in(&o, x);
    one_in(&o, b);
    assert_int_equal(one_run(&o), BNR_SHAPE);
    assert_non_null(strstr(o.err.message, "node 'n' (Add)"));
    one_init(&o, "Mul", 6);
    one_int(&o, "broadcast", 1);
    one_in(&o, x);
    one_in(&o, w);
    assert_int_equal(one_run(&o), BNR_SHAPE);
    assert_non_null(strstr(o.err.message, "axis 1 of input 0 is 3, input 1 has 2"));
    one_init(&o, "Mul", 6);
    one_int(&o, "broadcast", 1);
    one_in(&o, b);
    one_in(&o, x);
    assert_int_equal(one_run(&o), BNR_SHAPE);
    one_init(&o, "Max", 6);
    one_in(&o, x);
    one_in(&o, b);
    assert_int_equal(one_run(&o), BNR_SHAPE);
    bnr__tensor_unref(x);
    bnr__tensor_unref(b);
    bnr__tensor_unref(w);
}

// ---- where the output lies, and who computes it -------------------------------------------------

static void output_may_be_input_0(void **state) {
    static const char *const ops[] = {"Add", "Sum", "Mean", "Mul"};
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_FLOAT16};
    const int64_t dims[] = {3, 700}, row[] = {700};
    seed_state = 7;
    for (size_t k = 0; k < BNR_COUNT(ops) * BNR_COUNT(dtypes); k++) {
        const enum bnr_dtype d = dtypes[k % 2];
        struct bnr_tensor *x = random_tensor(d, 2, dims), *b = random_tensor(d, 1, row);
        struct one o, inplace;
        one_init(&o, ops[k / 2], 17);
        one_in(&o, x);
        one_in(&o, b);
        if (ops[k / 2][0] == 'S')
            one_in(&o, x);
        inplace = o;
        inplace.node.attrs = inplace.attrs;
        assert_int_equal(one_run(&o), BNR_OK);
        inplace.out = x;
        assert_int_equal(one_run(&inplace), BNR_OK);
        assert_memory_equal(o.out->data, x->data, x->nbytes);
        bnr__tensor_unref(x);
        bnr__tensor_unref(b);
        bnr__tensor_unref(o.out);
    }
}

static void threads_change_nothing(void **state) {
    const int64_t dims[] = {5, 3, 40000}, channel[] = {3, 1};
    seed_state = 11;
    struct bnr_tensor *x = random_tensor(BNR_FLOAT, 3, dims);
    struct bnr_tensor *b = random_tensor(BNR_FLOAT, 2, channel);
    struct bnr_pool *pool;
    assert_int_equal(bnr__pool_new(&pool, 3, NULL), BNR_OK);
    struct one serial, parallel;
    one_init(&serial, "Div", 14);
    one_in(&serial, x);
    one_in(&serial, b);
    parallel = serial;
    parallel.pool = pool;
    assert_int_equal(one_run(&serial), BNR_OK);
    assert_int_equal(one_run(&parallel), BNR_OK);
    assert_memory_equal(serial.out->data, parallel.out->data, serial.out->nbytes);
    bnr__tensor_unref(serial.out);
    bnr__tensor_unref(parallel.out);
    bnr__tensor_unref(x);
    bnr__tensor_unref(b);
    bnr__pool_free(pool);
}

// ---- integers and special values ----------------------------------------------------------------

static void check_binary(const char *op, enum bnr_dtype d, double a, double b, double want) {
    struct one o;
    struct bnr_tensor *x = tensor_of(d, 1, &a), *y = tensor_of(d, 1, &b);
    one_init(&o, op, 20);
    one_in(&o, x);
    one_in(&o, y);
    if (one_run(&o) != BNR_OK)
        fail_msg("%s: %s", op, o.err.message);
    const double got = bnr__get_f64(o.out->dtype, o.out->data, 0);
    if (got != want && !(isnan(got) && isnan(want)))
        fail_msg("%s %s: %g and %g give %g, expected %g", op, bnr__dtype_name(d), a, b, got, want);
    bnr__tensor_unref(x);
    bnr__tensor_unref(y);
    bnr__tensor_unref(o.out);
}

static void integers_wrap_and_truncate(void **state) {
    check_binary("Add", BNR_INT32, 2147483647, 1, -2147483648.0);
    check_binary("Add", BNR_UINT8, 255, 2, 1);
    check_binary("Sub", BNR_UINT32, 0, 1, 4294967295.0);
    check_binary("Mul", BNR_INT8, 64, 2, -128);
    check_binary("Mul", BNR_INT64, 4611686018427387904.0, 2, -9223372036854775808.0);
    check_binary("Div", BNR_INT32, -7, 2, -3);
    check_binary("Div", BNR_INT32, -2147483648.0, -1, -2147483648.0);
    check_binary("Div", BNR_INT64, -9223372036854775808.0, -1, -9223372036854775808.0);
    check_binary("Mod", BNR_INT32, -7, 3, 2);
    check_binary("Mod", BNR_INT32, 7, -3, -2);
    check_binary("Mod", BNR_INT64, -9223372036854775808.0, -1, 0);
    check_binary("Pow", BNR_INT32, 3, 19, 1162261467);
    check_binary("Pow", BNR_INT64, 2, -1, 0);
    check_binary("Pow", BNR_INT64, -1, -3, -1);
    check_binary("Pow", BNR_INT32, 2, 31, -2147483648.0);
    check_binary("Max", BNR_UINT64, 9223372036854775808.0, 5, 9223372036854775808.0);
    check_binary("Less", BNR_UINT64, 9223372036854775808.0, 5, 0);
    check_binary("Max", BNR_FLOAT, NAN, 1, NAN);
    check_binary("Max", BNR_FLOAT, 1, NAN, NAN);
    check_binary("Min", BNR_DOUBLE, 1, NAN, NAN);
    check_binary("Div", BNR_FLOAT, 1, 0, INFINITY);
    check_binary("Equal", BNR_FLOAT, NAN, NAN, 0);
    check_binary("BitwiseXor", BNR_INT8, -1, 5, -6);
}

static void shifts_by_the_width_give_zero(void **state) {
    static const struct {
        const char *direction;
        enum bnr_dtype d;
        double x, by, want;
    } cases[] = {{"LEFT", BNR_UINT8, 129, 1, 2},
                 {"LEFT", BNR_UINT8, 1, 8, 0},
                 {"RIGHT", BNR_UINT32, 8, 2, 2},
                 {"RIGHT", BNR_UINT64, 8, 64, 0},
                 {"LEFT", BNR_UINT64, 1, 255, 0},
                 {"RIGHT", BNR_UINT8, 255, 9, 0},
                 {"LEFT", BNR_UINT64, 1, 40, 1099511627776.0}};
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct one o;
        const struct bnr_str text = {cases[i].direction, strlen(cases[i].direction)};
        struct bnr_tensor *x = tensor_of(cases[i].d, 1, &cases[i].x);
        struct bnr_tensor *by = tensor_of(cases[i].d, 1, &cases[i].by);
        one_init(&o, "BitShift", 17);
        o.attrs[o.node.n_attrs++] = (struct bnr_attr){
            .name = "direction", .type = BNR_ATTR_STRING, .n = 1, .strings = &text};
        one_in(&o, x);
        one_in(&o, by);
        assert_int_equal(one_run(&o), BNR_OK);
        assert_true(bnr__get_f64(o.out->dtype, o.out->data, 0) == cases[i].want);
        bnr__tensor_unref(x);
        bnr__tensor_unref(by);
        bnr__tensor_unref(o.out);
    }
}

static void check_refused(const char *op, enum bnr_dtype d0, int64_t n0, enum bnr_dtype d1,
                          int64_t n1, const char *why) {
    struct one o;
    struct bnr_tensor *x = tensor(d0, 1, &n0), *y = tensor(d1, 1, &n1);
    if (d0 != BNR_STRING)
        memset(x->data, 0, x->nbytes);
    if (d1 != BNR_STRING)
        memset(y->data, 0, y->nbytes);
    one_init(&o, op, 20);
    one_in(&o, x);
    one_in(&o, y);
    const enum bnr_status st = one_run(&o);
    assert_true(st == BNR_SHAPE || st == BNR_UNSUPPORTED);
    if (strstr(o.err.message, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", o.err.message, why);
    bnr__tensor_unref(x);
    bnr__tensor_unref(y);
    bnr__tensor_unref(o.out);
}

static void refuses_what_is_not_defined(void **state) {
    check_refused("Add", BNR_FLOAT, 2, BNR_FLOAT, 3, "does not broadcast");
    check_refused("Add", BNR_FLOAT, 2, BNR_INT32, 2, "float32");
    check_refused("Add", BNR_BOOL, 2, BNR_BOOL, 2, "input 0 is bool[2]");
    check_refused("And", BNR_FLOAT, 2, BNR_FLOAT, 2, "expected a tensor of bool");
    check_refused("BitwiseOr", BNR_FLOAT, 2, BNR_FLOAT, 2, "expected a tensor of uint8");
    check_refused("Sum", BNR_STRING, 2, BNR_STRING, 2, "string[2]");
    check_refused("Div", BNR_INT32, 2, BNR_INT32, 2, "element 0 of input 1 is 0");
    check_refused("Mod", BNR_UINT8, 2, BNR_UINT8, 1, "division by zero");
    check_refused("Mod", BNR_FLOAT, 2, BNR_FLOAT, 2, "fmod = 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadcasts_like_an_index_loop),
        cmocka_unit_test(legacy_axis_places_input_1),
        cmocka_unit_test(legacy_needs_the_attribute),
        cmocka_unit_test(output_may_be_input_0),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(integers_wrap_and_truncate),
        cmocka_unit_test(shifts_by_the_width_give_zero),
        cmocka_unit_test(refuses_what_is_not_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
