// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/spell.h"

#include <string.h>

struct bnr_value *bnr__spell_add(struct bnr_build *b, struct bnr_value *x, struct bnr_value *y) {
    return x && y ? OP2("Add", x, y) : x ? x : y;
}

struct bnr_value *bnr__spell_activation(struct bnr_build *b, const struct bnr_node *n,
                                        struct bnr_value *x, const struct bnr_value *like,
                                        const float *p) {
    static const char *const plain[] = {"Relu", "Tanh", "Sigmoid", "HardSwish", "Softplus", "Softsign"};
    const char *name = bnr__attr_string(n, "activation", "");
    for (size_t i = 0; i < BNR_COUNT(plain); i++)
        if (strcmp(name, plain[i]) == 0)
            return OP1(plain[i], x);
    if (name[0] == '\0')
        return x;
    if (strcmp(name, "LeakyRelu") == 0 || strcmp(name, "Elu") == 0 ||
        strcmp(name, "ThresholdedRelu") == 0)
        return bnr__build_float(b, OP1(name, x), "alpha", p[0]);
    if (strcmp(name, "HardSigmoid") == 0)
        return bnr__build_float(b, bnr__build_float(b, OP1(name, x), "alpha", p[0]), "beta", p[1]);
    if (strcmp(name, "Clip") == 0)
        return OP3("Clip", x, bnr__build_scalar(b, like, (double)p[0]),
                   bnr__build_scalar(b, like, (double)p[1]));
    bnr__build_fail(b, BNR_UNSUPPORTED, "unknown activation '%s'", name);
    return NULL;
}

struct bnr_value *bnr__spell_dequantized(struct bnr_build *b, const struct bnr_node *n,
                                         struct bnr_value *const *in, int i) {
    struct bnr_value *zero = bnr__spell_in(n, in, i + 2);
    return zero ? OP3("DequantizeLinear", in[i], in[i + 1], zero)
                : OP2("DequantizeLinear", in[i], in[i + 1]);
}

struct bnr_value *bnr__spell_quantized(struct bnr_build *b, const struct bnr_node *n,
                                       struct bnr_value *const *in, int i, struct bnr_value *x,
                                       struct bnr_value *like) {
    struct bnr_value *zero = bnr__spell_in(n, in, i + 1);
    if (!zero)
        zero = OP2("CastLike", OP2("Squeeze", INTS(0), INTS(0)), like);
    return OP3("QuantizeLinear", x, in[i], zero);
}

struct bnr_value *bnr__spell_channels(struct bnr_build *b, struct bnr_value *x, int rank, bool first) {
    int64_t perm[BNR_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : first ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1);
    return bnr__build_attr_ints(b, OP1("Transpose", x), "perm", perm, (size_t)(rank < 0 ? 0 : rank));
}

struct bnr_value *bnr__spell_product(struct bnr_build *b, const struct bnr_spell_product *p) {
    struct bnr_value *in[] = {p->a, p->b, p->a_zero, p->b_zero};
    struct bnr_node *product = bnr__build_node(b, "MatMulInteger", 4, in, 1);
    if (!product)
        return NULL;
    struct bnr_value *y = OP2("CastLike", product->out[0], p->a_scale);
    return bnr__spell_add(b, OP2("Mul", y, OP2("Mul", p->a_scale, p->b_scale)), p->bias);
}

struct bnr_value *bnr__spell_qlinear_pool(struct bnr_build *b, const struct bnr_node *n,
                                          struct bnr_value *const *in, const char *op) {
    struct bnr_value *x = bnr__spell_dequantized(b, n, in, 0);
    const bool last = bnr__attr_int(n, "channels_last", 0) != 0;
    const int rank = last ? bnr__build_rank(b, in[0]) : 0;
    if (last)
        x = bnr__spell_channels(b, x, rank, true);
    struct bnr_node *pool = bnr__build_node(b, op, 1, &x, 1);
    bnr__build_copy_attrs(b, pool, n);
    if (!pool)
        return NULL;
    bnr__node_remove_attr(pool, "channels_last");
    x = last ? bnr__spell_channels(b, pool->out[0], rank, false) : pool->out[0];
    return bnr__spell_quantized(b, n, in, 3, x, in[0]);
}

struct bnr_value *bnr__spell_fill_shape(struct bnr_build *b, const struct bnr_node *n,
                                        struct bnr_value *const *in) {
    size_t count;
    const bool given = bnr__spell_in(n, in, 0) != NULL;
    const int64_t *v = bnr__attr_ints(n, given ? "extra_shape" : "shape", &count);
    if (count > BNR_MAX_RANK) {
        bnr__build_fail(b, BNR_UNSUPPORTED, "%zu dims, at most %d", count, BNR_MAX_RANK);
        return NULL;
    }
    struct bnr_value *more = bnr__build_ints(b, v, (int)count), *first;
    if (!given)
        return more;
    if (bnr__attr_int(n, "input_as_shape", 0) != 0)
        first = bnr__build_int(b, OP1("Cast", in[0]), "to", BNR_INT64);
    else
        first = bnr__build_shape(b, in[0]);
    return count == 0 ? first : bnr__build_int(b, OP2("Concat", first, more), "axis", 0);
}

// ---- attention ----------------------------------------------------------------------------------

struct bnr_value *bnr__spell_heads(struct bnr_build *b, struct bnr_value *x, int64_t heads) {
    struct bnr_value *split = OP2("Reshape", x, INTS(0, 0, heads, -1));
    return bnr__build_attr_ints(b, OP1("Transpose", split), "perm", (const int64_t[]){0, 2, 1, 3}, 4);
}

static struct bnr_value *dim_of(struct bnr_build *b, struct bnr_value *x, int axis) {
    return OP2("Gather", bnr__build_shape(b, x), INTS(axis)); // [1]
}

static struct bnr_value *number_of(struct bnr_build *b, struct bnr_value *one) {
    return OP2("Squeeze", one, INTS(0));
}

// Lengths [batch], or ends and starts [2 * batch], as a mask [batch, keys] of int64.
static struct bnr_value *mask_of_lengths(struct bnr_build *b, const struct bnr_spell_attention *p,
                                         struct bnr_value *keys) {
    const struct bnr_dim count = p->mask->info->type.shape.dims[0];
    const struct bnr_shape *batch_of = &p->batch_of->info->type.shape;
    const struct bnr_dim batch = batch_of->rank > 0 ? batch_of->dims[0] : bnr__dim_unknown();
    if (!bnr__dim_equal(count, batch) && (count.n < 0 || batch.n < 0)) {
        b->later = true;
        bnr__build_fail(b, BNR_UNSUPPORTED, "the batch size is not known");
        return NULL;
    }
    if (!bnr__dim_equal(count, batch) && count.n != 2 * batch.n) {
        bnr__build_fail(b, BNR_UNSUPPORTED,
                        "a mask of %lld values for a batch of %lld, expected that or twice as many",
                        (long long)count.n, (long long)batch.n);
        return NULL;
    }
    struct bnr_value *zero = number_of(b, INTS(0)), *one = number_of(b, INTS(1));
    struct bnr_value *at = OP3("Range", zero, number_of(b, keys), one);
    struct bnr_value *ends = bnr__build_int(b, OP1("Cast", p->mask), "to", BNR_INT64);
    struct bnr_value *starts = NULL;
    if (!bnr__dim_equal(count, batch)) {
        starts = OP3("Slice", ends, INTS(batch.n), INTS(2 * batch.n));
        ends = OP3("Slice", ends, INTS(0), INTS(batch.n));
    }
    struct bnr_value *mask = OP2("Less", at, OP2("Unsqueeze", ends, INTS(1)));
    if (starts)
        mask = OP2("And", mask, OP2("GreaterOrEqual", at, OP2("Unsqueeze", starts, INTS(1))));
    return bnr__build_int(b, OP1("Cast", mask), "to", BNR_INT64);
}

// What is added to the scores: mask_filter_value where the mask is 0; [batch, 1, 1 or queries, keys].
static struct bnr_value *additive_mask(struct bnr_build *b, const struct bnr_node *n,
                                       const struct bnr_spell_attention *p, struct bnr_value *keys) {
    struct bnr_value *mask = p->mask;
    const int rank = bnr__build_rank(b, mask);
    const double filter = (double)bnr__attr_float(n, "mask_filter_value", -10000.0f);
    if (b->status != BNR_OK)
        return NULL;
    if (rank < 1 || rank > 3) {
        bnr__build_fail(b, BNR_UNSUPPORTED, "a mask of rank %d, expected 1 to 3", rank);
        return NULL;
    }
    if (rank == 1)
        mask = mask_of_lengths(b, p, keys);
    mask = rank == 3 ? OP2("Unsqueeze", mask, INTS(1)) : OP2("Unsqueeze", mask, INTS(1, 2));
    struct bnr_value *hidden = OP2("Sub", INTS(1), bnr__build_int(b, OP1("Cast", mask), "to", BNR_INT64));
    return OP2("Mul", OP2("CastLike", hidden, p->q), bnr__build_scalar(b, p->like, filter));
}

struct bnr_value *bnr__spell_attention(struct bnr_build *b, const struct bnr_node *n,
                                       const struct bnr_spell_attention *p, struct bnr_value **key,
                                       struct bnr_value **value) {
    struct bnr_value *keys = dim_of(b, p->k, 2), *mask = p->bias;
    if (p->past_key)
        keys = OP2("Add", keys, dim_of(b, p->past_key, 2));
    if (p->mask)
        mask = bnr__spell_add(b, mask, additive_mask(b, n, p, keys));
    struct bnr_value *in[] = {p->q, p->k, p->v, mask, p->past_key, p->past_value};
    struct bnr_node *attention = bnr__build_node(b, "Attention", 6, in, 3);
    if (!attention)
        return NULL;
    struct bnr_value *y = attention->out[0];
    *key = attention->out[1];
    *value = attention->out[2];
    if (bnr__attr_int(n, "unidirectional", 0) != 0)
        bnr__build_int(b, y, "is_causal", 1);
    const float scale = bnr__attr_float(n, "scale", 0);
    if (scale != 0)
        bnr__build_float(b, y, "scale", scale);
    y = bnr__build_attr_ints(b, OP1("Transpose", y), "perm", (const int64_t[]){0, 2, 1, 3}, 4);
    return OP2("Reshape", y, INTS(0, 0, -1));
}

static struct bnr_value *part_of_past(struct bnr_build *b, struct bnr_value *past, int64_t which) {
    return past ? OP2("Gather", past, number_of(b, INTS(which))) : NULL;
}

struct bnr_value *bnr__spell_self_attention(struct bnr_build *b, const struct bnr_node *n,
                                            struct bnr_value *joined, struct bnr_value *past,
                                            const struct bnr_spell_attention *p,
                                            struct bnr_value **present) {
    size_t n_sizes;
    const int64_t heads = bnr__attr_int(n, "num_heads", 0);
    const int64_t *sizes = bnr__attr_ints(n, "qkv_hidden_sizes", &n_sizes);
    if (heads < 1 || (n_sizes != 0 && n_sizes != 3) || bnr__attr_int(n, "do_rotary", 0) != 0 ||
        bnr__attr_int(n, "past_present_share_buffer", 0) != 0) {
        bnr__build_fail(b, BNR_UNSUPPORTED,
                        "num_heads %lld, %zu qkv_hidden_sizes, do_rotary or past_present_share_buffer",
                        (long long)heads, n_sizes);
        return NULL;
    }
    struct bnr_value *in[] = {joined, n_sizes ? bnr__build_ints(b, sizes, 3) : NULL};
    struct bnr_node *split = bnr__build_node(b, "Split", n_sizes ? 2 : 1, in, 3);
    if (!split)
        return NULL;
    bnr__build_int(b, split->out[0], "axis", -1);
    if (n_sizes == 0)
        bnr__build_int(b, split->out[0], "num_outputs", 3);
    struct bnr_spell_attention all = *p;
    all.q = bnr__spell_heads(b, split->out[0], heads);
    all.k = bnr__spell_heads(b, split->out[1], heads);
    all.v = bnr__spell_heads(b, split->out[2], heads);
    all.past_key = part_of_past(b, past, 0);
    all.past_value = part_of_past(b, past, 1);
    struct bnr_value *key, *value, *y = bnr__spell_attention(b, n, &all, &key, &value);
    if (present && y)
        *present = bnr__build_int(
            b, OP2("Concat", OP2("Unsqueeze", key, INTS(0)), OP2("Unsqueeze", value, INTS(0))), "axis",
            0);
    return y;
}
