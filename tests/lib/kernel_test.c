// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/kernel_test.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

const char *const values_name[VALUES_KINDS] = {"random", "zero", "denormal", "inf", "nan", "huge"};

uint64_t rng_next(struct rng *r) { // splitmix64
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t rng_size(struct rng *r, size_t low, size_t high) {
    return low + (size_t)(rng_next(r) % (high - low + 1));
}

float rng_float(struct rng *r) {
    return (float)((int64_t)(rng_next(r) >> 40) - (1 << 23)) * 0x1p-23f;
}

void fill_values(struct rng *r, enum values kind, float *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        p[i] = rng_float(r);
        const bool negative = p[i] < 0;
        if (kind == VALUES_HUGE)
            p[i] *= 1e36f;
        if (kind == VALUES_RANDOM || kind == VALUES_HUGE || rng_next(r) % 10 != 0)
            continue;
        const float special[] = {[VALUES_ZERO] = 0,
                                 [VALUES_DENORMAL] = 1e-40f,
                                 [VALUES_INF] = INFINITY,
                                 [VALUES_NAN] = NAN};
        p[i] = negative ? -special[kind] : special[kind];
    }
}

static size_t guard_bytes(size_t n) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (n * sizeof(float) + page - 1) / page * page;
}

float *guard_floats(size_t n) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = guard_bytes(n);
    char *p = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    if (bytes)
        assert_int_equal(mprotect(p + page, bytes, PROT_READ | PROT_WRITE), 0);
    float *f = (float *)(void *)(p + page + bytes) - n;
    for (size_t i = 0; i < n; i++)
        f[i] = NAN;
    return f;
}

void guard_free(float *p, size_t n) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = guard_bytes(n);
    munmap((char *)(p + n) - bytes - page, bytes + 2 * page);
}

void check_value(const char *what, size_t index, float got, double want, double bound) {
    const double distance = fabs((double)got - want);
    if ((double)got == want || (isnan(want) ? isnan(got) : distance <= bound))
        return;
    if (isinf(got) && (isinf(want) || fabs(want) + bound > (double)FLT_MAX) &&
        !signbit(got) == !signbit(want))
        return;
    fail_msg("%s: [%zu] is %.9g, expected %.17g within %.3g", what, index, (double)got, want,
             bound);
}

double ulp_distance(float got, double want) {
    if ((isnan(got) && isnan(want)) || (double)got == want)
        return 0;
    if (isnan(got) || isnan(want))
        return INFINITY;
    if (fabs(want) > (double)FLT_MAX * (1 + 0x1p-25)) // rounds to infinity
        return isinf(got) && !signbit(got) == !signbit(want) ? 0 : INFINITY;
    int exponent;
    frexp(want, &exponent);
    const double ulp = ldexp(1, exponent - 24 > -149 ? exponent - 24 : -149);
    return fabs((double)got - want) / ulp;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double best_seconds(void (*fn)(void *cx), void *cx) {
    double best = INFINITY, now = seconds();
    fn(cx);
    const double once = seconds() - now;
    const int calls =
        once < 1e-4 ? 1 + (int)(1e-4 / (once + 1e-7)) : 1; // well above the clock's grain
    const double start = now = seconds();
    for (double end; now < start + 0.1; now = end) {
        for (int i = 0; i < calls; i++)
            fn(cx);
        end = seconds();
        best = (end - now) / calls < best ? (end - now) / calls : best;
    }
    return best;
}

bool wants_bench(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            return true;
    }
    return false;
}

struct bnr_pool *test_pool(int threads) {
    struct bnr_pool *pool;
    struct bnr_error err;
    assert_int_equal(bnr__pool_new(&pool, threads, &err), BNR_OK);
    return pool;
}
