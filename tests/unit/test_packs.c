// SPDX-License-Identifier: Apache-2.0
// Packed constants: parts packed by several threads from any address, and originals that a session
// gave back and makes again for another plan.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/pool.h"
#include "runtime/session.h"
#include "tests/lib/model_builder.h"

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

// ---- parts --------------------------------------------------------------------------------------

enum { N = 100000, PART = 1234, PARTS = (N + PART - 1) / PART };

static bool pack_negated(void *dst, const struct bnr_pack_source *src, size_t part,
                         const void *arg) {
    const float *from = src->elems;
    float *to = dst;
    const size_t begin = part * PART, end = begin + PART < N ? begin + PART : N;
    (void)arg;
    for (size_t i = begin; i < end; i++)
        to[i] = -from[i - begin];
    return true;
}

static void pack_whole(void *dst, const struct bnr_tensor *t, void *arg) {
    (void)arg;
    memcpy(dst, t->f32, t->nbytes);
}

// Elements 0, 1, 2, ... `shift` bytes behind an aligned address.
static void check_parts(int threads, size_t shift) {
    unsigned char *memory = malloc(N * sizeof(float) + shift);
    struct bnr_tensor *t;
    struct bnr_packs packs;
    struct bnr_prepare cx = {.packs = &packs};
    const struct bnr_pack_format f = {.key = "negated",
                                      .size = N * sizeof(float),
                                      .parts = PARTS,
                                      .part_elems = PART,
                                      .pack = pack_negated};
    assert_non_null(memory);
    for (size_t i = 0; i < N; i++) {
        const float v = (float)i;
        memcpy(memory + shift + i * sizeof v, &v, sizeof v);
    }
    assert_int_equal(bnr__tensor_wrap(&t, NULL, BNR_FLOAT, DIMS(N), memory + shift, NULL, NULL, NULL),
                     BNR_OK);
    assert_int_equal(bnr__tensor_is_aligned(t), shift % 4 == 0);
    bnr__packs_init(&packs, NULL);
    assert_int_equal(bnr__pool_new(&packs.pool, threads, NULL), BNR_OK);
    const struct bnr_pack_format second = {.key = "negated again",
                                           .size = N * sizeof(float),
                                           .parts = PARTS,
                                           .part_elems = PART,
                                           .pack = pack_negated};
    const float *packed = bnr__pack_get_parts(&cx, t, &f);
    const float *again = bnr__pack_get_parts(&cx, t, &second);
    assert_non_null(packed);
    assert_non_null(again);
    assert_ptr_equal(bnr__pack_get_parts(&cx, t, &f), packed); // while it waits
    assert_int_equal(bnr__packs_fill(&packs), BNR_OK);
    assert_int_equal((uintptr_t)packed % BNR_TENSOR_ALIGN, 0);
    for (size_t i = 0; i < N; i++)
        assert_true(packed[i] == -(float)i && again[i] == -(float)i);
    for (size_t i = 0; i < BNR_TENSOR_PAD / sizeof(float); i++)
        assert_true(packed[N + i] == 0 && again[N + i] == 0);
    assert_ptr_equal(bnr__pack_get_parts(&cx, t, &f), packed);
    const float *whole = bnr__pack_get(&cx, t, "whole", 0, t->nbytes, pack_whole, NULL);
    assert_non_null(whole);
    assert_true(whole[0] == 0 && whole[N - 1] == N - 1);
    assert_int_equal(packs.bytes, 3 * N * sizeof(float));
    bnr__packs_free(&packs);
    bnr__pool_free(packs.pool);
    bnr__tensor_unref(t);
    free(memory);
}

static void test_parts(void **state) {
    (void)state;
    for (size_t shift = 0; shift < 5; shift++) {
        check_parts(1, shift);
        check_parts(3, shift);
    }
}

// ---- rows by factors ----------------------------------------------------------------------------

enum { ROW = 617 }; // two rows are a part

static bool pack_rows(void *dst, const struct bnr_pack_source *src, size_t part, const void *arg) {
    const size_t begin = part * PART, end = begin + PART < N ? begin + PART : N;
    (void)arg;
    for (size_t i = begin; i < end; i++) {
        float x;
        memcpy(&x, (const unsigned char *)src->elems + (i - begin) * sizeof x, sizeof x);
        ((float *)dst)[i] = src->factors ? (float)((double)x * src->factors[(i - begin) / ROW]) : x;
    }
    return true;
}

static void fill_sevens(const struct bnr_lazy *z, void *dst, size_t begin, size_t n) {
    (void)z, (void)begin;
    for (size_t i = 0; i < n; i++)
        ((float *)dst)[i] = 7;
}

// The original at an odd address and the factors go to a format that takes them; others get the
// product.
static void test_rows(void **state) {
    (void)state;
    unsigned char *memory = malloc(N * sizeof(float) + 1);
    double factors[(N + ROW - 1) / ROW];
    struct bnr_tensor *t, *lazy;
    struct bnr_packs packs;
    struct bnr_prepare cx = {.packs = &packs};
    struct bnr_lazy *z = bnr__malloc(NULL, sizeof *z);
    assert_true(memory && z);
    for (size_t i = 0; i < N; i++) {
        const float v = (float)(i + 1);
        memcpy(memory + 1 + i * sizeof v, &v, sizeof v);
    }
    for (size_t i = 0; i < BNR_COUNT(factors); i++)
        factors[i] = 1 / (double)(i + 3);
    assert_int_equal(bnr__tensor_wrap(&t, NULL, BNR_FLOAT, DIMS(N), memory + 1, NULL, NULL, NULL),
                     BNR_OK);
    *z = (struct bnr_lazy){.base = bnr__tensor_ref(t),
                           .fill = fill_sevens,
                           .size = sizeof *z,
                           .factors = factors,
                           .row_elems = ROW};
    assert_int_equal(bnr__tensor_lazy(&lazy, NULL, DIMS(N), z, NULL), BNR_OK);
    bnr__packs_init(&packs, NULL);
    struct bnr_pack_format f = {.key = "rows",
                                .size = N * sizeof(float),
                                .parts = PARTS,
                                .part_elems = PART,
                                .row_elems = ROW,
                                .pack = pack_rows};
    const float *plain = bnr__pack_get_parts(&cx, t, &f),
                *scaled = bnr__pack_get_parts(&cx, lazy, &f);
    f.row_elems = 2 * ROW;
    f.variant = 1;
    const float *other_rows = bnr__pack_get_parts(&cx, lazy, &f);
    f.row_elems = 0;
    f.variant = 2;
    const float *filled = bnr__pack_get_parts(&cx, lazy, &f);
    assert_true(plain && scaled && other_rows && filled);
    assert_int_equal(bnr__packs_fill(&packs), BNR_OK);
    for (size_t i = 0; i < N; i++) {
        assert_true(plain[i] == (float)(i + 1));
        assert_true(scaled[i] == (float)((double)(i + 1) * factors[i / ROW]));
        assert_true(other_rows[i] == 7 && filled[i] == 7);
    }
    bnr__packs_free(&packs);
    bnr__tensor_unref(lazy);
    bnr__tensor_unref(t);
    free(memory);
}

// ---- given back and made again ------------------------------------------------------------------

enum { C = 8, K = 16 }; // weights [64, C, K, K] have 512 KiB

static struct bnr_model *open_model(void) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(-1, C, -2, -3));
    struct bnr_value *c = mb_op(&t, "Conv", x, mb_weights(&t, DIMS(64, C, K, K)), NULL);
    c = mb_op(&t, "Mul", c, mb_weights(&t, DIMS(64, 1, 1)), NULL); // folds into the weights
    mb_output(&t, c);
    return mb_end(&t);
}

static bool any_hollow(const struct bnr_session *s) {
    const struct bnr_graph *g = s->model->graph;
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->tensor && bnr__tensor_is_hollow(g->values[i]->tensor))
            return true;
    return false;
}

static struct bnr_tensor *run(struct bnr_session *s, int64_t size) {
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(1, C, size, size), 1), *y = NULL;
    struct bnr_error err;
    const enum bnr_status st = bnr_run(s, (const bnr_tensor *const[]){x}, 1, &y, 1, &err);
    if (st != BNR_OK)
        fail_msg("%s", err.message);
    bnr__tensor_unref(x);
    return y;
}

static void check_made_again(unsigned flags) {
    static const int64_t sizes[] = {K, K + 5, K, 2 * K};
    struct bnr_model *m = open_model(), *other = open_model();
    struct bnr_session *s, *fresh;
    struct bnr_options o;
    bnr_options_init(&o);
    o.flags = flags;
    assert_int_equal(bnr_session_create(&s, m, &o, NULL), BNR_OK);
    bnr_model_free(m); // the session keeps what it needs
    for (size_t i = 0; i < BNR_COUNT(sizes); i++) {
        struct bnr_tensor *y = run(s, sizes[i]), *want;
        assert_true(any_hollow(s));
        assert_int_equal(bnr_session_create(&fresh, other, &o, NULL), BNR_OK);
        want = run(fresh, sizes[i]);
        assert_true(bnr__tensor_equal(y, want));
        bnr_session_free(fresh);
        bnr__tensor_unref(y);
        bnr__tensor_unref(want);
    }
    struct bnr_session_stats stats;
    bnr_session_stats(s, &stats);
    assert_true(stats.packed_bytes >= (size_t)2 * 64 * C * K * K * sizeof(float)); // in two ways
    bnr_session_free(s);
    bnr_model_free(other);
}

// The kernel that covers the whole image packs the weights in another way than the one that slides.
// Whatever the session may fold, it folds again.
static void test_made_again(void **state) {
    (void)state;
    check_made_again(0);
    check_made_again(BNR_ONLY_BN);
    check_made_again(BNR_NO_FOLD);
}

// ---- in place -----------------------------------------------------------------------------------

enum { LARGE = 3 * N };

static void free_elements(struct bnr_tensor *t) {
    free(t->owner);
}

static void fill_nothing(const struct bnr_lazy *z, void *dst, size_t begin, size_t n) {
    (void)z, (void)dst, (void)begin, (void)n;
}

// A constant that is read where it lies stays there when its value gives it up, and is packed from
// there.
static void test_in_place(void **state) {
    (void)state;
    struct bnr_tensor *t, *hollow, *lazy, *small;
    struct bnr_packs packs;
    struct bnr_prepare cx = {.packs = &packs};
    unsigned char *memory = malloc(LARGE * sizeof(float) + 1);
    assert_non_null(memory);
    memset(memory, 0, LARGE * sizeof(float) + 1);
    assert_int_equal(bnr__tensor_wrap(&t, NULL, BNR_FLOAT, DIMS(LARGE), memory + 1, free_elements,
                                      memory, NULL),
                     BNR_OK);
    assert_int_equal(bnr__tensor_wrap(&hollow, NULL, BNR_FLOAT, DIMS(LARGE), NULL, NULL, NULL, NULL),
                     BNR_OK);
    struct bnr_lazy *z = bnr__malloc(NULL, sizeof *z);
    assert_non_null(z);
    *z = (struct bnr_lazy){.base = bnr__tensor_ref(t), .fill = fill_nothing, .size = sizeof *z};
    assert_int_equal(bnr__tensor_lazy(&lazy, NULL, DIMS(LARGE), z, NULL), BNR_OK);
    assert_int_equal(bnr__tensor_new(&small, NULL, BNR_FLOAT, DIMS(N / 4), NULL), BNR_OK);
    bnr__packs_init(&packs, NULL);
    assert_null(bnr__pack_in_place(&cx, small));
    assert_null(bnr__pack_in_place(&cx, lazy));
    assert_null(bnr__pack_in_place(&cx, hollow));
    assert_int_equal(packs.bytes, 0);
    assert_ptr_equal(bnr__pack_in_place(&cx, t), memory + 1);
    assert_ptr_equal(bnr__pack_in_place(&cx, t), memory + 1);
    assert_int_equal(packs.bytes, LARGE * sizeof(float));
    assert_int_equal(bnr__packs_replace(&packs, t, hollow), BNR_OK);
    bnr__tensor_unref(small);
    bnr__tensor_unref(lazy);
    bnr__tensor_unref(t);
    assert_ptr_equal(bnr__pack_in_place(&cx, hollow), memory + 1);
    const struct bnr_pack_format f = {.key = "negated",
                                      .size = N * sizeof(float),
                                      .parts = PARTS,
                                      .part_elems = PART,
                                      .pack = pack_negated};
    const float *negated = bnr__pack_get_parts(&cx, hollow, &f);
    assert_non_null(negated);
    assert_int_equal(bnr__packs_fill(&packs), BNR_OK);
    for (size_t i = 0; i < N; i++)
        assert_true(signbit(negated[i]));
    bnr__packs_free(&packs);
    bnr__tensor_unref(hollow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_made_again),
        cmocka_unit_test(test_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
