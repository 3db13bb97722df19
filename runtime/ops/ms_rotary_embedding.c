// SPDX-License-Identifier: Apache-2.0
// RotaryEmbedding (com.microsoft): the standard operator with the caches behind the positions, which may
// also be the first one only.
#include "runtime/ops/lib/spell.h"

enum { X, IDS, COS, SIN };

// [batch, length]: the positions, or the one in front plus 0, 1, ...
static struct bnr_value *positions(struct bnr_build *b, struct bnr_value *x, struct bnr_value *ids,
                                   int rank) {
    const int ids_rank = bnr__build_rank(b, ids);
    if (ids_rank != 1)
        return ids;
    struct bnr_value *shape = bnr__build_shape(b, x), *zero = OP2("Squeeze", INTS(0), INTS(0));
    struct bnr_value *batch = OP2("Gather", shape, INTS(0));
    struct bnr_value *length = OP2("Gather", shape, INTS(rank == 4 ? 2 : 1));
    struct bnr_value *steps =
        OP3("Range", zero, OP2("Squeeze", length, INTS(0)), OP2("Squeeze", INTS(1), INTS(0)));
    struct bnr_value *all = bnr__build_int(b, OP2("Concat", batch, length), "axis", 0);
    return OP2("Expand", OP2("Add", steps, ids), all);
}

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    const int rank = bnr__build_rank(b, in[X]);
    int64_t heads = bnr__attr_int(n, "num_heads", 0);
    if (bnr__attr_int(n, "is_packed_batching", 0) != 0)
        bnr__build_fail(b, BNR_UNSUPPORTED, "is_packed_batching is not supported");
    if (rank == 3 && heads == 0) { // by the caches' size
        const struct bnr_dim hidden = in[X]->info->type.shape.dims[2];
        const struct bnr_shape *cache = &in[COS]->info->type.shape;
        if (hidden.n < 0 || cache->rank != 2 || cache->dims[1].n < 1) {
            b->later = true;
            bnr__build_fail(b, BNR_UNSUPPORTED, "the number of heads is not known");
            return;
        }
        heads = hidden.n / (2 * cache->dims[1].n);
    }
    struct bnr_value *parts[] = {in[X], in[COS], in[SIN], positions(b, in[X], in[IDS], rank)};
    struct bnr_node *y = bnr__build_node(b, "RotaryEmbedding", 4, parts, 1);
    if (!y)
        return;
    out[0] = bnr__build_int(b, y->out[0], "interleaved", bnr__attr_int(n, "interleaved", 0));
    bnr__build_int(b, out[0], "rotary_embedding_dim", bnr__attr_int(n, "rotary_embedding_dim", 0));
    if (rank == 3)
        bnr__build_int(b, out[0], "num_heads", heads);
}

BNR_DEFINE_OP(ms_rotary_embedding) = {
    BNR_SPELLED("RotaryEmbedding"),
    .min_in = 4,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = "interleaved:i is_packed_batching:i num_heads:i rotary_embedding_dim:i scale:f",
};
