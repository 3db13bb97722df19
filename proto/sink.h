// SPDX-License-Identifier: Apache-2.0
// Where serialized bytes go: a file, or nowhere when only their number is wanted. protobuf-c's own packing
// copies a submessage into memory before it writes it, and a graph with its weights is a submessage: so the
// containers (model, graph, node, attribute, tensor) are written field by field, each length counted first.
#ifndef BNR_PROTO_SINK_H
#define BNR_PROTO_SINK_H

#include "proto/wire.h"
#include "runtime/base/alloc.h"
#include "runtime/base/status.h"

// Zero-initialized, a sink counts.
struct bnr_sink {
    uint64_t size; // of all that was put in
    int fd;        // where `buffer` goes when full
    uint8_t *buffer;
    size_t used;
    int error; // errno of the first failed write; later bytes are dropped
};

void bnr__put_bytes(struct bnr_sink *s, const void *data, size_t size);
void bnr__put_zeros(struct bnr_sink *s, uint64_t size);
// For bytes that are made where they are put: BNR_SINK_ROOM of them may be written at what this returns, and
// bnr__sink_filled says how many were. NULL from a sink that counts. Aligned for any type.
enum { BNR_SINK_ROOM = 1 << 18 };
uint8_t *bnr__sink_room(struct bnr_sink *s);
void bnr__sink_filled(struct bnr_sink *s, size_t size);
void bnr__put_tag(struct bnr_sink *s, uint32_t id, enum bnr_wire_type type);
void bnr__put_varint(struct bnr_sink *s, uint64_t v);
// Whole fields.
void bnr__put_int(struct bnr_sink *s, uint32_t id, int64_t v);
void bnr__put_float(struct bnr_sink *s, uint32_t id, float v);
void bnr__put_data(struct bnr_sink *s, uint32_t id, const void *data, size_t size);
void bnr__put_text(struct bnr_sink *s, uint32_t id, const char *text);
// A submessage whose content emit() puts; called twice when s is a file, so it must do the same each time.
void bnr__put_message(struct bnr_sink *s, uint32_t id, void (*emit)(struct bnr_sink *, void *cx),
                      void *cx);

// A file that takes its name only when it is complete. What is not a regular file (a device, a pipe) is
// written directly.
struct bnr_target {
    struct bnr_sink sink;
    const struct bnr_allocator *allocator;
    char *final, *temporary; // temporary NULL: written directly
    size_t final_size, temporary_size;
};

// Errors name `path`. Must be followed by bnr__target_abandon or bnr__target_close + bnr__target_commit.
enum bnr_status bnr__target_open(struct bnr_target *t, const char *path, const struct bnr_allocator *a,
                                 struct bnr_error *err);
// Has the file system find room for that many bytes in one go, which fails before any is written and is
// faster than room for every page of them.
enum bnr_status bnr__target_reserve(struct bnr_target *t, uint64_t size, struct bnr_error *err);
enum bnr_status bnr__target_close(struct bnr_target *t, struct bnr_error *err);  // all bytes are written
enum bnr_status bnr__target_commit(struct bnr_target *t, struct bnr_error *err); // and have their name
// Removes what is not committed, frees everything. Fine after commit, and on a zeroed target.
void bnr__target_abandon(struct bnr_target *t);

#endif
