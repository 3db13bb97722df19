// SPDX-License-Identifier: Apache-2.0
// MultiHeadAttention (com.microsoft): attends with given Q, K and V, which may be packed: [batch, length,
// heads, 3 (Q, K, V) or 2 (K, V), size].
#include "runtime/ops/lib/spell.h"

enum { QUERY, KEY, VALUE, BIAS, MASK, ATTENTION_BIAS, PAST_KEY, PAST_VALUE };

// Part `which` of a packed tensor as [batch, heads, length, size].
static struct bnr_value *unpacked(struct bnr_build *b, struct bnr_value *x, int64_t which) {
    struct bnr_value *at = OP2("Squeeze", INTS(which), INTS(0));
    struct bnr_value *part = bnr__build_int(b, OP2("Gather", x, at), "axis", 3);
    return bnr__build_attr_ints(b, OP1("Transpose", part), "perm", (const int64_t[]){0, 2, 1, 3}, 4);
}

// The last dim of x, or a third of the bias.
static int64_t hidden(struct bnr_build *b, const struct bnr_value *x, const struct bnr_value *bias) {
    const struct bnr_shape *s = &x->info->type.shape, *all = &bias->info->type.shape;
    if (s->rank == 3 && s->dims[2].n >= 0)
        return s->dims[2].n;
    if (all->rank == 1 && all->dims[0].n >= 0)
        return all->dims[0].n / 3;
    b->later = true;
    bnr__build_fail(b, BNR_UNSUPPORTED, "the hidden size is not known");
    return 0;
}

// x plus bias[from, to), in heads; x that is in heads already has no bias.
static struct bnr_value *with_bias(struct bnr_build *b, struct bnr_value *x, int rank,
                                   struct bnr_value *bias, int64_t from, int64_t to, int64_t heads) {
    if (rank == 4)
        return x;
    if (bias)
        x = OP2("Add", x, OP3("Slice", bias, INTS(from), INTS(to)));
    return bnr__spell_heads(b, x, heads);
}

static bool read(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                 struct bnr_spell_attention *p) {
    struct bnr_value *key = bnr__spell_in(n, in, KEY), *value = bnr__spell_in(n, in, VALUE);
    struct bnr_value *bias = bnr__spell_in(n, in, BIAS);
    const int64_t heads = bnr__attr_int(n, "num_heads", 0);
    const int rank = bnr__build_rank(b, in[QUERY]), key_rank = key ? bnr__build_rank(b, key) : 0;
    if (b->status != BNR_OK)
        return false;
    if (rank == 5 && !key && !bias) {
        p->q = unpacked(b, in[QUERY], 0);
        p->k = unpacked(b, in[QUERY], 1);
        p->v = unpacked(b, in[QUERY], 2);
        return true;
    }
    if (heads < 1 || rank != 3 || !key || (key_rank == 5 ? value != NULL : !value)) {
        bnr__build_fail(b, BNR_UNSUPPORTED,
                        "query of rank %d and key of rank %d with%s value%s for %lld heads", rank,
                        key_rank, value ? "" : "out", bias ? " and bias" : "", (long long)heads);
        return false;
    }
    const int64_t size = bias ? hidden(b, in[QUERY], bias) : 0;
    p->q = with_bias(b, in[QUERY], 3, bias, 0, size, heads);
    p->k = key_rank == 5 ? unpacked(b, key, 0)
                         : with_bias(b, key, key_rank, bias, size, 2 * size, heads);
    p->v = key_rank == 5 ? unpacked(b, key, 1)
                         : with_bias(b, value, key_rank, bias, 2 * size, INT64_MAX, heads);
    return b->status == BNR_OK;
}

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *key, *value;
    struct bnr_spell_attention p = {
        .mask = bnr__spell_in(n, in, MASK),
        .bias = bnr__spell_in(n, in, ATTENTION_BIAS),
        .past_key = bnr__spell_in(n, in, PAST_KEY),
        .past_value = bnr__spell_in(n, in, PAST_VALUE),
        .batch_of = in[QUERY],
        .like = in[QUERY],
    };
    if (!read(b, n, in, &p))
        return;
    out[0] = bnr__spell_attention(b, n, &p, &key, &value);
    if (n->n_out > 1 && out[0])
        out[1] = key;
    if (n->n_out > 2 && out[0])
        out[2] = value;
}

BNR_DEFINE_OP(ms_multi_head_attention) = {
    BNR_SPELLED("MultiHeadAttention"),
    .min_in = 1,
    .max_in = 10,
    .min_out = 1,
    .max_out = 4,
    .attrs = "mask_filter_value:f num_heads:i! scale:f unidirectional:i",
};
