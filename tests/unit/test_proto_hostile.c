// SPDX-License-Identifier: Apache-2.0
// Bytes that are no model, or one that means harm: cut at every byte, bits flipped, nested deeply, small
// and claiming to be huge. None may crash, leak, or ask for memory out of proportion.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/onnx_file.h"
#include "proto/wire.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/proto_test.h"

static struct bnr_arena arena;
static struct fault_alloc alloc; // counts

static int setup(void **state) {
    (void)state;
    bnr__arena_init(&arena, NULL);
    fault_alloc_init(&alloc, -1);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    bnr__arena_free(&arena);
    return 0;
}

// From memory that ends with the bytes, so that a sanitizer sees any read behind them.
static enum bnr_status try_bytes(const uint8_t *bytes, size_t size, struct bnr_error *err) {
    struct bnr_model *m;
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    enum bnr_status st = bnr__model_read_memory(&m, copy, size, &alloc.allocator, err);
    free(copy);
    assert_true((st == BNR_OK) == (m != NULL));
    if (st != BNR_OK && (st == BNR_INTERNAL || strlen(err->message) == 0 || strchr(err->message, '\n')))
        fail_msg("status %d, '%s'", (int)st, err->message);
    bnr__model_free(m);
    assert_int_equal(alloc.live_bytes, 0);
    return st;
}

static void test_truncation(void **state) {
    (void)state;
    size_t size, good = 0;
    struct bnr_error err;
    uint8_t *bytes = pb_pack(&arena, pb_rich_model(&arena), &size);
    for (size_t n = 0; n < size; n++)
        good += try_bytes(bytes, n, &err) == BNR_OK;
    // The end of a field of the model itself is a proper end; only trailing fields can be missing so.
    assert_true(good < 10);
    assert_int_equal(try_bytes(bytes, size, &err), BNR_OK);
}

static uint64_t next_random(uint64_t *s) {
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}

static void test_flips(void **state) {
    (void)state;
    size_t size;
    struct bnr_error err;
    uint8_t *bytes = pb_pack(&arena, pb_rich_model(&arena), &size);
    uint8_t *damaged = bnr__arena_alloc(&arena, size);
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        uint64_t s = seed * 0x9e3779b97f4a7c15u;
        memcpy(damaged, bytes, size);
        for (uint64_t n = 1 + next_random(&s) % 4; n; n--)
            damaged[next_random(&s) % size] = (uint8_t)next_random(&s);
        if (alloc.peak_bytes > (long long)64 << 20)
            fail_msg("seed %llu: %lld bytes", (unsigned long long)seed, (long long)alloc.peak_bytes);
        try_bytes(damaged, size, &err);
    }
}

// ---- bombs ------------------------------------------------------------------------------------------

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes start(void) {
    // ir_version 8, opset_import { version 17 }
    static const uint8_t head[] = {0x08, 8, 0x42, 2, 0x10, 17};
    struct bytes b = {bnr__arena_alloc(&arena, sizeof head), sizeof head};
    memcpy(b.data, head, sizeof head);
    return b;
}

static struct bytes field(uint32_t id, struct bytes content) {
    struct bytes b = {bnr__arena_alloc(&arena, content.size + 15), 0};
    b.size = bnr__varint_write(b.data, (uint64_t)id << 3 | 2);
    b.size += bnr__varint_write(b.data + b.size, content.size);
    if (content.size)
        memcpy(b.data + b.size, content.data, content.size);
    b.size += content.size;
    return b;
}

static struct bytes join(struct bytes a, struct bytes b) {
    struct bytes c = {bnr__arena_alloc(&arena, a.size + b.size), a.size + b.size};
    if (a.size)
        memcpy(c.data, a.data, a.size);
    if (b.size)
        memcpy(c.data + a.size, b.data, b.size);
    return c;
}

static struct bytes text(const char *s) {
    return (struct bytes){(uint8_t *)(uintptr_t)s, strlen(s)};
}

static struct bytes repeat(struct bytes b, size_t n) {
    struct bytes r = {bnr__arena_alloc(&arena, b.size * n), b.size * n};
    for (size_t i = 0; i < n; i++)
        memcpy(r.data + i * b.size, b.data, b.size); // b is never empty
    return r;
}

static void expect_bomb(struct bytes graph, long long max_peak, enum bnr_status code, const char *part) {
    struct bnr_error err;
    struct bytes model = join(start(), field(7, graph));
    fault_alloc_init(&alloc, -1);
    enum bnr_status st = try_bytes(model.data, model.size, &err);
    if (st != code || (st != BNR_OK && !strstr(err.message, part)))
        fail_msg("%zu bytes: status %d, '%s', expected '%s'", model.size, (int)st,
                 st == BNR_OK ? "" : err.message, part);
    if (alloc.peak_bytes > max_peak)
        fail_msg("%zu bytes took %lld bytes of memory", model.size, (long long)alloc.peak_bytes);
}

static void test_nesting(void **state) {
    (void)state;
    // A graph in an attribute in a node in a graph ...
    struct bytes g = {0};
    for (int depth = 0; depth < 1000; depth++) {
        struct bytes attr = join(field(1, text("body")), field(6, g));
        struct bytes node = join(field(4, text("If")), field(5, attr));
        g = field(1, node);
    }
    expect_bomb(g, 1 << 20, BNR_UNSUPPORTED, "within each other");
    // A sequence of sequences of ...
    struct bytes type = {0};
    for (int depth = 0; depth < 10000; depth++)
        type = field(4, field(1, type));
    expect_bomb(field(11, join(field(1, text("x")), field(2, type))), 1 << 20, BNR_UNSUPPORTED,
                "within each other");
    // As deep as is allowed.
    type = (struct bytes){0};
    for (int depth = 0; depth < 30; depth++)
        type = field(4, field(1, type));
    expect_bomb(field(11, join(field(1, text("x")), field(2, type))), 1 << 20, BNR_OK, "");
}

static void test_counts(void **state) {
    (void)state;
    const struct bytes empty = {0};
    const long long proportion = 64 << 20;
    const size_t n = 400000;
    // Two bytes each, some hundred in memory.
    expect_bomb(repeat(field(1, empty), n), proportion, BNR_MALFORMED, "too many");  // nodes
    expect_bomb(repeat(field(5, empty), n), proportion, BNR_MALFORMED, "too many");  // initializers
    expect_bomb(repeat(field(13, empty), n), proportion, BNR_MALFORMED, "too many"); // value_info
    // metadata of a value_info
    expect_bomb(field(13, repeat(field(4, empty), n)), proportion, BNR_MALFORMED, "memory");
    struct bytes node = join(field(4, text("Split")), repeat(field(2, text("")), n));
    expect_bomb(field(1, node), proportion, BNR_MALFORMED, "too many"); // outputs
    // Many attributes on one node, many imports: nothing may be quadratic.
    struct bytes attrs = {0};
    for (int i = 0; i < 20000; i += 100) {
        struct bytes hundred = {0};
        for (int k = 0; k < 100; k++) {
            char *name = bnr__arena_printf(&arena, "a%d", i + k);
            struct bytes a = join(field(1, text(name)), (struct bytes){(uint8_t[]){0xa0, 1, 2}, 3});
            hundred = join(hundred, field(5, a));
        }
        attrs = join(attrs, hundred);
    }
    expect_bomb(field(1, join(field(4, text("Relu")), attrs)), 64 << 20, BNR_OK, "");
}

static void test_imports(void **state) {
    (void)state;
    struct bnr_error err;
    struct bytes all = start();
    for (int i = 0; i < 20000; i += 200) {
        struct bytes some = {0};
        for (int k = 0; k < 200; k++) {
            char *name = bnr__arena_printf(&arena, "d%d", i + k);
            some = join(some, field(8, join(field(1, text(name)), (struct bytes){(uint8_t[]){0x10, 1}, 2})));
        }
        all = join(all, some);
    }
    all = join(all, field(7, (struct bytes){0}));
    fault_alloc_init(&alloc, -1);
    assert_int_equal(try_bytes(all.data, all.size, &err), BNR_OK);
    assert_true(alloc.peak_bytes < 64 << 20);
}

static void test_wire(void **state) {
    (void)state;
    static const struct {
        const char *part;
        uint8_t bytes[24];
        size_t size;
    } cases[] = {
        {"cut short", {0x08}, 1},
        {"cut short", {0x08, 0xff, 0xff}, 3},
        {"too long", {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 12},
        {"too long", {0xff, 0xff, 0xff, 0xff, 0xff, 1}, 6},               // the tag
        {"out of range", {0x00, 0}, 2},                                  // field 0
        {"passes the end", {0x12, 5, 'a'}, 3},
        {"passes the end", {0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f}, 6},
        {"too long", {0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, 7},        // the length
        {"wire type", {0x3b, 0x3c}, 2},                                  // a group
        {"wire type", {0x0a, 1, 'x'}, 3},                                // ir_version as bytes
        {"wire type", {0x3d, 0, 0, 0, 0}, 5},                            // graph as fixed32
        {"twice", {0x08, 8, 0x3a, 0, 0x3a, 0}, 6},                       // two graphs
        {"passes the end", {0x08, 8, 0x3a, 2, 0x2a, 9}, 6},              // an initializer
        {"packed", {0x3a, 5, 0x2a, 3, 0x22, 1, 0}, 7},                   // float_data of one byte
        {"packed", {0x3a, 5, 0x2a, 3, 0x3a, 1, 0x80}, 7},                // int64_data cut short
        {"twice", {0x3a, 6, 0x2a, 4, 0x4a, 0, 0x4a, 0}, 8},              // raw_data
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bnr_error err;
        enum bnr_status st = try_bytes(cases[i].bytes, cases[i].size, &err);
        if (st != BNR_MALFORMED || !strstr(err.message, cases[i].part))
            fail_msg("case %zu: status %d, '%s', expected '%s'", i, (int)st, err.message, cases[i].part);
    }
}

static void test_varints(void **state) {
    (void)state;
    uint8_t bytes[10];
    uint64_t back;
    for (int bit = 0; bit < 64; bit++)
        for (int less = 0; less < 2; less++) {
            uint64_t v = ((uint64_t)1 << bit) - (uint64_t)less;
            size_t n = bnr__varint_write(bytes, v);
            assert_int_equal(n, bnr__varint_size(v));
            assert_int_equal(bnr__varint_read(bytes, n, 10, &back), n);
            assert_true(back == v);
            assert_int_equal(bnr__varint_read(bytes, n - 1, 10, &back), 0);
            assert_int_equal(bnr__varint_read(bytes, n, n - 1, &back), 0);
        }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_truncation), TEST(test_flips),   TEST(test_nesting), TEST(test_counts),
        TEST(test_imports),    TEST(test_wire),    TEST(test_varints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
