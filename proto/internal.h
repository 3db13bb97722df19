// SPDX-License-Identifier: Apache-2.0
// What the files of proto/ share: mapped files, reading tensors, the object behind bnr_model.source.
#ifndef BNR_PROTO_INTERNAL_H
#define BNR_PROTO_INTERNAL_H

#include "graph/graph.h"
#include "proto/onnx.pb-c.h"
#include "proto/skeleton.h"

// For memory that is handed to an interface which does not write it, but has no const.
static inline void *bnr__unconst(const void *p) {
    return (void *)(uintptr_t)p;
}

// ---- files (file.c) ---------------------------------------------------------------------------------

// A file's bytes, mapped read-only (or read, from a pipe). Tensors that point into it hold a reference.
struct bnr_mapping {
    atomic_int refs;
    const struct bnr_allocator *allocator;
    struct bnr_bytes bytes;
    size_t readable; // bytes from the start that can be read without a fault: >= bytes.size
    size_t heap;     // size of the allocation when read from a pipe; 0 when mapped
};

// Messages do not name the path: the caller puts it in front.
enum bnr_status bnr__mapping_open(struct bnr_mapping **out, const char *path,
                                  const struct bnr_allocator *a, struct bnr_error *err);
// The same for regular files only, and not through a symbolic link.
enum bnr_status bnr__mapping_open_plain(struct bnr_mapping **out, const char *path,
                                        const struct bnr_allocator *a, struct bnr_error *err);
struct bnr_mapping *bnr__mapping_ref(struct bnr_mapping *m); // NULL stays NULL
void bnr__mapping_unref(struct bnr_mapping *m);              // NULL is fine
// These bytes were copied and will hardly be read again: their pages need not stay in memory.
void bnr__mapping_drop(const struct bnr_mapping *m, struct bnr_bytes range);

// ---- external data (external.c) ---------------------------------------------------------------------

// The files that a model's tensors refer to. Each is opened once, and must lie in the model's folder.
struct bnr_external {
    const struct bnr_allocator *allocator;
    struct bnr_arena arena;
    const char *folder; // of the model's path as given
    const char *roots[2]; // real paths: of that folder, and of the folder that the model itself is in
    struct bnr_map files; // location -> struct external_file
    bool used;
};

enum bnr_status bnr__external_init(struct bnr_external *x, const char *model_path,
                                   const struct bnr_allocator *a, struct bnr_error *err);
void bnr__external_free(struct bnr_external *x);
// The `size` bytes that t's external_data names. *mapping is borrowed from x.
enum bnr_status bnr__external_find(struct bnr_external *x, const Onnx__TensorProto *t, size_t size,
                                   struct bnr_mapping **mapping, struct bnr_bytes *out,
                                   struct bnr_error *err);

// ---- tensors (tensor.c, sparse.c) -------------------------------------------------------------------

struct bnr_tensor_reader {
    const struct bnr_allocator *allocator;
    struct bnr_skeleton *skeleton; // that the messages were unpacked from
    struct bnr_mapping *mapping;   // that its elements are in; NULL: memory that goes away, copy
    struct bnr_external *external; // NULL: external data is not reachable
    struct bnr_arena *temp;
    size_t dense_bytes; // made of sparse tensors so far
    bool loose;         // tensors may lie at any address in the mapping (bnr__tensor_is_aligned)
};

// Errors name the tensor. The new tensor is also kept as the message's mark's.
enum bnr_status bnr__tensor_from_proto(struct bnr_tensor_reader *r, const Onnx__TensorProto *p,
                                       struct bnr_tensor **out, struct bnr_error *err);
// A dense tensor; refused beyond a size that no file should be able to ask for in a few bytes.
enum bnr_status bnr__dense_from_proto(struct bnr_tensor_reader *r, const Onnx__SparseTensorProto *p,
                                      struct bnr_tensor **out, struct bnr_error *err);
// A tensor of kind SPARSE.
enum bnr_status bnr__sparse_from_proto(struct bnr_tensor_reader *r, const Onnx__SparseTensorProto *p,
                                       struct bnr_tensor **out, struct bnr_error *err);

// Bytes that numel elements take in raw_data; false when that overflows.
bool bnr__raw_size(enum bnr_dtype dtype, size_t numel, size_t *out);
// Elements [begin, begin + n) of t as in raw_data; begin is a multiple of 4.
void bnr__raw_pack(uint8_t *dst, const struct bnr_tensor *t, size_t begin, size_t n);
// Whether t's memory is what raw_data holds: all but types below 8 bits, and strings.
bool bnr__raw_is_memory(enum bnr_dtype dtype);

// ---- models (build.c, read.c) -----------------------------------------------------------------------

// bnr_model.source. node->source and value->source are `const struct bnr_mark *` into its skeleton.
struct bnr_source {
    const struct bnr_allocator *allocator;
    struct bnr_mapping *mapping; // NULL when read from memory
    struct bnr_bytes part;       // of the mapping: the model
    struct bnr_skeleton skeleton;
    struct bnr_arena copies; // elements that no tensor holds, of a model read from memory
    bool external;           // some tensor's data was in another file
};

// Fills `m` from the message. m->graph is NULL before.
enum bnr_status bnr__model_build(struct bnr_model *m, const Onnx__ModelProto *p,
                                 struct bnr_tensor_reader *r, struct bnr_error *err);
// `p` NULL gives an unknown type. Symbols are interned in m; `what` is named in messages.
enum bnr_status bnr__type_from_proto(struct bnr_model *m, const Onnx__TypeProto *p, const char *what,
                                     struct bnr_type *out, struct bnr_error *err);

#endif
