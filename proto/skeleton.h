// SPDX-License-Identifier: Apache-2.0
// A skeleton is a serialized message without its big data. protobuf-c copies every byte that it unpacks;
// so the file is walked first, guided by the schema's descriptors, and checked, and copied without the
// elements of its tensors. What is left (some percent of a model) is what protobuf-c unpacks, and what the
// saver later takes untouched parts from.
//
// Every NodeProto, TensorProto and SparseTensorProto of a skeleton carries a mark: a field whose number no
// ONNX version uses, and that is dropped where a file has it. The mark says where the message stands and,
// for a tensor, where its elements are.
#ifndef BNR_PROTO_SKELETON_H
#define BNR_PROTO_SKELETON_H

#include <protobuf-c/protobuf-c.h>

#include "graph/tensor.h"
#include "proto/wire.h"

struct bnr_mark {
    const ProtobufCMessageDescriptor *type;
    size_t offset, size;      // of the message's content in the skeleton
    struct bnr_bytes data;    // elements that were taken out, as they stand in the file; data NULL: none
    uint32_t data_field;      // the field that they were in: raw_data, float_data or double_data
    struct bnr_tensor *tensor; // owned: what the loader made of the message (of a Constant node, too)
};

struct bnr_skeleton {
    const struct bnr_allocator *allocator;
    uint8_t *bytes;
    size_t size, capacity;
    struct bnr_mark *marks;
    size_t n_marks, marks_capacity;
};

// Walks and checks `file`, a message of type `type`. The skeleton is valid as long as `file` is, and must
// be given to bnr__skeleton_free, also after a failure.
enum bnr_status bnr__skeleton_make(struct bnr_skeleton *s, const ProtobufCMessageDescriptor *type,
                                   struct bnr_bytes file, const struct bnr_allocator *a,
                                   struct bnr_error *err);
void bnr__skeleton_free(struct bnr_skeleton *s);

// Unpacks the skeleton into `arena`, where the message stays until the arena is freed.
enum bnr_status bnr__skeleton_unpack(const struct bnr_skeleton *s,
                                     const ProtobufCMessageDescriptor *type, struct bnr_arena *arena,
                                     ProtobufCMessage **out, struct bnr_error *err);
// Unpacks any bytes of it that hold a message of type `type`.
enum bnr_status bnr__unpack(struct bnr_bytes bytes, const ProtobufCMessageDescriptor *type,
                            struct bnr_arena *arena, ProtobufCMessage **out, struct bnr_error *err);

// The mark of an unpacked message; NULL when it has none.
struct bnr_mark *bnr__mark_of(const struct bnr_skeleton *s, const ProtobufCMessage *m);
// The mark that a field of a skeleton's message is; NULL when it is another field.
struct bnr_mark *bnr__mark_at(const struct bnr_skeleton *s, const struct bnr_wire_field *f);
// Whether messages of this type carry marks, or hold messages that do.
bool bnr__type_has_marks(const ProtobufCMessageDescriptor *type);

#endif
