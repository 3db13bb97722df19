// SPDX-License-Identifier: Apache-2.0
// Conv: by dwconv_f32 where every output channel reads one input channel, as a matrix product where
// the kernel covers the whole image, else by conv_f32; on blocked tensors: prepare_conv_blocked.c.
#include "runtime/ops/lib/prepare_conv.h"
#include "runtime/base/checked.h"
#include "runtime/kernels/conv_f32.h"
#include "runtime/kernels/dwconv_f32.h"
#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/prepare_matmul.h"
#include "runtime/ops/lib/prepare_window.h"

// Weights that are not constant are NULL here and found, and packed, with every run.
struct state {
    union {
        struct bnr_conv_f32 conv;
        struct bnr_dwconv_f32 dw;
    };
    struct bnr_step_operands operands;
};

static const float *bias_of(const struct bnr_args *a) {
    return a->node->n_in > 2 && a->in[2] ? a->in[2]->f32 : NULL;
}

static void run_conv(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    struct bnr_conv_f32 conv = st->conv;
    bnr__steps_operands(&st->operands, a, operands);
    if (!conv.weights) {
        float *packed = (float *)a->scratch + conv.scratch_bytes / sizeof(float);
        bnr__conv_f32_pack(&conv, packed, a->in[1]->f32);
        conv.weights = packed;
    }
    const struct bnr_conv_f32_run r = {
        .c = &conv,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .bias = bias_of(a),
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__conv_f32_run(&r, a->pool);
}

static void run_dwconv(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    struct bnr_dwconv_f32 dw = st->dw;
    bnr__steps_operands(&st->operands, a, operands);
    if (!dw.weights)
        dw.weights = a->in[1]->f32;
    const struct bnr_dwconv_f32_run r = {
        .c = &dw,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .bias = bias_of(a),
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__dwconv_f32_run(&r, a->pool);
}

static struct state *state_new(struct bnr_prepare *cx, const struct bnr_steps *s) {
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st)
        return NULL;
    st->operands = s->operands;
    return st;
}

static void choose(struct bnr_prepare *cx, void (*run)(const struct bnr_args *, const void *),
                   const struct state *st, const char *family, const char *isa) {
    cx->kernel = bnr__arena_printf(cx->arena, "%s_%s", family, isa);
    cx->state = st;
    cx->run = run;
}

// ---- the three ways -----------------------------------------------------------------------------

static bool is_depthwise(const struct bnr_conv *c) {
    return c->group > 1 && c->group_in == 1 && c->group_out <= 4 && c->window.rank <= 2;
}

static void copy_floats(void *dst, const struct bnr_tensor *t, void *arg) {
    float *out = dst;
    for (size_t i = 0; i < t->numel; i++)
        out[i] = t->f32[i];
}

static enum bnr_status prepare_depthwise(struct bnr_prepare *cx, const struct bnr_conv *c,
                                         const struct bnr_steps *steps) {
    struct bnr_tensor *w = cx->in[1]->tensor;
    struct bnr_plane_shape s;
    struct state *st = state_new(cx, steps);
    if (!st)
        return bnr__no_memory(cx->err);
    bnr__plane_shape(&c->window, &s);
    if (!bnr__dwconv_f32_init(&st->dw, &s, cx->cpu, cx->threads) ||
        st->dw.scratch_bytes > BNR_MAX_SCRATCH)
        return BNR_OK;
    st->dw.batch = (size_t)c->batch;
    st->dw.channels = (size_t)c->group;
    st->dw.multiplier = (size_t)c->group_out;
    st->dw.e = steps->e;
    st->dw.before = bnr__steps_before(cx);
    if (w) {
        const size_t bytes = w->numel * sizeof(float);
        st->dw.weights = bnr__pack_get(cx, w, "float32", 0, bytes, copy_floats, NULL);
        if (!st->dw.weights)
            return bnr__no_memory(cx->err);
    }
    cx->scratch = st->dw.scratch_bytes;
    choose(cx, run_dwconv, st, "dwconv_f32", st->dw.band.kernels->isa);
    return BNR_OK;
}

static bool pack(void *dst, const struct bnr_pack_source *src, size_t part, const void *arg) {
    bnr__conv_f32_pack_part(arg, dst, src->elems, part);
    return true;
}

// What is costly is not done once for every tap.
static void set_before(struct bnr_prepare *cx, struct bnr_conv_f32 *c) {
    const struct bnr_eltwise before = bnr__steps_before(cx), none = {.channels = 1};
    bnr__conv_f32_set_before(c, &before);
    if (before.n == 0 || c->is_usual || c->k == c->s.cin)
        return;
    cx->before_taken = 0;
    bnr__conv_f32_set_before(c, &none);
}

static enum bnr_status prepare_general(struct bnr_prepare *cx, const struct bnr_conv *c,
                                       const struct bnr_steps *steps) {
    struct bnr_tensor *w = cx->in[1]->tensor;
    struct bnr_conv_shape s;
    struct state *st = state_new(cx, steps);
    if (!st)
        return bnr__no_memory(cx->err);
    bnr__conv_shape(c, &s);
    if (!bnr__conv_f32_init(&st->conv, &s, cx->cpu, cx->threads))
        return BNR_OK;
    cx->scratch = st->conv.scratch_bytes;
    if (w) {
        const struct bnr_conv_parts parts = bnr__conv_f32_parts(&st->conv);
        const struct bnr_pack_format f = {.key = "conv_f32",
                                          .variant = (uint64_t)s.groups << 8 | st->conv.panel_rows,
                                          .size = st->conv.packed_bytes,
                                          .parts = parts.n,
                                          .part_elems = parts.elems,
                                          .pack = pack,
                                          .arg = &st->conv};
        st->conv.weights = bnr__pack_get_parts(cx, w, &f);
        if (!st->conv.weights)
            return bnr__no_memory(cx->err);
    } else if (!bnr__size_add(cx->scratch, st->conv.packed_bytes, &cx->scratch)) {
        return BNR_OK;
    }
    st->conv.e = steps->e;
    set_before(cx, &st->conv);
    choose(cx, run_conv, st, "conv_f32", st->conv.gemm->isa);
    return BNR_OK;
}

// One output pixel that reads the whole image: [N, C * in] times the weights, transposed.
static bool covers_image(const struct bnr_conv *c) {
    for (int i = 0; i < c->window.rank; i++) {
        const struct bnr_window_axis *a = &c->window.axis[i];
        if (a->out != 1 || a->kernel != a->in || a->dilation != 1 || a->begin != 0)
            return false;
    }
    return c->group == 1;
}

static enum bnr_status prepare_product(struct bnr_prepare *cx, const struct bnr_conv *c, int rank,
                                       const int64_t *dims) {
    struct bnr_product p = {.a = 0, .b = 1, .scale = 1};
    p.shape = (struct bnr_product_shape){.m = (size_t)c->batch,
                                         .n = (size_t)c->out_channels,
                                         .k = (size_t)c->in_channels,
                                         .trans_b = true,
                                         .constant_b = cx->in[1]->tensor != NULL,
                                         .count = 1};
    for (int i = 0; i < c->window.rank; i++)
        p.shape.k *= (size_t)c->window.axis[i].in;
    struct bnr_steps s;
    bnr__steps_init(&s, cx, rank, dims, p.shape.n);
    if (cx->node->n_in > 2 && cx->in[2])
        bnr__steps_column(&s, BNR_ELTWISE_ADD, 2);
    bnr__steps_take_members(&s);
    return bnr__prepare_product(cx, &p, &s);
}

// ---- Conv ---------------------------------------------------------------------------------------

static bool is_float(const struct bnr_prepare *cx) {
    for (int i = 0; i < cx->node->n_in; i++) {
        if (cx->in[i] && cx->in[i]->type.dtype != BNR_FLOAT)
            return false;
    }
    return true;
}

enum bnr_status bnr__prepare_conv(struct bnr_prepare *cx) {
    struct bnr_conv c;
    int64_t dims[BNR_MAX_RANK];
    const struct bnr_shape *out = &cx->out[0]->type.shape;
    if (!is_float(cx))
        return BNR_OK;
    BNR_TRY(bnr__conv_geometry(cx->node, &cx->in[0]->type.shape, &cx->in[1]->type.shape, false, &c,
                               cx->err));
    bnr__shape_numbers(out, dims);
    struct bnr_steps s;
    bnr__steps_init(&s, cx, out->rank, dims, 1);
    for (int i = 2; i < out->rank; i++)
        s.cols *= (size_t)dims[i];
    if (c.window.rank > BNR_CONV_AXES || s.numel == 0 || c.group_in == 0 ||
        bnr__window_in_numel(&c.window) == 0)
        return BNR_OK;
    const bool product = cx->n_before == 0 && covers_image(&c);
    if (cx->lanes)
        return product ? BNR_OK : bnr__prepare_conv_blocked(cx, &c, &s);
    if (product)
        return prepare_product(cx, &c, out->rank, dims);
    bnr__steps_take_members(&s);
    return is_depthwise(&c) ? prepare_depthwise(cx, &c, &s) : prepare_general(cx, &c, &s);
}
