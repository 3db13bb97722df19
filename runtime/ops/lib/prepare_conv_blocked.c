// SPDX-License-Identifier: Apache-2.0
// Conv on blocked tensors, by nchwc_conv_f32.
#include "runtime/base/checked.h"
#include "runtime/kernels/nchwc_conv_f32.h"
#include "runtime/kernels/nchwc_pair_f32.h"
#include "runtime/ops/lib/prepare_conv.h"
#include "runtime/ops/lib/prepare_window.h"

enum {
    FEW_CHANNELS = 4,     // read from a plain tensor: a block of them would be mostly empty
    PRODUCTS_A_BYTE = 10, // of a convolution that runs better on blocked tensors, see `saves`
};

// Weights that are not constant are NULL here and packed with every run.
struct state {
    struct bnr_nchwc_conv_f32 conv;
    struct bnr_step_operands operands;
};

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    struct bnr_nchwc_conv_f32 conv = st->conv;
    bnr__steps_operands(&st->operands, a, operands);
    if (!conv.weights) {
        float *packed = (float *)a->scratch + conv.scratch_bytes / sizeof(float);
        bnr__nchwc_conv_f32_pack(&conv, packed, a->in[1]->f32);
        conv.weights = packed;
    }
    const struct bnr_nchwc_conv_f32_run r = {
        .c = &conv,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .bias = a->node->n_in > 2 && a->in[2] ? a->in[2]->f32 : NULL,
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__nchwc_conv_f32_run(&r, a->pool);
}

// The steps in front as a prologue: an affine, a clamp, or both. False for others.
static bool find_prologue(const struct bnr_eltwise *e, struct bnr_nchwc_prologue *p) {
    int i = 0;
    *p = (struct bnr_nchwc_prologue){.clamp = false};
    if (i < e->n && e->step[i].kind == BNR_ELTWISE_AFFINE && e->step[i].form == BNR_FORM_ROW) {
        p->s = e->step[i].s;
        p->t = e->step[i++].t;
    }
    if (i < e->n && e->step[i].kind == BNR_ELTWISE_CLAMP) {
        p->clamp = true;
        p->lo = e->step[i].p;
        p->hi = e->step[i++].q;
    }
    return i == e->n;
}

// The forms as nchwc_conv_f32 names them.
static void set_steps(struct bnr_nchwc_conv_f32 *c, const struct bnr_steps *s) {
    c->e = s->e;
    c->e.channels = 1;
    for (int i = 0; i < c->e.n; i++) {
        enum bnr_eltwise_form *form = &c->e.step[i].form;
        if (*form == BNR_FORM_LANES_CHANNEL)
            *form = BNR_FORM_CHANNEL;
        else if (*form == BNR_FORM_LANES)
            *form = BNR_FORM_ROW;
    }
}

static bool reads_plain(const struct bnr_prepare *cx, const struct bnr_conv *c) {
    const struct bnr_node *from = cx->node->in[0]->producer;
    const bool region_begins = !from || !from->op || !(from->op->flags & BNR_OP_EPILOGUE);
    return c->in_channels <= FEW_CHANNELS && (size_t)c->in_channels < cx->lanes && region_begins;
}

static double gain(const struct bnr_conv *c) {
    double products = (double)(c->batch * c->out_channels) * (double)c->group_in;
    for (int i = 0; i < c->window.rank; i++)
        products *= (double)(c->window.axis[i].out * c->window.axis[i].kernel);
    return products / PRODUCTS_A_BYTE;
}

// ---- depthwise ----------------------------------------------------------------------------------

struct depthwise_state {
    struct bnr_nchwc_window window;
    struct bnr_step_operands operands;
};

static void run_depthwise(const struct bnr_args *a, const void *opaque) {
    const struct depthwise_state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    bnr__steps_operands(&st->operands, a, operands);
    const struct bnr_nchwc_window_run r = {
        .w = &st->window,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__nchwc_window_run(&r, a->pool);
}

// What is between a pointwise convolution and the depthwise one that reads it is not made as a whole.
struct pair_state {
    struct bnr_nchwc_pair pair;
    const struct bnr_step_operands *operands; // of the depthwise one
    int front_bias;                           // where in a->in, if it is there
};

static void run_pair(const struct bnr_args *a, const void *opaque) {
    const struct pair_state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    bnr__steps_operands(st->operands, a, operands);
    const bool bias = st->front_bias < a->n_in && a->in[st->front_bias];
    const struct bnr_nchwc_pair_run r = {
        .p = &st->pair,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .bias = bias ? a->in[st->front_bias]->f32 : NULL,
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__nchwc_pair_run(&r, a->pool);
}

static enum bnr_status pair(struct bnr_pair *p) {
    const struct state *front = p->front_state;
    const struct depthwise_state *own = p->own_state;
    if (p->front_run != run || !front->conv.weights)
        return BNR_OK;
    struct pair_state *st = BNR_NEW(p->arena, struct pair_state);
    if (!st)
        return bnr__no_memory(p->err);
    if (!bnr__nchwc_pair_init(&st->pair, &front->conv, &own->window, p->threads) ||
        !bnr__nchwc_pair_is_worth_it(&st->pair))
        return BNR_OK;
    st->operands = &own->operands;
    st->front_bias = p->front_at + 1;
    p->kernel = bnr__arena_printf(p->arena, "nchwc_pair_f32_%s", own->window.kernels->isa);
    p->scratch = st->pair.scratch_bytes;
    p->state = st;
    p->run = run_pair;
    return BNR_OK;
}

// Constant weights and bias, one output channel for each input channel.
static bool is_depthwise(const struct bnr_prepare *cx, const struct bnr_conv *c) {
    const bool bias = cx->node->n_in > 2 && cx->in[2];
    return c->group_in == 1 && c->group_out == 1 && c->window.rank <= BNR_WINDOW_AXES &&
           cx->in[1]->tensor && (!bias || cx->in[2]->tensor);
}

static void pack_depthwise(void *dst, const struct bnr_tensor *t, void *arg) {
    bnr__nchwc_window_pack(arg, dst, t->f32, (size_t)t->dims[0]);
}

// One element for each lane, zeros at the end.
static void pack_bias(void *dst, const struct bnr_tensor *t, void *arg) {
    const size_t *n = arg;
    float *out = dst;
    for (size_t i = 0; i < *n; i++)
        out[i] = i < t->numel ? t->f32[i] : 0;
}

static bool pack_depthwise_constants(struct bnr_prepare *cx, struct bnr_nchwc_window *w) {
    struct bnr_tensor *weights = cx->in[1]->tensor;
    const size_t bytes = bnr__nchwc_window_packed(w, (size_t)weights->dims[0]);
    size_t n = w->blocks * w->kernels->lanes;
    w->weights =
        bnr__pack_get(cx, weights, "nchwc_window_f32", w->kernels->lanes, bytes, pack_depthwise, w);
    if (cx->node->n_in > 2 && cx->in[2])
        w->bias = bnr__pack_get(cx, cx->in[2]->tensor, "nchwc_bias", w->kernels->lanes,
                                n * sizeof(float), pack_bias, &n);
    return w->weights && (w->bias || cx->node->n_in < 3 || !cx->in[2]);
}

static enum bnr_status prepare_depthwise(struct bnr_prepare *cx, const struct bnr_conv *c,
                                         const struct bnr_steps *steps) {
    struct bnr_window_shape s;
    struct depthwise_state *st = BNR_NEW(cx->arena, struct depthwise_state);
    if (!st)
        return bnr__no_memory(cx->err);
    bnr__window_shape(&c->window, &s);
    if (!bnr__nchwc_window_init(&st->window, BNR_WINDOW_CONV, &s, cx->cpu, cx->threads) ||
        st->window.scratch_bytes > BNR_MAX_SCRATCH)
        return BNR_OK;
    st->window.batch = steps->blocked.batch;
    st->window.blocks = steps->blocked.blocks;
    st->window.e = steps->e;
    if (!pack_depthwise_constants(cx, &st->window))
        return bnr__no_memory(cx->err);
    st->operands = steps->operands;
    cx->scratch = st->window.scratch_bytes;
    cx->blocked_in |= 1;
    cx->blocked_out = 1;
    cx->saves = (double)steps->numel * sizeof(float);
    cx->kernel = bnr__arena_printf(cx->arena, "nchwc_dwconv_f32_%s", st->window.kernels->isa);
    cx->state = st;
    cx->run = run_depthwise;
    cx->pair = pair;
    return BNR_OK;
}

// ---- others -------------------------------------------------------------------------------------

static bool pack(void *dst, const struct bnr_pack_source *src, size_t part, const void *arg) {
    const struct bnr_weights_rows w = {src->elems, src->factors};
    return bnr__nchwc_conv_f32_pack_part(arg, dst, &w, part);
}

static enum bnr_status set_weights(struct bnr_prepare *cx, struct bnr_nchwc_conv_f32 *c) {
    struct bnr_tensor *w = cx->in[1]->tensor;
    if (!w)
        return bnr__size_add(cx->scratch, c->packed_bytes, &cx->scratch) ? BNR_OK : BNR_NO_MEMORY;
    const struct bnr_conv_parts parts = bnr__nchwc_conv_f32_parts(c);
    const struct bnr_pack_format f = {
        .key = "nchwc_conv_f32",
        .variant = c->variant,
        .size = c->packed_bytes,
        .parts = parts.n,
        .part_elems = parts.elems,
        .row_elems = bnr__nchwc_conv_f32_packs_rows(c) ? bnr__nchwc_conv_f32_row(c) : 0,
        .pack = pack,
        .arg = c};
    c->weights = bnr__pack_get_parts(cx, w, &f);
    return c->weights ? BNR_OK : BNR_NO_MEMORY;
}

enum bnr_status bnr__prepare_conv_blocked(struct bnr_prepare *cx, const struct bnr_conv *c,
                                          struct bnr_steps *steps) {
    struct bnr_conv_shape s;
    struct bnr_nchwc in;
    struct bnr_nchwc_prologue prologue;
    const bool plain = reads_plain(cx, c);
    if (!bnr__steps_block(steps) || !bnr__blocked_shape(&cx->in[0]->type, cx->lanes, &in))
        return BNR_OK;
    bnr__steps_take_members(steps);
    if (is_depthwise(cx, c))
        return prepare_depthwise(cx, c, steps);
    const struct bnr_eltwise before = bnr__steps_before(cx);
    if (plain || !find_prologue(&before, &prologue)) {
        prologue = (struct bnr_nchwc_prologue){.clamp = false};
        cx->before_taken = 0;
    }
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st)
        return bnr__no_memory(cx->err);
    const struct bnr_nchwc_options options = {
        .cpu = cx->cpu, .threads = cx->threads, .plain = plain, .prologue = cx->before_taken > 0};
    bnr__conv_shape(c, &s);
    set_steps(&st->conv, steps);
    const struct bnr_eltwise e = st->conv.e;
    if (!bnr__nchwc_conv_f32_accepts(&e) || !bnr__nchwc_conv_f32_init(&st->conv, &s, &options))
        return BNR_OK;
    st->conv.e = e;
    st->conv.prologue = prologue;
    cx->scratch = st->conv.scratch_bytes;
    if (set_weights(cx, &st->conv) != BNR_OK)
        return bnr__no_memory(cx->err);
    st->operands = steps->operands;
    cx->blocked_in |= plain ? 0 : 1;
    cx->blocked_out = 1;
    cx->saves = gain(c);
    cx->kernel = bnr__arena_printf(cx->arena, "nchwc_conv_f32_%s", st->conv.kernels->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
