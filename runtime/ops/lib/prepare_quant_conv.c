// SPDX-License-Identifier: Apache-2.0
// ConvInteger and QLinearConv: by gemm_i16 in conv_f32, whose input are pairs of channels;
// depthwise ones, whose sums are few, by dwconv_f32, where float32 is exact.
#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/conv_f32.h"
#include "runtime/kernels/dwconv_f32.h"
#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/prepare_window.h"
#include "runtime/ops/lib/quant_kernel.h"

enum { EXACT_PRODUCTS = 258 }; // of two differences of 8-bit integers: their sum is below 2^24

static const struct bnr_quant_output scales = {
    .a_scale = 1, .b_scale = 4, .y_scale = 6, .y_zero = 7, .bias = 8};

struct state {
    struct bnr_quant_conv in;
    struct bnr_conv_f32 conv;
    struct bnr_dwconv_f32 dw;
    struct bnr_gemm_f32 gemm;
    const struct bnr_gemm_i16_kernels *kernels;
    bool depthwise, requantizes;
    size_t batch, channels, groups, cin, cout, image, pixels, taps; // cin, cout: of a group
    size_t packed_bytes;
    const void *packed;      // weights that are constant
    size_t at_x, at_w, at_y; // in scratch
};

struct job {
    const struct bnr_args *a;
    const struct state *st;
    int zero;
    bool is_signed;
};

// ---- weights ------------------------------------------------------------------------------------

struct weights {
    const struct state *st;
    const struct bnr_tensor *zero;
};

static int zero_of(const struct bnr_tensor *t, size_t channel) {
    return bnr__quant_zero(t, channel);
}

static void pack_floats(float *dst, const struct bnr_tensor *w, const struct weights *p) {
    const size_t taps = p->st->taps;
    for (size_t o = 0; o < p->st->groups * p->st->cout; o++)
        bnr__dequantize_f32(dst + o * taps, w->dtype, w->u8 + o * taps, 1, zero_of(p->zero, o),
                            taps);
}

// As conv_f32 packs them: panels of rows, K by taps, then pairs of channels.
static void pack_pairs(int16_t *dst, const struct bnr_tensor *w, const struct weights *p) {
    const struct state *st = p->st;
    const size_t taps = st->taps, width = st->conv.panel_rows;
    for (size_t g = 0; g < st->groups; g++)
        for (size_t row = 0; row < st->cout; row += width)
            for (size_t k = 0; k < taps * ceil_div(st->cin, 2); k++)
                for (size_t r = row; r < row + width; r++) {
                    const size_t o = g * st->cout + r, c = k % ceil_div(st->cin, 2) * 2;
                    const size_t at = (o * st->cin + c) * taps + k / ceil_div(st->cin, 2);
                    for (size_t i = 0; i < 2; i++, dst++) {
                        *dst = 0;
                        if (r < st->cout && c + i < st->cin) {
                            const uint8_t x = w->u8[at + i * taps];
                            *dst = (int16_t)((w->dtype == BNR_INT8 ? (int8_t)x : x) -
                                             zero_of(p->zero, o));
                        }
                    }
                }
}

static void pack(void *dst, const struct bnr_tensor *w, void *arg) {
    const struct weights *p = arg;
    if (p->st->depthwise)
        pack_floats(dst, w, p);
    else
        pack_pairs(dst, w, p);
}

// ---- a run --------------------------------------------------------------------------------------

// Planes of the input: pairs of channels of a group, or single ones as float32.
static void convert_planes(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct state *st = j->st;
    const struct bnr_tensor *x = j->a->in[st->in.x];
    const size_t per_group = st->depthwise ? 1 : ceil_div(st->cin, 2);
    char *dst = (char *)j->a->scratch + st->at_x;
    for (size_t i = begin; i < end; i++) {
        const size_t c = i % per_group * 2;
        const uint8_t *src = x->u8 + (i / per_group * st->cin + c) * st->image;
        if (st->depthwise)
            bnr__dequantize_f32((float *)dst + i * st->image, x->dtype, src, 1, j->zero, st->image);
        else
            st->kernels->pairs((int16_t *)dst + i * 2 * st->image, src,
                               c + 1 < st->cin ? src + st->image : NULL, st->image, j->zero,
                               j->is_signed);
    }
}

// Planes of the output from its sums.
static void finish_planes(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct state *st = j->st;
    struct bnr_tensor *y = j->a->out[0];
    for (size_t i = begin; i < end; i++) {
        int32_t *sums = st->requantizes ? (int32_t *)((char *)j->a->scratch + st->at_y) : y->i32;
        sums += i * st->pixels;
        for (size_t k = 0; st->depthwise && k < st->pixels; k++) {
            float sum;
            memcpy(&sum, &sums[k], sizeof sum);
            sums[k] = (int32_t)sum;
        }
        if (!st->requantizes)
            continue;
        const struct bnr_requantize q =
            bnr__quant_requantize(j->a, &scales, i % (st->groups * st->cout));
        st->kernels->requantize(y->u8 + i * st->pixels, sums, st->pixels, &q);
    }
}

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const struct bnr_tensor *x = a->in[st->in.x];
    struct job j = {.a = a, .st = st, .zero = bnr__quant_zero(bnr__in(a, st->in.x_zero), 0)};
    j.is_signed = x->dtype == BNR_INT8;
    const size_t planes = st->batch * st->groups * (st->depthwise ? 1 : ceil_div(st->cin, 2));
    bnr__parallel_for(a->pool, planes, 1, convert_planes, &j);
    const void *packed = st->packed;
    if (!packed) {
        struct weights w = {st, bnr__in(a, st->in.w_zero)};
        packed = (char *)a->scratch + st->at_w;
        pack((char *)a->scratch + st->at_w, a->in[st->in.w], &w);
    }
    float *sums = st->requantizes ? (float *)((char *)a->scratch + st->at_y) : a->out[0]->data;
    const float *src = (const float *)((const char *)a->scratch + st->at_x);
    struct bnr_conv_f32 conv = st->conv;
    struct bnr_dwconv_f32 dw = st->dw;
    conv.weights = dw.weights = packed;
    if (st->depthwise)
        bnr__dwconv_f32_run(
            &(struct bnr_dwconv_f32_run){.c = &dw, .dst = sums, .src = src, .scratch = a->scratch},
            a->pool);
    else
        bnr__conv_f32_run(
            &(struct bnr_conv_f32_run){.c = &conv, .dst = sums, .src = src, .scratch = a->scratch},
            a->pool);
    if (st->depthwise || st->requantizes)
        bnr__parallel_for(a->pool, st->batch * st->groups * st->cout, 1, finish_planes, &j);
}

// ---- the plan -----------------------------------------------------------------------------------

// Room for n 32-bit elements.
static bool reserve(size_t *total, size_t *at, size_t n) {
    size_t bytes;
    *at = *total;
    return bnr__size_mul(n, 4, &bytes) && bytes <= BNR_MAX_SCRATCH &&
           bnr__size_add(*total, (bytes + 63) / 64 * 64, total);
}

static bool init_kernel(struct bnr_prepare *cx, struct state *st, const struct bnr_conv *c,
                        size_t *scratch) {
    struct bnr_plane_shape plane;
    struct bnr_conv_shape s;
    st->depthwise =
        st->cin == 1 && c->window.rank <= 2 && st->taps <= EXACT_PRODUCTS && st->cout <= 4;
    if (st->depthwise) {
        bnr__plane_shape(&c->window, &plane);
        if (!bnr__dwconv_f32_init(&st->dw, &plane, cx->cpu, cx->threads))
            return false;
        st->dw.batch = st->batch;
        st->dw.channels = st->groups;
        st->dw.multiplier = st->cout;
        st->packed_bytes = st->groups * st->cout * st->taps * sizeof(float);
        *scratch = st->dw.scratch_bytes;
        return true;
    }
    bnr__conv_shape(c, &s);
    s.cin = ceil_div(s.cin, 2);
    s.gemm = &st->gemm;
    if (!bnr__conv_f32_init(&st->conv, &s, cx->cpu, cx->threads))
        return false;
    st->packed_bytes = st->conv.packed_bytes;
    *scratch = st->conv.scratch_bytes;
    return true;
}

static void read_sizes(struct state *st, const struct bnr_conv *c) {
    st->batch = (size_t)c->batch;
    st->groups = (size_t)c->group;
    st->cin = (size_t)c->group_in;
    st->cout = (size_t)c->group_out;
    st->taps = (size_t)bnr__window_taps(&c->window);
    st->image = (size_t)bnr__window_in_numel(&c->window);
    st->pixels = (size_t)bnr__window_out_numel(&c->window);
}

// Weights that are constant are packed with their zero points, which then are constant as well.
static enum bnr_status pack_constant(struct bnr_prepare *cx, struct state *st, bool *done) {
    const int in = st->in.w_zero;
    const struct bnr_info *zero = in < cx->node->n_in ? cx->in[in] : NULL;
    struct weights w = {st, zero ? zero->tensor : NULL};
    uint64_t sum = 0;
    *done = !zero || zero->tensor;
    if (!*done)
        return BNR_OK;
    for (size_t i = 0; w.zero && i < w.zero->numel; i++)
        sum = sum * 257 + w.zero->u8[i] + 1;
    st->packed = bnr__pack_get(
        cx, cx->in[st->in.w]->tensor, st->depthwise ? "dwconv_i16" : "conv_i16",
        sum << 24 ^ st->groups << 8 ^ st->conv.panel_rows, st->packed_bytes, pack, &w);
    return st->packed ? BNR_OK : bnr__no_memory(cx->err);
}

enum bnr_status bnr__prepare_quant_conv(struct bnr_prepare *cx, struct bnr_quant_conv in) {
    struct state *st = BNR_NEW(cx->arena, struct state);
    struct bnr_conv c;
    size_t total;
    if (!st)
        return bnr__no_memory(cx->err);
    if (cx->lanes)
        return BNR_OK;
    st->in = in;
    st->requantizes = in.bias >= 0;
    BNR_TRY(bnr__conv_geometry(cx->node, &cx->in[in.x]->type.shape, &cx->in[in.w]->type.shape,
                               false, &c, cx->err));
    read_sizes(st, &c);
    size_t products;
    if (c.window.rank > BNR_CONV_AXES || st->batch == 0 || st->cin == 0 || st->cout == 0 ||
        st->image == 0 || st->pixels == 0 || !bnr__size_mul(st->taps, st->cin, &products))
        return BNR_OK;
    if (st->requantizes && (products > BNR_QUANT_PRODUCTS || !bnr__quant_scales_fit(cx, &scales)))
        return BNR_OK;
    st->kernels = bnr__gemm_i16_select(cx->cpu);
    st->gemm = bnr__gemm_i16_as_f32(st->kernels, cx->cpu);
    const size_t x_planes = st->batch * st->groups * (st->cin == 1 ? 1 : ceil_div(st->cin, 2));
    const size_t y = st->batch * st->groups * st->cout * st->pixels;
    const bool constant = cx->in[in.w]->tensor != NULL;
    bool done = true;
    if (!init_kernel(cx, st, &c, &total))
        return BNR_OK;
    total = (total + 63) / 64 * 64;
    if (!reserve(&total, &st->at_x, x_planes * st->image) ||
        !reserve(&total, &st->at_w, constant ? 0 : ceil_div(st->packed_bytes, 4)) ||
        !reserve(&total, &st->at_y, st->requantizes ? y : 0))
        return BNR_OK;
    if (constant)
        BNR_TRY(pack_constant(cx, st, &done));
    if (!done)
        return BNR_OK;
    cx->scratch = total;
    cx->kernel = st->depthwise
                     ? bnr__arena_printf(cx->arena, "dwconv_f32_%s", st->dw.band.kernels->isa)
                     : bnr__arena_printf(cx->arena, "conv_i16_%s", st->gemm.isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
