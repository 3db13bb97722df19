// SPDX-License-Identifier: Apache-2.0
// Compiled models: the same bits as the model they were made of, and no trust in what is in the file.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/onnx_file.h"
#include "runtime/compiled.h"
#include "runtime/kernels/cpu.h"
#include "runtime/session.h"
#include "tests/lib/model_builder.h"
#include "tests/lib/proto_test.h"

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

static char folder[256], onnx_path[300], bnr_path[300];

// ---- models -------------------------------------------------------------------------------------

// Convolutions, an affine that folds and one that cannot, a product, a branch that reads an outer value.
static void write_model(int64_t batch) {
    struct model_builder t;
    struct bnr_error err;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(batch, 16, 12, 12));
    struct bnr_value *c =
        mb_op(&t, "Conv", x, mb_weights(&t, DIMS(32, 16, 3, 3)), mb_weights(&t, DIMS(32)));
    c = mb_op(&t, "Mul", c, mb_weights(&t, DIMS(32, 1, 1)), NULL);
    c = mb_op(&t, "Relu", c, NULL, NULL);
    struct bnr_value *side = mb_op(&t, "Mul", c, mb_weights(&t, DIMS(32, 1, 1)), NULL);
    c = mb_op(&t, "Add", c, side, NULL);
    struct bnr_value *p = mb_op(&t, "GlobalAveragePool", c, NULL, NULL);
    struct bnr_value *f = mb_op(&t, "Flatten", p, NULL, NULL);
    struct bnr_value *y = mb_op(&t, "MatMul", f, mb_weights(&t, DIMS(32, 700)), NULL);
    struct bnr_value *sum = mb_op(&t, "ReduceSum", y, NULL, NULL);
    struct bnr_value *positive = mb_op(&t, "Greater", sum, mb_weights(&t, DIMS(1)), NULL);
    struct bnr_value *flat = mb_op(&t, "Reshape", positive, mb_ints(&t, 1, (int64_t[]){1}), NULL);
    struct bnr_value *out = mb_op(&t, "If", flat, NULL, NULL);
    static const char *const branches[] = {"then_branch", "else_branch"};
    for (int i = 0; i < 2 && out; i++) {
        mb_enter(&t, out->producer);
        mb_output(&t, mb_op(&t, i ? "Neg" : "Abs", y, NULL, NULL));
        mb_leave(&t, branches[i]);
    }
    mb_output(&t, out);
    mb_output(&t, y);
    struct bnr_model *m = mb_end(&t);
    assert_non_null(m);
    if (bnr__model_write_file(m, NULL, onnx_path, &err) != BNR_OK)
        fail_msg("%s", err.message);
    bnr_model_free(m);
}

static bnr_model *load(const char *path) {
    struct bnr_error err;
    bnr_model *m;
    if (bnr_model_load_file(&m, path, NULL, &err) != BNR_OK)
        fail_msg("%s", err.message);
    return m;
}

static void compile_with(const struct bnr_options *o) {
    struct bnr_error err;
    bnr_model *m = load(onnx_path);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(1, 16, 12, 12), 1);
    if (bnr_model_compile_file(m, bnr_path, o, (const bnr_tensor *const[]){x}, 1, &err) != BNR_OK)
        fail_msg("%s", err.message);
    bnr__tensor_unref(x);
    bnr_model_free(m);
}

static void run(const char *path, const struct bnr_options *o, int64_t batch, bnr_tensor *y[2]) {
    struct bnr_error err;
    bnr_session *s;
    bnr_model *m = load(path);
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(batch, 16, 12, 12), 1);
    y[0] = y[1] = NULL;
    if (bnr_session_create(&s, m, o, &err) != BNR_OK)
        fail_msg("%s", err.message);
    bnr_model_free(m); // sessions keep what they need
    if (bnr_run(s, (const bnr_tensor *const[]){x}, 1, y, 2, &err) != BNR_OK)
        fail_msg("%s", err.message);
    bnr_session_free(s);
    bnr__tensor_unref(x);
}

static void check_same(const struct bnr_options *o, int64_t batch) {
    bnr_tensor *want[2], *seen[2];
    run(onnx_path, o, batch, want);
    run(bnr_path, o, batch, seen);
    for (int i = 0; i < 2; i++) {
        assert_true(bnr__tensor_equal(want[i], seen[i]));
        bnr_tensor_release(want[i]);
        bnr_tensor_release(seen[i]);
    }
}

// ---- the same results ---------------------------------------------------------------------------

static void test_round_trip(void **state) {
    (void)state;
    struct bnr_options o;
    for (int fixed = 0; fixed < 2; fixed++) {
        write_model(fixed ? 1 : -1);
        bnr_options_init(&o);
        compile_with(&o);
        check_same(NULL, 1);
        if (!fixed)
            check_same(&o, 3); // another plan, of which nothing was compiled
        o.threads = 3;
        o.flags = BNR_SPIN;
        check_same(&o, 1);
        o.flags = BNR_NO_FOLD; // the original model
        check_same(&o, 1);
        o.flags = BNR_REFERENCE;
        check_same(&o, 1);
    }
}

static void test_packs_are_used(void **state) {
    (void)state;
    struct bnr_session_stats stats;
    bnr_session *s;
    write_model(1);
    compile_with(NULL);
    bnr_model *m = load(bnr_path);
    assert_int_equal(bnr_model_check(m, NULL), BNR_OK);
    assert_int_equal(bnr_session_create(&s, m, NULL, NULL), BNR_OK);
    bnr_session_stats(s, &stats);
    assert_true(stats.packed_bytes > 0);
    assert_null(s->packs.slabs[0]); // nothing was packed again
    assert_null(s->packs.slabs[1]);
    assert_null(s->origin);      // and the original model stayed where it is
    bnr_session_free(s);
    bnr_model_free(m);
}

// ---- refused ------------------------------------------------------------------------------------

static uint8_t *bytes;
static size_t size;

static void read_compiled(void) {
    FILE *f = fopen(bnr_path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size = (size_t)ftell(f);
    rewind(f);
    free(bytes);
    bytes = malloc(size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, f), size);
    fclose(f);
}

static void write_compiled(size_t n) {
    FILE *f = fopen(bnr_path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void expect_refused(enum bnr_status code, const char *part) {
    struct bnr_error err = {.code = BNR_OK};
    bnr_model *m;
    if (bnr_model_load_file(&m, bnr_path, NULL, &err) == BNR_OK)
        fail_msg("loaded, expected: %s", part);
    if (err.code != code || !strstr(err.message, part))
        fail_msg("status %d, '%s', expected %d, '%s'", err.code, err.message, code, part);
}

static void test_wrong_cpu(void **state) {
    (void)state;
    struct bnr_options o;
    struct bnr_error err;
    bnr_session *s;
    bnr_options_init(&o);
    o.cpu = "generic";
    write_model(1);
    compile_with(&o);
    check_same(&o, 1);
    o.cpu = NULL;
    bnr_model *m = load(bnr_path);
    const enum bnr_status st = bnr_session_create(&s, m, &o, &err);
    if (st == BNR_OK) { // this machine has no other level
        assert_string_equal(bnr_session_cpu(s), "generic");
        bnr_session_free(s);
    } else {
        assert_int_equal(st, BNR_UNSUPPORTED);
        assert_non_null(strstr(err.message, "compiled for cpu level generic"));
    }
    bnr_model_free(m);
}

static void seal(struct bnr_compiled_header *h) {
    h->text_hash = bnr__compiled_hash(bytes + h->text, (size_t)h->text_size);
    h->header_hash = 0;
    h->header_hash = bnr__compiled_hash(h, sizeof *h);
    memcpy(bytes, h, sizeof *h);
}

static void test_damage(void **state) {
    (void)state;
    struct bnr_compiled_header h;
    write_model(-1);
    compile_with(NULL);
    read_compiled();
    memcpy(&h, bytes, sizeof h);
    const size_t end_of_text = (size_t)(h.text + h.text_size);
    for (size_t i = 8; i < end_of_text; i += i < sizeof h ? 1 : 61) { // byte 0 to 7: not ours then
        bytes[i] ^= 0x10;
        write_compiled(size);
        bnr_model *m;
        assert_int_not_equal(bnr_model_load_file(&m, bnr_path, NULL, NULL), BNR_OK);
        bytes[i] ^= 0x10;
    }
    static const size_t cuts[] = {0, 7, 8, 100, sizeof h, sizeof h + 8};
    for (size_t i = 0; i < BNR_COUNT(cuts); i++) {
        bnr_model *m;
        write_compiled(cuts[i]);
        assert_int_not_equal(bnr_model_load_file(&m, bnr_path, NULL, NULL), BNR_OK);
    }
    write_compiled(size - 1);
    expect_refused(BNR_MALFORMED, "bytes, it should have");
    const uint64_t places[] = {h.data + 5, h.data + h.data_size - 1, h.original, size - 1};
    for (size_t i = 0; i < BNR_COUNT(places); i++) {
        struct bnr_error err;
        bytes[places[i]] ^= 1;
        write_compiled(size);
        bnr_model *m = load(bnr_path); // the data are not read
        assert_int_equal(bnr_model_check(m, &err), BNR_MALFORMED);
        assert_non_null(strstr(err.message, "damaged"));
        bnr_model_free(m);
        bytes[places[i]] ^= 1;
    }
}

// Kernels are chosen as where the file was made, whatever this processor's memory is like.
static void test_other_memory(void **state) {
    (void)state;
    struct bnr_compiled_header h;
    struct bnr_error err;
    write_model(1);
    compile_with(NULL);
    read_compiled();
    memcpy(&h, bytes, sizeof h);
    for (int i = 0; i < 2; i++) {
        bnr_session *s;
        h.far_memory ^= 1;
        seal(&h);
        write_compiled(size);
        bnr_model *m = load(bnr_path);
        if (bnr_session_create(&s, m, NULL, &err) != BNR_OK)
            fail_msg("%s", err.message);
        assert_int_equal((s->cpu & BNR_CPU_FAR_MEMORY) != 0, h.far_memory);
        bnr_session_free(s);
        bnr_model_free(m);
    }
}

static void test_other_builds(void **state) {
    (void)state;
    struct bnr_compiled_header h, other;
    write_model(1);
    compile_with(NULL);
    read_compiled();
    memcpy(&h, bytes, sizeof h);
    other = h;
    strcpy(other.build, "9.9.9-0123");
    seal(&other);
    write_compiled(size);
    expect_refused(BNR_UNSUPPORTED, "made by bnrun 9.9.9-0123");
    other = h;
    other.format++;
    seal(&other);
    write_compiled(size);
    expect_refused(BNR_UNSUPPORTED, "format");
    other = h;
    other.data_size += 64;
    seal(&other);
    write_compiled(size);
    expect_refused(BNR_MALFORMED, "header");
}

// ---- hostile ------------------------------------------------------------------------------------

static uint64_t seed;

static uint64_t draw(uint64_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

// Loads, plans and runs what a text with right checksums and wrong content says, or refuses.
static void try_hostile(void) {
    bnr_model *m;
    bnr_session *s;
    if (bnr_model_load_file(&m, bnr_path, NULL, NULL) != BNR_OK)
        return;
    if (bnr_session_create(&s, m, NULL, NULL) == BNR_OK) {
        struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(1, 16, 12, 12), 1), *y[2] = {NULL, NULL};
        bnr_run(s, (const bnr_tensor *const[]){x}, 1, y, bnr_model_output_count(m) < 2 ? 1 : 2, NULL);
        for (int i = 0; i < 2; i++)
            bnr_tensor_release(y[i]);
        bnr__tensor_unref(x);
        bnr_session_free(s);
    }
    bnr_model_free(m);
}

static void test_hostile(void **state) {
    (void)state;
    struct bnr_compiled_header h, changed;
    static const uint64_t values[] = {0, 1, 2, 3, 5, 64, 1u << 20, 1u << 31, UINT64_MAX, INT64_MAX};
    write_model(-1);
    compile_with(NULL);
    read_compiled();
    memcpy(&h, bytes, sizeof h);
    for (int round = 0; round < 500; round++) {
        seed = (uint64_t)round;
        uint64_t at[3], old[3];
        const uint64_t n = 1 + draw(3);
        for (uint64_t i = 0; i < n; i++) {
            at[i] = h.text + 8 * draw(h.text_size / 8);
            memcpy(&old[i], bytes + at[i], 8);
            uint64_t v = draw(2) ? values[draw(BNR_COUNT(values))] : old[i] + draw(5) - 2;
            memcpy(bytes + at[i], &v, 8);
        }
        changed = h;
        seal(&changed);
        write_compiled(size);
        try_hostile();
        for (uint64_t i = n; i-- > 0;)
            memcpy(bytes + at[i], &old[i], 8);
    }
}

static int setup(void **state) {
    (void)state;
    test_folder_make(folder);
    snprintf(onnx_path, sizeof onnx_path, "%s/m.onnx", folder);
    snprintf(bnr_path, sizeof bnr_path, "%s/m.bnr", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(bytes);
    unlink(onnx_path);
    unlink(bnr_path);
    rmdir(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_packs_are_used),
        cmocka_unit_test(test_wrong_cpu),  cmocka_unit_test(test_damage),
        cmocka_unit_test(test_other_builds), cmocka_unit_test(test_other_memory),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
