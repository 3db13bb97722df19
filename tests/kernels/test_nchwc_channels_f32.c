// SPDX-License-Identifier: Apache-2.0
// nchwc_channels_f32 at every level of this CPU against a plain loop, bit for bit: channels of
// several inputs one after the other, sliced, shuffled and at random, special values, NaN in all
// lanes that do not exist, and threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/nchwc_channels_f32.h"
#include "tests/lib/nchwc_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

enum { INPUTS = 6, CHANNELS = 60 };
enum kinds { CONCAT, SLICE, SHUFFLE, ANY, KINDS };
static const char *const kind_name[KINDS] = {"concat", "slice", "shuffle", "any"};

struct channels_case {
    const char *level;
    uint64_t seed;
    unsigned cpu;
    enum kinds kind;
    size_t inputs, pixels, batch;
    struct bnr_nchwc in[INPUTS];
    struct bnr_channel list[INPUTS * CHANNELS]; // of the output
    size_t channels;
};

static void random_list(struct rng *r, struct channels_case *c) {
    c->channels = 0;
    const size_t channels = c->in[0].channels;
    const size_t step = rng_size(r, 1, 3), groups = rng_size(r, 1, channels);
    switch (c->kind) {
    case CONCAT:
        for (size_t i = 0; i < c->inputs; i++)
            for (size_t k = 0; k < c->in[i].channels; k++)
                c->list[c->channels++] = (struct bnr_channel){(int)i, k};
        break;
    case SLICE:
        for (size_t k = rng_size(r, 0, channels - 1); k < channels; k += step)
            c->list[c->channels++] = (struct bnr_channel){0, k};
        break;
    case SHUFFLE: // the channels of all groups in turn
        for (size_t g = 0; g < groups; g++)
            for (size_t k = g; k < channels; k += groups)
                c->list[c->channels++] = (struct bnr_channel){0, k};
        break;
    default:
        c->channels = rng_size(r, 1, 70);
        for (size_t i = 0; i < c->channels; i++) {
            const size_t in = rng_size(r, 0, c->inputs - 1);
            c->list[i] = (struct bnr_channel){(int)in, rng_size(r, 0, c->in[in].channels - 1)};
        }
    }
}

static void random_case(struct channels_case *c, const struct bnr_nchwc_channels_kernels *k) {
    struct rng r = {c->seed * 1000};
    c->kind = (enum kinds)(c->seed % KINDS);
    c->inputs = rng_size(&r, 1, INPUTS);
    c->batch = rng_size(&r, 1, 3);
    c->pixels = rng_size(&r, 1, rng_next(&r) % 8 ? 30 : 1200);
    const bool even = rng_next(&r) % 3 == 0; // blocks without lanes left over
    for (size_t i = 0; i < c->inputs; i++) {
        const size_t channels =
            even ? k->lanes * rng_size(&r, 1, 3) : rng_size(&r, 1, i ? 20 : CHANNELS);
        c->in[i] = nchwc_shape(c->batch, channels, c->pixels, k->lanes);
    }
    random_list(&r, c);
}

static void run_channels(const struct channels_case *c, const struct bnr_nchwc *out, float *y,
                         float *const *blocked, struct bnr_pool *pool) {
    size_t in_blocks[INPUTS];
    const float *src[INPUTS];
    struct bnr_nchwc_channels plan = {.kernels = bnr__nchwc_channels_f32_select(c->cpu),
                                      .shape = *out,
                                      .in_blocks = in_blocks,
                                      .piece = calloc(bnr__nchwc_channels_pieces(out, c->list),
                                                      sizeof *plan.piece),
                                      .first = calloc(out->blocks + 1, sizeof *plan.first)};
    assert_non_null(plan.piece);
    assert_non_null(plan.first);
    for (size_t i = 0; i < c->inputs; i++) {
        in_blocks[i] = c->in[i].blocks;
        src[i] = blocked[i];
    }
    bnr__nchwc_channels_plan(&plan, c->list);
    assert_true(plan.first[out->blocks] <= out->channels);
    bnr__nchwc_channels_run(&plan, y, src, pool);
    free(plan.piece);
    free(plan.first);
}

static void run_and_check(const struct channels_case *c, struct bnr_pool *pool) {
    const struct bnr_nchwc out = nchwc_shape(c->batch, c->channels, c->pixels, c->in[0].lanes);
    const size_t ny = blocked_floats(&out);
    float *x[INPUTS], *blocked[INPUTS], *y = guard_floats(ny);
    struct rng r = {c->seed};
    for (size_t i = 0; i < c->inputs; i++) {
        x[i] = guard_floats(plain_floats(&c->in[i]));
        fill_values(&r, (enum values)(c->seed / KINDS % VALUES_KINDS), x[i],
                    plain_floats(&c->in[i]));
        blocked[i] = blocked_copy(&c->in[i], x[i]);
    }
    run_channels(c, &out, y, blocked, pool);
    for (size_t i = 0; i < plain_floats(&out); i++) {
        const struct bnr_channel *from = &c->list[i / c->pixels % c->channels];
        const size_t image = i / c->pixels / c->channels;
        const size_t plane = image * c->in[from->in].channels + from->channel;
        const float *want = &x[from->in][plane * c->pixels + i % c->pixels];
        const float *got = &y[blocked_place(&out, i)];
        if (memcmp(got, want, sizeof *want) != 0)
            fail_msg("%s seed %llu %s: %zu inputs, batch %zu, %zu channels, %zu pixels: [%zu] is "
                     "%.9g, expected %.9g",
                     c->level, (unsigned long long)c->seed, kind_name[c->kind], c->inputs, c->batch,
                     c->channels, c->pixels, i, (double)*got, (double)*want);
    }
    for (size_t i = 0; i < c->inputs; i++) {
        guard_free(x[i], plain_floats(&c->in[i]));
        guard_free(blocked[i], blocked_floats(&c->in[i]));
    }
    guard_free(y, ny);
}

static void random_lists(void **state) {
    static struct channels_case c;
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        c.level = levels[level];
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
            continue;
        for (c.seed = 0; c.seed < 400; c.seed++) {
            random_case(&c, bnr__nchwc_channels_f32_select(c.cpu));
            run_and_check(&c, NULL);
            run_and_check(&c, pool);
        }
    }
    bnr__pool_free(pool);
}

// Blocks that come out as they are, one piece each, are marked so.
static void blocks_in_place_are_whole(void **state) {
    const struct bnr_nchwc_channels_kernels *k = bnr__nchwc_channels_f32_select(0);
    struct bnr_channels_piece piece[CHANNELS];
    struct bnr_channel list[CHANNELS];
    size_t first[CHANNELS + 1];
    struct bnr_nchwc_channels c = {.kernels = k, .piece = piece, .first = first};
    c.shape = nchwc_shape(1, 2 * k->lanes + 1, 1, k->lanes);
    for (size_t i = 0; i < c.shape.channels; i++)
        list[i] = (struct bnr_channel){0, k->lanes + i}; // a slice from a block on
    bnr__nchwc_channels_plan(&c, list);
    for (size_t b = 0; b < 3; b++) {
        assert_int_equal(first[b], b);
        assert_true(piece[b].whole && piece[b].block == b + 1);
    }
    assert_int_equal(first[3], 3);
    list[0].channel++;
    bnr__nchwc_channels_plan(&c, list);
    assert_false(piece[0].whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lists),
        cmocka_unit_test(blocks_in_place_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
