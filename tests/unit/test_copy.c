// SPDX-License-Identifier: Apache-2.0
// The strided copy against an index loop: random dims, permuted, negative, repeated and padded
// strides, every element size, with and without threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/ops/lib/copy.h"

static uint32_t state;

static uint32_t rnd(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 4) * n >> 28);
}

// One element at a time, by the definition.
static void naive(const struct bnr_copy *c, int d, uint8_t *dst, const uint8_t *src) {
    if (d == c->rank) {
        memcpy(dst, src, c->elem_size);
        return;
    }
    for (int64_t i = 0; i < c->dims[d]; i++)
        naive(c, d + 1, dst + i * c->dst_strides[d] * (int64_t)c->elem_size,
              src + i * c->src_strides[d] * (int64_t)c->elem_size);
}

struct layout {
    int64_t size, origin; // elements
    int64_t strides[8];
};

// Strides of a random layout of these dims: axes in any order, some backwards, with gaps; in
// `repeat`ed axes all indices are the same element.
static struct layout random_layout(const struct bnr_copy *c, bool repeat, bool dense) {
    struct layout l = {.size = 1};
    int order[8];
    for (int i = 0; i < c->rank; i++)
        order[i] = i;
    for (int i = c->rank - 1; i > 0 && !dense; i--) {
        const int j = (int)rnd((uint32_t)i + 1), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (int i = c->rank - 1; i >= 0; i--) {
        const int d = order[i];
        if (repeat && rnd(5) == 0) {
            l.strides[d] = 0;
            continue;
        }
        const bool back = !dense && rnd(4) == 0;
        const int64_t gap = dense || rnd(3) ? 0 : rnd(3);
        l.strides[d] = back ? -l.size : l.size;
        l.origin += back ? l.size * (c->dims[d] - 1) : 0;
        l.size = l.size * c->dims[d] + gap;
    }
    return l;
}

static void check_one(struct bnr_pool *pool) {
    static const size_t sizes[] = {1, 2, 4, 8, 16};
    struct bnr_copy c = {.elem_size = sizes[rnd(5)], .rank = (int)rnd(6)};
    const uint32_t largest = c.rank <= 2 ? 70 : c.rank == 3 ? 24 : 9;
    for (int d = 0; d < c.rank; d++)
        c.dims[d] = rnd(30) == 0 ? 0 : 1 + rnd(largest);
    const struct layout to = random_layout(&c, false, rnd(3) != 0),
                        from = random_layout(&c, true, false);
    memcpy(c.dst_strides, to.strides, sizeof to.strides);
    memcpy(c.src_strides, from.strides, sizeof from.strides);
    const size_t nd = (size_t)(to.size + 1) * c.elem_size,
                 ns = (size_t)(from.size + 1) * c.elem_size;
    uint8_t *want = malloc(nd), *got = malloc(nd), *src = malloc(ns);
    assert_true(want && got && src);
    for (size_t i = 0; i < ns; i++)
        src[i] = (uint8_t)rnd(256);
    memset(want, 0xee, nd);
    memset(got, 0xee, nd);
    naive(&c, 0, want + (size_t)to.origin * c.elem_size, src + (size_t)from.origin * c.elem_size);
    bnr__copy_run(&c, got + (size_t)to.origin * c.elem_size,
                  src + (size_t)from.origin * c.elem_size, pool);
    assert_memory_equal(want, got, nd);
    free(want);
    free(got);
    free(src);
}

static void test_random(void **unused) {
    state = 1;
    for (int i = 0; i < 3000; i++)
        check_one(NULL);
}

static void test_threads(void **unused) {
    struct bnr_pool *pool;
    assert_int_equal(bnr__pool_new(&pool, 3, NULL), BNR_OK);
    state = 2;
    for (int i = 0; i < 500; i++)
        check_one(pool);
    // Large enough for many blocks: a transpose, and one row cut in pieces.
    enum { H = 300, W = 500 };
    uint32_t *x = malloc(sizeof *x * H * W), *y = malloc(sizeof *y * H * W);
    assert_true(x && y);
    for (uint32_t i = 0; i < H * W; i++)
        x[i] = i;
    struct bnr_copy t = {
        .elem_size = 4, .rank = 2, .dims = {W, H}, .dst_strides = {H, 1}, .src_strides = {1, W}};
    bnr__copy_run(&t, y, x, pool);
    for (uint32_t i = 0; i < H * W; i++)
        assert_int_equal(y[i], i % H * W + i / H);
    memset(y, 0, sizeof *y * H * W);
    bnr__copy_bytes(y, x, sizeof *y * H * W, pool);
    assert_memory_equal(x, y, sizeof *y * H * W);
    const uint32_t seven = 7;
    bnr__copy_fill(y, &seven, 4, H * W, pool);
    for (uint32_t i = 0; i < H * W; i++)
        assert_int_equal(y[i], 7);
    free(x);
    free(y);
    bnr__pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
