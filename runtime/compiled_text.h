// SPDX-License-Identifier: Apache-2.0
// The words that a compiled model's text is made of; shared by its writer and its reader. A number takes
// eight bytes; text, and arrays of other sizes, their length and their bytes, a NUL behind them, filled up
// to a multiple of eight.
//
//     model:  ir_version, freeze_initializers, producer_name, producer_version, domain,
//             opsets: count, each domain, version;
//             session: nodes_before, stop_after, passes, keep;
//             BNs: count, each name, verdict, into, reason, channels, max_scale, min_var_eps;
//             values and nodes in all graphs: counts; the main graph;
//             packs: count, each value, key, variant, place, size
//     graph:  name, values: count, each value; inputs: count, each a value's number;
//             nodes: count, each node; outputs: count, each a value's number
//     value:  name, bits (enum value_bits), constant_node, id, declared type, tensor
//     node:   domain, op_type, name, label, overload, opset, inputs: count, each a value's number + 1 or 0;
//             outputs likewise; attributes: count, each; origins: count, each a BN's number;
//             fused_into: number in the graph + 1, or 0
//     attr:   name, type, count, each element
//     tensor: form (enum tensor_form); dtype, rank, dims; of one with elements, the place of its data
//     type:   kind, dtype, rank + 1, dims: number and symbol; 1 and the element type, or 0
//
// Values are numbered through the whole model in the order of the text. Places count from the data's start.
#ifndef BNR_COMPILED_TEXT_H
#define BNR_COMPILED_TEXT_H

#include <stdint.h>

enum value_bits { VALUE_INITIALIZER = 1, VALUE_FROM_NODE = 2 };
enum tensor_form { TENSOR_NONE, TENSOR_FULL, TENSOR_HOLLOW };

enum {
    MAX_TYPE_DEPTH = 16, // types within types
    MAX_GRAPH_DEPTH = 64,
    DATA_ALIGN = 64, // of places
    DATA_PAD = 64,   // bytes behind each
};

#define NO_TEXT UINT64_MAX // the length of a text that is NULL

#endif
