// SPDX-License-Identifier: Apache-2.0
// What the files that build a graph from a message share.
#ifndef BNR_PROTO_BUILD_H
#define BNR_PROTO_BUILD_H

#include "proto/internal.h"

struct build {
    struct bnr_model *m;
    struct bnr_tensor_reader *reader;
    struct bnr_arena *temp;          // until the model is built
    const struct bnr_opset *opsets;  // of the function whose body is built; NULL: the model's
    size_t n_opsets;
    bool in_function;
    struct bnr_tensor **loose; // tensors of the attributes of the Constant node that is being built
    size_t n_loose, loose_capacity;
    bool keep_loose; // collect there instead of in m->held
    struct bnr_error *err;
};

// The names that a graph of the file defines. A value of a nested graph may have another name in the IR
// than in the file, where names of nested graphs may hide those around them.
struct scope {
    struct bnr_graph *graph;
    struct bnr_map values; // name in the file -> struct bnr_value
    const struct scope *outer;
};

// A field that may be absent.
static inline const char *text_of(const char *s) {
    return s ? s : "";
}

// build.c. `outer` NULL for the main graph and function bodies.
enum bnr_status bnr__build_graph(struct build *b, struct bnr_graph *g, const Onnx__GraphProto *p,
                                 const struct scope *outer);
enum bnr_status bnr__build_nodes(struct build *b, struct scope *s, size_t n, Onnx__NodeProto **nodes);
enum bnr_status bnr__build_define(struct build *b, struct scope *s, const char *name,
                                  struct bnr_value **out);
enum bnr_status bnr__build_value_infos(struct build *b, struct scope *s, size_t n,
                                       Onnx__ValueInfoProto **infos);

// build_attr.c. An array of n attributes in the model's arena. `owner` of graphs, NULL where there
// can be none.
enum bnr_status bnr__build_attrs(struct build *b, const struct scope *s, struct bnr_node *owner,
                                 size_t n, Onnx__AttributeProto **protos, struct bnr_attr **out);

// The declared type, or for files of IR version 1, which had none, that of the field that is set.
enum bnr_attr_type bnr__attr_type_of(const Onnx__AttributeProto *p);

// build_function.c: m->functions.
enum bnr_status bnr__build_functions(struct build *b, size_t n, Onnx__FunctionProto **protos);
// Opset imports as an array in the model's arena.
enum bnr_status bnr__build_opsets(struct build *b, const char *what, size_t n,
                                  Onnx__OperatorSetIdProto **protos, struct bnr_opset **out);

#endif
