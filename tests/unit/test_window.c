// SPDX-License-Identifier: Apache-2.0
// Iteration over a window's taps: every pair of output and input that a tap connects is visited
// once, in order, for random geometries; runs are as long as the memory allows.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/ops/lib/window.h"

enum { GEOMETRIES = 4000, MAX_AXES = 3 };

static int64_t pick(uint64_t *seed, int64_t lo, int64_t hi) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return lo + (int64_t)((*seed >> 33) % (uint64_t)(hi - lo + 1));
}

static struct bnr_window random_window(uint64_t *seed) {
    struct bnr_window w = {.rank = (int)pick(seed, 1, MAX_AXES)};
    for (int i = 0; i < w.rank; i++) {
        struct bnr_window_axis *a = &w.axis[i];
        a->in = pick(seed, 0, 2) ? pick(seed, 1, 6) : 1;
        a->kernel = pick(seed, 0, 1) ? 1 : pick(seed, 1, 4);
        a->stride = pick(seed, 1, 3);
        a->dilation = pick(seed, 1, 2);
        a->begin = pick(seed, 0, 2);
        a->end = pick(seed, 0, 2);
        const int64_t room = a->in + a->begin + a->end - bnr__window_extent(a);
        a->out = room < 0 ? 0 : room / a->stride + 1;
    }
    return w;
}

// The input position that output o reads through a tap; -1 outside.
static int64_t reads(const struct bnr_window *w, int64_t tap, int64_t o) {
    int64_t x = 0, size = 1;
    for (int i = w->rank - 1; i >= 0; i--) {
        const struct bnr_window_axis *a = &w->axis[i];
        const int64_t at = o % a->out * a->stride + tap % a->kernel * a->dilation - a->begin;
        if (at < 0 || at >= a->in)
            return -1;
        x += at * size;
        size *= a->in;
        o /= a->out;
        tap /= a->kernel;
    }
    return x;
}

static void check_tap(const struct bnr_window *w, int64_t tap) {
    const int64_t numel = bnr__window_out_numel(w);
    struct bnr_window_run r;
    int64_t o = 0;
    for (bool ok = bnr__window_first(w, tap, &r); ok; ok = bnr__window_next(w, &r)) {
        for (size_t i = 0; i < r.count; i++, o++) {
            while (o < numel && reads(w, tap, o) < 0)
                o++;
            assert_int_equal(r.y + i, o);
            assert_int_equal(r.x + i * r.step, reads(w, tap, o));
        }
    }
    for (; o < numel; o++)
        assert_int_equal(reads(w, tap, o), -1);
}

static void test_random_windows(void **state) {
    uint64_t seed = 7;
    for (int i = 0; i < GEOMETRIES; i++) {
        const struct bnr_window w = random_window(&seed);
        for (int64_t tap = 0; tap < bnr__window_taps(&w); tap++)
            check_tap(&w, tap);
    }
}

// Every pair in the order of the taps: [2 * count].
static size_t list_pairs(const struct bnr_window *w, size_t *pairs, size_t most) {
    struct bnr_window_run r;
    size_t n = 0;
    for (int64_t tap = 0; tap < bnr__window_taps(w); tap++)
        for (bool ok = bnr__window_first(w, tap, &r); ok; ok = bnr__window_next(w, &r))
            for (size_t i = 0; i < r.count; i++, n += 2) {
                assert_true(n + 1 < most);
                pairs[n] = r.y + i;
                pairs[n + 1] = r.x + i * r.step;
            }
    return n;
}

// Kernels of every width over padding of every width: without the taps that read nothing, the pairs
// are the same and come in the same order, and as many as are counted.
static void test_trimmed_and_counted(void **state) {
    enum { MOST = 1 << 16 };
    size_t *all = malloc(MOST * sizeof *all), *kept = malloc(MOST * sizeof *kept);
    uint64_t seed = 11, trimmed = 0;
    for (int i = 0; i < GEOMETRIES; i++) {
        struct bnr_window w = random_window(&seed);
        for (int k = 0; k < w.rank && w.rank < MAX_AXES; k++) {
            struct bnr_window_axis *a = &w.axis[k];
            a->kernel = pick(&seed, 1, 9);
            a->begin = pick(&seed, 0, 9);
            a->end = pick(&seed, 0, 9);
            const int64_t room = a->in + a->begin + a->end - bnr__window_extent(a);
            a->out = room < 0 ? 0 : room / a->stride + 1;
        }
        if (bnr__window_out_numel(&w) == 0)
            continue;
        double counts[4096];
        assert_true(bnr__window_out_numel(&w) <= 4096);
        bnr__window_counts(&w, counts);
        const size_t n = list_pairs(&w, all, MOST);
        const int64_t taps = bnr__window_taps(&w);
        bnr__window_trim(&w);
        trimmed += bnr__window_taps(&w) < taps;
        assert_int_equal(list_pairs(&w, kept, MOST), n);
        assert_memory_equal(all, kept, n * sizeof *all);
        for (size_t k = 0; k < n; k += 2)
            counts[all[k]]--;
        for (int64_t k = 0; k < bnr__window_out_numel(&w); k++)
            assert_true(counts[k] == 0);
    }
    assert_true(trimmed > 100);
    free(all);
    free(kept);
}

// [n, 1] with stride 4, as a signal kept in an image's column: one run, not n.
static void test_column_is_one_run(void **state) {
    const struct bnr_window w = {
        .rank = 2,
        .axis = {{.in = 64, .out = 16, .kernel = 1, .stride = 4, .dilation = 1},
                 {.in = 1, .out = 1, .kernel = 1, .stride = 1, .dilation = 1}}};
    struct bnr_window_run r;
    assert_true(bnr__window_first(&w, 0, &r));
    assert_int_equal(r.count, 16);
    assert_int_equal(r.step, 4);
    assert_false(bnr__window_next(&w, &r));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_windows),
        cmocka_unit_test(test_trimmed_and_counted),
        cmocka_unit_test(test_column_is_one_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
