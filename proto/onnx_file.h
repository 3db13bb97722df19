// SPDX-License-Identifier: Apache-2.0
// Bytes to graph and graph to bytes. Everything in a file is untrusted and checked here: sizes, counts,
// nesting, names, encodings, external paths.
#ifndef BNR_PROTO_ONNX_FILE_H
#define BNR_PROTO_ONNX_FILE_H

#include "graph/graph.h"
#include "proto/wire.h"

enum { BNR_MAX_NESTING = 64 }; // messages within messages that a file may have

// Maps the file and builds the graph. Functions are inlined, nodes sorted; operators not yet resolved.
// Big raw_data is used in place, not copied.
enum bnr_status bnr__model_read_file(struct bnr_model **out, const char *path,
                                     const struct bnr_allocator *a, struct bnr_error *err);
// The same from `size` bytes of the file, from `offset` on.
enum bnr_status bnr__model_read_part(struct bnr_model **out, const char *path, uint64_t offset,
                                     uint64_t size, const struct bnr_allocator *a,
                                     struct bnr_error *err);
// The file that a model was read from, where that is all of it: nothing for one from memory or with external
// data. Valid as long as the model.
struct bnr_bytes bnr__model_file_bytes(const struct bnr_model *m);
// The same from memory; copies `data`.
enum bnr_status bnr__model_read_memory(struct bnr_model **out, const void *data, size_t size,
                                       const struct bnr_allocator *a, struct bnr_error *err);
// Writes the graph as ONNX. `origin`: the model as it was loaded (its `source` gives everything that the
// graph does not hold: docs, metadata, value_info, annotations, training info, untouched nodes), or NULL. What
// is as it was in the file is written as it was there, byte for byte. Where the file would pass 2 GB, or when
// the origin had external data, tensors go to PATH.data. Written to temporary files beside `path`, then
// renamed; a device or pipe is written directly. The file that `origin` came from may be overwritten.
enum bnr_status bnr__model_write_file(const struct bnr_model *m, const struct bnr_model *origin,
                                      const char *path, struct bnr_error *err);
// A serialized TensorProto, SequenceProto, OptionalProto, MapProto or SparseTensorProto: which, `kind` must
// say. The values of a map are a tensor where the file has scalars.
enum bnr_status bnr__tensor_read_pb(struct bnr_tensor **out, const char *path, enum bnr_kind kind,
                                    const struct bnr_allocator *a, struct bnr_error *err);
enum bnr_status bnr__tensor_write_pb(const struct bnr_tensor *t, const char *name, const char *path,
                                     struct bnr_error *err);

#endif
