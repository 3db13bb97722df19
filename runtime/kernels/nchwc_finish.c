// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/nchwc_finish.h"

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

void bnr__nchwc_finish_rest(const struct bnr_nchwc_finish *f,
                            const struct bnr_nchwc_conv_f32_run *r,
                            const struct bnr_nchwc_span *s) {
    const struct bnr_nchwc_conv_f32 *c = r->c;
    const size_t lanes = c->lanes, first = s->block * lanes;
    const size_t left = c->s.groups * c->s.cout - first;
    struct bnr_eltwise_tile t = {.dst = s->dst, .src = s->dst};
    t.place = (s->image * f->blocks + s->block) * f->plane + s->pixel * lanes;
    for (int i = 0; i < f->n_rest; i++) {
        const bool per_channel = f->form[i] == BNR_FORM_CHANNEL || f->form[i] == BNR_FORM_ROW;
        t.ld = per_channel ? lanes : s->pixels * lanes;
        t.rows = per_channel ? s->pixels : 1;
        t.cols = !per_channel ? t.ld : left < lanes ? left : lanes;
        t.col = first + (f->form[i] == BNR_FORM_ROW ? s->image * f->blocks * lanes : 0);
        c->eltwise->tile(&f->rest[i], r->operands, &t);
    }
}
