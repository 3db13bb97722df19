// SPDX-License-Identifier: Apache-2.0
// softmax(scale * Q * K^T + mask) * V in float32 for every head, with grouped heads, a range of
// keys for each query, masks and soft capping. One block of queries at a time, whose scores stay in
// cache, from the gemm_f32 tiles and the rows_f32 softmax. All query heads that share keys are rows
// of the same blocks.
//
// Accuracy: products as gemm_f32.h says, softmax as rows_f32.h, whatever the number of threads.
// Keys outside of a query's range do not count, but in a block with queries that read them their
// values are multiplied by 0.
#ifndef BNR_KERNELS_ATTENTION_F32_H
#define BNR_KERNELS_ATTENTION_F32_H

#include "runtime/kernels/gemm_f32.h"
#include "runtime/kernels/rows_f32.h"

// Where the row of a position lies: batch, head and row are distances in elements, 0 where all
// share one. With a single head the batch's places may be listed instead.
struct bnr_attention_place {
    size_t batch, head, row;
    const size_t *starts; // [batch]; NULL: not listed
};

struct bnr_attention_f32 {
    size_t batch, heads, kv_heads, queries, keys, size, v_size; // of rows of Q and K; of V
    float scale, softcap;                                       // softcap 0: none
    bool causal;          // a query at position p reads keys up to p
    int64_t left, right;  // and from p - left to p + right; -1: without limit
    bool smooth;          // softmax has one score more, which weights nothing
    bool masked, boolean; // added to the scores (-Inf: no such key); boolean: false for no such key
    size_t mask_keys;     // keys behind these are not read
    bool plain;     // every key counts, whatever the mask: of scores that are all -Inf comes NaN
    bool mask_same; // plain: one element for all keys
    bool k_turned;  // element d of a key lies d rows behind element 0, the next key beside it
    struct bnr_attention_place q, k, v, y, mask; // Q, Y and mask by query heads
    // Derived
    const struct bnr_gemm_f32 *gemm;
    const struct bnr_rows_f32_kernels *softmax;
    const struct bnr_eltwise_f32 *eltwise;
    size_t rows, blocks; // of a block; blocks of a key head
    size_t ld;           // of the scores
    size_t panels, panel_floats, key_floats;
    size_t slot_bytes, scratch_bytes;
    int slots;
};

// Sets what is derived. False when a size overflows. No size is 0.
bool bnr__attention_f32_init(struct bnr_attention_f32 *c, unsigned cpu, int threads);

struct bnr_attention_f32_run {
    const struct bnr_attention_f32 *c;
    float *y;
    const float *q, *k, *v;
    const void *mask;     // float or bool
    const float *sink;    // smooth: that score of each head; NULL: 0
    const int64_t *first; // [batch] position of the first query, up to 2^40 in magnitude
    const int64_t *end;   // [batch] keys that there are; plain: neither of the two is read
    void *scratch;        // scratch_bytes, 64-byte aligned
};

// A query without any key gives zeros.
void bnr__attention_f32_run(const struct bnr_attention_f32_run *r, struct bnr_pool *pool);

#endif
