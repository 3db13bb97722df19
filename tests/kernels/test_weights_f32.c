// SPDX-License-Identifier: Apache-2.0
// weights_f32 at every level of this CPU, against one element at a time: bit for bit, at any address, with
// special values, and nothing touched beside what is asked for.
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/weights_f32.h"
#include "tests/lib/kernel_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

static const struct bnr_weights_f32 *kernels_at(size_t level) {
    unsigned cpu;
    return bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu) ? bnr__weights_f32_select(cpu) : NULL;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// A copy that ends at an address that is `shift` less than a multiple of 4 bytes.
static bnr_any_float *shifted(const float *x, size_t n, size_t shift, unsigned char **memory) {
    *memory = malloc(n * sizeof *x + 4);
    assert_non_null(*memory);
    memcpy(*memory + shift, x, n * sizeof *x);
    return (bnr_any_float *)(void *)(*memory + shift);
}

static float scaled_by(float x, double f) {
    const float y = (float)((double)x * f);
    return fabsf(y) < FLT_MIN ? 0 : y;
}

static const double factors[] = {1, -3.7e-3, 1e30, 1.3e-36, 0, 0x1.fffffffp0};

static void check_turn(const struct bnr_weights_f32 *k, uint64_t seed) {
    struct rng r = {seed};
    struct bnr_weights_turn t = {.rows = rng_size(&r, 1, 40), .taps = rng_size(&r, 1, 9)};
    const size_t channels = rng_size(&r, 1, 20);
    t.cols = t.taps * channels;
    t.src_step = t.cols + rng_size(&r, 0, 5);
    t.width = t.rows + rng_size(&r, 0, 20);
    t.dst_step = t.width + rng_size(&r, 0, 3);
    const size_t n_src = (t.rows - 1) * t.src_step + t.cols, n_dst = t.cols * t.dst_step;
    float *x = guard_floats(n_src), *y = guard_floats(n_dst);
    unsigned char *memory;
    fill_values(&r, (enum values)(seed % VALUES_KINDS), x, n_src);
    memset(y, 0xa5, n_dst * sizeof *y);
    t.src = seed % 2 ? shifted(x, n_src, seed / 2 % 4, &memory) : (bnr_any_float *)x;
    t.dst = y;
    double f[40];
    for (size_t i = 0; i < t.rows; i++)
        f[i] = factors[rng_size(&r, 0, BNR_COUNT(factors) - 1)];
    t.factors = seed % 3 ? f : NULL;
    const bool finite = k->turn(&t);
    bool all_finite = true;
    for (size_t i = 0; i < n_dst; i++) {
        const size_t place = i / t.dst_step, at = i % t.dst_step;
        const size_t col = place % channels * t.taps + place / channels;
        uint32_t want = at < t.width ? 0 : 0xa5a5a5a5;
        if (at < t.rows) {
            const float e = x[at * t.src_step + col];
            want = bits_of(t.factors ? scaled_by(e, f[at]) : e);
            all_finite = all_finite && (!t.factors || isfinite(scaled_by(e, f[at])));
        }
        float number;
        memcpy(&number, &want, sizeof want);
        if (bits_of(y[i]) != want && !(t.factors && isnan(y[i]) && isnan(number)))
            fail_msg("%s seed %llu: turned [%zu][%zu] differs", k->isa, (unsigned long long)seed,
                     place, at);
    }
    assert_int_equal(finite, all_finite);
    if (seed % 2)
        free(memory);
    guard_free(x, n_src);
    guard_free(y, n_dst);
}

static void check_scaled(const struct bnr_weights_f32 *k, uint64_t seed, float x, double f, float y) {
    const float want = scaled_by(x, f);
    if (bits_of(y) != bits_of(want) && !(isnan(y) && isnan(want)))
        fail_msg("%s seed %llu: %a * %a is %a, expected %a", k->isa, (unsigned long long)seed, (double)x,
                 f, (double)y, (double)want);
}

static void check_scale(const struct bnr_weights_f32 *k, uint64_t seed) {
    struct rng r = {seed};
    const size_t n = seed % 50 ? rng_size(&r, 1, 100) : rng_size(&r, 30000, 70000);
    const double f = factors[seed % BNR_COUNT(factors)];
    float *x = guard_floats(n), *y = guard_floats(n), *z = guard_floats(n);
    double *each = malloc(n * sizeof *each);
    assert_non_null(each);
    for (size_t i = 0; i < n; i++)
        each[i] = 2 * (double)rng_float(&r);
    unsigned char *memory;
    fill_values(&r, (enum values)(seed / 7 % VALUES_KINDS), x, n);
    bnr_any_float *any = shifted(x, n, seed % 4, &memory);
    k->scale(y, any, n, f);
    k->scale_each(z, any, n, f, each);
    bool finite = true;
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        check_scaled(k, seed, x[i], f, y[i]);
        check_scaled(k, seed, x[i], f * each[i], z[i]);
        finite = finite && isfinite(x[i]);
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    }
    const float largest = k->largest(any, n);
    assert_true(finite ? largest == most : !isfinite(largest));
    free(memory);
    free(each);
    guard_free(x, n);
    guard_free(y, n);
    guard_free(z, n);
}

static void turned(void **state) {
    (void)state;
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        const struct bnr_weights_f32 *k = kernels_at(level);
        for (uint64_t seed = 0; k && seed < 2000; seed++)
            check_turn(k, seed);
    }
}

static void scaled(void **state) {
    (void)state;
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        const struct bnr_weights_f32 *k = kernels_at(level);
        for (uint64_t seed = 0; k && seed < 2000; seed++)
            check_scale(k, seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(turned), cmocka_unit_test(scaled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
