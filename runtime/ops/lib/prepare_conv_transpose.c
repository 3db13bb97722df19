// SPDX-License-Identifier: Apache-2.0
// ConvTranspose by convt_f32.
#include "runtime/base/checked.h"
#include "runtime/kernels/convt_f32.h"
#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/prepare_window.h"
#include "runtime/ops/lib/steps.h"

// Weights that are not constant are NULL here and packed with every run.
struct state {
    struct bnr_convt_f32 conv;
    struct bnr_step_operands operands;
};

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *operands[BNR_ELTWISE_MAX];
    struct bnr_convt_f32 conv = st->conv;
    bnr__steps_operands(&st->operands, a, operands);
    if (!conv.weights) {
        float *packed = (float *)a->scratch + conv.scratch_bytes / sizeof(float);
        bnr__convt_f32_pack(&conv, packed, a->in[1]->f32);
        conv.weights = packed;
    }
    const struct bnr_convt_f32_run r = {
        .c = &conv,
        .dst = a->out[0]->f32,
        .src = a->in[0]->f32,
        .bias = a->node->n_in > 2 && a->in[2] ? a->in[2]->f32 : NULL,
        .operands = operands,
        .scratch = a->scratch,
    };
    bnr__convt_f32_run(&r, a->pool);
}

static void pack(void *dst, const struct bnr_tensor *t, void *arg) {
    bnr__convt_f32_pack(arg, dst, t->f32);
}

static enum bnr_status choose(struct bnr_prepare *cx, struct state *st, const struct bnr_steps *s) {
    struct bnr_tensor *w = cx->in[1]->tensor;
    const struct bnr_conv_f32 *p = &st->conv.product;
    cx->scratch = st->conv.scratch_bytes;
    if (w) {
        const uint64_t variant = (uint64_t)st->conv.s.groups << 8 | p->panel_rows;
        st->conv.weights =
            bnr__pack_get(cx, w, "convt_f32", variant, p->packed_bytes, pack, &st->conv);
        if (!st->conv.weights)
            return bnr__no_memory(cx->err);
    } else if (!bnr__size_add(cx->scratch, p->packed_bytes, &cx->scratch)) {
        return BNR_OK;
    }
    st->conv.e = s->e;
    const struct bnr_eltwise before = bnr__steps_before(cx);
    bnr__conv_f32_set_before(&st->conv.product, &before);
    st->operands = s->operands;
    cx->kernel = bnr__arena_printf(cx->arena, "convt_f32_%s", p->gemm->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}

enum bnr_status bnr__prepare_conv_transpose(struct bnr_prepare *cx) {
    struct bnr_conv c;
    struct bnr_conv_shape shape;
    int64_t dims[BNR_MAX_RANK];
    const struct bnr_shape *out = &cx->out[0]->type.shape;
    for (int i = 0; i < cx->node->n_in; i++) {
        if (cx->in[i] && cx->in[i]->type.dtype != BNR_FLOAT)
            return BNR_OK;
    }
    BNR_TRY(bnr__conv_geometry(cx->node, &cx->in[0]->type.shape, &cx->in[1]->type.shape, true, &c,
                               cx->err));
    bnr__shape_numbers(out, dims);
    struct bnr_steps s;
    bnr__steps_init(&s, cx, out->rank, dims, 1);
    for (int i = 2; i < out->rank; i++)
        s.cols *= (size_t)dims[i];
    if (c.window.rank > BNR_CONV_AXES || s.numel == 0 || c.group_in == 0 ||
        bnr__window_in_numel(&c.window) == 0)
        return BNR_OK;
    struct state *st = BNR_NEW(cx->arena, struct state);
    if (!st)
        return bnr__no_memory(cx->err);
    bnr__conv_shape(&c, &shape);
    if (!bnr__convt_f32_init(&st->conv, &shape, cx->cpu, cx->threads) ||
        st->conv.scratch_bytes > BNR_MAX_SCRATCH)
        return BNR_OK;
    bnr__steps_take_members(&s);
    return choose(cx, st, &s);
}
