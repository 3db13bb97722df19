// SPDX-License-Identifier: Apache-2.0
// MatMulNBits (com.microsoft): A [..., K] times the transpose of B [N, K], whose rows are blocks of
// `block_size` unsigned integers of `bits` bits (2 to 8, the lowest bits first) with a scale and a zero point
// each; plus bias.
#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"

enum { A, B, SCALES, ZEROS, GROUPS, BIAS };
enum { GRAIN = 16 }; // columns of a piece of work

struct form {
    int64_t k, n, bits, block, blocks; // blocks of a row
};

static enum bnr_status get_form(const struct bnr_node *n, struct bnr_error *err, struct form *f) {
    *f = (struct form){.k = bnr__attr_int(n, "K", 0),
                       .n = bnr__attr_int(n, "N", 0),
                       .bits = bnr__attr_int(n, "bits", 4),
                       .block = bnr__attr_int(n, "block_size", 0)};
    if (f->k < 1 || f->k > INT32_MAX || f->n < 1 || f->n > INT32_MAX || f->bits < 2 || f->bits > 8 ||
        f->block < 8 || f->block > 1 << 20 || f->block % 8 != 0)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "K %lld, N %lld, bits %lld, block_size %lld: out of range or no multiple of 8",
                            (long long)f->k, (long long)f->n, (long long)f->bits, (long long)f->block);
    f->blocks = (f->k + f->block - 1) / f->block;
    return BNR_OK;
}

// Input i, where present and known, has `count` elements.
static enum bnr_status check_count(struct bnr_infer *cx, int i, int64_t count) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    int64_t dims[BNR_MAX_RANK];
    size_t numel;
    if (!t || t->shape.rank < 0 || !bnr__shape_known(&t->shape))
        return BNR_OK;
    bnr__shape_numbers(&t->shape, dims);
    BNR_TRY(bnr__shape_numel(dims, t->shape.rank, "an input of MatMulNBits", &numel, cx->err));
    if (numel == (size_t)count)
        return BNR_OK;
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input %d has %zu elements, expected %lld", i,
                        numel, (long long)count);
}

static int64_t zero_bytes(const struct form *f) { // of a row
    return (f->blocks * f->bits + 7) / 8;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct form f;
    BNR_TRY(get_form(cx->node, cx->err, &f));
    BNR_TRY(bnr__infer_types(cx, A, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, B, BNR_TYPE(UINT8)));
    BNR_TRY(bnr__infer_types(cx, SCALES, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, ZEROS, BNR_TYPES_FLOAT | BNR_TYPE(UINT8)));
    BNR_TRY(bnr__infer_types(cx, GROUPS, BNR_TYPE(INT32)));
    BNR_TRY(bnr__infer_types(cx, BIAS, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, A, 1, BNR_MAX_RANK));
    struct bnr_shape y = cx->in[A]->type.shape;
    if (y.rank > 0) {
        BNR_TRY(bnr__infer_dims_agree(cx, "last dim and K", y.dims[y.rank - 1], bnr__dim_of(f.k), NULL));
        y.dims[y.rank - 1] = bnr__dim_of(f.n);
    }
    const bool packed = bnr__infer_in_dtype(cx, ZEROS) == BNR_UINT8;
    BNR_TRY(check_count(cx, B, f.n * f.blocks * (f.block / 8 * f.bits)));
    BNR_TRY(check_count(cx, SCALES, f.n * f.blocks));
    if (bnr__infer_in_dtype(cx, ZEROS) != BNR_UNDEFINED)
        BNR_TRY(check_count(cx, ZEROS, f.n * (packed ? zero_bytes(&f) : f.blocks)));
    BNR_TRY(check_count(cx, BIAS, f.n));
    const struct bnr_type *g = bnr__infer_in(cx, GROUPS);
    if (g && g->shape.rank == 1 && g->shape.dims[0].n >= 0 && g->shape.dims[0].n < f.k)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "g_idx has %lld elements, expected %lld",
                            (long long)g->shape.dims[0].n, (long long)f.k);
    bnr__infer_set(cx, 0, bnr__infer_in_dtype(cx, A), &y);
    return BNR_OK;
}

struct job {
    struct form f;
    const double *a, *scales, *zeros, *bias; // zeros: NULL where packed or omitted
    const uint8_t *b, *packed;
    const int32_t *groups;
    double *y;
    double *rows; // [pieces, k]: a row for each piece of the work, decoded
    size_t m;
};

// The i-th number of `bits` bits.
static unsigned bits_at(const uint8_t *p, int64_t i, int64_t bits) {
    const int64_t at = i * bits, shift = at % 8;
    unsigned v = p[at / 8] >> shift;
    if (shift + bits > 8)
        v |= (unsigned)p[at / 8 + 1] << (8 - shift);
    return v & ((1u << bits) - 1);
}

static double zero_of(const struct job *j, int64_t row, int64_t block) {
    const struct form *f = &j->f;
    if (j->zeros)
        return j->zeros[row * f->blocks + block];
    return j->packed ? bits_at(j->packed + row * zero_bytes(f), block, f->bits) : 1u << (f->bits - 1);
}

static void columns(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct form *f = &j->f;
    double *row = j->rows + begin / GRAIN * (size_t)f->k;
    for (size_t n = begin; n < end; n++) {
        const uint8_t *b = j->b + (int64_t)n * f->blocks * (f->block / 8 * f->bits);
        for (int64_t k = 0; k < f->k; k++) {
            const int64_t group = j->groups ? j->groups[k] : k / f->block;
            row[k] = (bits_at(b, k, f->bits) - zero_of(j, (int64_t)n, group)) *
                     j->scales[(int64_t)n * f->blocks + group];
        }
        for (size_t m = 0; m < j->m; m++) {
            double sum = j->bias ? j->bias[n] : 0;
            for (int64_t k = 0; k < f->k; k++)
                sum += j->a[(int64_t)m * f->k + k] * row[k];
            j->y[m * (size_t)f->n + n] = sum;
        }
    }
}

static enum bnr_status load(const struct bnr_args *a, struct job *j) {
    const struct bnr_tensor *zeros = bnr__in(a, ZEROS), *groups = bnr__in(a, GROUPS);
    const struct bnr_tensor *bias = bnr__in(a, BIAS);
    j->a = bnr__all_f64(a, a->in[A]);
    j->b = a->in[B]->u8;
    j->scales = bnr__all_f64(a, a->in[SCALES]);
    if (zeros && zeros->dtype == BNR_UINT8)
        j->packed = zeros->u8;
    else
        j->zeros = bnr__all_f64(a, zeros);
    j->bias = bnr__all_f64(a, bias);
    j->groups = groups ? groups->i32 : NULL;
    for (int64_t k = 0; j->groups && k < j->f.k; k++)
        if (j->groups[k] < 0 || j->groups[k] >= j->f.blocks)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "g_idx[%lld] is %d, expected 0 to %lld",
                                (long long)k, j->groups[k], (long long)j->f.blocks - 1);
    if (!j->a || !j->scales || (zeros && !j->packed && !j->zeros) || (bias && !j->bias))
        return BNR_NO_MEMORY;
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[A];
    int64_t dims[BNR_MAX_RANK];
    struct job j = {0};
    BNR_TRY(get_form(a->node, a->err, &j.f));
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == x->rank - 1 ? j.f.n : x->dims[i];
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, dims));
    BNR_TRY(load(a, &j));
    j.m = bnr__dims_product(x->dims, 0, x->rank - 1);
    j.y = bnr__temp_f64(a, a->out[0]->numel);
    j.rows = bnr__temp_f64(a, ((size_t)j.f.n / GRAIN + 1) * (size_t)j.f.k);
    if (!j.y || !j.rows)
        return BNR_NO_MEMORY;
    if (j.m > 0)
        bnr__parallel_for(a->pool, (size_t)j.f.n, GRAIN, columns, &j);
    bnr__store_f64(x->dtype, a->out[0]->data, j.y, a->out[0]->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(ms_matmul_nbits) = {
    .domain = "com.microsoft",
    .name = "MatMulNBits",
    .since = {1},
    .min_in = 3,
    .max_in = 6,
    .min_out = 1,
    .max_out = 1,
    .attrs = "K:i! N:i! accuracy_level:i bits:i block_size:i!",
    .infer = infer,
    .ref = ref,
};
