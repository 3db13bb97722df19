// SPDX-License-Identifier: Apache-2.0
// The loader and saver on arbitrary bytes: LLVMFuzzerTestOneInput for libFuzzer (compile with
// -fsanitize=fuzzer -DBNR_LIBFUZZER), and a main() of our own for any compiler: without arguments it mutates
// a rich model for some seconds, with file names it replays these.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/onnx_file.h"
#include "proto/write.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/proto_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "fuzz: %s\n", what);
        abort();
    }
}

// What loads must be writable, and load again.
static void write_and_read(const struct bnr_model *m) {
    char path[64];
    struct bnr_model *back;
    struct bnr_error err;
    snprintf(path, sizeof path, "/tmp/bnrun-fuzz-%ld.onnx", (long)getpid());
    enum bnr_status st = bnr__model_write_file(m, m, path, &err);
    if (st == BNR_UNSUPPORTED) // imports that do not go together
        return;
    check(st == BNR_OK, err.message);
    st = bnr__model_read_file(&back, path, NULL, &err);
    unlink(path);
    check(st == BNR_OK, st ? err.message : "");
    check(back->graph->n_nodes == m->graph->n_nodes, "another number of nodes after saving");
    bnr__model_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fault_alloc alloc;
    struct bnr_model *m;
    struct bnr_error err;
    fault_alloc_init(&alloc, -1);
    uint8_t *copy = malloc(size ? size : 1); // of the exact size
    check(copy, "out of memory");
    memcpy(copy, data, size);
    enum bnr_status st = bnr__model_read_memory(&m, copy, size, &alloc.allocator, &err);
    free(copy);
    check((st == BNR_OK) == (m != NULL), "status and model disagree");
    check(st != BNR_INTERNAL, st ? err.message : "");
    check(st == BNR_OK || (err.message[0] && !strchr(err.message, '\n')), "not a one-line message");
    if (m)
        write_and_read(m);
    bnr__model_free(m);
    check(atomic_load(&alloc.live_bytes) == 0, "memory leaked");
    return 0;
}

#ifndef BNR_LIBFUZZER

static uint64_t state = 88172645463325252u;

static size_t below(size_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n ? (size_t)(state % n) : 0;
}

// Flips, overwrites, cuts, doubles and moves pieces. `data` has room for twice its size.
static size_t mutate(uint8_t *data, size_t size) {
    for (size_t n = 1 + below(5); n && size > 8; n--) {
        size_t at = below(size), length = 1 + below(size - at < 40 ? size - at : 40);
        switch (below(6)) {
        case 0:
            data[at] ^= (uint8_t)(1 << below(8));
            break;
        case 1:
            data[at] = (uint8_t)below(256);
            break;
        case 2:
            memmove(data + at, data + at + length, size - at - length);
            size -= length;
            break;
        case 3:
            if (below(8))
                break;
            memmove(data + at + length, data + at, size - at);
            size += length;
            break;
        case 4:
            memmove(data + at, data + below(size - length + 1), length);
            break;
        default:
            data[at] = (uint8_t[]){0, 1, 0x7f, 0x80, 0xff, 2, 8, 10}[below(8)];
        }
    }
    return size;
}

static int replay(int n, char **files) {
    for (int i = 0; i < n; i++) {
        size_t size;
        uint8_t *data = read_bytes(files[i], &size);
        check(data, files[i]);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    return 0;
}

int main(int argc, char **argv) {
    struct bnr_arena arena;
    size_t size, rounds = 0;
    if (argc > 1)
        return replay(argc - 1, argv + 1);
    bnr__arena_init(&arena, NULL);
    uint8_t *bytes = pb_pack(&arena, pb_rich_model(&arena), &size);
    uint8_t *mutated = bnr__arena_alloc(&arena, size * 2);
    const char *seconds = getenv("BNR_FUZZ_SECONDS"), *seed = getenv("BNR_FUZZ_SEED");
    state = seed ? strtoull(seed, NULL, 10) * 2 + 1 : state;
    time_t end = time(NULL) + (seconds ? atol(seconds) : 3);
    for (; time(NULL) < end; rounds++) {
        memcpy(mutated, bytes, size);
        LLVMFuzzerTestOneInput(mutated, mutate(mutated, size));
    }
    printf("%zu rounds\n", rounds);
    bnr__arena_free(&arena);
    return 0;
}

#endif
