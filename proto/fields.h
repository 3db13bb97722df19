// SPDX-License-Identifier: Apache-2.0
// Numbers of the fields that the walker and the saver handle themselves (protobuf-c gives none by name).
// tests/unit/test_schema.c checks them against the descriptors.
#ifndef BNR_PROTO_FIELDS_H
#define BNR_PROTO_FIELDS_H

// X(constant, message, field, number)
#define BNR_FIELD_LIST(X)                                                                          \
    X(BNR_MODEL_IR_VERSION, model, ir_version, 1)                                                  \
    X(BNR_MODEL_PRODUCER_NAME, model, producer_name, 2)                                            \
    X(BNR_MODEL_PRODUCER_VERSION, model, producer_version, 3)                                      \
    X(BNR_MODEL_DOMAIN, model, domain, 4)                                                          \
    X(BNR_MODEL_MODEL_VERSION, model, model_version, 5)                                            \
    X(BNR_MODEL_DOC_STRING, model, doc_string, 6)                                                  \
    X(BNR_MODEL_GRAPH, model, graph, 7)                                                            \
    X(BNR_MODEL_OPSET_IMPORT, model, opset_import, 8)                                              \
    X(BNR_MODEL_METADATA_PROPS, model, metadata_props, 14)                                         \
    X(BNR_MODEL_TRAINING_INFO, model, training_info, 20)                                           \
    X(BNR_MODEL_FUNCTIONS, model, functions, 25)                                                   \
    X(BNR_MODEL_CONFIGURATION, model, configuration, 26)                                           \
    X(BNR_GRAPH_NODE, graph, node, 1)                                                              \
    X(BNR_GRAPH_NAME, graph, name, 2)                                                              \
    X(BNR_GRAPH_INITIALIZER, graph, initializer, 5)                                                \
    X(BNR_GRAPH_DOC_STRING, graph, doc_string, 10)                                                 \
    X(BNR_GRAPH_INPUT, graph, input, 11)                                                           \
    X(BNR_GRAPH_OUTPUT, graph, output, 12)                                                         \
    X(BNR_GRAPH_VALUE_INFO, graph, value_info, 13)                                                 \
    X(BNR_GRAPH_QUANTIZATION_ANNOTATION, graph, quantization_annotation, 14)                       \
    X(BNR_GRAPH_SPARSE_INITIALIZER, graph, sparse_initializer, 15)                                 \
    X(BNR_GRAPH_METADATA_PROPS, graph, metadata_props, 16)                                         \
    X(BNR_NODE_INPUT, node, input, 1)                                                              \
    X(BNR_NODE_OUTPUT, node, output, 2)                                                            \
    X(BNR_NODE_NAME, node, name, 3)                                                                \
    X(BNR_NODE_OP_TYPE, node, op_type, 4)                                                          \
    X(BNR_NODE_ATTRIBUTE, node, attribute, 5)                                                      \
    X(BNR_NODE_DOC_STRING, node, doc_string, 6)                                                    \
    X(BNR_NODE_DOMAIN, node, domain, 7)                                                            \
    X(BNR_NODE_OVERLOAD, node, overload, 8)                                                        \
    X(BNR_NODE_METADATA_PROPS, node, metadata_props, 9)                                            \
    X(BNR_NODE_DEVICE_CONFIGURATIONS, node, device_configurations, 10)                             \
    X(BNR_ATTRIBUTE_NAME, attribute, name, 1)                                                      \
    X(BNR_ATTRIBUTE_T, attribute, t, 5)                                                            \
    X(BNR_ATTRIBUTE_G, attribute, g, 6)                                                            \
    X(BNR_ATTRIBUTE_TENSORS, attribute, tensors, 10)                                               \
    X(BNR_ATTRIBUTE_GRAPHS, attribute, graphs, 11)                                                 \
    X(BNR_ATTRIBUTE_DOC_STRING, attribute, doc_string, 13)                                         \
    X(BNR_ATTRIBUTE_TYPE, attribute, type, 20)                                                     \
    X(BNR_ATTRIBUTE_SPARSE_TENSOR, attribute, sparse_tensor, 22)                                   \
    X(BNR_ATTRIBUTE_SPARSE_TENSORS, attribute, sparse_tensors, 23)                                 \
    X(BNR_TENSOR_DIMS, tensor, dims, 1)                                                            \
    X(BNR_TENSOR_DATA_TYPE, tensor, data_type, 2)                                                  \
    X(BNR_TENSOR_FLOAT_DATA, tensor, float_data, 4)                                                \
    X(BNR_TENSOR_STRING_DATA, tensor, string_data, 6)                                              \
    X(BNR_TENSOR_NAME, tensor, name, 8)                                                            \
    X(BNR_TENSOR_RAW_DATA, tensor, raw_data, 9)                                                    \
    X(BNR_TENSOR_DOUBLE_DATA, tensor, double_data, 10)                                             \
    X(BNR_TENSOR_DOC_STRING, tensor, doc_string, 12)                                               \
    X(BNR_TENSOR_EXTERNAL_DATA, tensor, external_data, 13)                                         \
    X(BNR_TENSOR_DATA_LOCATION, tensor, data_location, 14)                                         \
    X(BNR_TENSOR_METADATA_PROPS, tensor, metadata_props, 16)                                       \
    X(BNR_SPARSE_VALUES, sparse_tensor, values, 1)                                                 \
    X(BNR_SPARSE_INDICES, sparse_tensor, indices, 2)                                               \
    X(BNR_SPARSE_DIMS, sparse_tensor, dims, 3)                                                     \
    X(BNR_SEQUENCE_NAME, sequence, name, 1)                                                        \
    X(BNR_SEQUENCE_ELEM_TYPE, sequence, elem_type, 2)                                              \
    X(BNR_SEQUENCE_TENSOR_VALUES, sequence, tensor_values, 3)                                      \
    X(BNR_SEQUENCE_SPARSE_TENSOR_VALUES, sequence, sparse_tensor_values, 4)                        \
    X(BNR_SEQUENCE_SEQUENCE_VALUES, sequence, sequence_values, 5)                                  \
    X(BNR_SEQUENCE_MAP_VALUES, sequence, map_values, 6)                                            \
    X(BNR_SEQUENCE_OPTIONAL_VALUES, sequence, optional_values, 7)                                  \
    X(BNR_MAP_NAME, map, name, 1)                                                                  \
    X(BNR_MAP_KEY_TYPE, map, key_type, 2)                                                          \
    X(BNR_MAP_KEYS, map, keys, 3)                                                                  \
    X(BNR_MAP_STRING_KEYS, map, string_keys, 4)                                                    \
    X(BNR_MAP_VALUES, map, values, 5)

enum bnr_field_number {
#define BNR_FIELD_ENUM(constant, message, field, number) constant = number,
    BNR_FIELD_LIST(BNR_FIELD_ENUM)
#undef BNR_FIELD_ENUM
};

#endif
