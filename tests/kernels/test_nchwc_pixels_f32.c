// SPDX-License-Identifier: Apache-2.0
// nchwc_pixels_f32 against a plain loop, bit for bit: lanes of every level and others, axes that
// are padded, cropped, resized, reversed and random, special values, and threads.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/nchwc_pixels_f32.h"
#include "tests/lib/kernel_test.h"

enum { LONGEST = 700 };

struct pixels_case {
    uint64_t seed;
    struct bnr_nchwc_pixels p;
    int64_t from[BNR_PIXEL_AXES][LONGEST];
};

// The element of the output that is at i.
static float pixel_at(const struct bnr_nchwc_pixels *p, const float *x, size_t i) {
    size_t at[BNR_PIXEL_AXES];
    const size_t lane = i % p->lanes;
    i /= p->lanes;
    for (int axis = BNR_PIXEL_AXES - 1; axis >= 0; axis--) {
        at[axis] = i % p->out[axis];
        i /= p->out[axis];
    }
    for (int axis = 0; axis < BNR_PIXEL_AXES; axis++) {
        if (p->from[axis][at[axis]] < 0)
            return p->fill;
        i = i * p->in[axis] + (size_t)p->from[axis][at[axis]];
    }
    return x[i * p->lanes + lane];
}

static void run_and_check(const struct pixels_case *c, struct bnr_pool *pool) {
    const struct bnr_nchwc_pixels *p = &c->p;
    const size_t nx = p->blocks * p->in[0] * p->in[1] * p->in[2] * p->lanes;
    const size_t ny = p->blocks * p->out[0] * p->out[1] * p->out[2] * p->lanes;
    struct rng r = {c->seed};
    float *x = guard_floats(nx), *y = guard_floats(ny);
    fill_values(&r, (enum values)(c->seed % VALUES_KINDS), x, nx);
    bnr__nchwc_pixels_run(p, y, x, pool);
    for (size_t i = 0; i < ny; i++) {
        const float want = pixel_at(p, x, i);
        if (memcmp(&y[i], &want, sizeof want) != 0)
            fail_msg("seed %llu lanes %zu blocks %zu in %zux%zux%zu out %zux%zux%zu: [%zu] is "
                     "%.9g, expected %.9g",
                     (unsigned long long)c->seed, p->lanes, p->blocks, p->in[0], p->in[1], p->in[2],
                     p->out[0], p->out[1], p->out[2], i, (double)y[i], (double)want);
    }
    guard_free(x, nx);
    guard_free(y, ny);
}

// from[i] for outputs 0 .. out - 1 of an axis of `in` elements.
static void random_axis(struct rng *r, int64_t *from, size_t in, size_t out) {
    const uint64_t kind = rng_next(r) % 4;
    const size_t front = rng_size(r, 0, out);
    for (size_t i = 0; i < out; i++) {
        if (kind == 0) // padded in front and behind, or cropped behind
            from[i] = i >= front && i - front < in ? (int64_t)(i - front) : -1;
        else if (kind == 1) // to the nearest
            from[i] = (int64_t)(i * in / out);
        else if (kind == 2) // backwards in steps of 2, then outside
            from[i] = (int64_t)in - 1 >= (int64_t)(2 * i) ? (int64_t)(in - 1 - 2 * i) : -1;
        else
            from[i] = (int64_t)rng_size(r, 0, in) - 1;
    }
}

static void random_moves(void **state) {
    static const size_t lanes[] = {4, 8, 16, 1, 7};
    static const float fills[] = {0, 1.5f, -INFINITY, NAN};
    static struct pixels_case c;
    struct bnr_pool *pool = test_pool(2);
    for (c.seed = 0; c.seed < 1000; c.seed++) {
        struct rng r = {c.seed * 1000};
        const size_t axes = rng_size(&r, 1, 3), most[] = {0, LONGEST, 40, 9};
        c.p = (struct bnr_nchwc_pixels){.lanes = lanes[rng_next(&r) % BNR_COUNT(lanes)],
                                        .blocks = rng_size(&r, 1, 5),
                                        .fill = fills[rng_next(&r) % BNR_COUNT(fills)]};
        for (size_t i = 0; i < BNR_PIXEL_AXES; i++) {
            const bool used = i + axes >= BNR_PIXEL_AXES;
            c.p.in[i] = used ? rng_size(&r, 1, most[axes]) : 1;
            c.p.out[i] = used ? rng_size(&r, 1, most[axes]) : 1;
            c.p.from[i] = c.from[i];
            c.from[i][0] = 0;
            if (used)
                random_axis(&r, c.from[i], c.p.in[i], c.p.out[i]);
        }
        run_and_check(&c, NULL);
        run_and_check(&c, pool);
    }
    bnr__pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_moves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
