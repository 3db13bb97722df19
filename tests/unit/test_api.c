// SPDX-License-Identifier: Apache-2.0
// The public interface: options, input and output checks, many threads, steady state, failing
// allocators.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
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

// Every allocation of the C library in this program.
static atomic_long mallocs;
#if !defined(__SANITIZE_ADDRESS__)
extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_calloc(size_t n, size_t size);
void *malloc(size_t size) {
    atomic_fetch_add(&mallocs, 1);
    return __libc_malloc(size);
}
void *realloc(void *p, size_t size) {
    atomic_fetch_add(&mallocs, 1);
    return __libc_realloc(p, size);
}
void *calloc(size_t n, size_t size) {
    atomic_fetch_add(&mallocs, 1);
    return __libc_calloc(n, size);
}
#endif

// ---- a small network ----------------------------------------------------------------------------

// x [N, 3, H, W] -> Conv -> BatchNormalization -> Relu -> MaxPool -> Flatten; and its Softmax.
static struct bnr_model *small_model(const struct bnr_allocator *a, struct bnr_error *err,
                                     int64_t batch) {
    struct model_builder t;
    mb_begin(&t, 13, a);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(batch, 3, 12, 12));
    struct bnr_value *c =
        mb_op(&t, "Conv", x, mb_weights(&t, DIMS(8, 3, 3, 3)), mb_weights(&t, DIMS(8)));
    struct bnr_value *b =
        mb_op(&t, "BatchNormalization", c, mb_weights(&t, DIMS(8)), mb_weights(&t, DIMS(8)));
    if (b) {
        struct bnr_value *var = mb_op(&t, "Abs", mb_weights(&t, DIMS(8)), NULL, NULL);
        t.failed = t.failed || !var ||
                   bnr__node_set_input(b->producer, 3, mb_weights(&t, DIMS(8))) != BNR_OK ||
                   bnr__node_set_input(b->producer, 4, var) != BNR_OK;
        if (!t.failed)
            bnr__node_move(b->producer, NULL);
    }
    struct bnr_value *p = mb_op(&t, "MaxPool", mb_op(&t, "Relu", b, NULL, NULL), NULL, NULL);
    if (p)
        t.failed = t.failed || bnr__node_set_attr_ints(p->producer, "kernel_shape",
                                                       (int64_t[]){2, 2}, 2) != BNR_OK;
    struct bnr_value *f = mb_op(&t, "Flatten", p, NULL, NULL);
    mb_output(&t, f);
    mb_output(&t, mb_op(&t, "Softmax", f, NULL, NULL));
    struct bnr_model *m = mb_end(&t);
    if (!m && err)
        *err = t.err;
    return m;
}

static struct bnr_model *must_have_model(int64_t batch) {
    struct bnr_error err = {0};
    struct bnr_model *m = small_model(NULL, &err, batch);
    if (!m)
        fail_msg("%s", err.message);
    return m;
}

static void must_run(struct bnr_session *s, const struct bnr_tensor *x, struct bnr_tensor **out,
                     size_t n) {
    struct bnr_error err;
    if (bnr_run(s, &x, 1, out, n, &err) != BNR_OK)
        fail_msg("%s", err.message);
}

// ---- options ------------------------------------------------------------------------------------

static void expect_options(const struct bnr_model *m, const struct bnr_options *o,
                           const char *part) {
    struct bnr_error err;
    struct bnr_session *s = (struct bnr_session *)&err;
    assert_int_equal(bnr_session_create(&s, m, o, &err), BNR_INVALID);
    assert_null(s);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
}

static void wrong_options(void **state) {
    struct bnr_model *m = must_have_model(2);
    struct bnr_options o;
    bnr_options_init(&o);
    assert_int_equal(o.struct_size, sizeof o);
    o.struct_size = 8;
    expect_options(m, &o, "struct_size is 8");
    bnr_options_init(&o);
    o.threads = -1;
    expect_options(m, &o, "-1 threads");
    bnr_options_init(&o);
    o.threads = 1000000;
    expect_options(m, &o, "1000000 threads");
    bnr_options_init(&o);
    o.cpu = "pentium";
    expect_options(m, &o, "'pentium'");
    bnr_options_init(&o);
    o.flags = 1u << 20;
    expect_options(m, &o, "0x100000");
    bnr_options_init(&o);
    o.flags = BNR_PROMOTE_DOUBLE;
    expect_options(m, &o, "BNR_REFERENCE");
    bnr_options_init(&o);
    o.cpu = "generic";
    o.threads = 1;
    struct bnr_session *s;
    assert_int_equal(bnr_session_create(&s, m, &o, NULL), BNR_OK);
    assert_string_equal(bnr_session_cpu(s), "generic");
    assert_int_equal(bnr_session_threads(s), 1);
    bnr_session_free(s);
    bnr_model_free(m);
}

static void null_arguments(void **state) {
    struct bnr_error err;
    struct bnr_model *m;
    struct bnr_session *s;
    assert_int_equal(bnr_session_create(&s, NULL, NULL, &err), BNR_INVALID);
    assert_int_equal(bnr_session_create(NULL, NULL, NULL, NULL), BNR_INVALID);
    assert_int_equal(bnr_model_load_file(&m, NULL, NULL, &err), BNR_INVALID);
    assert_int_equal(bnr_model_load(&m, NULL, 10, NULL, &err), BNR_INVALID);
    assert_int_equal(bnr_run(NULL, NULL, 0, NULL, 0, &err), BNR_INVALID);
    assert_int_equal(bnr_session_plan(NULL, NULL, 0, &err), BNR_INVALID);
    assert_int_equal(bnr_model_fold_file(NULL, "x", NULL, NULL, NULL, &err), BNR_INVALID);
    bnr_session_free(NULL);
    bnr_model_free(NULL);
    bnr_tensor_release(NULL);
}

// ---- tensors ------------------------------------------------------------------------------------

static void tensors(void **state) {
    struct bnr_error err;
    struct bnr_tensor *t;
    _Alignas(8) char bytes[64];
    assert_int_equal(bnr_tensor_wrap(&t, BNR_FLOAT, DIMS(2, 3), bytes, 24, &err), BNR_OK);
    assert_ptr_equal(bnr_tensor_data(t), bytes);
    assert_int_equal(bnr_tensor_bytes(t), 24);
    bnr_tensor_release(t);
    assert_int_equal(bnr_tensor_wrap(&t, BNR_FLOAT, DIMS(2, 3), bytes, 23, &err), BNR_INVALID);
    assert_non_null(strstr(err.message, "23 bytes, expected 24"));
    assert_null(t);
    assert_int_equal(bnr_tensor_wrap(&t, BNR_FLOAT, DIMS(2, 3), bytes + 1, 24, &err), BNR_INVALID);
    assert_int_equal(bnr_tensor_wrap(&t, BNR_STRING, DIMS(1), bytes, 16, &err), BNR_INVALID);
    assert_int_equal(bnr_tensor_wrap(&t, (enum bnr_dtype)99, DIMS(1), bytes, 4, &err), BNR_INVALID);
    assert_int_equal(bnr_tensor_create(&t, BNR_FLOAT, DIMS(-1), NULL, &err), BNR_INVALID);
    assert_int_equal(bnr_tensor_create(&t, BNR_FLOAT, DIMS(INT64_MAX, INT64_MAX), NULL, &err),
                     BNR_INVALID);
    assert_int_equal(bnr_tensor_create(&t, BNR_FLOAT, 17, NULL, NULL, &err), BNR_INVALID);
    assert_int_equal(bnr_tensor_create(&t, BNR_DOUBLE, DIMS(3), NULL, &err), BNR_OK);
    assert_true(((double *)bnr_tensor_data(t))[2] == 0);
    bnr_tensor_release(t);
}

static void strings_and_items(void **state) {
    struct bnr_error err;
    struct bnr_tensor *t, *seq, *map;
    const char *const words[] = {"one", "", "three"};
    size_t length;
    assert_int_equal(bnr_tensor_create_strings(&t, DIMS(3), words, NULL, &err), BNR_OK);
    assert_memory_equal(bnr_tensor_string(t, 2, &length), "three", 5);
    assert_int_equal(length, 5);
    bnr_tensor_string(t, 1, &length);
    assert_int_equal(length, 0);
    assert_null(bnr_tensor_string(t, 3, &length));
    struct bnr_tensor *const items[] = {t, t};
    assert_int_equal(bnr_tensor_create_items(&seq, BNR_KIND_SEQUENCE, items, 2, &err), BNR_OK);
    assert_int_equal(bnr_tensor_create_items(&map, BNR_KIND_MAP, items, 2, &err), BNR_OK);
    bnr_tensor_release(t);
    assert_int_equal(bnr_tensor_item_count(seq), 2);
    assert_memory_equal(bnr_tensor_string(bnr_tensor_item(seq, 1), 0, NULL), "one", 3);
    assert_null(bnr_tensor_item(seq, 2));
    bnr_tensor_release(seq);
    bnr_tensor_release(map);
    assert_int_equal(bnr_tensor_create_items(&seq, BNR_KIND_OPTIONAL, items, 2, &err), BNR_INVALID);
    assert_int_equal(bnr_tensor_create_items(&seq, BNR_KIND_TENSOR, NULL, 0, &err), BNR_INVALID);
}

// ---- inputs and outputs -------------------------------------------------------------------------

static void expect_run(struct bnr_session *s, const struct bnr_tensor *x, struct bnr_tensor *y,
                       enum bnr_status status, const char *part) {
    struct bnr_error err;
    struct bnr_tensor *out[2] = {y, NULL};
    assert_int_equal(bnr_run(s, &x, x ? 1 : 0, out, 2, &err), status);
    assert_null(out[1]);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
}

static void wrong_inputs(void **state) {
    struct bnr_model *m = must_have_model(-1);
    struct bnr_session *s = mb_session(m, 0, NULL, 1);
    static const struct {
        enum bnr_dtype dtype;
        int rank;
        int64_t dims[4];
        const char *part;
    } cases[] = {
        {BNR_DOUBLE,
         4,
         {1, 3, 12, 12},
         "input 'x' is float64[1,3,12,12], expected float32[A,3,12,12]"},
        {BNR_FLOAT, 3, {3, 12, 12}, "input 'x' is float32[3,12,12], expected float32[A,3,12,12]"},
        {BNR_FLOAT,
         4,
         {1, 4, 12, 12},
         "input 'x' is float32[1,4,12,12], expected float32[A,3,12,12]"},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct bnr_tensor *x = mb_tensor(cases[i].dtype, cases[i].rank, cases[i].dims, 1);
        expect_run(s, x, NULL, BNR_SHAPE, cases[i].part);
        bnr_tensor_release(x);
    }
    expect_run(s, NULL, NULL, BNR_INVALID, "input 'x' is missing, expected float32[A,3,12,12]");
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(1, 3, 12, 12), 1),
                      *out[3] = {NULL, NULL, NULL};
    struct bnr_error err;
    assert_int_equal(bnr_run(s, (const bnr_tensor *[]){x, x}, 2, out, 1, &err), BNR_INVALID);
    assert_non_null(strstr(err.message, "2 inputs given, the model has 1"));
    assert_int_equal(bnr_run(s, (const bnr_tensor *[]){x}, 1, out, 3, &err), BNR_INVALID);
    assert_non_null(strstr(err.message, "3 outputs asked for, the model has 2"));
    struct bnr_tensor *items;
    assert_int_equal(bnr_tensor_create_items(&items, BNR_KIND_SEQUENCE, &x, 1, &err), BNR_OK);
    expect_run(s, items, NULL, BNR_SHAPE, "input 'x' is seq(");
    bnr_tensor_release(items);
    bnr_tensor_release(x);
    bnr_session_free(s);
    bnr_model_free(m);
}

// Two inputs with one symbol: the same number.
static void symbols_agree(void **state) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *a = mb_input(&t, "a", BNR_FLOAT, DIMS(-1, 3)),
                     *b = mb_input(&t, "b", BNR_FLOAT, DIMS(3, -1));
    mb_output(&t, mb_op(&t, "MatMul", a, b, NULL));
    struct bnr_model *m = mb_end(&t);
    assert_non_null(m);
    struct bnr_session *s = mb_session(m, 0, NULL, 1);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(4, 3), 1),
                      *y = mb_tensor(BNR_FLOAT, DIMS(3, 5), 2);
    struct bnr_tensor *z = mb_tensor(BNR_FLOAT, DIMS(3, 4), 2), *out = NULL;
    struct bnr_error err;
    assert_int_equal(bnr_run(s, (const bnr_tensor *[]){x, y}, 2, &out, 1, &err), BNR_SHAPE);
    assert_non_null(strstr(err.message, "input 'b': dim 1 ('A') is 5, expected 4 as in input 'a'"));
    assert_int_equal(bnr_run(s, (const bnr_tensor *[]){x, z}, 2, &out, 1, &err), BNR_OK);
    assert_int_equal(out->dims[1], 4);
    struct bnr_value_info info;
    assert_int_equal(bnr_model_input(m, 1, &info), BNR_OK);
    assert_string_equal(info.name, "b");
    assert_int_equal(info.dims[0], 3);
    assert_int_equal(info.dims[1], -1);
    assert_string_equal(info.symbols[1], "A");
    assert_null(info.symbols[0]);
    assert_int_equal(bnr_model_input(m, 2, &info), BNR_INVALID);
    assert_int_equal(bnr_model_output(m, 0, &info), BNR_OK);
    assert_int_equal(info.rank, 2);
    assert_int_equal(info.dtype, BNR_FLOAT);
    bnr_tensor_release(x);
    bnr_tensor_release(y);
    bnr_tensor_release(z);
    bnr_tensor_release(out);
    bnr_session_free(s);
    bnr_model_free(m);
}

static void outputs_of_the_caller(void **state) {
    struct bnr_model *m = must_have_model(2);
    struct bnr_session *s = mb_session(m, 0, NULL, 1);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(2, 3, 12, 12), 1), *want[2] = {NULL, NULL};
    must_run(s, x, want, 2);
    assert_int_equal(want[0]->dims[1], 8 * 9 * 9);
    struct bnr_tensor *mine = mb_tensor(BNR_FLOAT, 2, want[0]->dims, 9), *out[2] = {mine, NULL};
    must_run(s, x, out, 2);
    assert_ptr_equal(out[0], mine);
    assert_true(bnr__tensor_equal(mine, want[0]));
    assert_true(bnr__tensor_equal(out[1], want[1]));
    // Fewer outputs than the model has.
    memset(mine->data, 0, mine->nbytes);
    must_run(s, x, out, 1);
    assert_true(bnr__tensor_equal(mine, want[0]));
    // Wrong ones.
    struct bnr_tensor *bad = mb_tensor(BNR_FLOAT, DIMS(2, 5), 1), *view;
    expect_run(s, x, bad, BNR_SHAPE, "is to go to float32[2,5], but is float32[2,648]");
    assert_int_equal(bnr__tensor_view(&view, mine, 2, mine->dims, NULL), BNR_OK);
    struct bnr_error err;
    assert_int_equal(
        bnr_run(s, (const bnr_tensor *[]){x}, 1, (bnr_tensor *[]){mine, view}, 2, &err),
        BNR_INVALID);
    assert_non_null(strstr(err.message, "share memory"));
    bnr_tensor_release(view);
    bnr_tensor_release(bad);
    bnr_tensor_release(mine);
    for (int k = 0; k < 2; k++)
        bnr_tensor_release(want[k]);
    bnr_tensor_release(out[1]);
    bnr_tensor_release(x);
    bnr_session_free(s);
    bnr_model_free(m);
}

// Outputs that are inputs or constants are copies; an output may lie in the memory of an input.
static void aliased_outputs(void **state) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(4, 6)), *w = mb_weights(&t, DIMS(3));
    struct bnr_value *turned = mb_op(&t, "Transpose", x, NULL, NULL);
    mb_output(&t, x);
    mb_output(&t, w);
    mb_output(&t, mb_op(&t, "Reshape", turned, mb_ints(&t, 2, (int64_t[]){4, 6}), NULL));
    mb_output(&t, turned);
    mb_output(&t, turned);
    struct bnr_model *m = mb_end(&t);
    assert_non_null(m);
    struct bnr_session *s = mb_session(m, 0, NULL, 1);
    struct bnr_tensor *in = mb_tensor(BNR_FLOAT, DIMS(4, 6), 1), *out[5] = {NULL};
    must_run(s, in, out, 5);
    assert_true(bnr__tensor_equal(out[0], in));
    assert_true(out[0]->data != in->data);
    assert_true(bnr__tensor_equal(out[1], w->tensor));
    assert_true(out[1]->data != w->tensor->data);
    assert_true(bnr__tensor_equal(out[3], out[4]));
    assert_true(out[3]->data != out[4]->data && out[2]->data != out[3]->data);
    // In place, as the caller sees it.
    struct bnr_tensor *same[3] = {NULL, NULL, in};
    must_run(s, in, same, 3);
    assert_memory_equal(in->data, out[2]->data, in->nbytes);
    for (int k = 0; k < 5; k++)
        bnr_tensor_release(out[k]);
    bnr_tensor_release(same[0]);
    bnr_tensor_release(same[1]);
    bnr_tensor_release(in);
    bnr_session_free(s);
    bnr_model_free(m);
}

// ---- threads ------------------------------------------------------------------------------------

enum { CALLERS = 4, SHAPES = 3, ROUNDS = 12 };

struct caller {
    struct bnr_session *session;
    struct bnr_tensor *x[SHAPES], *want[SHAPES];
    int number, wrong;
};

static void *call_often(void *arg) {
    struct caller *c = arg;
    for (int i = 0; i < ROUNDS; i++) {
        const int k = (i + c->number) % SHAPES;
        struct bnr_tensor *out = NULL;
        if (bnr_run(c->session, (const bnr_tensor *const[]){c->x[k]}, 1, &out, 1, NULL) != BNR_OK ||
            !bnr__tensor_equal(out, c->want[k]))
            c->wrong++;
        bnr_tensor_release(out);
    }
    return NULL;
}

static void many_threads_same_bits(void **state) {
    struct bnr_model *m = must_have_model(-1);
    struct bnr_session *serial = mb_session(m, 0, NULL, 1), *shared = mb_session(m, 0, NULL, 2);
    struct caller callers[CALLERS] = {{.session = shared}};
    for (int k = 0; k < SHAPES; k++) {
        callers[0].x[k] = mb_tensor(BNR_FLOAT, DIMS(k + 1, 3, 12, 12), (uint64_t)k);
        must_run(serial, callers[0].x[k], &callers[0].want[k], 1);
    }
    pthread_t threads[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = callers[0];
        callers[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].wrong, 0);
    }
    struct bnr_session_stats stats;
    bnr_session_stats(shared, &stats);
    assert_int_equal(stats.plans, SHAPES);
    for (int k = 0; k < SHAPES; k++) {
        bnr_tensor_release(callers[0].x[k]);
        bnr_tensor_release(callers[0].want[k]);
    }
    bnr_session_free(serial);
    bnr_session_free(shared);
    bnr_model_free(m);
}

// ---- memory -------------------------------------------------------------------------------------

// After each of two shapes has run once, runs into the caller's tensors allocate nothing at all.
static void steady_state_allocates_nothing(void **state) {
    static const unsigned flags[] = {0, BNR_NO_FOLD, BNR_REFERENCE};
    for (size_t f = 0; f < BNR_COUNT(flags); f++) {
        struct fault_alloc counting;
        fault_alloc_init(&counting, -1);
        struct bnr_model *m = must_have_model(-1);
        struct bnr_session *s;
        struct bnr_options o;
        bnr_options_init(&o);
        o.threads = 2;
        o.flags = flags[f];
        o.allocator = &counting.allocator;
        assert_int_equal(bnr_session_create(&s, m, &o, NULL), BNR_OK);
        struct bnr_tensor *x[2], *out[2][2] = {{NULL}};
        long calls = 0, libc_calls = 0;
        for (int k = 0; k < 2; k++)
            x[k] = mb_tensor(BNR_FLOAT, DIMS(k + 1, 3, 12, 12), 1);
        for (int i = 0; i < 10; i++) {
            if (i == 4) {
                calls = atomic_load(&counting.calls);
                libc_calls = atomic_load(&mallocs);
            }
            must_run(s, x[i % 2], out[i % 2], 2);
        }
        assert_int_equal(atomic_load(&counting.calls) - calls, 0);
        assert_int_equal(atomic_load(&mallocs) - libc_calls, 0);
#if !defined(__SANITIZE_ADDRESS__)
        assert_true(libc_calls > 0);
#endif
        for (int k = 0; k < 2; k++) {
            bnr_tensor_release(x[k]);
            bnr_tensor_release(out[k][0]);
            bnr_tensor_release(out[k][1]);
        }
        bnr_session_free(s);
        bnr_model_free(m);
        assert_int_equal(atomic_load(&counting.live_blocks), 0);
    }
}

// Build, create and run with the k-th allocation failing, for every k that is reached.
static enum bnr_status build_and_run(struct fault_alloc *f, const struct bnr_tensor *x,
                                     unsigned flags, struct bnr_error *err) {
    struct bnr_model *m = small_model(&f->allocator, err, -1);
    if (!m)
        return BNR_NO_MEMORY;
    struct bnr_options o;
    bnr_options_init(&o);
    o.threads = 1;
    o.flags = flags;
    o.allocator = &f->allocator;
    struct bnr_session *s = NULL;
    struct bnr_tensor *out[2] = {NULL, NULL};
    enum bnr_status st = bnr_session_create(&s, m, &o, err);
    if (st == BNR_OK)
        st = bnr_run(s, &x, 1, out, 2, err);
    assert_true(st == BNR_OK || (!out[0] && !out[1]));
    bnr_tensor_release(out[0]);
    bnr_tensor_release(out[1]);
    bnr_session_free(s);
    bnr_model_free(m);
    return st;
}

static void every_allocation_may_fail(void **state) {
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(1, 3, 12, 12), 1);
    static const unsigned flags[] = {0, BNR_NO_FOLD | BNR_PROFILE, BNR_REFERENCE};
    for (size_t i = 0; i < BNR_COUNT(flags); i++) {
        enum bnr_status st = BNR_NO_MEMORY;
        long k = 0;
        for (; st != BNR_OK; k++) {
            struct fault_alloc f;
            struct bnr_error err = {0};
            fault_alloc_init(&f, k);
            st = build_and_run(&f, x, flags[i], &err);
            if (st != BNR_OK && st != BNR_NO_MEMORY)
                fail_msg("allocation %ld failed: %s", k, err.message);
            if (atomic_load(&f.live_blocks) != 0)
                fail_msg("allocation %ld failed: %ld blocks leaked", k,
                         atomic_load(&f.live_blocks));
        }
        assert_true(k > 20);
    }
    bnr_tensor_release(x);
}

// ---- the rest -----------------------------------------------------------------------------------

static void profile_is_json(void **state) {
    struct bnr_model *m = must_have_model(1);
    struct bnr_session *s = mb_session(m, BNR_PROFILE, NULL, 1),
                       *plain = mb_session(m, 0, NULL, 1);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(1, 3, 12, 12), 1), *out = NULL;
    must_run(s, x, &out, 1);
    char *trace = bnr_session_profile(s);
    assert_non_null(trace);
    assert_non_null(strstr(trace, "\"name\":\"MaxPool\""));
    assert_non_null(strstr(trace, "\"outputs\":[\"float32[1,8,"));
    assert_int_equal(trace[0], '[');
    free(trace);
    assert_null(bnr_session_profile(plain));
    char *text = bnr_session_print(s, BNR_PRINT_JSON);
    assert_non_null(text);
    free(text);
    bnr_tensor_release(x);
    bnr_tensor_release(out);
    bnr_session_free(s);
    bnr_session_free(plain);
    bnr_model_free(m);
}

static void versions_and_names(void **state) {
    char version[40];
    snprintf(version, sizeof version, "%d.%d.%d", BNR_VERSION_MAJOR, BNR_VERSION_MINOR,
             BNR_VERSION_PATCH);
    assert_string_equal(bnr_version(), version);
    assert_string_equal(bnr_status_text(BNR_SHAPE),
                        "shapes, dtypes or attributes do not fit together");
    assert_string_equal(bnr_status_text((enum bnr_status)77), "unknown status");
    assert_int_equal(bnr_dtype_from_name("int64"), BNR_INT64);
    assert_int_equal(bnr_dtype_from_name(NULL), BNR_UNDEFINED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(null_arguments),
        cmocka_unit_test(tensors),
        cmocka_unit_test(strings_and_items),
        cmocka_unit_test(wrong_inputs),
        cmocka_unit_test(symbols_agree),
        cmocka_unit_test(outputs_of_the_caller),
        cmocka_unit_test(aliased_outputs),
        cmocka_unit_test(many_threads_same_bits),
        cmocka_unit_test(steady_state_allocates_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(profile_is_json),
        cmocka_unit_test(versions_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
