// SPDX-License-Identifier: Apache-2.0
// nchwc_f32 at every level of this CPU: random shapes there and back bit for bit, special values,
// zeros to and NaN from the lanes that do not exist, planes of several tasks, and threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/compiler.h"
#include "tests/lib/nchwc_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

struct reorder_case {
    const char *level;
    uint64_t seed;
    struct bnr_nchwc s;
    const struct bnr_nchwc_f32 *kernels;
};

static void fail_at(const struct reorder_case *c, const char *way, size_t at) {
    fail_msg("%s seed %llu batch %zu channels %zu pixels %zu: %s differs at [%zu]", c->level,
             (unsigned long long)c->seed, c->s.batch, c->s.channels, c->s.pixels, way, at);
}

static void check_blocked(const struct reorder_case *c, const float *blocked, const float *plain) {
    const struct bnr_nchwc *s = &c->s;
    for (size_t i = 0; i < plain_floats(s); i++) {
        if (memcmp(&blocked[blocked_place(s, i)], &plain[i], sizeof *plain) != 0)
            fail_at(c, "to blocked", i);
    }
    const uint32_t zero = 0;
    for (size_t i = 0; i < blocked_floats(s); i++) {
        const size_t channel = i / s->lanes / s->pixels % s->blocks * s->lanes + i % s->lanes;
        if (channel >= s->channels && memcmp(&blocked[i], &zero, sizeof zero) != 0)
            fail_at(c, "a lane without channel", i);
    }
}

static void there_and_back(const struct reorder_case *c, struct bnr_pool *pool) {
    const struct bnr_nchwc *s = &c->s;
    const size_t n = plain_floats(s), blocked = blocked_floats(s);
    struct rng r = {c->seed};
    struct bnr_nchwc_reorder reorder = {.kernels = c->kernels, .shape = *s};
    float *x = guard_floats(n), *y = guard_floats(blocked), *z = guard_floats(n);
    fill_values(&r, (enum values)(c->seed % VALUES_KINDS), x, n);
    bnr__nchwc_f32_reorder(&reorder, y, x, pool);
    check_blocked(c, y, x);
    float *from = blocked_copy(s, x);
    reorder.to_plain = true;
    bnr__nchwc_f32_reorder(&reorder, z, from, pool);
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&z[i], &x[i], sizeof *x) != 0)
            fail_at(c, "to plain", i);
    }
    guard_free(x, n);
    guard_free(y, blocked);
    guard_free(z, n);
    guard_free(from, blocked);
}

static void random_shapes(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct reorder_case c = {.level = levels[level]};
        unsigned cpu;
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &cpu))
            continue;
        c.kernels = bnr__nchwc_f32_select(cpu);
        assert_non_null(c.kernels);
        for (c.seed = 0; c.seed < 300; c.seed++) {
            struct rng r = {c.seed * 1000};
            const size_t batch = rng_size(&r, 1, 3), channels = rng_size(&r, 1, 50);
            const size_t pixels = rng_size(&r, 1, rng_next(&r) % 8 ? 40 : 2200);
            c.s = nchwc_shape(batch, channels, pixels, c.kernels->lanes);
            there_and_back(&c, NULL);
            there_and_back(&c, pool);
        }
    }
    bnr__pool_free(pool);
}

// Around the edges of the vectors and of the tasks' pixels.
static void sizes_around_edges(void **state) {
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct reorder_case c = {.level = levels[level]};
        unsigned cpu;
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &cpu))
            continue;
        c.kernels = bnr__nchwc_f32_select(cpu);
        const size_t lanes = c.kernels->lanes;
        const size_t channels[] = {1, lanes - 1, lanes, lanes + 1, 2 * lanes, 2 * lanes + 1};
        const size_t pixels[] = {1,    lanes - 1, lanes, lanes + 1, 2 * lanes + 1,
                                 1023, 1024,      1025,  2048,      2049};
        for (size_t i = 0; i < BNR_COUNT(channels) * BNR_COUNT(pixels); i++) {
            c.seed = i;
            c.s = nchwc_shape(1, channels[i % BNR_COUNT(channels)], pixels[i / BNR_COUNT(channels)],
                              lanes);
            there_and_back(&c, NULL);
        }
    }
}

// The kernels alone, on a part of wider planes: nothing beside it is touched.
static void parts_of_planes(void **state) {
    enum { PLANE = 50, FIRST = 3, PIXELS = 37, CHANNELS = 16 };
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        const struct bnr_nchwc_f32 *k = bnr__nchwc_f32_select(cpu);
        for (size_t channels = 1; channels <= k->lanes; channels++) {
            float plain[CHANNELS * PLANE], blocked[PIXELS * CHANNELS];
            for (size_t i = 0; i < BNR_COUNT(plain); i++)
                plain[i] = (float)i;
            for (size_t i = 0; i < BNR_COUNT(blocked); i++)
                blocked[i] = -(float)i;
            k->to_plain(&(struct bnr_nchwc_move){.plain = plain + FIRST,
                                                 .blocked = blocked,
                                                 .plane = PLANE,
                                                 .channels = channels,
                                                 .pixels = PIXELS});
            for (size_t i = 0; i < BNR_COUNT(plain); i++) {
                const size_t channel = i / PLANE, pixel = i % PLANE - FIRST; // wraps below 0
                const bool moved = channel < channels && pixel < PIXELS;
                assert_true(plain[i] == (moved ? -(float)(pixel * k->lanes + channel) : (float)i));
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(sizes_around_edges),
        cmocka_unit_test(parts_of_planes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
