// SPDX-License-Identifier: Apache-2.0
// MatMulInteger and QLinearMatMul by gemm_i16 in matmul_f32. A becomes pairs row by row; B as well,
// packed when the plan is made where it is constant.
#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/matmul_f32.h"
#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/matmul.h"
#include "runtime/ops/lib/prepare_window.h"
#include "runtime/ops/lib/quant_kernel.h"

int bnr__quant_zero(const struct bnr_tensor *t, size_t i) {
    if (!t)
        return 0;
    i = t->numel == 1 ? 0 : i;
    return t->dtype == BNR_INT8 ? t->i8[i] : t->u8[i];
}

float bnr__quant_scale(const struct bnr_tensor *t, size_t i) {
    return t->f32[t->numel == 1 ? 0 : i];
}

struct bnr_requantize bnr__quant_requantize(const struct bnr_args *a,
                                            const struct bnr_quant_output *o, size_t channel) {
    const struct bnr_tensor *zero = a->in[o->y_zero];
    const struct bnr_tensor *bias = o->bias < 0 ? NULL : bnr__in(a, o->bias);
    const float product =
        bnr__quant_scale(a->in[o->a_scale], 0) * bnr__quant_scale(a->in[o->b_scale], channel);
    struct bnr_requantize q = {.factor = product / bnr__quant_scale(a->in[o->y_scale], 0),
                               .bias = bias ? bias->i32[channel] : 0,
                               .zero = bnr__quant_zero(zero, 0)};
    q.low = (zero->dtype == BNR_INT8 ? INT8_MIN : 0) - q.zero;
    q.high = (zero->dtype == BNR_INT8 ? INT8_MAX : UINT8_MAX) - q.zero;
    return q;
}

bool bnr__quant_scales_fit(const struct bnr_prepare *cx, const struct bnr_quant_output *o) {
    return cx->in[o->a_scale]->type.dtype == BNR_FLOAT &&
           cx->in[o->b_scale]->type.dtype == BNR_FLOAT &&
           cx->in[o->y_scale]->type.dtype == BNR_FLOAT;
}

// ---- a run --------------------------------------------------------------------------------------

static const struct bnr_quant_output scales = {
    .a_scale = 1, .b_scale = 4, .y_scale = 6, .y_zero = 7, .bias = -1};

enum { ROWS = 8 }; // of pairs, or of results, of one task

struct state {
    struct bnr_matmul_f32 m;
    struct bnr_gemm_f32 gemm;
    const struct bnr_gemm_i16_kernels *kernels;
    int a, b, a_zero, b_zero; // inputs
    bool requantizes;
    size_t k, pairs;         // K of the model, and pairs of it
    size_t rows, b_matrices; // of all of A; matrices of B
    // In scratch: pairs of A, of a B that is not packed; int32 results, factors of columns
    size_t at_a, at_b, at_y, at_factors;
};

struct job {
    const struct bnr_args *a;
    const struct state *st;
    int zero;
    bool is_signed;
};

static void widen_rows(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct state *st = j->st;
    int16_t *dst = (int16_t *)((char *)j->a->scratch + st->at_a);
    for (size_t i = begin; i < end; i++) {
        int16_t *row = dst + i * 2 * st->pairs;
        st->kernels->widen(row, j->a->in[st->a]->u8 + i * st->k, st->k, j->zero, j->is_signed);
        if (st->k % 2)
            row[st->k] = 0;
    }
}

// Pairs of the rows 2 * begin on of all matrices of B.
static void pair_rows(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct state *st = j->st;
    const size_t n = st->m.s.n;
    int16_t *dst = (int16_t *)((char *)j->a->scratch + st->at_b);
    for (size_t i = begin; i < end; i++) {
        const size_t row = i % st->pairs * 2;
        const uint8_t *src = j->a->in[st->b]->u8 + (i / st->pairs * st->k + row) * n;
        st->kernels->pairs(dst + i * 2 * n, src, row + 1 < st->k ? src + n : NULL, n, j->zero,
                           j->is_signed);
    }
}

struct packing {
    const struct state *st;
    int zero;
};

static void pack_constant(void *dst, const struct bnr_tensor *t, void *arg) {
    const struct packing *p = arg;
    const struct state *st = p->st;
    const size_t n = st->m.s.n, nr = st->gemm.nr;
    int16_t *to = dst;
    for (size_t col = 0; col < n; col += nr)
        for (size_t i = 0; i < st->pairs; i++, to += 2 * nr) {
            const size_t cols = min_size(nr, n - col);
            const uint8_t *src = t->u8 + 2 * i * n + col;
            st->kernels->pairs(to, src, 2 * i + 1 < st->k ? src + n : NULL, cols, p->zero,
                               t->dtype == BNR_INT8);
            memset(to + 2 * cols, 0, (nr - cols) * 2 * sizeof *to);
        }
}

static void requantize_rows(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct state *st = j->st;
    const size_t n = st->m.s.n;
    const int32_t *src = (const int32_t *)((const char *)j->a->scratch + st->at_y);
    struct bnr_requantize q = bnr__quant_requantize(j->a, &scales, 0);
    if (j->a->in[scales.b_scale]->numel > 1)
        q.factors = (const float *)((const char *)j->a->scratch + st->at_factors);
    for (size_t i = begin; i < end; i++)
        st->kernels->requantize(j->a->out[0]->u8 + i * n, src + i * n, n, &q);
}

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    struct job j = {.a = a, .st = st, .zero = bnr__quant_zero(bnr__in(a, st->a_zero), 0)};
    j.is_signed = a->in[st->a]->dtype == BNR_INT8;
    bnr__parallel_for(a->pool, st->rows, ROWS, widen_rows, &j);
    if (!st->m.s.constant_b) {
        j.zero = bnr__quant_zero(bnr__in(a, st->b_zero), 0);
        j.is_signed = a->in[st->b]->dtype == BNR_INT8;
        bnr__parallel_for(a->pool, st->b_matrices * st->pairs, ROWS, pair_rows, &j);
    }
    const struct bnr_matmul_f32_run r = {
        .c = &st->m,
        .dst = st->requantizes ? (float *)((char *)a->scratch + st->at_y) : a->out[0]->data,
        .a = (const float *)((const char *)a->scratch + st->at_a),
        .b = (const float *)((const char *)a->scratch + st->at_b),
        .scratch = a->scratch};
    bnr__matmul_f32_run(&r, a->pool);
    float *factors = (float *)((char *)a->scratch + st->at_factors);
    for (size_t c = 0; st->requantizes && c < st->m.s.n; c++)
        factors[c] = bnr__quant_requantize(a, &scales, c).factor;
    if (st->requantizes)
        bnr__parallel_for(a->pool, st->m.s.count * st->m.s.m, ROWS, requantize_rows, &j);
}

// ---- the plan -----------------------------------------------------------------------------------

// One zero point for all: a constant's elements may be equal.
static bool is_one(const struct bnr_prepare *cx, int i) {
    const struct bnr_info *info = bnr__prepare_in(cx, i);
    size_t n;
    int64_t dims[BNR_MAX_RANK];
    if (!info)
        return true;
    bnr__shape_numbers(&info->type.shape, dims);
    n = 1;
    for (int d = 0; d < info->type.shape.rank; d++)
        n *= (size_t)dims[d];
    bool equal = n == 1 || (info->tensor && n > 0);
    for (size_t k = 1; k < n && equal; k++)
        equal = info->tensor->u8[k] == info->tensor->u8[0];
    return equal;
}

// A scale of one element, or (columns) one a column.
static bool scale_fits(const struct bnr_prepare *cx, int i, size_t columns) {
    const struct bnr_shape *s = &cx->in[i]->type.shape;
    const bool last = s->rank == 1 && (size_t)s->dims[0].n == columns;
    return s->rank == 0 || (s->rank == 1 && s->dims[0].n == 1) || last;
}

static void header_of(struct bnr_tensor *t, const struct bnr_info *info) {
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(&info->type.shape, dims);
    *t = (struct bnr_tensor){.kind = BNR_KIND_TENSOR};
    bnr__tensor_set(t, BNR_UINT8, info->type.shape.rank, dims, NULL);
}

// Room for n 32-bit elements.
static bool reserve(size_t *total, size_t *at, size_t n) {
    size_t bytes;
    *at = *total;
    return bnr__size_mul(n, 4, &bytes) && bytes <= BNR_MAX_SCRATCH &&
           bnr__size_add(*total, (bytes + 63) / 64 * 64, total);
}

static enum bnr_status set_operands(struct bnr_prepare *cx, struct state *st,
                                    const struct bnr_matmul_shape *s, size_t b_numel) {
    struct bnr_product_shape shape = {
        .m = s->m, .n = s->n, .k = st->pairs, .count = s->count, .gemm = &st->gemm};
    shape.constant_b = cx->in[st->b]->tensor && b_numel == s->k * s->n;
    if (shape.constant_b && st->rows == s->count * s->m) {
        shape.m = st->rows;
        shape.count = 1;
    } else {
        size_t *a_at = BNR_NEW_ARRAY(cx->arena, s->count, size_t);
        size_t *b_at = BNR_NEW_ARRAY(cx->arena, s->count, size_t);
        if (!a_at || !b_at)
            return bnr__no_memory(cx->err);
        for (size_t i = 0; i < s->count; i++) {
            bnr__matmul_operands(s, i, &a_at[i], &b_at[i]);
            a_at[i] *= s->m * st->pairs;
            b_at[i] *= st->pairs * s->n;
        }
        shape.a_at = a_at;
        shape.b_at = b_at;
        shape.constant_b = false;
    }
    if (!bnr__matmul_f32_init(&st->m, &shape, cx->cpu, cx->threads))
        st->pairs = 0;
    return BNR_OK;
}

enum bnr_status bnr__prepare_quant_matmul(struct bnr_prepare *cx) {
    const bool scaled = cx->node->n_in == 8; // QLinearMatMul
    struct state *st = BNR_NEW(cx->arena, struct state);
    struct bnr_tensor a, b;
    struct bnr_matmul_shape s;
    if (!st)
        return bnr__no_memory(cx->err);
    st->b = scaled ? 3 : 1;
    st->a_zero = 2;
    st->b_zero = scaled ? 5 : 3;
    st->requantizes = scaled;
    header_of(&a, cx->in[st->a]);
    header_of(&b, cx->in[st->b]);
    bnr__matmul_shape(&a, &b, &s);
    st->k = s.k;
    st->pairs = ceil_div(s.k, 2);
    if (s.m == 0 || s.n == 0 || s.k == 0 || s.count == 0 || !is_one(cx, st->a_zero) ||
        !is_one(cx, st->b_zero))
        return BNR_OK;
    if (scaled &&
        (s.k > BNR_QUANT_PRODUCTS || !bnr__quant_scales_fit(cx, &scales) || !scale_fits(cx, 1, 1) ||
         !scale_fits(cx, 4, s.n) || cx->in[0]->type.dtype > BNR_INT8 ||
         cx->in[3]->type.dtype > BNR_INT8 || cx->in[7]->type.dtype > BNR_INT8))
        return BNR_OK;
    st->rows = a.numel / s.k;
    st->b_matrices = b.numel / (s.k * s.n);
    st->kernels = bnr__gemm_i16_select(cx->cpu);
    st->gemm = bnr__gemm_i16_as_f32(st->kernels, cx->cpu);
    BNR_TRY(set_operands(cx, st, &s, b.numel));
    size_t total = st->m.scratch_bytes;
    const bool packed = st->m.s.constant_b;
    if (st->pairs == 0 || !reserve(&total, &st->at_a, st->rows * st->pairs) ||
        !reserve(&total, &st->at_b, packed ? 0 : st->b_matrices * st->pairs * s.n) ||
        !reserve(&total, &st->at_y, scaled ? s.count * s.m * s.n : 0) ||
        !reserve(&total, &st->at_factors, scaled ? s.n : 0))
        return BNR_OK;
    if (packed) {
        const struct bnr_info *zero = st->b_zero < cx->node->n_in ? cx->in[st->b_zero] : NULL;
        if (zero && !zero->tensor)
            return BNR_OK;
        struct packing p = {st, bnr__quant_zero(zero ? zero->tensor : NULL, 0)};
        st->m.packed_b = bnr__pack_get(cx, cx->in[st->b]->tensor, "matmul_i16",
                                       (uint64_t)(uint8_t)p.zero << 32 | st->gemm.nr,
                                       st->m.packed_bytes, pack_constant, &p);
        if (!st->m.packed_b)
            return bnr__no_memory(cx->err);
    }
    cx->scratch = total;
    cx->kernel = bnr__arena_printf(cx->arena, "matmul_i16_%s", st->gemm.isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
