// SPDX-License-Identifier: Apache-2.0
// Compiled models: a session's optimized graph and packed constants in a file that is mapped at the next
// start and used as it lies there.
//
//     header      struct bnr_compiled_header
//     text        the graph, and a table of packs; a sequence of 64-bit little-endian words
//     data        packs and the elements of constants, each at a multiple of 64 bytes with 64 bytes behind it
//     original    the ONNX file it was made of, where that is one file: for what needs the graph as it was
//
// All of it is untrusted. A file is for one build of the library and one CPU level. Header and text are
// checked when it is opened, with checksums and then as hostile bytes; the data, in which every bit pattern
// is as safe as another, by bnr_model_check.
#ifndef BNR_COMPILED_H
#define BNR_COMPILED_H

#include <pthread.h>

#include "graph/graph.h"
#include "runtime/packs.h"

struct bnr_session;

enum { BNR_COMPILED_FORMAT = 2, BNR_COMPILED_PAGE = 4096, BNR_COMPILED_TEXT_MAX = 1 << 30 };

struct bnr_compiled_header {
    char magic[8]; // "bnrun\r\n\0"
    uint64_t format, header_hash; // of the header with 0 in this place
    char build[64];               // bnr__build_id()
    char cpu[16];                 // name of the level
    uint64_t far_memory;          // BNR_CPU_FAR_MEMORY where it was made, 0 or 1: what kernels were chosen for
    uint64_t flags;               // enum bnr_flags that the session had
    uint64_t file_size;
    uint64_t text, text_size, text_hash;
    uint64_t data, data_size, data_hash;
    uint64_t original, original_size, original_hash; // all 0: none
};

// An open file. Models, sessions and tensors hold references.
struct bnr_compiled {
    atomic_int refs;
    const struct bnr_allocator *allocator;
    const uint8_t *bytes;
    size_t size;
    char *path;
    struct bnr_compiled_header header;
    struct bnr_pack_entry *packs; // in the model's arena; sources are its constants
    size_t n_packs;
    // Of the session that it was made by:
    const char *passes, *keep; // NULL: none given
    int64_t stop_after;
    size_t nodes_before;
    pthread_mutex_t lock;
    struct bnr_model *original; // loaded when first asked for; under `lock`
};

// The name of this build: the version, and what the packed layouts depend on.
const char *bnr__build_id(void);

// Whether the file at `path` starts like a compiled model; false also when it cannot be read.
bool bnr__compiled_is(const char *path);
// A model with a graph that is already optimized.
enum bnr_status bnr__compiled_open(struct bnr_model **out, const char *path,
                                   const struct bnr_allocator *a, struct bnr_error *err);
struct bnr_compiled *bnr__compiled_of(const struct bnr_model *m); // borrowed; NULL for other models
struct bnr_compiled *bnr__compiled_ref(struct bnr_compiled *c);
void bnr__compiled_unref(struct bnr_compiled *c); // NULL is fine
// All checksums.
enum bnr_status bnr__compiled_check(const struct bnr_compiled *c, struct bnr_error *err);
// The model itself, or what it was compiled of; the caller frees it.
enum bnr_status bnr__compiled_original(struct bnr_model **out, const struct bnr_model *m,
                                       struct bnr_error *err);
enum bnr_status bnr__compiled_load_original(struct bnr_model **out, struct bnr_compiled *c,
                                            struct bnr_error *err); // likewise
// Whether a session with these options is the one that was compiled; BNR_UNSUPPORTED when the model is
// for another CPU level.
enum bnr_status bnr__compiled_suits(const struct bnr_compiled *c, const struct bnr_options *o,
                                    unsigned cpu, bool *suits, struct bnr_error *err);

// Writes the session's graph and packs. `model` is what the session was made of.
enum bnr_status bnr__compiled_write(const struct bnr_session *s, const struct bnr_model *model,
                                    const struct bnr_options *o, const char *path,
                                    struct bnr_error *err);

// A checksum that any change of a single 64-bit word changes; as fast as memory. Begins zeroed.
struct bnr_compiled_sum {
    uint64_t lane[8], size;
    uint8_t rest[64];
};
void bnr__compiled_sum_add(struct bnr_compiled_sum *sum, const void *data, size_t size);
uint64_t bnr__compiled_sum_end(struct bnr_compiled_sum *sum);
uint64_t bnr__compiled_hash(const void *data, size_t size); // of one piece

#endif
