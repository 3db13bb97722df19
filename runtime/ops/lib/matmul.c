// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/matmul.h"

#include "runtime/ops/lib/compute.h"

enum { BLOCK = 64 };

#define T double
#define U double
#define NAME(x) x##_f64
#define LOAD bnr__load_f64
#include "runtime/ops/lib/matmul_loops.inc"
#undef T
#undef U
#undef NAME
#undef LOAD
#define T int64_t
#define U uint64_t
#define NAME(x) x##_i64
#define LOAD bnr__load_i64
#include "runtime/ops/lib/matmul_loops.inc"
#undef T
#undef U
#undef NAME
#undef LOAD

void bnr__matmul_shape(const struct bnr_tensor *a, const struct bnr_tensor *b,
                       struct bnr_matmul_shape *s) {
    const int ar = a->rank, br = b->rank;
    *s = (struct bnr_matmul_shape){.count = 1};
    s->m = ar == 1 ? 1 : (size_t)a->dims[ar - 2];
    s->k = (size_t)a->dims[ar - 1];
    s->n = br == 1 ? 1 : (size_t)b->dims[br - 1];
    const int ab = ar > 2 ? ar - 2 : 0, bb = br > 2 ? br - 2 : 0;
    s->batch_rank = ab > bb ? ab : bb;
    size_t a_matrices = 1, b_matrices = 1;
    for (int i = s->batch_rank - 1; i >= 0; i--) {
        const int ai = i - (s->batch_rank - ab), bi = i - (s->batch_rank - bb);
        const int64_t ad = ai < 0 ? 1 : a->dims[ai], bd = bi < 0 ? 1 : b->dims[bi];
        s->batch[i] = ad == 1 ? bd : ad;
        s->a_stride[i] = ad == 1 ? 0 : a_matrices;
        s->b_stride[i] = bd == 1 ? 0 : b_matrices;
        a_matrices *= (size_t)ad;
        b_matrices *= (size_t)bd;
        s->count *= (size_t)s->batch[i];
    }
    for (int i = 0; i < s->batch_rank; i++)
        s->dims[s->rank++] = s->batch[i];
    if (ar > 1)
        s->dims[s->rank++] = (int64_t)s->m;
    if (br > 1)
        s->dims[s->rank++] = (int64_t)s->n;
}

void bnr__matmul_operands(const struct bnr_matmul_shape *s, size_t i, size_t *a, size_t *b) {
    *a = *b = 0;
    for (int d = s->batch_rank - 1; d >= 0; d--) {
        const size_t at = i % (size_t)s->batch[d];
        i /= (size_t)s->batch[d];
        *a += at * s->a_stride[d];
        *b += at * s->b_stride[d];
    }
}

static enum bnr_status batch_dim(struct bnr_infer *cx, struct bnr_dim a, struct bnr_dim b,
                                 struct bnr_dim *out) {
    if (a.n >= 0 && a.n != 1 && b.n >= 0 && b.n != 1 && a.n != b.n)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "batch dims %lld and %lld do not broadcast", (long long)a.n,
                            (long long)b.n);
    if (a.n == 1)
        *out = b;
    else if (b.n == 1 || a.n >= 0 || bnr__dim_equal(a, b))
        *out = a;
    else
        *out = b.n >= 0 ? b : (struct bnr_dim){.n = -1};
    return BNR_OK;
}

enum bnr_status bnr__matmul_infer_shape(struct bnr_infer *cx, const struct bnr_shape *a,
                                        const struct bnr_shape *b, struct bnr_shape *y) {
    const struct bnr_dim one = {.n = 1};
    BNR_TRY(bnr__infer_dims_agree(cx, "the inner dims of the product", a->dims[a->rank - 1],
                                  b->dims[b->rank == 1 ? 0 : b->rank - 2], NULL));
    const int ab = a->rank > 2 ? a->rank - 2 : 0, bb = b->rank > 2 ? b->rank - 2 : 0;
    const int batch = ab > bb ? ab : bb;
    y->rank = 0;
    for (int i = 0; i < batch; i++) {
        const int ai = i - (batch - ab), bi = i - (batch - bb);
        BNR_TRY(batch_dim(cx, ai < 0 ? one : a->dims[ai], bi < 0 ? one : b->dims[bi],
                          &y->dims[y->rank++]));
    }
    if (a->rank > 1)
        y->dims[y->rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        y->dims[y->rank++] = b->dims[b->rank - 1];
    return BNR_OK;
}

enum bnr_status bnr__matmul_infer(struct bnr_infer *cx, int ia, int ib, enum bnr_dtype dtype) {
    struct bnr_shape y = bnr__shape_unknown();
    const struct bnr_type *at = bnr__infer_in(cx, ia), *bt = bnr__infer_in(cx, ib);
    BNR_TRY(bnr__infer_rank(cx, ia, 1, BNR_MAX_RANK));
    BNR_TRY(bnr__infer_rank(cx, ib, 1, BNR_MAX_RANK));
    if (at && bt && at->shape.rank >= 0 && bt->shape.rank >= 0)
        BNR_TRY(bnr__matmul_infer_shape(cx, &at->shape, &bt->shape, &y));
    bnr__infer_set(cx, 0, dtype, &y);
    return BNR_OK;
}
