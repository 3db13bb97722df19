// SPDX-License-Identifier: Apache-2.0
// Damages a model and its inputs at random, as files from elsewhere may be wrong: attributes that
// miss, have another type or extreme values, inputs omitted or swapped, other dtypes, ranks and
// dims, other opsets, element values out of range.
#ifndef BNR_TESTS_DAMAGE_H
#define BNR_TESTS_DAMAGE_H

#include "graph/tensor.h"
#include "proto/onnx.pb-c.h"

enum { DAMAGE_MAX_INPUTS = 32 };

struct damage {
    uint64_t state; // of the random numbers: the seed at first
    Onnx__ModelProto *model;
    struct bnr_arena *arena;                      // owns the model's messages
    struct bnr_tensor *inputs[DAMAGE_MAX_INPUTS]; // owned; by place in graph->input
    size_t n_inputs;
    char what[600]; // the changes, in words
};

// Some of the inputs become initializers, declared types are opened at random, then one to three
// changes. inputs NULL where a graph input has an initializer as default.
void damage_apply(struct damage *d);

#endif
