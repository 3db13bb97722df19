// SPDX-License-Identifier: Apache-2.0
// Gemm and MatMul by matmul_f32.
#include "runtime/ops/lib/prepare_matmul.h"

#include <string.h>

#include "graph/turned.h"
#include "runtime/ops/lib/matmul.h"
#include "runtime/ops/lib/prepare.h"

struct packing {
    struct bnr_matmul_f32 m; // B as it lies where it is packed from
    float scale;
};

struct state {
    struct bnr_matmul_f32 m;
    struct packing packing;
    int a, b; // indices into a->in
    struct bnr_step_operands operands;
};

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    bnr__steps_operands(&st->operands, a, operands);
    const struct bnr_matmul_f32_run r = {
        .c = &st->m,
        .dst = a->out[0]->f32,
        .a = a->in[st->a]->f32,
        .b = st->m.s.constant_b ? NULL : a->in[st->b]->f32,
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__matmul_f32_run(&r, a->pool);
}

static bool pack(void *dst, const struct bnr_pack_source *src, size_t part, const void *arg) {
    const struct packing *p = arg;
    const struct bnr_weights_rows rows = {src->elems, src->factors};
    return bnr__matmul_f32_pack_part(&p->m, dst, &rows, part, p->scale);
}

// Everything that the packed form depends on beside the tensor.
static uint64_t pack_variant(const struct bnr_matmul_f32 *m, float scale) {
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    return (uint64_t)bits << 32 | (uint64_t)m->gemm->nr << 1 | m->s.trans_b;
}

// B is read as it is where that is possible and the elements are at hand. False: a size overflows.
static bool init_product(struct bnr_prepare *cx, const struct bnr_product *p, struct state *st) {
    struct bnr_product_shape s = p->shape;
    const void *plain = bnr__matmul_f32_in_place(&s) && p->scale == 1
                            ? bnr__pack_in_place(cx, cx->in[p->b]->tensor)
                            : NULL;
    s.in_place = plain != NULL;
    if (!bnr__matmul_f32_init(&st->m, &s, cx->cpu, cx->threads))
        return false;
    st->m.plain_b = plain;
    return true;
}

static bool pack_product(struct bnr_prepare *cx, const struct bnr_product *p, struct state *st) {
    struct bnr_tensor *b = cx->in[p->b]->tensor;
    struct bnr_matmul_f32 *m = &st->packing.m;
    st->packing = (struct packing){.m = st->m, .scale = p->scale};
    const bool turned = bnr__turned_base(b) != NULL;
    m->s.trans_b ^= turned;
    const struct bnr_matmul_parts parts = bnr__matmul_f32_parts(m);
    const struct bnr_pack_format f = {.key = "matmul_f32",
                                      .variant = pack_variant(&st->m, p->scale),
                                      .size = m->packed_bytes,
                                      .parts = parts.n,
                                      .part_elems = parts.elems,
                                      .turned = turned,
                                      .row_elems = bnr__matmul_f32_row(m),
                                      .pack = pack,
                                      .arg = &st->packing};
    st->m.packed_b = bnr__pack_get_parts(cx, b, &f);
    return st->m.packed_b != NULL;
}

enum bnr_status bnr__prepare_product(struct bnr_prepare *cx, const struct bnr_product *p,
                                     const struct bnr_steps *steps) {
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st)
        return bnr__no_memory(cx->err);
    if (!init_product(cx, p, st))
        return BNR_OK;
    if (p->shape.constant_b && !st->m.s.in_place && !pack_product(cx, p, st))
        return bnr__no_memory(cx->err);
    st->m.e = steps->e;
    st->a = p->a;
    st->b = p->b;
    st->operands = steps->operands;
    cx->scratch = st->m.scratch_bytes;
    cx->fused_taken = steps->taken;
    cx->kernel = bnr__arena_printf(cx->arena, "matmul_f32_%s", st->m.gemm->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}

static bool is_float(const struct bnr_info *info) {
    return info->type.dtype == BNR_FLOAT && info->type.kind == BNR_KIND_TENSOR;
}

static size_t dim(const struct bnr_info *info, int i) {
    return (size_t)info->type.shape.dims[i].n;
}

// ---- Gemm ---------------------------------------------------------------------------------------

enum bnr_status bnr__prepare_gemm(struct bnr_prepare *cx) {
    const struct bnr_node *n = cx->node;
    const bool has_c = n->n_in > 2 && cx->in[2];
    const float alpha = bnr__attr_float(n, "alpha", 1), beta = bnr__attr_float(n, "beta", 1);
    if (!is_float(cx->in[0]) || !is_float(cx->in[1]) || (has_c && beta != 1 && beta != 0))
        return BNR_OK;
    struct bnr_product p = {.a = 0, .b = 1, .scale = alpha, .shape.count = 1};
    p.shape.trans_a = bnr__attr_int(n, "transA", 0) != 0;
    p.shape.trans_b = bnr__attr_int(n, "transB", 0) != 0;
    p.shape.m = dim(cx->in[0], p.shape.trans_a);
    p.shape.k = dim(cx->in[0], !p.shape.trans_a);
    p.shape.n = dim(cx->in[1], !p.shape.trans_b);
    p.shape.constant_b = cx->in[1]->tensor != NULL;
    if (p.shape.m == 0 || p.shape.n == 0 || p.shape.k == 0)
        return BNR_OK;
    struct bnr_steps s;
    const int64_t dims[2] = {(int64_t)p.shape.m, (int64_t)p.shape.n};
    bnr__steps_init(&s, cx, 2, dims, p.shape.n);
    if (alpha != 1 && !p.shape.constant_b)
        return BNR_OK;
    if (has_c && beta != 0 && !bnr__steps_operand(&s, n, BNR_ELTWISE_ADD, 2))
        return BNR_OK;
    bnr__steps_take_members(&s);
    return bnr__prepare_product(cx, &p, &s);
}

// ---- MatMul -------------------------------------------------------------------------------------

// Where the operands of each product start.
static bool find_operands(struct bnr_prepare *cx, const struct bnr_matmul_shape *s,
                          struct bnr_product_shape *out) {
    size_t *a_at = BNR_NEW_ARRAY(cx->arena, s->count, size_t);
    size_t *b_at = BNR_NEW_ARRAY(cx->arena, s->count, size_t);
    if (!a_at || !b_at)
        return false;
    for (size_t i = 0; i < s->count; i++) {
        bnr__matmul_operands(s, i, &a_at[i], &b_at[i]);
        a_at[i] *= s->m * s->k;
        b_at[i] *= s->k * s->n;
    }
    out->a_at = a_at;
    out->b_at = b_at;
    return true;
}

static void header_of(struct bnr_tensor *t, const struct bnr_info *info) {
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(&info->type.shape, dims);
    *t = (struct bnr_tensor){.kind = BNR_KIND_TENSOR};
    bnr__tensor_set(t, BNR_FLOAT, info->type.shape.rank, dims, NULL);
}

// Many products with the same constant B are one with many rows, when A's matrices lie in a row.
static bool is_one_product(const struct bnr_matmul_shape *s, size_t a_numel, size_t b_numel) {
    return b_numel == s->k * s->n && a_numel == s->count * s->m * s->k;
}

enum bnr_status bnr__prepare_matmul(struct bnr_prepare *cx) {
    if (!is_float(cx->in[0]) || !is_float(cx->in[1]))
        return BNR_OK;
    struct bnr_tensor a, b;
    struct bnr_matmul_shape s;
    header_of(&a, cx->in[0]);
    header_of(&b, cx->in[1]);
    bnr__matmul_shape(&a, &b, &s);
    if (s.m == 0 || s.n == 0 || s.k == 0 || s.count == 0)
        return BNR_OK;
    struct bnr_product p = {.a = 0, .b = 1, .scale = 1};
    p.shape = (struct bnr_product_shape){.m = s.m, .n = s.n, .k = s.k, .count = s.count};
    if (is_one_product(&s, a.numel, b.numel)) {
        p.shape.m *= s.count;
        p.shape.count = 1;
        p.shape.constant_b = cx->in[1]->tensor != NULL;
    } else if (!find_operands(cx, &s, &p.shape)) {
        return bnr__no_memory(cx->err);
    }
    struct bnr_steps steps;
    bnr__steps_init(&steps, cx, s.rank, s.dims, s.n);
    bnr__steps_take_members(&steps);
    return bnr__prepare_product(cx, &p, &steps);
}
