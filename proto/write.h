// SPDX-License-Identifier: Apache-2.0
// What the files of the saver share. Every emit function may run several times, to count and to write, and
// puts the same bytes each time.
#ifndef BNR_PROTO_WRITE_H
#define BNR_PROTO_WRITE_H

#include "proto/fields.h"
#include "proto/internal.h"
#include "proto/sink.h"

struct data_place { // of a tensor in the external data file
    const struct bnr_tensor *tensor;
    uint64_t offset, size;
    struct data_place *next;
};

struct writer {
    const struct bnr_model *m;
    const struct bnr_skeleton *skeleton; // of the file that m came from, or NULL
    struct bnr_arena temp;               // until all is written
    struct bnr_arena scratch;            // of one field at a time
    size_t *node_index;                  // [m->next_node_id] place of each node in its graph
    enum bnr_status status;              // the first failure; emitting goes on, to no avail
    struct bnr_error *err;
    // With external data:
    const char *location; // of the data file, relative to the model; NULL: none
    bool collecting;      // places are being given
    struct bnr_map places;
    struct data_place *first_place, *last_place;
    uint64_t data_size;
};

void bnr__write_failed(struct writer *w, enum bnr_status st); // err is set by the caller

// ---- parts of the source (write_source.c) -----------------------------------------------------------

// The bytes of the skeleton that a mark stands for; empty when `source` is no mark of type `type` in it.
struct bnr_bytes bnr__source_bytes(const struct writer *w, const void *source,
                                   const ProtobufCMessageDescriptor *type);
const struct bnr_mark *bnr__source_mark(const struct writer *w, const void *source);
// The first field `id`; false when there is none.
bool bnr__source_field(struct bnr_bytes message, uint32_t id, struct bnr_wire_field *out);
// Whether the text field `id` is there and says `text`.
bool bnr__source_says(struct bnr_bytes message, uint32_t id, const char *text);
// Copies all fields `id` of a message of type `type`.
void bnr__copy_fields(struct writer *w, struct bnr_sink *s, struct bnr_bytes message,
                      const ProtobufCMessageDescriptor *type, uint32_t id);
// Copies a whole message as field `id`; tensor elements are put back where they were.
void bnr__copy_message(struct writer *w, struct bnr_sink *s, uint32_t id, struct bnr_bytes message,
                       const ProtobufCMessageDescriptor *type);
// Copies what this schema does not know.
void bnr__copy_unknown(struct writer *w, struct bnr_sink *s, struct bnr_bytes message,
                       const ProtobufCMessageDescriptor *type);
// A text field: as in the source where it says the same, else when it is not empty.
void bnr__put_name(struct writer *w, struct bnr_sink *s, struct bnr_bytes message, uint32_t id,
                   const char *text);

// Finds submessages by the name that they have in their field 1. Looks on from where the last one was, so
// that asking in the file's order is linear.
struct finder {
    struct bnr_bytes message;
    uint32_t id;
    const uint8_t *at;
};
// The content of the submessage; data NULL when there is none of that name.
struct bnr_bytes bnr__find_named(struct finder *f, const char *name);

// ---- parts of the graph -----------------------------------------------------------------------------

// write_tensor.c. `source`: a TensorProto to take doc_string and metadata from, may be empty. `name` NULL:
// none.
void bnr__put_tensor(struct writer *w, struct bnr_sink *s, uint32_t id, const struct bnr_tensor *t,
                     const char *name, struct bnr_bytes source);
// The content of that message alone.
void bnr__emit_tensor(struct writer *w, struct bnr_sink *s, const struct bnr_tensor *t, const char *name);
// A SparseTensorProto of a dense tensor.
void bnr__put_sparse(struct writer *w, struct bnr_sink *s, uint32_t id, const struct bnr_tensor *t);
// The elements as in raw_data.
void bnr__put_raw(struct bnr_sink *s, const struct bnr_tensor *t);
// Whether a tensor stays in the file (true for all without external data).
bool bnr__is_inline(struct writer *w, const struct bnr_tensor *t);
// A small message, by protobuf-c; made in w->scratch, which is emptied.
void bnr__put_packed(struct writer *w, struct bnr_sink *s, uint32_t id, const ProtobufCMessage *m);
// In `arena`; NULL when out of memory.
Onnx__TypeProto *bnr__type_to_proto(const struct bnr_type *t, struct bnr_arena *arena);

// write_node.c
void bnr__put_node(struct writer *w, struct bnr_sink *s, const struct bnr_node *n);
void bnr__put_constant_node(struct writer *w, struct bnr_sink *s, const struct bnr_value *v);

// write_graph.c. `source`: the GraphProto that the graph came from, may be empty.
void bnr__put_graph(struct writer *w, struct bnr_sink *s, uint32_t id, const struct bnr_graph *g,
                    struct bnr_bytes source);

// write.c: the saver with another limit for what a file without external data may take, for tests.
enum bnr_status bnr__model_write_limited(const struct bnr_model *m, const struct bnr_model *origin,
                                         const char *path, uint64_t limit, struct bnr_error *err);

#endif
