// SPDX-License-Identifier: Apache-2.0
// Operators that only move channels of blocked tensors, by nchwc_channels_f32.
#ifndef BNR_OPS_LIB_PREPARE_CHANNELS_H
#define BNR_OPS_LIB_PREPARE_CHANNELS_H

#include "graph/op.h"
#include "runtime/kernels/nchwc_channels_f32.h"

// An output of the step: its type, and for each channel where it comes from. NULL: unwanted.
struct bnr_channels_out {
    const struct bnr_type *type;
    const struct bnr_channel *list;
};

// A kernel that makes the outputs from the node's first n_in inputs, all of them blocked. Leaves it
// at none where a type has no blocked form.
enum bnr_status bnr__prepare_channels(struct bnr_prepare *cx, int n_in,
                                      const struct bnr_channels_out *out, int n_out);
// Room for the list of a tensor's channels, until prepare() is over; NULL when out of memory.
struct bnr_channel *bnr__channels_new(struct bnr_prepare *cx, const struct bnr_type *type);

enum bnr_status bnr__prepare_concat(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_split(struct bnr_prepare *cx);
// Reshape -> Transpose -> Reshape, members of the first: channel shuffle.
enum bnr_status bnr__prepare_reshape(struct bnr_prepare *cx);

#endif
