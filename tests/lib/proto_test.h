// SPDX-License-Identifier: Apache-2.0
// What tests of proto/ share: ONNX messages made by hand (in an arena, with protobuf-c's own packer, which
// shares no code with ours), and a folder for files.
#ifndef BNR_TESTS_PROTO_TEST_H
#define BNR_TESTS_PROTO_TEST_H

#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"
#include "proto/onnx.pb-c.h"

// Appends to a repeated field.
#define PB_PUSH(arena, message, field, item)                                                       \
    ((message)->field = pb_grow(arena, (message)->field, (message)->n_##field,                     \
                                sizeof *(message)->field),                                         \
     (message)->field[(message)->n_##field++] = (item))

void *pb_grow(struct bnr_arena *a, void *array, size_t count, size_t size);
char *pb_text(const char *s); // without const, as protobuf-c has it

Onnx__TensorProto *pb_tensor(struct bnr_arena *a, const char *name, int dtype, int rank,
                             const int64_t *dims);
void pb_raw(Onnx__TensorProto *t, const void *data, size_t size); // not copied
// An initializer of floats 0, 0.5, 1, ... in raw_data.
Onnx__TensorProto *pb_floats(struct bnr_arena *a, const char *name, int rank, const int64_t *dims);
void pb_external(struct bnr_arena *a, Onnx__TensorProto *t, const char *location, const char *offset,
                 const char *length); // NULL: no such entry
// rank -1: without shape; dim -1: without value.
Onnx__ValueInfoProto *pb_value(struct bnr_arena *a, const char *name, int dtype, int rank,
                               const int64_t *dims);
// Names separated by commas; "" for none, "a,,b" for an omitted one.
Onnx__NodeProto *pb_node(struct bnr_arena *a, const char *op_type, const char *inputs,
                         const char *outputs);
Onnx__AttributeProto *pb_attr(struct bnr_arena *a, const char *name, int type); // content is the caller's
Onnx__GraphProto *pb_graph(struct bnr_arena *a, const char *name);
// IR version 8, opset 17.
Onnx__ModelProto *pb_model(struct bnr_arena *a, Onnx__GraphProto *graph);
// x [1,4] -> Relu -> y, with nothing else.
Onnx__ModelProto *pb_relu_model(struct bnr_arena *a);
// One of nearly everything: initializers of several encodings, Constant nodes, an If with branches that
// capture, a function, sparse and string tensors, notes and metadata at every level.
Onnx__ModelProto *pb_rich_model(struct bnr_arena *a);

uint8_t *pb_pack(struct bnr_arena *a, const void *message, size_t *size);
enum bnr_status pb_load(struct bnr_arena *a, const void *message, struct bnr_model **out,
                        struct bnr_error *err);
// The printed graph without its first line, which names the file. To be freed.
char *pb_print(const struct bnr_model *m);

// A new folder for the test's files, its path in `path`; removed with everything in it.
void test_folder_make(char path[256]);
void test_folder_remove(const char *path);
size_t test_folder_count(const char *path); // files in it
void write_bytes(const char *path, const void *data, size_t size);
uint8_t *read_bytes(const char *path, size_t *size); // to be freed; NULL when not there

#endif
