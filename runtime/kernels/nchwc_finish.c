// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/nchwc_finish.h"

#include "runtime/kernels/pieces.h"

void bnr__nchwc_finish_init(struct bnr_nchwc_finish *f, const struct bnr_nchwc_conv_f32_run *r) {
    const struct bnr_nchwc_conv_f32 *c = r->c;
    const struct bnr_eltwise *e = &c->e;
    const struct bnr_eltwise_step *s = e->step;
    const size_t channels = c->s.groups * c->s.cout;
    int i = 0;
    *f = (struct bnr_nchwc_finish){
        .plane = c->s.out[0] * c->s.out[1] * c->s.out[2] * c->lanes,
        .blocks = channels / c->lanes + (channels % c->lanes != 0),
    };
    if (i < e->n && s[i].kind == BNR_ELTWISE_ADD && s[i].form == BNR_FORM_SAME)
        f->residual = r->operands[s[i++].operand];
    if (i < e->n && s[i].kind == BNR_ELTWISE_CLAMP) {
        f->clamp = true;
        f->lo = s[i].p;
        f->hi = s[i++].q;
    }
    for (; i < e->n; i++) {
        struct bnr_eltwise *one = &f->rest[f->n_rest];
        f->form[f->n_rest++] = s[i].form;
        *one = (struct bnr_eltwise){.n = 1, .step[0] = s[i], .channels = 1};
        // A block's channels are neighbours: columns of a tile whose rows are pixels.
        if (s[i].form == BNR_FORM_CHANNEL || s[i].form == BNR_FORM_ROW)
            one->step[0].form = BNR_FORM_COLUMN;
    }
}

// A step with a number for every channel: `block` of the span by itself.
static void finish_channels(const struct bnr_nchwc_finish *f,
                            const struct bnr_nchwc_conv_f32_run *r, const struct bnr_nchwc_span *s,
                            int step, size_t block) {
    const struct bnr_nchwc_conv_f32 *c = r->c;
    const size_t lanes = c->lanes, first = (s->block + block) * lanes;
    const size_t left = c->s.groups * c->s.cout - first;
    struct bnr_eltwise_tile t = {.ld = lanes, .rows = s->pixels, .cols = min_size(lanes, left)};
    t.dst = s->dst + block * f->plane;
    t.src = t.dst;
    t.col = first + (f->form[step] == BNR_FORM_ROW ? s->image * f->blocks * lanes : 0);
    c->eltwise->tile(&f->rest[step], r->operands, &t);
}

void bnr__nchwc_finish_rest(const struct bnr_nchwc_finish *f,
                            const struct bnr_nchwc_conv_f32_run *r,
                            const struct bnr_nchwc_span *s) {
    struct bnr_eltwise_tile t = {.dst = s->dst, .src = s->dst, .ld = f->plane, .rows = s->blocks};
    t.place = (s->image * f->blocks + s->block) * f->plane + s->pixel * r->c->lanes;
    t.cols = s->pixels * r->c->lanes;
    for (int i = 0; i < f->n_rest; i++) {
        if (f->form[i] != BNR_FORM_CHANNEL && f->form[i] != BNR_FORM_ROW) {
            r->c->eltwise->tile(&f->rest[i], r->operands, &t);
            continue;
        }
        for (size_t b = 0; b < s->blocks; b++)
            finish_channels(f, r, s, i, b);
    }
}
