// SPDX-License-Identifier: Apache-2.0
// Reading tensors: every encoding of every dtype, wrong counts, external data and attacks by it, sparse
// tensors, tensor files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/onnx_file.h"
#include "proto/wire.h"
#include "tests/lib/proto_test.h"

static struct bnr_arena arena;

static int setup(void **state) {
    (void)state;
    bnr__arena_init(&arena, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    bnr__arena_free(&arena);
    return 0;
}

// ---- an independent description of the encodings ----------------------------------------------------

enum field { F32, I32, I64, F64, U64, STR };
static const struct {
    int bits; // of an element
    enum field field;
    bool sign;
} dtypes[BNR_DTYPE_COUNT] = {
    [BNR_FLOAT] = {32, F32, 0},        [BNR_UINT8] = {8, I32, 0},
    [BNR_INT8] = {8, I32, 1},          [BNR_UINT16] = {16, I32, 0},
    [BNR_INT16] = {16, I32, 1},        [BNR_INT32] = {32, I32, 1},
    [BNR_INT64] = {64, I64, 1},        [BNR_STRING] = {0, STR, 0},
    [BNR_BOOL] = {8, I32, 0},          [BNR_FLOAT16] = {16, I32, 0},
    [BNR_DOUBLE] = {64, F64, 0},       [BNR_UINT32] = {32, U64, 0},
    [BNR_UINT64] = {64, U64, 0},       [BNR_COMPLEX64] = {64, F32, 0},
    [BNR_COMPLEX128] = {128, F64, 0},  [BNR_BFLOAT16] = {16, I32, 0},
    [BNR_FLOAT8E4M3FN] = {8, I32, 0},  [BNR_FLOAT8E4M3FNUZ] = {8, I32, 0},
    [BNR_FLOAT8E5M2] = {8, I32, 0},    [BNR_FLOAT8E5M2FNUZ] = {8, I32, 0},
    [BNR_UINT4] = {4, I32, 0},         [BNR_INT4] = {4, I32, 1},
    [BNR_FLOAT4E2M1] = {4, I32, 0},    [BNR_FLOAT8E8M0] = {8, I32, 0},
    [BNR_UINT2] = {2, I32, 0},         [BNR_INT2] = {2, I32, 1},
};

static uint8_t pattern(size_t i) {
    return (uint8_t)(i * 37 + i / 256 * 11 + 5);
}

// n elements as in memory, and as in raw_data; returns the sizes.
static void make_elements(int dtype, size_t n, uint8_t *memory, size_t *memory_size, uint8_t *raw,
                          size_t *raw_size) {
    int bits = dtypes[dtype].bits;
    if (bits >= 8) {
        *memory_size = *raw_size = n * (size_t)bits / 8;
        for (size_t i = 0; i < *raw_size; i++)
            memory[i] = raw[i] = dtype == BNR_BOOL ? pattern(i) & 1 : pattern(i);
        return;
    }
    *memory_size = n;
    *raw_size = (n * (size_t)bits + 7) / 8;
    memset(raw, 0, *raw_size);
    for (size_t i = 0; i < n; i++) {
        int v = pattern(i) % (1 << bits), per_byte = 8 / bits;
        raw[i / (size_t)per_byte] |= (uint8_t)(v << (int)(i % (size_t)per_byte) * bits);
        if (dtypes[dtype].sign && v >= 1 << (bits - 1))
            v -= 1 << bits;
        memory[i] = (uint8_t)v;
    }
}

// Entry i of the typed field, from the raw bytes.
static int64_t int_entry(int dtype, const uint8_t *raw, size_t i) {
    int size = dtypes[dtype].bits < 8 ? 1 : dtypes[dtype].bits / 8;
    uint64_t v = 0;
    memcpy(&v, raw + i * (size_t)size, (size_t)size);
    if (dtypes[dtype].sign && size < 8 && dtypes[dtype].bits >= 8 && v >> (size * 8 - 1))
        return (int64_t)v - ((int64_t)1 << (size * 8));
    return (int64_t)v;
}

static void fill_typed(Onnx__TensorProto *t, int dtype, const uint8_t *raw, size_t raw_size) {
    size_t size = dtypes[dtype].bits < 8 ? 1 : (size_t)dtypes[dtype].bits / 8, n = raw_size / size;
    switch (dtypes[dtype].field) {
    case F32:
        t->n_float_data = raw_size / 4;
        t->float_data = memcpy(bnr__arena_alloc(&arena, raw_size), raw, raw_size);
        break;
    case F64:
        t->n_double_data = raw_size / 8;
        t->double_data = memcpy(bnr__arena_alloc(&arena, raw_size), raw, raw_size);
        break;
    case I32:
        for (size_t i = 0; i < n; i++)
            PB_PUSH(&arena, t, int32_data, (int32_t)int_entry(dtype, raw, i));
        break;
    case I64:
        for (size_t i = 0; i < n; i++)
            PB_PUSH(&arena, t, int64_data, int_entry(dtype, raw, i));
        break;
    case U64:
        for (size_t i = 0; i < n; i++)
            PB_PUSH(&arena, t, uint64_data, (uint64_t)int_entry(dtype, raw, i));
        break;
    case STR:
        break;
    }
}

static enum bnr_status read_tensor_bytes(const void *bytes, size_t size, enum bnr_kind kind,
                                         struct bnr_tensor **out, struct bnr_error *err) {
    char folder[256], path[300];
    test_folder_make(folder);
    snprintf(path, sizeof path, "%s/t.pb", folder);
    write_bytes(path, bytes, size);
    enum bnr_status st = bnr__tensor_read_pb(out, path, kind, NULL, err);
    test_folder_remove(folder);
    return st;
}

static void expect_elements(const struct bnr_tensor *t, int dtype, size_t n, const uint8_t *memory,
                            size_t size) {
    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->rank, 1);
    assert_int_equal(t->dims[0], n);
    assert_int_equal(t->nbytes, size);
    if (size)
        assert_memory_equal(t->data, memory, size);
}

static const size_t counts[] = {0, 1, 3, 4, 7, 1025};

static void test_raw(void **state) {
    (void)state;
    static uint8_t memory[20000], raw[20000];
    for (int d = 1; d < BNR_DTYPE_COUNT; d++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            size_t memory_size, raw_size, size;
            struct bnr_error err;
            struct bnr_tensor *t;
            if (d == BNR_STRING)
                continue;
            make_elements(d, counts[c], memory, &memory_size, raw, &raw_size);
            Onnx__TensorProto *p = pb_tensor(&arena, "t", d, 1, (int64_t[]){(int64_t)counts[c]});
            pb_raw(p, raw, raw_size);
            uint8_t *bytes = pb_pack(&arena, p, &size);
            if (read_tensor_bytes(bytes, size, BNR_KIND_TENSOR, &t, &err) != BNR_OK)
                fail_msg("dtype %d, %zu elements: %s", d, counts[c], err.message);
            expect_elements(t, d, counts[c], memory, memory_size);
            bnr__tensor_unref(t);
            // One byte more or less is refused.
            pb_raw(p, raw, raw_size + 1);
            bytes = pb_pack(&arena, p, &size);
            assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_TENSOR, &t, &err), BNR_MALFORMED);
            assert_null(t);
            assert_non_null(strstr(err.message, "'t'"));
        }
}

// Typed data as protobuf-c packs it (packed), then the same fields rewritten one entry at a time, and in
// two packed pieces with a single entry in between.
enum form { PACKED, SINGLE, PIECES, FORMS };

static size_t entry_size(struct bnr_wire_field *f, size_t at) {
    uint64_t v;
    switch (f->id) {
    case 4:
        return 4;
    case 10:
        return 8;
    default:
        return bnr__varint_read(f->payload.data + at, f->payload.size - at, 10, &v);
    }
}

static void put_packed(uint8_t *out, size_t *n, uint32_t id, const uint8_t *data, size_t size) {
    *n += bnr__varint_write(out + *n, id << 3 | 2);
    *n += bnr__varint_write(out + *n, size);
    memcpy(out + *n, data, size);
    *n += size;
}

static void put_single(uint8_t *out, size_t *n, uint32_t id, const uint8_t *data, size_t size) {
    unsigned type = id == 4 ? 5 : id == 10 ? 1 : 0;
    *n += bnr__varint_write(out + *n, id << 3 | type);
    memcpy(out + *n, data, size);
    *n += size;
}

static uint8_t *rewrite(const uint8_t *bytes, size_t size, enum form form, size_t *out_size) {
    uint8_t *out = bnr__arena_alloc(&arena, size * 3 + 64);
    struct bnr_wire w = bnr__wire((struct bnr_bytes){bytes, size});
    struct bnr_wire_field f;
    size_t n = 0;
    while (bnr__wire_next(&w, &f)) {
        bool data = (f.id == 4 || f.id == 5 || f.id == 7 || f.id == 10 || f.id == 11) && f.type == 2;
        if (!data || form == PACKED || f.payload.size == 0) {
            size_t whole = (size_t)(w.at - f.start);
            memcpy(out + n, f.start, whole);
            n += whole;
            continue;
        }
        size_t first = entry_size(&f, 0);
        size_t second = f.payload.size > first ? entry_size(&f, first) : 0;
        if (form == PIECES) {
            put_packed(out, &n, f.id, f.payload.data, first);
            if (second)
                put_single(out, &n, f.id, f.payload.data + first, second);
            put_packed(out, &n, f.id, f.payload.data + first + second, f.payload.size - first - second);
            continue;
        }
        for (size_t at = 0, step; at < f.payload.size; at += step) {
            step = entry_size(&f, at);
            put_single(out, &n, f.id, f.payload.data + at, step);
        }
    }
    *out_size = n;
    return out;
}

static void test_typed(void **state) {
    (void)state;
    static uint8_t memory[20000], raw[20000];
    for (int d = 1; d < BNR_DTYPE_COUNT; d++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
            for (enum form form = PACKED; form < FORMS; form++) {
                size_t memory_size, raw_size, size;
                struct bnr_error err;
                struct bnr_tensor *t;
                if (d == BNR_STRING)
                    continue;
                make_elements(d, counts[c], memory, &memory_size, raw, &raw_size);
                Onnx__TensorProto *p = pb_tensor(&arena, "t", d, 1, (int64_t[]){(int64_t)counts[c]});
                fill_typed(p, d, raw, raw_size);
                uint8_t *bytes = pb_pack(&arena, p, &size);
                bytes = rewrite(bytes, size, form, &size);
                if (read_tensor_bytes(bytes, size, BNR_KIND_TENSOR, &t, &err) != BNR_OK)
                    fail_msg("dtype %d, %zu elements, form %d: %s", d, counts[c], (int)form, err.message);
                expect_elements(t, d, counts[c], memory, memory_size);
                bnr__tensor_unref(t);
                // A missing entry is refused.
                p->dims[0] += 8; // more than one byte of any dtype
                bytes = pb_pack(&arena, p, &size);
                bytes = rewrite(bytes, size, form, &size);
                assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_TENSOR, &t, &err), BNR_MALFORMED);
                assert_non_null(strstr(err.message, "'t'"));
            }
}

static void test_strings(void **state) {
    (void)state;
    struct bnr_error err;
    struct bnr_tensor *t;
    size_t size;
    Onnx__TensorProto *p = pb_tensor(&arena, "s", BNR_STRING, 2, (int64_t[]){1, 3});
    uint8_t with_nul[] = {'a', 0, 'b'};
    PB_PUSH(&arena, p, string_data, ((ProtobufCBinaryData){3, with_nul}));
    PB_PUSH(&arena, p, string_data, ((ProtobufCBinaryData){0, NULL}));
    PB_PUSH(&arena, p, string_data, ((ProtobufCBinaryData){1, with_nul}));
    uint8_t *bytes = pb_pack(&arena, p, &size);
    assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_TENSOR, &t, &err), BNR_OK);
    assert_int_equal(t->numel, 3);
    assert_int_equal(t->str[0].len, 3);
    assert_memory_equal(t->str[0].ptr, with_nul, 3);
    assert_int_equal(t->str[1].len, 0);
    assert_int_equal(t->str[2].len, 1);
    bnr__tensor_unref(t);
    pb_raw(p, with_nul, 3);
    p->n_string_data = 0;
    bytes = pb_pack(&arena, p, &size);
    assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_TENSOR, &t, &err), BNR_MALFORMED);
}

static void expect_bad(const Onnx__TensorProto *p, enum bnr_status code, const char *part) {
    struct bnr_error err;
    struct bnr_tensor *t;
    size_t size;
    uint8_t *bytes = pb_pack(&arena, p, &size);
    enum bnr_status st = read_tensor_bytes(bytes, size, BNR_KIND_TENSOR, &t, &err);
    assert_null(t);
    if (st != code || !strstr(err.message, part) || strchr(err.message, '\n'))
        fail_msg("status %d with '%s', expected %d with '%s'", (int)st, err.message, (int)code, part);
}

static void test_bad_tensors(void **state) {
    (void)state;
    static const float zeros[4];
    int64_t many[17];
    for (int i = 0; i < 17; i++)
        many[i] = 1;
    Onnx__TensorProto *p = pb_tensor(&arena, "w", 27, 1, (int64_t[]){1});
    expect_bad(p, BNR_MALFORMED, "data type 27");
    p = pb_tensor(&arena, "w", 0, 1, (int64_t[]){1});
    expect_bad(p, BNR_MALFORMED, "data type 0");
    p = pb_tensor(&arena, "w", -1, 1, (int64_t[]){1});
    expect_bad(p, BNR_MALFORMED, "data type -1");
    expect_bad(pb_tensor(&arena, "w", BNR_FLOAT, 1, (int64_t[]){-3}), BNR_MALFORMED, "-3");
    expect_bad(pb_tensor(&arena, "w", BNR_FLOAT, 17, many), BNR_UNSUPPORTED, "rank 17");
    expect_bad(pb_tensor(&arena, "w", BNR_FLOAT, 3, (int64_t[]){1 << 30, 1 << 30, 1 << 30}),
               BNR_MALFORMED, "overflow");
    expect_bad(pb_tensor(&arena, "w", BNR_FLOAT, 1, (int64_t[]){(int64_t)1 << 40}), BNR_MALFORMED,
               "0 entries");
    p = pb_tensor(&arena, "w", BNR_FLOAT, 1, (int64_t[]){4});
    pb_raw(p, zeros, 16);
    PB_PUSH(&arena, p, float_data, 1.0f);
    expect_bad(p, BNR_MALFORMED, "raw_data only");
    p = pb_tensor(&arena, "w", BNR_INT8, 1, (int64_t[]){1});
    PB_PUSH(&arena, p, float_data, 1.0f);
    expect_bad(p, BNR_MALFORMED, "float_data");
    p = pb_tensor(&arena, "w", BNR_FLOAT, 1, (int64_t[]){4});
    Onnx__TensorProto__Segment segment = ONNX__TENSOR_PROTO__SEGMENT__INIT;
    p->segment = &segment;
    expect_bad(p, BNR_UNSUPPORTED, "segments");
    // bool bytes other than 0 and 1
    p = pb_tensor(&arena, "b", BNR_BOOL, 1, (int64_t[]){3});
    pb_raw(p, (uint8_t[]){0, 2, 255}, 3);
    size_t size;
    struct bnr_tensor *t;
    struct bnr_error err;
    uint8_t *bytes = pb_pack(&arena, p, &size);
    assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_TENSOR, &t, &err), BNR_OK);
    assert_memory_equal(t->u8, ((uint8_t[]){0, 1, 1}), 3);
    bnr__tensor_unref(t);
}

// ---- where big data comes from ----------------------------------------------------------------------

// A model of one initializer `w` of floats i/2 whose data start `shift` bytes off.
static void check_mapped(const char *folder, size_t shift) {
    char path[300], name[16] = "wwwwwwwwwwwwwww";
    struct bnr_model *m;
    struct bnr_error err;
    size_t size;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    name[1 + shift] = 0; // moves the data
    PB_PUSH(&arena, p->graph, initializer, pb_floats(&arena, name, 1, (int64_t[]){5000}));
    uint8_t *bytes = pb_pack(&arena, p, &size);
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    write_bytes(path, bytes, size);
    assert_int_equal(bnr__model_read_file(&m, path, NULL, &err), BNR_OK);
    unlink(path); // the map stays
    struct bnr_tensor *t = bnr__value_find(m->graph, name)->tensor;
    assert_non_null(t->drop); // in the file, whatever the address
    for (int i = 0; i < 5000; i++)
        assert_true(bnr__tensor_f64(t, (size_t)i) == 0.5 * i);
    bnr__tensor_ref(t);
    bnr__model_free(m);
    struct bnr_tensor *aligned;
    assert_int_equal(bnr__tensor_align(&aligned, t, &err), BNR_OK); // outlives the model
    assert_int_equal((uintptr_t)aligned->data % 4, 0);
    assert_true(aligned->f32[4999] == 0.5f * 4999);
    bnr__tensor_drop_pages(t);
    assert_true(bnr__tensor_f64(t, 4999) == 0.5 * 4999); // read from the file again
    bnr__tensor_unref(aligned);
    bnr__tensor_unref(t);
    // From memory, which is overwritten afterwards.
    assert_int_equal(bnr__model_read_memory(&m, bytes, size, NULL, &err), BNR_OK);
    memset(bytes, 0xa5, size);
    t = bnr__value_find(m->graph, name)->tensor;
    for (int i = 0; i < 5000; i++)
        assert_true(t->f32[i] == 0.5f * (float)i);
    bnr__model_free(m);
}

static void test_mapped(void **state) {
    (void)state;
    char folder[256];
    test_folder_make(folder);
    for (size_t shift = 0; shift < 8; shift++)
        check_mapped(folder, shift);
    test_folder_remove(folder);
}

// A model whose file carries fields of numbers that ONNX does not have, among them the one that marks use.
static void test_foreign_fields(void **state) {
    (void)state;
    struct bnr_model *m;
    struct bnr_error err;
    size_t size, n = 0;
    Onnx__TensorProto *p = pb_floats(&arena, "w", 1, (int64_t[]){100});
    uint8_t *tensor = pb_pack(&arena, p, &size), bytes[1000];
    static const uint8_t mark[] = {0xf9, 0xff, 0xff, 0xff, 0x0f, 7, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t mark_varint[] = {0xf8, 0xff, 0xff, 0xff, 0x0f, 0};
    static const uint8_t unknown[] = {0xa2, 0x06, 2, 'h', 'i'}; // field 100
    memcpy(bytes, mark, sizeof mark);
    n += sizeof mark;
    memcpy(bytes + n, mark_varint, sizeof mark_varint);
    n += sizeof mark_varint;
    memcpy(bytes + n, tensor, size);
    n += size;
    memcpy(bytes + n, unknown, sizeof unknown);
    n += sizeof unknown;
    memcpy(bytes + n, mark, sizeof mark);
    n += sizeof mark;
    // ModelProto { ir_version 8, opset_import {17}, graph { initializer } }
    uint8_t model[2000] = {0x08, 8, 0x42, 2, 0x10, 17}, inner[1200];
    size_t k = 0, at = 6;
    k += bnr__varint_write(inner + k, 5 << 3 | 2);
    k += bnr__varint_write(inner + k, n);
    memcpy(inner + k, bytes, n);
    k += n;
    at += bnr__varint_write(model + at, 7 << 3 | 2);
    at += bnr__varint_write(model + at, k);
    memcpy(model + at, inner, k);
    at += k;
    if (bnr__model_read_memory(&m, model, at, NULL, &err) != BNR_OK)
        fail_msg("%s", err.message);
    struct bnr_tensor *t = bnr__value_find(m->graph, "w")->tensor;
    for (int i = 0; i < 100; i++)
        assert_true(t->f32[i] == 0.5f * (float)i);
    bnr__model_free(m);
}

// ---- external data ----------------------------------------------------------------------------------

static char folder[256];

static enum bnr_status load_external(const char *location, const char *offset, const char *length,
                                     int dtype, int64_t n, struct bnr_model **m, struct bnr_error *err) {
    char path[300];
    size_t size;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    Onnx__TensorProto *w = pb_tensor(&arena, "w", dtype, 1, &n);
    pb_external(&arena, w, location, offset, length);
    PB_PUSH(&arena, p->graph, initializer, w);
    uint8_t *bytes = pb_pack(&arena, p, &size);
    snprintf(path, sizeof path, "%s/model/m.onnx", folder);
    write_bytes(path, bytes, size);
    return bnr__model_read_file(m, path, NULL, err);
}

static void make_data(const char *name, size_t n) {
    char path[600];
    uint8_t *data = bnr__arena_alloc(&arena, n);
    for (size_t i = 0; i < n; i++)
        data[i] = pattern(i);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_bytes(path, data, n);
}

static int make_folders(void **state) {
    char path[600], other[600];
    setup(state);
    test_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/model/sub", folder);
    mkdir(path, 0777);
    make_data("secret.bin", 20000);
    make_data("model/w.bin", 20000);
    make_data("model/sub/w.bin", 20000);
    snprintf(path, sizeof path, "%s/model/link.bin", folder);
    assert_int_equal(symlink("w.bin", path), 0);
    snprintf(path, sizeof path, "%s/model/evil.bin", folder);
    assert_int_equal(symlink("../secret.bin", path), 0);
    snprintf(path, sizeof path, "%s/model/evildir", folder);
    assert_int_equal(symlink("..", path), 0);
    snprintf(path, sizeof path, "%s/model/fifo", folder);
    assert_int_equal(mkfifo(path, 0666), 0);
    // A folder whose name starts with the model folder's.
    snprintf(path, sizeof path, "%s/model2", folder);
    mkdir(path, 0777);
    make_data("model2/w.bin", 20000);
    snprintf(path, sizeof path, "%s/model/near.bin", folder);
    snprintf(other, sizeof other, "%s/model2/w.bin", folder);
    assert_int_equal(symlink(other, path), 0);
    return 0;
}

static int remove_folders(void **state) {
    test_folder_remove(folder);
    return teardown(state);
}

static void expect_external(const char *location, const char *offset, const char *length, int dtype,
                            int64_t n, size_t at) {
    struct bnr_model *m;
    struct bnr_error err;
    if (load_external(location, offset, length, dtype, n, &m, &err) != BNR_OK)
        fail_msg("'%s' at %s: %s", location, offset ? offset : "0", err.message);
    struct bnr_tensor *t = bnr__value_find(m->graph, "w")->tensor;
    size_t raw = (size_t)n * (size_t)dtypes[dtype].bits / 8;
    for (size_t i = 0; i < raw && dtypes[dtype].bits >= 8; i++)
        assert_int_equal(t->u8[i], pattern(at + i));
    if (dtype == BNR_UINT4)
        for (size_t i = 0; i < (size_t)n; i++)
            assert_int_equal(t->u8[i], pattern(at + i / 2) >> (i % 2 * 4) & 15);
    bnr__model_free(m);
}

static void test_external(void **state) {
    (void)state;
    expect_external("w.bin", NULL, NULL, BNR_UINT8, 100, 0);
    expect_external("w.bin", NULL, NULL, BNR_UINT8, 20000, 0);
    expect_external("w.bin", "4096", "8000", BNR_FLOAT, 2000, 4096); // used in place
    expect_external("w.bin", "4097", "8000", BNR_FLOAT, 2000, 4097); // misaligned
    expect_external("w.bin", "12000", NULL, BNR_FLOAT, 2000, 12000); // up to the end
    expect_external("w.bin", "8", "16", BNR_COMPLEX128, 1, 8);
    expect_external("./w.bin", "1", "50", BNR_UINT4, 100, 1);
    expect_external("sub/w.bin", "1", NULL, BNR_INT64, 3, 1);
    expect_external("link.bin", "20000", "0", BNR_FLOAT, 0, 20000);
}

static void expect_refused(const char *location, const char *offset, const char *length, int64_t n,
                           const char *part) {
    struct bnr_model *m;
    struct bnr_error err;
    enum bnr_status st = load_external(location, offset, length, BNR_UINT8, n, &m, &err);
    assert_null(m);
    if ((st != BNR_MALFORMED && st != BNR_IO) || !strstr(err.message, part) ||
        !strstr(err.message, "'w'") || strchr(err.message, '\n'))
        fail_msg("'%s': status %d, '%s', expected '%s'", location ? location : "-", (int)st, err.message,
                 part);
}

static void test_external_attacks(void **state) {
    (void)state;
    char absolute[600];
    expect_refused("../secret.bin", NULL, NULL, 10, "'..'");
    expect_refused("sub/../../secret.bin", NULL, NULL, 10, "'..'");
    expect_refused("..", NULL, NULL, 10, "'..'");
    snprintf(absolute, sizeof absolute, "%s/model/w.bin", folder);
    expect_refused(absolute, NULL, NULL, 10, "absolute");
    expect_refused("/etc/passwd", NULL, NULL, 10, "absolute");
    expect_refused("evil.bin", NULL, NULL, 10, "outside");
    expect_refused("evildir/secret.bin", NULL, NULL, 10, "outside");
    expect_refused("near.bin", NULL, NULL, 10, "outside");
    expect_refused("fifo", NULL, NULL, 10, "regular");
    expect_refused("sub", NULL, NULL, 10, "folder");
    expect_refused(".", NULL, NULL, 10, "outside");
    expect_refused("missing.bin", NULL, NULL, 10, "No such file");
    expect_refused("w.bin/x", NULL, NULL, 10, "Not a directory");
    expect_refused("", NULL, NULL, 10, "location");
    expect_refused(NULL, NULL, NULL, 10, "location");
    expect_refused("w.bin", "20001", "0", 0, "20001");
    expect_refused("w.bin", "19991", NULL, 10, "19991");
    expect_refused("w.bin", "18446744073709551615", NULL, 10, "18446744073709551615");
    expect_refused("w.bin", "18446744073709551616", NULL, 10, "offset");
    expect_refused("w.bin", "-1", NULL, 10, "offset");
    expect_refused("w.bin", "0x10", NULL, 10, "offset");
    expect_refused("w.bin", " 1", NULL, 10, "offset");
    expect_refused("w.bin", "", NULL, 10, "offset");
    expect_refused("w.bin", NULL, "9", 10, "9 bytes");
    expect_refused("w.bin", NULL, "11", 10, "11 bytes");
    expect_refused("w.bin", NULL, "-10", 10, "length");
    expect_refused("w.bin", NULL, NULL, (int64_t)1 << 50, "20000 bytes");
}

static void test_external_elsewhere(void **state) {
    (void)state;
    struct bnr_model *m;
    struct bnr_error err;
    char path[600], link[600];
    size_t size;
    // From memory there is no folder.
    Onnx__ModelProto *p = pb_relu_model(&arena);
    Onnx__TensorProto *w = pb_tensor(&arena, "w", BNR_UINT8, 1, (int64_t[]){10});
    pb_external(&arena, w, "w.bin", NULL, NULL);
    PB_PUSH(&arena, p->graph, initializer, w);
    assert_int_equal(pb_load(&arena, p, &m, &err), BNR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "loaded from a file"));
    // A link to the model: its data may lie beside the link or beside the model, each a link of its own.
    uint8_t *bytes = pb_pack(&arena, p, &size);
    snprintf(path, sizeof path, "%s/model/m.onnx", folder);
    write_bytes(path, bytes, size);
    snprintf(link, sizeof link, "%s/model2/link.onnx", folder);
    assert_int_equal(symlink("../model/m.onnx", link), 0);
    assert_int_equal(bnr__model_read_file(&m, link, NULL, &err), BNR_OK);
    bnr__model_free(m);
    snprintf(path, sizeof path, "%s/model2/w.bin", folder);
    unlink(path);
    assert_int_equal(symlink("../model/w.bin", path), 0);
    assert_int_equal(bnr__model_read_file(&m, link, NULL, &err), BNR_OK);
    bnr__model_free(m);
    unlink(path);
    assert_int_equal(symlink("../secret.bin", path), 0);
    assert_int_equal(bnr__model_read_file(&m, link, NULL, &err), BNR_MALFORMED);
}

// A small model that takes the same data again and again.
static void test_external_amplification(void **state) {
    (void)state;
    struct bnr_model *m;
    struct bnr_error err;
    char path[600], *names = bnr__arena_alloc(&arena, 100 * 8);
    size_t size;
    Onnx__ModelProto *p = pb_relu_model(&arena);
    for (int i = 0; i < 100; i++) {
        snprintf(names + i * 8, 8, "w%d", i);
        Onnx__TensorProto *w = pb_tensor(&arena, names + i * 8, BNR_UINT8, 1, (int64_t[]){20000});
        pb_external(&arena, w, "w.bin", NULL, NULL);
        PB_PUSH(&arena, p->graph, initializer, w);
    }
    uint8_t *bytes = pb_pack(&arena, p, &size);
    snprintf(path, sizeof path, "%s/model/m.onnx", folder);
    write_bytes(path, bytes, size);
    assert_int_equal(bnr__model_read_file(&m, path, NULL, &err), BNR_MALFORMED);
    assert_non_null(strstr(err.message, "more often"));
    p->graph->n_initializer = 8;
    bytes = pb_pack(&arena, p, &size);
    write_bytes(path, bytes, size);
    assert_int_equal(bnr__model_read_file(&m, path, NULL, &err), BNR_OK);
    bnr__model_free(m);
}

// ---- sparse tensors ---------------------------------------------------------------------------------

static enum bnr_status load_sparse(int n_dims, const int64_t *dims, int values_rank,
                                   const int64_t *index_dims, int index_rank, const int64_t *indices,
                                   size_t n_indices, struct bnr_model **m, struct bnr_error *err) {
    Onnx__ModelProto *p = pb_relu_model(&arena);
    Onnx__SparseTensorProto *s = BNR_NEW(&arena, Onnx__SparseTensorProto);
    onnx__sparse_tensor_proto__init(s);
    s->values = pb_floats(&arena, "w", values_rank, (int64_t[]){3, 1});
    s->indices = pb_tensor(&arena, "", BNR_INT64, index_rank, index_dims);
    for (size_t i = 0; i < n_indices; i++)
        PB_PUSH(&arena, s->indices, int64_data, indices[i]);
    for (int i = 0; i < n_dims; i++)
        PB_PUSH(&arena, s, dims, dims[i]);
    PB_PUSH(&arena, p->graph, sparse_initializer, s);
    return pb_load(&arena, p, m, err);
}

static void expect_dense(int index_rank, const int64_t *index_dims, const int64_t *indices, size_t n) {
    struct bnr_model *m;
    struct bnr_error err;
    static const float dense[6] = {0, 0, 0.5f, 0, 0, 1.0f}; // values 0, 0.5, 1 at 0, 2, 5
    if (load_sparse(2, (int64_t[]){2, 3}, 1, index_dims, index_rank, indices, n, &m, &err) != BNR_OK)
        fail_msg("%s", err.message);
    struct bnr_tensor *t = bnr__value_find(m->graph, "w")->tensor;
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->numel, 6);
    assert_memory_equal(t->data, dense, sizeof dense);
    bnr__model_free(m);
}

static void expect_bad_sparse(int n_dims, const int64_t *dims, int64_t a, int64_t b, int64_t c,
                              enum bnr_status code, const char *part) {
    struct bnr_model *m;
    struct bnr_error err;
    const int64_t indices[] = {a, b, c};
    enum bnr_status st = load_sparse(n_dims, dims, 1, (int64_t[]){3}, 1, indices, 3, &m, &err);
    if (st != code || !strstr(err.message, part))
        fail_msg("status %d with '%s', expected '%s'", (int)st, err.message, part);
}

static void test_sparse(void **state) {
    (void)state;
    const int64_t dims[] = {2, 3}, huge[] = {1 << 20, 1 << 20}, overflow[] = {INT64_MAX, INT64_MAX, 0};
    struct bnr_model *m;
    struct bnr_error err;
    expect_dense(1, (int64_t[]){3}, (int64_t[]){0, 2, 5}, 3);
    expect_dense(2, (int64_t[]){3, 2}, (int64_t[]){0, 0, 0, 2, 1, 2}, 6);
    expect_bad_sparse(2, dims, 0, 2, 6, BNR_MALFORMED, "index 2");
    expect_bad_sparse(2, dims, -1, 2, 5, BNR_MALFORMED, "index 0");
    expect_bad_sparse(2, dims, 0, 5, 2, BNR_MALFORMED, "index 2");
    expect_bad_sparse(2, dims, 0, 2, 2, BNR_MALFORMED, "index 2");
    expect_bad_sparse(2, huge, 0, 2, 5, BNR_UNSUPPORTED, "too many");
    expect_bad_sparse(3, overflow, 0, 2, 5, BNR_MALFORMED, "overflow");
    expect_bad_sparse(2, (int64_t[]){5, 0}, 0, 2, 5, BNR_MALFORMED, "index 0");
    expect_bad_sparse(2, (int64_t[]){-1, 3}, 0, 1, 2, BNR_MALFORMED, "-1");
    // Indices of another shape than the values ask for.
    assert_int_equal(load_sparse(2, dims, 1, (int64_t[]){2}, 1, (int64_t[]){0, 1}, 2, &m, &err),
                     BNR_MALFORMED);
    assert_int_equal(load_sparse(2, dims, 1, (int64_t[]){3, 1}, 2, (int64_t[]){0, 1, 2}, 3, &m, &err),
                     BNR_MALFORMED);
    assert_int_equal(load_sparse(2, dims, 2, (int64_t[]){3}, 1, (int64_t[]){0, 1, 2}, 3, &m, &err),
                     BNR_MALFORMED);
}

// ---- tensor files -----------------------------------------------------------------------------------

static void check_file(const struct bnr_tensor *t) {
    char path[300], folder_path[256];
    struct bnr_tensor *back;
    struct bnr_error err;
    test_folder_make(folder_path);
    snprintf(path, sizeof path, "%s/t.pb", folder_path);
    if (bnr__tensor_write_pb(t, "t", path, &err) != BNR_OK)
        fail_msg("%s", err.message);
    if (bnr__tensor_read_pb(&back, path, t->kind, NULL, &err) != BNR_OK)
        fail_msg("%s", err.message);
    assert_true(bnr__tensor_equal(t, back));
    bnr__tensor_unref(back);
    assert_int_equal(test_folder_count(folder_path), 1);
    test_folder_remove(folder_path);
}

static struct bnr_tensor *new_tensor(int dtype, int rank, const int64_t *dims) {
    struct bnr_tensor *t;
    assert_int_equal(bnr__tensor_new(&t, NULL, (enum bnr_dtype)dtype, rank, dims, NULL), BNR_OK);
    for (size_t i = 0; i < t->nbytes && dtype != BNR_STRING; i++)
        t->u8[i] = dtypes[dtype].bits < 8 ? 1 : (uint8_t)(pattern(i) & 1);
    for (size_t i = 0; i < t->numel && dtype == BNR_STRING; i++)
        t->str[i] = (struct bnr_str){"text", i % 5};
    return t;
}

static struct bnr_tensor *new_kind(enum bnr_kind kind, enum bnr_dtype dtype, struct bnr_tensor *a,
                                   struct bnr_tensor *b) {
    struct bnr_tensor *t;
    assert_int_equal(bnr__tensor_new_kind(&t, NULL, kind, dtype, NULL), BNR_OK);
    if (a)
        assert_int_equal(bnr__tensor_push(t, a, NULL), BNR_OK);
    if (b)
        assert_int_equal(bnr__tensor_push(t, b, NULL), BNR_OK);
    bnr__tensor_unref(a);
    bnr__tensor_unref(b);
    return t;
}

static void check_and_free(struct bnr_tensor *t) {
    check_file(t);
    bnr__tensor_unref(t);
}

static void test_tensor_files(void **state) {
    (void)state;
    const int64_t dims[] = {2, 3}, three[] = {3}, none[] = {0, 5};
    for (int d = 1; d < BNR_DTYPE_COUNT; d++) {
        check_and_free(new_tensor(d, 2, dims));
        check_and_free(new_tensor(d, 0, NULL));
        check_and_free(new_tensor(d, 2, none));
    }
    check_and_free(new_kind(BNR_KIND_SEQUENCE, BNR_UNDEFINED, NULL, NULL));
    check_and_free(new_kind(BNR_KIND_SEQUENCE, BNR_UNDEFINED, new_tensor(BNR_FLOAT, 2, dims),
                            new_tensor(BNR_FLOAT, 1, three)));
    check_and_free(new_kind(BNR_KIND_OPTIONAL, BNR_UNDEFINED, NULL, NULL));
    check_and_free(new_kind(BNR_KIND_OPTIONAL, BNR_UNDEFINED, new_tensor(BNR_STRING, 2, dims), NULL));
    struct bnr_tensor *inner =
        new_kind(BNR_KIND_SEQUENCE, BNR_UNDEFINED, new_tensor(BNR_INT64, 0, NULL), NULL);
    check_and_free(new_kind(BNR_KIND_OPTIONAL, BNR_UNDEFINED, inner, NULL));
    struct bnr_tensor *map = new_kind(BNR_KIND_MAP, BNR_INT64, new_tensor(BNR_INT64, 1, three),
                                      new_tensor(BNR_FLOAT, 1, three));
    check_file(map);
    check_and_free(new_kind(BNR_KIND_SEQUENCE, BNR_UNDEFINED, map, NULL));
    check_and_free(new_kind(BNR_KIND_MAP, BNR_STRING, new_tensor(BNR_STRING, 1, three),
                            new_tensor(BNR_STRING, 1, three)));
    struct bnr_tensor *values = new_kind(BNR_KIND_SEQUENCE, BNR_UNDEFINED, new_tensor(BNR_FLOAT, 2, dims),
                                         new_tensor(BNR_FLOAT, 1, three));
    check_and_free(
        new_kind(BNR_KIND_MAP, BNR_UINT8, new_tensor(BNR_UINT8, 1, (int64_t[]){2}), values));
    struct bnr_tensor *indices = new_tensor(BNR_INT64, 1, three);
    for (int i = 0; i < 3; i++)
        indices->i64[i] = i * 2;
    struct bnr_tensor *sparse =
        new_kind(BNR_KIND_SPARSE, BNR_FLOAT, new_tensor(BNR_FLOAT, 1, three), indices);
    sparse->rank = 2;
    sparse->dims[0] = 3;
    sparse->dims[1] = 5;
    check_and_free(sparse);
}

static void test_bad_files(void **state) {
    (void)state;
    struct bnr_tensor *t;
    struct bnr_error err;
    size_t size;
    Onnx__SequenceProto s = ONNX__SEQUENCE_PROTO__INIT;
    s.elem_type = ONNX__SEQUENCE_PROTO__DATA_TYPE__MAP;
    s.has_elem_type = 1;
    PB_PUSH(&arena, &s, tensor_values, pb_floats(&arena, "", 0, NULL));
    uint8_t *bytes = pb_pack(&arena, &s, &size);
    assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_SEQUENCE, &t, &err), BNR_MALFORMED);
    Onnx__MapProto m = ONNX__MAP_PROTO__INIT;
    m.has_key_type = 1;
    m.key_type = BNR_INT32;
    PB_PUSH(&arena, &m, keys, 3);
    bytes = pb_pack(&arena, &m, &size);
    assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_MAP, &t, &err), BNR_MALFORMED);
    s.elem_type = ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR;
    m.values = &s;
    bytes = pb_pack(&arena, &m, &size);
    assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_MAP, &t, &err), BNR_OK);
    bnr__tensor_unref(t);
    m.key_type = BNR_FLOAT;
    bytes = pb_pack(&arena, &m, &size);
    assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_MAP, &t, &err), BNR_MALFORMED);
    m.key_type = BNR_INT32;
    PB_PUSH(&arena, &m, keys, 4);
    bytes = pb_pack(&arena, &m, &size);
    assert_int_equal(read_tensor_bytes(bytes, size, BNR_KIND_MAP, &t, &err), BNR_MALFORMED);
    assert_non_null(strstr(err.message, "2 keys with 1 values"));
    assert_int_equal(bnr__tensor_read_pb(&t, "/nowhere/t.pb", BNR_KIND_TENSOR, NULL, &err),
                     BNR_IO);
    assert_non_null(strstr(err.message, "/nowhere/t.pb: cannot open: No such file"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_raw, setup, teardown),
        cmocka_unit_test_setup_teardown(test_typed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_tensors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mapped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_external, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(test_external_attacks, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(test_external_elsewhere, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(test_external_amplification, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(test_sparse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tensor_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
