// SPDX-License-Identifier: Apache-2.0
// What operators that are spelled in others share (graph/build.h): those of com.microsoft, and those that the
// first opsets of ai.onnx had as experiments, which old exports still contain.
#ifndef BNR_OPS_LIB_SPELL_H
#define BNR_OPS_LIB_SPELL_H

#include "graph/build.h"

#define OP1(op, x) bnr__build_1(b, op, x)
#define OP2(op, x, y) bnr__build_2(b, op, x, y)
#define OP3(op, x, y, z) bnr__build_3(b, op, x, y, z)
#define INTS(...)                                                                                  \
    bnr__build_ints(b, (const int64_t[]){__VA_ARGS__},                                             \
                    (int)BNR_COUNT(((const int64_t[]){__VA_ARGS__})))

// The whole table entry but the counts, flags and attributes.
#define BNR_SPELLED(op_name)                                                                       \
    .domain = "com.microsoft", .name = (op_name), .since = {1}, .infer = bnr__expand_infer,        \
    .ref = bnr__expand_ref, .expand = expand

#define BNR_SPELLED_OLD(op_name)                                                                   \
    .domain = "", .name = (op_name), .since = {1}, .infer = bnr__expand_infer,                     \
    .ref = bnr__expand_ref, .expand = expand

// Input i, NULL where omitted.
static inline struct bnr_value *bnr__spell_in(const struct bnr_node *n, struct bnr_value *const *in,
                                              int i) {
    return i < n->n_in ? in[i] : NULL;
}

// x + y; either may be NULL.
struct bnr_value *bnr__spell_add(struct bnr_build *b, struct bnr_value *x, struct bnr_value *y);
// x, of the dtype of `like`, through the activation that n's attribute `activation` names; p[0 .. 2]: its
// parameters.
struct bnr_value *bnr__spell_activation(struct bnr_build *b, const struct bnr_node *n,
                                        struct bnr_value *x, const struct bnr_value *like,
                                        const float *p);
// in[i], in[i + 1], in[i + 2]: values, scale and zero point (may be omitted) as numbers.
struct bnr_value *bnr__spell_dequantized(struct bnr_build *b, const struct bnr_node *n,
                                         struct bnr_value *const *in, int i);
// x quantized by in[i] (scale) and in[i + 1] (zero point), or without that into the dtype of `like`.
struct bnr_value *bnr__spell_quantized(struct bnr_build *b, const struct bnr_node *n,
                                       struct bnr_value *const *in, int i, struct bnr_value *x,
                                       struct bnr_value *like);
// x with its channels moved from the last axis to axis 1, or back. NULL-safe; needs the rank.
struct bnr_value *bnr__spell_channels(struct bnr_build *b, struct bnr_value *x, int rank, bool first);
// QLinearAveragePool and QLinearGlobalAveragePool: `op` of input 0, dequantized, whose channels may be last;
// quantized again by inputs 3 and 4.
struct bnr_value *bnr__spell_qlinear_pool(struct bnr_build *b, const struct bnr_node *n,
                                          struct bnr_value *const *in, const char *op);
// The dims that ConstantFill and GivenTensorFill make: of input 0 (the dims themselves, with input_as_shape)
// and extra_shape, or without input the attribute `shape`.
struct bnr_value *bnr__spell_fill_shape(struct bnr_build *b, const struct bnr_node *n,
                                        struct bnr_value *const *in);
// The integer product of a and b, scaled: zero points, scale and bias may be NULL.
struct bnr_spell_product {
    struct bnr_value *a, *b, *a_zero, *b_zero, *a_scale, *b_scale, *bias;
};
struct bnr_value *bnr__spell_product(struct bnr_build *b, const struct bnr_spell_product *p);

// Attention of com.microsoft: Q, K and V as [batch, heads, length, size].
struct bnr_spell_attention {
    struct bnr_value *q, *k, *v;
    struct bnr_value *mask; // mask_index or key_padding_mask, or NULL
    struct bnr_value *bias; // attention_bias, or NULL
    struct bnr_value *past_key, *past_value;
    struct bnr_value *batch_of; // a value whose dim 0 is the batch
    struct bnr_value *like;     // a value of the node that has the dtype of the scores
};
// Sets *key and *value to what they are together with the past ones; returns [batch, length, hidden].
struct bnr_value *bnr__spell_attention(struct bnr_build *b, const struct bnr_node *n,
                                       const struct bnr_spell_attention *p, struct bnr_value **key,
                                       struct bnr_value **value);
// [batch, length, heads * size] as [batch, heads, length, size].
struct bnr_value *bnr__spell_heads(struct bnr_build *b, struct bnr_value *x, int64_t heads);
// Q, K and V from their joined projection [batch, length, sum of sizes] and past [2, ...]: Attention and
// QAttention. *present may be NULL.
struct bnr_value *bnr__spell_self_attention(struct bnr_build *b, const struct bnr_node *n,
                                            struct bnr_value *joined, struct bnr_value *past,
                                            const struct bnr_spell_attention *p,
                                            struct bnr_value **present);

#endif
