// SPDX-License-Identifier: Apache-2.0
// What kernel tests share: seeded numbers, values that hurt, buffers that end at a guard page,
// comparison with a double result under an error bound, and the timer of --bench.
#ifndef BNR_TESTS_KERNEL_TEST_H
#define BNR_TESTS_KERNEL_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/pool.h"

struct rng {
    uint64_t state;
};

uint64_t rng_next(struct rng *r);
size_t rng_size(struct rng *r, size_t low, size_t high); // low .. high, both included
float rng_float(struct rng *r);                          // (-1, 1)

enum values {
    VALUES_RANDOM,
    VALUES_ZERO,
    VALUES_DENORMAL,
    VALUES_INF,
    VALUES_NAN,
    VALUES_HUGE,
    VALUES_KINDS
};
extern const char *const values_name[VALUES_KINDS];

// Random numbers, a tenth of them of the kind. HUGE: all up to 1e36.
void fill_values(struct rng *r, enum values kind, float *p, size_t n);

// n floats that end where an unreadable page starts. Filled with NaN.
float *guard_floats(size_t n);
void guard_free(float *p, size_t n);

// One comparison: got against want, which may be off by bound. NaN needs NaN. Results beyond the
// range of float must be infinities of the sign. On failure prints `what`, index and both values,
// and fails the test.
void check_value(const char *what, size_t index, float got, double want, double bound);

// The distance in units of the last place of a float of want's size; 0 for equal and for NaN with
// NaN.
double ulp_distance(float got, double want);

// Calls fn until about a tenth of a second is over and returns the shortest time of a call in
// seconds.
double best_seconds(void (*fn)(void *cx), void *cx);
bool wants_bench(int argc, char **argv); // --bench is among the arguments

// A pool of n threads for the length of a test.
struct bnr_pool *test_pool(int threads);

#endif
