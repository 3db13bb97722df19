// SPDX-License-Identifier: Apache-2.0
// RotaryEmbedding (ai.onnx 23): pairs of elements of each head, (i, i + half) or interleaved (2i,
// 2i + 1), are rotated by the angle of the token's position. X is [batch, heads, length, size] or
// [batch, length, heads * size].
#include "runtime/ops/lib/compute.h"

enum { X, COS, SIN, POSITION };

struct geometry {
    bool rank3, interleaved;
    int64_t batch, heads, length, size, half;
};

// From X's dims, all known.
static enum bnr_status read_geometry(const struct bnr_node *n, int rank, const int64_t *dims,
                                     struct geometry *g, struct bnr_error *err) {
    const int64_t heads = bnr__attr_int(n, "num_heads", 0),
                  part = bnr__attr_int(n, "rotary_embedding_dim", 0);
    *g = (struct geometry){.rank3 = rank == 3, .batch = dims[0]};
    g->interleaved = bnr__attr_int(n, "interleaved", 0) != 0;
    if (g->rank3 && (heads < 1 || dims[2] % heads != 0))
        return bnr__op_fail(n, err, BNR_SHAPE, "a last dim of %lld does not divide into %lld heads",
                            (long long)dims[2], (long long)heads);
    g->heads = g->rank3 ? heads : dims[1];
    g->length = dims[g->rank3 ? 1 : 2];
    g->size = g->rank3 ? dims[2] / heads : dims[3];
    const int64_t rotated = part == 0 ? g->size : part;
    if (rotated < 0 || rotated > g->size || rotated % 2 != 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "%lld elements of heads of %lld to rotate",
                            (long long)rotated, (long long)g->size);
    g->half = rotated / 2;
    return BNR_OK;
}

static enum bnr_status check_cache(struct bnr_infer *cx, int i, const struct geometry *g) {
    const struct bnr_shape *s = &bnr__infer_in(cx, i)->shape;
    const bool by_position = bnr__infer_in(cx, POSITION) != NULL;
    BNR_TRY(bnr__infer_rank(cx, i, by_position ? 2 : 3, by_position ? 2 : 3));
    if (s->rank < 0)
        return BNR_OK;
    BNR_TRY(bnr__infer_dims_agree(cx, "the cache's last dim and the pairs to rotate",
                                  s->dims[s->rank - 1], bnr__dim_of(g->half), NULL));
    if (by_position)
        return BNR_OK;
    BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", s->dims[0], bnr__dim_of(g->batch), NULL));
    return bnr__infer_dims_agree(cx, "lengths", s->dims[1], bnr__dim_of(g->length), NULL);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, X), *p = bnr__infer_in(cx, POSITION);
    BNR_TRY(bnr__infer_tensors(cx, X, SIN, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, POSITION, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_rank(cx, X, 3, 4));
    BNR_TRY(bnr__infer_rank(cx, POSITION, 2, 2));
    if (x->shape.rank >= 0 && bnr__shape_known(&x->shape)) {
        int64_t dims[BNR_MAX_RANK];
        struct geometry g;
        bnr__shape_numbers(&x->shape, dims);
        BNR_TRY(read_geometry(cx->node, x->shape.rank, dims, &g, cx->err));
        BNR_TRY(check_cache(cx, COS, &g));
        BNR_TRY(check_cache(cx, SIN, &g));
        if (p && p->shape.rank == 2) {
            BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", p->shape.dims[0], bnr__dim_of(g.batch),
                                          NULL));
            BNR_TRY(bnr__infer_dims_agree(cx, "lengths", p->shape.dims[1], bnr__dim_of(g.length),
                                          NULL));
        }
    }
    return bnr__infer_same(cx);
}

// Row of the caches for token i of sequence b.
static enum bnr_status cache_row(const struct bnr_args *a, const struct geometry *g, int64_t b,
                                 int64_t i, int64_t *row) {
    const struct bnr_tensor *p = bnr__in(a, POSITION);
    const int64_t rows =
        a->in[COS]->dims[0] < a->in[SIN]->dims[0] ? a->in[COS]->dims[0] : a->in[SIN]->dims[0];
    *row = b * g->length + i;
    if (!p)
        return BNR_OK;
    const int64_t at = p->i64[*row];
    *row = at < 0 ? at + rows : at;
    if (*row < 0 || *row >= rows)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "position %lld is outside the cache of %lld", (long long)at,
                            (long long)rows);
    return BNR_OK;
}

static void rotate(const struct geometry *g, const double *c, const double *s, double *v) {
    for (int64_t k = 0; k < g->half; k++) {
        double *one = v + (g->interleaved ? 2 * k : k);
        double *two = v + (g->interleaved ? 2 * k + 1 : k + g->half);
        const double real = c[k] * *one - s[k] * *two, imaginary = s[k] * *one + c[k] * *two;
        *one = real;
        *two = imaginary;
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[X];
    struct geometry g;
    struct bnr_tensor *y;
    BNR_TRY(read_geometry(a->node, x->rank, x->dims, &g, a->err));
    BNR_TRY(bnr__out_like(a, 0, x, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const double *c = bnr__all_f64(a, a->in[COS]), *s = bnr__all_f64(a, a->in[SIN]);
    double *v = bnr__temp_f64(a, (size_t)g.size);
    if (!c || !s || !v)
        return BNR_NO_MEMORY;
    for (int64_t k = 0; k < g.batch * g.heads * g.length; k++) {
        // In memory order: [batch, length, heads] or [batch, heads, length].
        const int64_t token = g.rank3 ? k / g.heads % g.length : k % g.length;
        int64_t row;
        BNR_TRY(cache_row(a, &g, k / (g.heads * g.length), token, &row));
        bnr__load_f64(v, x->dtype, bnr__at(x, (size_t)(k * g.size)), (size_t)g.size);
        rotate(&g, c + row * g.half, s + row * g.half, v);
        bnr__store_f64(y->dtype, bnr__at_mut(y, (size_t)(k * g.size)), v, (size_t)g.size);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(rotary_embedding) = {
    .domain = "",
    .name = "RotaryEmbedding",
    .since = {23},
    .min_in = 3,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = "interleaved:i num_heads:i rotary_embedding_dim:i",
    .infer = infer,
    .ref = ref,
};
