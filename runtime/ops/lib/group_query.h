// SPDX-License-Identifier: Apache-2.0
// What the reference code and the kernel of GroupQueryAttention share: the sizes of a node, the
// checks of its data, and where the new tokens stand.
#ifndef BNR_OPS_LIB_GROUP_QUERY_H
#define BNR_OPS_LIB_GROUP_QUERY_H

#include "graph/op.h"

enum bnr_group_query_input {
    BNR_GQ_Q,
    BNR_GQ_K,
    BNR_GQ_V,
    BNR_GQ_PAST_KEY,
    BNR_GQ_PAST_VALUE,
    BNR_GQ_SEQLENS,
    BNR_GQ_TOTAL,
    BNR_GQ_COS,
    BNR_GQ_SIN,
    BNR_GQ_POSITIONS,
    BNR_GQ_BIAS,
    BNR_GQ_SINK
};

struct bnr_group_query {
    size_t batch, heads, kv_heads, length, size, past, all, total;
    float scale, softcap;
    int64_t window;
    bool packed;                // K and V stand behind Q in its rows
    size_t q_stride, kv_stride; // rows of Q, K and V: [batch, length, (heads)..., size]
    bool rotates, interleaved;
    bool smooth;              // one score more, of the head's sink or 0
    size_t half, rows;        // of the caches of cosines and sines
    const int32_t *seqlens;   // [batch]
    const int64_t *positions; // [batch, length] or NULL
};

// From inputs at run time, whose data are checked.
enum bnr_status bnr__group_query_read(const struct bnr_args *a, struct bnr_group_query *g);
// Keys in front of the new ones of batch b. A prompt that fills all of total_sequence_length begins
// at 0.
static inline size_t bnr__group_query_past(const struct bnr_group_query *g, size_t b) {
    return g->length == g->total ? 0 : (size_t)g->seqlens[b] + 1 - g->length;
}
// The row of the caches of cosines and sines for token i of batch b.
static inline size_t bnr__group_query_position(const struct bnr_group_query *g, size_t b,
                                               size_t i) {
    return g->positions ? (size_t)g->positions[b * g->length + i] : bnr__group_query_past(g, b) + i;
}

enum bnr_status bnr__prepare_group_query(struct bnr_prepare *cx);

#endif
